/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/file.h"
#include "storage/chunk/xor.h"
#include "storage/decode.h"
#include "tsdb/block/block.h"
#include "tsdb/block/chunk_files.h"
#include "tsdb/block/tombstones.h"
#include "tsdb/index/writer.h"

#define SERIES_SCRATCH_BYTES ((size_t)1 << 30)

typedef VEC(struct chunk) ChunkVec;
typedef VEC(struct index_chunk) IndexChunkVec;

struct block_writer {
        struct block_meta *meta;
        struct chunk_writer *chunks;
        struct index_writer *index;
        struct block_stats stats;
        struct arena scratch; /* of one series */
        struct samples samples;
        ChunkVec out; /* of one series */
        IndexChunkVec refs;
};

static bool chunk_same(const struct chunk *a, const struct chunk *b)
{
        return a->mint_ms == b->mint_ms && a->maxt_ms == b->maxt_ms && a->encoding == b->encoding &&
               str_eq(a->data, b->data);
}

static bool is_gone(const struct block_writer *w, const struct series *s, const struct chunk *c)
{
        return c->maxt_ms < w->meta->mint_ms || c->mint_ms >= w->meta->maxt_ms ||
               intervals_cover(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms);
}

static bool is_whole(const struct block_writer *w, const struct series *s, const struct chunk *c)
{
        return c->mint_ms >= w->meta->mint_ms && c->maxt_ms < w->meta->maxt_ms &&
               !intervals_touch(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms);
}

static struct error *encode_run(struct block_writer *w, const struct series *s, size_t from, size_t to)
{
        struct series run = *s;
        run.chunks = s->chunks + from;
        run.n_chunks = to - from;
        struct chunk *made;
        size_t n = 0;
        struct error *e = series_encode_anew(&run, w->meta->mint_ms, w->meta->maxt_ms - 1, &w->samples, &w->scratch, &made, &n);
        for (size_t i = 0; !e && i < n; i++)
                vec_push(&w->out, made[i]);
        return e;
}

/* The chunks of s that the block gets, into w->out: as they are where they neither overlap nor are cut. */
static struct error *gather(struct block_writer *w, const struct series *s)
{
        struct error *e = NULL;
        vec_clear(&w->out);
        arena_clear(&w->scratch);
        for (size_t i = 0, j; !e && i < s->n_chunks; i = j) {
                const struct chunk *c = &s->chunks[i];
                j = i + 1;
                if (is_gone(w, s, c))
                        continue;
                TimeMs end = c->maxt_ms;
                bool alone = true;
                for (; j < s->n_chunks && s->chunks[j].mint_ms <= end; j++) {
                        if (is_gone(w, s, &s->chunks[j]) || chunk_same(c, &s->chunks[j]))
                                continue;
                        alone = false;
                        end = MAX(end, s->chunks[j].maxt_ms);
                }
                if (alone && is_whole(w, s, c))
                        vec_push(&w->out, *c);
                else
                        e = encode_run(w, s, i, j);
        }
        return e;
}

static struct error *add_series(struct block_writer *w, const struct series *s)
{
        struct error *e = gather(w, s);
        if (e || !w->out.n)
                return e;
        vec_clear(&w->refs);
        for (size_t i = 0; i < w->out.n; i++) {
                const struct chunk *c = &w->out.p[i];
                struct index_chunk r = {.mint_ms = c->mint_ms, .maxt_ms = c->maxt_ms};
                e = chunk_writer_add(w->chunks, c, &r.ref);
                if (e)
                        return e;
                vec_push(&w->refs, r);
                size_t n = chunk_samples(c->encoding, c->data);
                w->stats.samples += n;
                if (chunk_encoding_is_float(c->encoding))
                        w->stats.float_samples += n;
                else
                        w->stats.histogram_samples += n;
        }
        w->stats.chunks += w->out.n;
        w->stats.series++;
        return index_writer_add(w->index, s->labels, w->refs.p, w->refs.n);
}

static struct error *add_all(struct block_writer *w, struct series_set *set, const bool *cancel)
{
        for (;;) {
                if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
                        return error_new(ERROR_CANCELLED, "cancelled");
                struct series s;
                bool more;
                struct error *e = series_set_next(set, &s, &more);
                if (e || !more)
                        return e;
                e = add_series(w, &s);
                if (e) {
                        struct buf b = BUF_INIT(4096);
                        labels_print(&b, s.labels);
                        e = error_wrap(e, "series %s", buf_cstr(&b));
                        buf_done(&b);
                        return e;
                }
        }
}

static struct error *write_files(struct block_writer *w, const char *tmp, const char *chunks_dir,
                                 const struct block_write_opts *opts, struct series_set *set)
{
        char *index_path = path_join(tmp, "index");
        struct error *e = chunk_writer_new(opts->disk, chunks_dir, opts->segment_bytes, &w->chunks);
        if (!e)
                e = index_writer_new(opts->disk, index_path, &w->index);
        if (!e)
                e = add_all(w, set, opts->cancel);
        if (!e)
                e = chunk_writer_finish(w->chunks);
        if (!e && w->stats.samples)
                e = index_writer_finish(w->index, opts->cancel);
        free(index_path);
        return e;
}

struct error *block_write(const char *parent_dir, struct block_meta *meta, const struct block_write_opts *opts,
                          struct series_set *set)
{
        static const struct block_write_opts no_opts;
        if (!opts)
                opts = &no_opts;
        const struct disk *disk = opts->disk ? opts->disk : &disk_system;
        struct block_writer w = {.meta = meta, .samples = SAMPLES_INIT};
        arena_init(&w.scratch, SERIES_SCRATCH_BYTES);
        char name[ULID_TEXT_BYTES + 1 + sizeof BLOCK_TMP_CREATION];
        ulid_print(meta->ulid, name);
        char *dir = path_join(parent_dir, name);
        strcat(name, BLOCK_TMP_CREATION);
        char *tmp = path_join(parent_dir, name), *chunks_dir = path_join(tmp, "chunks");
        bool renamed = false;
        struct error *e = dir_remove_all(tmp);
        if (!e)
                e = write_files(&w, tmp, chunks_dir, opts, set);
        chunk_writer_free(w.chunks);
        index_writer_free(w.index);
        if (e)
                goto out;
        meta->stats = w.stats;
        if (!w.stats.samples)
                goto out;
        const struct tombstones none = TOMBSTONES_INIT;
        e = block_meta_write(tmp, meta);
        if (!e)
                e = tombstones_write(tmp, &none);
        if (!e)
                e = disk_sync_dir(disk, chunks_dir);
        if (!e)
                e = disk_sync_dir(disk, tmp);
        if (!e && disk->rename(disk, tmp, dir) < 0)
                e = error_errno(errno, "rename %s", tmp);
        if (e)
                goto out;
        renamed = true;
        e = disk_sync_dir(disk, parent_dir);
out:
        if (!renamed)
                e = error_join(e, dir_remove_all(tmp));
        free(dir);
        free(tmp);
        free(chunks_dir);
        vec_done(&w.out);
        vec_done(&w.refs);
        samples_done(&w.samples);
        arena_done(&w.scratch);
        return e;
}
