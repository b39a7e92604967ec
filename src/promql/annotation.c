/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/annotation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "model/duration.h"

struct annotation {
        enum annotation_kind kind;
        Str text; /* without position */
        struct pos_range pos;
        bool has_pos, is_forced;
        size_t times; /* 0: not told */
        struct forced_monotonicity forced;
};

void annotations_init(struct annotations *a, struct arena *arena)
{
        *a = (struct annotations){.arena = arena, .by_text = MAP_INIT};
}

void annotations_done(struct annotations *a)
{
        map_done(&a->by_text);
}

static struct annotation *put(struct annotations *a, enum annotation_kind kind, Str text, bool *ret_is_new)
{
        struct annotation *n = map_get(&a->by_text, text);
        *ret_is_new = !n;
        if (n)
                return n;
        n = arena_new(a->arena, struct annotation);
        *n = (struct annotation){.kind = kind, .text = arena_str(a->arena, text)};
        map_set(&a->by_text, n->text, n);
        return n;
}

void annotations_add(struct annotations *a, enum annotation_kind kind, struct pos_range pos, const char *fmt, ...)
{
        struct buf b = BUF_INIT(1 << 20);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        bool is_new;
        struct annotation *n = put(a, kind, buf_str(&b), &is_new);
        n->pos = pos;
        n->has_pos = true;
        buf_done(&b);
}

void annotations_add_counted(struct annotations *a, enum annotation_kind kind, struct pos_range pos, size_t times, Str text)
{
        bool is_new;
        struct annotation *n = put(a, kind, text, &is_new);
        n->pos = pos;
        n->has_pos = true;
        n->times += times;
}

void annotations_add_plain(struct annotations *a, Str text)
{
        bool is_new;
        put(a, ANNOTATION_WARNING, text, &is_new);
}

void annotations_add_forced(struct annotations *a, struct pos_range pos, Str metric_name,
                            const struct forced_monotonicity *f)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
                     "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
        if (metric_name.n) {
                buf_puts(&b, " for metric name ");
                buf_put_go_quoted(&b, metric_name);
        }
        bool is_new;
        struct annotation *n = put(a, ANNOTATION_INFO, buf_str(&b), &is_new);
        buf_done(&b);
        if (is_new) {
                n->pos = pos;
                n->has_pos = n->is_forced = true;
                n->forced = *f;
                return;
        }
        struct forced_monotonicity *o = &n->forced;
        o->min_t = MIN(o->min_t, f->min_t);
        o->max_t = MAX(o->max_t, f->max_t);
        o->min_bucket = MIN(o->min_bucket, f->min_bucket);
        o->max_bucket = MAX(o->max_bucket, f->max_bucket);
        o->max_diff = MAX(o->max_diff, f->max_diff);
        o->count += f->count + 1;
}

static void put_position(struct buf *b, struct pos_range pos, Str query)
{
        if (query.n == 0) {
                buf_puts(b, "unknown position");
                return;
        }
        if (pos.start < 0 || (size_t)pos.start > query.n) {
                buf_puts(b, "invalid position");
                return;
        }
        int line = 1, last_break = -1;
        for (int i = 0; i < pos.start; i++) {
                if (query.p[i] == '\n') {
                        last_break = i;
                        line++;
                }
        }
        buf_printf(b, "%d:%d", line, pos.start - last_break);
}

/* Go's %.2g. */
static void put_g2(struct buf *b, double v)
{
        char text[64];
        snprintf(text, sizeof text, "%.2g", v);
        buf_puts(b, text);
}

static Str text_of(const struct annotations *a, const struct annotation *n, Str query)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_put(&b, n->text);
        if (n->is_forced) {
                const struct forced_monotonicity *f = &n->forced;
                buf_puts(&b, ", from buckets ");
                buf_put_float(&b, f->min_bucket, 'g');
                buf_puts(&b, " to ");
                buf_put_float(&b, f->max_bucket, 'g');
                buf_puts(&b, ", with a max diff of ");
                put_g2(&b, f->max_diff);
                buf_printf(&b, ", over %lld samples from ", (long long)(f->count + 1));
                buf_put_rfc3339(&b, f->min_t / 1000 * 1000);
                buf_puts(&b, " to ");
                buf_put_rfc3339(&b, f->max_t / 1000 * 1000);
        }
        if (n->times > 1)
                buf_printf(&b, " (%zu occurrences)", n->times);
        if (n->has_pos) {
                buf_puts(&b, " (");
                put_position(&b, n->pos, query);
                buf_putc(&b, ')');
        }
        Str s = arena_str(a->arena, buf_str(&b));
        buf_done(&b);
        return s;
}

void annotations_finish(struct annotations *a, Str query, const Str **ret_warnings, size_t *ret_n_warnings,
                        const Str **ret_infos, size_t *ret_n_infos)
{
        Str *of[2];
        size_t n[2] = {0, 0};
        of[ANNOTATION_WARNING] = arena_array(a->arena, Str, a->by_text.n);
        of[ANNOTATION_INFO] = arena_array(a->arena, Str, a->by_text.n);
        MAP_EACH (e, &a->by_text) {
                const struct annotation *an = e->value;
                of[an->kind][n[an->kind]++] = text_of(a, an, query);
        }
        for (int k = 0; k < 2; k++)
                if (n[k])
                        qsort(of[k], n[k], sizeof(Str), str_cmp_qsort);
        *ret_warnings = of[ANNOTATION_WARNING];
        *ret_n_warnings = n[ANNOTATION_WARNING];
        *ret_infos = of[ANNOTATION_INFO];
        *ret_n_infos = n[ANNOTATION_INFO];
}
