/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/join.h"

#include "base/test.h"
#include "storage/decode.h"
#include "storage/memory.h"

#define LABELS(...) ((Labels){(const Label[]){__VA_ARGS__}, sizeof((const Label[]){__VA_ARGS__}) / sizeof(Label)})
#define L(k, v) {STR_INIT(k), STR_INIT(v)}

static TimeMs start_ms;
static TimeMs start_of(UNUSED void *ctx)
{
        return start_ms;
}

/* An older storage that fails: when it is opened, at its first select, or in its set after n series. */
static struct failing {
        struct storage base;
        struct storage *inner;
        enum error_kind kind;
        int open, select;               /* fails there */
        size_t series;                  /* given before the set fails */
        TimeMs asked_mint, asked_maxt;
        int opened;
} failing;
struct failing_querier {
        struct querier base;
        struct querier *inner;
        struct series_set set, *inner_set;
        size_t given;
};

static struct error *failing_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct failing_querier *q = CONTAINER_OF(base, struct failing_querier, set);
        if (q->given++ == failing.series)
                return error_new(failing.kind, "cut off");
        return series_set_next(q->inner_set, ret, ret_more);
}

static struct error *failing_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret)
{
        static const struct series_set_ops ops = {.next = failing_next};
        struct failing_querier *q = CONTAINER_OF(base, struct failing_querier, base);
        if (failing.select)
                return error_new(failing.kind, "no select");
        q->set.ops = &ops;
        *ret = &q->set;
        return querier_select(q->inner, h, m, n_m, &q->inner_set);
}

static struct error *failing_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct failing_querier *q = CONTAINER_OF(base, struct failing_querier, base);
        return failing.select ? error_new(failing.kind, "no names") : querier_label_names(q->inner, m, n_m, limit, ret);
}

static struct error *failing_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct failing_querier *q = CONTAINER_OF(base, struct failing_querier, base);
        return failing.select ? error_new(failing.kind, "no values") : querier_label_values(q->inner, name, m, n_m, limit, ret);
}

static void failing_close(struct querier *base)
{
        querier_close(CONTAINER_OF(base, struct failing_querier, base)->inner);
}

static struct error *failing_querier(UNUSED struct storage *s, TimeMs mint, TimeMs maxt, struct arena *a, struct querier **ret)
{
        static const struct querier_ops ops = {.select = failing_select, .label_names = failing_names, .label_values = failing_values, .close = failing_close};
        failing.asked_mint = mint;
        failing.asked_maxt = maxt;
        failing.opened++;
        if (failing.open)
                return error_new(failing.kind, "no door");
        struct failing_querier *q = arena_new(a, struct failing_querier);
        q->base.ops = &ops;
        *ret = &q->base;
        return storage_querier(failing.inner, mint, maxt, a, &q->inner);
}

static struct storage *recent, *older;
static struct join join;

/* Series a has samples 0 … 9 in the older storage and 6 … 14 in the recent one; b is in the older one only. */
static struct storage *setup(bool wants_all)
{
        static const struct storage_ops ops = {.querier = failing_querier};
        recent = memory_storage_new();
        older = memory_storage_new();
        for (int t = 0; t < 15; t++) {
                if (t < 10) {
                        CHECK_OK(memory_storage_add(older, LABELS(L("__name__", "a")), t * 1000, t));
                        CHECK_OK(memory_storage_add(older, LABELS(L("__name__", "b"), L("x", "y")), t * 1000, t));
                }
                if (t >= 6)
                        CHECK_OK(memory_storage_add(recent, LABELS(L("__name__", "a")), t * 1000, t));
        }
        start_ms = 6000;
        failing = (struct failing){.base.ops = &ops, .inner = older, .kind = ERROR_IO, .series = SIZE_MAX};
        return join_init(&join, &(struct join_opts){.recent = recent, .older = &failing.base, .recent_start = start_of, .wants_all = wants_all});
}

static void teardown(void)
{
        memory_storage_free(recent);
        memory_storage_free(older);
}

/* All samples of all series in the range as "a 0 1 2 …; b …; ! warning". */
static struct error *read_all(struct storage *st, TimeMs mint, TimeMs maxt, struct buf *b)
{
        struct arena a;
        struct querier *q = NULL;
        struct series_set *set = NULL;
        struct samples x = SAMPLES_INIT;
        arena_init(&a, 1 << 20);
        struct error *e = storage_querier(st, mint, maxt, &a, &q);
        if (!e)
                e = querier_select(q, &(struct select_hints){.start_ms = mint, .end_ms = maxt, .sorted = true}, NULL, 0, &set);
        for (bool more = true; !e;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (e || !more)
                        break;
                buf_put(b, labels_get(s.labels, STR("__name__")));
                CHECK_OK(series_decode(&s, mint, maxt, &x));
                for (size_t i = 0; i < x.n; i++)
                        buf_printf(b, " %.0f", x.v[i]);
                buf_puts(b, "; ");
        }
        StrVec w = VEC_INIT;
        if (q)
                querier_warnings(q, &w);
        for (size_t i = 0; i < w.n; i++)
                buf_printf(b, "! " STR_FMT, STR_ARG(w.p[i]));
        vec_done(&w);
        querier_close(q);
        samples_done(&x);
        arena_done(&a);
        return e;
}

static void gives(struct storage *st, TimeMs mint, TimeMs maxt, const char *want)
{
        struct buf b = BUF_INIT(1 << 16);
        CHECK_OK(read_all(st, mint, maxt, &b));
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(join, each_series_is_one_and_each_sample_counts_once)
{
        struct storage *st = setup(false);
        gives(st, 0, 20000, "a 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; b 0 1 2 3 4 5; ");
        CHECK_I64(failing.asked_maxt, 5999);
        gives(st, 3000, 7000, "a 3 4 5 6 7; b 3 4 5; ");
        gives(st, 1000, 2000, "a 1 2; b 1 2; ");
        CHECK_I64(failing.asked_maxt, 2000);
        start_ms = TIME_MS_MAX;         /* the start may come too late: samples of both count once */
        gives(st, 0, 20000, "a 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; b 0 1 2 3 4 5 6 7 8 9; ");
        teardown();
}

TEST(join, what_the_recent_one_has_whole_is_not_asked_of_the_older)
{
        struct storage *st = setup(false);
        failing.open = 1;
        gives(st, 6000, 20000, "a 6 7 8 9 10 11 12 13 14; ");
        CHECK_I64(failing.opened, 0);
        teardown();
}

static void fails_softly(struct storage *st, const char *want)
{
        gives(st, 0, 20000, want);
}

TEST(join, a_failure_of_the_older_costs_its_samples_and_a_warning)
{
        struct storage *st = setup(false);
        failing.open = 1;
        fails_softly(st, "a 6 7 8 9 10 11 12 13 14; ! samples before 1970-01-01T00:00:06Z are missing: no door");
        failing.open = 0;
        failing.select = 1;
        fails_softly(st, "a 6 7 8 9 10 11 12 13 14; ! samples before 1970-01-01T00:00:06Z are missing: no select");
        failing.select = 0;
        failing.series = 1;
        fails_softly(st, "a 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; ! samples before 1970-01-01T00:00:06Z are missing: cut off");
        teardown();
}

TEST(join, a_query_that_wants_all_fails_and_so_does_one_past_its_limits)
{
        struct buf b = BUF_INIT(1 << 16);
        struct storage *st = setup(true);
        failing.open = 1;
        CHECK_ERROR(read_all(st, 0, 20000, &b), "no door");
        failing.open = 0;
        failing.series = 1;
        CHECK_ERROR(read_all(st, 0, 20000, &b), "cut off");
        teardown();
        st = setup(false);
        failing.kind = ERROR_LIMIT;
        failing.select = 1;
        CHECK_ERROR(read_all(st, 0, 20000, &b), "no select");
        failing.kind = ERROR_CANCELLED;
        CHECK_ERROR(read_all(st, 0, 20000, &b), "no select");
        teardown();
        buf_done(&b);
}

TEST(join, names_and_values_are_of_both)
{
        struct storage *st = setup(false);
        struct arena a;
        struct querier *q;
        StrVec v = VEC_INIT;
        arena_init(&a, 1 << 20);
        CHECK_OK(storage_querier(st, 0, 20000, &a, &q));
        CHECK_OK(querier_label_names(q, NULL, 0, 0, &v));
        CHECK_U64(v.n, 2);
        CHECK_STR(v.p[1], "x");
        vec_clear(&v);
        CHECK_OK(querier_label_values(q, STR("__name__"), NULL, 0, 0, &v));
        CHECK_U64(v.n, 2);
        failing.select = 1;
        vec_clear(&v);
        CHECK_OK(querier_label_names(q, NULL, 0, 0, &v));
        CHECK_U64(v.n, 1);
        vec_clear(&v);
        CHECK_OK(querier_label_values(q, STR("__name__"), NULL, 0, 0, &v));
        CHECK_U64(v.n, 1);
        vec_clear(&v);
        querier_warnings(q, &v);
        CHECK_U64(v.n, 1);
        CHECK_STR(v.p[0], "samples before 1970-01-01T00:00:06Z are missing: no names");
        vec_done(&v);
        querier_close(q);
        arena_done(&a);
        teardown();
}
