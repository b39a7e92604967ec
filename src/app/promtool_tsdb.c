/* SPDX-License-Identifier: Apache-2.0 */
/* promtool tsdb list | analyze.  Upstream: cmd/promtool/tsdb.go. What is equal is printed in the order of names; the original has no order there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/promtool.h"
#include "app/promtool_tsdb.h"
#include "base/map.h"
#include "model/duration.h"
#include "storage/chunk/xor.h"
#include "storage/decode.h"
#include "tsdb/block/block.h"
#include "tsdb/block/chunk_files.h"
#include "tsdb/index/index.h"

static int by_mint(const void *a, const void *b)
{
        const struct block_meta *x = block_get_meta(*(struct block *const *)a), *y = block_get_meta(*(struct block *const *)b);
        return x->mint_ms != y->mint_ms ? (x->mint_ms > y->mint_ms) - (x->mint_ms < y->mint_ms) : ulid_cmp(x->ulid, y->ulid);
}

struct error *promtool_blocks_open(const char *dir, BlockVec *ret)
{
        PathVec names = VEC_INIT;
        struct error *e = block_list(dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                struct block *b;
                char *path = path_join(dir, names.p[i]);
                e = block_open(path, &b);
                if (!e)
                        vec_push(ret, b);
                free(path);
        }
        path_vec_done(&names);
        if (ret->n > 1)
                qsort(ret->p, ret->n, sizeof *ret->p, by_mint);
        return e;
}

/* ---- list ---- */

enum { COLUMNS = 8, WIDTH_MIN = 13, PADDING = 2 };

static void put_time(struct buf *b, TimeMs t, bool readable)
{
        if (!readable) {
                buf_printf(b, "%" PRId64, t);
                return;
        }
        time_t s = (time_t)(t / 1000);
        struct tm tm;
        char text[40];
        gmtime_r(&s, &tm);
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm);
        buf_puts(b, text);
}

/* Cells end with '\t', rows with '\n'. Columns are as wide as their widest cell and two more, the last is not filled up. */
static void print_table(Str text)
{
        size_t width[COLUMNS] = {0};
        Str rest = text, row, cell;
        while (str_next(&rest, '\n', &row))
                for (size_t i = 0; i < COLUMNS && str_next(&row, '\t', &cell); i++) {
                        size_t wide = MAX(cell.n + PADDING, (size_t)WIDTH_MIN);
                        width[i] = MAX(width[i], wide);
                }
        rest = text;
        while (str_next(&rest, '\n', &row)) {
                for (size_t i = 0; i < COLUMNS && str_next(&row, '\t', &cell); i++)
                        printf("%-*.*s", i + 1 < COLUMNS ? (int)width[i] : 0, STR_ARG(cell));
                putchar('\n');
        }
}

int promtool_tsdb_list(const struct flags *f)
{
        BlockVec blocks = VEC_INIT;
        bool readable = flags_bool(f, "human-readable");
        struct buf b = BUF_INIT(1 << 30);
        struct error *e = promtool_blocks_open(flags_str(f, "db path"), &blocks);
        buf_puts(&b, "BLOCK ULID\tMIN TIME\tMAX TIME\tDURATION\tNUM SAMPLES\tNUM CHUNKS\tNUM SERIES\tSIZE");
        for (size_t i = 0; !e && i < blocks.n; i++) {
                const struct block_meta *m = block_get_meta(blocks.p[i]);
                char name[ULID_TEXT_BYTES + 1];
                ulid_print(m->ulid, name);
                buf_printf(&b, "\n%s\t", name);
                put_time(&b, m->mint_ms, readable);
                buf_putc(&b, '\t');
                put_time(&b, m->maxt_ms, readable);
                buf_putc(&b, '\t');
                buf_put_go_duration(&b, (m->maxt_ms - m->mint_ms) * 1000000);
                buf_printf(&b, "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t", m->stats.samples, m->stats.chunks, m->stats.series);
                if (readable)
                        buf_put_size(&b, block_size_bytes(blocks.p[i]));
                else
                        buf_put_u64(&b, block_size_bytes(blocks.p[i]));
        }
        if (!e)
                print_table(buf_str(&b));
        buf_done(&b);
        db_blocks_done(&blocks);
        return promtool_exit(e);
}

/* ---- analyze ---- */

struct counted {
        Str key;
        uint64_t uncovered, series, values, bytes;
};
struct ranked {
        Str key;
        uint64_t n;
};
typedef VEC(struct ranked) RankedVec;
typedef VEC(int64_t) NumberVec;
struct analysis {
        struct arena arena;
        struct map pairs, names;
        uint64_t entries;
        NumberVec float_samples, float_bytes, hist_samples, hist_bytes, hist_buckets;
        int64_t chunks;
};

static struct counted *count_of(struct analysis *a, struct map *m, Str key, bool *ret_new)
{
        struct counted *c = map_get(m, key);
        *ret_new = !c;
        if (!c) {
                c = arena_new(&a->arena, struct counted);
                c->key = arena_str(&a->arena, key);
                map_set(m, c->key, c);
        }
        return c;
}

static void count_series(struct analysis *a, Labels ls, uint64_t uncovered, struct buf *scratch)
{
        for (size_t i = 0; i < ls.n; i++) {
                bool is_new;
                buf_clear(scratch);
                buf_printf(scratch, STR_FMT "=" STR_FMT, STR_ARG(ls.v[i].name), STR_ARG(ls.v[i].value));
                struct counted *pair = count_of(a, &a->pairs, buf_str(scratch), &is_new);
                pair->uncovered += uncovered;
                pair->series++;
                bool ignored;
                struct counted *name = count_of(a, &a->names, ls.v[i].name, &ignored);
                name->uncovered += uncovered;
                name->values += is_new;
                name->bytes += is_new ? ls.v[i].value.n : 0;
                a->entries++;
        }
}

static struct error *count_chunk(struct analysis *a, const struct chunk *c)
{
        int64_t n = (int64_t)chunk_samples(c->encoding, c->data);
        a->chunks++;
        if (chunk_encoding_is_float(c->encoding)) {
                vec_push(&a->float_samples, n);
                vec_push(&a->float_bytes, (int64_t)c->data.n);
                return NULL;
        }
        struct arena scratch;
        arena_init(&scratch, 1 << 30);
        struct series s = {.chunks = c, .n_chunks = 1};
        struct raw_samples raw = {.n = 0};
        struct error *e = series_decode_raw(&s, TIME_MS_MIN, TIME_MS_MAX, &scratch, &raw);
        int64_t buckets = 0;
        for (size_t i = 0; !e && i < raw.n; i++)
                buckets += raw.h[i].i ? (int64_t)raw.h[i].i->pos.n + raw.h[i].i->neg.n : (int64_t)raw.h[i].f->pos.n + raw.h[i].f->neg.n;
        arena_done(&scratch);
        vec_push(&a->hist_samples, n);
        vec_push(&a->hist_bytes, (int64_t)c->data.n);
        vec_push(&a->hist_buckets, buckets);
        return e;
}

/* By the index itself: a querier would leave out what is deleted. */
static struct error *read_series(struct analysis *a, struct block *b, struct chunk_files *files, uint32_t ref, const MatcherVec *m, struct arena *arena,
                                 struct buf *scratch, uint64_t *ret_series)
{
        const struct block_meta *meta = block_get_meta(b);
        Labels ls;
        struct index_chunk *c;
        size_t n;
        struct error *e = index_series(block_get_index(b), ref, arena, NULL, &ls, &c, &n);
        if (e || !n || !matchers_match((const struct matcher *const *)m->p, m->n, ls))
                return e;
        for (size_t i = 0; !e && files && i < n; i++) {
                struct chunk k = {.mint_ms = c[i].mint_ms, .maxt_ms = c[i].maxt_ms};
                e = chunk_files_get(files, c[i].ref, &k);
                if (!e)
                        e = count_chunk(a, &k);
        }
        ++*ret_series;
        count_series(a, ls, (uint64_t)(meta->maxt_ms - meta->mint_ms) - (uint64_t)(c[n - 1].maxt_ms - c[0].mint_ms), scratch);
        return e;
}

static struct error *read_block(struct analysis *a, struct block *b, const MatcherVec *m, bool extended, uint64_t *ret_series)
{
        struct postings all;
        struct chunk_files *files = NULL;
        struct arena arena;
        struct buf scratch = BUF_INIT(1 << 24);
        char *path = path_join(block_get_dir(b), "chunks");
        arena_init(&arena, SIZE_MAX);
        struct error *e = index_all_postings(block_get_index(b), &all);
        if (!e && extended)
                e = chunk_files_open(path, &files);
        for (size_t i = 0; !e && i < all.n; i++) {
                arena_clear(&arena);
                e = read_series(a, b, files, postings_at(all, i), m, &arena, &scratch, ret_series);
        }
        chunk_files_close(files);
        free(path);
        arena_done(&arena);
        buf_done(&scratch);
        return e;
}

static int by_rank(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : str_cmp(x->key, y->key);
}

static void print_top(const char *title, RankedVec *v, int64_t limit)
{
        printf("\n%s:\n", title);
        if (v->n > 1)
                qsort(v->p, v->n, sizeof *v->p, by_rank);
        for (size_t i = 0; i < v->n && (int64_t)i < limit; i++)
                printf("%" PRIu64 " " STR_FMT "\n", v->p[i].n, STR_ARG(v->p[i].key));
        vec_clear(v);
}

static void print_tops(struct analysis *a, const struct block_meta *m, int64_t limit)
{
        RankedVec v = VEC_INIT;
        double width = (double)(m->maxt_ms - m->mint_ms);
        MAP_EACH(x, &a->pairs)
        vec_push(&v, (struct ranked){x->key, (uint64_t)((double)((struct counted *)x->value)->uncovered / width)});
        print_top("Label pairs most involved in churning", &v, limit);
        MAP_EACH(x, &a->names)
        vec_push(&v, (struct ranked){x->key, (uint64_t)((double)((struct counted *)x->value)->uncovered / width)});
        print_top("Label names most involved in churning", &v, limit);
        MAP_EACH(x, &a->pairs) vec_push(&v, (struct ranked){x->key, ((struct counted *)x->value)->series});
        print_top("Most common label pairs", &v, limit);
        MAP_EACH(x, &a->names) vec_push(&v, (struct ranked){x->key, ((struct counted *)x->value)->bytes});
        print_top("Label names with highest cumulative label value length", &v, limit);
        MAP_EACH(x, &a->names) vec_push(&v, (struct ranked){x->key, ((struct counted *)x->value)->values});
        print_top("Highest cardinality labels", &v, limit);
        MAP_EACH(x, &a->pairs)
        {
                if (str_has_prefix(x->key, STR(METRIC_NAME "=")))
                        vec_push(&v, (struct ranked){str_skip(x->key, sizeof METRIC_NAME), ((struct counted *)x->value)->series});
        }
        print_top("Highest cardinality metric names", &v, limit);
        vec_done(&v);
}

static int by_number(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

static void print_histogram(const char *what, NumberVec *v, int64_t total)
{
        if (!v->n) {
                printf("%s: N/A\n\n", what);
                return;
        }
        qsort(v->p, v->n, sizeof *v->p, by_number);
        int64_t min = v->p[0], max = v->p[v->n - 1], step = 10, sum = 0, most = 0;
        while (step < (max - min) / 10 && step <= 10000)
                step *= 10;
        int64_t start = min - min % step, end = max - max % step + step;
        size_t n = (size_t)((end - start) / step + 1);
        int64_t *count = mem_zalloc(n * sizeof *count);
        for (size_t i = 0; i < v->n; i++) {
                int64_t *c = &count[(v->p[i] - start) / step];
                sum += v->p[i];
                most = MAX(most, ++*c);
        }
        printf("%s (min/avg/max): %" PRId64 "/%" PRId64 "/%" PRId64 "\n", what, min, sum / (int64_t)v->n, max);
        int left = snprintf(NULL, 0, "%" PRId64, end), right = snprintf(NULL, 0, "%" PRId64, end + step), wide = snprintf(NULL, 0, "%" PRId64, most);
        for (size_t i = 0; i < n; i++) {
                int64_t from = (int64_t)i * step + start;
                printf("[%*" PRId64 ", %*" PRId64 "]: %*" PRId64 " ", left, from + 1, right, from + step, wide, count[i]);
                for (int64_t k = 0; k < 100 * count[i] / total; k++)
                        putchar('#');
                putchar('\n');
        }
        putchar('\n');
        free(count);
}

static void print_chunks(struct analysis *a)
{
        printf("\nCompaction analysis:\n\n");
        print_histogram("samples per float chunk", &a->float_samples, a->chunks);
        print_histogram("bytes per float chunk", &a->float_bytes, a->chunks);
        print_histogram("samples per histogram chunk", &a->hist_samples, a->chunks);
        print_histogram("bytes per histogram chunk", &a->hist_bytes, a->chunks);
        print_histogram("buckets per histogram chunk", &a->hist_buckets, a->chunks);
}

/* The named block, or the youngest one by its name. */
static struct error *open_one(const char *dir, const char *id, struct block **ret)
{
        PathVec names = VEC_INIT;
        struct error *e = *id ? NULL : block_list(dir, &names);
        const char *name = *id ? id : NULL;
        uint64_t newest = 0;
        for (size_t i = 0; !e && i < names.n; i++) {
                Ulid u;
                if (ulid_parse(str_from(names.p[i]), &u) && ulid_time_ms(u) > (TimeMs)newest) {
                        newest = (uint64_t)ulid_time_ms(u);
                        name = names.p[i];
                }
        }
        if (!e && !name)
                e = error_new(ERROR_NOT_FOUND, "no blocks found");
        char *path = name ? path_join(dir, name) : NULL;
        if (!e)
                e = block_open(path, ret);
        free(path);
        path_vec_done(&names);
        return e;
}

int promtool_tsdb_analyze(const struct flags *f)
{
        struct analysis a = {.pairs = MAP_INIT};
        struct arena arena;
        MatcherVec m = VEC_INIT;
        struct block *b = NULL;
        uint64_t series = 0;
        const char *match = flags_str(f, "match");
        arena_init(&a.arena, SIZE_MAX);
        arena_init(&arena, 1 << 24);
        struct error *e = *match ? promql_parse_selector(str_from(match), &arena, &m) : NULL;
        if (!e)
                e = open_one(flags_str(f, "db path"), flags_str(f, "block id"), &b);
        if (!e)
                e = read_block(&a, b, &m, flags_bool(f, "extended"), &series);
        if (!e) {
                const struct block_meta *meta = block_get_meta(b);
                char name[ULID_TEXT_BYTES + 1];
                struct buf d = BUF_INIT(64);
                ulid_print(meta->ulid, name);
                buf_put_go_duration(&d, (meta->maxt_ms - meta->mint_ms) * 1000000);
                printf("Block ID: %s\nDuration: %s\nTotal Series: %" PRIu64 "\n", name, buf_cstr(&d), meta->stats.series);
                if (*match)
                        printf("Matcher: %s\n", match);
                printf("Label names: %zu\n", a.names.n);
                if (*match)
                        printf("Matched series: %" PRIu64 "\n", series);
                printf("Postings (unique label pairs): %zu\nPostings entries (total label pairs): %" PRIu64 "\n", a.pairs.n, a.entries);
                print_tops(&a, meta, flags_int(f, "limit"));
                if (flags_bool(f, "extended"))
                        print_chunks(&a);
                buf_done(&d);
        }
        block_unref(b);
        matcher_vec_done(&m);
        map_done(&a.pairs);
        map_done(&a.names);
        vec_done(&a.float_samples);
        vec_done(&a.float_bytes);
        vec_done(&a.hist_samples);
        vec_done(&a.hist_bytes);
        vec_done(&a.hist_buckets);
        arena_done(&a.arena);
        arena_done(&arena);
        return promtool_exit(e);
}
