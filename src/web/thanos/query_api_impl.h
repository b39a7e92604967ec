/* SPDX-License-Identifier: Apache-2.0 */
/* query_api_impl.h — what the files of the querier's API share. Private to web/thanos. */
#ifndef WEB_THANOS_QUERY_API_IMPL_H
#define WEB_THANOS_QUERY_API_IMPL_H

#include "web/serve.h"
#include "web/thanos/query_api.h"

/* All of time, as far as upstream goes: its peers print and parse these. */
#define QUERY_API_TIME_MIN (-INT64_C(9223309901257974000))
#define QUERY_API_TIME_MAX INT64_C(9223309901257974999)
struct query_api {
        struct query_api_opts o;
        TimeMs start_ms;
        struct arena arena; /* of the routes */
        struct metric *range_seconds;
};
static inline struct query_api *query_api_of(const struct api *a)
{
        return a->owner;
}

void query_api_handle(struct query_api *q, const char *path, unsigned methods, api_handler *h);
void query_api_eval_register(struct query_api *q);
void query_api_series_register(struct query_api *q);
void query_api_info_register(struct query_api *q);
void query_api_fan_register(struct query_api *q);

/* Parameters: false when the answer was given (bad_data). Lists live in the request's arena. */
struct store_matches { /* storeMatch[]; done by query_api_done */
        MatcherSets sets;
        struct proxy_match *v;
};
struct query_params {
        struct query_wish wish;
        struct store_matches matches;
        struct grpc_pair tenant;
};
bool query_api_bool(struct api *a, const char *name, bool *ret); /* strconv.ParseBool */
bool query_api_duration(struct api *a, const char *name, int64_t *ret_ms);
/* dedup, replicaLabels[], storeMatch[], partial_response, tenant. Call query_params_done in any case. */
bool query_api_params(struct api *a, struct query_params *p);
void query_params_done(struct query_params *p);
bool query_api_strs(struct api *a, const char *name, const Str **ret, size_t *ret_n);
/* What fails in the stores or the engine: execution, unless it was cancelled or took too long. */
void query_api_fail(struct api *a, struct error *take_e);
/* api_end; with warnings that are not of PromQL nobody may keep the answer. */
void query_api_end(struct api *a, const Str *warnings, size_t n);
void query_api_no_store(struct api *a, const Str *warnings, size_t n); /* before the head is out */
/* The query with the tenant's matcher in each of its selectors, where tenancy is enforced. */
struct error *query_api_enforce(struct api *a, Str *query) MUST_CHECK;
struct error *query_api_enforce_sets(struct api *a, MatcherSets *sets) MUST_CHECK;

#endif
