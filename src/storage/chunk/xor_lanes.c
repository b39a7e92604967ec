/* SPDX-License-Identifier: Apache-2.0 */
/* Many float chunks side by side, a lane of a vector each: one after the other every sample waits for the one before, and which of the three
 * forms it has cannot be foreseen; here no step branches on it. Only what is frequent is done in lanes: samples with the interval of the one
 * before, and values of at most 57 changed bits. A lane that meets anything else leaves and goes on in xor_finish(). A lane whose chunk is done
 * reads zeros, which are samples too, until all are. Positions are absolute: addresses in bits. */
#include "storage/chunk/xor_private.h"

#ifdef __x86_64__
#include <immintrin.h>

#define WITH_AVX2 __attribute__((target("avx2")))

enum {
        TAIL_FROM_BYTES = 64,   /* with so much left a lane may go on in the copy of its end */
        GROUP = 4,
        GROUPS_MAX = XOR_LANES_MAX / GROUP,
        GOOD_BITS = 57,         /* of eight bytes from any bit on */
        ROUND_MAX = 128,        /* steps between two looks at the lanes' ends */
};
static const uint8_t zeros[ROUND_MAX * 2 / 8 + 16];

struct lane {
        uint8_t tail[XOR_TAIL_BYTES];
        bool is_on, in_tail;
        uint64_t base;          /* position of bit 0 of the chunk */
};

struct lanes {
        uint64_t pos[XOR_LANES_MAX], v[XOR_LANES_MAX], width[XOR_LANES_MAX], trailing[XOR_LANES_MAX];
        uint64_t last[XOR_LANES_MAX]; /* positions up to here may be read */
        double out[ROUND_MAX][XOR_LANES_MAX];
};

WITH_AVX2 static inline __m256i load_bits(__m256i pos)
{
        const __m256i swap = _mm256_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
        __m256i at = _mm256_srli_epi64(pos, 3), w; /* four loads are quicker than a gather */
        __m128i a = _mm256_castsi256_si128(at), b = _mm256_extracti128_si256(at, 1);
        a = _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)_mm_cvtsi128_si64(a)), _mm_loadl_epi64((const void *)_mm_extract_epi64(a, 1)));
        b = _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)_mm_cvtsi128_si64(b)), _mm_loadl_epi64((const void *)_mm_extract_epi64(b, 1)));
        w = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
        return _mm256_sllv_epi64(_mm256_shuffle_epi8(w, swap), _mm256_and_si256(pos, _mm256_set1_epi64x(7)));
}

WITH_AVX2 static inline unsigned signs(__m256i x)
{
        return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(x));
}

/* n steps of all lanes, or fewer: then *ret_leave are the lanes that stopped it. */
WITH_AVX2 static inline __attribute__((always_inline)) size_t run(struct lanes *l, int groups, size_t n, unsigned *ret_leave)
{
        const __m256i zero = _mm256_setzero_si256(), two = _mm256_set1_epi64x(2), c64 = _mm256_set1_epi64x(64);
        __m256i pos[GROUPS_MAX], v[GROUPS_MAX], width[GROUPS_MAX], trailing[GROUPS_MAX], last[GROUPS_MAX];
        for (int g = 0; g < groups; g++) {
                pos[g] = _mm256_loadu_si256((const void *)&l->pos[g * GROUP]);
                last[g] = _mm256_loadu_si256((const void *)&l->last[g * GROUP]);
                v[g] = _mm256_loadu_si256((const void *)&l->v[g * GROUP]);
                width[g] = _mm256_loadu_si256((const void *)&l->width[g * GROUP]);
                trailing[g] = _mm256_loadu_si256((const void *)&l->trailing[g * GROUP]);
        }
        unsigned leave = 0;
        size_t k = 0;
        for (; k < n; k++) {
                __m256i w[GROUPS_MAX];
                for (int g = 0; g < groups; g++) {
                        w[g] = load_bits(pos[g]);
                        /* another interval, or the end */
                        leave |= signs(_mm256_or_si256(w[g], _mm256_sub_epi64(last[g], pos[g]))) << (g * GROUP);
                }
                if (__builtin_expect(leave, 0))
                        break;
                __m256i new_width[GROUPS_MAX], new_trailing[GROUPS_MAX], off[GROUPS_MAX], has[GROUPS_MAX], x[GROUPS_MAX];
                unsigned far = 0;
                for (int g = 0; g < groups; g++) {
                        __m256i w1 = _mm256_slli_epi64(w[g], 1);
                        has[g] = _mm256_cmpgt_epi64(zero, w1);
                        __m256i fresh = _mm256_and_si256(has[g], _mm256_cmpgt_epi64(zero, _mm256_slli_epi64(w[g], 2)));
                        __m256i leading = _mm256_and_si256(_mm256_srli_epi64(w1, 57), _mm256_set1_epi64x(31));
                        /* 0 stands for 64 */
                        __m256i bits = _mm256_sub_epi64(_mm256_srli_epi64(w1, 51), _mm256_set1_epi64x(1));
                        bits = _mm256_add_epi64(_mm256_and_si256(bits, _mm256_set1_epi64x(63)), _mm256_set1_epi64x(1));
                        new_width[g] = _mm256_blendv_epi8(width[g], bits, fresh);
                        new_trailing[g] = _mm256_blendv_epi8(trailing[g], _mm256_sub_epi64(c64, _mm256_add_epi64(leading, bits)), fresh);
                        off[g] = _mm256_add_epi64(_mm256_sub_epi64(two, has[g]), _mm256_and_si256(fresh, _mm256_set1_epi64x(11)));
                        __m256i room = _mm256_sub_epi64(_mm256_sub_epi64(_mm256_set1_epi64x(GOOD_BITS), off[g]), new_width[g]);
                        far |= signs(_mm256_or_si256(new_trailing[g], _mm256_and_si256(has[g], room))) << (g * GROUP);
                        x[g] = _mm256_srlv_epi64(_mm256_sllv_epi64(w[g], off[g]), _mm256_sub_epi64(c64, new_width[g]));
                }
                if (far) {
                        for (int g = 0; g < groups; g++) {
                                __m256i more = load_bits(_mm256_add_epi64(pos[g], off[g]));
                                x[g] = _mm256_srlv_epi64(more, _mm256_sub_epi64(c64, new_width[g]));
                                __m256i room = _mm256_sub_epi64(_mm256_set1_epi64x(GOOD_BITS), new_width[g]);
                                leave |= signs(_mm256_and_si256(has[g], _mm256_or_si256(new_trailing[g], room))) << (g * GROUP);
                        }
                        if (leave)
                                break;
                }
                for (int g = 0; g < groups; g++) {
                        width[g] = new_width[g];
                        trailing[g] = new_trailing[g];
                        v[g] = _mm256_xor_si256(v[g], _mm256_sllv_epi64(_mm256_and_si256(x[g], has[g]), trailing[g]));
                        pos[g] = _mm256_add_epi64(pos[g], _mm256_add_epi64(off[g], _mm256_and_si256(has[g], width[g])));
                        _mm256_storeu_si256((void *)&l->out[k][g * GROUP], v[g]);
                }
        }
        for (int g = 0; g < groups; g++) {
                _mm256_storeu_si256((void *)&l->pos[g * GROUP], pos[g]);
                _mm256_storeu_si256((void *)&l->v[g * GROUP], v[g]);
                _mm256_storeu_si256((void *)&l->width[g * GROUP], width[g]);
                _mm256_storeu_si256((void *)&l->trailing[g * GROUP], trailing[g]);
        }
        *ret_leave = leave;
        return k;
}

WITH_AVX2 static size_t run_4(struct lanes *l, size_t n, unsigned *ret_leave)
{
        return run(l, 1, n, ret_leave);
}

WITH_AVX2 static size_t run_8(struct lanes *l, size_t n, unsigned *ret_leave)
{
        return run(l, 2, n, ret_leave);
}

WITH_AVX2 static size_t run_12(struct lanes *l, size_t n, unsigned *ret_leave)
{
        return run(l, 3, n, ret_leave);
}

static uint64_t bits_of(const void *p)
{
        return (uint64_t)(uintptr_t)p * 8;
}

/* Reads zeros from now on. */
static void lane_park(struct lanes *l, size_t i)
{
        l->pos[i] = bits_of(zeros);
        l->v[i] = l->trailing[i] = 0;
        l->last[i] = l->pos[i] + ROUND_MAX * 2;
        l->width[i] = 1;
}

/* The chunk's state as the lane left it. */
static void lane_leave(struct lanes *l, struct lane *lane, struct xor_job *j, size_t i)
{
        struct xor_state *s = &j->s;
        s->pos = l->pos[i] - lane->base;
        s->v = l->v[i];
        s->width = (unsigned)l->width[i];
        s->trailing = (unsigned)l->trailing[i];
        s->t = j->t[s->i - 1];
        s->is_even = s->i == s->n && s->dt && s->dt < UINT64_C(1) << 40 && s->t > j->t[0];
        if (s->pos > j->data.n * 8)
                s->bad = true;
        lane->is_on = false;
        lane_park(l, i);
}

/* Goes on in a copy of the end of its chunk, with zeros behind it. */
static void lane_to_tail(struct lanes *l, struct lane *lane, struct xor_job *j, size_t i)
{
        size_t at = l->pos[i] - lane->base, from = at / 8;
        memset(lane->tail, 0, sizeof lane->tail);
        memcpy(lane->tail, j->data.p + from, j->data.n - from);
        lane->in_tail = true;
        l->last[i] = bits_of(lane->tail) + (j->data.n - from) * 8;
        lane->base = bits_of(lane->tail) - from * 8;
        l->pos[i] = lane->base + at;
}

/* Values of four lanes from out into their columns. */
WITH_AVX2 static void take_group(const struct lanes *l, const struct lane *lane, struct xor_job *j, size_t group, size_t n)
{
        const size_t first = group * GROUP;
        double *to[GROUP];
        double dump[ROUND_MAX];
        for (size_t i = 0; i < GROUP; i++)
                to[i] = lane[first + i].is_on ? j[first + i].v + j[first + i].s.i : dump;
        size_t k = 0;
        for (; k + 4 <= n; k += 4) {
                __m256d a = _mm256_loadu_pd(&l->out[k][first]), b = _mm256_loadu_pd(&l->out[k + 1][first]);
                __m256d c = _mm256_loadu_pd(&l->out[k + 2][first]), d = _mm256_loadu_pd(&l->out[k + 3][first]);
                __m256d ab0 = _mm256_unpacklo_pd(a, b), ab1 = _mm256_unpackhi_pd(a, b), cd0 = _mm256_unpacklo_pd(c, d), cd1 = _mm256_unpackhi_pd(c, d);
                _mm256_storeu_pd(to[0] + k, _mm256_permute2f128_pd(ab0, cd0, 0x20));
                _mm256_storeu_pd(to[1] + k, _mm256_permute2f128_pd(ab1, cd1, 0x20));
                _mm256_storeu_pd(to[2] + k, _mm256_permute2f128_pd(ab0, cd0, 0x31));
                _mm256_storeu_pd(to[3] + k, _mm256_permute2f128_pd(ab1, cd1, 0x31));
        }
        for (; k < n; k++)
                for (size_t i = 0; i < GROUP; i++)
                        to[i][k] = l->out[k][first + i];
        for (size_t i = first; i < first + GROUP; i++) {
                if (!lane[i].is_on)
                        continue;
                TimeMs *t = j[i].t + j[i].s.i;
                uint64_t at = (uint64_t)t[-1], dt = j[i].s.dt;
                for (size_t m = 0; m < n; m++)
                        t[m] = (TimeMs)(at += dt);
                j[i].s.i += n;
        }
}

static void decode_lanes(struct xor_job *j, size_t n)
{
        struct lanes l;
        struct lane lane[XOR_LANES_MAX];
        size_t n_on = 0;
        for (size_t i = 0; i < XOR_LANES_MAX; i++) {
                lane_park(&l, i);
                lane[i].is_on = i < n && j[i].s.i == 2 && j[i].s.n > 2 && j[i].data.n - j[i].s.pos / 8 > XOR_PAD_BYTES;
                if (!lane[i].is_on)
                        continue;
                n_on++;
                lane[i].in_tail = false;
                lane[i].base = bits_of(j[i].data.p);
                l.last[i] = lane[i].base + (j[i].data.n - XOR_PAD_BYTES) * 8;
                l.pos[i] = lane[i].base + j[i].s.pos;
                l.v[i] = j[i].s.v;
                l.width[i] = j[i].s.width;
                l.trailing[i] = j[i].s.trailing;
        }
        /* A step costs the same however few are left. */
        while (n_on > 2) {
                size_t steps = ROUND_MAX;
                for (size_t i = 0; i < XOR_LANES_MAX; i++) {
                        if (!lane[i].is_on)
                                lane_park(&l, i);
                        else
                                steps = MIN(steps, j[i].s.n - j[i].s.i);
                }
                unsigned leave = 0;
                size_t done = (n > 2 * GROUP ? run_12 : n > GROUP ? run_8 : run_4)(&l, steps, &leave);
                for (size_t g = 0; g * GROUP < n; g++)
                        take_group(&l, lane, j, g, done);
                for (size_t i = 0; i < n; i++) {
                        if (!lane[i].is_on)
                                continue;
                        bool is_near = l.pos[i] - lane[i].base + TAIL_FROM_BYTES * 8 > j[i].data.n * 8;
                        if (j[i].s.i == j[i].s.n || (leave >> i & 1 && (l.pos[i] <= l.last[i] || lane[i].in_tail))) {
                                lane_leave(&l, &lane[i], &j[i], i);
                                n_on--;
                        } else if (is_near && !lane[i].in_tail) {
                                lane_to_tail(&l, &lane[i], &j[i], i);
                        }
                }
        }
        for (size_t i = 0; i < n; i++)
                if (lane[i].is_on)
                        lane_leave(&l, &lane[i], &j[i], i);
}

bool xor_has_lanes(void)
{
        return __builtin_cpu_supports("avx2");
}

#else
bool xor_has_lanes(void)
{
        return false;
}

static void decode_lanes(struct xor_job *j, size_t n)
{
        (void)j;
        (void)n;
}
#endif

struct error *xor_decode_many(struct xor_job *j, size_t n, size_t *ret_failed)
{
        for (size_t i = 0; i < n; i++) {
                *ret_failed = i;
                struct error *e = xor_begin(j[i].data, TIME_MS_MAX, j[i].t, j[i].v, &j[i].s);
                if (e)
                        return e;
        }
        if (xor_has_lanes())
                decode_lanes(j, n);
        for (size_t i = 0; i < n; i++) {
                *ret_failed = i;
                struct error *e = xor_finish(j[i].data, TIME_MS_MAX, j[i].t, j[i].v, &j[i].s);
                if (e)
                        return e;
        }
        return NULL;
}
