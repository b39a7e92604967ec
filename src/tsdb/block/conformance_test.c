/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that the original wrote, against what its own readers said about them. */
#include <math.h>
#include <stdlib.h>

#include "base/test.h"
#include "codec/json.h"
#include "codec/float_text.h"
#include "storage/chunk/histogram.h"
#include "storage/chunk/xor.h"
#include "storage/decode.h"
#include "tsdb/block/open.h"

struct counts {
        int blocks, series, float_chunks, histogram_chunks, postings, tombstones;
};

static double number_of(Str s)
{
        char *text = str_dup(s);
        double v = strtod(text, NULL); /* staleness markers are written as NaN here */
        free(text);
        return v;
}

static void check_postings(struct index_reader *ix, const struct json *j, struct counts *c)
{
        const struct json *pair = json_get(j, STR("postings")), *refs = json_get(j, STR("refs"));
        Str name = json_str(json_at(pair, 0)), value = json_str(json_at(pair, 1));
        struct postings l;
        if (name.n)
                CHECK_OK(index_postings(ix, name, value, &l));
        else
                CHECK_OK(index_all_postings(ix, &l));
        CHECK_U64(l.n, refs->n);
        for (size_t i = 0; i < l.n; i++)
                CHECK_U64(postings_at(l, i), (uint64_t)json_i64(json_at(refs, i)));
        c->postings++;
}

/* A histogram as the decoded files have it, and as we print it: one text for both. */
static void put_numbers(struct buf *b, const char *name, const double *v, size_t n)
{
        buf_printf(b, " %s", name);
        for (size_t i = 0; i < n; i++) {
                buf_putc(b, ' ');
                buf_put_float(b, v[i], 'g');
        }
}

static void put_spans(struct buf *b, const struct span *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                buf_printf(b, " %d+%u", s[i].offset, s[i].length);
}

static void describe(struct buf *b, struct histogram_sample s, struct arena *a)
{
        struct histogram *f = NULL;
        if (s.i)
                CHECK_OK(int_histogram_to_float(a, s.i, &f));
        const struct histogram *h = s.i ? f : s.f;
        buf_clear(b);
        buf_printf(b, "%d %d", h->reset, h->schema);
        put_numbers(b, "of", (double[]){h->count, h->zero_count, h->zero_threshold}, 3);
        if (isnan(h->sum))
                buf_puts(b, " NaN");
        else
                put_numbers(b, "sum", &h->sum, 1);
        put_spans(b, h->pos.spans, h->pos.n_spans);
        put_numbers(b, "pos", h->pos.counts, h->pos.n);
        put_spans(b, h->neg.spans, h->neg.n_spans);
        put_numbers(b, "neg", h->neg.counts, h->neg.n);
        put_numbers(b, "bounds", h->bounds, h->n_bounds);
}

static double number_at(const struct json *j, const char *key)
{
        const struct json *v = json_get(j, str_from(key));
        return v && v->type == JSON_STRING ? number_of(json_str(v)) : json_f64(v);
}

static double *numbers_at(struct arena *a, const struct json *j, const char *key, bool deltas, uint32_t *n)
{
        const struct json *l = json_get(j, str_from(key));
        *n = l ? (uint32_t)l->n : 0;
        double *v = arena_array(a, double, *n + 1), sum = 0;
        for (uint32_t i = 0; i < *n; i++) {
                const struct json *x = json_at(l, i);
                v[i] = x->type == JSON_STRING ? number_of(json_str(x)) : json_f64(x);
                if (deltas)
                        v[i] = sum += v[i];
        }
        return v;
}

static const struct span *spans_at(struct arena *a, const struct json *j, const char *key, uint32_t *n)
{
        const struct json *l = json_get(j, str_from(key));
        *n = l ? (uint32_t)l->n : 0;
        struct span *s = arena_array(a, struct span, *n + 1);
        for (uint32_t i = 0; i < *n; i++)
                s[i] = (struct span){(int32_t)json_i64(json_get(json_at(l, i), STR("Offset"))), (uint32_t)json_i64(json_get(json_at(l, i), STR("Length")))};
        return s;
}

static struct histogram wanted(struct arena *a, const struct json *sample)
{
        bool is_int = json_get(sample, STR("h")) != NULL;
        const struct json *j = json_get(sample, is_int ? STR("h") : STR("fh"));
        struct histogram h = {.reset = (enum counter_reset)json_i64(json_get(j, STR("hint"))),
                              .schema = (int32_t)json_i64(json_get(j, STR("schema"))),
                              .count = number_at(j, "count"),
                              .zero_count = number_at(j, "zero_count"),
                              .zero_threshold = number_at(j, "zero_threshold"),
                              .sum = number_at(j, "sum")};
        h.pos.spans = spans_at(a, j, "pspans", &h.pos.n_spans);
        h.neg.spans = spans_at(a, j, "nspans", &h.neg.n_spans);
        h.pos.counts = numbers_at(a, j, is_int ? "pdeltas" : "pbuckets", is_int, &h.pos.n);
        h.neg.counts = numbers_at(a, j, is_int ? "ndeltas" : "nbuckets", is_int, &h.neg.n);
        h.bounds = numbers_at(a, j, "custom", false, &h.n_bounds);
        return h;
}

/* The chunk's samples are the recorded ones, and writing them gives the same bytes (but for what the header says of the chunk before). */
static void check_histogram_chunk(const struct chunk *k, const struct json *samples)
{
        struct arena a;
        arena_init(&a, 256 << 20);
        size_t n = samples->n, got;
        TimeMs *t = arena_array(&a, TimeMs, n + 1), *starts = arena_array(&a, TimeMs, n + 1);
        struct histogram_sample *s = arena_array(&a, struct histogram_sample, n + 1);
        CHECK_OK(histogram_decode_raw(k, TIME_MS_MIN, TIME_MS_MAX, &a, t, starts, s, &got));
        CHECK_U64(got, n);
        struct histogram_chunk *w = histogram_chunk_new(k->encoding), *next = NULL;
        struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
        for (size_t i = 0; i < n; i++) {
                const struct json *one = json_at(samples, i);
                struct histogram want = wanted(&a, one);
                CHECK_I64(t[i], json_i64(json_get(one, STR("t"))));
                CHECK_I64(starts[i], json_i64(json_get(one, STR("st"))));
                describe(&x, s[i], &a);
                describe(&y, (struct histogram_sample){.f = &want}, &a);
                CHECK_STRS(buf_str(&x), buf_str(&y));
                CHECK(histogram_chunk_append(w, NULL, starts[i], t[i], s[i], &next) == HISTOGRAM_APPENDED);
        }
        Str out = histogram_chunk_data(w);
        CHECK_U64(out.n, k->data.n);
        size_t at = chunk_encoding_has_start(k->encoding) ? 0 : 2;
        CHECK_U64((uint8_t)out.p[at] & 0x3fu, (uint8_t)k->data.p[at] & 0x3fu);
        CHECK(memcmp(out.p, k->data.p, at) == 0 && memcmp(out.p + at + 1, k->data.p + at + 1, out.n - at - 1) == 0);
        histogram_chunk_free(w);
        buf_done(&x);
        buf_done(&y);
        arena_done(&a);
}

static void check_chunk(struct block *b, const struct index_chunk *got, const struct json *j, struct counts *c)
{
        CHECK_U64(got->ref, (uint64_t)json_i64(json_get(j, STR("ref"))));
        CHECK_I64(got->mint_ms, json_i64(json_get(j, STR("mint"))));
        CHECK_I64(got->maxt_ms, json_i64(json_get(j, STR("maxt"))));
        struct chunk k = {.mint_ms = got->mint_ms, .maxt_ms = got->maxt_ms};
        CHECK_OK(chunk_files_get(b->chunks, got->ref, &k));
        CHECK_I64(k.encoding, json_i64(json_get(j, STR("encoding_byte"))));
        CHECK_I64((int64_t)k.data.n, json_i64(json_get(j, STR("bytes"))));
        CHECK_I64((int64_t)chunk_samples(k.encoding, k.data), json_i64(json_get(j, STR("num_samples"))));
        struct series s = {.chunks = &k, .n_chunks = 1};
        const struct json *samples = json_get(j, STR("samples"));
        if (!chunk_encoding_is_float(k.encoding)) {
                check_histogram_chunk(&k, samples);
                c->histogram_chunks++;
                return;
        }
        struct samples out = SAMPLES_INIT;
        CHECK_OK(series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &out));
        CHECK_U64(out.n, samples->n);
        for (size_t i = 0; i < out.n; i++) {
                const struct json *one = json_at(samples, i);
                CHECK_I64(out.t[i], json_i64(json_at(one, 0)));
                CHECK_F64(out.v[i], number_of(json_str(json_at(one, 1))));
        }
        samples_done(&out);
        c->float_chunks++;
}

static void check_series(struct block *b, const struct json *j, struct arena *a, struct counts *c)
{
        const struct json *labels = json_get(j, STR("labels")), *chunks = json_get(j, STR("chunks"));
        Labels ls;
        struct index_chunk *k;
        size_t n;
        CHECK_OK(index_series(b->index, (uint64_t)json_i64(json_get(j, STR("series_ref"))), a, NULL, &ls, &k, &n));
        CHECK_U64(ls.n, labels->n);
        for (size_t i = 0; i < ls.n; i++)
                CHECK_STRS(ls.v[i].value, json_str(json_get(labels, ls.v[i].name)));
        CHECK_U64(n, chunks->n);
        for (size_t i = 0; i < n; i++)
                check_chunk(b, &k[i], json_at(chunks, i), c);
        c->series++;
}

static void check_line(struct block *b, const struct json *j, struct arena *a, struct counts *c)
{
        const struct json *toc = json_get(j, STR("toc")), *symbols = json_get(j, STR("symbols")),
                          *stone = json_get(j, STR("tombstone"));
        if (toc) {
                const struct index_toc *got = index_get_toc(b->index);
                CHECK_I64((int64_t)got->symbols, json_i64(json_get(toc, STR("symbols"))));
                CHECK_I64((int64_t)got->series, json_i64(json_get(toc, STR("series"))));
                CHECK_I64((int64_t)got->postings_table, json_i64(json_get(toc, STR("postings_table"))));
                CHECK_I64(index_version(b->index), json_i64(json_get(j, STR("index_version"))));
        } else if (symbols) {
                CHECK_U64(index_symbol_count(b->index), symbols->n);
                for (size_t i = 0; i < symbols->n; i++) {
                        Str s;
                        CHECK_OK(index_symbol(b->index, (uint32_t)i, &s));
                        CHECK_STRS(s, json_str(json_at(symbols, i)));
                }
        } else if (stone) {
                size_t n;
                const struct interval *d = tombstones_get(&b->stones->t, (uint64_t)json_i64(json_at(stone, 0)), &n);
                bool has = false;
                for (size_t i = 0; i < n; i++)
                        has |= d[i].mint_ms == json_i64(json_at(stone, 1)) &&
                               d[i].maxt_ms == json_i64(json_at(stone, 2));
                CHECK(has);
                c->tombstones++;
        } else if (json_get(j, STR("postings"))) {
                check_postings(b->index, j, c);
        } else if (json_get(j, STR("series_ref"))) {
                check_series(b, j, a, c);
        } else {
                CHECK_MSG(false, "a line of no known kind");
        }
}

static void check_block(const char *set, const char *file, struct counts *c)
{
        struct arena a;
        arena_init(&a, SIZE_MAX);
        Str ulid = str_sub(str_from(file), 6, 6 + ULID_TEXT_BYTES);
        struct buf path = BUF_INIT(4096);
        buf_printf(&path, "%s/data/" STR_FMT, set, STR_ARG(ulid));
        char *dir = buf_take(&path);
        struct block *b;
        CHECK_OK(block_open(dir, &b));
        buf_printf(&path, "%s/decoded/%s", set, file);
        char *text;
        size_t n;
        CHECK_OK(file_read(buf_cstr(&path), 1 << 28, &text, &n));
        Str rest = {text, n}, line;
        while (str_next(&rest, '\n', &line)) {
                const struct json *j;
                if (!line.n)
                        continue;
                CHECK_OK(json_parse(line, &a, &j));
                check_line(b, j, &a, c);
        }
        CHECK_U64(block_get_meta(b)->stats.tombstones, block_tombstones(b));
        c->blocks++;
        free(text);
        free(dir);
        buf_done(&path);
        block_unref(b);
        arena_done(&a);
}

TEST(block_conformance, reads_blocks_of_the_original)
{
        char *root = conformance_path("tsdb");
        struct counts c = {0};
        PathVec sets = VEC_INIT;
        CHECK_OK(dir_list(root, &sets));
        for (size_t i = 0; i < sets.n; i++) {
                char *set = path_join(root, sets.p[i]), *decoded = path_join(set, "decoded");
                PathVec files = VEC_INIT;
                if (file_exists(decoded))
                        CHECK_OK(dir_list(decoded, &files));
                for (size_t k = 0; k < files.n; k++)
                        if (str_has_prefix(str_from(files.p[k]), STR("block.")))
                                check_block(set, files.p[k], &c);
                path_vec_done(&files);
                free(set);
                free(decoded);
        }
        path_vec_done(&sets);
        free(root);
        CHECK(c.blocks >= 12 && c.series > 100 && c.float_chunks > 100 && c.histogram_chunks > 10 && c.postings > 100 &&
              c.tombstones > 3);
}

TEST(block_conformance, a_torn_index_is_refused_and_stays)
{
        char *dir = conformance_path("tsdb/damaged/block_index_torn/data/01M81WKQR26Q7XTPSB9GRE8EKD");
        char *path = path_join(dir, "index");
        struct index_reader *ix;
        struct buf want = BUF_INIT(4096);
        buf_printf(&want, "%s: table of contents: invalid checksum", path);
        CHECK_ERROR(index_open(path, &ix), buf_cstr(&want));
        buf_done(&want);
        free(path);
        free(dir);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
        char *from = path_join(from_dir, name), *to = path_join(to_dir, name), *p;
        size_t n;
        CHECK_OK(file_read(from, 1 << 24, &p, &n));
        CHECK_OK(file_replace(to, (Str){p, n}));
        free(p);
        free(from);
        free(to);
}

TEST(block_conformance, reads_version_1)
{
        char *dir = conformance_path("tsdb/upstream/index_format_v1");
        struct block *b;
        CHECK_OK(block_open(dir, &b));
        CHECK_I64(index_version(block_get_index(b)), 1);
        struct arena arena, scratch;
        arena_init(&arena, SIZE_MAX);
        arena_init(&scratch, SIZE_MAX);
        struct series_set *set;
        struct samples out = SAMPLES_INIT;
        uint64_t series = 0, samples = 0;
        CHECK_OK(block_scan(b, &arena, &scratch, &set));
        for (;;) {
                struct series s;
                bool more;
                CHECK_OK(series_set_next(set, &s, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &out));
                series++;
                samples += out.n;
                /* Each is found by its own labels. */
                struct matcher *m[16];
                for (size_t i = 0; i < s.labels.n && i < 16; i++)
                        CHECK_OK(matcher_new(MATCH_EQ, s.labels.v[i].name, s.labels.v[i].value, &m[i]));
                struct index_selection sel;
                CHECK_OK(index_select(b->index, (const struct matcher *const *)m, MIN(s.labels.n, (size_t)16), &arena,
                                      &sel));
                CHECK(sel.n >= 1);
                for (size_t i = 0; i < s.labels.n && i < 16; i++)
                        matcher_free(m[i]);
        }
        CHECK_U64(series, block_get_meta(b)->stats.series);
        CHECK_U64(samples, block_get_meta(b)->stats.samples);
        for (size_t i = 0; i < index_name_count(b->index); i++) {
                struct index_values it = index_values_from(b->index, i, (Str){0});
                Str v, last = {0};
                size_t n = 0;
                while (index_values_next(&it, &v)) {
                        CHECK(str_cmp(last, v) < 0);
                        last = v;
                        n++;
                }
                CHECK_U64(n, index_value_count(b->index, i));
        }
        samples_done(&out);
        arena_done(&arena);
        arena_done(&scratch);
        block_unref(b);
        free(dir);
}

TEST(block_conformance, repairs_the_version_of_2_1)
{
        char *from = conformance_path("tsdb/upstream/repair_index_version/01BZJ9WJQPWHGNC2W4J9TA62KC");
        const char *dir = test_dir();
        copy_file(from, dir, "index");
        copy_file(from, dir, BLOCK_META_FILE);
        struct block_meta m;
        struct index_reader *ix;
        struct error *e = block_meta_read(dir, &m);
        CHECK(error_is(e, ERROR_CORRUPT));
        error_free(e);
        bool repaired;
        CHECK_OK(block_repair_version(dir, &repaired));
        CHECK(repaired);
        CHECK_OK(block_repair_version(dir, &repaired));
        CHECK(!repaired);
        CHECK_OK(block_meta_read(dir, &m));
        block_meta_done(&m);
        char *path = path_join(dir, "index");
        CHECK_OK(index_open(path, &ix));
        struct postings l;
        struct arena a;
        arena_init(&a, SIZE_MAX);
        CHECK_OK(index_postings(ix, STR("b"), STR("1"), &l));
        CHECK_U64(l.n, 2);
        for (size_t i = 0; i < l.n; i++) {
                Labels ls;
                struct index_chunk *c;
                size_t n;
                CHECK_OK(index_series(ix, postings_at(l, i), &a, NULL, &ls, &c, &n));
                CHECK(ls.n == 2 && n == 0);
        }
        index_close(ix);
        arena_done(&a);
        free(path);
        free(from);
}
