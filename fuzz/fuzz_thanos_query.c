/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_thanos_query.c — any bytes as a frame of a store's answer: its chunks become a series, or an error or warning; what is decoded ascends
 * and is never more than was promised. */
#include "thanos/query/proxy_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct proxy_querier *q, const struct pb_series *s, Str func)
{
        static const struct endpoint ep = {.address = STR_INIT("127.0.0.1:1")};
        PartVec parts = VEC_INIT;
        struct series series = {0};
        for (size_t i = 0; i < s->chunks.n; i++) {
                struct part p;
                struct error *e = part_take(&s->chunks.v[i], &ep, NULL, &p);
                if (!e)
                        vec_push(&parts, p);
                error_free(e);
        }
        struct error *e = proxy_assemble(q, &parts, want_of(func), func, &series);
        if (!e && !series_has_histograms(&series, TIME_MS_MIN, TIME_MS_MAX)) {
                struct samples out = SAMPLES_INIT;
                size_t most = series_samples_max(&series, TIME_MS_MIN, TIME_MS_MAX);
                e = series_decode(&series, TIME_MS_MIN, TIME_MS_MAX, &out);
                if (!e && out.n > most)
                        bug("%zu samples, promised were %zu", out.n, most);
                for (size_t i = 1; !e && i < out.n; i++)
                        if (out.t[i] <= out.t[i - 1])
                                bug("samples do not ascend");
                samples_done(&out);
        } else if (!e) {
                struct mixed m;
                e = series_decode_mixed(&series, TIME_MS_MIN, TIME_MS_MAX, q->arena, &m);
        }
        error_free(e);
        vec_done(&parts);
}

static void with(Str frame, Str func, bool dedup)
{
        static const Str replica[] = {STR_INIT("replica")};
        struct arena a, b;
        struct proxy_opts o = {.partial_response = true, .replica_labels = replica, .n_replica_labels = dedup};
        struct proxy_querier q = {.o = &o, .arena = &a, .mint_ms = TIME_MS_MIN, .maxt_ms = TIME_MS_MAX};
        struct pb_series_response r = {0};
        arena_init(&a, 16 << 20);
        arena_init(&b, 4 << 20);
        arena_init(&q.late_arena, SIZE_MAX);
        mutex_init(&q.mu);
        struct error *e = pb_decode(&pb_series_response, frame, &b, &r);
        for (size_t i = 0; !e && r.batch && i < r.batch->series.n; i++)
                take(&q, &r.batch->series.v[i], func);
        if (!e && r.series)
                take(&q, r.series, func);
        error_free(e);
        vec_done(&q.warnings);
        vec_done(&q.late);
        mutex_done(&q.mu);
        arena_done(&q.late_arena);
        arena_done(&b);
        arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const funcs[] = {"", "rate", "max_over_time", "min_over_time", "count_over_time", "sum_over_time"};
        for (size_t i = 0; i < 2 * ARRAY_LEN(funcs); i++)
                with((Str){(const char *)data, size}, str_from(funcs[i / 2]), i % 2);
        return 0;
}
