/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h — YAML to option structs and back, by tables of keys: strict decoding with go-yaml's error texts, printing in the order of the tables.
 *
 *   static const struct conf_field fields[] = {{"scrape_interval", CONF_DURATION, offsetof(struct global_conf, scrape_interval_ms)}, …};
 *   static const struct conf_schema global_schema = {.type = "config.plain", .fields = fields, .n = ARRAY_LEN(fields), .size = sizeof(struct global_conf)};
 *   struct conf_decoder d;  conf_decoder_init(&d, &arena);
 *   e = conf_decode(&d, &global_schema, yaml, &global);        then conf_decoder_finish(&d) gives the collected type errors
 *   conf_print(&b, &global_schema, &global, 0);
 *
 * Unknown keys and values of a wrong type are collected ("yaml: unmarshal errors:\n  line 2: …"), what a check refuses ends at once, as in go-yaml.
 * Everything decoded lives in the arena. Threads: pure.  Upstream: gopkg.in/yaml.v2 decode.go, config/config.go */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "codec/yaml.h"

enum conf_kind {
        CONF_CSTR,              /* const char * (NULL: not given) */
        CONF_STR,               /* Str */
        CONF_BOOL,              /* bool */
        CONF_INT,               /* int64_t */
        CONF_UINT,              /* uint64_t */
        CONF_INT32,             /* int */
        CONF_FLOAT,             /* double */
        CONF_DURATION,          /* int64_t, ms */
        CONF_BYTES,             /* uint64_t */
        CONF_STRS,              /* struct conf_strs */
        CONF_LABELS,            /* Labels: a map of label names to values */
        CONF_STRUCT,            /* embedded struct by `sub` */
        CONF_INLINE,            /* the keys of `sub`, which works on the struct at offset, stand among ours */
        CONF_LIST,              /* struct conf_list of `sub` structs */
        CONF_CUSTOM,            /* by the functions of the row */
        CONF_REFUSED,           /* the original knows it, we do not yet: an error names it, unless the value is null, empty or the default in `note` */
};
enum conf_bits {
        CONF_OMIT_EMPTY = 1,    /* not printed when zero or empty */
        CONF_SECRET = 2,        /* printed as <secret> */
        CONF_FLOW = 4,          /* a list printed as [a, b] */
        CONF_HIDDEN = 8,        /* never printed */
        CONF_NEGATED = 16,      /* bool: the struct says the opposite of the key */
};
/* The shapes that lists have in option structs: a pointer, then a size_t. */
struct conf_strs {
        const Str *v;
        size_t n;
};
struct conf_list {
        void *v;
        size_t n;
};

struct conf_decoder {
        struct arena *arena;
        const char *dir;                                /* of the file: relative paths */
        VEC(Str) type_errors;
        bool extra_scrape_metrics;                      /* the default of that key */
};
struct conf_schema;
struct conf_field {
        const char *key;
        enum conf_kind kind;
        size_t offset;
        unsigned bits;
        const struct conf_schema *sub;
        const char *note;                               /* CONF_REFUSED: a value that is taken all the same */
        struct error *(*decode)(struct conf_decoder *d, const struct yaml *y, void *at);
        void (*print)(struct buf *b, const char *key, const void *at, int indent);      /* with the key; nothing: left out */
};
struct conf_schema {
        const char *type;                               /* as go-yaml names it: "config.plain" */
        const struct conf_field *fields;
        size_t n, size;
        const void *defaults;                           /* of `size` bytes; NULL: zeroes */
        /* After all keys were decoded without type errors. y may be NULL (defaults). NULL: none */
        struct error *(*check)(struct conf_decoder *d, const struct yaml *y, void *object);
        /* A list entry that is null: its error text, NULL: taken as an empty map */
        const char *null_entry;
};

void conf_decoder_init(struct conf_decoder *d, struct arena *a);
/* Fills object (of schema->size) with defaults, then with what y says. y NULL or null: defaults only, unchecked. */
struct error *conf_decode(struct conf_decoder *d, const struct conf_schema *s, const struct yaml *y, void *object) MUST_CHECK;
/* NULL, or all type errors in go-yaml's form. Frees the decoder's own memory. */
struct error *conf_decoder_finish(struct conf_decoder *d) MUST_CHECK;
/* For custom rows: remembers "line N: cannot unmarshal !!seq into T". */
void conf_type_error(struct conf_decoder *d, const struct yaml *y, const char *go_type);
/* For maps: true, and remembered, when entry i has the key of an earlier one. */
bool conf_key_is_again(struct conf_decoder *d, const struct yaml *y, size_t i);
struct error *conf_decode_value(struct conf_decoder *d, const struct conf_field *f, const struct yaml *y, void *at) MUST_CHECK;

/* "key: value" lines at that indent. */
void conf_print(struct buf *b, const struct conf_schema *s, const void *object, int indent);
void conf_put_indent(struct buf *b, int indent);
void conf_put_labels(struct buf *b, const char *key, const void *labels, int indent);

#endif
