/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_web_remote_write.c — messages of remote write, both versions: series by series within bounds, whatever they say. A snappy block is
 * taken for what is in it. */
#include "codec/compress.h"
#include "web/remote_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
        struct write_series s;
        struct arena a;
        bool is_v2;
};

static struct error *one(void *ctx, Str bytes)
{
        struct state *st = ctx;
        struct error *fault = NULL;
        struct error *e = st->is_v2 ? write_series_decode_v2(&st->s, &st->a, bytes, true, &fault) : write_series_decode_v1(&st->s, &st->a, bytes);
        for (size_t i = 1; !e && i < st->s.labels.n; i++)
                if (str_cmp(st->s.labels.v[i - 1].name, st->s.labels.v[i].name) > 0)
                        bug("labels are not sorted");
        for (size_t i = 0; !e && i < st->s.samples.n; i++) {
                struct histogram_sample h = st->s.samples.p[i].h;
                struct buf b = BUF_INIT(1 << 20);
                if (h.i || h.f) {
                        error_ignore(histogram_sample_check(h), "may be bad");
                        remote_put_histogram(&b, 4, st->s.samples.p[i].t, h);
                }
                buf_done(&b);
        }
        error_free(fault);
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct buf plain = BUF_INIT(1 << 20);
        Str body = {(const char *)data, size};
        bool garbage;
        if (size == 0)
                return 0;
        struct error *e = snappy_uncompress_block(body, &plain);
        if (!e)
                body = buf_str(&plain);
        error_ignore(e, "then as it is");
        for (int v2 = 0; v2 < 2; v2++) {
                struct state st = {.is_v2 = v2};
                arena_init(&st.a, 16 << 20);
                e = write_series_init(&st.s, body, v2);
                if (!e)
                        e = write_each_series(body, v2, one, &st, &garbage);
                error_ignore(e, "may be bad");
                write_series_done(&st.s);
                arena_done(&st.a);
        }
        buf_done(&plain);
        return 0;
}
