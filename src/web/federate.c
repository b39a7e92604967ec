/* SPDX-License-Identifier: Apache-2.0 */
/* federate.c — /federate: the newest sample of each selected series within the lookback, as text.  Upstream: web/federate.go */
#include "codec/float_text.h"
#include "model/expo/write.h"
#include "model/histogram.h"
#include "storage/decode.h"
#include "storage/merge.h"
#include "web/serve.h"

enum { FEDERATE_PIECE_BYTES = 128 << 10 };

struct newest {
        Labels labels;
        Str name;
        TimeMs t;
        double v;
        const struct histogram *h;      /* with custom buckets: written as a classic one; NULL: v */
        size_t order;                   /* equal names keep the order of selection */
};

typedef VEC(struct newest) NewestVec;

static int newest_cmp(const void *a, const void *b)
{
        const struct newest *x = a, *y = b;
        int c = str_cmp(x->name, y->name);
        return c ? c : x->order < y->order ? -1 : 1;
}

/* External labels and an empty instance, unless the series has labels of these names. In the order of upstream: own labels, then global ones. */
static void put_sample(struct buf *b, const struct newest *n, Labels external, Str le, struct arena *a)
{
        Label *v = arena_array(a, Label, n->labels.n + external.n + 2);
        size_t k = 0;
        bool has_instance = labels_has(external, STR("instance"));
        for (size_t i = 0; i < n->labels.n; i++)
                v[k++] = n->labels.v[i];
        for (size_t i = 0, done = has_instance; i < external.n || !done;) {
                bool instance_first = !done && (i == external.n || str_cmp(STR("instance"), external.v[i].name) < 0);
                Label l = instance_first ? (Label){STR("instance"), STR("")} : external.v[i++];
                done = done || instance_first;
                if (!labels_has(n->labels, l.name))
                        v[k++] = l;
        }
        if (le.n)                       /* of a bucket: last */
                v[k++] = (Label){STR("le"), le};
        expo_write_sample(b, (Labels){v, k}, n->v, /* has_t= */ true, n->t);
}

static void put_part(struct buf *b, const struct newest *n, const char *suffix, Str le, double v, Labels external, struct arena *a)
{
        struct labels_builder lb;
        labels_builder_init(&lb);
        labels_builder_reset(&lb, n->labels);
        labels_builder_set(&lb, STR(METRIC_NAME), arena_printf(a, STR_FMT "%s", STR_ARG(n->name), suffix));
        struct newest part = *n;
        part.labels = labels_builder_labels(&lb, a);
        part.v = v;
        put_sample(b, &part, external, le, a);
        labels_builder_done(&lb);
}

/* As the original's text has it: buckets, sum, count. */
static void put_classic(struct buf *b, const struct newest *n, Labels external, struct arena *a)
{
        const struct histogram *h = n->h;
        struct bucket_iter it;
        struct histogram_bucket bucket;
        double total = 0;
        bucket_iter_init(&it, h, BUCKETS_POSITIVE);
        bool more = bucket_iter_next(&it, &bucket);
        for (uint32_t i = 0; i < h->n_bounds; i++) {
                char le[FLOAT_TEXT_MAX_BYTES];
                for (; more && bucket.index <= (int64_t)i; more = bucket_iter_next(&it, &bucket))
                        total += bucket.index == (int64_t)i ? bucket.count : 0;
                put_part(b, n, "_bucket", (Str){le, float_print(h->bounds[i], 'g', le)}, total, external, a);
        }
        put_part(b, n, "_bucket", STR("+Inf"), h->count, external, a);
        put_part(b, n, "_sum", (Str){0}, h->sum, external, a);
        put_part(b, n, "_count", (Str){0}, h->count, external, a);
}

/* The newest sample, histograms among them; those with exponential buckets cannot be written as text, and are left out as upstream does. */
static struct error *newest_mixed(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, Str name, NewestVec *out)
{
        struct mixed m;
        struct error *e = series_decode_mixed(s, mint_ms, maxt_ms, a, &m);
        if (e || m.n == 0 || is_stale_nan(m.v[m.n - 1]) || name.n == 0)
                return e;
        const struct histogram *h = m.h ? m.h[m.n - 1] : NULL;
        if (!h || histogram_is_custom(h))
                vec_push(out, (struct newest){s->labels, name, m.t[m.n - 1], m.v[m.n - 1], h, out->n});
        return NULL;
}

static struct error *newest_collect(struct series_set *set, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, NewestVec *out)
{
        struct samples s = SAMPLES_INIT;
        for (;;) {
                struct series one;
                bool more;
                struct error *e = series_set_next(set, &one, &more);
                if (!e && more && series_has_histograms(&one, mint_ms, maxt_ms)) {
                        e = newest_mixed(&one, mint_ms, maxt_ms, a, labels_get(one.labels, STR(METRIC_NAME)), out);
                        if (!e)
                                continue;
                }
                if (!e && more)
                        e = series_decode(&one, mint_ms, maxt_ms, &s);
                if (e || !more) {
                        samples_done(&s);
                        return e;
                }
                Str name = labels_get(one.labels, STR(METRIC_NAME));
                if (s.n == 0 || is_stale_nan(s.v[s.n - 1]) || name.n == 0)
                        continue;
                vec_push(out, (struct newest){one.labels, name, s.t[s.n - 1], s.v[s.n - 1], NULL, out->n});
        }
}

static void newest_write(struct web *w, struct http_request *r, NewestVec *v)
{
        struct buf b = BUF_INIT(FEDERATE_PIECE_BYTES * 4);
        struct arena scratch;
        arena_init(&scratch, 64 << 20);
        Labels external = w->o.external_labels(w->o.app, r->arena);
        if (v->n)
                qsort(v->p, v->n, sizeof *v->p, newest_cmp);
        http_begin(r, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
        struct error *e = NULL;
        for (size_t i = 0; !e && i < v->n; i++) {
                if (i == 0 || !str_eq(v->p[i].name, v->p[i - 1].name) || !v->p[i].h != !v->p[i - 1].h)
                        expo_write_type(&b, v->p[i].name, v->p[i].h ? METRIC_HISTOGRAM : METRIC_UNKNOWN);
                if (v->p[i].h)
                        put_classic(&b, &v->p[i], external, &scratch);
                else
                        put_sample(&b, &v->p[i], external, (Str){0}, &scratch);
                arena_clear(&scratch);
                if (b.n >= FEDERATE_PIECE_BYTES) {
                        e = http_write(r, buf_str(&b));
                        buf_clear(&b);
                }
        }
        if (!e)
                e = http_write(r, buf_str(&b));
        if (e) {
                metric_add(w->federation_errors, 1);
                http_abort(r);
                error_ignore(e, "the client left");
        }
        arena_done(&scratch);
        buf_done(&b);
}

static void fail(struct web *w, struct http_request *r, int status, struct error *take_e)
{
        if (status == 500)
                metric_add(w->federation_errors, 1);
        http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
        http_replyf(r, status, "text/plain; charset=utf-8", "%s\n", error_str(take_e));
        error_free(take_e);
}

static void federate(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        struct http_form form;
        MatcherSets sets = VEC_INIT;
        NewestVec newest = VEC_INIT;
        struct querier *q = NULL;
        struct series_set *set = NULL;
        struct arena arena;
        arena_init(&arena, WEB_REQUEST_ARENA_BYTES);
        int status = 400;
        struct error *e = http_request_form(r, &form);
        if (e)
                e = error_wrap(e, "error parsing form values");
        if (!e)
                e = matcher_sets_parse(&form, false, &arena, &sets);
        TimeMs maxt = time_now_ms(), mint = maxt - w->o.lookback_ms;
        if (!e) {
                status = 500;
                e = storage_querier(web_storage(w), mint, maxt, &arena, &q);
        }
        struct series_set **parts = arena_alloc(&arena, (sets.n + 1) * sizeof *parts);
        struct select_hints h = {.start_ms = mint, .end_ms = maxt, .sorted = true};
        size_t n_parts = 0;
        for (size_t i = 0; !e && i < sets.n; i++) {
                if (sets.p[i].n)        /* {} selects nothing */
                        e = querier_select(q, &h, (const struct matcher *const *)sets.p[i].p, sets.p[i].n, &parts[n_parts++]);
        }
        if (!e && n_parts) {
                e = merge_series_sets(&arena, NULL, parts, n_parts, &set);
                if (!e)
                        e = newest_collect(set, mint, maxt, &arena, &newest);
        }
        if (e)
                fail(w, r, status, e);
        else
                newest_write(w, r, &newest);
        vec_done(&newest);
        querier_close(q);
        matcher_sets_done(&sets);
        arena_done(&arena);
}

void federate_register(struct web *w)
{
        char *path = web_path(w, "/federate");
        http_server_handle(w->server, path, HTTP_GET, HTTP_COMPRESS_SMALL, federate, w);
        free(path);
}
