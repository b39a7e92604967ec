/* SPDX-License-Identifier: Apache-2.0 */
/* Histogram chunks: whatever decodes is written again and decodes to the same; and what the arithmetic makes of garbage
 * is safe. */
#include <stdlib.h>

#include "storage/chunk/histogram.h"
#include "storage/chunk/xor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void work_on(struct arena *a, const struct histogram **h, size_t n)
{
        struct histogram *sum, *comp = NULL;
        struct histogram_notes notes;
        struct buf b = BUF_INIT(1 << 20);
        if (histogram_dup(a, h[0], &sum))
                abort();
        for (size_t i = 0; i < n && i < 8; i++) {
                error_free(histogram_check(h[i]));
                histogram_is_reset(h[i], h[0]);
                error_ignore(histogram_kahan_add(a, sum, &comp, h[i], &notes), "garbage");
                error_ignore(histogram_sub(a, sum, h[i], &notes), "garbage");
        }
        error_ignore(histogram_trim(a, sum, 1.5, true), "garbage");
        error_ignore(histogram_compact(a, sum, 3), "garbage");
        buf_put_histogram_json(&b, sum);
        buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum chunk_encoding encodings[] = {CHUNK_HISTOGRAM, CHUNK_FLOAT_HISTOGRAM, CHUNK_HISTOGRAM_ST,
                                                        CHUNK_FLOAT_HISTOGRAM_ST};
        if (size < 1)
                return 0;
        struct arena a;
        arena_init(&a, 64 << 20);
        struct chunk c = {.encoding = encodings[data[0] & 3], .data = {(const char *)data + 1, size - 1}};
        size_t most = chunk_samples(c.encoding, c.data), n = 0;
        TimeMs *t = arena_array(&a, TimeMs, most + 1), *start = arena_array(&a, TimeMs, most + 1);
        struct histogram_sample *s = arena_array(&a, struct histogram_sample, most + 1);
        const struct histogram **h = arena_array(&a, const struct histogram *, most + 1);
        struct error *e = histogram_decode(&c, TIME_MS_MIN, TIME_MS_MAX, &a, t, NULL, h, &n);
        if (n)
                work_on(&a, h, n);
        error_free(e);
        e = histogram_decode_raw(&c, TIME_MS_MIN, TIME_MS_MAX, &a, t, start, s, &n);
        struct histogram_chunk *k = histogram_chunk_new(c.encoding);
        for (size_t i = 0; !e && i < n; i++) {
                struct histogram_chunk *next = NULL;
                if (histogram_sample_is_sound(s[i]) &&
                    histogram_chunk_append(k, NULL, start[i], t[i], s[i], &next) == HISTOGRAM_NEXT) {
                        histogram_chunk_free(k);
                        k = next;
                }
        }
        error_free(e);
        histogram_chunk_free(k);
        arena_done(&a);
        return 0;
}
