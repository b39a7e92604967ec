/* SPDX-License-Identifier: Apache-2.0 */
/* Speed of the codecs on data of the kind that Prometheus handles. Build: ninja bench/codec_bench; prints a table. */
#include <stdio.h>

#include "base/clock.h"
#include "base/rand.h"
#include "codec/compress.h"
#include "codec/crc32c.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/regex.h"

enum { VALUES = 4096, ROUNDS = 7 };

static struct rand r = {.s = 1};
static volatile uint64_t sink;

/* Best of ROUNDS, in ns. */
#define BEST(ret, body)                                                                                                \
        do {                                                                                                           \
                (ret) = INT64_MAX;                                                                                     \
                for (int round_ = 0; round_ < ROUNDS; round_++) {                                                      \
                        int64_t t_ = time_mono_ns();                                                                   \
                        body;                                                                                          \
                        t_ = time_mono_ns() - t_;                                                                      \
                        (ret) = MIN((ret), t_);                                                                        \
                }                                                                                                      \
        } while (0)

static void bench_floats(const char *name, int kind)
{
        static double v[VALUES];
        static char text[VALUES][FLOAT_TEXT_MAX_BYTES];
        static size_t n[VALUES];
        for (int i = 0; i < VALUES; i++)
                v[i] = kind == 0   ? (double)rand_below(&r, 1000000)
                       : kind == 1 ? (double)rand_below(&r, 1000000) / 1000
                                   : rand_unit(&r) * 1e3;
        int64_t print, parse;
        BEST(print, for (int i = 0; i < VALUES; i++) n[i] = float_print(v[i], 'f', text[i]));
        BEST(
                parse, for (int i = 0; i < VALUES; i++) {
                        double x;
                        sink += float_parse_fast((Str){text[i], n[i]}, &x);
                });
        printf("float %-20s print %5.1f ns  parse %5.1f ns\n", name, (double)print / VALUES, (double)parse / VALUES);
}

static struct buf exposition(size_t bytes)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        while (b.n < bytes)
                buf_printf(&b,
                           "http_request_duration_seconds_bucket{code=\"%d\",handler=\"/api/v1/%d\",le=\"%.2f\"} %d\n",
                           (int)rand_below(&r, 5) * 100, (int)rand_below(&r, 40), rand_unit(&r),
                           (int)rand_below(&r, 100000));
        return b;
}

static void bench_bytes(void)
{
        struct buf text = exposition(1 << 20), packed = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(BUF_NO_LIMIT);
        Str in = buf_str(&text);
        double mb = (double)in.n / 1e6;
        int64_t pack, unpack;
        BEST(pack, sink += crc32c(0, in.p, in.n));
        printf("crc32c %.0f MB/s, ", mb / ((double)pack / 1e9));
        BEST(pack, for (size_t i = 0; i + 150 < in.n; i += 150) sink += crc32c(0, in.p + i, 150));
        printf("in pieces of 150 bytes %.0f MB/s\n", mb / ((double)pack / 1e9));
        BEST(pack, buf_clear(&packed); gzip_compress(in, &packed));
        BEST(unpack, buf_clear(&out); error_free(gzip_uncompress(buf_str(&packed), &out)));
        printf("gzip   %5.0f MB/s, back %5.0f MB/s, ratio %.1f\n", mb / ((double)pack / 1e9),
               mb / ((double)unpack / 1e9), (double)in.n / (double)packed.n);
        BEST(pack, buf_clear(&packed); snappy_compress_block(in, &packed));
        BEST(unpack, buf_clear(&out); error_free(snappy_uncompress_block(buf_str(&packed), &out)));
        printf("snappy %5.0f MB/s, back %5.0f MB/s, ratio %.1f\n", mb / ((double)pack / 1e9),
               mb / ((double)unpack / 1e9), (double)in.n / (double)packed.n);
        buf_done(&text);
        buf_done(&packed);
        buf_done(&out);
}

static void bench_json(void)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_putc(&b, '[');
        while (b.n < 1 << 20)
                buf_printf(&b,
                           "%s{\"metric\":{\"__name__\":\"up\",\"job\":\"api\",\"instance\":\"10.0.0.%d:9100\"},"
                           "\"value\":[%d.%d,\"%d\"]}",
                           b.n > 1 ? "," : "", (int)rand_below(&r, 255), 1700000000 + (int)rand_below(&r, 10000),
                           (int)rand_below(&r, 1000), (int)rand_below(&r, 100000));
        buf_putc(&b, ']');
        struct arena a;
        arena_init(&a, 1 << 30);
        const struct json *j;
        int64_t t;
        BEST(t, arena_clear(&a); error_free(json_parse(buf_str(&b), &a, &j)));
        printf("json_parse %.0f MB/s\n", (double)b.n / 1e6 / ((double)t / 1e9));
        arena_done(&a);
        buf_done(&b);
}

static void bench_regex(const char *pattern)
{
        static char text[VALUES][48];
        struct regex *re;
        struct error *e = regex_new(str_from(pattern), &re);
        if (e) {
                printf("%s\n", error_str(e));
                error_free(e);
                return;
        }
        for (int i = 0; i < VALUES; i++)
                snprintf(text[i], sizeof text[i], "%s-server-%d-error", i % 3 ? "api" : "etcd",
                         (int)rand_below(&r, 1000));
        int64_t t;
        BEST(t, for (int i = 0; i < VALUES; i++) sink += regex_matches(re, str_from(text[i])));
        printf("regex %-36s %6.1f ns\n", pattern, (double)t / VALUES);
        regex_free(re);
}

int main(void)
{
        bench_floats("integers", 0);
        bench_floats("thousandths", 1);
        bench_floats("17 digits", 2);
        bench_bytes();
        bench_json();
        bench_regex("api-server-.*");
        bench_regex(".*error.*");
        bench_regex("(api|etcd)-.+-error");
        bench_regex("etcd-server-[0-9]+-error");
        bench_regex("a|b|c|d|e|f|g|h|i|j|api-server-1-error");
        return 0;
}
