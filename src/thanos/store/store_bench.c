/* SPDX-License-Identifier: Apache-2.0 */
/* store_bench.c — what a select over a directory of blocks costs:  store_bench DIR MATCHERS ROUNDS [START_MS END_MS]
 *
 *   store_bench data '__name__="up",job=~"a.*"' 5
 *
 * Prints for each round: wall and CPU milliseconds, series, chunks, bytes, anonymous memory. DIR is a FILESYSTEM bucket; blocks without the section
 * thanos in meta.json are fine. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "thanos/store/service.h"

static void die(struct error *e)
{
        if (!e)
                return;
        fprintf(stderr, "%s\n", error_str(e));
        exit(1);
}

static struct matcher *parse_one(Str s)
{
        static const struct {
                Str text;
                enum matcher_type type;
        } ops[] = {{STR_INIT("=~"), MATCH_RE}, {STR_INIT("!~"), MATCH_NRE}, {STR_INIT("!="), MATCH_NE}, {STR_INIT("="), MATCH_EQ}};
        struct matcher *m = NULL;
        for (size_t i = 0; i < ARRAY_LEN(ops) && !m; i++) {
                ptrdiff_t at = str_find_str(s, ops[i].text);
                if (at >= 0)
                        die(matcher_new(ops[i].type, str_sub(s, 0, (size_t)at), str_trim_suffix(str_trim_prefix(str_skip(s, (size_t)at + ops[i].text.n), STR("\"")), STR("\"")), &m));
        }
        return m;
}

static double cpu_ms(void)
{
        struct timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long rss_anon_kib(void)
{
        char *text, *at;
        size_t n;
        die(file_read("/proc/self/status", 1 << 16, &text, &n));
        at = strstr(text, "RssAnon:");
        long kib = at ? strtol(at + 8, NULL, 10) : 0;
        free(text);
        return kib;
}

int main(int argc, char **argv)
{
        if (argc < 4)
                return 2;
        struct bucket *b;
        struct meta_fetcher *f;
        struct bucket_store *s;
        log_set_level(STR("warn"));
        die(filesystem_bucket_new(argv[1], &b));
        die(meta_fetcher_new(&(struct meta_fetcher_opts){.bucket = b}, &f));
        die(bucket_store_new(&(struct bucket_store_opts){.bucket = b, .fetcher = f}, &s));
        die(bucket_store_sync(s, NULL));
        MatcherVec m = VEC_INIT;
        Str rest = str_from(argv[2]), one;
        while (str_next(&rest, ',', &one))
                vec_push(&m, parse_one(one));
        struct store_request r = {.mint_ms = argc > 5 ? strtoll(argv[4], NULL, 10) : 0, .maxt_ms = argc > 5 ? strtoll(argv[5], NULL, 10) : TIME_MS_MAX,
                                  .matchers = (const struct matcher *const *)m.p, .n_matchers = m.n, .aggregates = 31};
        for (int round = atoi(argv[3]); round > 0; round--) {
                int64_t begin = time_mono_ns();
                double cpu = cpu_ms();
                struct store_set *set;
                size_t series = 0, chunks = 0, bytes = 0;
                die(bucket_store_select(s, &r, NULL, &set));
                for (;;) {
                        struct store_series x;
                        bool more;
                        die(store_set_next(set, &x, &more));
                        if (!more)
                                break;
                        series++;
                        chunks += x.n_chunks;
                        for (size_t i = 0; i < x.n_chunks; i++)
                                bytes += x.chunks[i].raw.n;
                }
                store_set_free(set);
                printf("%.1f ms, %.1f ms CPU: %zu series, %zu chunks, %zu bytes; %ld KiB anonymous\n", (double)(time_mono_ns() - begin) / 1e6, cpu_ms() - cpu, series, chunks, bytes,
                       rss_anon_kib());
        }
        matcher_vec_done(&m);
        bucket_store_free(s);
        meta_fetcher_free(f);
        bucket_free(b);
        return 0;
}
