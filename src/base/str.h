/* SPDX-License-Identifier: Apache-2.0 */
/* str.h — borrowed strings by value: a pointer and a length, not NUL-terminated.
 *
 *   Str head, tail;
 *   if (str_cut(line, '=', &head, &tail)) ...
 *   printf(STR_FMT, STR_ARG(head));
 *
 * A Str never owns its bytes. An empty Str may have p == NULL. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

typedef struct {
        const char *p;
        size_t n;
} Str;

#define STR(lit) ((Str){("" lit ""), sizeof(lit) - 1})
#define STR_INIT(lit) {("" lit ""), sizeof(lit) - 1}    /* for static initialisers */
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline Str str_from(const char *cstr)
{
        return (Str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool str_eq(Str a, Str b)
{
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is_empty(Str s)
{
        return s.n == 0;
}

/* Bytewise, shorter first: the order of label names and values. */
static inline int str_cmp(Str a, Str b)
{
        size_t n = a.n < b.n ? a.n : b.n;
        int c = n ? memcmp(a.p, b.p, n) : 0;
        if (c)
                return c;
        return (a.n > b.n) - (a.n < b.n);
}

static inline Str str_sub(Str s, size_t from, size_t to)
{
        return (Str){s.p + from, to - from};
}

static inline Str str_skip(Str s, size_t n)
{
        return (Str){s.p + n, s.n - n};
}

bool str_has_prefix(Str s, Str prefix);
bool str_has_suffix(Str s, Str suffix);
bool str_eq_nocase(Str a, Str b);                       /* ASCII case only */
bool str_contains(Str s, Str needle);
/* Position of the first c (or needle), or -1. */
ptrdiff_t str_find(Str s, char c);
ptrdiff_t str_find_str(Str s, Str needle);
ptrdiff_t str_rfind(Str s, char c);
/* Splits at the first sep: true and both parts without it; false leaves the outputs untouched. Outputs may alias s. */
bool str_cut(Str s, char sep, Str *ret_head, Str *ret_tail);
/* For loops: takes the next field off *rest; false when nothing is left. "a,,b" gives "a", "", "b"; "" gives nothing. */
bool str_next(Str *rest, char sep, Str *ret_field);
Str str_trim(Str s);                                    /* ASCII white space at both ends */
Str str_trim_prefix(Str s, Str prefix);
Str str_trim_suffix(Str s, Str suffix);
/* Whole-string decimal numbers; false on anything else or overflow. */
bool str_to_u64(Str s, uint64_t *ret);
bool str_to_i64(Str s, int64_t *ret);
char *str_dup(Str s);                                   /* heap, NUL-terminated, owned by the caller */
int str_cmp_qsort(const void *a, const void *b);        /* for qsort of Str[] */

#endif
