/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/snapshot.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "codec/varint.h"
#include "tsdb/head/private.h"
#include "tsdb/wal/record.h"

#define PREFIX   "chunk_snapshot."
#define OUR_FILE "coeus"
enum { OUR_FILE_MAX = 1 << 30, BATCH_BYTES = 1 << 20, TOMBSTONES_FORMAT = 1, EXEMPLARS_EACH = 10000 /* of a record */ };

/* ---- records ---- */

struct error *snapshot_parse_series(Str rec, LabelVec *labels, struct snapshot_series *ret)
{
        struct cursor c = cursor_of(rec);
        struct snapshot_series s = {.ref = 0};
        if (take_u8(&c) != SNAPSHOT_SERIES)
                return error_new(ERROR_CORRUPT, "invalid record type");
        s.ref = take_be64(&c);
        uint64_t n = take_uvarint(&c);
        for (uint64_t i = 0; i < n && !c.bad; i++) {
                Str name = take_uvarint_str(&c), value = take_uvarint_str(&c);
                if (!c.bad)
                        vec_push(labels, (Label){name, value});
        }
        take_be64(&c); /* was a chunk range once */
        s.has_chunk = take_uvarint(&c) != 0;
        if (s.has_chunk) {
                s.chunk.mint_ms = (TimeMs)take_be64(&c);
                s.chunk.maxt_ms = (TimeMs)take_be64(&c);
                s.chunk.encoding = (enum chunk_encoding)take_u8(&c);
                s.chunk.data = take_uvarint_str(&c);
                if (s.chunk.encoding == CHUNK_XOR || s.chunk.encoding == CHUNK_XOR2) {
                        take_str(&c, 7 * 8); /* was three samples before the newest, and its time */
                        s.last_v = take_be64(&c);
                } else if (!chunk_encoding_is_histogram(s.chunk.encoding)) {
                        return error_new(ERROR_CORRUPT, "invalid chunk encoding %d", (int)s.chunk.encoding);
                } /* else the newest histogram follows, which the chunk has too */
        }
        if (c.bad)
                return error_new(ERROR_CORRUPT, "decode series of a snapshot: invalid size");
        *ret = s;
        return NULL;
}

struct error *snapshot_parse_tombstones(Str rec, SnapshotTombstoneVec *ret)
{
        struct cursor outer = cursor_of(rec);
        if (take_u8(&outer) != SNAPSHOT_TOMBSTONES)
                return error_new(ERROR_CORRUPT, "invalid record type");
        struct cursor c = cursor_of(take_uvarint_str(&outer));
        if (outer.bad || take_u8(&c) != TOMBSTONES_FORMAT)
                return error_new(ERROR_CORRUPT, "decode tombstones of a snapshot: invalid format");
        while (c.p < c.end) {
                struct snapshot_tombstone t = {.ref = take_uvarint(&c)};
                t.range.mint_ms = take_varint(&c);
                t.range.maxt_ms = take_varint(&c);
                if (c.bad)
                        return error_new(ERROR_CORRUPT, "decode tombstones of a snapshot: invalid size");
                vec_push(ret, t);
        }
        return NULL;
}

static void put_str(struct buf *b, Str s)
{
        buf_put_uvarint(b, s.n);
        buf_put(b, s);
}

/* Upstream wants to know the newest histogram too. False: the chunk cannot be read. */
static bool put_last_histogram(struct buf *b, const struct series_slot *s)
{
        struct arena a;
        struct chunk c = {.mint_ms = s->open_mint_ms,
                          .maxt_ms = s->app.t,
                          .encoding = series_open_encoding(s),
                          .data = series_open_data(s)};
        size_t n = chunk_samples(c.encoding, c.data);
        arena_init(&a, 64 << 20);
        TimeMs *t = arena_array(&a, TimeMs, n + 1);
        struct histogram_sample *x = arena_array(&a, struct histogram_sample, n + 1);
        struct error *e = histogram_decode_raw(&c, TIME_MS_MIN, TIME_MS_MAX, &a, t, NULL, x, &n);
        bool ok = !e && n > 0;
        if (ok)
                record_histogram_body_put(b, x[n - 1]);
        error_free(e);
        arena_done(&a);
        return ok;
}

static void put_chunk(struct buf *b, const struct series_slot *s)
{
        size_t from = b->n;
        if (!s->open) {
                buf_put_uvarint(b, 0);
                return;
        }
        enum chunk_encoding encoding = series_open_encoding(s);
        buf_put_uvarint(b, 1);
        buf_put_be64(b, (uint64_t)s->open_mint_ms);
        buf_put_be64(b, (uint64_t)s->app.t);
        buf_putc(b, (char)encoding);
        put_str(b, series_open_data(s));
        if (!chunk_encoding_is_histogram(encoding)) {
                for (int i = 0; i < 7; i++)
                        buf_put_be64(b, 0);
                buf_put_be64(b, s->app.v_bits);
        } else if (!put_last_histogram(b, s)) {
                b->n = from;
                buf_put_uvarint(b, 0);
        }
}

static void put_series(struct buf *b, const struct head *h, const struct series_slot *s)
{
        buf_putc(b, SNAPSHOT_SERIES);
        buf_put_be64(b, s->wal_ref);
        buf_put_uvarint(b, s->n_pairs);
        for (size_t i = 0; i < s->n_pairs; i++) {
                put_str(b, pair_name(&h->index, s->pairs[i]));
                put_str(b, pair_value(&h->index, s->pairs[i]));
        }
        buf_put_be64(b, 0);
        put_chunk(b, s);
}

static void put_tombstones(struct buf *b, const struct head *h)
{
        struct buf body = BUF_INIT(BUF_NO_LIMIT);
        buf_putc(&body, TOMBSTONES_FORMAT);
        for (size_t i = 0; i < h->tombstones.series.n; i++) {
                const struct tombstone *t = &h->tombstones.series.p[i];
                for (size_t k = 0; k < t->intervals.n; k++) {
                        buf_put_uvarint(&body, series_at(h, (uint32_t)t->ref)->wal_ref);
                        buf_put_varint(&body, t->intervals.p[k].mint_ms);
                        buf_put_varint(&body, t->intervals.p[k].maxt_ms);
                }
        }
        buf_putc(b, SNAPSHOT_TOMBSTONES);
        put_str(b, buf_str(&body));
        buf_done(&body);
}

struct exemplars_out {
        const struct head *h;
        struct wal_batch *batch;
        RecordExemplarVec waiting;
        struct buf labels;      /* of these, which point into it by offset until they are written */
};

static struct error *flush_exemplars(struct exemplars_out *o)
{
        if (!o->waiting.n)
                return NULL;
        struct buf rec = BUF_INIT(BUF_NO_LIMIT);
        size_t at = 0;
        for (size_t i = 0; i < o->waiting.n; i++) {
                o->waiting.p[i].labels.p = o->labels.p + at;
                at += o->waiting.p[i].labels.n;
        }
        record_exemplars(&rec, o->waiting.p, o->waiting.n);
        rec.p[0] = SNAPSHOT_EXEMPLARS;
        struct error *e = wal_batch_add(o->batch, buf_str(&rec));
        buf_done(&rec);
        vec_clear(&o->waiting);
        buf_clear(&o->labels);
        return e;
}

static struct error *put_exemplar(void *ctx, Labels series, const struct exemplar *x)
{
        struct exemplars_out *o = ctx;
        uint32_t slot = series_find(o->h, series);
        if (slot == UINT32_MAX) /* of a series that is gone */
                return NULL;
        size_t from = o->labels.n;
        record_labels_put(&o->labels, x->labels);
        vec_push(&o->waiting, (struct record_exemplar){.ref = series_at(o->h, slot)->wal_ref,
                                                       .t = x->t,
                                                       .v = x->value,
                                                       .labels = {NULL, o->labels.n - from}});
        return o->waiting.n == EXEMPLARS_EACH ? flush_exemplars(o) : NULL;
}

static struct error *put_exemplars(struct head *h, struct wal_batch *batch)
{
        struct exemplars_out o = {.h = h, .batch = batch};
        buf_init(&o.labels, BUF_NO_LIMIT);
        struct error *e = exemplars_each(h->exemplars, put_exemplar, &o);
        if (!e)
                e = flush_exemplars(&o);
        vec_done(&o.waiting);
        buf_done(&o.labels);
        return e;
}

/* ---- the file of ours ---- */

static void put_our_file(struct buf *b, const struct head *h)
{
        int seq;
        uint64_t bytes;
        mapper_newest(h->mapper, &seq, &bytes);
        buf_printf(b, "version 1\nnext_ref %llu\nchunk_file %d %llu\n", (unsigned long long)h->next_wal_ref, seq,
                   (unsigned long long)bytes);
        for (size_t i = 0; i < h->expiries.n; i++)
                buf_printf(b, "keep %llu %lld\n", (unsigned long long)h->expiries.p[i].ref,
                           (long long)h->expiries.p[i].keep_until_ms);
        buf_puts(b, "end\n");
}

static bool parse_two(Str rest, uint64_t *ret_a, int64_t *ret_b)
{
        Str a;
        return str_next(&rest, ' ', &a) && str_to_u64(a, ret_a) && str_to_i64(rest, ret_b);
}

static bool parse_line(Str line, struct snapshot *s, bool *ended)
{
        uint64_t a;
        int64_t b;
        if (str_eq(line, STR("end")))
                return *ended = true;
        if (str_has_prefix(line, STR("next_ref ")))
                return str_to_u64(str_skip(line, 9), &s->next_ref);
        if (str_has_prefix(line, STR("chunk_file "))) {
                if (!parse_two(str_skip(line, 11), &a, &b) || a > INT_MAX || b < 0)
                        return false;
                s->chunk_file = (int)a;
                s->chunk_file_bytes = (uint64_t)b;
                return true;
        }
        if (str_has_prefix(line, STR("keep "))) {
                if (!parse_two(str_skip(line, 5), &a, &b))
                        return false;
                vec_push(&s->keep, (struct snapshot_keep){a, b});
                return true;
        }
        return false;
}

static struct error *read_our_file(struct snapshot *s)
{
        char *path = path_join(s->dir, OUR_FILE), *text;
        size_t n;
        if (!file_exists(path)) {
                free(path);
                return NULL;
        }
        struct error *e = file_read(path, OUR_FILE_MAX, &text, &n);
        if (!e) {
                Str rest = {text, n}, line;
                bool ended = false, ok = str_next(&rest, '\n', &line) && str_eq(line, STR("version 1"));
                while (ok && !ended && str_next(&rest, '\n', &line))
                        ok = parse_line(line, s, &ended);
                if (!ok || !ended)
                        e = error_new(ERROR_CORRUPT, "%s: not understood", path);
                s->is_ours = !e;
                free(text);
        }
        free(path);
        return e;
}

/* ---- directories ---- */

static bool parse_name(Str name, int *ret_segment, uint64_t *ret_offset)
{
        if (!str_has_prefix(name, STR(PREFIX)))
                return false;
        Str rest = str_skip(name, strlen(PREFIX)), segment;
        uint64_t n;
        if (!str_next(&rest, '.', &segment) || !str_to_u64(segment, &n) || n > INT_MAX || !str_to_u64(rest, ret_offset))
                return false;
        *ret_segment = (int)n;
        return true;
}

bool snapshot_is_temp(Str name)
{
        return str_has_prefix(name, STR(PREFIX)) && str_has_suffix(name, STR(".tmp"));
}

struct error *snapshot_find(const char *dir, struct snapshot *ret)
{
        struct snapshot s = {.dir = NULL};
        PathVec names = VEC_INIT;
        struct error *e = dir_list(dir, &names);
        const char *best = NULL;
        for (size_t i = 0; !e && i < names.n; i++) {
                int segment;
                uint64_t offset;
                if (!parse_name(str_from(names.p[i]), &segment, &offset))
                        continue;
                if (best && (segment < s.segment || (segment == s.segment && offset < s.offset)))
                        continue;
                best = names.p[i];
                s.segment = segment;
                s.offset = offset;
        }
        if (best)
                s.dir = path_join(dir, best);
        path_vec_done(&names);
        if (best && !e)
                e = read_our_file(&s);
        if (e)
                snapshot_done(&s);
        else
                *ret = s;
        return e;
}

void snapshot_done(struct snapshot *s)
{
        free(s->dir);
        vec_done(&s->keep);
        *s = (struct snapshot){.dir = NULL};
}

static struct error *delete_others(const char *dir, int segment, const char *but)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                Str name = str_from(names.p[i]);
                int n;
                uint64_t offset;
                bool it = parse_name(name, &n, &offset) ? n <= segment : segment == INT_MAX && snapshot_is_temp(name);
                if (!it || (but && strcmp(names.p[i], but) == 0))
                        continue;
                char *path = path_join(dir, names.p[i]);
                e = dir_remove_all(path);
                free(path);
        }
        path_vec_done(&names);
        return e ? error_wrap(e, "delete old chunk snapshots") : NULL;
}

struct error *snapshot_delete(const char *dir, int segment)
{
        return delete_others(dir, segment, NULL);
}

/* ---- writing ---- */

static struct error *write_records(struct head *h, struct wal *to)
{
        struct wal_batch batch;
        struct buf rec = BUF_INIT(BUF_NO_LIMIT);
        struct error *e = NULL;
        /* A record is small: packing each by itself would cost more than it saves. */
        wal_batch_init(&batch, WAL_NONE);
        for (uint32_t slot = 0; !e && slot < h->n_slots; slot++) {
                const struct series_slot *s = series_at(h, slot);
                if (s->pending & SERIES_DEAD)
                        continue;
                buf_clear(&rec);
                put_series(&rec, h, s);
                e = wal_batch_add(&batch, buf_str(&rec));
                if (!e && batch.bytes.n > BATCH_BYTES) {
                        e = wal_log(to, &batch);
                        wal_batch_clear(&batch);
                }
        }
        if (!e) {
                buf_clear(&rec);
                put_tombstones(&rec, h);
                e = wal_batch_add(&batch, buf_str(&rec));
        }
        if (!e)
                e = put_exemplars(h, &batch);
        if (!e)
                e = wal_log(to, &batch);
        wal_batch_done(&batch);
        buf_done(&rec);
        return e;
}

static struct error *write_dir(struct head *h, const char *tmp)
{
        struct wal *to;
        struct wal_opts wo = {.segment_bytes = h->opts.wal_segment_bytes, .disk = h->disk};
        struct error *e = dir_remove_all(tmp);
        if (!e)
                e = wal_open(tmp, &wo, &to);
        if (e)
                return e;
        e = write_records(h, to);
        e = error_join(e, wal_close(to));
        if (e)
                return e;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        char *path = path_join(tmp, OUR_FILE);
        put_our_file(&b, h);
        e = file_replace(path, buf_str(&b));
        free(path);
        buf_done(&b);
        return e ? e : file_sync_dir(tmp);
}

struct error *snapshot_write(struct head *h)
{
        int64_t from_ns = time_mono_ns();
        char name[64];
        log_info("tsdb", "creating chunk snapshot");
        snprintf(name, sizeof name, PREFIX "%06d.%010llu", wal_segment_index(h->wal),
                 (unsigned long long)wal_segment_offset(h->wal));
        char *dir = path_join(h->dir, name);
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(&b, "%s.tmp", dir);
        char *tmp = buf_take(&b);
        struct error *e = head_flush_chunks_locked(h); /* full chunks are not in it */
        if (!e)
                e = mapper_sync(h->mapper); /* it relies on them, and stands for this much of the log */
        if (!e)
                e = wal_sync(h->wal);
        if (!e)
                e = write_dir(h, tmp);
        if (!e)
                e = dir_remove_all(dir);
        if (!e && h->disk->rename(h->disk, tmp, dir) < 0)
                e = error_errno(errno, "rename chunk snapshot directory %s", tmp);
        if (!e)
                e = file_sync_dir(h->dir);
        if (e) {
                struct error *late = dir_remove_all(tmp);
                if (late)
                        log_warn("tsdb", "Unfinished chunk snapshot is left", KV_E(late));
                error_free(late);
                e = error_wrap(e, "chunk snapshot");
        } else {
                log_info("tsdb", "chunk snapshot complete", KV_MS("duration", (time_mono_ns() - from_ns) / 1000000),
                         KV_I("num_series", (int64_t)h->n_series), KV_S("dir", dir));
                struct error *late = delete_others(h->dir, INT_MAX, name); /* older ones only cost space */
                if (late)
                        log_error("tsdb", "delete old chunk snapshots", KV_E(late));
                error_free(late);
        }
        free(tmp);
        free(dir);
        return e;
}
