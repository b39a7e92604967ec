/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/write.h"

#include "codec/float_text.h"

static void put_escaped(struct buf *b, Str s, bool quotes)
{
        size_t from = 0;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (c != '\\' && c != '\n' && !(quotes && c == '"'))
                        continue;
                buf_append(b, s.p + from, i - from);
                from = i + 1;
                buf_putc(b, '\\');
                buf_putc(b, c == '\n' ? 'n' : c);
        }
        if (from < s.n)
                buf_append(b, s.p + from, s.n - from);
}

/* Label names are held to the rule of metric names here, as upstream's writer does. */
static void put_name(struct buf *b, Str name)
{
        if (metric_name_is_legacy(name)) {
                buf_put(b, name);
                return;
        }
        buf_putc(b, '"');
        put_escaped(b, name, /* quotes= */ true);
        buf_putc(b, '"');
}

void expo_write_help(struct buf *b, Str name, Str help)
{
        buf_put(b, STR("# HELP "));
        put_name(b, name);
        buf_putc(b, ' ');
        put_escaped(b, help, /* quotes= */ false);
        buf_putc(b, '\n');
}

void expo_write_type(struct buf *b, Str name, enum metric_type t)
{
        static const char *const names[] = {
                [METRIC_UNKNOWN] = "untyped",     [METRIC_COUNTER] = "counter",           [METRIC_GAUGE] = "gauge",
                [METRIC_HISTOGRAM] = "histogram", [METRIC_GAUGE_HISTOGRAM] = "histogram", [METRIC_SUMMARY] = "summary",
                [METRIC_INFO] = "untyped",        [METRIC_STATESET] = "untyped",
        };
        buf_put(b, STR("# TYPE "));
        put_name(b, name);
        buf_putc(b, ' ');
        buf_puts(b, names[t]);
        buf_putc(b, '\n');
}

void expo_write_series(struct buf *b, Labels ls)
{
        Str name = labels_get(ls, STR(METRIC_NAME));
        bool inside = name.n > 0 && !metric_name_is_legacy(name);
        char separator = '{';
        if (inside) {
                buf_putc(b, separator);
                separator = ',';
        }
        if (name.n > 0)
                put_name(b, name);
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR(METRIC_NAME)))
                        continue;
                buf_putc(b, separator);
                separator = ',';
                put_name(b, ls.v[i].name);
                buf_put(b, STR("=\""));
                put_escaped(b, ls.v[i].value, /* quotes= */ true);
                buf_putc(b, '"');
        }
        if (separator == ',')
                buf_putc(b, '}');
}

void expo_write_value(struct buf *b, double v)
{
        buf_put_float(b, v == 0 ? 0 : v, 'g');
}

void expo_write_sample(struct buf *b, Labels ls, double v, bool has_t, TimeMs t)
{
        expo_write_series(b, ls);
        buf_putc(b, ' ');
        expo_write_value(b, v);
        if (has_t) {
                buf_putc(b, ' ');
                buf_put_i64(b, t);
        }
        buf_putc(b, '\n');
}
