/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/reader.h"

#include "base/file.h"
#include "codec/crc32c.h"
#include "tsdb/wal/wal.h"

struct wal_reader {
        char *dir;
        SegmentVec segments;
        size_t next;         /* of segments */
        struct file_map map; /* of the open segment; p == NULL: none */
        bool is_borrowed;
        Str seg;
        size_t at; /* read position */
        int index;
        size_t good; /* end of the last whole record */
        struct buf joined, plain;
};

struct error *wal_reader_open(const char *dir, int first, int last, struct wal_reader **ret)
{
        struct wal_reader *r = mem_new(struct wal_reader);
        r->dir = mem_strdup(dir);
        r->index = -1;
        buf_init(&r->joined, WAL_RECORD_MAX_BYTES);
        buf_init(&r->plain, (size_t)WAL_RECORD_MAX_BYTES + 1);
        SegmentVec all = VEC_INIT;
        struct error *e = wal_segments(dir, &all);
        for (size_t i = 0; i < all.n; i++)
                if (all.p[i] >= first && all.p[i] <= last)
                        vec_push(&r->segments, all.p[i]);
        vec_done(&all);
        if (e) {
                wal_reader_close(r);
                return e;
        }
        *ret = r;
        return NULL;
}

struct wal_reader *wal_reader_new_bytes(Str segment)
{
        struct wal_reader *r = mem_new(struct wal_reader);
        buf_init(&r->joined, WAL_RECORD_MAX_BYTES);
        buf_init(&r->plain, (size_t)WAL_RECORD_MAX_BYTES + 1);
        r->is_borrowed = true;
        r->seg = segment;
        return r;
}

void wal_reader_close(struct wal_reader *r)
{
        if (!r)
                return;
        file_map_close(&r->map);
        vec_done(&r->segments);
        buf_done(&r->joined);
        buf_done(&r->plain);
        free(r->dir);
        free(r);
}

int wal_reader_segment(const struct wal_reader *r)
{
        return r->index;
}

uint64_t wal_reader_offset(const struct wal_reader *r)
{
        return r->good;
}

static struct error *segment_open(struct wal_reader *r, bool *ret_more)
{
        *ret_more = false;
        if (r->next == r->segments.n)
                return NULL;
        file_map_close(&r->map);
        r->index = r->segments.p[r->next++];
        r->at = r->good = 0;
        r->seg = (Str){NULL, 0};
        char *path = wal_segment_path(r->dir, r->index);
        struct error *e = file_map_open(path, &r->map);
        free(path);
        if (e)
                return e;
        r->seg = (Str){(const char *)r->map.p, r->map.n};
        *ret_more = true;
        return NULL;
}

struct error *wal_reader_skip(struct wal_reader *r, int segment, uint64_t offset)
{
        bool more;
        if (!r->segments.n || r->segments.p[0] != segment)
                return NULL;
        struct error *e = segment_open(r, &more);
        if (!e)
                r->at = r->good = (size_t)MIN(offset, (uint64_t)r->seg.n);
        return e;
}

static struct error *damage(struct wal_reader *r, struct error *take_why)
{
        enum error_kind k = error_get_kind(take_why);
        if (k != ERROR_CORRUPT)
                return take_why;
        if (r->dir)
                return error_wrap(take_why, "corruption in segment %s/%08d at %zu", r->dir, r->index, r->good);
        return error_wrap(take_why, "corruption after %zu bytes", r->good);
}

/* A page that is over: the rest must be zeros. */
static struct error *page_skip(struct wal_reader *r)
{
        size_t end = (r->at / WAL_PAGE_BYTES + 1) * WAL_PAGE_BYTES;
        if (end > r->seg.n)
                end = r->seg.n;
        for (size_t i = r->at; i < end; i++)
                if (r->seg.p[i])
                        return error_new(ERROR_CORRUPT, "unexpected non-zero byte in padded page");
        r->at = end;
        return NULL;
}

static const char *order_problem(uint8_t type, bool inside)
{
        switch (type) {
        case WAL_FULL:
                return inside ? "unexpected full record" : NULL;
        case WAL_FIRST:
                return inside ? "unexpected first record, dropping buffer" : NULL;
        case WAL_MIDDLE:
                return inside ? NULL : "unexpected middle record, dropping buffer";
        case WAL_LAST:
                return inside ? NULL : "unexpected last record, dropping buffer";
        default:
                return "unexpected record type";
        }
}

/* One fragment after the other; `to` gets those of a record that is not packed, `joined` those of a packed one. */
static struct error *next_record(struct wal_reader *r, struct buf *to, bool *ret_more, uint8_t *ret_flags, Str *ret_full)
{
        size_t start = to->n;
        bool is_packed = false;
        *ret_more = false;
        *ret_full = (Str){NULL, 0};
        bool inside = false; /* a record has begun */
        for (;;) {
                if (r->at >= r->seg.n) {
                        if (inside)
                                return damage(r, error_new(ERROR_CORRUPT, "last record is torn"));
                        bool more = false;
                        if (!r->is_borrowed) {
                                struct error *e = segment_open(r, &more);
                                if (e)
                                        return e;
                        }
                        if (!more)
                                return NULL;
                        continue;
                }
                const uint8_t *p = (const uint8_t *)r->seg.p + r->at;
                uint8_t type = p[0] & WAL_FRAGMENT_TYPE_MASK;
                if (type == WAL_PAGE_END) {
                        struct error *e = page_skip(r);
                        if (e)
                                return damage(r, e);
                        continue;
                }
                size_t left = MIN(r->seg.n - r->at, WAL_PAGE_BYTES - r->at % WAL_PAGE_BYTES);
                if (left < WAL_FRAGMENT_HEADER_BYTES)
                        return damage(r, error_new(ERROR_CORRUPT, "read remaining header: unexpected end"));
                size_t n = (size_t)p[1] << 8 | p[2];
                uint32_t crc;
                memcpy(&crc, p + 3, 4);
                crc = __builtin_bswap32(crc);
                if (n > WAL_PAGE_BYTES - WAL_FRAGMENT_HEADER_BYTES)
                        return damage(r, error_new(ERROR_CORRUPT, "invalid record size %zu", n));
                if (n > left - WAL_FRAGMENT_HEADER_BYTES)
                        return damage(r, error_new(ERROR_CORRUPT, "invalid size: expected %zu, got %zu", n,
                                                   left - WAL_FRAGMENT_HEADER_BYTES));
                Str data = {(const char *)p + WAL_FRAGMENT_HEADER_BYTES, n};
                uint32_t got = crc32c(0, data.p, n);
                if (got != crc)
                        return damage(r, error_new(ERROR_CORRUPT, "unexpected checksum %x, expected %x", got, crc));
                const char *problem = order_problem(type, inside);
                if (problem)
                        return damage(r, error_new(ERROR_CORRUPT, "%s", problem));
                r->at += WAL_FRAGMENT_HEADER_BYTES + n;
                *ret_flags = p[0];
                if (type == WAL_FULL) {
                        *ret_full = data;
                        *ret_more = true;
                        return NULL;
                }
                if (!inside) {
                        is_packed = p[0] & (WAL_FLAG_SNAPPY | WAL_FLAG_ZSTD);
                        buf_clear(&r->joined);
                }
                inside = true;
                buf_put(is_packed ? &r->joined : to, data);
                if (buf_is_over(&r->joined) || buf_is_over(to) || to->n - start > WAL_RECORD_MAX_BYTES)
                        return damage(r, error_new(ERROR_CORRUPT, "record is longer than %d bytes", WAL_RECORD_MAX_BYTES));
                if (type != WAL_LAST)
                        continue;
                if (!is_packed && p[0] & (WAL_FLAG_SNAPPY | WAL_FLAG_ZSTD)) { /* the last one tells */
                        buf_put(&r->joined, str_skip(buf_str(to), start));
                        to->n = start;
                } else if (is_packed && !(p[0] & (WAL_FLAG_SNAPPY | WAL_FLAG_ZSTD))) {
                        buf_put(to, buf_str(&r->joined));
                }
                *ret_more = true;
                return NULL;
        }
}

struct error *wal_reader_append(struct wal_reader *r, struct buf *to, bool *ret_more)
{
        size_t start = to->n;
        uint8_t flags;
        Str full;
        struct error *e = next_record(r, to, ret_more, &flags, &full);
        if (e || !*ret_more)
                goto out;
        if (full.p || flags & (WAL_FLAG_SNAPPY | WAL_FLAG_ZSTD)) {
                e = wal_unpack_to(flags, full.p ? full : buf_str(&r->joined), to);
                if (e) {
                        e = damage(r, e);
                        goto out;
                }
        }
        r->good = r->at;
        return NULL;
out:
        to->n = start;
        *ret_more = false;
        return e;
}

struct error *wal_reader_next(struct wal_reader *r, Str *ret, bool *ret_more)
{
        uint8_t flags;
        Str full;
        buf_clear(&r->plain);
        struct error *e = next_record(r, &r->plain, ret_more, &flags, &full);
        if (e || !*ret_more) {
                *ret_more = false;
                return e;
        }
        if (full.p)
                e = wal_unpack(flags, full, &r->plain, ret);
        else if (flags & (WAL_FLAG_SNAPPY | WAL_FLAG_ZSTD))
                e = wal_unpack(flags, buf_str(&r->joined), &r->plain, ret);
        else
                *ret = buf_str(&r->plain);
        if (e) {
                *ret_more = false;
                return damage(r, e);
        }
        r->good = r->at;
        return NULL;
}
