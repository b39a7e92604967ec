/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "codec/varint.h"
#include "tsdb/block/chunk_files.h"
#include "tsdb/index/out.h"

struct chunk_writer {
        const struct disk *disk;
        char *dir;
        uint64_t file_bytes;
        uint32_t file; /* number of the open one; 0: none yet */
        struct out out;
};

struct error *chunk_writer_new(const struct disk *disk, const char *dir, uint64_t file_bytes, struct chunk_writer **ret)
{
        struct error *e = dir_make_all(dir);
        if (e)
                return e;
        struct chunk_writer *w = mem_new(struct chunk_writer);
        *w = (struct chunk_writer){
                .disk = disk, .dir = mem_strdup(dir), .file_bytes = file_bytes ? file_bytes : CHUNK_FILE_BYTES};
        /* A place in a file has 32 bits. */
        w->file_bytes = MIN(w->file_bytes, (uint64_t)UINT32_MAX);
        *ret = w;
        return NULL;
}

void chunk_writer_free(struct chunk_writer *w)
{
        if (!w)
                return;
        out_abort(&w->out);
        free(w->dir);
        free(w);
}

static struct error *next_file(struct chunk_writer *w)
{
        struct error *e = w->file ? out_close(&w->out) : NULL;
        if (e)
                return e;
        char name[16];
        snprintf(name, sizeof name, "%06u", w->file + 1);
        char *path = path_join(w->dir, name);
        e = out_open(&w->out, w->disk, path);
        free(path);
        if (e)
                return e;
        w->file++;
        out_put_be32(&w->out, 0x85BD40DD);
        out_write(&w->out, (const uint8_t[4]){1, 0, 0, 0}, 4);
        return NULL;
}

struct error *chunk_writer_add(struct chunk_writer *w, const struct chunk *c, uint64_t *ret_ref)
{
        uint64_t most = c->data.n + VARINT_MAX_BYTES + 1 + 4;
        if (c->data.n > UINT32_MAX / 2)
                return error_new(ERROR_LIMIT, "a chunk of %zu bytes", c->data.n);
        if (!w->file || (w->out.pos + most > w->file_bytes && w->out.pos > CHUNK_FILE_HEADER_BYTES)) {
                struct error *e = next_file(w);
                if (e)
                        return e;
        }
        *ret_ref = (uint64_t)(w->file - 1) << 32 | w->out.pos;
        out_put_uvarint(&w->out, c->data.n);
        out_crc_begin(&w->out);
        out_write(&w->out, &(uint8_t){(uint8_t)c->encoding}, 1);
        out_write(&w->out, c->data.p, c->data.n);
        out_put_crc(&w->out);
        return error_dup(w->out.error);
}

struct error *chunk_writer_finish(struct chunk_writer *w)
{
        return w->file ? out_close(&w->out) : NULL;
}
