/* SPDX-License-Identifier: Apache-2.0 */
/* value.h — what Go's text/template computes with: values that carry a type, whose name is seen in error messages and by printf "%T".
 *
 *   TVal v = tval_str(STR("a"));
 *   struct tval_map_entry e[] = {{STR("job"), v}};           ascending by key
 *   TVal m = tval_map(arena, &ttype_map_string, e, 1);
 *
 * A program brings its own struct types with fields and methods (see struct ttype). Values borrow; all they point at lives as long as the
 * execution, mostly in its arena. A value of no type (type NULL) is Go's nil interface: it prints as <no value>. Threads: values are constant. */
#ifndef ALERT_TEMPLATE_VALUE_H
#define ALERT_TEMPLATE_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum tkind { TKIND_INVALID, TKIND_BOOL, TKIND_INT, TKIND_UINT, TKIND_FLOAT, TKIND_STRING, TKIND_LIST, TKIND_MAP, TKIND_STRUCT, TKIND_PTR, TKIND_ANY };

struct ttype;
struct tfunc;
typedef struct tval {
        const struct ttype *type;       /* NULL: nothing */
        union {
                bool b;
                int64_t i;
                uint64_t u;
                double f;
                Str s;
                const struct tlist *list;
                const struct tmap *map;
                const void *p;          /* TKIND_STRUCT, TKIND_PTR (NULL: a nil pointer) */
        };
} TVal;
struct tlist {
        const TVal *v;
        size_t n;
};
struct tval_map_entry {
        Str key;
        TVal value;
};
struct tmap {
        const struct tval_map_entry *v; /* ascending by key */
        size_t n;
};
struct tfield {
        const char *name;
        TVal (*get)(const void *p);     /* p: of the struct value */
        bool is_any;                    /* declared as interface {}: errors call it so */
};
struct ttype {
        const char *name;               /* as Go names it: "map[string]string" */
        enum tkind kind;
        const struct ttype *elem;       /* of lists, maps, pointers; TKIND_ANY: values of any type */
        const struct tfield *fields;    /* TKIND_STRUCT, in order; ends with a NULL name */
        const struct tfunc *methods;    /* of the type and of pointers to it; ends with a NULL name */
        void (*string)(TVal v, struct buf *b);  /* Go's String(); NULL: none */
};
extern const struct ttype ttype_bool, ttype_int, ttype_int64, ttype_uint64, ttype_uint8, ttype_float, ttype_string, ttype_html, ttype_any, ttype_map_string, ttype_map_any,
        ttype_list_any, ttype_list_string;
extern const struct ttype ttype_time, ttype_time_ptr, ttype_duration, ttype_duration_ptr;      /* p: int64_t, nanoseconds since 1970, UTC; Duration: i */

static inline TVal tval_none(void)
{
        return (TVal){.type = NULL};
}
static inline TVal tval_bool(bool b)
{
        return (TVal){.type = &ttype_bool, .b = b};
}
static inline TVal tval_int(int64_t i)
{
        return (TVal){.type = &ttype_int, .i = i};
}
static inline TVal tval_float(double f)
{
        return (TVal){.type = &ttype_float, .f = f};
}
static inline TVal tval_str(Str s)
{
        return (TVal){.type = &ttype_string, .s = s};
}
TVal tval_map(struct arena *a, const struct ttype *type, const struct tval_map_entry *v, size_t n);     /* v is borrowed */
TVal tval_list(struct arena *a, const struct ttype *type, const TVal *v, size_t n);                     /* v is borrowed */
const TVal *tval_map_get(TVal map, Str key);            /* NULL: not there */
enum tkind tval_kind(TVal v);
bool tval_is_nil_ptr(TVal v);
TVal tval_deref(TVal v);                                /* what a pointer points at; others as they are */
bool tval_is_true(TVal v);                              /* as `if` sees it */
const char *tval_type_name(TVal v);                     /* "<nil>" for none */

/* A function or method. args of methods begin with the receiver (dereferenced), which `in` does not list. */
struct texec;
typedef struct error *tfunc_call(struct texec *x, const TVal *args, size_t n, TVal *ret);
struct tfunc {
        const char *name;
        tfunc_call *call;
        int n_in;                       /* with the variadic one */
        bool variadic;
        const struct ttype *in[4];      /* &ttype_any: any value; the variadic one: of each element */
};

/* ---- printing, as Go's package fmt does it ---- */
void tval_print(struct buf *b, TVal v);                                 /* fmt.Print of one value */
void tval_sprint(struct buf *b, const TVal *v, size_t n);               /* fmt.Sprint: spaces between operands of which none is a string */
void tval_sprintln(struct buf *b, const TVal *v, size_t n);
void tval_sprintf(struct buf *b, Str format, const TVal *v, size_t n);

/* ---- time ---- */
void gotime_format(struct buf *b, int64_t ns, Str layout);              /* Time.Format, in UTC */
void gotime_string(struct buf *b, int64_t ns);                          /* Time.String */

#endif
