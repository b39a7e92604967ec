/* SPDX-License-Identifier: Apache-2.0 */
/* fan.h — rules, targets, metadata and exemplars: all servers that have them are asked at once, and what they say is merged.
 *
 *   struct fan f;  fan_init(&f, es);  f.partial_response = true;  f.timeout_ms = 120000;
 *   e = fan_rules(&f, &request, replica_labels, n, &groups, &n_groups);     …f.warnings…
 *   fan_done(&f);
 *
 * A server that fails, hangs or sends garbage costs its own part and a warning; without partial_response the call fails.
 * Results live until fan_done; what servers may send is bounded by FAN_BYTES_MAX. Threads: a fan belongs to one.
 * Upstream: pkg/{rules,targets,metadata,exemplars}/{proxy,rules,targets,metadata,exemplars}.go */
#ifndef THANOS_QUERY_FAN_H
#define THANOS_QUERY_FAN_H

#include "promql/parse.h"
#include "storage/storage.h"
#include "thanos/query/endpoints.h"
#include "thanos/storeapi/messages.h"

enum { FAN_BYTES_MAX = 256 << 20 };
struct fan {
        struct endpoints *endpoints;
        struct arena answers; /* FAN_BYTES_MAX: messages and what they were decoded to */
        struct arena merged;  /* our own: a part of the answers again */
        bool partial_response;
        int64_t timeout_ms, response_timeout_ms; /* of each call; of each silence, 0: none */
        const bool *cancel;
        const struct grpc_pair *metadata;
        size_t n_metadata;
        StrVec warnings;
};
void fan_init(struct fan *f, struct endpoints *endpoints);
void fan_done(struct fan *f);

enum fan_api { FAN_RULES, FAN_TARGETS, FAN_METADATA, FAN_EXEMPLARS };
struct fan_ask {
        enum fan_api api;
        /* The request to that server. False: it has nothing to say. */
        bool (*request)(void *ctx, const struct endpoint *ep, struct arena *a, Str *ret);
        /* A message of an answer; its bytes stay. Its errors are those of the call. */
        struct error *(*take)(void *ctx, Str message);
        void *ctx;
};
struct error *fan_out(struct fan *f, const struct fan_ask *ask) MUST_CHECK;

/* Groups of the same file and name become one, rules that differ in replica labels too: the one that was evaluated last, of alerts the
 * one that is nearest to firing. Only rules whose labels match all of the matchers. */
struct error *fan_rules(struct fan *f, const struct pb_rules_request *r, const Str *replica_labels, size_t n_replica_labels,
                        struct pb_rule_group **ret, size_t *ret_n) MUST_CHECK;
struct error *fan_targets(struct fan *f, const struct pb_targets_request *r, const Str *replica_labels,
                          size_t n_replica_labels, struct pb_target_discovery *ret) MUST_CHECK;
/* Sorted by metric. */
struct error *fan_metadata(struct fan *f, const struct pb_metadata_request *r, struct pb_metadata_pair **ret,
                           size_t *ret_n) MUST_CHECK;
struct error *fan_exemplars(struct fan *f, const struct promql_parse_opts *o, const struct pb_exemplars_request *r,
                            Labels selector_labels, const Str *replica_labels, size_t n_replica_labels,
                            struct pb_exemplar_data **ret, size_t *ret_n) MUST_CHECK;

/* Of exemplars: each server gets the selectors that its external labels can match, without matchers on those. */
struct fan_exemplars_ask {
        struct fan *f;
        const struct pb_exemplars_request *r;
        struct promql_tree tree;
        VEC(const struct expr *) selectors;
};
/* ERROR_INVALID: no query. *ret_any false: it has no selector, or selector labels exclude all of it. fan_exemplars_done in any case. */
struct error *fan_exemplars_prepare(struct fan *f, const struct promql_parse_opts *o, const struct pb_exemplars_request *r,
                                    Labels selector_labels, struct fan_exemplars_ask *ret, bool *ret_any) MUST_CHECK;
bool fan_exemplars_request(void *ctx, const struct endpoint *ep, struct arena *a, Str *ret); /* ctx: the ask */
void fan_exemplars_done(struct fan_exemplars_ask *x);

/* Helpers of merging. */
struct pb_label_set fan_without(struct arena *a, const struct pb_label_set *l, const Str *names, size_t n); /* sorted */
int pb_label_set_cmp(const struct pb_label_set *a, const struct pb_label_set *b);
int pb_timestamp_cmp(const struct pb_timestamp *a, const struct pb_timestamp *b); /* NULL is Go's zero time */
Str fan_encode(struct arena *a, const struct pb_message *m, const void *v);
struct error *fan_warn(struct fan *f, Str text) MUST_CHECK;

#endif
