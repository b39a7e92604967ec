/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"
#include "base/test.h"
#include "storage/chunk/xor_private.h"

enum { SAMPLES_MAX = 250 };

struct one {
        uint8_t *bytes;         /* of just its size */
        Str data;
        TimeMs t[SAMPLES_MAX], got_t[SAMPLES_MAX];
        double v[SAMPLES_MAX], got_v[SAMPLES_MAX];
};

static double next_value(struct rand *r, int kind, double v)
{
        switch (kind) {
        case 0:
                return 42;
        case 1:
                return v + (double)rand_below(r, 100);
        case 2:
                return v + rand_unit(r);
        case 3:
                return (double)rand_below(r, 1000) / 10;
        case 4:
                return rand_below(r, 10) ? v : (double)rand_u64(r) * 1e-3;
        case 5:
                return rand_below(r, 30) ? 200e6 + (double)rand_below(r, 1000000) : -1e-300;
        default:
                return float_of_bits(rand_u64(r));
        }
}

static void make(struct one *o, struct rand *r)
{
        uint8_t buf[XOR_HEADER_BYTES + SAMPLES_MAX * XOR_SAMPLE_MAX_BYTES];
        struct xor_appender a;
        size_t n = 1 + rand_below(r, rand_below(r, 4) ? 120 : SAMPLES_MAX);
        int kind = (int)rand_below(r, 7), jitter = (int)rand_below(r, 4);
        TimeMs t = 1700000000000 + (TimeMs)rand_below(r, 1000000);
        double v = 0;
        xor_appender_init(&a, buf);
        for (size_t i = 0; i < n; i++) {
                t += 15000 + (jitter == 0 ? (TimeMs)rand_below(r, 3) : jitter == 1 && rand_below(r, 60) == 0 ? 45000 : 0);
                v = next_value(r, kind, v);
                CHECK(xor_append(&a, buf, sizeof buf, t, v));
        }
        o->bytes = mem_alloc(xor_bytes(&a));
        memcpy(o->bytes, buf, xor_bytes(&a));
        o->data = (Str){(const char *)o->bytes, xor_bytes(&a)};
}

static void damage(struct one *o, struct rand *r)
{
        if (rand_below(r, 2))
                o->data.n -= rand_below(r, o->data.n);
        else
                o->bytes[2 + rand_below(r, o->data.n > 2 ? o->data.n - 2 : 1)] ^= (uint8_t)(1 + rand_below(r, 255));
        uint8_t *copy = mem_alloc(o->data.n ? o->data.n : 1);
        memcpy(copy, o->data.p, o->data.n);
        free(o->bytes);
        o->bytes = copy;
        o->data.p = (const char *)copy;
}

static void check_round(struct one *all, size_t n)
{
        struct xor_job jobs[XOR_LANES_MAX];
        bool any_bad = false;
        size_t want_n[XOR_LANES_MAX], failed = 0;
        for (size_t i = 0; i < n; i++) {
                if (chunk_samples(CHUNK_XOR, all[i].data) > SAMPLES_MAX)
                        return;         /* damage made it promise more */
                struct error *e = xor_decode(all[i].data, TIME_MS_MAX, all[i].t, all[i].v, &want_n[i]);
                any_bad |= e != NULL;
                error_free(e);
                jobs[i] = (struct xor_job){.data = all[i].data, .t = all[i].got_t, .v = all[i].got_v};
        }
        struct error *e = xor_decode_many(jobs, n, &failed);
        CHECK_I64(e != NULL, any_bad);
        error_free(e);
        for (size_t i = 0; i < n && !any_bad; i++) {
                CHECK_I64((int64_t)jobs[i].s.i, (int64_t)want_n[i]);
                CHECK(memcmp(all[i].t, all[i].got_t, want_n[i] * sizeof(TimeMs)) == 0);
                CHECK(memcmp(all[i].v, all[i].got_v, want_n[i] * sizeof(double)) == 0);
        }
}

static void many_rounds(uint64_t seed, bool with_damage)
{
        struct rand r = {.s = seed};
        struct one *all = mem_zalloc(XOR_LANES_MAX * sizeof *all);
        for (int round = 0; round < 2000; round++) {
                size_t n = 1 + rand_below(&r, XOR_LANES_MAX);
                for (size_t i = 0; i < n; i++) {
                        make(&all[i], &r);
                        if (with_damage && rand_below(&r, n) == 0)
                                damage(&all[i], &r);
                }
                check_round(all, n);
                for (size_t i = 0; i < n; i++)
                        free(all[i].bytes);
        }
        free(all);
}

TEST(xor_lanes, decode_what_one_after_the_other_decodes)
{
        many_rounds(1, /* with_damage= */ false);
}

TEST(xor_lanes, find_the_damage_that_one_after_the_other_finds)
{
        many_rounds(2, /* with_damage= */ true);
}
