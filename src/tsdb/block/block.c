/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tsdb/block/open.h"

static void file_bytes_add(const char *dir, const char *name, uint64_t *sum)
{
        char *path = path_join(dir, name);
        uint64_t n = 0;
        error_ignore(file_size(path, &n), "the size of a block is a statistic");
        *sum += n;
        free(path);
}

static struct error *storage_querier_of_block(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                              struct querier **ret)
{
        return block_querier(CONTAINER_OF(s, struct block, storage), mint_ms, maxt_ms, arena, ret);
}

struct error *block_open(const char *dir, struct block **ret)
{
        static const struct storage_ops ops = {.querier = storage_querier_of_block};
        struct block *b = mem_new(struct block);
        b->storage.ops = &ops;
        b->refs = 1;
        b->dir = mem_strdup(dir);
        mutex_init(&b->mu);
        b->stones = mem_new(struct stones);
        b->stones->refs = 1;
        char *index = path_join(dir, "index"), *chunks = path_join(dir, "chunks"),
             *stones = path_join(dir, TOMBSTONES_FILE);
        uint64_t stone_bytes = 0;
        struct error *e = block_meta_read(dir, &b->meta);
        if (!e)
                e = index_open(index, &b->index);
        if (!e)
                e = chunk_files_open(chunks, &b->chunks);
        if (!e)
                e = tombstones_read(stones, &b->stones->t, &stone_bytes);
        free(index);
        free(chunks);
        free(stones);
        if (e) {
                block_unref(b);
                return e;
        }
        b->bytes = index_bytes(b->index) + chunk_files_bytes(b->chunks) + stone_bytes;
        file_bytes_add(dir, BLOCK_META_FILE, &b->bytes);
        *ret = b;
        return NULL;
}

struct block *block_ref(struct block *b)
{
        __atomic_fetch_add(&b->refs, 1, __ATOMIC_SEQ_CST);
        return b;
}

void block_unref(struct block *b)
{
        if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        index_close(b->index);
        chunk_files_close(b->chunks);
        block_stones_unref(b->stones);
        mutex_done(&b->mu);
        block_meta_done(&b->meta);
        free(b->dir);
        free(b);
}

struct stones *block_stones_ref(struct block *b)
{
        mutex_lock(&b->mu);
        struct stones *s = b->stones;
        __atomic_fetch_add(&s->refs, 1, __ATOMIC_SEQ_CST);
        mutex_unlock(&b->mu);
        return s;
}

void block_stones_unref(struct stones *s)
{
        if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        tombstones_done(&s->t);
        free(s);
}

const struct block_meta *block_get_meta(const struct block *b)
{
        return &b->meta;
}

const char *block_get_dir(const struct block *b)
{
        return b->dir;
}

uint64_t block_size_bytes(const struct block *b)
{
        return b->bytes;
}

uint64_t block_symbol_bytes(const struct block *b)
{
        return index_symbol_bytes(b->index);
}

uint64_t block_tombstones(struct block *b)
{
        struct stones *s = block_stones_ref(b);
        uint64_t n = tombstones_count(&s->t);
        block_stones_unref(s);
        return n;
}

struct index_reader *block_get_index(struct block *b)
{
        return b->index;
}

struct storage *block_storage(struct block *b)
{
        return &b->storage;
}

/* Adds the range to the series of sel that have samples near it, cut to where they have some. */
static struct error *add_deletions(struct block *b, TimeMs mint_ms, TimeMs maxt_ms, const struct index_selection *sel,
                                   struct tombstones *to)
{
        struct arena scratch;
        arena_init(&scratch, (size_t)1 << 30);
        struct error *e = NULL;
        for (size_t i = 0; !e && i < sel->n; i++) {
                arena_clear(&scratch);
                Labels labels;
                struct index_chunk *c;
                size_t n;
                e = index_series(b->index, sel->refs[i], &scratch, NULL, &labels, &c, &n);
                if (e || !matchers_match(sel->rest, sel->n_rest, labels))
                        continue;
                bool has_samples = false;
                for (size_t k = 0; k < n; k++)
                        has_samples |= c[k].mint_ms <= maxt_ms && mint_ms <= c[k].maxt_ms;
                if (has_samples)
                        tombstones_add(to, sel->refs[i],
                                       (struct interval){MAX(mint_ms, c[0].mint_ms), MIN(maxt_ms, c[n - 1].maxt_ms)});
        }
        arena_done(&scratch);
        return e;
}

struct error *block_delete(struct block *b, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m)
{
        struct arena arena;
        arena_init(&arena, (size_t)1 << 30);
        struct stones *changed = mem_new(struct stones), *old = block_stones_ref(b);
        changed->refs = 1;
        tombstones_copy(&changed->t, &old->t);
        block_stones_unref(old);
        struct block_meta meta;
        block_meta_copy(&meta, &b->meta);
        struct index_selection sel;
        struct error *e = index_select(b->index, m, n_m, &arena, &sel);
        if (!e)
                e = add_deletions(b, mint_ms, maxt_ms, &sel, &changed->t);
        meta.stats.tombstones = tombstones_count(&changed->t);
        if (!e)
                e = tombstones_write(b->dir, &changed->t);
        if (!e)
                e = block_meta_write(b->dir, &meta);
        if (!e) {
                mutex_lock(&b->mu);
                old = b->stones;
                b->stones = changed;
                changed = old;
                b->meta.stats.tombstones = meta.stats.tombstones;
                mutex_unlock(&b->mu);
        }
        block_stones_unref(changed);
        block_meta_done(&meta);
        arena_done(&arena);
        return e;
}

struct error *block_set_compaction_failed(struct block *b)
{
        b->meta.failed = true;
        return block_meta_write(b->dir, &b->meta);
}

struct error *block_set_deletable(struct block *b)
{
        b->meta.deletable = true;
        return block_meta_write(b->dir, &b->meta);
}

static struct error *link_file(const char *from_dir, const char *to_dir, const char *name, bool may_miss)
{
        char *from = path_join(from_dir, name), *to = path_join(to_dir, name);
        struct error *e = NULL;
        if (link(from, to) < 0 && !(may_miss && errno == ENOENT))
                e = error_errno(errno, "link %s to %s", from, to);
        free(from);
        free(to);
        return e;
}

struct error *block_snapshot(const struct block *b, const char *into)
{
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(b->meta.ulid, name);
        char *to = path_join(into, name), *to_chunks = path_join(to, "chunks"),
             *from_chunks = path_join(b->dir, "chunks");
        PathVec files = VEC_INIT;
        struct error *e = dir_make_all(to_chunks);
        static const char *const names[] = {BLOCK_META_FILE, "index", TOMBSTONES_FILE};
        for (size_t i = 0; !e && i < ARRAY_LEN(names); i++)
                e = link_file(b->dir, to, names[i], /* may_miss= */ i == 2);
        if (!e)
                e = dir_list(from_chunks, &files);
        for (size_t i = 0; !e && i < files.n; i++)
                e = link_file(from_chunks, to_chunks, files.p[i], false);
        path_vec_done(&files);
        free(to);
        free(to_chunks);
        free(from_chunks);
        return e;
}
