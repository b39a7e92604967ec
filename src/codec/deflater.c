/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/deflater.h"

#include <isa-l.h>

#include "base/alloc.h"

struct deflater {
        struct isal_zstream z;
        uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

struct deflater *deflater_new(enum deflater_format f)
{
        struct deflater *d = mem_alloc(sizeof *d); /* not zeroed: a third of a megabyte */
        isal_deflate_init(&d->z);
        d->z.level = 1;
        d->z.level_buf = d->level;
        d->z.level_buf_size = sizeof d->level;
        d->z.gzip_flag = f == DEFLATER_GZIP ? IGZIP_GZIP : IGZIP_ZLIB;
        d->z.next_in = NULL;
        d->z.avail_in = 0;
        return d;
}

static void step(struct deflater *d, Str in, uint16_t flush, bool end, struct buf *out)
{
        struct isal_zstream *z = &d->z;
        z->next_in = (uint8_t *)(in.p ? in.p : "");
        z->avail_in = (uint32_t)in.n;
        z->flush = flush;
        z->end_of_stream = end;
        do {
                size_t want = in.n / 4 + 1024;
                if (!buf_reserve(out, want))
                        bug("deflater: the output has a limit");
                z->next_out = (uint8_t *)out->p + out->n;
                z->avail_out = (uint32_t)want;
                if (isal_deflate(z) != COMP_OK)
                        bug("isal_deflate failed");
                out->n += want - z->avail_out;
        } while (z->avail_in || z->avail_out == 0 || (end && z->internal_state.state != ZSTATE_END));
}

void deflater_add(struct deflater *d, Str piece, struct buf *out)
{
        while (piece.n) {
                size_t n = MIN(piece.n, (size_t)1 << 26);
                step(d, str_sub(piece, 0, n), NO_FLUSH, false, out);
                piece = str_skip(piece, n);
        }
}

void deflater_flush(struct deflater *d, struct buf *out)
{
        step(d, STR(""), SYNC_FLUSH, false, out);
}

void deflater_end(struct deflater *d, struct buf *out)
{
        step(d, STR(""), NO_FLUSH, true, out);
}

void deflater_free(struct deflater *d)
{
        free(d);
}
