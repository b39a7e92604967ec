/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/fan.h"

#include "base/alloc.h"

enum { POLL_MS = 100, WARNINGS_MAX = 1000, REQUEST_BYTES_MAX = 16 << 20 };

static const struct {
        const char *path, *what, *who;
} apis[] = {
        [FAN_RULES] = {"/thanos.Rules/Rules", "rules", "rules"},
        [FAN_TARGETS] = {"/thanos.Targets/Targets", "targets", "targets"},
        [FAN_METADATA] = {"/thanos.Metadata/MetricMetadata", "metric metadata", "metadata"},
        [FAN_EXEMPLARS] = {"/thanos.Exemplars/Exemplars", "exemplars", "exemplars"},
};

static bool has_api(const struct endpoint *ep, enum fan_api api)
{
        switch (api) {
        case FAN_RULES:
                return ep->has_rules;
        case FAN_TARGETS:
                return ep->has_targets;
        case FAN_METADATA:
                return ep->has_metadata;
        case FAN_EXEMPLARS:
                return ep->has_exemplars;
        }
        return false;
}

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "answers of more than %zu bytes", a->limit_bytes);
}

struct error *fan_warn(struct fan *f, Str text)
{
        if (f->warnings.n >= WARNINGS_MAX)
                return NULL;
        for (size_t i = 0; i < f->warnings.n; i++)
                if (str_eq(f->warnings.p[i], text))
                        return NULL;
        char *p = arena_try_alloc(&f->answers, text.n + 1);
        if (!p)
                return over_budget(&f->answers);
        if (text.n)
                memcpy(p, text.p, text.n);
        vec_push(&f->warnings, (Str){p, text.n});
        return NULL;
}

void fan_init(struct fan *f, struct endpoints *endpoints)
{
        *f = (struct fan){.endpoints = endpoints};
        arena_init(&f->answers, FAN_BYTES_MAX);
        arena_init(&f->merged, SIZE_MAX);
}

void fan_done(struct fan *f)
{
        vec_done(&f->warnings);
        arena_done(&f->answers);
        arena_done(&f->merged);
}

struct asked {
        struct grpc_call *call;
        const struct endpoint *ep;
        int64_t idle_since_ms;
};

static bool is_cancelled(const struct fan *f)
{
        return f->cancel && __atomic_load_n(f->cancel, __ATOMIC_SEQ_CST);
}

/* All messages of one call. *ret_ours: the error is not the server's. */
static struct error *read_all(struct fan *f, struct asked *x, const struct fan_ask *ask, bool *ret_ours)
{
        *ret_ours = false;
        for (;;) {
                Str m;
                int64_t left = POLL_MS;
                if (is_cancelled(f)) {
                        *ret_ours = true;
                        return error_new(ERROR_CANCELLED, "context canceled");
                }
                if (f->response_timeout_ms > 0)
                        left = x->idle_since_ms + f->response_timeout_ms - time_mono_ms();
                enum grpc_got got = grpc_call_recv(x->call, MAX(MIN(left, (int64_t)POLL_MS), (int64_t)0), &m);
                if (got == GRPC_GOT_END)
                        return grpc_status_error(grpc_call_get_status(x->call));
                if (got == GRPC_GOT_NOTHING) {
                        if (left <= 0)
                                return error_new(ERROR_TIMEOUT, "failed to receive any data in %gs",
                                                 (double)f->response_timeout_ms / 1000);
                        continue;
                }
                x->idle_since_ms = time_mono_ms();
                char *copy = arena_try_alloc(&f->answers, m.n + 1);
                if (!copy) {
                        *ret_ours = true;
                        return over_budget(&f->answers);
                }
                if (m.n)
                        memcpy(copy, m.p, m.n);
                struct error *e = ask->take(ask->ctx, (Str){copy, m.n});
                if (e) {
                        *ret_ours = error_is(e, ERROR_LIMIT) || error_is(e, ERROR_CANCELLED);
                        return e;
                }
        }
}

struct error *fan_out(struct fan *f, const struct fan_ask *ask)
{
        VEC(struct asked) asked = VEC_INIT;
        struct endpoint_list *l = endpoints_get(f->endpoints);
        struct grpc_call_opts o = {.timeout_ms = MAX(f->timeout_ms, 0), .metadata = f->metadata, .n_metadata = f->n_metadata};
        for (size_t i = 0; i < l->n; i++) {
                Str request;
                const struct endpoint *ep = &l->v[i];
                if (ep->is_usable && has_api(ep, ask->api) && ask->request(ask->ctx, ep, &f->merged, &request))
                        vec_push(&asked, (struct asked){grpc_call_start(ep->channel, apis[ask->api].path, &o, request), ep,
                                                        time_mono_ms()});
        }
        struct error *e = NULL;
        for (size_t i = 0; i < asked.n && !e; i++) {
                bool ours;
                e = read_all(f, &asked.p[i], ask, &ours);
                if (!e || ours)
                        continue;
                e = error_wrap(e, "receiving %s from %s client " STR_FMT, apis[ask->api].what, apis[ask->api].who,
                               STR_ARG(asked.p[i].ep->address));
                if (!f->partial_response)
                        continue;
                struct error *failed = fan_warn(f, str_from(error_str(e)));
                error_ignore(e, "told as a warning");
                e = failed;
        }
        for (size_t i = 0; i < asked.n; i++)
                grpc_call_free(asked.p[i].call);
        vec_done(&asked);
        endpoint_list_unref(l);
        return e;
}

/* --- helpers --- */

int pb_label_set_cmp(const struct pb_label_set *a, const struct pb_label_set *b)
{
        for (size_t i = 0; i < a->labels.n && i < b->labels.n; i++) {
                int c = str_cmp(a->labels.v[i].name, b->labels.v[i].name);
                c = c ? c : str_cmp(a->labels.v[i].value, b->labels.v[i].value);
                if (c)
                        return c;
        }
        return (a->labels.n > b->labels.n) - (a->labels.n < b->labels.n);
}

int pb_timestamp_cmp(const struct pb_timestamp *a, const struct pb_timestamp *b)
{
        static const struct pb_timestamp zero = {.seconds = INT64_C(-62135596800)};
        a = a ? a : &zero;
        b = b ? b : &zero;
        if (a->seconds != b->seconds)
                return a->seconds < b->seconds ? -1 : 1;
        return (a->nanos > b->nanos) - (a->nanos < b->nanos);
}

static int label_cmp(const void *x, const void *y)
{
        return str_cmp(((const struct pb_label *)x)->name, ((const struct pb_label *)y)->name);
}

struct pb_label_set fan_without(struct arena *a, const struct pb_label_set *l, const Str *names, size_t n)
{
        struct pb_label *v = arena_array(a, struct pb_label, l->labels.n + 1);
        size_t kept = 0;
        for (size_t i = 0; i < l->labels.n; i++) {
                bool drop = false;
                for (size_t k = 0; k < n && !drop; k++)
                        drop = str_eq(names[k], l->labels.v[i].name);
                if (!drop)
                        v[kept++] = l->labels.v[i];
        }
        if (kept > 1)
                qsort(v, kept, sizeof *v, label_cmp);
        return (struct pb_label_set){.labels = {v, kept}};
}

Str fan_encode(struct arena *a, const struct pb_message *m, const void *v)
{
        struct buf b = BUF_INIT(REQUEST_BYTES_MAX);
        pb_encode(m, v, &b);
        Str out = arena_str(a, buf_str(&b));
        buf_done(&b);
        return out;
}
