/* SPDX-License-Identifier: Apache-2.0 */
/* What the head costs.
 *   head_bench DIR [series] [scrapes]     CPU per sample of scraping by references, and memory per series
 *   head_bench DIR open [times]           reads the directory back: seconds, CPU seconds, anonymous bytes after each */
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/rand.h"
#include "tsdb/head/head.h"

static void must(struct error *e)
{
        if (!e)
                return;
        fprintf(stderr, "%s\n", error_str(e));
        exit(1);
}

static double cpu_seconds(void)
{
        struct rusage u;
        getrusage(RUSAGE_SELF, &u);
        return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double rss_bytes(void)
{
        long pages = 0, ignored;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
                pages = 0;
        if (f)
                fclose(f);
        return (double)pages * 4096;
}

static double anon_bytes(void)
{
        FILE *f = fopen("/proc/self/status", "r");
        char line[256];
        double kb = 0;
        while (f && fgets(line, sizeof line, f))
                if (sscanf(line, "RssAnon: %lf", &kb) == 1)
                        break;
        if (f)
                fclose(f);
        return kb * 1024;
}

static int bench_open(const struct head_opts *o, int times)
{
        for (int i = 0; i < times; i++) {
                struct head *h;
                double cpu = cpu_seconds(), anon = anon_bytes();
                int64_t from_ns = time_mono_ns();
                must(head_open(o, &h, NULL));
                double took = (double)(time_mono_ns() - from_ns) / 1e9;
                struct head_stats st;
                head_get_stats(h, &st);
                printf("{\"series\": %llu, \"seconds\": %.3f, \"cpu_seconds\": %.3f, \"anon_bytes\": %.0f, "
                       "\"anon_bytes_before\": %.0f, \"head_bytes\": %llu}\n",
                       (unsigned long long)st.series, took, cpu_seconds() - cpu, anon_bytes(), anon,
                       (unsigned long long)head_memory_bytes(h));
                fflush(stdout);
                must(head_close(h));
        }
        return 0;
}

enum { PER_TARGET = 1000 };

/* One scrape of all targets. */
static void scrape(struct head *h, int n, SeriesRef *refs, double *values, TimeMs t, struct rand *r)
{
        for (int target = 0; target < n / PER_TARGET; target++) {
                struct appender *a;
                must(storage_appender(head_storage(h), &a));
                for (int k = 0; k < PER_TARGET; k++) {
                        int i = target * PER_TARGET + k;
                        Label l[5];
                        Labels ls = {l, 0};
                        char name[32], instance[32], path[32];
                        if (!refs[i]) {
                                snprintf(name, sizeof name, "metric_%d_total", k % 100);
                                snprintf(instance, sizeof instance, "10.0.%d.%d:9100", target / 256, target % 256);
                                snprintf(path, sizeof path, "/api/v1/resource/%d", k / 100);
                                l[0] = (Label){STR("__name__"), str_from(name)};
                                l[1] = (Label){STR("code"), STR("200")};
                                l[2] = (Label){STR("instance"), str_from(instance)};
                                l[3] = (Label){STR("job"), STR("node")};
                                l[4] = (Label){STR("path"), str_from(path)};
                                ls.n = 5;
                        }
                        if (k % 2)
                                values[i] += (double)rand_below(r, 100);
                        else if (k % 4 == 0)
                                values[i] = rand_unit(r);
                        must(appender_append(a, refs[i], ls, t + target, values[i], &refs[i]));
                }
                must(appender_commit(a));
        }
}

int main(int argc, char **argv)
{
        if (argc < 2) {
                fprintf(stderr, "usage: %s DIR [series [scrapes] | open [times]]\n", argv[0]);
                return 2;
        }
        int n = argc > 2 ? atoi(argv[2]) : 100000, scrapes = argc > 3 ? atoi(argv[3]) : 10;
        struct head_opts o = {
                .dir = argv[1], .chunk_range_ms = 7200000, .wal_compression = WAL_SNAPPY, .min_valid_ms = TIME_MS_MIN};
        struct head *h;
        must(dir_make_all(argv[1]));
        if (argc > 2 && strcmp(argv[2], "open") == 0)
                return bench_open(&o, argc > 3 ? atoi(argv[3]) : 1);
        must(head_open(&o, &h, NULL));
        SeriesRef *refs = mem_zalloc((size_t)n * sizeof *refs);
        double *values = mem_zalloc((size_t)n * sizeof *values);
        struct rand r = {1};
        double rss = rss_bytes(), t0 = cpu_seconds();
        uint64_t before = head_memory_bytes(h);
        scrape(h, n, refs, values, 0, &r);
        double t1 = cpu_seconds();
        for (int i = 1; i < scrapes; i++)
                scrape(h, n, refs, values, i * 15000, &r);
        double t2 = cpu_seconds();
        struct head_stats st;
        head_get_stats(h, &st);
        printf("{\"series\": %d, \"scrapes\": %d, \"first_ns_per_sample\": %.1f, \"ns_per_sample\": %.1f, "
               "\"bytes_per_series\": %.1f, "
               "\"rss_per_series\": %.1f, \"wal_bytes_per_sample\": %.2f}\n",
               n, scrapes, (t1 - t0) * 1e9 / n, (t2 - t1) * 1e9 / ((double)n * (scrapes - 1)),
               (double)(head_memory_bytes(h) - before) / n, (rss_bytes() - rss) / n,
               (double)st.wal_bytes / ((double)n * scrapes));
        must(head_close(h));
        free(refs);
        free(values);
        return 0;
}
