/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/meta.h"

#include <inttypes.h>

#include "base/file.h"

void block_meta_done(struct block_meta *m)
{
        vec_done(&m->sources);
        vec_done(&m->parents);
        for (size_t i = 0; i < m->other_hints.n; i++)
                free(m->other_hints.p[i]);
        vec_done(&m->other_hints);
        free(m->extra);
        m->extra = NULL;
}

void block_meta_copy(struct block_meta *to, const struct block_meta *from)
{
        *to = *from;
        to->sources.p = NULL, to->sources.n = to->sources.cap = 0;
        to->parents.p = NULL, to->parents.n = to->parents.cap = 0;
        to->other_hints.p = NULL, to->other_hints.n = to->other_hints.cap = 0;
        for (size_t i = 0; i < from->sources.n; i++)
                vec_push(&to->sources, from->sources.p[i]);
        for (size_t i = 0; i < from->parents.n; i++)
                vec_push(&to->parents, from->parents.p[i]);
        for (size_t i = 0; i < from->other_hints.n; i++)
                vec_push(&to->other_hints, mem_strdup(from->other_hints.p[i]));
        to->extra = from->extra ? mem_strdup(from->extra) : NULL;
}

/* Text in the manner of MarshalIndent: a member begins with its separator, newline and tabs. */
static void put_key(struct buf *b, int depth, bool *first, const char *key)
{
        buf_puts(b, *first ? "\n" : ",\n");
        *first = false;
        for (int i = 0; i < depth; i++)
                buf_putc(b, '\t');
        if (key)
                buf_printf(b, "\"%s\": ", key);
}

static void put_end(struct buf *b, int depth, bool was_empty, char close)
{
        if (!was_empty) {
                buf_putc(b, '\n');
                for (int i = 0; i < depth; i++)
                        buf_putc(b, '\t');
        }
        buf_putc(b, close);
}

static void put_ulid(struct buf *b, Ulid u)
{
        char text[ULID_TEXT_BYTES + 1];
        ulid_print(u, text);
        buf_printf(b, "\"%s\"", text);
}

static void put_stats(struct buf *b, const struct block_stats *s)
{
        const struct {
                const char *key;
                uint64_t v;
        } rows[] = {
                {"numSamples", s->samples},
                {"numFloatSamples", s->float_samples},
                {"numHistogramSamples", s->histogram_samples},
                {"numSeries", s->series},
                {"numChunks", s->chunks},
                {"numTombstones", s->tombstones},
        };
        bool first = true;
        buf_putc(b, '{');
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                if (!rows[i].v)
                        continue;
                put_key(b, 2, &first, rows[i].key);
                buf_put_u64(b, rows[i].v);
        }
        put_end(b, 1, first, '}');
}

static int hint_cmp(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_hints(struct buf *b, const struct block_meta *m)
{
        VEC(const char *) hints = VEC_INIT;
        if (m->hints & BLOCK_HINT_OUT_OF_ORDER)
                vec_push(&hints, "\"from-out-of-order\"");
        if (m->hints & BLOCK_HINT_SELECTED_SERIES)
                vec_push(&hints, "\"from-selected-series\"");
        if (m->hints & BLOCK_HINT_STALE_SERIES)
                vec_push(&hints, "\"from-stale-series\"");
        for (size_t i = 0; i < m->other_hints.n; i++)
                vec_push(&hints, m->other_hints.p[i]);
        qsort(hints.p, hints.n, sizeof *hints.p, hint_cmp);
        bool first = true;
        buf_putc(b, '[');
        for (size_t i = 0; i < hints.n; i++) {
                put_key(b, 3, &first, NULL);
                buf_puts(b, hints.p[i]);
        }
        put_end(b, 2, first, ']');
        vec_done(&hints);
}

static void put_compaction(struct buf *b, const struct block_meta *m)
{
        bool first = true;
        buf_putc(b, '{');
        put_key(b, 2, &first, "level");
        buf_printf(b, "%d", m->level);
        if (m->sources.n) {
                put_key(b, 2, &first, "sources");
                buf_putc(b, '[');
                bool first_source = true;
                for (size_t i = 0; i < m->sources.n; i++) {
                        put_key(b, 3, &first_source, NULL);
                        put_ulid(b, m->sources.p[i]);
                }
                put_end(b, 2, false, ']');
        }
        if (m->deletable) {
                put_key(b, 2, &first, "deletable");
                buf_puts(b, "true");
        }
        if (m->parents.n) {
                put_key(b, 2, &first, "parents");
                buf_putc(b, '[');
                bool first_parent = true;
                for (size_t i = 0; i < m->parents.n; i++) {
                        put_key(b, 3, &first_parent, NULL);
                        buf_putc(b, '{');
                        bool first_member = true;
                        put_key(b, 4, &first_member, "ulid");
                        put_ulid(b, m->parents.p[i].ulid);
                        put_key(b, 4, &first_member, "minTime");
                        buf_put_i64(b, m->parents.p[i].mint_ms);
                        put_key(b, 4, &first_member, "maxTime");
                        buf_put_i64(b, m->parents.p[i].maxt_ms);
                        put_end(b, 3, false, '}');
                }
                put_end(b, 2, false, ']');
        }
        if (m->failed) {
                put_key(b, 2, &first, "failed");
                buf_puts(b, "true");
        }
        if (m->hints || m->other_hints.n) {
                put_key(b, 2, &first, "hints");
                put_hints(b, m);
        }
        put_end(b, 1, false, '}');
}

void block_meta_print(struct buf *b, const struct block_meta *m)
{
        bool first = true;
        buf_putc(b, '{');
        put_key(b, 1, &first, "ulid");
        put_ulid(b, m->ulid);
        put_key(b, 1, &first, "minTime");
        buf_put_i64(b, m->mint_ms);
        put_key(b, 1, &first, "maxTime");
        buf_put_i64(b, m->maxt_ms);
        put_key(b, 1, &first, "stats");
        put_stats(b, &m->stats);
        put_key(b, 1, &first, "compaction");
        put_compaction(b, m);
        put_key(b, 1, &first, "version");
        buf_puts(b, "1");
        if (m->extra) {
                put_key(b, 1, &first, NULL);
                buf_puts(b, m->extra);
        }
        put_end(b, 0, false, '}');
}

struct error *block_meta_write(const char *dir, const struct block_meta *m)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        block_meta_print(&b, m);
        char *path = path_join(dir, BLOCK_META_FILE);
        struct error *e = file_replace(path, buf_str(&b));
        free(path);
        buf_done(&b);
        return e;
}

static int source_cmp(const void *a, const void *b)
{
        return ulid_cmp(*(const Ulid *)a, *(const Ulid *)b);
}

void block_meta_merge(Ulid ulid, const struct block_meta *const *metas, size_t n, struct block_meta *ret)
{
        struct block_meta m = BLOCK_META_INIT;
        m.ulid = ulid;
        m.mint_ms = n ? metas[0]->mint_ms : 0;
        m.maxt_ms = n ? metas[0]->maxt_ms : 0;
        unsigned in_all = BLOCK_HINT_OUT_OF_ORDER;
        for (size_t i = 0; i < n; i++) {
                const struct block_meta *s = metas[i];
                m.mint_ms = MIN(m.mint_ms, s->mint_ms);
                m.maxt_ms = MAX(m.maxt_ms, s->maxt_ms);
                m.level = MAX(m.level, s->level);
                for (size_t k = 0; k < s->sources.n; k++)
                        vec_push(&m.sources, s->sources.p[k]);
                vec_push(&m.parents, (struct block_desc){s->ulid, s->mint_ms, s->maxt_ms});
                /* Partial views of a head stay such when merged; out-of-order data does so only among its like.
                 * Upstream: CompactBlockMetas */
                m.hints |= s->hints & (BLOCK_HINT_SELECTED_SERIES | BLOCK_HINT_STALE_SERIES);
                in_all &= s->hints;
        }
        m.hints |= in_all;
        m.level++;
        if (m.sources.n)
                qsort(m.sources.p, m.sources.n, sizeof *m.sources.p, source_cmp);
        size_t to = 0;
        for (size_t i = 0; i < m.sources.n; i++)
                if (!to || ulid_cmp(m.sources.p[to - 1], m.sources.p[i]) != 0)
                        m.sources.p[to++] = m.sources.p[i];
        m.sources.n = to;
        *ret = m;
}
