/* SPDX-License-Identifier: Apache-2.0 */
/* serve.h — what the files of web/ share: the web object, the answers of the API, reading of its parameters. Private to web/. */
#ifndef WEB_SERVE_H
#define WEB_SERVE_H

#include "base/thread.h"
#include "web/pages.h"
#include "web/web.h"

struct web {
        struct web_opts o;
        struct http_server *server;
        struct web_pages *pages;
        struct arena arena;                     /* of the routes */
        struct scrape_manager *_Atomic scrape;
        _Atomic bool ready, stopping;
        TimeMs start_ms;
        struct metric_family *requests, *durations, *sizes;
        struct metric *federation_errors, *federation_warnings, *ready_gauge;
        struct metric *read_queries;            /* remote read: running now */
        struct metric *write_invalid;
        struct mutex read_mu;                   /* guards the two below; a leaf */
        struct cond read_cond;
        int reads;
};

/* One request of the API in work: form, answer. */
struct api {
        struct web *w;
        struct http_request *r;
        struct http_form form;
        struct buf out;                         /* the answer so far; written when it is large */
        bool begun;                             /* the head is out: nothing can be taken back */
        struct error *write_error;              /* the client left; later pieces are dropped */
        struct engine *engine;
        void *owner;                            /* of APIs that are not a web's: then w is NULL */
        bool is_thanos;                         /* as Thanos answers: other codes, a line's end, warnings as they are */
};
typedef void api_handler(struct api *a);

/* Registers /api/v1/<path>; the handler gets its form parsed. flags: a form that cannot be parsed is an error, unless API_LENIENT_FORM. */
enum { API_LENIENT_FORM = 1 };
void api_handle(struct web *w, const char *path, unsigned methods, unsigned flags, api_handler *h);
/* The same for handlers that read no form and answer otherwise; ctx is the web. */
void api_handle_raw(struct web *w, const char *path, unsigned methods, http_handler *h);

enum api_error { API_BAD_DATA, API_EXECUTION, API_CANCELED, API_TIMEOUT, API_INTERNAL, API_NOT_FOUND, API_NOT_ACCEPTABLE, API_UNAVAILABLE };
void api_fail(struct api *a, enum api_error kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
void api_fail_error(struct api *a, enum api_error kind, struct error *take_e, const char *prefix);
/* `invalid parameter "name": text` */
void api_fail_param(struct api *a, const char *name, struct error *take_e);
/* What upstream's returnAPIError makes of an error of the engine or storage. */
enum api_error api_kind_of(const struct error *e);

/* {"status":"success","data": — then append the data to a->out, calling api_flush now and then — and api_end(). */
void api_begin(struct api *a);
void api_flush(struct api *a);                  /* cheap; sends when much has gathered */
void api_send(struct api *a, const struct buf *piece);  /* follows what was put into a->out so far */
/* {"resultType":…,"result":…,"stats":{…} — the caller closes it. */
struct query_opts;
struct query_result;
void api_put_result(struct api *a, const struct query_opts *q, const struct query_result *res, bool with_stats);
void api_end(struct api *a, const Str *warnings, size_t n_warnings, const Str *infos, size_t n_infos);
void api_no_content(struct api *a);             /* 204 */

Str api_param(const struct api *a, const char *name);
bool api_has(const struct api *a, const char *name);
struct error *seconds_parse_ns(Str s, int64_t *ret_ns) MUST_CHECK;
/* Parameters: false when the answer was given (bad_data). */
struct error *time_param_parse(Str s, TimeMs *ret) MUST_CHECK;          /* cannot parse "x" to a valid timestamp */
struct error *seconds_parse(Str s, int64_t *ret_ms) MUST_CHECK;         /* cannot parse "x" to a valid duration */
bool api_time(struct api *a, const char *name, TimeMs fallback, TimeMs *ret);
bool api_limit(struct api *a, size_t *ret);     /* 0: none */
/* All match[] parameters. sets: one matcher list each. selective: each must have a matcher that the empty string does not pass. */
typedef VEC(MatcherVec) MatcherSets;
struct error *matcher_sets_parse(const struct http_form *f, bool selective, struct arena *a, MatcherSets *ret) MUST_CHECK;
void matcher_sets_done(MatcherSets *m);

/* The series of a vector or matrix as a JSON list. start, step: of a range query, else 0 for the step. (api_result.c) */
void api_put_series(struct api *a, const struct query_result *res, TimeMs start_ms, int64_t step_ms);

void json_put_f64(struct buf *b, double v);
void json_put_member(struct buf *b, const char *key, Str value);         /* "key":"value" */
void json_put_labels(struct buf *b, Labels ls);         /* {"a":"b",…} */
void json_put_time_ns(struct buf *b, int64_t ns);       /* "2026-11-24T21:12:57.5Z"; 0: Go's zero time */
void json_put_ms(struct buf *b, TimeMs t);              /* 1.5 as 1.500; whole seconds without a point */
void json_put_point(struct buf *b, TimeMs t, double v); /* [1.500,"2"] */
void json_put_strs(struct buf *b, const Str *v, size_t n);
/* What status/buildinfo and /version tell. */
void json_put_buildinfo(struct buf *b, const char *version, const char *revision, const char *branch, const char *user, const char *date);

struct storage *web_storage(struct web *w);
struct storage *web_whole_storage(struct web *w);       /* for answers that cannot say that something is missing */
struct storage *api_storage(struct api *a);             /* by partial_response; NULL: answered */
enum { WEB_REQUEST_ARENA_BYTES = 1 << 30 };

void api_query_register(struct web *w);
void api_series_register(struct web *w);
void api_targets_register(struct web *w);
void api_status_register(struct web *w);
void api_rules_register(struct web *w);
void api_admin_register(struct web *w);
void api_features_register(struct web *w);
void federate_register(struct web *w);
void remote_read_register(struct web *w);
void remote_write_register(struct web *w);
void probes_register(struct web *w);
void pages_register(struct web *w);
/* Path below the route prefix, heap. */
char *web_path(const struct web *w, const char *path);
void web_put_buildinfo(struct web *w, struct buf *b);
void web_cors(struct web *w, struct http_request *r);

#endif
