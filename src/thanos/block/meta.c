/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/block/meta.h"

#include <inttypes.h>

#include "base/file.h"
#include "codec/json.h"

enum { LABELS_MAX = 4096, FILES_MAX = 1 << 20 };
#define ARENA_MAX_BYTES ((size_t)512 << 20)

struct thanos_meta *thanos_meta_new(void)
{
        struct thanos_meta *m = mem_new(struct thanos_meta);
        m->refs = 1;
        arena_init(&m->arena, ARENA_MAX_BYTES);
        m->block = (struct block_meta)BLOCK_META_INIT;
        return m;
}

struct thanos_meta *thanos_meta_ref(struct thanos_meta *m)
{
        __atomic_add_fetch(&m->refs, 1, __ATOMIC_SEQ_CST);
        return m;
}

void thanos_meta_unref(struct thanos_meta *m)
{
        if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        block_meta_done(&m->block);
        arena_done(&m->arena);
        free(m);
}

/* --- reading --- */

static struct error *want(const struct json *j, enum json_type t, const char *key)
{
        if (!j || j->type == JSON_NULL || j->type == t)
                return NULL;
        return error_new(ERROR_CORRUPT, "thanos: %s has the wrong type", key);
}

static struct error *take_number(const struct json *o, const char *key, int64_t *ret)
{
        const struct json *j = json_get(o, str_from(key));
        struct error *e = want(j, JSON_NUMBER, key);
        *ret = 0;
        if (!e && j && j->type == JSON_NUMBER && !str_to_i64(j->text, ret))
                return error_new(ERROR_CORRUPT, "thanos: %s: " STR_FMT " is no integer of 64 bits", key,
                                 STR_ARG(j->text));
        return e;
}

static struct error *take_text(const struct json *o, const char *key, struct arena *a, Str *ret)
{
        const struct json *j = json_get(o, str_from(key));
        struct error *e = want(j, JSON_STRING, key);
        if (!e)
                *ret = arena_str(a, json_str(j));
        return e;
}

static struct error *take_labels(const struct json *o, struct thanos_meta *m)
{
        struct error *e = want(o, JSON_OBJECT, "labels");
        if (e || !o)
                return e;
        if (o->n > LABELS_MAX)
                return error_new(ERROR_CORRUPT, "thanos: %zu labels", o->n);
        Label *l = arena_array(&m->arena, Label, o->n ? o->n : 1);
        size_t n = 0;
        JSON_EACH(x, o)
        {
                if ((e = want(&x->value, JSON_STRING, "labels")))
                        return e;
                size_t i = 0;
                while (i < n && !str_eq(l[i].name, x->key))
                        i++;
                Str value = json_str(&x->value);
                if (value.n == 0)
                        continue; /* an empty label is none */
                l[i] = (Label){arena_str(&m->arena, x->key), arena_str(&m->arena, value)};
                n = MAX(n, i + 1);
        }
        labels_sort(l, n);
        m->labels = (Labels){l, n};
        return NULL;
}

static struct error *take_files(const struct json *o, struct thanos_meta *m)
{
        struct error *e = want(o, JSON_ARRAY, "files");
        if (e || !o)
                return e;
        if (o->n > FILES_MAX)
                return error_new(ERROR_CORRUPT, "thanos: %zu files", o->n);
        struct thanos_file *f = arena_zalloc(&m->arena, (o->n + 1) * sizeof *f);
        size_t n = 0;
        JSON_EACH(x, o)
        {
                const struct json *hash = json_get(&x->value, STR("hash"));
                if ((e = want(&x->value, JSON_OBJECT, "files")) ||
                    (e = take_text(&x->value, "rel_path", &m->arena, &f[n].rel_path)) ||
                    (e = take_number(&x->value, "size_bytes", &f[n].size_bytes)) ||
                    (e = want(hash, JSON_OBJECT, "hash")) ||
                    (e = take_text(hash, "hashFunc", &m->arena, &f[n].hash_func)) ||
                    (e = take_text(hash, "value", &m->arena, &f[n].hash_value)))
                        return e;
                n++;
        }
        m->files = f;
        m->n_files = n;
        return NULL;
}

static struct error *take_segments(const struct json *o, struct thanos_meta *m)
{
        struct error *e = want(o, JSON_ARRAY, "segment_files");
        if (e || !o)
                return e;
        if (o->n > FILES_MAX)
                return error_new(ERROR_CORRUPT, "thanos: %zu segment files", o->n);
        Str *s = arena_array(&m->arena, Str, o->n + 1);
        size_t n = 0;
        JSON_EACH(x, o)
        {
                if ((e = want(&x->value, JSON_STRING, "segment_files")))
                        return e;
                s[n++] = arena_str(&m->arena, json_str(&x->value));
        }
        m->segment_files = s;
        m->n_segment_files = n;
        return NULL;
}

/* Members of o that are not in known, with the bytes of their values. */
static void put_others(struct buf *b, const struct json *o, const char *const *known, const char *between)
{
        JSON_EACH(x, o)
        {
                bool is_known = false;
                for (const char *const *k = known; *k; k++)
                        is_known |= str_eq(x->key, str_from(*k));
                if (is_known)
                        continue;
                if (b->n)
                        buf_puts(b, between);
                json_put_str(b, x->key);
                buf_puts(b, ": ");
                buf_put(b, x->value.raw);
        }
}

static struct error *take_section(const struct json *t, struct thanos_meta *m)
{
        static const char *const known[] = {"version", "labels",   "downsample",  "source",     "segment_files",
                                            "files",   "rewrites", "index_stats", "extensions", NULL};
        struct error *e = want(t, JSON_OBJECT, "section");
        const struct json *down = json_get(t, STR("downsample")), *stats = json_get(t, STR("index_stats"));
        const struct json *rewrites = json_get(t, STR("rewrites")), *ext = json_get(t, STR("extensions"));
        if (e || (e = take_number(t, "version", &m->version)) || (e = take_labels(json_get(t, STR("labels")), m)) ||
            (e = want(down, JSON_OBJECT, "downsample")) || (e = take_number(down, "resolution", &m->resolution_ms)) ||
            (e = take_text(t, "source", &m->arena, &m->source)) ||
            (e = take_segments(json_get(t, STR("segment_files")), m)) ||
            (e = take_files(json_get(t, STR("files")), m)) || (e = want(stats, JSON_OBJECT, "index_stats")) ||
            (e = take_number(stats, "series_max_size", &m->series_max_size)) ||
            (e = take_number(stats, "chunk_max_size", &m->chunk_max_size)))
                return e;
        if (m->version != 0 && m->version != 1)
                return error_new(ERROR_CORRUPT, "unexpected meta file Thanos section version %" PRId64, m->version);
        if (rewrites && rewrites->type != JSON_NULL)
                m->rewrites = arena_str(&m->arena, rewrites->raw);
        if (ext && ext->type != JSON_NULL)
                m->extensions = arena_str(&m->arena, ext->raw);
        struct buf b = BUF_INIT(THANOS_META_MAX_BYTES);
        put_others(&b, t, known, ",\n\t\t");
        m->others = arena_str(&m->arena, buf_str(&b));
        buf_done(&b);
        return NULL;
}

struct error *thanos_meta_parse(Str json, struct thanos_meta **ret)
{
        static const char *const known[] = {"ulid",       "minTime", "maxTime", "stats",
                                            "compaction", "version", "thanos",  NULL};
        struct thanos_meta *m = thanos_meta_new();
        struct arena a;
        const struct json *root = NULL;
        arena_init(&a, ARENA_MAX_BYTES);
        struct error *e = block_meta_parse(json, &m->block);
        if (!e)
                e = json_parse(json, &a, &root);
        if (!e)
                e = take_section(json_get(root, STR("thanos")), m);
        if (!e) {
                struct buf b = BUF_INIT(THANOS_META_MAX_BYTES);
                put_others(&b, root, known, ",\n\t");
                free(m->block.extra);
                m->block.extra = b.n ? buf_take(&b) : NULL;
                buf_done(&b);
        }
        arena_done(&a);
        if (e) {
                thanos_meta_unref(m);
                return e;
        }
        *ret = m;
        return NULL;
}

/* --- writing: as encoding/json with a tab --- */

static void put_list(struct buf *b, const Str *v, size_t n)
{
        buf_putc(b, '[');
        for (size_t i = 0; i < n; i++) {
                buf_puts(b, i ? ",\n\t\t\t" : "\n\t\t\t");
                json_put_str(b, v[i]);
        }
        buf_puts(b, "\n\t\t]");
}

static void put_file(struct buf *b, const struct thanos_file *f)
{
        buf_puts(b, "{\n\t\t\t\t\"rel_path\": ");
        json_put_str(b, f->rel_path);
        if (f->size_bytes)
                buf_printf(b, ",\n\t\t\t\t\"size_bytes\": %" PRId64, f->size_bytes);
        if (f->hash_func.n || f->hash_value.n) {
                buf_puts(b, ",\n\t\t\t\t\"hash\": {\n\t\t\t\t\t\"hashFunc\": ");
                json_put_str(b, f->hash_func);
                buf_puts(b, ",\n\t\t\t\t\t\"value\": ");
                json_put_str(b, f->hash_value);
                buf_puts(b, "\n\t\t\t\t}");
        }
        buf_puts(b, "\n\t\t\t}");
}

static void put_section(struct buf *b, const struct thanos_meta *m)
{
        buf_puts(b, "\"thanos\": {\n\t\t");
        if (m->version)
                buf_printf(b, "\"version\": %" PRId64 ",\n\t\t", m->version);
        buf_puts(b, "\"labels\": {");
        for (size_t i = 0; i < m->labels.n; i++) {
                buf_puts(b, i ? ",\n\t\t\t" : "\n\t\t\t");
                json_put_str(b, m->labels.v[i].name);
                buf_puts(b, ": ");
                json_put_str(b, m->labels.v[i].value);
        }
        buf_puts(b, m->labels.n ? "\n\t\t}" : "}");
        buf_printf(b, ",\n\t\t\"downsample\": {\n\t\t\t\"resolution\": %" PRId64 "\n\t\t},\n\t\t\"source\": ",
                   m->resolution_ms);
        json_put_str(b, m->source);
        if (m->n_segment_files) {
                buf_puts(b, ",\n\t\t\"segment_files\": ");
                put_list(b, m->segment_files, m->n_segment_files);
        }
        if (m->n_files) {
                buf_puts(b, ",\n\t\t\"files\": [");
                for (size_t i = 0; i < m->n_files; i++) {
                        buf_puts(b, i ? ",\n\t\t\t" : "\n\t\t\t");
                        put_file(b, &m->files[i]);
                }
                buf_puts(b, "\n\t\t]");
        }
        if (m->rewrites.n) {
                buf_puts(b, ",\n\t\t\"rewrites\": ");
                buf_put(b, m->rewrites);
        }
        buf_puts(b, ",\n\t\t\"index_stats\": {");
        if (m->series_max_size)
                buf_printf(b, "\n\t\t\t\"series_max_size\": %" PRId64, m->series_max_size);
        if (m->chunk_max_size)
                buf_printf(b, "%s\n\t\t\t\"chunk_max_size\": %" PRId64, m->series_max_size ? "," : "",
                           m->chunk_max_size);
        buf_puts(b, m->series_max_size || m->chunk_max_size ? "\n\t\t}" : "}");
        if (m->extensions.n) {
                buf_puts(b, ",\n\t\t\"extensions\": ");
                buf_put(b, m->extensions);
        }
        if (m->others.n) {
                buf_puts(b, ",\n\t\t");
                buf_put(b, m->others);
        }
        buf_puts(b, "\n\t}");
}

void thanos_meta_print(struct buf *b, const struct thanos_meta *m)
{
        struct buf extra = BUF_INIT(2 * THANOS_META_MAX_BYTES);
        put_section(&extra, m);
        if (m->block.extra) {
                buf_puts(&extra, ",\n\t");
                buf_puts(&extra, m->block.extra);
        }
        struct block_meta view = m->block; /* borrows all but extra */
        view.extra = buf_take(&extra);
        block_meta_print(b, &view);
        buf_putc(b, '\n');
        free(view.extra);
        buf_done(&extra);
}

struct error *thanos_meta_read(const char *dir, struct thanos_meta **ret)
{
        char *path = path_join(dir, BLOCK_META_FILE), *text = NULL;
        size_t n;
        struct error *e = file_read(path, THANOS_META_MAX_BYTES, &text, &n);
        if (!e) {
                e = thanos_meta_parse((Str){text, n}, ret);
                if (e)
                        e = error_wrap(e, "%s", path);
        }
        free(text);
        free(path);
        return e;
}

struct error *thanos_meta_write(const char *dir, const struct thanos_meta *m)
{
        char *path = path_join(dir, BLOCK_META_FILE);
        struct buf b = BUF_INIT(2 * THANOS_META_MAX_BYTES);
        thanos_meta_print(&b, m);
        struct error *e = file_replace(path, buf_str(&b));
        buf_done(&b);
        free(path);
        return e;
}

/* --- marks --- */

void deletion_mark_done(struct deletion_mark *m)
{
        free(m->details);
        m->details = NULL;
}

struct error *deletion_mark_parse(Str json, struct deletion_mark *ret)
{
        struct arena a;
        arena_init(&a, 8 << 20);
        const struct json *root = NULL;
        int64_t version = 0, at = 0;
        struct deletion_mark m = {.details = NULL};
        Str details = {0};
        struct error *e = json_parse(json, &a, &root);
        if (e) {
                struct error *bad = error_new(ERROR_CORRUPT, "%s", error_str(e));
                error_free(e);
                e = bad;
        }
        if (!e && root->type != JSON_OBJECT)
                e = error_new(ERROR_CORRUPT, "not a JSON object");
        if (!e)
                e = take_number(root, "version", &version);
        if (!e)
                e = take_number(root, "deletion_time", &at);
        if (!e)
                e = take_text(root, "details", &a, &details);
        if (!e && !ulid_parse(json_str(json_get(root, STR("id"))), &m.id))
                e = error_new(ERROR_CORRUPT, "id: not a ULID");
        if (!e && version != 1)
                e = error_new(ERROR_UNSUPPORTED, "unexpected deletion-mark file version %" PRId64 ", expected 1",
                              version);
        if (!e) {
                m.deletion_time_s = at;
                m.details = details.n ? str_dup(details) : NULL;
                *ret = m;
        }
        arena_done(&a);
        return e;
}

void deletion_mark_print(struct buf *b, const struct deletion_mark *m)
{
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(m->id, id);
        buf_printf(b, "{\"id\":\"%s\",\"version\":1", id);
        if (m->details && *m->details) {
                buf_puts(b, ",\"details\":");
                json_put_str(b, str_from(m->details));
        }
        buf_printf(b, ",\"deletion_time\":%" PRId64 "}", m->deletion_time_s);
}
