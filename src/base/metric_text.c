/* SPDX-License-Identifier: Apache-2.0 */
/* metric_text.c — the text format 0.0.4 as client_golang writes it.  Upstream: prometheus/common expfmt/text_create.go
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/metric.h"
#include "base/metric_impl.h"

/* Go's 'g' with shortest digits: d.ddde+XX when the exponent is below -4 or above 5. */
static void put_decimal(struct buf *b, bool negative, const char *digits, int n, int exponent)
{
        if (negative)
                buf_putc(b, '-');
        if (exponent < -4 || exponent >= 6) {
                buf_putc(b, digits[0]);
                if (n > 1) {
                        buf_putc(b, '.');
                        buf_append(b, digits + 1, (size_t)n - 1);
                }
                buf_printf(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
                return;
        }
        if (exponent < 0) {
                buf_puts(b, "0.");
                for (int i = -1; i > exponent; i--)
                        buf_putc(b, '0');
        }
        for (int i = 0; i < n || i <= exponent; i++) {
                if (i > 0 && i == exponent + 1)
                        buf_putc(b, '.');
                buf_putc(b, i < n ? digits[i] : '0');
        }
}

/* The codec layer has the fast printer; here nearly all values are whole, and the rest may take a microsecond. */
static void put_float(struct buf *b, double v)
{
        if (isnan(v)) {
                buf_puts(b, "NaN");
                return;
        }
        if (isinf(v)) {
                buf_puts(b, v > 0 ? "+Inf" : "-Inf");
                return;
        }
        if (v == 0) {
                buf_putc(b, '0');
                return;
        }
        char text[32], digits[24];
        int n = 0, exponent;
        double a = fabs(v);
        if (a < 0x1p53 && a == floor(a)) {
                n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)a);
                exponent = n - 1;
        } else {
                /* Up to 15 digits always survive the way there and back (not for subnormals: those start at 1). */
                int precision = a < 0x1p-1021 ? 1 : 15;
                for (; precision <= 17; precision++) {
                        snprintf(text, sizeof text, "%.*e", precision - 1, a);
                        if (precision == 17 || strtod(text, NULL) == a)
                                break;
                }
                const char *p = text;
                for (; *p && *p != 'e'; p++)
                        if (*p >= '0' && *p <= '9')
                                digits[n++] = *p;
                exponent = atoi(p + 1);
        }
        while (n > 1 && digits[n - 1] == '0')
                n--;
        put_decimal(b, v < 0, digits, n, exponent);
}

static void put_escaped(struct buf *b, Str s, bool quotes)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (c == '\n') {
                        buf_append(b, "\\n", 2);
                        continue;
                }
                if (c == '\\' || (quotes && c == '"'))
                        buf_putc(b, '\\');
                buf_putc(b, c);
        }
}

/* name suffix {labels} value; extra is one more label with a number for its value, last. */
static void put_sample(struct buf *b, const struct metric *m, const char *suffix, const char *extra, double extra_value,
                       double value)
{
        const struct metric_family *f = m->family;
        buf_puts(b, f->name);
        buf_puts(b, suffix);
        char separator = '{';
        for (size_t i = 0; i < f->n_labels; i++) {
                buf_putc(b, separator);
                separator = ',';
                buf_puts(b, f->labels[f->by_name[i]]);
                buf_puts(b, "=\"");
                put_escaped(b, m->values[f->by_name[i]], /* quotes= */ true);
                buf_putc(b, '"');
        }
        if (extra) {
                buf_putc(b, separator);
                separator = ',';
                buf_puts(b, extra);
                buf_puts(b, "=\"");
                put_float(b, extra_value);
                buf_putc(b, '"');
        }
        if (separator == ',')
                buf_putc(b, '}');
        buf_putc(b, ' ');
        put_float(b, value);
        buf_putc(b, '\n');
}

static int cmp_double(const void *a, const void *b)
{
        double x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return (x > y) - (x < y);
}

static void put_summary(struct buf *b, const struct metric *m)
{
        const struct metric_family *f = m->family;
        double window[SUMMARY_RING];
        size_t n = 0;
        if (m->ring) {
                int64_t since_ms = clock_mono_ns(f->registry->clock) / 1000000 - SUMMARY_WINDOW_MS;
                uint64_t used = MIN(__atomic_load_n(&m->ring->next, __ATOMIC_RELAXED), (uint64_t)SUMMARY_RING);
                for (size_t i = 0; i < used; i++)
                        if (__atomic_load_n(&m->ring->at_ms[i], __ATOMIC_RELAXED) > since_ms)
                                window[n++] = metric_float_load(&m->ring->value[i]);
                qsort(window, n, sizeof *window, cmp_double);
        }
        for (size_t i = 0; i < f->n_bounds; i++) {
                double rank = ceil(f->bounds[i] * (double)n);
                double v = n == 0 ? NAN : window[rank < 1 ? 0 : MIN((size_t)rank, n) - 1];
                put_sample(b, m, "", "quantile", f->bounds[i], v);
        }
        put_sample(b, m, "_sum", NULL, 0, metric_float_load(&m->bits));
        put_sample(b, m, "_count", NULL, 0, metric_get(m));
}

static void put_histogram(struct buf *b, const struct metric *m)
{
        const struct metric_family *f = m->family;
        uint64_t count = 0; /* the sum of what was read, so that the lines agree among themselves */
        for (size_t i = 0; i <= f->n_bounds; i++) {
                count += __atomic_load_n(&m->buckets[i], __ATOMIC_RELAXED);
                put_sample(b, m, "_bucket", "le", i < f->n_bounds ? f->bounds[i] : INFINITY, (double)count);
        }
        put_sample(b, m, "_sum", NULL, 0, metric_float_load(&m->bits));
        put_sample(b, m, "_count", NULL, 0, (double)count);
}

static int cmp_family(const void *a, const void *b)
{
        return strcmp((*(struct metric_family *const *)a)->name, (*(struct metric_family *const *)b)->name);
}

static int cmp_metric(const void *a, const void *b)
{
        const struct metric *x = *(struct metric *const *)a, *y = *(struct metric *const *)b;
        for (size_t i = 0; i < x->family->n_labels; i++) {
                size_t k = x->family->by_name[i];
                int c = str_cmp(x->values[k], y->values[k]);
                if (c)
                        return c;
        }
        return 0;
}

static void put_family(struct buf *b, struct metric_family *f)
{
        static const char *const types[] = {
                [METRIC_FAMILY_COUNTER] = "counter",     [METRIC_FAMILY_GAUGE] = "gauge",
                [METRIC_FAMILY_HISTOGRAM] = "histogram", [METRIC_FAMILY_SUMMARY] = "summary",
                [METRIC_FAMILY_UNTYPED] = "untyped",
        };
        mutex_lock(&f->mu);
        if (f->metrics.n > 0) {
                qsort(f->metrics.p, f->metrics.n, sizeof *f->metrics.p, cmp_metric);
                buf_puts(b, "# HELP ");
                buf_puts(b, f->name);
                buf_putc(b, ' ');
                put_escaped(b, str_from(f->help), /* quotes= */ false);
                buf_puts(b, "\n# TYPE ");
                buf_puts(b, f->name);
                buf_putc(b, ' ');
                buf_puts(b, types[f->type]);
                buf_putc(b, '\n');
        }
        for (size_t i = 0; i < f->metrics.n; i++) {
                const struct metric *m = f->metrics.p[i];
                if (f->type == METRIC_FAMILY_HISTOGRAM)
                        put_histogram(b, m);
                else if (f->type == METRIC_FAMILY_SUMMARY)
                        put_summary(b, m);
                else
                        put_sample(b, m, "", NULL, 0, metric_get(m));
        }
        mutex_unlock(&f->mu);
}

void metric_write_text(struct metric_registry *r, struct buf *b)
{
        mutex_lock(&r->writing);
        mutex_lock(&r->mu);
        size_t n = r->collectors.n;
        struct metric_collector *collectors = mem_memdup(r->collectors.p, n * sizeof *collectors);
        mutex_unlock(&r->mu);
        for (size_t i = 0; i < n; i++) /* without mu: a collector may register and fill families */
                collectors[i].fn(collectors[i].ctx);
        free(collectors);

        mutex_lock(&r->mu);
        n = r->families.n;
        struct metric_family **families = mem_memdup(r->families.p, n * sizeof *families);
        mutex_unlock(&r->mu);
        qsort(families, n, sizeof *families, cmp_family);
        for (size_t i = 0; i < n; i++)
                put_family(b, families[i]);
        free(families);
        mutex_unlock(&r->writing);
}
