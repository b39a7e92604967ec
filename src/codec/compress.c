/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/compress.h"

#include <isa-l/igzip_lib.h>
#include <snappy-c.h>
#include <zstd.h>

#include "base/alloc.h"

enum { STEP_BYTES = 64 << 10 };

void snappy_compress_block(Str in, struct buf *out)
{
        size_t n = snappy_max_compressed_length(in.n);
        char *to = buf_reserve(out, n);
        if (!to)
                return;
        if (snappy_compress(in.p ? in.p : "", in.n, to, &n) != SNAPPY_OK)
                bug("snappy refused to compress %zu bytes", in.n);
        out->n += n;
}

struct error *snappy_uncompress_block(Str in, struct buf *out)
{
        size_t n;
        if (snappy_uncompressed_length(in.p ? in.p : "", in.n, &n) != SNAPPY_OK)
                return error_new(ERROR_CORRUPT, "snappy: corrupt input");
        if (n > out->limit - out->n)
                return error_new(ERROR_LIMIT, "snappy: decoded block is too large: %zu bytes", n);
        /* Three bytes make at most 64: a length beyond that is a lie, which must not cost memory. */
        if (n / 22 > in.n)
                return error_new(ERROR_CORRUPT, "snappy: corrupt input");
        char *to = buf_reserve(out, n ? n : 1);
        if (!to && n == 0)
                to = "";
        if (!to)
                return error_new(ERROR_LIMIT, "snappy: decoded block is too large: %zu bytes", n);
        if (snappy_uncompress(in.p, in.n, to, &n) != SNAPPY_OK)
                return error_new(ERROR_CORRUPT, "snappy: corrupt input");
        out->n += n;
        return NULL;
}

struct error *zstd_compress(Str in, int level, struct buf *out)
{
        size_t cap = ZSTD_compressBound(in.n);
        char *to = buf_reserve(out, cap);
        if (!to)
                return error_new(ERROR_LIMIT, "zstd: no room for %zu bytes", cap);
        size_t n = ZSTD_compress(to, cap, in.p, in.n, level);
        if (ZSTD_isError(n))
                return error_new(ERROR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
        out->n += n;
        return NULL;
}

/* Room for another step at the end of out, less only by its limit; 0 is none. */
static size_t room_for_step(struct buf *out, size_t step)
{
        size_t left = out->limit - out->n;
        size_t n = left < step ? left : step;
        return n > 0 && buf_reserve(out, n) ? n : 0;
}

struct error *zstd_uncompress(Str in, struct buf *out)
{
        ZSTD_DCtx *z = ZSTD_createDCtx();
        if (!z)
                return error_new(ERROR_LIMIT, "zstd: out of memory");
        ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 27);
        ZSTD_inBuffer from = {in.p, in.n, 0};
        struct error *e = NULL;
        for (;;) {
                char spare;
                size_t room = room_for_step(out, STEP_BYTES);
                ZSTD_outBuffer to = {room ? out->p + out->n : &spare, room ? room : 1, 0};
                size_t before = from.pos, left = ZSTD_decompressStream(z, &to, &from);
                if (ZSTD_isError(left))
                        e = error_new(ERROR_CORRUPT, "zstd: %s", ZSTD_getErrorName(left));
                else if (room == 0 && to.pos > 0)
                        e = error_new(ERROR_LIMIT, "zstd: decompressed data exceeds %zu bytes", out->limit);
                else
                        out->n += to.pos;
                if (e || left == 0)
                        break;
                if (from.pos == before && to.pos == 0) {
                        e = error_new(ERROR_CORRUPT, "unexpected EOF");
                        break;
                }
        }
        if (!e && from.pos < in.n)
                e = error_new(ERROR_CORRUPT, "zstd: data after the frame");
        ZSTD_freeDCtx(z);
        return e;
}

static void deflate_with(Str in, uint16_t wrapper, struct buf *out)
{
        struct isal_zstream *z = mem_alloc(sizeof *z + ISAL_DEF_LVL1_DEFAULT);
        isal_deflate_init(z);
        z->level = 1;
        z->level_buf = (uint8_t *)(z + 1);
        z->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
        z->gzip_flag = wrapper;
        z->next_in = (uint8_t *)(in.p ? in.p : "");
        z->avail_in = 0;                        /* isal_deflate_init leaves it */
        size_t left = in.n;
        do {
                if (z->avail_in == 0 && left > 0) {
                        z->avail_in = left < (1u << 30) ? (uint32_t)left : 1u << 30;
                        left -= z->avail_in;
                }
                z->end_of_stream = left == 0;
                size_t step = in.n / 4 + 512, room = room_for_step(out, step < (1u << 30) ? step : 1u << 30);
                if (room == 0) {
                        buf_reserve(out, 1); /* marks it as over */
                        break;
                }
                z->next_out = (uint8_t *)out->p + out->n;
                z->avail_out = (uint32_t)room;
                if (isal_deflate(z) != COMP_OK)
                        bug("isal_deflate failed");
                out->n += room - z->avail_out;
        } while (z->internal_state.state != ZSTATE_END);
        free(z);
}

void gzip_compress(Str in, struct buf *out)
{
        deflate_with(in, IGZIP_GZIP, out);
}

void deflate_compress(Str in, struct buf *out)
{
        deflate_with(in, IGZIP_ZLIB, out);
}

struct inflater {
        struct inflate_state z;
        bool begun; /* inside a member */
        bool any;   /* one member was begun */
        bool failed;
};

struct inflater *inflater_new(void)
{
        struct inflater *i = mem_alloc(sizeof *i);
        inflater_reset(i);
        return i;
}

static void next_member(struct inflater *i)
{
        isal_inflate_reset(&i->z);
        i->z.crc_flag = ISAL_GZIP;
        i->begun = false;
}

void inflater_reset(struct inflater *i)
{
        isal_inflate_init(&i->z);
        next_member(i);
        i->any = i->failed = false;
}

static struct error *inflate_error(int r)
{
        if (r == ISAL_INCORRECT_CHECKSUM)
                return error_new(ERROR_CORRUPT, "gzip: invalid checksum");
        if (r == ISAL_INVALID_WRAPPER || r == ISAL_UNSUPPORTED_METHOD)
                return error_new(ERROR_CORRUPT, "gzip: invalid header");
        return error_new(ERROR_CORRUPT, "flate: corrupt input");
}

/* Feeds one contiguous run of input. Bytes that the decoder took past the end of a member are in its bit buffer: they
 * are given back. */
static struct error *inflate_run(struct inflater *i, const uint8_t *p, size_t n, struct buf *out)
{
        struct inflate_state *z = &i->z;
        z->next_in = (uint8_t *)p;
        z->avail_in = (uint32_t)n;
        for (;;) {
                if (!i->begun && z->avail_in == 0)
                        return NULL;
                i->begun = i->any = true;
                uint8_t spare;
                size_t room = room_for_step(out, STEP_BYTES);
                z->next_out = room ? (uint8_t *)out->p + out->n : &spare;
                z->avail_out = room ? (uint32_t)room : 1;
                uint32_t offered = z->avail_out;
                int r = isal_inflate(z);
                uint32_t made = offered - z->avail_out;
                if (r < 0)
                        return inflate_error(r);
                if (room == 0 && made > 0)
                        return error_new(ERROR_LIMIT, "gzip: decompressed data exceeds %zu bytes", out->limit);
                out->n += made;
                if (z->block_state == ISAL_BLOCK_FINISH) {
                        uint8_t back[8];
                        size_t n_back = z->read_in_length > 0 ? (size_t)z->read_in_length / 8 : 0;
                        uint64_t bits = z->read_in >> (z->read_in_length > 0 ? z->read_in_length % 8 : 0);
                        for (size_t k = 0; k < n_back; k++, bits >>= 8)
                                back[k] = (uint8_t)bits;
                        const uint8_t *rest = z->next_in;
                        size_t n_rest = z->avail_in;
                        next_member(i);
                        if (n_back > 0) {
                                struct error *e = inflate_run(i, back, n_back, out);
                                if (e)
                                        return e;
                        }
                        z->next_in = (uint8_t *)rest;
                        z->avail_in = (uint32_t)n_rest;
                } else if (z->avail_in == 0 && z->avail_out > 0) {
                        return NULL;
                }
        }
}

struct error *inflater_add(struct inflater *i, Str piece, struct buf *out)
{
        if (i->failed)
                return error_new(ERROR_CORRUPT, "flate: corrupt input");
        while (piece.n > 0) {
                size_t n = MIN(piece.n, (size_t)1 << 30);
                struct error *e = inflate_run(i, (const uint8_t *)piece.p, n, out);
                if (e) {
                        i->failed = true;
                        return e;
                }
                piece = str_skip(piece, n);
        }
        return NULL;
}

struct error *inflater_end(struct inflater *i)
{
        if (i->failed)
                return error_new(ERROR_CORRUPT, "flate: corrupt input");
        return i->begun || !i->any ? error_new(ERROR_CORRUPT, i->any ? "unexpected EOF" : "EOF") : NULL;
}

void inflater_free(struct inflater *i)
{
        free(i);
}

struct error *gzip_uncompress(Str in, struct buf *out)
{
        struct inflater *i = inflater_new();
        struct error *e = inflater_add(i, in, out);
        if (!e)
                e = inflater_end(i);
        inflater_free(i);
        return e;
}
