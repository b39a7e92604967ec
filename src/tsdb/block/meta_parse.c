/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/file.h"
#include "codec/json.h"
#include "tsdb/block/meta.h"

#define META_MAX_BYTES ((size_t)64 << 20)

static struct error *want_type(const struct json *j, const char *key, enum json_type t)
{
        static const char *const names[] = {"null", "bool", "number", "string", "array", "object"};
        if (!j || j->type == JSON_NULL || j->type == t)
                return NULL;
        return error_new(ERROR_CORRUPT, "%s: %s where a %s belongs", key, names[j->type], names[t]);
}

static struct error *get_i64(const struct json *o, const char *key, int64_t *ret)
{
        const struct json *j = json_get(o, str_from(key));
        struct error *e = want_type(j, key, JSON_NUMBER);
        if (e)
                return e;
        *ret = 0;
        if (j && j->type == JSON_NUMBER && !str_to_i64(j->text, ret))
                return error_new(ERROR_CORRUPT, "%s: " STR_FMT " is no integer of 64 bits", key, STR_ARG(j->text));
        return NULL;
}

static struct error *get_u64(const struct json *o, const char *key, uint64_t *ret)
{
        const struct json *j = json_get(o, str_from(key));
        struct error *e = want_type(j, key, JSON_NUMBER);
        if (e)
                return e;
        *ret = 0;
        if (j && j->type == JSON_NUMBER && !str_to_u64(j->text, ret))
                return error_new(ERROR_CORRUPT, "%s: " STR_FMT " is no unsigned integer of 64 bits", key,
                                 STR_ARG(j->text));
        return NULL;
}

static struct error *get_ulid(const struct json *j, const char *key, Ulid *ret)
{
        if (!j || j->type != JSON_STRING || !ulid_parse(j->text, ret))
                return error_new(ERROR_CORRUPT, "%s: not a ULID", key);
        return NULL;
}

static struct error *get_stats(const struct json *o, struct block_stats *s)
{
        struct error *e = want_type(o, "stats", JSON_OBJECT);
        const struct {
                const char *key;
                uint64_t *to;
        } rows[] = {
                {"numSamples", &s->samples},
                {"numFloatSamples", &s->float_samples},
                {"numHistogramSamples", &s->histogram_samples},
                {"numSeries", &s->series},
                {"numChunks", &s->chunks},
                {"numTombstones", &s->tombstones},
        };
        for (size_t i = 0; !e && i < ARRAY_LEN(rows); i++)
                e = get_u64(o, rows[i].key, rows[i].to);
        return e;
}

static struct error *get_hints(const struct json *a, struct block_meta *m)
{
        struct error *e = want_type(a, "hints", JSON_ARRAY);
        if (e)
                return e;
        JSON_EACH(h, a)
        {
                if (h->value.type != JSON_STRING)
                        return error_new(ERROR_CORRUPT, "hints: not a string");
                Str s = h->value.text;
                if (str_eq(s, STR("from-out-of-order")))
                        m->hints |= BLOCK_HINT_OUT_OF_ORDER;
                else if (str_eq(s, STR("from-selected-series")))
                        m->hints |= BLOCK_HINT_SELECTED_SERIES;
                else if (str_eq(s, STR("from-stale-series")))
                        m->hints |= BLOCK_HINT_STALE_SERIES;
                else
                        vec_push(&m->other_hints, str_dup(h->value.raw));
        }
        return NULL;
}

static struct error *get_compaction(const struct json *o, struct block_meta *m)
{
        int64_t level = 0;
        struct error *e = want_type(o, "compaction", JSON_OBJECT);
        if (!e)
                e = get_i64(o, "level", &level);
        if (e)
                return e;
        if (level < 0 || level > INT32_MAX)
                return error_new(ERROR_CORRUPT, "level: %" PRId64, level);
        m->level = (int)level;
        const struct json *sources = json_get(o, STR("sources")), *parents = json_get(o, STR("parents"));
        e = want_type(sources, "sources", JSON_ARRAY);
        if (!e)
                e = want_type(parents, "parents", JSON_ARRAY);
        if (e)
                return e;
        JSON_EACH(s, sources)
        {
                Ulid u;
                e = get_ulid(&s->value, "sources", &u);
                if (e)
                        return e;
                vec_push(&m->sources, u);
        }
        JSON_EACH(p, parents)
        {
                struct block_desc d;
                e = get_ulid(json_get(&p->value, STR("ulid")), "parents", &d.ulid);
                if (!e)
                        e = get_i64(&p->value, "minTime", &d.mint_ms);
                if (!e)
                        e = get_i64(&p->value, "maxTime", &d.maxt_ms);
                if (e)
                        return e;
                vec_push(&m->parents, d);
        }
        m->deletable = json_bool(json_get(o, STR("deletable")));
        m->failed = json_bool(json_get(o, STR("failed")));
        return get_hints(json_get(o, STR("hints")), m);
}

/* Members that are not ours, with the bytes of their values. */
static char *get_extra(const struct json *root)
{
        static const char *const ours[] = {"ulid", "minTime", "maxTime", "stats", "compaction", "version"};
        struct buf b = BUF_INIT(META_MAX_BYTES);
        JSON_EACH(m, root)
        {
                bool known = false;
                for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                        known |= str_eq(m->key, str_from(ours[i]));
                if (known)
                        continue;
                if (b.n)
                        buf_puts(&b, ",\n\t");
                json_put_str(&b, m->key);
                buf_puts(&b, ": ");
                buf_put(&b, m->value.raw);
        }
        char *s = b.n && !buf_is_over(&b) ? str_dup(buf_str(&b)) : NULL;
        buf_done(&b);
        return s;
}

static struct error *parse(Str json, int64_t max_version, struct block_meta *ret, int64_t *ret_version)
{
        struct arena arena;
        arena_init(&arena, 4 * META_MAX_BYTES);
        struct block_meta m = BLOCK_META_INIT;
        const struct json *root = NULL;
        int64_t version = 0;
        struct error *e = json_parse(json, &arena, &root);
        if (e) {
                struct error *bad = error_new(ERROR_CORRUPT, "%s", error_str(e));
                error_free(e);
                e = bad;
                goto out;
        }
        if (root->type != JSON_OBJECT) {
                e = error_new(ERROR_CORRUPT, "not a JSON object");
                goto out;
        }
        e = get_i64(root, "version", &version);
        if (!e && (version < 1 || version > max_version))
                e = error_new(ERROR_CORRUPT, "unexpected meta file version %" PRId64, version);
        if (!e)
                e = get_ulid(json_get(root, STR("ulid")), "ulid", &m.ulid);
        if (!e)
                e = get_i64(root, "minTime", &m.mint_ms);
        if (!e)
                e = get_i64(root, "maxTime", &m.maxt_ms);
        if (!e)
                e = get_stats(json_get(root, STR("stats")), &m.stats);
        if (!e)
                e = get_compaction(json_get(root, STR("compaction")), &m);
        if (!e)
                m.extra = get_extra(root);
out:
        arena_done(&arena);
        if (e) {
                block_meta_done(&m);
                return e;
        }
        *ret = m;
        *ret_version = version;
        return NULL;
}

struct error *block_meta_parse(Str json, struct block_meta *ret)
{
        int64_t version;
        return parse(json, 1, ret, &version);
}

struct error *block_meta_read_any(const char *dir, struct block_meta *ret, int64_t *ret_version)
{
        char *path = path_join(dir, BLOCK_META_FILE), *text = NULL;
        size_t n;
        struct error *e = file_read(path, META_MAX_BYTES, &text, &n);
        if (!e) {
                e = parse((Str){text, n}, 2, ret, ret_version);
                if (e)
                        e = error_wrap(e, "%s", path);
        }
        free(text);
        free(path);
        return e;
}

struct error *block_meta_read(const char *dir, struct block_meta *ret)
{
        int64_t version;
        struct block_meta m;
        struct error *e = block_meta_read_any(dir, &m, &version);
        if (e)
                return e;
        if (version != 1) {
                block_meta_done(&m);
                return error_new(ERROR_CORRUPT, "%s/" BLOCK_META_FILE ": unexpected meta file version %" PRId64, dir,
                                 version);
        }
        *ret = m;
        return NULL;
}
