/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_fold_test.c — series out of chunks, without stores. */
#include "base/rand.h"
#include "base/test.h"
#include "thanos/query/dedup.h"
#include "thanos/query/proxy_impl.h"

struct fixture {
        struct arena arena;
        struct proxy_opts o;
        struct proxy_querier q;
        struct endpoint ep;
        Str replica;
        PartVec parts;
};

static void fixture_init(struct fixture *x, bool dedup)
{
        *x = (struct fixture){.ep = {.address = STR("1.2.3.4:10901")}, .replica = STR("replica")};
        arena_init(&x->arena, 64 << 20);
        x->o = (struct proxy_opts){.partial_response = true, .replica_labels = &x->replica, .n_replica_labels = dedup};
        x->q = (struct proxy_querier){.o = &x->o, .arena = &x->arena, .mint_ms = TIME_MS_MIN, .maxt_ms = TIME_MS_MAX};
        arena_init(&x->q.late_arena, SIZE_MAX);
        mutex_init(&x->q.mu);
}

static void fixture_done(struct fixture *x)
{
        vec_done(&x->parts);
        vec_done(&x->q.warnings);
        vec_done(&x->q.late);
        mutex_done(&x->q.mu);
        arena_done(&x->q.late_arena);
        arena_done(&x->arena);
}

/* n samples from t on, each step, with values v, v + 1, … */
static void add_run(struct fixture *x, TimeMs t, TimeMs step, int n, double v)
{
        struct samples s = SAMPLES_INIT;
        for (int i = 0; i < n; i++)
                samples_push(&s, t + i * step, v + i);
        struct chunk *c;
        size_t n_chunks;
        CHECK_OK(samples_encode(s.t, s.v, s.n, &x->arena, &c, &n_chunks));
        CHECK_U64(n_chunks, 1);
        vec_push(&x->parts, (struct part){.mint_ms = c->mint_ms, .maxt_ms = c->maxt_ms, .raw = *c, .ep = &x->ep});
        samples_done(&s);
}

static struct error *decode(struct fixture *x, const char *func, struct samples *out)
{
        struct series s = {0};
        struct error *e = proxy_assemble(&x->q, &x->parts, want_of(str_from(func)), str_from(func), &s);
        return e ? e : series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, out);
}

static void damage(struct fixture *x, size_t part, size_t at, char with)
{
        struct chunk *c = &x->parts.p[part].raw;
        char *copy = arena_alloc(&x->arena, c->data.n);
        memcpy(copy, c->data.p, c->data.n);
        copy[at] = with;
        c->data.p = copy;
}

TEST(proxy_fold, a_damaged_chunk_costs_its_own_samples_and_a_warning)
{
        for (int dedup = 0; dedup < 2; dedup++) {
                struct fixture x;
                struct samples out = SAMPLES_INIT;
                fixture_init(&x, dedup);
                add_run(&x, 0, 10, 20, 0);
                add_run(&x, 200, 10, 20, 20);
                add_run(&x, 400, 10, 20, 40);
                add_run(&x, 600, 10, 20, 60);
                x.parts.p[2].raw.data.n = 12; /* cut */
                CHECK_OK(decode(&x, "", &out));
                CHECK_U64(out.n, 60);
                CHECK_U64(x.q.late.n, 1);
                CHECK(x.q.late.n == 1 && str_has_prefix(x.q.late.p[0], STR("chunk from 1.2.3.4:10901: ")));
                x.o.partial_response = false;
                CHECK_ERROR(decode(&x, "", &out), "");
                samples_done(&out);
                fixture_done(&x);
        }
}

TEST(proxy_fold, a_chunk_cannot_claim_more_samples_than_its_bytes_hold)
{
        struct fixture x;
        struct samples out = SAMPLES_INIT;
        fixture_init(&x, true);
        add_run(&x, 0, 10, 20, 0);
        add_run(&x, 200, 10, 20, 20);
        damage(&x, 1, 0, (char)0xff); /* the first two bytes are the number */
        CHECK_OK(decode(&x, "", &out));
        CHECK_U64(out.n, 20);
        CHECK_U64(x.q.warnings.n, 1);
        samples_done(&out);
        fixture_done(&x);
}

TEST(proxy_fold, what_the_engine_takes_does_not_change_which_replica_is_seen)
{
        struct fixture x;
        struct samples all = SAMPLES_INIT, some = SAMPLES_INIT;
        struct series s = {0};
        fixture_init(&x, true);
        add_run(&x, 0, 15000, 100, 0);
        add_run(&x, 3000, 15000, 100, 1000);
        CHECK_OK(proxy_assemble(&x.q, &x.parts, WANT_AVERAGE, STR(""), &s));
        CHECK_OK(series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &all));
        CHECK_U64(all.n, 100);
        CHECK_I64(all.every_ms, 15000);
        CHECK_OK(series_decode(&s, 100000, 1000000, &some));
        CHECK(some.n == 60 && some.t[0] == 105000 && some.v[0] == 7 && some.t[59] == 990000);
        samples_done(&all);
        samples_done(&some);
        fixture_done(&x);
}

/* --- native histograms --- */

static void add_histograms(struct fixture *x, TimeMs t, TimeMs step, int n, int64_t first)
{
        static const struct span span = {0, 1};
        struct raw_samples raw = {.n = (size_t)n};
        raw.t = arena_array(&x->arena, TimeMs, n);
        raw.start = arena_array(&x->arena, TimeMs, n);
        raw.v = arena_array(&x->arena, double, n);
        raw.h = arena_array(&x->arena, struct histogram_sample, n);
        for (int i = 0; i < n; i++) {
                struct int_histogram *h = arena_new(&x->arena, struct int_histogram);
                int64_t *deltas = arena_array(&x->arena, int64_t, 1);
                deltas[0] = first + i;
                *h = (struct int_histogram){.count = (uint64_t)(first + i), .sum = (double)(first + i), .pos = {&span, deltas, 1, 1}};
                raw.t[i] = t + i * step;
                raw.start[i] = 0;
                raw.v[i] = h->sum;
                raw.h[i] = (struct histogram_sample){.i = h};
        }
        struct chunk *c;
        size_t n_chunks;
        CHECK_OK(raw_samples_encode(&raw, &x->arena, &c, &n_chunks));
        CHECK_U64(n_chunks, 1);
        vec_push(&x->parts, (struct part){.mint_ms = c->mint_ms, .maxt_ms = c->maxt_ms, .raw = *c, .ep = &x->ep});
}

TEST(proxy_fold, histograms_of_replicas_are_one_series)
{
        struct fixture x;
        struct series s = {0};
        struct mixed m;
        fixture_init(&x, true);
        add_histograms(&x, 0, 15000, 40, 1); /* ends at 585000; the other goes on */
        add_histograms(&x, 3000, 15000, 80, 1001);
        CHECK_OK(proxy_assemble(&x.q, &x.parts, WANT_COUNTER, STR("rate"), &s));
        CHECK_OK(series_decode_mixed(&s, TIME_MS_MIN, TIME_MS_MAX, &x.arena, &m));
        size_t from_b = 0;
        for (size_t i = 0; i < m.n; i++) {
                bool b = m.t[i] % 15000 != 0;
                CHECK(m.h && m.h[i] && m.h[i]->count == (b ? 1001 + (double)((m.t[i] - 3000) / 15000) : 1 + (double)(m.t[i] / 15000)));
                CHECK(!i || m.t[i] - m.t[i - 1] >= 15000);
                from_b += b;
        }
        CHECK_U64(m.n - from_b, 40);
        CHECK(from_b >= 38 && from_b <= 40 && m.t[m.n - 1] == 3000 + 79 * 15000);
        CHECK_U64(x.q.warnings.n, 0);
        fixture_done(&x);
}

TEST(proxy_fold, a_damaged_histogram_costs_its_replica)
{
        struct fixture x;
        struct series s = {0};
        struct mixed m;
        fixture_init(&x, true);
        add_histograms(&x, 0, 15000, 40, 1);
        add_histograms(&x, 3000, 15000, 40, 1001);
        x.parts.p[0].raw.data.n = 6;
        CHECK_OK(proxy_assemble(&x.q, &x.parts, WANT_AVERAGE, STR(""), &s));
        CHECK_OK(series_decode_mixed(&s, TIME_MS_MIN, TIME_MS_MAX, &x.arena, &m));
        CHECK_U64(m.n, 40);
        CHECK_U64(x.q.warnings.n, 1);
        fixture_done(&x);
}

/* --- two replicas --- */

static void random_replica(struct rand *r, struct samples *s)
{
        samples_clear(s);
        TimeMs t = (TimeMs)rand_below(r, 20000);
        double v = (double)rand_below(r, 100);
        for (size_t i = 0, n = rand_below(r, 60); i < n; i++) {
                samples_push(s, t, v);
                t += rand_below(r, 8) ? 15000 : 1 + (TimeMs)rand_below(r, 200000);
                v = rand_below(r, 10) ? v + (double)rand_below(r, 9) : 0;
        }
}

/* A third one without samples changes nothing, but goes the way of many. */
TEST(proxy_fold, two_replicas_are_folded_as_many_are)
{
        struct rand r = {42};
        struct samples in[3] = {SAMPLES_INIT, SAMPLES_INIT, SAMPLES_INIT}, two = SAMPLES_INIT, many = SAMPLES_INIT;
        for (int i = 0; i < 2000; i++) {
                enum dedup_kind kind = i % 2 ? DEDUP_COUNTER : DEDUP_PLAIN;
                random_replica(&r, &in[0]);
                random_replica(&r, &in[1]);
                CHECK_OK(dedup_samples(in, 2, kind, &two));
                CHECK_OK(dedup_samples(in, 3, kind, &many));
                bool same = two.n == many.n;
                for (size_t k = 0; same && k < two.n; k++)
                        same = two.t[k] == many.t[k] && two.v[k] == many.v[k];
                CHECK_MSG(same, "pair %d: %zu and %zu samples", i, two.n, many.n);
        }
        samples_done(&in[0]);
        samples_done(&in[1]);
        samples_done(&two);
        samples_done(&many);
}
