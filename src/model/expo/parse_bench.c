/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds a line of a text body: all of it by expo_next with the labels, without them, and again with every sample
 * known. Usage: parse_bench FILE. Build: cc -O2 -march=… with the archives of model, codec and base; it is in no
 * target. */
#include <stdio.h>

#include "base/file.h"
#include "model/expo/parse.h"

enum { ROUNDS = 200 };

static double sum;

/* 0: entries; 1: with labels; 2: samples known. */
static int64_t once(Str body, int how, Str *series, size_t *ret_lines, size_t *ret_samples)
{
        struct expo_parser p;
        struct arena a;
        arena_init(&a, 64 << 20);
        error_ignore(expo_parser_init(&p, EXPO_TEXT, body), "cannot fail");
        size_t lines = 0, samples = 0;
        int64_t start = time_mono_ns();
        for (;;) {
                struct expo_entry x;
                lines++;
                if (how == 2 && expo_next_known(&p, series[samples], &x)) {
                        samples++;
                        sum += x.value;
                        continue;
                }
                struct error *e = expo_next(&p, &x);
                if (e) {
                        fprintf(stderr, "%s\n", error_str(e));
                        exit(1);
                }
                if (x.type == EXPO_END)
                        break;
                if (x.type != EXPO_SERIES)
                        continue;
                if (how == 2) {
                        fprintf(stderr, "not known: " STR_FMT "\n", STR_ARG(x.series));
                        exit(1);
                }
                Labels ls;
                if (how == 1)
                        error_ignore(expo_labels(&p, &x, &a, &ls), "memory is enough");
                if (how == 0)
                        series[samples] = x.series;
                samples++;
                sum += x.value;
        }
        int64_t ns = time_mono_ns() - start;
        arena_done(&a);
        expo_parser_done(&p);
        *ret_lines = lines - 1;
        *ret_samples = samples;
        return ns;
}

int main(int argc, char **argv)
{
        char *text;
        size_t n, lines = 0, samples = 0;
        if (argc != 2)
                return 1;
        struct error *e = file_read(argv[1], 64 << 20, &text, &n);
        if (e) {
                fprintf(stderr, "%s\n", error_str(e));
                return 1;
        }
        static const char *const names[] = {"new lines", "new lines with labels", "known lines"};
        Str *series = mem_alloc(n * sizeof *series);
        for (int how = 0; how < 3; how++) {
                int64_t best = INT64_MAX;
                for (int i = 0; i < ROUNDS; i++)
                        best = MIN(best, once((Str){text, n}, how, series, &lines, &samples));
                printf("%-24s %6.1f ns a line, %6.1f ns a sample, %5.2f GB/s  (%zu lines, %zu samples, %g)\n",
                       names[how], (double)best / (double)lines, (double)best / (double)samples,
                       (double)n / (double)best, lines, samples, sum);
        }
        free(series);
        free(text);
        return 0;
}
