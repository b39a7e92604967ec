/* SPDX-License-Identifier: Apache-2.0 */
/* Layout: magic (4) version (1) version of the index (1) end of the last list (8); symbols of the index as they are;
 * its postings offset table and all behind it, the index's own table of contents at the end; places of both parts and a
 * checksum (20). */
#include "thanos/block/index_header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/crc32c.h"
#include "codec/varint.h"

/* --- reading --- */

struct index_header {
        struct file_map map; /* empty when the bytes are borrowed */
        uint64_t bytes;
        struct index_reader *index;
        uint64_t series_at, series_end, lists_end;
};

static struct error *toc_parse(const uint8_t *p, uint64_t index_bytes, struct index_toc *ret)
{
        if (crc32c(0, p, INDEX_TOC_BYTES - 4) != get_be32(p + INDEX_TOC_BYTES - 4))
                return error_new(ERROR_CORRUPT, "table of contents of the index: invalid checksum");
        struct index_toc t;
        uint64_t *const to[] = {&t.symbols,  &t.series,        &t.label_indices, &t.label_indices_table,
                                &t.postings, &t.postings_table};
        for (size_t i = 0; i < ARRAY_LEN(to); i++) {
                *to[i] = get_be64(p + 8 * i);
                if (*to[i] > index_bytes)
                        return error_new(ERROR_CORRUPT,
                                         "table of contents of the index: offset %" PRIu64 " lies outside its %" PRIu64
                                         " bytes",
                                         *to[i], index_bytes);
        }
        if (t.symbols < INDEX_HEADER_BYTES || t.series < t.symbols || t.postings_table < t.series ||
            t.postings_table > index_bytes - INDEX_TOC_BYTES)
                return error_new(ERROR_CORRUPT, "table of contents of the index: its sections are not in order");
        *ret = t;
        return NULL;
}

/* The series end where the next section begins. */
static uint64_t series_end(const struct index_toc *t, uint64_t index_bytes)
{
        uint64_t end = index_bytes - INDEX_TOC_BYTES;
        const uint64_t all[] = {t->label_indices, t->label_indices_table, t->postings, t->postings_table};
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                if (all[i] > t->series && all[i] < end)
                        end = all[i];
        return end;
}

static struct error *section(Str all, uint64_t at, const char *what, Str *ret)
{
        if (at > all.n || all.n - at < 8)
                return error_new(ERROR_CORRUPT, "%s: offset %" PRIu64 " lies outside the file of %zu bytes", what, at,
                                 all.n);
        uint32_t n = get_be32(all.p + at);
        if (n > all.n - at - 8)
                return error_new(ERROR_CORRUPT, "%s: %" PRIu32 " bytes reach past the end of the file", what, n);
        const char *p = all.p + at + 4;
        if (crc32c(0, p, n) != get_be32(p + n))
                return error_new(ERROR_CORRUPT, "%s: invalid checksum", what);
        *ret = (Str){p, n};
        return NULL;
}

static struct error *load(struct index_header *h, Str all)
{
        enum { LEAST = INDEX_HEADER_HEAD_BYTES + 8 + 8 + INDEX_TOC_BYTES + INDEX_HEADER_TOC_BYTES };
        if (all.n < LEAST)
                return error_new(ERROR_CORRUPT, "%zu bytes are too few for an index-header", all.n);
        if (get_be32(all.p) != INDEX_HEADER_MAGIC)
                return error_new(ERROR_CORRUPT, "invalid magic number %x", get_be32(all.p));
        if (all.p[4] != INDEX_HEADER_VERSION)
                return error_new(ERROR_CORRUPT, "unknown index-header file version %d", (uint8_t)all.p[4]);
        struct index_parts parts = {.version = (uint8_t)all.p[5]};
        if (parts.version != INDEX_V1 && parts.version != INDEX_V2)
                return error_new(ERROR_CORRUPT, "not supported index file version %d", parts.version);
        h->bytes = all.n;
        h->lists_end = get_be64(all.p + 6);
        const char *own = all.p + all.n - INDEX_HEADER_TOC_BYTES;
        if (crc32c(0, own, INDEX_HEADER_TOC_BYTES - 4) != get_be32(own + INDEX_HEADER_TOC_BYTES - 4))
                return error_new(ERROR_CORRUPT, "table of contents: invalid checksum");
        uint64_t symbols = get_be64(own), table = get_be64(own + 8);
        uint64_t end = all.n - INDEX_HEADER_TOC_BYTES;
        if (symbols != INDEX_HEADER_HEAD_BYTES || table < symbols || table > end - INDEX_TOC_BYTES)
                return error_new(ERROR_CORRUPT, "table of contents: the sections are not in order");
        struct index_toc toc;
        uint64_t index_bytes = h->lists_end + (end - table);
        if (index_bytes < h->lists_end)
                return error_new(ERROR_CORRUPT, "the last list ends at %" PRIu64, h->lists_end);
        struct error *e = toc_parse((const uint8_t *)all.p + end - INDEX_TOC_BYTES, index_bytes, &toc);
        if (e)
                return e;
        h->series_at = toc.series;
        h->series_end = series_end(&toc, index_bytes);
        /* What the file calls the end of the last list is a bound: the table of label indices may lie in between. */
        if (toc.label_indices_table > toc.postings && toc.label_indices_table < h->lists_end)
                h->lists_end = toc.label_indices_table;
        parts.symbols_place = toc.symbols + 4;
        if ((e = section((Str){all.p, table}, symbols, "symbol table", &parts.symbols)) ||
            (e = section((Str){all.p, end}, table, "postings offset table", &parts.table)))
                return e;
        return index_of_parts(&parts, &h->index);
}

struct error *index_header_of_bytes(Str bytes, struct index_header **ret)
{
        struct index_header *h = mem_new(struct index_header);
        struct error *e = load(h, bytes);
        if (e) {
                index_header_close(h);
                return e;
        }
        *ret = h;
        return NULL;
}

struct error *index_header_open(const char *path, struct index_header **ret)
{
        struct file_map map;
        struct error *e = file_map_open(path, &map);
        if (e)
                return e;
        e = index_header_of_bytes((Str){(const char *)map.p, map.n}, ret);
        if (e) {
                file_map_close(&map);
                return error_wrap(e, "index header %s", path);
        }
        /* Loading walked through all of it; queries look at few places. What is not looked at shall not count as our
         * memory. */
        madvise((void *)(uintptr_t)map.p, map.n, MADV_DONTNEED);
        madvise((void *)(uintptr_t)map.p, map.n, MADV_RANDOM);
        (*ret)->map = map;
        return NULL;
}

void index_header_close(struct index_header *h)
{
        if (!h)
                return;
        index_close(h->index);
        file_map_close(&h->map);
        free(h);
}

const struct index_reader *index_header_index(const struct index_header *h)
{
        return h->index;
}

uint64_t index_header_bytes(const struct index_header *h)
{
        return h->bytes;
}

uint64_t index_header_series_at(const struct index_header *h, uint64_t *ret_end)
{
        *ret_end = h->series_end;
        return h->series_at;
}

bool index_header_list_range(const struct index_header *h, uint64_t place, const struct index_values *it,
                             uint64_t *ret_bytes)
{
        uint64_t end = MIN(index_list_after(h->index, place, it), h->lists_end);
        if (end <= place || end - place < 12) /* length, count, checksum */
                return false;
        *ret_bytes = end - place;
        return true;
}

/* --- building --- */

struct out {
        struct bucket_sink sink;
        int fd; /* -1: into ret */
        struct buf *ret;
        struct buf wait; /* not written yet */
        uint64_t got;    /* of this read */
};

static struct error *out_flush(struct out *o)
{
        struct error *e = o->fd < 0 ? NULL : file_write_all(o->fd, o->wait.p, o->wait.n);
        if (o->fd >= 0)
                buf_clear(&o->wait);
        return e;
}

static struct error *out_put(struct out *o, const void *p, size_t n)
{
        struct buf *to = o->fd < 0 ? o->ret : &o->wait;
        if (o->fd >= 0 && o->wait.n + n > o->wait.limit) {
                struct error *e = out_flush(o);
                if (e || n > o->wait.limit)
                        return e ? e : file_write_all(o->fd, p, n);
        }
        buf_append(to, p, n);
        return buf_is_over(to) ? error_new(ERROR_LIMIT, "an index-header of more than %zu bytes", to->limit) : NULL;
}

static struct error *out_write(struct bucket_sink *s, Str piece)
{
        struct out *o = CONTAINER_OF(s, struct out, sink);
        o->got += piece.n;
        return out_put(o, piece.p, piece.n);
}

static struct error *copy_range(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                struct out *o)
{
        o->got = 0;
        struct error *e = bucket_read(b, c, name, at, n, &o->sink);
        if (!e && o->got != n)
                e = error_new(ERROR_CORRUPT, STR_FMT ": %" PRIu64 " of %" PRIu64 " bytes at %" PRIu64, STR_ARG(name),
                              o->got, n, at);
        return e;
}

static struct error *read_exactly(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                  struct buf *to)
{
        buf_clear(to);
        struct error *e = bucket_get_range(b, c, name, at, n, to);
        if (!e && to->n != n)
                e = error_new(ERROR_CORRUPT, STR_FMT ": %zu of %" PRIu64 " bytes at %" PRIu64, STR_ARG(name), to->n, n,
                              at);
        return e;
}

static struct error *write_all(struct bucket *b, const struct bucket_call *c, Str name, struct out *o)
{
        struct bucket_attributes at;
        struct buf small = BUF_INIT(256);
        struct error *e = bucket_get_attributes(b, c, name, &at);
        int version = 0;
        struct index_toc toc = {0};
        if (!e && at.size_bytes < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
                e = error_new(ERROR_CORRUPT, STR_FMT ": %" PRIu64 " bytes are too few for an index", STR_ARG(name),
                              at.size_bytes);
        if (!e && at.size_bytes > INDEX_HEADER_MAX_BYTES)
                e = error_new(ERROR_LIMIT, STR_FMT ": exceeding max size of 64GiB", STR_ARG(name));
        if (!e)
                e = read_exactly(b, c, name, 0, INDEX_HEADER_BYTES, &small);
        if (!e && get_be32(small.p) != INDEX_MAGIC)
                e = error_new(ERROR_CORRUPT, "invalid magic number %x for " STR_FMT, get_be32(small.p), STR_ARG(name));
        if (!e && (version = (uint8_t)small.p[4]) != INDEX_V1 && version != INDEX_V2)
                e = error_new(ERROR_CORRUPT, "not supported index file version %d of " STR_FMT, version, STR_ARG(name));
        if (!e)
                e = read_exactly(b, c, name, at.size_bytes - INDEX_TOC_BYTES, INDEX_TOC_BYTES, &small);
        if (!e && (e = toc_parse((const uint8_t *)small.p, at.size_bytes, &toc)))
                e = error_wrap(e, STR_FMT, STR_ARG(name));
        buf_done(&small);
        if (e)
                return e;
        uint8_t head[INDEX_HEADER_HEAD_BYTES], tail[INDEX_HEADER_TOC_BYTES];
        put_be32(head, INDEX_HEADER_MAGIC);
        head[4] = INDEX_HEADER_VERSION;
        head[5] = (uint8_t)version;
        put_be64(head + 6, toc.postings_table);
        uint64_t symbols_bytes = toc.series - toc.symbols;
        put_be64(put_be64(tail, INDEX_HEADER_HEAD_BYTES), INDEX_HEADER_HEAD_BYTES + symbols_bytes);
        put_be32(tail + 16, crc32c(0, tail, 16));
        if ((e = out_put(o, head, sizeof head)) || (e = copy_range(b, c, name, toc.symbols, symbols_bytes, o)) ||
            (e = copy_range(b, c, name, toc.postings_table, at.size_bytes - toc.postings_table, o)) ||
            (e = out_put(o, tail, sizeof tail)))
                return e;
        return out_flush(o);
}

struct error *index_header_build(struct bucket *b, const struct bucket_call *c, Ulid id, const char *path,
                                 struct buf *ret)
{
        char name[ULID_TEXT_BYTES + 8];
        ulid_print(id, name);
        strcat(name, "/index");
        struct out o = {.sink = {out_write}, .fd = -1, .ret = ret, .wait = BUF_INIT(256 << 10)};
        if (!path)
                return write_all(b, c, str_from(name), &o);
        Str dir = path_dir(str_from(path));
        char *parent = str_dup(dir), *tmp = mem_alloc(strlen(path) + 5);
        sprintf(tmp, "%s.tmp", path);
        struct error *e = dir_make_all(parent);
        if (!e) {
                o.fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
                if (o.fd < 0)
                        e = error_errno(errno, "open %s", tmp);
        }
        if (!e)
                e = write_all(b, c, str_from(name), &o);
        if (!e && fsync(o.fd))
                e = error_errno(errno, "sync %s", tmp);
        if (o.fd >= 0)
                close(o.fd);
        if (!e && rename(tmp, path))
                e = error_errno(errno, "rename %s", tmp);
        if (!e)
                e = file_sync_dir(parent);
        if (e && o.fd >= 0)
                unlink(tmp);
        buf_done(&o.wait);
        free(parent);
        free(tmp);
        return e;
}
