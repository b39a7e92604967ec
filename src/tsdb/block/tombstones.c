/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/tombstones.h"

#include "base/file.h"
#include "codec/crc32c.h"
#include "codec/varint.h"

#define TOMBSTONES_MAGIC 0x0130BA30u
enum { TOMBSTONES_VERSION = 1, TOMBSTONES_HEADER_BYTES = 5 };
#define TOMBSTONES_MAX_BYTES ((size_t)1 << 30)

void tombstones_done(struct tombstones *t)
{
        for (size_t i = 0; i < t->series.n; i++)
                vec_done(&t->series.p[i].intervals);
        vec_done(&t->series);
}

void tombstones_copy(struct tombstones *to, const struct tombstones *from)
{
        *to = (struct tombstones)TOMBSTONES_INIT;
        vec_reserve(&to->series, from->series.n);
        for (size_t i = 0; i < from->series.n; i++) {
                const struct tombstone *s = &from->series.p[i];
                struct tombstone copy = {.ref = s->ref};
                vec_reserve(&copy.intervals, s->intervals.n);
                memcpy(copy.intervals.p, s->intervals.p, s->intervals.n * sizeof *s->intervals.p);
                copy.intervals.n = s->intervals.n;
                vec_push(&to->series, copy);
        }
}

/* Where ref is, or would be. */
static size_t find(const struct tombstones *t, uint64_t ref)
{
        size_t lo = 0, hi = t->series.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (t->series.p[mid].ref < ref)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

const struct interval *tombstones_get(const struct tombstones *t, uint64_t ref, size_t *ret_n)
{
        size_t i = find(t, ref);
        *ret_n = 0;
        if (i == t->series.n || t->series.p[i].ref != ref)
                return NULL;
        *ret_n = t->series.p[i].intervals.n;
        return t->series.p[i].intervals.p;
}

static bool is_before(TimeMs end, TimeMs begin) /* with a gap of at least one millisecond */
{
        return end < begin && begin - 1 != end;
}

void tombstones_add(struct tombstones *t, uint64_t ref, struct interval v)
{
        if (v.mint_ms > v.maxt_ms)
                return;
        size_t i = find(t, ref);
        if (i == t->series.n || t->series.p[i].ref != ref) {
                vec_reserve(&t->series, 1);
                memmove(t->series.p + i + 1, t->series.p + i, (t->series.n - i) * sizeof *t->series.p);
                t->series.p[i] = (struct tombstone){.ref = ref};
                t->series.n++;
        }
        struct tombstone *s = &t->series.p[i];
        vec_reserve(&s->intervals, 1);
        size_t from = 0, n = s->intervals.n;
        struct interval *d = s->intervals.p;
        /* Mostly at the end. */
        if (n && is_before(d[n - 1].maxt_ms, v.mint_ms))
                from = n;
        while (from < n && is_before(d[from].maxt_ms, v.mint_ms))
                from++;
        size_t to = from;
        while (to < n && !is_before(v.maxt_ms, d[to].mint_ms)) {
                v.mint_ms = MIN(v.mint_ms, d[to].mint_ms);
                v.maxt_ms = MAX(v.maxt_ms, d[to].maxt_ms);
                to++;
        }
        memmove(d + from + 1, d + to, (n - to) * sizeof *d);
        d[from] = v;
        s->intervals.n = from + 1 + (n - to);
}

uint64_t tombstones_count(const struct tombstones *t)
{
        uint64_t n = 0;
        for (size_t i = 0; i < t->series.n; i++)
                n += t->series.p[i].intervals.n;
        return n;
}

struct error *tombstones_parse(Str file, struct tombstones *t)
{
        if (file.n < TOMBSTONES_HEADER_BYTES + 4)
                return error_new(ERROR_CORRUPT, "%zu bytes are too few for tombstones", file.n);
        if (get_be32(file.p) != TOMBSTONES_MAGIC)
                return error_new(ERROR_CORRUPT, "invalid magic number %x", get_be32(file.p));
        if (file.p[4] != TOMBSTONES_VERSION)
                return error_new(ERROR_CORRUPT, "invalid tombstone format %x", (unsigned char)file.p[4]);
        Str stones = str_sub(file, TOMBSTONES_HEADER_BYTES, file.n - 4);
        if (crc32c(0, stones.p, stones.n) != get_be32(file.p + file.n - 4))
                return error_new(ERROR_CORRUPT, "checksum did not match");
        struct tombstones got = TOMBSTONES_INIT;
        struct cursor c = cursor_of(stones);
        while (cursor_left(&c)) {
                uint64_t ref = take_uvarint(&c);
                struct interval v;
                v.mint_ms = take_varint(&c);
                v.maxt_ms = take_varint(&c);
                if (c.bad) {
                        tombstones_done(&got);
                        return error_new(ERROR_CORRUPT, "a tombstone is cut off");
                }
                tombstones_add(&got, ref, v);
        }
        *t = got;
        return NULL;
}

struct error *tombstones_read(const char *path, struct tombstones *t, uint64_t *ret_bytes)
{
        char *p;
        size_t n;
        struct error *e = file_read(path, TOMBSTONES_MAX_BYTES, &p, &n);
        if (error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "a block without the file has no deletions");
                *t = (struct tombstones)TOMBSTONES_INIT;
                *ret_bytes = 0;
                return NULL;
        }
        if (e)
                return e;
        e = tombstones_parse((Str){p, n}, t);
        free(p);
        if (e)
                return error_wrap(e, "%s", path);
        *ret_bytes = n;
        return NULL;
}

void tombstones_print(struct buf *b, const struct tombstones *t)
{
        buf_put_be32(b, TOMBSTONES_MAGIC);
        buf_putc(b, TOMBSTONES_VERSION);
        size_t from = b->n;
        for (size_t i = 0; i < t->series.n; i++) {
                const struct tombstone *s = &t->series.p[i];
                for (size_t k = 0; k < s->intervals.n; k++) {
                        buf_put_uvarint(b, s->ref);
                        buf_put_varint(b, s->intervals.p[k].mint_ms);
                        buf_put_varint(b, s->intervals.p[k].maxt_ms);
                }
        }
        buf_put_be32(b, crc32c(0, b->p + from, b->n - from));
}

struct error *tombstones_write(const char *dir, const struct tombstones *t)
{
        struct buf b = BUF_INIT(TOMBSTONES_MAX_BYTES);
        tombstones_print(&b, t);
        char *path = path_join(dir, TOMBSTONES_FILE);
        struct error *e = buf_is_over(&b) ? error_new(ERROR_LIMIT, "%s: too many deletions", path)
                                          : file_replace(path, buf_str(&b));
        free(path);
        buf_done(&b);
        return e;
}
