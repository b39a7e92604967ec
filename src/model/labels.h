/* SPDX-License-Identifier: Apache-2.0 */
/* labels.h — label sets by value: a sorted array of borrowed (name, value) pairs.
 *
 *   Labels ls = labels_dup(&arena, other);
 *   Str job = labels_get(ls, STR("job"));           empty when it is not there: the same thing to Prometheus
 *
 * Invariants: strictly ascending by name (bytewise, __name__ is not special), no empty values. Any thread. */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"

typedef struct {
        Str name, value;
} Label;
typedef struct {
        const Label *v;
        size_t n;
} Labels;
typedef VEC(Label) LabelVec;

#define METRIC_NAME "__name__"

Str labels_get(Labels ls, Str name);                    /* empty Str: not there */
bool labels_has(Labels ls, Str name);
bool labels_eq(Labels a, Labels b);
int labels_cmp(Labels a, Labels b);                     /* the order of query results, blocks and postings */
/* Prometheus' Labels.Hash: XXH64 over name 0xff value 0xff …; stable, used for sharding and target hashes. */
uint64_t labels_hash(Labels ls);
Labels labels_dup(struct arena *a, Labels ls);          /* deep copy */
/* {a="b", c="d"} with Go-quoted values and names quoted where they are no legacy names; "{}" when empty. */
void labels_print(struct buf *b, Labels ls);
void labels_sort(Label *v, size_t n);                   /* by name */

/* Changes on top of a base: last set wins, an empty value deletes. Reusable: labels_builder_reset. Strings are borrowed. */
struct labels_builder {
        Labels base;
        LabelVec set;                                   /* overrides in order of arrival; value empty: deleted */
};
void labels_builder_init(struct labels_builder *b);
void labels_builder_done(struct labels_builder *b);
void labels_builder_reset(struct labels_builder *b, Labels base);
void labels_builder_set(struct labels_builder *b, Str name, Str value);
void labels_builder_del(struct labels_builder *b, Str name);
Str labels_builder_get(const struct labels_builder *b, Str name);
/* The result, its array in the arena, its strings still borrowed. */
Labels labels_builder_labels(const struct labels_builder *b, struct arena *a);

bool label_name_is_legacy(Str name);                    /* [a-zA-Z_][a-zA-Z0-9_]* */
bool label_name_is_valid_utf8(Str name);                /* non-empty valid UTF-8 */
bool metric_name_is_legacy(Str name);                   /* [a-zA-Z_:][a-zA-Z0-9_:]* */

#endif
