/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "codec/crc32c.h"

struct wal {
        char *dir;
        const struct disk *disk;
        uint32_t segment_bytes;
        struct mutex mu; /* guards all below */
        int fd;          /* -1: the next segment could not be made yet */
        int index;
        uint64_t at;    /* whole batches end here; anything behind is to be cut */
        bool torn;      /* there may be something behind at */
        struct buf out; /* framed bytes of the batch being written */
        struct wal_stats stats;
};

/* ---- names ---- */

char *wal_segment_path(const char *dir, int index)
{
        char name[16];
        snprintf(name, sizeof name, "%08d", index);
        return path_join(dir, name);
}

struct error *wal_segments(const char *dir, SegmentVec *ret)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(dir, &names);
        if (error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "no directory, no segments");
                e = NULL;
        }
        for (size_t i = 0; !e && i < names.n; i++) {
                uint64_t n;
                if (!str_to_u64(str_from(names.p[i]), &n) || n > INT32_MAX)
                        continue;
                if (ret->n > 0 && (int)n != ret->p[ret->n - 1] + 1)
                        e = error_new(ERROR_CORRUPT, "segments are not sequential: %d is followed by %d in %s",
                                      ret->p[ret->n - 1], (int)n, dir);
                vec_push(ret, (int)n);
        }
        path_vec_done(&names);
        return e;
}

/* ---- segments ---- */

static struct error *sync_locked(struct wal *w)
{
        int64_t from_ns = time_mono_ns();
        int r = w->disk->fsync(w->disk, w->fd);
        w->stats.syncs++;
        w->stats.sync_seconds += (double)(time_mono_ns() - from_ns) / 1e9;
        return r < 0 ? error_errno(errno, "sync segment %08d", w->index) : NULL;
}

static struct error *segment_create_locked(struct wal *w, int index)
{
        char *path = wal_segment_path(w->dir, index);
        int fd = w->disk->open(w->disk, path, O_CREAT | O_EXCL | O_WRONLY);
        struct error *e = fd < 0 ? error_errno(errno, "create segment %s", path) : NULL;
        free(path);
        if (e)
                return e;
        w->fd = fd;
        w->index = index;
        w->at = 0;
        w->torn = false;
        return NULL;
}

/* Fills the last page with zeros, as upstream does, so that whoever copies pages finds whole ones. */
static struct error *segment_finish_locked(struct wal *w)
{
        struct error *e = NULL;
        if (w->fd < 0)
                return NULL;
        size_t used = (size_t)(w->at % WAL_PAGE_BYTES);
        if (used > 0) {
                buf_clear(&w->out);
                size_t n = WAL_PAGE_BYTES - used;
                memset(buf_reserve(&w->out, n), 0, n);
                w->torn = true;
                e = disk_write_all(w->disk, w->fd, w->out.p, n, w->at);
                if (!e) {
                        w->at += n;
                        w->torn = false;
                        w->stats.completed_pages++;
                }
        }
        if (!e)
                e = sync_locked(w);
        return e;
}

static struct error *segment_next_locked(struct wal *w)
{
        if (w->fd >= 0) {
                struct error *e = segment_finish_locked(w);
                if (e)
                        return e;
                int fd = w->fd;
                w->fd = -1;
                if (close(fd) < 0)
                        return error_errno(errno, "close segment %08d", w->index);
        }
        return segment_create_locked(w, w->index + 1);
}

struct error *wal_open(const char *dir, const struct wal_opts *opts, struct wal **ret)
{
        SegmentVec segments = VEC_INIT;
        struct wal *w = mem_new(struct wal);
        w->fd = -1;
        w->dir = mem_strdup(dir);
        w->disk = opts && opts->disk ? opts->disk : &disk_system;
        w->segment_bytes = opts && opts->segment_bytes ? opts->segment_bytes : WAL_SEGMENT_BYTES;
        mutex_init(&w->mu);
        buf_init(&w->out, BUF_NO_LIMIT);
        struct error *e = NULL;
        if (w->segment_bytes % WAL_PAGE_BYTES) {
                e = error_new(ERROR_INVALID, "invalid segment size");
                goto out;
        }
        e = dir_make_all(dir);
        if (e)
                goto out;
        e = wal_segments(dir, &segments);
        if (e)
                goto out;
        e = segment_create_locked(w, segments.n ? segments.p[segments.n - 1] + 1 : 0);
        if (e)
                goto out;
        *ret = w;
        w = NULL;
out:
        vec_done(&segments);
        if (w)
                error_ignore(wal_close(w), "the error before it is the one to tell");
        return e;
}

struct error *wal_close(struct wal *take_w)
{
        struct wal *w = take_w;
        if (!w)
                return NULL;
        struct error *e = NULL;
        if (w->fd >= 0) {
                if (w->torn && w->disk->ftruncate(w->disk, w->fd, w->at) < 0)
                        e = error_errno(errno, "cut segment %08d", w->index);
                if (!e)
                        e = segment_finish_locked(w);
                close(w->fd);
        }
        buf_done(&w->out);
        mutex_done(&w->mu);
        free(w->dir);
        free(w);
        return e ? error_wrap(e, "close wal") : NULL;
}

/* ---- batches ---- */

void wal_batch_init(struct wal_batch *b, enum wal_compression c)
{
        *b = (struct wal_batch){.compression = c};
        buf_init(&b->bytes, BUF_NO_LIMIT);
}

void wal_batch_done(struct wal_batch *b)
{
        buf_done(&b->bytes);
        vec_done(&b->records);
}

void wal_batch_clear(struct wal_batch *b)
{
        buf_clear(&b->bytes);
        vec_clear(&b->records);
}

struct error *wal_batch_add(struct wal_batch *b, Str rec)
{
        size_t from = b->bytes.n;
        uint8_t flag;
        struct error *e = wal_pack(b->compression, rec, &b->bytes, &flag);
        if (!e)
                vec_push(&b->records, (struct wal_batch_record){.n = b->bytes.n - from, .flag = flag});
        return e;
}

/* Frames one record for a segment that ends at `at` (out included); returns the new end. */
static uint64_t frame(struct buf *out, uint64_t at, Str rec, uint8_t flag)
{
        bool is_first = true;
        do {
                size_t left = WAL_PAGE_BYTES - (size_t)(at % WAL_PAGE_BYTES);
                if (left < WAL_FRAGMENT_HEADER_BYTES) {
                        memset(buf_reserve(out, left), 0, left);
                        out->n += left;
                        at += left;
                        left = WAL_PAGE_BYTES;
                }
                size_t n = MIN(rec.n, left - WAL_FRAGMENT_HEADER_BYTES);
                bool is_last = n == rec.n;
                uint8_t type = is_first && is_last ? WAL_FULL : is_last ? WAL_LAST : is_first ? WAL_FIRST : WAL_MIDDLE;
                uint32_t crc = __builtin_bswap32(crc32c(0, rec.p, n));
                uint8_t *p = (uint8_t *)buf_reserve(out, WAL_FRAGMENT_HEADER_BYTES + n);
                p[0] = type | flag;
                p[1] = (uint8_t)(n >> 8);
                p[2] = (uint8_t)n;
                memcpy(p + 3, &crc, 4);
                if (n)
                        memcpy(p + WAL_FRAGMENT_HEADER_BYTES, rec.p, n);
                out->n += WAL_FRAGMENT_HEADER_BYTES + n;
                at += WAL_FRAGMENT_HEADER_BYTES + n;
                rec = str_skip(rec, n);
                is_first = false;
        } while (rec.n > 0);
        return at;
}

/* Bytes of data that still fit behind `at`, fragment headers taken off. */
static uint64_t room(const struct wal *w, uint64_t at)
{
        if (at >= w->segment_bytes)
                return 0;
        uint64_t pages = (w->segment_bytes - at) / WAL_PAGE_BYTES;
        uint64_t left = (w->segment_bytes - at) % WAL_PAGE_BYTES;
        return pages * (WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER_BYTES) +
               (left > WAL_FRAGMENT_HEADER_BYTES ? left - WAL_FRAGMENT_HEADER_BYTES : 0);
}

static struct error *out_write_locked(struct wal *w, uint64_t end)
{
        if (w->out.n == 0)
                return NULL;
        w->torn = true;
        struct error *e = disk_write_all(w->disk, w->fd, w->out.p, w->out.n, w->at);
        buf_clear(&w->out);
        if (e) {
                if (w->disk->ftruncate(w->disk, w->fd, w->at) == 0)
                        w->torn = false;
                return e;
        }
        w->stats.page_flushes += end / WAL_PAGE_BYTES - w->at / WAL_PAGE_BYTES + 1;
        w->stats.completed_pages += end / WAL_PAGE_BYTES - w->at / WAL_PAGE_BYTES;
        w->at = end;
        w->torn = false;
        return NULL;
}

static struct error *log_locked(struct wal *w, const struct wal_batch *b)
{
        struct error *e;
        if (w->torn) {
                if (w->disk->ftruncate(w->disk, w->fd, w->at) < 0)
                        return error_errno(errno, "cut a torn record off");
                w->torn = false;
        }
        if (w->fd < 0) {
                e = segment_create_locked(w, w->index + 1);
                if (e)
                        return e;
        }
        /* A batch that fits into a fresh segment is not split: then it is there or not there as a whole. */
        if (b->bytes.n + b->records.n * 2 * WAL_FRAGMENT_HEADER_BYTES > room(w, w->at) && w->at > 0) {
                e = segment_next_locked(w);
                if (e)
                        return e;
        }
        buf_clear(&w->out);
        uint64_t end = w->at;
        size_t from = 0;
        for (size_t i = 0; i < b->records.n; i++) {
                Str rec = {b->bytes.p + from, b->records.p[i].n};
                from += rec.n;
                if (rec.n > room(w, end) && end > 0) {
                        e = out_write_locked(w, end);
                        if (!e)
                                e = segment_next_locked(w);
                        if (e)
                                return e;
                        end = 0;
                        buf_clear(&w->out);
                }
                end = frame(&w->out, end, rec, b->records.p[i].flag);
        }
        return out_write_locked(w, end);
}

struct error *wal_log(struct wal *w, const struct wal_batch *b)
{
        if (b->records.n == 0)
                return NULL;
        mutex_lock(&w->mu);
        struct error *e = log_locked(w, b);
        if (e)
                w->stats.writes_failed++;
        int index = w->index;
        mutex_unlock(&w->mu);
        return e ? error_wrap(e, "write to WAL: segment %08d", index) : NULL;
}

struct error *wal_sync(struct wal *w)
{
        mutex_lock(&w->mu);
        struct error *e = w->fd >= 0 ? sync_locked(w) : NULL;
        mutex_unlock(&w->mu);
        return e;
}

struct error *wal_next_segment(struct wal *w, int *ret_index)
{
        mutex_lock(&w->mu);
        struct error *e = NULL;
        if (w->torn && w->disk->ftruncate(w->disk, w->fd, w->at) < 0)
                e = error_errno(errno, "cut a torn record off");
        else
                w->torn = false;
        if (!e)
                e = segment_next_locked(w);
        if (!e)
                *ret_index = w->index;
        mutex_unlock(&w->mu);
        return e ? error_wrap(e, "next segment") : NULL;
}

int wal_segment_index(struct wal *w)
{
        mutex_lock(&w->mu);
        int i = w->index;
        mutex_unlock(&w->mu);
        return i;
}

uint64_t wal_segment_offset(struct wal *w)
{
        mutex_lock(&w->mu);
        uint64_t at = w->at;
        mutex_unlock(&w->mu);
        return at;
}

const char *wal_get_dir(const struct wal *w)
{
        return w->dir;
}

void wal_get_stats(struct wal *w, struct wal_stats *ret)
{
        mutex_lock(&w->mu);
        *ret = w->stats;
        mutex_unlock(&w->mu);
}

/* ---- cutting ---- */

static struct error *remove_segment(const struct disk *disk, const char *dir, int index)
{
        char *path = wal_segment_path(dir, index);
        struct error *e = disk->unlink(disk, path) < 0 ? error_errno(errno, "remove %s", path) : NULL;
        free(path);
        return e;
}

struct error *wal_truncate(struct wal *w, int index)
{
        SegmentVec segments = VEC_INIT;
        struct error *e = wal_segments(w->dir, &segments);
        for (size_t i = 0; !e && i < segments.n && segments.p[i] < index; i++)
                e = remove_segment(w->disk, w->dir, segments.p[i]);
        vec_done(&segments);
        mutex_lock(&w->mu);
        w->stats.truncations++;
        w->stats.truncations_failed += e != NULL;
        mutex_unlock(&w->mu);
        return e;
}

struct error *wal_repair(const struct disk *disk, const char *dir, int segment, uint64_t offset)
{
        SegmentVec segments = VEC_INIT;
        char *path = wal_segment_path(dir, segment);
        int fd = -1;
        struct error *e = wal_segments(dir, &segments);
        if (e)
                goto out;
        /* From the end: a crash in here leaves no gap. */
        for (size_t i = segments.n; i-- > 0 && segments.p[i] > segment;) {
                e = remove_segment(disk, dir, segments.p[i]);
                if (e)
                        goto out;
        }
        fd = disk->open(disk, path, O_WRONLY);
        if (fd < 0 || disk->ftruncate(disk, fd, offset) < 0 || disk->fsync(disk, fd) < 0)
                e = error_errno(errno, "cut segment %s", path);
out:
        if (fd >= 0)
                close(fd);
        free(path);
        vec_done(&segments);
        return e ? error_wrap(e, "repair corrupted WAL") : NULL;
}
