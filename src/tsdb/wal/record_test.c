/* SPDX-License-Identifier: Apache-2.0 */
/* Record by record: our own bytes, and logs that the original wrote against what its own decoder said. */
#include "tsdb/wal/record_histogram.h"

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "tsdb/wal/reader.h"

TEST(record, samples_have_these_bytes)
{
        struct buf b = BUF_INIT(1000);
        struct samples_encoder enc = record_samples_begin(&b, 5, 1000);
        record_samples_add(&enc, &b, 5, 1000, 1.0);
        record_samples_add(&enc, &b, 4, 1001, 2.0);
        static const char want[] = "\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\x03\xe8"
                                   "\0\0\x3f\xf0\0\0\0\0\0\0"
                                   "\x01\x02\x40\0\0\0\0\0\0";
        CHECK_STRS(buf_str(&b), ((Str){want, sizeof want}));
        RecordSampleVec v = VEC_INIT;
        CHECK_OK(record_samples(buf_str(&b), &v));
        CHECK_U64(v.n, 2);
        CHECK_U64(v.p[1].ref, 4);
        CHECK_I64(v.p[1].t, 1001);
        CHECK_F64(v.p[1].v, 2);
        for (size_t n = 1; n + 1 < sizeof want; n++) { /* every cut is damage, or fewer whole samples */
                vec_clear(&v);
                struct error *e = record_samples((Str){want, n}, &v);
                CHECK(e ? error_is(e, ERROR_CORRUPT) : v.n < 2);
                error_free(e);
        }
        vec_done(&v);
        buf_done(&b);
}

TEST(record, series_and_tombstones_come_back)
{
        struct buf b = BUF_INIT(1000);
        record_series_begin(&b);
        record_series_add(&b, 7, (Labels){(Label[]){{STR("a"), STR("1")}, {STR("b"), STR("\xff\0x")}}, 2});
        record_series_add(&b, 1ULL << 60, (Labels){NULL, 0});
        struct record_series_iter it;
        bool more;
        record_series_iter_init(&it);
        CHECK_OK(record_series_open(&it, buf_str(&b)));
        CHECK_OK(record_series_next(&it, &more));
        CHECK(more && it.ref == 7 && it.labels.n == 2);
        CHECK_STRS(it.labels.p[1].value, STR("\xff\0x"));
        CHECK_OK(record_series_next(&it, &more));
        CHECK(more && it.ref == 1ULL << 60 && it.labels.n == 0);
        CHECK_OK(record_series_next(&it, &more));
        CHECK(!more);
        CHECK_OK(record_series_open(&it, (Str){b.p, 14}));
        CHECK_ERROR(record_series_next(&it, &more), "decode series: invalid size");
        record_series_iter_done(&it);

        buf_clear(&b);
        record_tombstones_begin(&b);
        record_tombstones_add(&b, (struct record_tombstone){3, INT64_MIN, INT64_MAX});
        record_tombstones_add(&b, (struct record_tombstone){4, -1, 1});
        RecordTombstoneVec t = VEC_INIT;
        CHECK_OK(record_tombstones(buf_str(&b), &t));
        CHECK(t.n == 2 && t.p[0].mint_ms == INT64_MIN && t.p[0].maxt_ms == INT64_MAX && t.p[1].mint_ms == -1);
        vec_done(&t);
        buf_done(&b);
}

TEST(record, unknown_types_are_named)
{
        CHECK(record_type(STR("")) == RECORD_UNKNOWN);
        CHECK(record_type(STR("\0")) == RECORD_UNKNOWN);
        CHECK(record_type(STR("\x0e")) == RECORD_UNKNOWN);
        CHECK_STR(str_from(record_type_name(RECORD_UNKNOWN)), "unknown");
        CHECK_STR(str_from(record_type_name(RECORD_SAMPLES_V2)), "samples_v2");
}

/* ---- what the original wrote ---- */

static void check_value(double got, const struct json *want)
{
        Str s = json_str(want);
        double v;
        if (str_eq(s, STR("NaN")) || str_eq(s, STR("StaleNaN")))
                CHECK(got != got);
        else {
                char *text = str_dup(s);
                v = strtod(text, NULL);
                free(text);
                CHECK_F64(got, v);
        }
}

static void check_labels(Labels got, const struct json *want)
{
        CHECK_U64(got.n, want->n);
        for (size_t i = 0; i < got.n; i++)
                CHECK_STRS(got.v[i].value, json_str(json_get(want, got.v[i].name)));
}

static void check_samples(Str rec, const struct json *want)
{
        RecordSampleVec v = VEC_INIT;
        CHECK_OK(record_samples(rec, &v));
        CHECK_U64(v.n, want->n);
        for (size_t i = 0; i < v.n; i++) {
                const struct json *s = json_at(want, i);
                CHECK_U64(v.p[i].ref, (uint64_t)json_i64(json_at(s, 0)));
                CHECK_I64(v.p[i].t, json_i64(json_at(s, 1)));
                check_value(v.p[i].v, json_at(s, 2));
        }
        vec_done(&v);
}

static void check_series(Str rec, const struct json *want)
{
        struct record_series_iter it;
        record_series_iter_init(&it);
        CHECK_OK(record_series_open(&it, rec));
        size_t n = 0;
        for (bool more;; n++) {
                CHECK_OK(record_series_next(&it, &more));
                if (!more)
                        break;
                const struct json *s = json_at(want, n);
                CHECK_U64(it.ref, (uint64_t)json_i64(json_get(s, STR("ref"))));
                check_labels((Labels){it.labels.p, it.labels.n}, json_get(s, STR("labels")));
        }
        CHECK_U64(n, want->n);
        record_series_iter_done(&it);
}

static void check_tombstones(Str rec, const struct json *want)
{
        RecordTombstoneVec v = VEC_INIT;
        CHECK_OK(record_tombstones(rec, &v));
        CHECK_U64(v.n, want->n);
        for (size_t i = 0; i < v.n; i++) {
                const struct json *s = json_at(want, i);
                CHECK_U64(v.p[i].ref, (uint64_t)json_i64(json_at(s, 0)));
                CHECK_I64(v.p[i].mint_ms, json_i64(json_at(s, 1)));
                CHECK_I64(v.p[i].maxt_ms, json_i64(json_at(s, 2)));
        }
        vec_done(&v);
}

static void check_exemplars(Str rec, const struct json *want)
{
        RecordExemplarVec v = VEC_INIT;
        CHECK_OK(record_exemplars_decode(rec, &v));
        CHECK_U64(v.n, want->n);
        for (size_t i = 0; i < v.n; i++) {
                const struct json *s = json_at(want, i);
                CHECK_U64(v.p[i].ref, (uint64_t)json_i64(json_get(s, STR("ref"))));
                CHECK_I64(v.p[i].t, json_i64(json_get(s, STR("t"))));
                check_value(v.p[i].v, json_get(s, STR("v")));
        }
        struct buf again = BUF_INIT(1 << 20);
        record_exemplars(&again, v.p, v.n);
        CHECK_STRS(buf_str(&again), rec);
        buf_done(&again);
        vec_done(&v);
}

static void check_metadata(Str rec, const struct json *want)
{
        RecordMetadataVec v = VEC_INIT;
        CHECK_OK(record_metadata(rec, &v));
        CHECK_U64(v.n, want->n);
        for (size_t i = 0; i < v.n; i++) {
                const struct json *s = json_at(want, i);
                CHECK_U64(v.p[i].ref, (uint64_t)json_i64(json_get(s, STR("ref"))));
                CHECK_I64(v.p[i].type, json_i64(json_get(s, STR("type"))));
                CHECK_STRS(v.p[i].unit, json_str(json_get(s, STR("unit"))));
                CHECK_STRS(v.p[i].help, json_str(json_get(s, STR("help"))));
        }
        vec_done(&v);
}

/* A histogram as text, of ours and of the file's. */
static void put_list(struct buf *b, const struct json *l)
{
        for (size_t i = 0; l && i < l->n; i++) {
                const struct json *x = json_at(l, i);
                if (x->type == JSON_OBJECT)
                        buf_printf(b, " " STR_FMT "+" STR_FMT, STR_ARG(json_get(x, STR("Offset"))->text),
                                   STR_ARG(json_get(x, STR("Length"))->text));
                else
                        buf_printf(b, " " STR_FMT, STR_ARG(x->text));
        }
        buf_putc(b, ';');
}

static void put_spans(struct buf *b, const struct span *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                buf_printf(b, " %d+%u", s[i].offset, s[i].length);
        buf_putc(b, ';');
}

static void put_floats(struct buf *b, const double *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                buf_putc(b, ' ');
                buf_put_float(b, v[i], 'g');
        }
        buf_putc(b, ';');
}

static void put_record(struct buf *b, const struct record_histogram *x)
{
        buf_printf(b, "%llu %lld from %lld ", (unsigned long long)x->ref, (long long)x->t, (long long)x->start);
        if (x->h.i) {
                const struct int_histogram *h = x->h.i;
                buf_printf(b, "hint %d schema %d %llu %llu;", h->reset, h->schema, (unsigned long long)h->count,
                           (unsigned long long)h->zero_count);
                put_spans(b, h->pos.spans, h->pos.n_spans);
                put_spans(b, h->neg.spans, h->neg.n_spans);
                for (size_t i = 0; i < h->pos.n; i++)
                        buf_printf(b, " %lld", (long long)h->pos.deltas[i]);
                buf_putc(b, ';');
                for (size_t i = 0; i < h->neg.n; i++)
                        buf_printf(b, " %lld", (long long)h->neg.deltas[i]);
                buf_putc(b, ';');
                put_floats(b, h->bounds, h->n_bounds);
        } else {
                const struct histogram *h = x->h.f;
                buf_printf(b, "hint %d schema %d ", h->reset, h->schema);
                buf_put_float(b, h->count, 'g');
                buf_putc(b, ' ');
                buf_put_float(b, h->zero_count, 'g');
                buf_putc(b, ';');
                put_spans(b, h->pos.spans, h->pos.n_spans);
                put_spans(b, h->neg.spans, h->neg.n_spans);
                put_floats(b, h->pos.counts, h->pos.n);
                put_floats(b, h->neg.counts, h->neg.n);
                put_floats(b, h->bounds, h->n_bounds);
        }
}

static void put_wanted(struct buf *b, const struct json *x)
{
        const struct json *h = json_get(x, STR("h"));
        bool is_int = h != NULL;
        if (!h)
                h = json_get(x, STR("fh"));
        buf_printf(b, STR_FMT " " STR_FMT " from " STR_FMT " ", STR_ARG(json_get(x, STR("ref"))->text),
                   STR_ARG(json_get(x, STR("t"))->text), STR_ARG(json_get(x, STR("st"))->text));
        buf_printf(b, "hint " STR_FMT " schema " STR_FMT " " STR_FMT " " STR_FMT ";",
                   STR_ARG(json_get(h, STR("hint"))->text), STR_ARG(json_get(h, STR("schema"))->text),
                   STR_ARG(json_get(h, STR("count"))->text), STR_ARG(json_get(h, STR("zero_count"))->text));
        put_list(b, json_get(h, STR("pspans")));
        put_list(b, json_get(h, STR("nspans")));
        put_list(b, json_get(h, is_int ? STR("pdeltas") : STR("pbuckets")));
        put_list(b, json_get(h, is_int ? STR("ndeltas") : STR("nbuckets")));
        put_list(b, json_get(h, STR("custom")));
}

/* They say what the original's reader said, and those without start times are written again byte for byte. */
static void check_histograms(Str rec, const struct json *want)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        RecordHistogramVec v = VEC_INIT;
        struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
        CHECK_OK(record_histograms(rec, &a, &v));
        CHECK_U64(v.n, want->n);
        for (size_t i = 0; i < v.n; i++) {
                buf_clear(&x);
                buf_clear(&y);
                put_record(&x, &v.p[i]);
                put_wanted(&y, json_at(want, i));
                CHECK_STRS(buf_str(&x), buf_str(&y));
        }
        buf_clear(&x);
        enum record_type type = record_type(rec);
        if (type != RECORD_HISTOGRAMS_V2 && type != RECORD_FLOAT_HISTOGRAMS_V2) {
                CHECK(record_histograms_put(&x, type, v.p, v.n));
                CHECK(str_eq(buf_str(&x), rec));
        }
        /* and cut anywhere it is damaged, or shorter */
        for (size_t n = 1; n < rec.n; n += 3) {
                char *copy = mem_memdup(rec.p, n);
                vec_clear(&v);
                struct error *e = record_histograms((Str){copy, n}, &a, &v);
                CHECK(e || v.n < want->n);
                error_free(e);
                free(copy);
        }
        vec_done(&v);
        buf_done(&x);
        buf_done(&y);
        arena_done(&a);
}

/* Returns the records compared. */
static size_t compare_log(const char *set, const char *dir, const char *decoded)
{
        char *base = conformance_path(set);
        char *data = path_join(base, dir), *text_path = path_join(base, decoded), *text;
        size_t n_text, n = 0;
        CHECK_OK(file_read(text_path, 256 << 20, &text, &n_text));
        Str rest = {text, n_text}, line;
        struct wal_reader *r;
        CHECK_OK(wal_reader_open(data, 0, WAL_ALL_SEGMENTS, &r));
        struct arena a;
        arena_init(&a, 1 << 30);
        for (;; n++) {
                Str rec;
                bool more;
                CHECK_OK(wal_reader_next(r, &rec, &more));
                if (!more)
                        break;
                CHECK(str_next(&rest, '\n', &line));
                const struct json *j;
                CHECK_OK(json_parse(line, &a, &j));
                CHECK_I64(wal_reader_segment(r), json_i64(json_get(j, STR("segment"))));
                CHECK_U64(wal_reader_offset(r), (uint64_t)json_i64(json_get(j, STR("end_offset"))));
                CHECK_I64(record_type(rec), json_i64(json_get(j, STR("type_byte"))));
                CHECK_U64(rec.n, (uint64_t)json_i64(json_get(j, STR("len"))));
                switch (record_type(rec)) {
                case RECORD_SERIES:
                        check_series(rec, json_get(j, STR("series")));
                        break;
                case RECORD_SAMPLES:
                case RECORD_SAMPLES_V2:
                        check_samples(rec, json_get(j, STR("samples")));
                        break;
                case RECORD_TOMBSTONES:
                        check_tombstones(rec, json_get(j, STR("tombstones")));
                        break;
                case RECORD_EXEMPLARS:
                        check_exemplars(rec, json_get(j, STR("exemplars")));
                        break;
                case RECORD_METADATA:
                        check_metadata(rec, json_get(j, STR("metadata")));
                        break;
                default:
                        if (record_is_histogram(record_type(rec)))
                                check_histograms(rec, json_get(j, STR("histograms"))
                                                              ? json_get(j, STR("histograms"))
                                                              : json_get(j, STR("float_histograms")));
                        break;
                }
                arena_clear(&a);
        }
        while (str_next(&rest, '\n', &line))
                CHECK_MSG(line.n == 0, "the log has fewer records than were decoded");
        wal_reader_close(r);
        arena_done(&a);
        free(text);
        free(text_path);
        free(data);
        free(base);
        return n;
}

TEST(record, logs_of_the_original_read_as_it_reads_them)
{
        CHECK(compare_log("tsdb/killed", "data/wal", "decoded/wal.jsonl") > 100);
        CHECK(compare_log("tsdb/killed", "data/wal/checkpoint.00000001", "decoded/checkpoint.00000001.jsonl") > 1);
        CHECK(compare_log("tsdb/killed", "data/wbl", "decoded/wbl.jsonl") > 1);
        CHECK(compare_log("tsdb/mmapped_clean", "data/wal", "decoded/wal.jsonl") > 1);
        CHECK(compare_log("tsdb/st", "data/wal", "decoded/wal.jsonl") > 40);
}
