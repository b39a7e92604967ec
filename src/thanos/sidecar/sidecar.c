/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar.c — what is known of Prometheus, and the gRPC methods' entry. */
#include "thanos/sidecar/sidecar.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "codec/proto.h"
#include "codec/yaml.h"
#include "model/duration.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { CALL_ARENA_BYTES = 256 << 20, CONFIG_ARENA_BYTES = 1 << 30, STATE_ARENA_BYTES = 256 << 20, TWO_HOURS_MS = 7200000 };
enum { CONFIG_MAX_BYTES = 64 << 20, EXTERNAL_MAX = 1000, EXTERNAL_MAX_BYTES = 1 << 20 };

struct error *sidecar_new(const struct sidecar_opts *o, struct sidecar **ret)
{
        static const double frames[] = {10, 100, 1000, 10000, 100000}, series[] = {1, 10, 100, 1000, 10000, 100000, 1000000},
                            chunks[] = {1, 100, 1000, 10000, 100000, 10000000, 100000000, 1000000000};
        struct sidecar *s = mem_new(struct sidecar);
        struct metric_registry *r = o->metrics;
        s->min = o->min;
        s->series_max = o->series_max;
        s->samples_max = o->samples_max;
        mutex_init(&s->mu);
        s->frames = metric_histogram(r, "prometheus_store_received_frames", "Number of frames received per streamed response.", frames, ARRAY_LEN(frames));
        s->series_requested =
                metric_histogram(r, "thanos_store_server_series_requested", "Number of requested series for Series calls", series, ARRAY_LEN(series));
        s->chunks_requested =
                metric_histogram(r, "thanos_store_server_chunks_requested", "Number of requested chunks for Series calls", chunks, ARRAY_LEN(chunks));
        struct metric_family *dropped =
                metric_family(r, METRIC_FAMILY_COUNTER, "thanos_store_selects_dropped_total",
                              "Number of select queries that were dropped due to configured limits.", (const char *[]){"reason", NULL});
        s->dropped_series = metric_with(dropped, (Str[]){STR("series")});
        s->dropped_chunks = metric_with(dropped, (Str[]){STR("chunks")});
        struct error *e = prom_new(o->prometheus_url, o->http, &s->prom);
        if (e)
                sidecar_free(s);
        else
                *ret = s;
        return e;
}

static void state_arena_free(struct arena *a)
{
        if (a)
                arena_done(a);
        free(a);
}

void sidecar_free(struct sidecar *s)
{
        if (!s)
                return;
        prom_free(s->prom);
        state_arena_free(s->labels_arena);
        state_arena_free(s->names_arena);
        vec_done(&s->names);
        mutex_done(&s->mu);
        free(s);
}

void sidecar_set_ready(struct sidecar *s, bool is_ready)
{
        __atomic_store_n(&s->is_ready, is_ready, __ATOMIC_SEQ_CST);
}

void sidecar_set_oldest(struct sidecar *s, TimeMs oldest_ms)
{
        mutex_lock(&s->mu);
        s->has_oldest = true;
        s->oldest_ms = oldest_ms;
        mutex_unlock(&s->mu);
}

/* --- state --- */

Labels sidecar_labels(void *ctx, struct arena *a)
{
        struct sidecar *s = ctx;
        mutex_lock(&s->mu);
        Labels l = labels_dup(a, s->external);
        mutex_unlock(&s->mu);
        return l;
}

TimeMs sidecar_min_ms(struct sidecar *s)
{
        TimeMs min = time_bound_at(s->min, time_now_ms());
        mutex_lock(&s->mu);
        if (s->has_oldest)
                min = MAX(min, s->oldest_ms);
        mutex_unlock(&s->mu);
        return min;
}

bool sidecar_takes_matchers(struct sidecar *s)
{
        mutex_lock(&s->mu);
        bool takes = s->takes_matchers;
        mutex_unlock(&s->mu);
        return takes;
}

static bool names_have(const StrVec *v, Str name)
{
        return v->n && bsearch(&name, v->p, v->n, sizeof *v->p, str_cmp_qsort);
}

bool sidecar_may_have(struct sidecar *s, Labels named, const Str *more, size_t n_more)
{
        mutex_lock(&s->mu);
        bool may = !s->knows_names;
        for (size_t i = 0; i < named.n && !may; i++)
                may = names_have(&s->names, named.v[i].name);
        for (size_t i = 0; i < n_more && !may; i++)
                may = names_have(&s->names, more[i]);
        mutex_unlock(&s->mu);
        return may;
}

/* --- asking Prometheus --- */

static struct error *get(struct sidecar *s, const char *path, const struct prom_wait *w, struct prom_answer *ret)
{
        int code;
        return prom_get(s->prom, path, STR(""), w, ret, &code);
}

static struct error *external_parse(Str yaml, struct arena *a, Labels *ret)
{
        struct arena tree;
        struct yaml *root = NULL;
        arena_init(&tree, CONFIG_ARENA_BYTES);
        struct error *e = yaml_parse(yaml, &tree, &root);
        const struct yaml *map = e ? NULL : yaml_get(yaml_get(root, STR("global")), STR("external_labels"));
        size_t n = 0, bytes = 0;
        if (map && map->type == YAML_MAP && map->n <= EXTERNAL_MAX) {
                Label *v = arena_array(a, Label, map->n + 1);
                for (size_t i = 0; i < map->n && bytes <= EXTERNAL_MAX_BYTES; i++) {
                        if (map->items[i]->type != YAML_SCALAR || !map->items[i]->text.n || yaml_is_null(map->items[i]))
                                continue;
                        bytes += map->keys[i]->text.n + map->items[i]->text.n;
                        v[n++] = (Label){arena_str(a, map->keys[i]->text), arena_str(a, map->items[i]->text)};
                }
                labels_sort(v, n);
                *ret = (Labels){v, n};
        }
        if (!e && map && (map->n > EXTERNAL_MAX || bytes > EXTERNAL_MAX_BYTES))
                e = error_new(ERROR_LIMIT, "more than %d external labels, or than %d bytes of them", EXTERNAL_MAX, EXTERNAL_MAX_BYTES);
        arena_done(&tree);
        return e ? error_wrap(e, "parse Prometheus config") : NULL;
}

static struct arena *state_arena_new(void)
{
        struct arena *a = mem_new(struct arena);
        arena_init(a, STATE_ARENA_BYTES);
        return a;
}

static struct error *load_external(struct sidecar *s, const struct prom_wait *w)
{
        struct prom_answer x;
        struct error *e = get(s, "/api/v1/status/config", w, &x);
        Str yaml = e ? STR("") : json_str(json_get(x.data, STR("yaml")));
        uint64_t hash = hash_str(yaml);
        if (!e && !(s->labels_arena && hash == s->config_hash)) {
                struct arena *a = state_arena_new();
                Labels l = {0};
                e = yaml.n > CONFIG_MAX_BYTES ? error_new(ERROR_LIMIT, "a configuration of more than %d bytes", CONFIG_MAX_BYTES)
                                              : external_parse(yaml, a, &l);
                if (!e) {
                        mutex_lock(&s->mu);
                        struct arena *old = s->labels_arena;
                        s->labels_arena = a;
                        s->external = l;
                        s->config_hash = hash;
                        mutex_unlock(&s->mu);
                        a = old;
                }
                state_arena_free(a);
        }
        prom_answer_done(&x);
        return e;
}

/* Not knowing them costs memory in calls, nothing else. */
static void load_names(struct sidecar *s, const struct prom_wait *w)
{
        struct prom_answer x;
        struct error *e = get(s, "/api/v1/labels", w, &x);
        StrVec names = VEC_INIT;
        struct arena *a = state_arena_new();
        JSON_EACH(m, e ? NULL : x.data)
        {
                Str name = json_str(&m->value);
                char *copy = arena_try_alloc(a, name.n + 1);
                if (!copy) {
                        e = error_new(ERROR_LIMIT, "too many names of labels");
                        break;
                }
                if (name.n)
                        memcpy(copy, name.p, name.n);
                vec_push(&names, (Str){copy, name.n});
        }
        if (names.n)
                qsort(names.p, names.n, sizeof *names.p, str_cmp_qsort);
        if (e)
                log_debug("", "the names of labels are not known", KV_E(e));
        mutex_lock(&s->mu);
        StrVec old = s->names;
        struct arena *old_arena = s->names_arena;
        s->names = names;
        s->names_arena = a;
        s->knows_names = !e;
        mutex_unlock(&s->mu);
        vec_done(&old);
        state_arena_free(old_arena);
        error_free(e);
        prom_answer_done(&x);
}

struct error *sidecar_load_labels(struct sidecar *s, const struct prom_wait *w)
{
        struct error *e = load_external(s, w);
        if (!e)
                load_names(s, w);
        return e;
}

/* "2.24.0" or later. */
static bool takes_matchers(Str version)
{
        Str major, rest, minor;
        uint64_t a, b;
        if (!str_cut(version, '.', &major, &rest) || !str_to_u64(major, &a))
                return false;
        if (!str_cut(rest, '.', &minor, &rest) || !str_to_u64(minor, &b))
                return false;
        return a > 2 || (a == 2 && b >= 24);
}

struct error *sidecar_load_version(struct sidecar *s, const struct prom_wait *w)
{
        struct prom_answer x;
        int code = 0;
        struct error *e = prom_get(s->prom, "/api/v1/status/buildinfo", STR(""), w, &x, &code);
        bool is_old = e && code == GRPC_NOT_FOUND; /* before 2.14 */
        bool takes = !e && takes_matchers(json_str(json_get(x.data, STR("version"))));
        prom_answer_done(&x);
        if (is_old) {
                error_free(e);
                e = NULL;
        }
        if (e)
                return e;
        mutex_lock(&s->mu);
        s->takes_matchers = takes;
        mutex_unlock(&s->mu);
        return NULL;
}

/* --- its flags --- */

static struct error *duration_flag(const struct json *data, const char *name, int64_t *ret_ms)
{
        Str text = json_str(json_get(data, str_from(name)));
        *ret_ms = 0;
        if (!text.n)
                return NULL;
        struct error *e = duration_parse(text, ret_ms);
        return e ? error_wrap(e, "unmarshal response: %s", name) : NULL;
}

/* "/a//b/./c/" as "/a/b/c". */
static Str path_clean(struct arena *a, Str path)
{
        struct buf b = BUF_INIT(1 << 16);
        Str rest = path, part;
        while (str_next(&rest, '/', &part)) {
                if (!part.n || str_eq(part, STR(".")))
                        continue;
                if (b.n || (path.n && path.p[0] == '/'))
                        buf_putc(&b, '/');
                buf_put(&b, part);
        }
        Str clean = arena_str(a, buf_str(&b));
        buf_done(&b);
        return clean;
}

static struct error *check_delay_file(const struct json *data, const struct sidecar_uploads *u, struct arena *a, bool *ret_delays)
{
        Str file = json_str(json_get(data, STR("storage.tsdb.delay-compact-file.path")));
        Str own = arena_printf(a, "%s/%s", u->tsdb_path, u->list_name);
        *ret_delays = file.n > 0;
        if (!file.n || str_eq(path_clean(a, file), path_clean(a, own)))
                return NULL;
        return error_new(ERROR_INVALID,
                         "found that Prometheus and Thanos use different paths for tracking block uploads. Prometheus uses "
                         "--storage.tsdb.delay-compact-file.path=" STR_FMT " while Thanos will write to " STR_FMT ", they must both use the same path.",
                         STR_ARG(file), STR_ARG(own));
}

static struct error *check_durations(int64_t min_ms, int64_t max_ms, bool delays, bool ignore)
{
        struct buf min = BUF_INIT(64), max = BUF_INIT(64);
        struct error *e = NULL;
        buf_put_duration(&min, min_ms);
        buf_put_duration(&max, max_ms);
        if (min_ms != max_ms && !delays) {
                if (ignore)
                        log_warn("", "flag to ignore Prometheus min/max block duration flags differing is being used. If the upload of a 2h block fails and a "
                                     "Prometheus compaction happens that block may be missing from your Thanos bucket storage.");
                else
                        e = error_new(ERROR_INVALID,
                                      "found that TSDB Max time is " STR_FMT " and Min time is " STR_FMT ". Compaction needs to be disabled "
                                      "(storage.tsdb.min-block-duration = storage.tsdb.max-block-duration)",
                                      STR_ARG(buf_str(&max)), STR_ARG(buf_str(&min)));
        }
        if (!e && min_ms != TWO_HOURS_MS)
                log_warn("", "found that TSDB block time is not 2h. Only 2h block time is recommended.", KV_STR("block-time", buf_str(&min)));
        buf_done(&min);
        buf_done(&max);
        return e;
}

struct error *sidecar_check_flags(struct sidecar *s, const struct sidecar_uploads *u, const struct prom_wait *w)
{
        struct prom_answer x;
        int code = 0;
        struct error *e = prom_get(s->prom, "/api/v1/status/flags", STR(""), w, &x, &code);
        if (e && code == GRPC_NOT_FOUND) {
                log_warn("", "failed to check Prometheus flags, due to potentially older Prometheus. No extra validation is done.", KV_E(e));
                error_free(e);
                prom_answer_done(&x);
                return NULL;
        }
        if (e)
                e = error_wrap(e, "fetch Prometheus flags");
        int64_t min_ms = 0, max_ms = 0;
        bool delays = false;
        if (!e)
                e = duration_flag(x.data, "storage.tsdb.min-block-duration", &min_ms);
        if (!e)
                e = duration_flag(x.data, "storage.tsdb.max-block-duration", &max_ms);
        if (!e)
                e = check_delay_file(x.data, u, &x.arena, &delays);
        if (!e)
                e = check_durations(min_ms, max_ms, delays, u->ignore_block_size);
        prom_answer_done(&x);
        return e;
}

/* --- gRPC --- */

struct error *call_decode(struct call *c, const struct pb_message *m, Str request, void *ret)
{
        struct error *e = pb_decode(m, request, c->arena, ret);
        if (!e)
                return NULL;
        c->code = GRPC_INTERNAL;
        return error_wrap(e, "grpc: error unmarshalling request");
}

struct error *call_send(struct call *c, const struct pb_message *m, const void *v)
{
        struct buf b = BUF_INIT(PROM_ANSWER_MAX_BYTES);
        pb_encode(m, v, &b);
        struct error *e = buf_is_over(&b) ? error_new(ERROR_LIMIT, "an answer of more than %zu bytes", b.limit) : grpc_send(c->st, buf_str(&b));
        if (error_is(e, ERROR_LIMIT))
                c->code = GRPC_RESOURCE_EXHAUSTED;
        buf_done(&b);
        return e;
}

typedef struct error *serve_fn(struct call *c, Str request);

static void serve(struct grpc_stream *st, struct sidecar *s, serve_fn *fn)
{
        struct arena a;
        int64_t left = grpc_time_left_ms(st);
        struct call c = {.s = s, .st = st, .arena = &a, .code = GRPC_UNKNOWN};
        c.wait = (struct prom_wait){.cancel = grpc_cancel_flag(st), .deadline_ms = left == INT64_MAX ? 0 : time_mono_ms() + left};
        arena_init(&a, CALL_ARENA_BYTES);
        c.external = sidecar_labels(s, &a);
        Str request;
        struct error *e = grpc_recv_only(st, &request);
        if (!e)
                e = fn(&c, request);
        if (e) {
                if (c.code == GRPC_UNKNOWN && (error_is(e, ERROR_CANCELLED) || error_is(e, ERROR_TIMEOUT) || error_is(e, ERROR_LIMIT)))
                        c.code = grpc_code_of_error(e);
                grpc_fail(st, c.code, "%s", error_str(e));
        }
        error_free(e);
        arena_done(&a);
}

#define METHOD(fn)                                              \
        static void on_##fn(struct grpc_stream *st, void *ctx)  \
        {                                                       \
                serve(st, ctx, serve_##fn);                     \
        }
METHOD(series)
METHOD(label_names)
METHOD(label_values)
METHOD(rules)
METHOD(targets)
METHOD(metadata)
METHOD(exemplars)
METHOD(info)
METHOD(old_info)

void sidecar_register(struct sidecar *s, struct grpc_server *server)
{
        static const struct {
                const char *path;
                grpc_handler *fn;
        } methods[] = {
                {"/thanos.Store/Series", on_series},
                {"/thanos.Store/LabelNames", on_label_names},
                {"/thanos.Store/LabelValues", on_label_values},
                {"/thanos.Store/Info", on_old_info},
                {"/thanos.info.Info/Info", on_info},
                {"/thanos.Rules/Rules", on_rules},
                {"/thanos.Targets/Targets", on_targets},
                {"/thanos.Metadata/MetricMetadata", on_metadata},
                {"/thanos.Exemplars/Exemplars", on_exemplars},
        };
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
                grpc_server_handle(server, methods[i].path, methods[i].fn, s);
}

/* --- Info --- */

struct pb_label_set label_set_of(struct arena *a, Labels l)
{
        struct pb_label_set set = {.labels = {arena_array(a, struct pb_label, l.n + 1), l.n}};
        for (size_t i = 0; i < l.n; i++)
                set.labels.v[i] = (struct pb_label){l.v[i].name, l.v[i].value};
        return set;
}

struct error *serve_info(struct call *c, UNUSED Str request)
{
        if (!__atomic_load_n(&c->s->is_ready, __ATOMIC_SEQ_CST))
                return error_new(ERROR_UNAVAILABLE, "Not ready");
        struct pb_label_set set = label_set_of(c->arena, c->external);
        size_t n = c->external.n ? 1 : 0;
        struct pb_tsdb_info tsdb = {.labels = set, .min_time = sidecar_min_ms(c->s), .max_time = INT64_MAX};
        struct pb_store_info store = {.min_time = tsdb.min_time,
                                      .max_time = tsdb.max_time,
                                      .supports_sharding = true,
                                      .supports_without_replica_labels = true,
                                      .tsdb_infos = {&tsdb, n}};
        struct pb_nothing nothing = {0};
        struct pb_exemplars_info exemplars = {0};
        struct pb_info_response r = {.label_sets = {&set, n},
                                     .component_type = STR("sidecar"),
                                     .store = &store,
                                     .rules = &nothing,
                                     .metric_metadata = &nothing,
                                     .targets = &nothing,
                                     .exemplars = &exemplars};
        return call_send(c, &pb_info_response, &r);
}

/* thanos.Store/Info, for queriers up to 0.36: 1 labels, 2 and 3 times, 4 the type, 5 label sets. */
struct error *serve_old_info(struct call *c, UNUSED Str request)
{
        enum { STORE_TYPE_SIDECAR = 3 };
        struct buf b = BUF_INIT(16 << 20);
        for (size_t twice = 0; twice < 2; twice++) {
                if (twice) {
                        proto_put_uint(&b, 2, (uint64_t)sidecar_min_ms(c->s));
                        proto_put_uint(&b, 3, INT64_MAX);
                        proto_put_uint(&b, 4, STORE_TYPE_SIDECAR);
                        if (!c->external.n)
                                break;
                }
                size_t set = twice ? proto_begin(&b, 5) : 0;
                for (size_t i = 0; i < c->external.n; i++) {
                        size_t at = proto_begin(&b, 1);
                        proto_put_bytes(&b, 1, c->external.v[i].name);
                        proto_put_bytes(&b, 2, c->external.v[i].value);
                        proto_end(&b, at);
                }
                if (twice)
                        proto_end(&b, set);
        }
        struct error *e = grpc_send(c->st, buf_str(&b));
        buf_done(&b);
        return e;
}
