/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c — one block into the bucket, from hard links of its files. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "objstore/sigv4.h"
#include "thanos/shipper/shipper_impl.h"

#define UPLOAD_DIR "thanos/upload"
/* For removing what a failed upload left, also when the caller gave up. */
enum { CLEAN_UP_MS = 10000 };

struct upload {
        struct bucket *bucket;
        const struct bucket_call *call;
        const struct shipper_block *block;
        char id[ULID_TEXT_BYTES + 1];
        char *from;       /* the block's directory */
        char *dir;        /* of the links */
        PathVec segments; /* names in chunks/, sorted */
        struct arena arena;
};

static char *join3(const char *a, const char *b, const char *c)
{
        char *ab = path_join(a, b), *abc = path_join(ab, c);
        free(ab);
        return abc;
}

/* --- links --- */

static struct error *link_file(const struct upload *u, const char *name)
{
        char *from = path_join(u->from, name), *to = path_join(u->dir, name);
        struct error *e = link(from, to) ? error_errno(errno, "hard link file %s", name) : NULL;
        free(from);
        free(to);
        return e;
}

static struct error *link_block(struct upload *u)
{
        char *from = path_join(u->from, "chunks"), *to = path_join(u->dir, "chunks");
        struct error *e = dir_remove_all(u->dir);
        if (e)
                e = error_wrap(e, "clean upload directory");
        else if ((e = dir_make_all(to)))
                e = error_wrap(e, "create upload dir");
        else if ((e = dir_list(from, &u->segments)))
                e = error_wrap(e, "hard link block: read chunk dir");
        for (size_t i = 0; !e && i < u->segments.n; i++) {
                char *name = path_join("chunks", u->segments.p[i]);
                if ((e = link_file(u, name)))
                        e = error_wrap(e, "hard link block");
                free(name);
        }
        if (!e && (e = link_file(u, "index")))
                e = error_wrap(e, "hard link block");
        free(from);
        free(to);
        return e;
}

/* --- meta.json --- */

static struct error *file_stats(struct upload *u, const char *name, struct thanos_file *ret)
{
        char *path = path_join(u->dir, name);
        struct file_map m = {0};
        uint64_t size = 0;
        struct error *e = file_size(path, &size);
        *ret = (struct thanos_file){.rel_path = arena_str(&u->arena, str_from(name)), .size_bytes = (int64_t)size};
        if (!e && u->block->with_hashes && !(e = file_map_open(path, &m))) {
                char hex[65];
                sha256_hex_of_map((Str){(const char *)m.p, m.n}, hex);
                file_map_close(&m);
                ret->hash_func = STR("SHA256");
                ret->hash_value = arena_str(&u->arena, str_from(hex));
        }
        free(path);
        return e ? error_wrap(e, "gather meta file stats") : NULL;
}

/* What the database wrote, and the section "thanos" anew; labels that were in it stay unless ours have their names. */
static struct error *meta_make(struct upload *u, struct thanos_meta *m)
{
        struct arena *a = &u->arena;
        struct labels_builder lb;
        labels_builder_init(&lb);
        labels_builder_reset(&lb, m->labels);
        for (size_t i = 0; i < u->block->labels.n; i++)
                labels_builder_set(&lb, u->block->labels.v[i].name, u->block->labels.v[i].value);
        m->labels = labels_builder_labels(&lb, a);
        labels_builder_done(&lb);
        if (m->labels.n == 0)
                return error_new(ERROR_INVALID, "empty external labels are not allowed for Thanos block.");
        m->source = str_from(u->block->source);
        Str *segments = arena_array(a, Str, u->segments.n + 1);
        struct thanos_file *files = arena_zalloc(a, (u->segments.n + 2) * sizeof *files);
        struct error *e = NULL;
        size_t n = 0;
        for (size_t i = 0; !e && i < u->segments.n; i++) { /* "chunks/…" < "index" < "meta.json" */
                segments[i] = arena_str(a, str_from(u->segments.p[i]));
                char *name = path_join("chunks", u->segments.p[i]);
                e = file_stats(u, name, &files[n++]);
                free(name);
        }
        if (!e)
                e = file_stats(u, "index", &files[n++]);
        files[n++] = (struct thanos_file){.rel_path = STR(BLOCK_META_FILE)};
        m->segment_files = segments;
        m->n_segment_files = u->segments.n;
        m->files = files;
        m->n_files = n;
        return e;
}

static struct error *meta_print(struct upload *u, struct buf *ret)
{
        struct thanos_meta *m;
        struct buf b = BUF_INIT(THANOS_META_MAX_BYTES);
        thanos_meta_print(&b, u->block->meta);
        struct error *e = thanos_meta_parse(buf_str(&b), &m); /* a copy that we may change */
        buf_done(&b);
        if (e)
                return error_wrap(e, "read meta");
        e = meta_make(u, m);
        if (!e)
                thanos_meta_print(ret, m);
        if (!e && buf_is_over(ret))
                e = error_new(ERROR_LIMIT, "encode meta file: it is larger than %zu bytes", ret->limit);
        thanos_meta_unref(m);
        return e;
}

/* --- bucket --- */

static struct error *put_file(const struct upload *u, const char *name)
{
        char *object = path_join(u->id, name), *path = path_join(u->dir, name);
        struct error *e = bucket_upload_final_file(u->bucket, u->call, str_from(object), path);
        free(object);
        free(path);
        return e;
}

static struct error *found_each(void *arg, const struct bucket_entry *entry)
{
        PathVec *names = arg;
        vec_push(names, str_dup(entry->name));
        return NULL;
}

static struct error *delete_all(struct upload *u, const struct bucket_call *c)
{
        PathVec names = VEC_INIT;
        struct error *e = bucket_iter(u->bucket, c, str_from(u->id), BUCKET_RECURSIVE, found_each, &names);
        for (size_t i = 0; !e && i < names.n; i++)
                e = bucket_delete(u->bucket, c, str_from(names.p[i]));
        path_vec_done(&names);
        return e;
}

/* Takes away what arrived. Not when there is a meta.json by now: then somebody else brought the block, and it is whole. */
static struct error *clean_up(struct upload *u, struct error *take_why)
{
        struct bucket_call c = {.deadline_ms = time_mono_ms() + CLEAN_UP_MS};
        char *meta = path_join(u->id, BLOCK_META_FILE);
        bool exists = true;
        struct error *e = bucket_exists(u->bucket, &c, str_from(meta), &exists);
        free(meta);
        if (!e && !exists)
                e = delete_all(u, &c);
        if (!e)
                return take_why;
        struct error *both = error_new(error_get_kind(take_why),
                                       "failed to clean block after upload issue. Partial block in system. Err: %s: %s",
                                       error_str(take_why), error_str(e));
        error_free(take_why);
        error_free(e);
        return both;
}

static struct error *put_block(struct upload *u, Str meta)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && i < u->segments.n; i++) {
                char *name = path_join("chunks", u->segments.p[i]);
                if ((e = put_file(u, name)))
                        e = error_wrap(e, "upload chunks");
                free(name);
        }
        if (!e && (e = put_file(u, "index")))
                e = error_wrap(e, "upload index");
        if (e)
                return clean_up(u, e);
        char *object = path_join(u->id, BLOCK_META_FILE);
        e = bucket_upload(u->bucket, u->call, str_from(object), meta);
        free(object);
        /* No cleaning up: a store that says no (503, a lost answer) may have taken it all the same, now or a little later. */
        return e ? error_wrap(e, "upload meta file") : NULL;
}

struct error *shipper_upload(struct bucket *b, const struct bucket_call *c, const struct shipper_block *block)
{
        struct upload u = {.bucket = b, .call = c, .block = block, .segments = VEC_INIT};
        struct buf meta = BUF_INIT(THANOS_META_MAX_BYTES);
        ulid_print(block->meta->block.ulid, u.id);
        u.from = path_join(block->dir, u.id);
        u.dir = join3(block->dir, UPLOAD_DIR, u.id);
        arena_init(&u.arena, 64 << 20);
        struct error *e = link_block(&u);
        if (!e)
                e = meta_print(&u, &meta);
        if (!e)
                e = put_block(&u, buf_str(&meta));
        error_ignore(dir_remove_all(u.dir), "the next process removes it when it starts");
        buf_done(&meta);
        path_vec_done(&u.segments);
        arena_done(&u.arena);
        free(u.from);
        free(u.dir);
        return e;
}

struct error *shipper_clean(const char *dir)
{
        char *path = path_join(dir, UPLOAD_DIR);
        struct error *e = dir_remove_all(path);
        free(path);
        return e;
}
