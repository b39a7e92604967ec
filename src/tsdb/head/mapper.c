/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/crc32c.h"
#include "codec/varint.h"

enum {
        MAGIC = 0x0130BC91,
        VERSION = 1,
        HEADER_BYTES = 8,
        FILE_MAX_BYTES = 128 << 20,
        CHUNK_HEAD_BYTES = 25, /* series ref, two times, encoding */
        CHUNK_META_MAX_BYTES = 25 + 5 + 4,
        OUT_OF_ORDER_BIT = 0x80,
        OUT_KEEP_BYTES = 1 << 20,
};

struct map_file {
        int seq;
        uint8_t *map;
        size_t n_map;
        uint64_t end; /* bytes in the file */
};
struct mapper {
        char *dir;
        const struct disk *disk;
        VEC(struct map_file) files; /* ascending, without gaps */
        int fd;                     /* of the newest, for writing; -1: a new one is to be made */
        int next_seq;
        struct buf out;            /* goes behind the newest file's end */
        uint64_t n_durable, n_out; /* chunks flushed; chunks in out */
        int bad_seq;
};

static char *file_path(const struct mapper *m, int seq)
{
        char name[16];
        snprintf(name, sizeof name, "%06d", seq);
        return path_join(m->dir, name);
}

static struct error *file_open(struct mapper *m, int seq)
{
        char *path = file_path(m, seq);
        struct map_file f = {.seq = seq};
        struct file_map map;
        struct error *e = file_map_open(path, &map);
        if (e)
                goto out;
        f.map = (uint8_t *)map.p;
        f.n_map = map.n;
        f.end = map.n;
        if (map.n < HEADER_BYTES)
                e = error_new(ERROR_CORRUPT, "%s: invalid head chunk file header: invalid size", path);
        else if (get_be32(map.p) != MAGIC)
                e = error_new(ERROR_CORRUPT, "%s: invalid magic number %x", path, get_be32(map.p));
        else if (map.p[4] != VERSION)
                e = error_new(ERROR_CORRUPT, "%s: invalid chunk format version %d", path, map.p[4]);
        if (e)
                file_map_close(&map);
        else
                vec_push(&m->files, f);
out:
        free(path);
        return e;
}

/* A file without a whole header was being made when the process died, or lost its pages with the power: it holds nothing, and
 * what later ones hold is in the log. Upstream does not start when only the magic number is there, or when it is not the newest. */
static struct error *is_unborn(const struct mapper *m, int seq, bool *ret)
{
        char *path = file_path(m, seq);
        struct file_map map;
        struct error *e = file_map_open(path, &map);
        if (!e) {
                *ret = map.n < HEADER_BYTES || get_be32(map.p) == 0;
                file_map_close(&map);
        }
        free(path);
        return e;
}

/* Newest first, so that a crash leaves no gap. *n: how many are left. */
static struct error *drop_unborn(struct mapper *m, const int *seqs, size_t *n)
{
        struct error *e = NULL;
        size_t keep = 0;
        for (bool gone = false; !e && keep < *n; keep++) {
                e = is_unborn(m, seqs[keep], &gone);
                if (gone)
                        break;
        }
        for (; !e && *n > keep; --*n) {
                char *path = file_path(m, seqs[*n - 1]);
                if (m->disk->unlink(m->disk, path) < 0)
                        e = error_errno(errno, "delete corrupted, empty head chunk file during last file repair: %s", path);
                free(path);
                if (e)
                        break;
        }
        return e;
}

struct error *mapper_open(const char *dir, const struct disk *disk, struct mapper **ret)
{
        struct mapper *m = mem_new(struct mapper);
        m->dir = mem_strdup(dir);
        m->disk = disk;
        m->fd = -1;
        m->next_seq = 1;
        buf_init(&m->out, BUF_NO_LIMIT);
        PathVec names = VEC_INIT;
        VEC(int) seqs = VEC_INIT;
        struct error *e = dir_make_all(dir);
        if (!e)
                e = dir_list(dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                uint64_t n;
                if (str_to_u64(str_from(names.p[i]), &n) && n < INT32_MAX)
                        vec_push(&seqs, (int)n);
        }
        if (!e)
                e = drop_unborn(m, seqs.p, &seqs.n);
        for (size_t i = 0; !e && i < seqs.n; i++) {
                if (i && seqs.p[i] != seqs.p[i - 1] + 1)
                        e = error_new(ERROR_CORRUPT,
                                      "found unsequential head chunk files %s/%06d (index: %d) and %s/%06d (index: %d)",
                                      dir, seqs.p[i - 1], seqs.p[i - 1], dir, seqs.p[i], seqs.p[i]);
                else
                        e = file_open(m, seqs.p[i]);
        }
        if (!e && seqs.n)
                m->next_seq = seqs.p[seqs.n - 1] + 1;
        vec_done(&seqs);
        path_vec_done(&names);
        if (e) {
                error_ignore(mapper_close(m), "nothing was written");
                return e;
        }
        *ret = m;
        return NULL;
}

static struct error *file_finish(struct mapper *m)
{
        if (m->fd < 0)
                return NULL;
        struct error *e = m->disk->fsync(m->disk, m->fd) < 0
                                  ? error_errno(errno, "sync head chunk file %06d", m->next_seq - 1)
                                  : NULL;
        close(m->fd);
        m->fd = -1;
        return e;
}

struct error *mapper_sync(struct mapper *m)
{
        if (m->fd < 0 || m->disk->fsync(m->disk, m->fd) == 0)
                return NULL;
        return error_errno(errno, "sync head chunk file %06d", m->next_seq - 1);
}

struct error *mapper_close(struct mapper *take_m)
{
        struct mapper *m = take_m;
        if (!m)
                return NULL;
        struct error *e = file_finish(m);
        for (size_t i = 0; i < m->files.n; i++)
                munmap(m->files.p[i].map, m->files.p[i].n_map);
        vec_done(&m->files);
        buf_done(&m->out);
        free(m->dir);
        free(m);
        return e;
}

/* ---- reading ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (p[i])
                        return false;
        return true;
}

static struct error *too_short(uint64_t need, uint64_t have, uint32_t seq)
{
        return error_new(ERROR_CORRUPT,
                         "head chunk file doesn't include enough bytes to read the chunk header - required:%llu, "
                         "available:%llu, file:%u",
                         (unsigned long long)need, (unsigned long long)have, seq);
}

struct error *mapper_each_bytes(Str file, uint32_t seq, mapper_fn fn, void *ctx)
{
        const uint8_t *p = (const uint8_t *)file.p;
        for (size_t at = HEADER_BYTES; at < file.n;) {
                if (file.n - at < CHUNK_META_MAX_BYTES) {
                        if (all_zero(p + at, file.n - at))
                                return NULL;
                        return error_new(ERROR_CORRUPT,
                                         "head chunk file has some unread data, but doesn't include enough bytes to "
                                         "read the chunk header"
                                         " - required:%zu, available:%zu, file:%u",
                                         at + CHUNK_META_MAX_BYTES, file.n, seq);
                }
                struct mapper_chunk c = {.series_ref = get_be64(p + at)};
                c.chunk.mint_ms = (int64_t)get_be64(p + at + 8);
                c.chunk.maxt_ms = (int64_t)get_be64(p + at + 16);
                if (c.series_ref == 0 && c.chunk.mint_ms == 0 && c.chunk.maxt_ms == 0)
                        return NULL;
                c.is_out_of_order = p[at + 24] & OUT_OF_ORDER_BIT;
                c.chunk.encoding = (enum chunk_encoding)(p[at + 24] & ~OUT_OF_ORDER_BIT);
                struct cursor cur = cursor_of((Str){file.p + at + CHUNK_HEAD_BYTES, 5});
                uint64_t n = take_uvarint(&cur);
                if (cur.bad)
                        return error_new(ERROR_CORRUPT, "invalid chunk length, file:%u", seq);
                size_t data = (size_t)((const char *)cur.p - file.p);
                if (n > file.n - data || file.n - data - n < 4)
                        return too_short(data + n + 4, file.n, seq);
                uint32_t want = get_be32(p + data + n), got = crc32c(0, p + at, data + n - at);
                if (want != got)
                        return error_new(ERROR_CORRUPT, "checksum mismatch expected:%x, actual:%x", want, got);
                c.chunk.ref = (uint64_t)seq << 32 | at;
                c.chunk.data = (Str){file.p + data, n};
                struct error *e = fn(ctx, &c);
                if (e)
                        return e;
                at = data + n + 4;
        }
        return NULL;
}

struct error *mapper_each(struct mapper *m, mapper_fn fn, void *ctx)
{
        for (size_t i = 0; i < m->files.n; i++) {
                const struct map_file *f = &m->files.p[i];
                struct error *e = mapper_each_bytes((Str){(const char *)f->map, f->end}, (uint32_t)f->seq, fn, ctx);
                if (e) {
                        m->bad_seq = f->seq;
                        return error_wrap(e, "iterate on-disk chunks: corruption in head chunk file %s/%06d", m->dir,
                                          f->seq);
                }
        }
        return NULL;
}

void mapper_get(const struct mapper *m, uint64_t ref, struct mapper_chunk *ret)
{
        size_t i = (size_t)(ref >> 32) - (size_t)m->files.p[0].seq; /* they have no gaps */
        const struct map_file *f = &m->files.p[i];
        const char *p = (const char *)f->map + (uint32_t)ref;
        struct cursor c = cursor_of((Str){p, CHUNK_META_MAX_BYTES});
        *ret = (struct mapper_chunk){.series_ref = take_be64(&c)};
        ret->chunk.ref = ref;
        ret->chunk.mint_ms = (TimeMs)take_be64(&c);
        ret->chunk.maxt_ms = (TimeMs)take_be64(&c);
        uint8_t encoding = take_u8(&c);
        ret->is_out_of_order = encoding & OUT_OF_ORDER_BIT;
        ret->chunk.encoding = (enum chunk_encoding)(encoding & ~OUT_OF_ORDER_BIT);
        ret->chunk.data.n = take_uvarint(&c);
        ret->chunk.data.p = (const char *)c.p;
}

int mapper_bad_seq(const struct mapper *m)
{
        return m->bad_seq;
}

struct error *mapper_drop_from(struct mapper *m, int seq)
{
        while (m->files.n && m->files.p[m->files.n - 1].seq >= seq) {
                struct map_file f = vec_pop(&m->files);
                char *path = file_path(m, f.seq);
                struct error *e = m->disk->unlink(m->disk, path) < 0 ? error_errno(errno, "remove %s", path) : NULL;
                free(path);
                munmap(f.map, f.n_map);
                m->next_seq = f.seq;
                if (e)
                        return e;
        }
        return NULL;
}

/* ---- writing ---- */

static struct error *file_start(struct mapper *m)
{
        struct error *e = file_finish(m);
        if (e)
                return e;
        char *path = file_path(m, m->next_seq);
        static const uint8_t header[HEADER_BYTES] = {0x01, 0x30, 0xBC, 0x91, VERSION};
        int fd = m->disk->open(m->disk, path, O_CREAT | O_EXCL | O_RDWR);
        if (fd < 0) {
                e = error_errno(errno, "create head chunk file %s", path);
                goto out;
        }
        e = disk_write_all(m->disk, fd, header, sizeof header, 0);
        void *map = e ? MAP_FAILED : mmap(NULL, FILE_MAX_BYTES, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
                e = e ? e : error_errno(errno, "map %s", path);
                close(fd);
                m->disk->unlink(m->disk, path);
                goto out;
        }
        vec_push(&m->files,
                 (struct map_file){.seq = m->next_seq++, .map = map, .n_map = FILE_MAX_BYTES, .end = HEADER_BYTES});
        m->fd = fd;
out:
        free(path);
        return e;
}

struct error *mapper_put(struct mapper *m, const struct mapper_chunk *mc, const uint8_t **ret, uint64_t *ret_ref)
{
        const struct chunk *c = &mc->chunk;
        struct error *e;
        size_t room = CHUNK_META_MAX_BYTES + c->data.n;
        if (m->fd < 0 || m->files.p[m->files.n - 1].end + m->out.n + room > FILE_MAX_BYTES) {
                e = mapper_flush(m);
                if (!e)
                        e = file_start(m);
                if (e)
                        return e;
        }
        const struct map_file *f = &m->files.p[m->files.n - 1];
        uint8_t *from = (uint8_t *)buf_reserve(&m->out, room), *p = from;
        *ret_ref = (uint64_t)f->seq << 32 | (f->end + m->out.n);
        p = put_be64(p, mc->series_ref);
        p = put_be64(p, (uint64_t)c->mint_ms);
        p = put_be64(p, (uint64_t)c->maxt_ms);
        *p++ = (uint8_t)((uint8_t)c->encoding | (mc->is_out_of_order ? OUT_OF_ORDER_BIT : 0));
        p = put_uvarint(p, c->data.n);
        *ret = f->map + f->end + m->out.n + (p - from);
        memcpy(p, c->data.p, c->data.n);
        p += c->data.n;
        p = put_be32(p, crc32c(0, from, (size_t)(p - from)));
        m->out.n += (size_t)(p - from);
        m->n_out++;
        return NULL;
}

uint64_t mapper_durable(const struct mapper *m)
{
        return m->n_durable;
}

struct error *mapper_flush(struct mapper *m)
{
        if (!m->out.n)
                return NULL;
        struct map_file *f = &m->files.p[m->files.n - 1];
        struct error *e = disk_write_all(m->disk, m->fd, m->out.p, m->out.n, f->end);
        if (!e) {
                f->end += m->out.n;
                m->n_durable += m->n_out;
        }
        m->n_out = 0;
        buf_clear(&m->out);
        if (m->out.cap > OUT_KEEP_BYTES) /* after a replay, say */
                buf_done(&m->out);
        return e ? error_wrap(e, "write head chunk file %06d", f->seq) : NULL;
}

int mapper_seq_of(const struct mapper *m, const uint8_t *p)
{
        for (size_t i = 0; i < m->files.n; i++)
                if (p >= m->files.p[i].map && p < m->files.p[i].map + m->files.p[i].n_map)
                        return m->files.p[i].seq;
        return INT_MAX;
}

struct error *mapper_truncate(struct mapper *m, int seq, void (*unmap)(void *ctx, void *p, size_t n), void *ctx)
{
        struct error *e = NULL;
        size_t n = 0, last = m->files.n ? m->files.n - 1 : 0;
        for (; !e && n < last && m->files.p[n].seq < seq; n++) {
                char *path = file_path(m, m->files.p[n].seq);
                if (m->disk->unlink(m->disk, path) < 0)
                        e = error_errno(errno, "remove %s", path);
                free(path);
                if (e)
                        break;
                unmap(ctx, m->files.p[n].map, m->files.p[n].n_map);
        }
        m->files.n -= n;
        if (n)
                memmove(m->files.p, m->files.p + n, m->files.n * sizeof *m->files.p);
        /* The next truncation can remove the file only when it is not the newest any more. */
        if (!e && m->fd >= 0 && m->files.p[m->files.n - 1].end > HEADER_BYTES) {
                e = mapper_flush(m);
                if (!e)
                        e = file_start(m);
        }
        return e;
}

uint64_t mapper_bytes(const struct mapper *m)
{
        uint64_t n = 0;
        for (size_t i = 0; i < m->files.n; i++)
                n += m->files.p[i].end;
        return n;
}

void mapper_newest(const struct mapper *m, int *ret_seq, uint64_t *ret_bytes)
{
        const struct map_file *f = m->files.n ? &m->files.p[m->files.n - 1] : NULL;
        *ret_seq = f ? f->seq : 0;
        *ret_bytes = f ? f->end : 0;
}
