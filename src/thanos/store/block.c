/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "thanos/store/store_impl.h"

enum { CHUNK_GUESS_LEAST = 256, CHUNK_GUESS_MOST = 16000 };

static struct error *each_segment(void *arg, const struct bucket_entry *en)
{
        struct store_block *b = arg;
        if (en->is_dir)
                return NULL;
        b->chunk_names = mem_realloc_array(b->chunk_names, b->n_chunk_names + 1, sizeof *b->chunk_names);
        b->chunk_names[b->n_chunk_names++] = str_dup(en->name);
        return NULL;
}

static char *join3(const char *a, const char *b, Str c)
{
        struct buf x = BUF_INIT(1 << 20);
        buf_printf(&x, "%s%s" STR_FMT, a, b, STR_ARG(c));
        return buf_take(&x);
}

/* A chunk is as large as those of the block are on average, and a bit. */
static uint32_t guess_chunk(const struct thanos_meta *m)
{
        int64_t bytes = 0;
        for (size_t i = 0; i < m->n_files; i++)
                if (str_has_prefix(m->files[i].rel_path, STR("chunks/")) && m->files[i].size_bytes > 0 &&
                    m->files[i].size_bytes < INT64_MAX / 2 - bytes)
                        bytes += m->files[i].size_bytes;
        int64_t guess = m->chunk_max_size > 0 ? m->chunk_max_size : CHUNK_GUESS_MOST;
        if (bytes && m->block.stats.chunks)
                guess = MIN(guess, (int64_t)((uint64_t)bytes / m->block.stats.chunks * 2));
        return (uint32_t)MIN(MAX(guess, CHUNK_GUESS_LEAST), CHUNK_GUESS_MOST);
}

static struct error *header_build(struct store_block *b, const struct bucket_call *c)
{
        if (b->header_path)
                return index_header_build(b->store->o.bucket, c, b->meta->block.ulid, b->header_path, NULL);
        buf_clear(&b->header_bytes);
        return index_header_build(b->store->o.bucket, c, b->meta->block.ulid, NULL, &b->header_bytes);
}

static struct error *header_open(struct store_block *b, struct index_header **ret)
{
        return b->header_path ? index_header_open(b->header_path, ret)
                              : index_header_of_bytes(buf_str(&b->header_bytes), ret);
}

static struct error *header_load_locked(struct store_block *b, const struct bucket_call *c)
{
        bool is_new = b->header_path ? !file_exists(b->header_path) : b->header_bytes.n == 0;
        struct error *e = is_new ? header_build(b, c) : NULL;
        if (!e)
                e = header_open(b, &b->header);
        if (e && error_is(e, ERROR_CORRUPT) && !is_new) {
                error_ignore(e, "a damaged copy: the bucket has the original");
                e = header_build(b, c);
                if (!e)
                        e = header_open(b, &b->header);
        }
        return e;
}

struct error *store_block_header(struct store_block *b, const struct bucket_call *c, const struct index_header **ret)
{
        mutex_lock(&b->mu);
        struct error *e = b->header ? NULL : header_load_locked(b, c);
        if (!e) {
                b->header_users++;
                *ret = b->header;
        }
        mutex_unlock(&b->mu);
        return e;
}

void store_block_header_put(struct store_block *b)
{
        mutex_lock(&b->mu);
        b->header_users--;
        b->header_used_ms = time_mono_ms();
        mutex_unlock(&b->mu);
}

void store_block_close_idle(struct store_block *b, int64_t before_ms)
{
        mutex_lock(&b->mu);
        if (b->header && b->header_users == 0 && b->header_used_ms <= before_ms) {
                index_header_close(b->header);
                b->header = NULL;
        }
        mutex_unlock(&b->mu);
}

struct error *store_block_new(struct bucket_store *s, struct thanos_meta *m, const struct bucket_call *c,
                              struct store_block **ret)
{
        struct store_block *b = mem_new(struct store_block);
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(m->block.ulid, id);
        b->refs = 1;
        b->store = s;
        b->meta = thanos_meta_ref(m);
        b->cache_id = __atomic_add_fetch(&s->next_cache_id, 1, __ATOMIC_SEQ_CST);
        b->index_name = join3(id, "/index", (Str){0});
        b->chunk_guess = guess_chunk(m);
        b->header_used_ms = time_mono_ms();
        mutex_init(&b->mu);
        buf_init(&b->header_bytes, BUF_NO_LIMIT);
        if (s->o.data_dir) {
                char *dir = path_join(s->o.data_dir, id);
                b->header_path = path_join(dir, INDEX_HEADER_FILE);
                free(dir);
        }
        struct error *e = NULL;
        if (m->resolution_ms != 0 && m->resolution_ms != 300000 && m->resolution_ms != 3600000)
                e = error_new(ERROR_UNSUPPORTED, "add block to set: unsupported downsampling resolution %lld",
                              (long long)m->resolution_ms);
        for (size_t i = 0; i < m->n_segment_files; i++) {
                b->chunk_names = mem_realloc_array(b->chunk_names, b->n_chunk_names + 1, sizeof *b->chunk_names);
                b->chunk_names[b->n_chunk_names++] = join3(id, "/chunks/", m->segment_files[i]);
        }
        if (!e && m->n_segment_files == 0) {
                char *dir = join3(id, "/chunks", (Str){0});
                e = bucket_iter(s->o.bucket, c, str_from(dir), 0, each_segment, b);
                if (e)
                        e = error_wrap(e, "list chunk files");
                free(dir);
        }
        if (!e && !(s->o.is_lazy_header && s->o.is_lazy_download)) {
                const struct index_header *h;
                e = store_block_header(b, c, &h);
                if (!e)
                        store_block_header_put(b);
                else
                        e = error_wrap(e, "create index header reader");
                if (!e && s->o.is_lazy_header)
                        store_block_close_idle(b, INT64_MAX);
        }
        if (e) {
                store_block_unref(b);
                return e;
        }
        *ret = b;
        return NULL;
}

struct store_block *store_block_ref(struct store_block *b)
{
        __atomic_add_fetch(&b->refs, 1, __ATOMIC_SEQ_CST);
        return b;
}

void store_block_unref(struct store_block *b)
{
        if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        index_header_close(b->header);
        buf_done(&b->header_bytes);
        page_cache_drop(b->store->pages, b->cache_id);
        for (size_t i = 0; i < b->n_chunk_names; i++)
                free(b->chunk_names[i]);
        free(b->chunk_names);
        free(b->index_name);
        free(b->header_path);
        thanos_meta_unref(b->meta);
        mutex_done(&b->mu);
        free(b);
}

/* Maps of open readers stay valid. */
void store_block_remove_files(struct store_block *b)
{
        if (!b->header_path)
                return;
        char *dir = str_dup(path_dir(str_from(b->header_path)));
        error_ignore(dir_remove_all(dir), "what is left is removed at the next start");
        free(dir);
}
