/* SPDX-License-Identifier: Apache-2.0 */
/* promtool tsdb dump | dump-openmetrics. Blocks are read where they are; the logs are copied to a directory of our own first, as reading them back
 * repairs and continues them. Upstream: cmd/promtool/tsdb.go, tsdb/db.go DBReadOnly. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/promtool.h"
#include "app/promtool_tsdb.h"
#include "base/file.h"
#include "base/log.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/quote.h"
#include "storage/decode.h"
#include "storage/merge.h"

enum { COPY_BYTES = 1 << 20 };

/* ---- the copy of the head ---- */

static struct error *copy_file(const char *from, const char *to)
{
        FILE *in = fopen(from, "rb"), *out = in ? fopen(to, "wb") : NULL;
        char *p = mem_alloc(COPY_BYTES);
        struct error *e = out ? NULL : error_errno(errno, "copy %s", from);
        for (size_t n; !e && (n = fread(p, 1, COPY_BYTES, in)) > 0;)
                if (fwrite(p, 1, n, out) != n)
                        e = error_errno(errno, "write %s", to);
        if (!e && ferror(in))
                e = error_errno(errno, "read %s", from);
        if (out && fclose(out) != 0 && !e)
                e = error_errno(errno, "write %s", to);
        if (in)
                fclose(in);
        free(p);
        return e;
}

/* may_link: the files are never changed in place. */
static struct error *copy_dir(const char *from, const char *to, bool may_link)
{
        PathVec names = VEC_INIT;
        struct stat st;
        if (!file_exists(from))
                return NULL;
        struct error *e = dir_make_all(to);
        if (!e)
                e = dir_list(from, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                char *a = path_join(from, names.p[i]), *b = path_join(to, names.p[i]);
                if (stat(a, &st) == 0 && S_ISDIR(st.st_mode))
                        e = copy_dir(a, b, may_link);
                else if (!may_link || link(a, b) < 0)
                        e = copy_file(a, b);
                free(a);
                free(b);
        }
        path_vec_done(&names);
        return e;
}

struct source {
        BlockVec blocks;
        struct head *head;
        char *sandbox;
};

static void source_close(struct source *s)
{
        error_ignore(head_close(s->head), "it is a copy");
        db_blocks_done(&s->blocks);
        if (s->sandbox)
                error_ignore(dir_remove_all(s->sandbox), "whoever gave the directory will find it");
        free(s->sandbox);
}

/* As the original, the logs are looked at only when the range reaches beyond the end of the last block, and of them only what is newer. */
static struct error *source_open(struct source *s, const char *dir, const char *root, TimeMs maxt)
{
        struct error *e = promtool_blocks_open(dir, &s->blocks);
        TimeMs end = s->blocks.n ? block_get_meta(s->blocks.p[s->blocks.n - 1])->maxt_ms : TIME_MS_MIN;
        char *wal = path_join(dir, "wal");
        if (e || end > maxt || !file_exists(wal)) {
                free(wal);
                return e;
        }
        free(wal);
        s->sandbox = path_join(*root ? root : dir, "tmp_dbro_sandboxXXXXXX");
        if (!mkdtemp(s->sandbox)) {
                e = error_errno(errno, "setting up sandbox dir %s", s->sandbox);
                free(s->sandbox);
                s->sandbox = NULL;
                return e;
        }
        static const char *const parts[] = {"wal", "wbl", "chunks_head"};
        for (size_t i = 0; !e && i < ARRAY_LEN(parts); i++) {
                char *from = path_join(dir, parts[i]), *to = path_join(s->sandbox, parts[i]);
                e = copy_dir(from, to, /* may_link= */ i == 2);
                free(from);
                free(to);
        }
        struct head_opts o = {.dir = s->sandbox, .chunk_range_ms = 7200000, .wal_compression = WAL_SNAPPY, .min_valid_ms = end};
        return e ? e : head_open(&o, &s->head, NULL);
}

static struct error *source_querier(struct source *s, TimeMs mint, TimeMs maxt, struct arena *arena, struct querier **ret)
{
        VEC(struct querier *) parts = VEC_INIT;
        struct error *e = NULL;
        struct querier *q;
        for (size_t i = 0; !e && i < s->blocks.n; i++) {
                if (!block_overlaps(s->blocks.p[i], mint, maxt))
                        continue;
                e = block_querier(s->blocks.p[i], mint, maxt, arena, &q);
                if (!e)
                        vec_push(&parts, q);
        }
        if (!e && s->head) {
                e = storage_querier(head_storage(s->head), mint, maxt, arena, &q);
                if (!e)
                        vec_push(&parts, q);
        }
        if (!e)
                e = merge_querier_new(arena, parts.p, parts.n, ret);
        else
                for (size_t i = 0; i < parts.n; i++)
                        querier_close(parts.p[i]);
        vec_done(&parts);
        return e;
}

/* ---- printing ---- */

enum format { FORMAT_PROM, FORMAT_JSON, FORMAT_OPENMETRICS };

static void put_condensed(struct buf *b, Labels ls)
{
        bool any = false;
        buf_putc(b, '{');
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR(METRIC_NAME)))
                        continue;
                if (any)
                        buf_putc(b, ',');
                any = true;
                buf_put(b, ls.v[i].name);
                buf_putc(b, '=');
                buf_put_go_quoted(b, ls.v[i].value);
        }
        buf_putc(b, '}');
}

static void put_json(struct buf *b, Labels ls)
{
        for (size_t i = 0; i < ls.n; i++) {
                buf_putc(b, i ? ',' : '{');
                json_put_str(b, ls.v[i].name);
                buf_putc(b, ':');
                json_put_str(b, ls.v[i].value);
        }
        buf_puts(b, ls.n ? "}\n" : "{}\n");
}

/* Series have at least one chunk in range; whether there is a sample in it is not asked for a list of series. */
static struct error *print_series(const struct series *s, enum format format, TimeMs mint, TimeMs maxt, struct buf *b)
{
        struct arena arena;
        struct mixed m = {.n = 0};
        struct error *e = NULL;
        buf_clear(b);
        if (format == FORMAT_JSON) {
                put_json(b, s->labels);
                fwrite(b->p, 1, b->n, stdout);
                return NULL;
        }
        struct buf text = BUF_INIT(1 << 24);
        if (format == FORMAT_PROM) {
                labels_print(&text, s->labels);
        } else {
                buf_put(&text, labels_get(s->labels, STR(METRIC_NAME)));
                put_condensed(&text, s->labels);
        }
        arena_init(&arena, SIZE_MAX);
        e = series_decode_mixed(s, mint, maxt, &arena, &m);
        for (size_t i = 0; !e && i < m.n; i++) {
                if (format == FORMAT_OPENMETRICS && m.h && m.h[i])
                        break;
                buf_put(b, buf_str(&text));
                buf_putc(b, ' ');
                if (m.h && m.h[i])
                        buf_put_histogram(b, m.h[i]);
                else
                        buf_put_float(b, m.v[i], 'g');
                if (format == FORMAT_OPENMETRICS)
                        buf_printf(b, " %.3f\n", (double)m.t[i] / 1000);
                else
                        buf_printf(b, " %" PRId64 "\n", m.t[i]);
                if (b->n > COPY_BYTES || i + 1 == m.n) {
                        fwrite(b->p, 1, b->n, stdout);
                        buf_clear(b);
                }
        }
        fwrite(b->p, 1, b->n, stdout);
        arena_done(&arena);
        buf_done(&text);
        return e;
}

static struct error *select_all(struct querier *q, const struct flags *f, struct arena *arena, MatcherVec *all, struct series_set **ret)
{
        size_t n;
        const char *const *match = flags_list(f, "match", &n);
        struct series_set **sets = arena_array(arena, struct series_set *, n + 1);
        struct select_hints hints = {.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX, .sorted = true};
        struct error *e = NULL;
        for (size_t i = 0; !e && i < n; i++) {
                MatcherVec m = VEC_INIT;
                e = promql_parse_selector(str_from(match[i]), arena, &m);
                if (!e) {
                        const struct matcher **own = arena_array(arena, const struct matcher *, m.n + 1);
                        for (size_t k = 0; k < m.n; k++)
                                own[k] = m.p[k];
                        e = querier_select(q, &hints, own, m.n, &sets[i]);
                }
                for (size_t k = 0; k < m.n; k++)
                        vec_push(all, m.p[k]);
                vec_done(&m);
        }
        return e ? e : merge_series_sets(arena, NULL, sets, n, ret);
}

static int dump(const struct flags *f, enum format format)
{
        struct source s = {.head = NULL};
        struct arena arena;
        struct querier *q = NULL;
        struct series_set *set;
        MatcherVec matchers = VEC_INIT;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        TimeMs mint = flags_int(f, "min-time"), maxt = flags_int(f, "max-time");
        log_set_level(STR("error"));
        arena_init(&arena, SIZE_MAX);
        struct error *e = source_open(&s, flags_str(f, "db path"), flags_str(f, "sandbox-dir-root"), maxt);
        if (!e)
                e = source_querier(&s, mint, maxt, &arena, &q);
        if (!e)
                e = select_all(q, f, &arena, &matchers, &set);
        while (!e) {
                struct series x;
                bool more;
                e = series_set_next(set, &x, &more);
                if (e || !more)
                        break;
                e = print_series(&x, format, mint, maxt, &b);
        }
        if (!e && format == FORMAT_OPENMETRICS)
                puts("# EOF");
        querier_close(q);
        matcher_vec_done(&matchers);
        source_close(&s);
        arena_done(&arena);
        buf_done(&b);
        return promtool_exit(e);
}

int promtool_tsdb_dump(const struct flags *f)
{
        return dump(f, strcmp(flags_str(f, "format"), "seriesjson") == 0 ? FORMAT_JSON : FORMAT_PROM);
}

int promtool_tsdb_dump_openmetrics(const struct flags *f)
{
        return dump(f, FORMAT_OPENMETRICS);
}
