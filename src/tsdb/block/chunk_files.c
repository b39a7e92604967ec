/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/chunk_files.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "codec/crc32c.h"
#include "codec/varint.h"

struct chunk_file {
        struct file_map map;
        uint64_t *seen; /* a bit for each 8 bytes: the chunk that begins there has a right checksum */
};
struct chunk_files {
        char *dir; /* NULL: bytes in memory */
        VEC(struct chunk_file) files;
        uint64_t bytes;
};

static struct error *check_header(const struct file_map *m)
{
        if (m->n < CHUNK_FILE_HEADER_BYTES)
                return error_new(ERROR_CORRUPT, "chunk file header: %zu bytes are too few", m->n);
        if (get_be32(m->p) != 0x85BD40DD)
                return error_new(ERROR_CORRUPT, "chunk file header: invalid magic number %x", get_be32(m->p));
        if (m->p[4] != 1)
                return error_new(ERROR_CORRUPT, "chunk file header: invalid chunk format version %d", m->p[4]);
        return NULL;
}

static void add_file(struct chunk_files *f, struct file_map map)
{
        struct chunk_file c = {.map = map, .seen = mem_zalloc((map.n / 512 + 1) * 8)};
        vec_push(&f->files, c);
        f->bytes += map.n;
}

static struct error *open_file(struct chunk_files *f, const char *name)
{
        uint64_t number = 0;
        if (!str_to_u64(str_from(name), &number))
                return NULL; /* not ours */
        char *path = path_join(f->dir, name);
        struct file_map map = {0};
        struct error *e = NULL;
        if (number != f->files.n + 1) {
                e = error_new(ERROR_CORRUPT, "chunk file %06zu is missing", f->files.n + 1);
        } else {
                e = file_map_open(path, &map);
                if (e)
                        goto out;
                e = check_header(&map);
        }
        if (e) {
                file_map_close(&map);
                e = error_wrap(e, "%s", path);
        } else {
                add_file(f, map);
        }
out:
        free(path);
        return e;
}

struct error *chunk_files_open(const char *dir, struct chunk_files **ret)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(dir, &names);
        if (e)
                return e;
        struct chunk_files *f = mem_new(struct chunk_files);
        f->dir = mem_strdup(dir);
        for (size_t i = 0; !e && i < names.n; i++)
                e = open_file(f, names.p[i]);
        path_vec_done(&names);
        if (e)
                chunk_files_close(f);
        else
                *ret = f;
        return e;
}

struct error *chunk_files_of_bytes(Str file, struct chunk_files **ret)
{
        struct file_map map = {(const uint8_t *)file.p, file.n};
        struct error *e = check_header(&map);
        if (e)
                return e;
        struct chunk_files *f = mem_new(struct chunk_files);
        add_file(f, map);
        *ret = f;
        return NULL;
}

void chunk_files_close(struct chunk_files *f)
{
        if (!f)
                return;
        for (size_t i = 0; i < f->files.n; i++) {
                if (f->dir)
                        file_map_close(&f->files.p[i].map);
                free(f->files.p[i].seen);
        }
        vec_done(&f->files);
        free(f->dir);
        free(f);
}

uint64_t chunk_files_bytes(const struct chunk_files *f)
{
        return f->bytes;
}

static struct error *damaged(const struct chunk_files *f, uint64_t ref, const char *what)
{
        return error_new(ERROR_CORRUPT, "%s/%06" PRIu64 ": chunk at %" PRIu32 ": %s", f->dir ? f->dir : "chunks",
                         (ref >> 32) + 1, (uint32_t)ref, what);
}

struct error *chunk_files_get(struct chunk_files *f, uint64_t ref, struct chunk *ret)
{
        if (ref >> 32 >= f->files.n)
                return damaged(f, ref, "there is no such file");
        struct chunk_file *file = &f->files.p[ref >> 32];
        uint32_t at = (uint32_t)ref;
        if (at < CHUNK_FILE_HEADER_BYTES || at >= file->map.n)
                return damaged(f, ref, "it lies outside the file");
        struct cursor c = {file->map.p + at, file->map.p + file->map.n, false};
        uint64_t n = take_uvarint(&c);
        if (c.bad || cursor_left(&c) < 5 || n > cursor_left(&c) - 5)
                return damaged(f, ref, "it reaches past the end of the file");
        /* Relaxed: the bit stands for bytes that never change; setting it twice is fine. */
        uint64_t *word = &file->seen[at / 512], bit = UINT64_C(1) << (at / 8 % 64);
        if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit)) {
                if (crc32c(0, c.p, n + 1) != get_be32(c.p + 1 + n))
                        return damaged(f, ref, "checksum mismatch");
                /* Shorter ones (no writer makes any) could share the bit with their neighbour. */
                if (n >= 2)
                        __atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
        }
        ret->encoding = (enum chunk_encoding)c.p[0];
        ret->data = (Str){(const char *)c.p + 1, n};
        ret->ref = ref;
        return NULL;
}

void chunk_files_prefetch(const struct chunk_files *f, uint64_t ref)
{
        if (ref >> 32 < f->files.n && (uint32_t)ref < f->files.p[ref >> 32].map.n)
                __builtin_prefetch(f->files.p[ref >> 32].map.p + (uint32_t)ref);
}
