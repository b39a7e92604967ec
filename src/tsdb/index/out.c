/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/index/out.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "codec/crc32c.h"
#include "codec/varint.h"

enum { OUT_BUFFER_BYTES = 256 * 1024 };

struct error *out_open(struct out *o, const struct disk *disk, const char *path)
{
        if (!disk)
                disk = &disk_system;
        int fd = disk->open(disk, path, O_RDWR | O_CREAT | O_TRUNC);
        if (fd < 0)
                return error_errno(errno, "open %s", path);
        *o = (struct out){.disk = disk, .fd = fd, .path = mem_strdup(path), .buf = BUF_INIT(BUF_NO_LIMIT)};
        return NULL;
}

static void out_fail(struct out *o, struct error *take_e)
{
        if (o->error)
                error_ignore(take_e, "the first error of a file is the one that is told");
        else
                o->error = error_wrap(take_e, "%s", o->path);
}

static void out_flush_buffer(struct out *o)
{
        if (!o->error && o->buf.n) {
                struct error *e = disk_write_all(o->disk, o->fd, o->buf.p, o->buf.n, o->flushed);
                if (e)
                        out_fail(o, e);
        }
        o->flushed += o->buf.n;
        buf_clear(&o->buf);
}

struct error *out_flush(struct out *o)
{
        out_flush_buffer(o);
        return error_dup(o->error);
}

struct error *out_close(struct out *o)
{
        out_flush_buffer(o);
        if (!o->error && o->disk->fsync(o->disk, o->fd) < 0)
                out_fail(o, error_errno(errno, "sync"));
        struct error *e = o->error;
        o->error = NULL;
        out_abort(o);
        return e;
}

void out_abort(struct out *o)
{
        if (!o->path)
                return;
        if (o->fd >= 0)
                close(o->fd);
        buf_done(&o->buf);
        free(o->path);
        error_free(o->error);
        *o = (struct out){.fd = -1};
}

void out_write(struct out *o, const void *p, size_t n)
{
        o->crc = crc32c(o->crc, p, n);
        o->pos += n;
        if (o->buf.n + n > OUT_BUFFER_BYTES)
                out_flush_buffer(o);
        buf_append(&o->buf, p, n);
}

void out_pad(struct out *o, unsigned align)
{
        static const uint8_t zeros[64];
        size_t over = o->pos % align;
        if (over)
                out_write(o, zeros, align - over);
}

void out_put_be32(struct out *o, uint32_t v)
{
        uint8_t b[4];
        put_be32(b, v);
        out_write(o, b, sizeof b);
}

void out_put_be64(struct out *o, uint64_t v)
{
        uint8_t b[8];
        put_be64(b, v);
        out_write(o, b, sizeof b);
}

void out_put_uvarint(struct out *o, uint64_t v)
{
        uint8_t b[VARINT_MAX_BYTES];
        out_write(o, b, (size_t)(put_uvarint(b, v) - b));
}

void out_put_uvarint_str(struct out *o, Str s)
{
        out_put_uvarint(o, s.n);
        out_write(o, s.p, s.n);
}

void out_put_crc(struct out *o)
{
        out_put_be32(o, o->crc);
}

void out_section_begin(struct out *o)
{
        o->section = o->pos;
        out_put_be32(o, 0);
        out_crc_begin(o);
}

void out_section_end(struct out *o)
{
        uint64_t n = o->pos - o->section - 4;
        out_put_crc(o);
        if (n > UINT32_MAX) {
                out_fail(o, error_new(ERROR_LIMIT, "a section of %llu bytes is more than its length field holds",
                                      (unsigned long long)n));
                return;
        }
        uint8_t b[4];
        put_be32(b, (uint32_t)n);
        if (o->section >= o->flushed) {
                memcpy(o->buf.p + (o->section - o->flushed), b, 4);
        } else {
                out_flush_buffer(o);
                struct error *e = o->error ? NULL : disk_write_all(o->disk, o->fd, b, 4, o->section);
                if (e)
                        out_fail(o, e);
        }
}
