/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h — one YAML document as a tree in an arena, on libyaml, with go-yaml's error texts.
 *
 *   struct yaml *root;  e = yaml_parse(text, &arena, &root);        root is NULL for an empty document
 *   for (size_t i = 0; i < root->n; i++) use(root->keys[i], root->items[i]);
 *
 * Aliases share nodes (a tree, never a cycle; expansion is bounded), << merges are resolved, duplicate keys are an error
 * ("yaml: unmarshal errors:\n  line 3: key \"a\" already set in map"). Only the first document is read. Threads: pure; a tree is constant. */
#ifndef CODEC_YAML_H
#define CODEC_YAML_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum yaml_type { YAML_SCALAR, YAML_SEQ, YAML_MAP };
struct yaml {
        enum yaml_type type;
        int line, column;               /* from 1, of its first character */
        Str text;                       /* YAML_SCALAR */
        bool plain;                     /* scalar without quotes: null, true, 12 mean what YAML says */
        Str tag;                        /* explicit tag, or empty */
        struct yaml **keys, **items;    /* YAML_MAP: both; YAML_SEQ: items */
        size_t n;
};
struct error *yaml_parse(Str text, struct arena *a, struct yaml **ret) MUST_CHECK;
/* The same, but duplicate keys stay in the tree, in order: for readers that name the structure they were found in ("line 3: field a already set in
 * type config.plain", at the line of the key). */
struct error *yaml_parse_with_duplicates(Str text, struct arena *a, struct yaml **ret) MUST_CHECK;
const struct yaml *yaml_get(const struct yaml *map, Str key);           /* NULL: not there, or no map */
bool yaml_is_null(const struct yaml *y);                                /* NULL, plain "", ~, null */
bool yaml_to_bool(const struct yaml *y, bool *ret);                     /* go-yaml v2's words: true false yes no on off y n, not quoted */

/* A scalar as go-yaml v2 prints it in block style: plain where it reads back as the same string, else quoted, a literal block when it has lines; long
 * ones are folded after column 80. Indentation and column are those of the line that b ends with ("  key: " or "- "); no line break at the end. */
struct buf;
void yaml_put_scalar(struct buf *b, Str s);

#endif
