/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c — asks servers and buckets. What cannot be asked has its reason in `problem`; what an answer lacks stays unknown. */
#include <math.h>
#include <stdlib.h>

#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/yaml.h"
#include "model/duration.h"
#include "thanos/block/fetcher.h"
#include "thanos/doctor/doctor.h"

enum { ANSWER_MAX_BYTES = 256 << 20, TIMEOUT_MS = 10000, BUCKET_TIMEOUT_MS = 120000 };

/* --- HTTP --- */

static Str trim_slashes(Str url)
{
        while (str_has_suffix(url, STR("/")))
                url.n--;
        return url;
}

/* The body of an answer 200, in the arena; another status is an error. */
static struct error *get(const struct doctor_opts *o, struct arena *a, Str base, const char *path, Str *ret)
{
        static const struct http_client_conf plain;
        Str url = arena_printf(a, STR_FMT "%s", STR_ARG(trim_slashes(base)), path);
        struct http_client_request r = {
                .url = url.p, .timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS, .body_bytes_max = ANSWER_MAX_BYTES, .inflate = true};
        struct http_response resp = {0};
        struct error *e = http_fetch(o->http ? o->http : &plain, &r, &resp);
        if (!e && resp.status != 200)
                e = error_new(resp.status == 404 ? ERROR_NOT_FOUND : ERROR_INVALID, "Get \"" STR_FMT "\": the answer is %d %s", STR_ARG(url), resp.status,
                              http_status_text(resp.status));
        if (!e) {
                char *p = arena_try_alloc(a, resp.body.n + 1);
                if (p) {
                        if (resp.body.n)
                                memcpy(p, resp.body.p, resp.body.n);
                        *ret = (Str){p, resp.body.n};
                } else {
                        e = error_new(ERROR_LIMIT, "Get \"" STR_FMT "\": the answer is too large", STR_ARG(url));
                }
        }
        http_response_done(&resp);
        return e;
}

/* The data of an answer of the API. */
static struct error *api(const struct doctor_opts *o, struct arena *a, Str base, const char *path, const struct json **ret_all, const struct json **ret)
{
        Str body;
        const struct json *root;
        struct error *e = get(o, a, base, path, &body);
        if (e)
                return e;
        e = json_parse(body, a, &root);
        if (!e && !str_eq(json_str(json_get(root, STR("status"))), STR("success")))
                e = error_new(ERROR_INVALID, "the answer is no success: " STR_FMT, STR_ARG(json_str(json_get(root, STR("error")))));
        if (e)
                return error_wrap(e, "Get \"" STR_FMT "%s\"", STR_ARG(trim_slashes(base)), path);
        if (ret_all)
                *ret_all = root;
        *ret = json_get(root, STR("data"));
        return NULL;
}

static Str take_text(struct arena *a, struct error *take_e)
{
        Str s = arena_str(a, str_from(error_str(take_e)));
        error_free(take_e);
        return s;
}

/* --- pieces --- */

static int label_cmp(const void *a, const void *b)
{
        return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

/* {"a":"b"}, or {"labels":[{"name":"a","value":"b"}]}, as older queriers write it. */
static Labels labels_of(struct arena *a, const struct json *j)
{
        const struct json *list = json_get(j, STR("labels"));
        bool is_list = list && list->type == JSON_ARRAY;
        if (!j || (!is_list && j->type != JSON_OBJECT))
                return (Labels){NULL, 0};
        Label *v = arena_array(a, Label, (is_list ? list->n : j->n) + 1);
        size_t n = 0;
        JSON_EACH (m, is_list ? list : j) {
                Label l = is_list ? (Label){json_str(json_get(&m->value, STR("name"))), json_str(json_get(&m->value, STR("value")))}
                                  : (Label){m->key, json_str(&m->value)};
                if (l.name.n && l.value.n)
                        v[n++] = l;
        }
        if (n)
                qsort(v, n, sizeof *v, label_cmp);
        return (Labels){v, n};
}

/* The value of a sample line without labels of the text format; NaN: not there. */
static double metric_value(Str text, const char *name)
{
        Str rest = text, line;
        size_t n = strlen(name);
        while (str_next(&rest, '\n', &line)) {
                if (!str_has_prefix(line, str_from(name)) || line.n <= n + 1 || line.p[n] != ' ')
                        continue;
                double v;
                bool out_of_range;
                if (float_parse(str_trim(str_skip(line, n + 1)), &v, &out_of_range))
                        return v;
        }
        return NAN;
}

static TimeMs time_of(double seconds)
{
        return isfinite(seconds) && fabs(seconds) < 1e12 ? (TimeMs)(seconds * 1000) : TIME_MS_MIN;
}

/* Far beyond all times that are any, and near enough that sums and differences of some of them do not overflow. */
#define TIME_BOUND_MS (INT64_C(1) << 58)

static TimeMs bounded(int64_t t)
{
        return MAX(MIN(t, TIME_BOUND_MS), -TIME_BOUND_MS);
}

/* --- Prometheus --- */

typedef VEC(struct doctor_job) JobVec;

static struct doctor_job *job_of(JobVec *jobs, Str name)
{
        for (size_t i = 0; i < jobs->n; i++)
                if (str_eq(jobs->p[i].name, name))
                        return &jobs->p[i];
        vec_push(jobs, (struct doctor_job){.name = name, .samples = -1});
        return &jobs->p[jobs->n - 1];
}

static int job_cmp(const void *a, const void *b)
{
        return str_cmp(((const struct doctor_job *)a)->name, ((const struct doctor_job *)b)->name);
}

static void take_targets(const struct json *targets, JobVec *jobs)
{
        JSON_EACH (m, json_get(targets, STR("activeTargets"))) {
                struct doctor_job *job = job_of(jobs, json_str(json_get(&m->value, STR("scrapePool"))));
                Str health = json_str(json_get(&m->value, STR("health")));
                job->total++;
                if (str_eq(health, STR("up"))) {
                        job->up++;
                } else if (str_eq(health, STR("down")) && job->down++ == 0) {
                        job->down_url = json_str(json_get(&m->value, STR("scrapeUrl")));
                        job->down_error = json_str(json_get(&m->value, STR("lastError")));
                }
        }
}

static void take_samples(const struct json *vector, JobVec *jobs)
{
        JSON_EACH (m, json_get(vector, STR("result"))) {
                Str job = json_str(json_get(json_get(&m->value, STR("metric")), STR("job"))), text = json_str(json_at(json_get(&m->value, STR("value")), 1));
                bool out_of_range;
                for (size_t i = 0; i < jobs->n; i++)
                        if (str_eq(jobs->p[i].name, job) && !float_parse(text, &jobs->p[i].samples, &out_of_range))
                                jobs->p[i].samples = -1;
        }
}

static int64_t duration_of(Str s)
{
        int64_t ms = 0;
        struct error *e = duration_parse(s, &ms);
        if (!e)
                return ms;
        error_ignore(e, "then it is unknown");
        return 0;
}

static void take_external(struct arena *a, Str yaml, struct doctor_prometheus *ret)
{
        struct yaml *root = NULL;
        struct error *e = yaml_parse(yaml, a, &root);
        error_ignore(e, "then there are none");
        const struct yaml *ls = e ? NULL : yaml_get(yaml_get(root, STR("global")), STR("external_labels"));
        if (!ls || ls->type != YAML_MAP)
                return;
        Label *v = arena_array(a, Label, ls->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < ls->n; i++)
                if (ls->keys[i]->type == YAML_SCALAR && ls->items[i]->type == YAML_SCALAR && ls->keys[i]->text.n && ls->items[i]->text.n)
                        v[n++] = (Label){ls->keys[i]->text, ls->items[i]->text};
        if (n)
                qsort(v, n, sizeof *v, label_cmp);
        ret->external = (Labels){v, n};
}

void doctor_ask_prometheus(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_prometheus *ret)
{
        JobVec jobs = VEC_INIT;
        const struct json *j, *samples = NULL;
        Str text = STR("");
        *ret = (struct doctor_prometheus){.url = trim_slashes(url), .lowest_ms = TIME_MS_MIN, .newest_ms = TIME_MS_MIN};
        struct error *e = api(o, a, url, "/api/v1/targets?state=active", NULL, &j);
        if (!e) {
                const struct json *pools;
                take_targets(j, &jobs);
                struct error *old = api(o, a, url, "/api/v1/scrape_pools", NULL, &pools);
                if (!old)
                        JSON_EACH (m, json_get(pools, STR("scrapePools")))
                                (void)job_of(&jobs, json_str(&m->value));
                error_ignore(old, "an old Prometheus: jobs without targets are not known");
                e = api(o, a, url, "/api/v1/query?query=sum%20by(job)(scrape_samples_scraped)", NULL, &samples);
        }
        if (!e)
                take_samples(samples, &jobs);
        if (!e)
                e = api(o, a, url, "/api/v1/status/runtimeinfo", NULL, &j);
        if (!e) {
                ret->retention = json_str(json_get(j, STR("storageRetention")));
                Str first, size;
                if (!str_cut(ret->retention, ' ', &first, &size))
                        first = ret->retention;
                ret->retention_ms = duration_of(first);
                e = api(o, a, url, "/api/v1/status/flags", NULL, &j);
        }
        if (!e) {
                ret->min_block_ms = duration_of(json_str(json_get(j, STR("storage.tsdb.min-block-duration"))));
                ret->max_block_ms = duration_of(json_str(json_get(j, STR("storage.tsdb.max-block-duration"))));
                ret->uploads_itself = str_eq(json_str(json_get(j, STR("bucket"))), STR("true"));
                e = api(o, a, url, "/api/v1/status/config", NULL, &j);
        }
        if (!e) {
                take_external(a, json_str(json_get(j, STR("yaml"))), ret);
                e = get(o, a, url, "/metrics", &text);
        }
        if (!e) {
                ret->lowest_ms = time_of(metric_value(text, "prometheus_tsdb_lowest_timestamp_seconds"));
                ret->newest_ms = time_of(metric_value(text, "prometheus_tsdb_head_max_time_seconds"));
                struct doctor_job *v = arena_array(a, struct doctor_job, jobs.n + 1);
                if (jobs.n) {
                        memcpy(v, jobs.p, jobs.n * sizeof *v);
                        qsort(v, jobs.n, sizeof *v, job_cmp);
                }
                ret->jobs = v;
                ret->n_jobs = jobs.n;
        }
        vec_done(&jobs);
        if (e)
                ret->problem = take_text(a, e);
}

static void block_made(struct doctor_block *b)
{
        Ulid id;
        b->made_ms = ulid_parse(b->id, &id) ? ulid_time_ms(id) : 0;
}

bool doctor_ask_blocks(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_bucket *ret)
{
        const struct json *j;
        *ret = (struct doctor_bucket){.name = arena_printf(a, "bucket of " STR_FMT, STR_ARG(trim_slashes(url)))};
        struct error *e = api(o, a, url, "/api/v1/blocks", NULL, &j);
        if (e) {
                bool has = !error_is(e, ERROR_NOT_FOUND);
                ret->problem = take_text(a, e);
                return has;
        }
        Str err = json_str(json_get(j, STR("err")));
        if (err.n)
                ret->problem = err;
        const struct json *list = json_get(j, STR("blocks"));
        struct doctor_block *v = arena_array(a, struct doctor_block, list ? list->n + 1 : 1);
        JSON_EACH (m, list) {
                const struct json *thanos = json_get(&m->value, STR("thanos"));
                struct doctor_block b = {.id = json_str(json_get(&m->value, STR("ulid"))),
                                         .mint_ms = bounded(json_i64(json_get(&m->value, STR("minTime")))),
                                         .maxt_ms = bounded(json_i64(json_get(&m->value, STR("maxTime")))),
                                         .labels = labels_of(a, json_get(thanos, STR("labels"))),
                                         .resolution_ms = json_i64(json_get(json_get(thanos, STR("downsample")), STR("resolution"))),
                                         .level = (int)json_i64(json_get(json_get(&m->value, STR("compaction")), STR("level")))};
                block_made(&b);
                v[ret->n_blocks++] = b;
        }
        ret->blocks = v;
        return true;
}

/* --- querier --- */

void doctor_ask_querier(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_querier *ret)
{
        const struct json *j, *root;
        VEC(struct doctor_store) stores = VEC_INIT;
        *ret = (struct doctor_querier){.url = trim_slashes(url), .newest_ms = TIME_MS_MIN};
        struct error *e = api(o, a, url, "/api/v1/stores", NULL, &j);
        if (e) {
                ret->problem = take_text(a, error_is(e, ERROR_NOT_FOUND) ? error_wrap(e, "this is no querier") : e);
                return;
        }
        JSON_EACH (type, j) {
                JSON_EACH (m, &type->value) {
                        const struct json *sets = json_get(&m->value, STR("labelSets"));
                        Labels *v = arena_array(a, Labels, sets ? sets->n + 1 : 1);
                        for (size_t i = 0; sets && i < sets->n; i++)
                                v[i] = labels_of(a, json_at(sets, i));
                        vec_push(&stores, (struct doctor_store){.name = json_str(json_get(&m->value, STR("name"))),
                                                                .type = type->key,
                                                                .error = json_str(json_get(&m->value, STR("lastError"))),
                                                                .label_sets = v,
                                                                .n_label_sets = sets ? sets->n : 0,
                                                                .mint_ms = bounded(json_i64(json_get(&m->value, STR("minTime")))),
                                                                .maxt_ms = bounded(json_i64(json_get(&m->value, STR("maxTime"))))});
                }
        }
        struct doctor_store *v = arena_array(a, struct doctor_store, stores.n + 1);
        if (stores.n)
                memcpy(v, stores.p, stores.n * sizeof *v);
        ret->stores = v;
        ret->n_stores = stores.n;
        vec_done(&stores);
        e = api(o, a, url, "/api/v1/query?query=max(timestamp(up))", &root, &j);
        if (e) {
                ret->problem = take_text(a, e);
                return;
        }
        double t;
        bool out_of_range;
        if (float_parse(json_str(json_at(json_get(json_at(json_get(j, STR("result")), 0), STR("value")), 1)), &t, &out_of_range))
                ret->newest_ms = time_of(t);
        const struct json *warnings = json_get(root, STR("warnings"));
        Str *w = arena_array(a, Str, warnings ? warnings->n + 1 : 1);
        for (size_t i = 0; warnings && i < warnings->n; i++)
                w[i] = json_str(json_at(warnings, i));
        ret->warnings = w;
        ret->n_warnings = warnings ? warnings->n : 0;
}

/* --- sidecar --- */

void doctor_ask_sidecar(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_sidecar *ret)
{
        Str text;
        *ret = (struct doctor_sidecar){.url = trim_slashes(url)};
        struct error *e = get(o, a, url, "/metrics", &text);
        if (e) {
                ret->problem = take_text(a, e);
                return;
        }
        double up = metric_value(text, "thanos_sidecar_prometheus_up"), uploads = metric_value(text, "thanos_shipper_uploads_total"),
               failures = metric_value(text, "thanos_shipper_upload_failures_total");
        if (isnan(up)) {
                ret->problem = STR("it has no metric thanos_sidecar_prometheus_up: this is no sidecar");
                return;
        }
        ret->reaches_prometheus = up == 1;
        ret->ships = !isnan(uploads);
        ret->uploads = isnan(uploads) ? 0 : uploads;
        ret->failures = isnan(failures) ? 0 : failures;
        e = get(o, a, url, "/-/ready", &text);
        ret->is_ready = !e;
        error_ignore(e, "it says that it is not ready");
}

/* --- bucket --- */

void doctor_ask_bucket(const struct doctor_opts *o, struct arena *a, struct bucket *b, struct doctor_bucket *ret)
{
        struct meta_fetcher *f = NULL;
        struct block_view view = BLOCK_VIEW_INIT;
        struct bucket_call call = {.deadline_ms = time_mono_ms() + (o->timeout_ms ? o->timeout_ms : BUCKET_TIMEOUT_MS)};
        *ret = (struct doctor_bucket){.name = arena_printf(a, "bucket %s", bucket_name(b))};
        struct error *e = meta_fetcher_new(&(struct meta_fetcher_opts){.bucket = b, .take_filters = (struct block_filter *[]){NULL}}, &f);
        if (!e)
                e = meta_fetcher_fetch(f, &call, &view);
        if (!e && view.incomplete) {
                e = view.incomplete;
                view.incomplete = NULL;
        }
        struct doctor_block *v = arena_array(a, struct doctor_block, view.metas.n + 1), *partial = arena_array(a, struct doctor_block, view.partial.n + 1);
        for (size_t i = 0; i < view.metas.n; i++) {
                const struct thanos_meta *m = view.metas.p[i];
                v[i] = (struct doctor_block){.mint_ms = bounded(m->block.mint_ms), .maxt_ms = bounded(m->block.maxt_ms), .labels = labels_dup(a, m->labels),
                                             .resolution_ms = m->resolution_ms, .level = m->block.level};
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(m->block.ulid, id);
                v[i].id = arena_str(a, str_from(id));
                block_made(&v[i]);
        }
        for (size_t i = 0; i < view.partial.n; i++) {
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(view.partial.p[i].id, id);
                partial[i] = (struct doctor_block){.id = arena_str(a, str_from(id))};
                block_made(&partial[i]);
        }
        ret->blocks = v;
        ret->n_blocks = view.metas.n;
        ret->partial = partial;
        ret->n_partial = view.partial.n;
        block_view_done(&view);
        meta_fetcher_free(f);
        if (e)
                ret->problem = take_text(a, e);
}
