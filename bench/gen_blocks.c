/* SPDX-License-Identifier: Apache-2.0 */
/* gen_blocks.c — the prebuilt blocks of bench/query.py:  gen_blocks DIR SERIES START_S HOURS [STEP_S]
 * or, if DIR ends in .jsonl, that file: a line a series and block, as VictoriaMetrics imports them.
 *
 * The same samples as openmetrics() of query.py: one every STEP_S (15), in blocks of two hours, SERIES of them: of ten series of a pod three request
 * counters, errors, bytes, memory, four latency buckets. Deterministic. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/chunk/xor.h"
#include "tsdb/block/block.h"

enum { BLOCK_S = 7200, CHUNK_SAMPLES = 120, CHUNKS_MAX = BLOCK_S / CHUNK_SAMPLES, LABELS_MAX = 4 };
static int step_s = 15;

struct gen {
        int kind, pod;
        uint32_t state;                 /* of the generator, over all blocks */
        int64_t value;
        Label labels[LABELS_MAX];
        size_t n_labels;
};

struct gen_set {
        struct series_set set;
        struct gen **order;             /* by labels */
        size_t n, at;
        TimeMs mint_ms;
        struct chunk chunks[CHUNKS_MAX];
        uint8_t bytes[CHUNKS_MAX][4096];
};

static Str text(const char *fmt, ...) PRINTF_LIKE(1, 2);
static Str text(const char *fmt, ...)
{
        char *s = NULL;
        va_list ap;
        va_start(ap, fmt);
        if (vasprintf(&s, fmt, ap) < 0)
                abort();
        va_end(ap);
        return str_from(s);             /* lives as long as the program */
}

static void gen_init(struct gen *g, int i)
{
        static const char *const codes[] = {"200", "404", "500"}, *const les[] = {"0.1", "0.5", "1.0", "+Inf"};
        g->kind = i % 10;
        g->pod = i / 10;
        g->state = 12345u + (uint32_t)i;
        g->value = 1000 * g->pod;
        Str name = g->kind < 3   ? STR("bench_requests_total")
                   : g->kind < 4 ? STR("bench_errors_total")
                   : g->kind < 5 ? STR("bench_bytes_total")
                   : g->kind < 6 ? STR("bench_memory_bytes")
                                 : STR("bench_latency_seconds_bucket");
        Label *l = g->labels;
        *l++ = (Label){STR(METRIC_NAME), name};
        if (g->kind < 3)
                *l++ = (Label){STR("code"), str_from(codes[g->kind])};
        else if (g->kind < 5)
                *l++ = (Label){STR("kind"), g->kind == 3 ? STR("error") : STR("byte")};
        else if (g->kind > 5)
                *l++ = (Label){STR("le"), str_from(les[g->kind - 6])};
        *l++ = (Label){STR("namespace"), text("team-%02d", g->pod % 20)};
        *l++ = (Label){STR("pod"), text("app-%04d", g->pod)};
        g->n_labels = (size_t)(l - g->labels);
}

static double gen_next(struct gen *g)
{
        g->state = (g->state * 1103515245u + 12345u) & 0x7fffffffu;
        int64_t step = g->kind < 3   ? 3 + g->pod % 17 + g->kind
                       : g->kind < 5 ? 1 + g->pod % 5 + 1000 * (g->kind - 3)
                       : g->kind < 6 ? 0
                                     : (int64_t)(g->kind - 5) * (1 + g->pod % 7);
        if (step)
                g->value += step * (int64_t)(g->state >> 16) % (2 * step + 1);
        else
                g->value = 200000000 + g->pod * 1000 + (int64_t)(g->state >> 8) % 1000000;
        return (double)g->value;
}

static struct error *gen_set_next(struct series_set *set, struct series *ret, bool *ret_more)
{
        struct gen_set *s = CONTAINER_OF(set, struct gen_set, set);
        *ret_more = s->at < s->n;
        if (!*ret_more)
                return NULL;
        struct gen *g = s->order[s->at++];
        TimeMs t = s->mint_ms;
        size_t c = 0;
        for (int left = BLOCK_S / step_s; left > 0; left -= CHUNK_SAMPLES, c++) {
                struct xor_appender a;
                xor_appender_init(&a, s->bytes[c]);
                s->chunks[c] = (struct chunk){.mint_ms = t, .encoding = CHUNK_XOR};
                for (int i = 0; i < MIN(left, (int)CHUNK_SAMPLES); i++, t += step_s * 1000) {
                        if (!xor_append(&a, s->bytes[c], sizeof s->bytes[c], t, gen_next(g)))
                                bug("a chunk of %d samples is larger than %zu bytes", CHUNK_SAMPLES, sizeof s->bytes[c]);
                }
                s->chunks[c].maxt_ms = t - step_s * 1000;
                s->chunks[c].data = (Str){(const char *)s->bytes[c], xor_bytes(&a)};
        }
        *ret = (struct series){.labels = {g->labels, g->n_labels}, .chunks = s->chunks, .n_chunks = c};
        return NULL;
}

static int gen_cmp(const void *a, const void *b)
{
        const struct gen *x = *(struct gen *const *)a, *y = *(struct gen *const *)b;
        return labels_cmp((Labels){x->labels, x->n_labels}, (Labels){y->labels, y->n_labels});
}

/* One block's worth as lines. */
static void print_lines(FILE *f, struct gen_set *s)
{
        for (size_t i = 0; i < s->n; i++) {
                struct gen *g = s->order[i];
                fputs("{\"metric\":{", f);
                for (size_t k = 0; k < g->n_labels; k++)
                        fprintf(f, "%s\"" STR_FMT "\":\"" STR_FMT "\"", k ? "," : "", STR_ARG(g->labels[k].name), STR_ARG(g->labels[k].value));
                fputs("},\"values\":", f);
                for (int k = 0; k < BLOCK_S / step_s; k++)
                        fprintf(f, "%c%.0f", k ? ',' : '[', gen_next(g));
                fputs("],\"timestamps\":", f);
                for (int k = 0; k < BLOCK_S / step_s; k++)
                        fprintf(f, "%c%" PRId64, k ? ',' : '[', s->mint_ms + (int64_t)k * step_s * 1000);
                fputs("]}\n", f);
        }
}

int main(int argc, char **argv)
{
        if (argc == 6)
                step_s = atoi(argv[5]);
        if (argc < 5 || argc > 6 || step_s < 1 || BLOCK_S % step_s) {
                fprintf(stderr, "usage: gen_blocks DIR SERIES START_S HOURS [STEP_S]\n");
                return 2;
        }
        FILE *lines = str_has_suffix(str_from(argv[1]), STR(".jsonl")) ? fopen(argv[1], "w") : NULL;
        static const struct series_set_ops ops = {.next = gen_set_next};
        size_t n = (size_t)atol(argv[2]);
        int64_t start_s = atoll(argv[3]);
        struct gen *gens = mem_zalloc(n * sizeof *gens);
        struct gen_set *s = mem_new(struct gen_set);
        *s = (struct gen_set){.set.ops = &ops, .order = mem_zalloc(n * sizeof(struct gen *)), .n = n};
        for (size_t i = 0; i < n; i++) {
                gen_init(&gens[i], (int)i);
                s->order[i] = &gens[i];
        }
        qsort(s->order, n, sizeof(struct gen *), gen_cmp);
        for (int64_t at = start_s; at < start_s + atoll(argv[4]) * 3600; at += BLOCK_S) {
                s->at = 0;
                s->mint_ms = at * 1000;
                if (lines) {
                        print_lines(lines, s);
                        continue;
                }
                struct block_meta meta = BLOCK_META_INIT;
                meta.ulid = ulid_new(time_now_ms());
                meta.mint_ms = at * 1000;
                meta.maxt_ms = (at + BLOCK_S) * 1000;
                meta.level = 1;
                vec_push(&meta.sources, meta.ulid);
                struct block_write_opts opts = {0};
                struct error *e = block_write(argv[1], &meta, &opts, &s->set);
                if (e) {
                        fprintf(stderr, "gen_blocks: %s\n", error_str(e));
                        return 1;
                }
                printf("block from %" PRId64 ": %" PRIu64 " samples\n", at, meta.stats.samples);
                block_meta_done(&meta);
        }
        return lines && fclose(lines) ? 1 : 0;
}
