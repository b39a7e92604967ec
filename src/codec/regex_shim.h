/* SPDX-License-Identifier: Apache-2.0 */
/* regex_shim.h — RE2 for C, UTF-8 only. Matches are of the whole text, but for regex_shim_find. */
#ifndef CODEC_REGEX_SHIM_H
#define CODEC_REGEX_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex_shim;

/* dot_nl: '.' matches newlines. NULL: the error is *ret_reason (Go's wording, static) and the first bytes of what it is about, cut at arg_cap, in
 * arg. */
struct regex_shim *regex_shim_new(const char *p, size_t n, bool dot_nl, const char **ret_reason, char *arg, size_t arg_cap,
                                  size_t *ret_arg_n);
void regex_shim_free(struct regex_shim *re);
bool regex_shim_matches(const struct regex_shim *re, const char *p, size_t n);
int regex_shim_groups(const struct regex_shim *re);
int regex_shim_group_index(const struct regex_shim *re, const char *name, size_t n);
/* group[0..n_group) as start and length; start NULL: took no part. */
struct regex_shim_group {
        const char *p;
        size_t n;
};
bool regex_shim_match_groups(const struct regex_shim *re, const char *p, size_t n, struct regex_shim_group *group,
                             int n_group);
/* The first match that begins at `from` or behind it, anywhere. */
bool regex_shim_find(const struct regex_shim *re, const char *p, size_t n, size_t from, struct regex_shim_group *group,
                     int n_group);

#ifdef __cplusplus
}
#endif

#endif
