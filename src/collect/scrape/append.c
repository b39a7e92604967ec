/* SPDX-License-Identifier: Apache-2.0 */
/* append.c — one body through the cache into an appender.
 *
 * The usual line is one hash that equals that of the text that came after the last one in the scrape before, a value, and
 * one append by reference. Nothing is allocated for it. */
#include "collect/scrape/cache_impl.h"
#include "collect/scrape/histogram_limit.h"
#include "collect/scrape/target.h"

enum { AHEAD_MAX_MS = 10 * 60 * 1000 }; /* samples further in the future are out of bounds */

static struct error sample_limit_error = {ERROR_LIMIT, /* is_static= */ true, "sample limit exceeded"};

struct appending {
        struct scrape_cache *c;
        const struct scrape_how *how;
        struct appender *app;
        TimeMs t, max_t;
        uint64_t limited; /* samples that count for the sample limit */
        struct scrape_result *r;
        uint32_t expected; /* whose text should come next */
        uint32_t last;     /* whose text came last */
        struct expo_parser parser;
        struct arena arena; /* one exemplar's labels, or one histogram made coarser */
        const struct error *histogram_error; /* the one at hand is over its limit of buckets */
};
enum { SAMPLE_BYTES_MAX = 64 << 20 };

static void iteration_start(struct scrape_cache *c)
{
        c->n_seen = c->n_was = c->n_tracked = 0;
        metadata_restart(&c->metadata);
}

static void iteration_end(struct scrape_cache *c)
{
        c->n_prev = c->n_tracked;
        c->iter++;
}

/* ---- staleness ---- */

static int ref_cmp(const void *a, const void *b)
{
        SeriesRef x = *(const SeriesRef *)a, y = *(const SeriesRef *)b;
        return (x > y) - (x < y);
}

typedef VEC(SeriesRef) RefVec;

/* Two texts may be one series: what is still there under another text is not stale. Needs sorted refs. */
static void refs_remove_tracked(const struct scrape_cache *c, RefVec *refs)
{
        for (size_t i = 0; i < c->v.n && refs->n > 0; i++) {
                const struct scrape_series *s = &c->v.p[i];
                if (s->tracked != c->iter)
                        continue;
                SeriesRef *hit = bsearch(&s->ref, refs->p, refs->n, sizeof *refs->p, ref_cmp);
                if (hit) {
                        memmove(hit, hit + 1, (size_t)(refs->p + refs->n - hit - 1) * sizeof *hit);
                        refs->n--;
                }
        }
}

static struct error *append_markers(struct appender *app, const RefVec *refs, TimeMs t)
{
        uint64_t bits = STALE_NAN_BITS;
        double stale;
        memcpy(&stale, &bits, sizeof stale);
        for (size_t i = 0; i < refs->n; i++) {
                SeriesRef ref;
                app->discard_out_of_order = true;
                struct error *e = appender_append(app, refs->p[i], (Labels){NULL, 0}, t, stale, &ref);
                app->discard_out_of_order = false;
                if (!e)
                        continue;
                /* Expected when a target went and came back with another loop; a series that the storage has dropped
                 * needs no marker. */
                if (e == &error_out_of_order_sample || e == &error_duplicate_sample || error_is(e, ERROR_NOT_FOUND)) {
                        error_free(e);
                        continue;
                }
                return e;
        }
        return NULL;
}

static struct error *mark_vanished(struct scrape_cache *c, struct appender *app, TimeMs t)
{
        if (c->n_was == c->n_prev)
                return NULL;
        RefVec refs = VEC_INIT;
        for (size_t i = 0; i < c->v.n; i++)
                if (c->v.p[i].tracked == c->iter - 1)
                        vec_push(&refs, c->v.p[i].ref);
        qsort(refs.p, refs.n, sizeof *refs.p, ref_cmp);
        refs_remove_tracked(c, &refs);
        struct error *e = append_markers(app, &refs, t);
        vec_done(&refs);
        return e;
}

/* On purpose unlike upstream 3.14, which leaves the series before a failing line unmarked, so that queries show their
 * old value for five more minutes although up is 0: its documentation promises markers for all that a scrape did not
 * give. */
struct error *scrape_cache_append_stale(struct scrape_cache *c, struct appender *app, TimeMs t, bool *ret_flushed)
{
        /* The iteration may have begun with a body that failed half-way: what it tracked is void, but "was" tells what
         * there was before. */
        RefVec refs = VEC_INIT;
        for (size_t i = 0; i < c->v.n; i++) {
                struct scrape_series *s = &c->v.p[i];
                if (s->tracked == c->iter - 1 || (s->tracked == c->iter && s->was))
                        vec_push(&refs, s->ref);
                if (s->tracked >= c->iter - 1)
                        s->tracked = 0;
        }
        struct error *e = append_markers(app, &refs, t);
        vec_done(&refs);

        /* Labels that vary in scrapes that all fail must not fill the memory. */
        *ret_flushed = c->v.n + c->metadata.v.n > c->success_count * 2 + 1000;
        if (*ret_flushed) {
                c->flushed = c->iter;
                cache_compact(c);
                metadata_flush(&c->metadata, c->iter);
        }
        c->n_tracked = 0;
        iteration_end(c);
        return e;
}

/* ---- samples ---- */

static struct error *append_value(struct appending *a, SeriesRef ref, Labels ls, TimeMs t, const struct expo_entry *x,
                                  SeriesRef *ret_ref)
{
        if (LIKELY(x->type == EXPO_SERIES))
                return appender_append(a->app, ref, ls, t, x->value, ret_ref);
        return appender_append_histogram(a->app, ref, ls, t, x->histogram, ret_ref);
}

/* The storage, behind the limits that apply to samples. *ret_counted: it counts for series_added. */
static struct error *append_limited(struct appending *a, SeriesRef ref, Labels ls, TimeMs t,
                                    const struct expo_entry *x, SeriesRef *ret_ref)
{
        uint64_t limit = a->how->conf->sample_limit;
        bool is_histogram = x->type == EXPO_HISTOGRAM;
        if (is_histogram && a->histogram_error)
                return &bucket_limit_error;
        double v = is_histogram ? histogram_sample_sum(x->histogram) : x->value;
        if (limit > 0 && (ref == 0 || !is_stale_nan(v)) && ++a->limited > limit)
                return &sample_limit_error;
        if (t > a->max_t)
                return &error_out_of_bounds;
        return append_value(a, ref, ls, t, x, ret_ref);
}

/* The storage has dropped the series behind a reference: its labels are worked out again. */
static struct error *append_again(struct appending *a, struct scrape_series *s, const struct expo_entry *x, TimeMs t)
{
        Labels ls;
        bool over = false;
        struct error *e = scrape_resolve(a->how, &a->parser, x, &ls, &over);
        if (e)
                return e;
        if (ls.n == 0)
                return error_new(ERROR_INTERNAL, "labels of a known series were dropped");
        SeriesRef ref = 0;
        e = append_value(a, 0, ls, t, x, &ref);
        if (!e)
                s->ref = ref;
        return e;
}

/* Counts what a scrape survives; gives back what it does not. *ret_ok: the sample was taken. */
static struct error *judge(struct appending *a, struct error *e, bool *ret_ok)
{
        *ret_ok = !e;
        if (LIKELY(!e))
                return NULL;
        if (e == &sample_limit_error)
                a->r->over_sample_limit = true;
        else if (e == &bucket_limit_error)
                a->r->over_bucket_limit = true;
        else if (e == &error_out_of_order_sample)
                a->r->out_of_order++;
        else if (e == &error_duplicate_sample)
                a->r->duplicates++;
        else if (e == &error_out_of_bounds)
                a->r->out_of_bounds++;
        else
                return e;
        return NULL;
}

static void chain(struct appending *a, uint32_t i)
{
        struct scrape_cache *c = a->c;
        if (a->last == SERIES_NONE)
                c->head = i;
        else if (a->last != i)
                c->v.p[a->last].next = i;
        a->last = i;
        a->expected = c->v.p[i].next;
}

static bool has_exemplars(const struct expo_entry *x)
{
        return x->has_exemplar || x->n_exemplars > 0;
}

/* Whatever is wrong with an exemplar, the scrape goes on. */
static void append_exemplar(struct appending *a, SeriesRef ref, const struct expo_exemplar *x, TimeMs t)
{
        struct exemplar one = {.labels = x->labels, .value = x->value, .t = x->has_t ? x->t : t, .has_t = x->has_t};
        struct error *e = appender_append_exemplar(a->app, ref, (Labels){NULL, 0}, &one);
        a->r->exemplars_out_of_order += e == &error_out_of_order_exemplar;
        if (e)
                error_ignore(e, "samples are worth more");
}

static int exemplar_cmp(const void *a, const void *b)
{
        const struct expo_exemplar *x = a, *y = b;
        int t = (x->t > y->t) - (x->t < y->t);
        return t ? t : (x->value > y->value) - (x->value < y->value);
}

/* Oldest first: those of a histogram come in the order of its buckets. */
static void append_exemplars(struct appending *a, SeriesRef ref, const struct expo_entry *x, TimeMs t)
{
        if (x->n_exemplars > 1)
                qsort(x->exemplars, x->n_exemplars, sizeof x->exemplars[0], exemplar_cmp);
        for (size_t i = 0; i < x->n_exemplars; i++)
                append_exemplar(a, ref, &x->exemplars[i], t);
        if (!x->has_exemplar)
                return;
        struct expo_exemplar one = {.value = x->exemplar_value, .t = x->exemplar_t, .has_t = x->exemplar_has_t};
        arena_clear(&a->arena);
        struct error *e = expo_exemplar_labels(x, &a->arena, &one.labels);
        if (e)
                error_ignore(e, "samples are worth more");
        else
                append_exemplar(a, ref, &one, t);
}

static struct error *known_sample(struct appending *a, uint32_t i, const struct expo_entry *x)
{
        struct scrape_cache *c = a->c;
        struct scrape_series *s = &c->v.p[i];
        bool again = s->seen == c->iter;
        cache_see(c, s);
        if (!again)
                chain(a, i);
        else
                a->expected = s->next;
        a->r->scraped++;
        if (s->ref == 0)
                return NULL;

        const struct scrape_conf *conf = a->how->conf;
        bool own_time = x->has_t && conf->honor_timestamps;
        TimeMs t = own_time ? x->t : a->t;
        struct error *e;
        if (again && !own_time) {
                e = &error_duplicate_sample;
        } else {
                SeriesRef ref = s->ref;
                e = append_limited(a, s->ref, (Labels){NULL, 0}, t, x, &ref);
                if (UNLIKELY(e && error_is(e, ERROR_NOT_FOUND))) {
                        error_free(e);
                        e = append_again(a, s, x, t);
                } else if (!e) {
                        s->ref = ref;
                }
        }
        bool ok;
        e = judge(a, e, &ok);
        if (e)
                return e;
        if (ok && (!own_time || conf->track_timestamps_staleness))
                cache_track(c, s);
        a->r->added++;
        if (UNLIKELY(has_exemplars(x)))
                append_exemplars(a, s->ref, x, t);
        return NULL;
}

/* A text that is not there, or was not in the last good scrape. */
static struct error *new_sample(struct appending *a, uint32_t dead, uint64_t hash, const struct expo_entry *x)
{
        struct scrape_cache *c = a->c;
        a->r->scraped++;
        Labels ls;
        struct error *e = scrape_resolve(a->how, &a->parser, x, &ls, &a->r->over_label_limit);
        if (e)
                return e;

        const struct scrape_conf *conf = a->how->conf;
        bool own_time = x->has_t && conf->honor_timestamps, ok = true;
        SeriesRef ref = 0;
        if (ls.n > 0) {
                e = judge(a, append_limited(a, 0, ls, own_time ? x->t : a->t, x, &ref), &ok);
                if (e)
                        return e;
                a->r->added++;
                if (!ok || ref == 0)
                        return NULL;
                a->r->series_added += !a->r->over_sample_limit && !a->r->over_bucket_limit;
                if (UNLIKELY(has_exemplars(x)))
                        append_exemplars(a, ref, x, own_time ? x->t : a->t);
        }

        uint32_t i = dead != SERIES_NONE ? dead : cache_add(c, x->series, hash);
        if (i == SERIES_NONE)
                return NULL;
        struct scrape_series *s = &c->v.p[i];
        s->ref = ref;
        s->tracked = 0;
        if (dead == SERIES_NONE)
                s->next = a->expected;
        cache_see(c, s);
        chain(a, i);
        if (ref != 0 && (!own_time || conf->track_timestamps_staleness))
                cache_track(c, s);
        return NULL;
}

static struct error *append_entry(struct appending *a, struct expo_entry *x)
{
        struct scrape_cache *c = a->c;
        switch (x->type) {
        case EXPO_TYPE:
                metadata_set_type(&c->metadata, c->iter, x->family, x->metric_type);
                return NULL;
        case EXPO_HELP:
                metadata_set_help(&c->metadata, c->iter, x->family, x->text);
                return NULL;
        case EXPO_UNIT:
                metadata_set_unit(&c->metadata, c->iter, x->family, x->text);
                return NULL;
        case EXPO_SERIES:
                break;
        case EXPO_HISTOGRAM: {
                struct error *e = histogram_limit(a->how->conf, &a->arena, &x->histogram);
                if (e && e != &bucket_limit_error)
                        return e;
                a->histogram_error = e;
                break;
        }
        case EXPO_COMMENT:
        case EXPO_END:
                return NULL;
        }
        uint64_t hash = cache_hash(c, x->series);
        uint32_t i = cache_find(c, x->series, hash);
        if (i != SERIES_NONE && series_is_alive(c, &c->v.p[i]))
                return known_sample(a, i, x);
        return new_sample(a, i, hash, x);
}

static bool next_is_expected(struct appending *a, struct expo_entry *x)
{
        struct scrape_cache *c = a->c;
        if (a->expected == SERIES_NONE || !series_is_alive(c, &c->v.p[a->expected]))
                return false;
        const struct scrape_series *s = &c->v.p[a->expected];
        Str text = expo_peek(&a->parser, s->key_n);
        return text.n > 0 && cache_hash(c, text) == s->hash && expo_next_known(&a->parser, text, x);
}

static struct error *append_body(struct appending *a)
{
        struct expo_entry x = {.type = EXPO_SERIES};
        for (;;) {
                if (next_is_expected(a, &x)) {
                        struct error *e = known_sample(a, a->expected, &x);
                        if (e)
                                return e;
                        continue;
                }
                struct error *e = expo_next(&a->parser, &x);
                if (e)
                        return e;
                if (x.type == EXPO_END)
                        return NULL;
                e = append_entry(a, &x);
                if (e)
                        return e;
        }
}

struct error *scrape_cache_append(struct scrape_cache *c, const struct scrape_how *how, struct appender *app, Str body,
                                  Str content_type, TimeMs t, TimeMs now_ms, struct scrape_result *ret)
{
        *ret = (struct scrape_result){0};
        iteration_start(c);
        if (body.n == 0) {
                bool flushed;
                return scrape_cache_append_stale(c, app, t, &flushed);
        }
        enum expo_format format;
        struct error *warning = NULL;
        struct error *e = expo_format_of(content_type, scrape_fallback_media_type(how->conf->fallback_protocol),
                                         &format, &warning);
        if (warning)
                error_ignore(warning, "configuration says what to fall back to");
        if (e) {
                ret->bad_content_type = true;
                return e;
        }
        struct appending a = {
                .c = c,
                .how = how,
                .app = app,
                .t = t,
                .max_t = now_ms + AHEAD_MAX_MS,
                .r = ret,
                .expected = c->head,
                .last = SERIES_NONE,
        };
        e = expo_parser_init(&a.parser, format, body);
        if (e)
                return e;
        expo_parser_histograms(&a.parser, how->histograms);
        arena_init(&a.arena, SAMPLE_BYTES_MAX);
        e = append_body(&a);
        expo_parser_done(&a.parser);
        arena_done(&a.arena);
        if (!e && ret->over_sample_limit)
                e = &sample_limit_error;
        if (!e && ret->over_bucket_limit)
                e = &bucket_limit_error;
        if (!e)
                e = mark_vanished(c, app, t);
        if (e)
                return e;

        c->flushed = c->iter;
        metadata_flush(&c->metadata, c->iter);
        c->success_count = c->n_seen + c->metadata.v.n;
        if (c->v.n - c->n_seen > c->n_seen / 2 + 64)
                cache_compact(c);
        else if (ret->series_added == 0)
                cache_trim(c);
        iteration_end(c);
        return NULL;
}

/* ---- the scrape's own series ---- */

struct error *scrape_cache_report(struct scrape_cache *c, const struct scrape_how *how, struct appender *app, TimeMs t,
                                  const double values[REPORT_COUNT], size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct error *e = &error_out_of_order_sample;
                bool known = c->reports[i] != 0;
                app->discard_out_of_order = is_stale_nan(values[i]);
                if (known)
                        e = appender_append(app, c->reports[i], (Labels){NULL, 0}, t, values[i], &c->reports[i]);
                if (!known || (e && error_is(e, ERROR_NOT_FOUND))) {
                        error_free(e);
                        e = appender_append(app, 0, scrape_report_labels(how, (enum scrape_report)i), t, values[i],
                                            &c->reports[i]);
                }
                app->discard_out_of_order = false;
                /* Expected when a target goes away and comes back with another loop. */
                if (e == &error_out_of_order_sample || e == &error_duplicate_sample)
                        continue;
                if (e)
                        return e;
        }
        return NULL;
}
