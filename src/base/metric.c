/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/float_bits.h"
#include "base/metric_impl.h"

static const double default_buckets[] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

struct metric_registry *metric_registry_new(void)
{
        struct metric_registry *r = mem_new(struct metric_registry);
        r->clock = &clock_system;
        mutex_init(&r->writing);
        mutex_init(&r->mu);
        return r;
}

void metric_registry_set_clock(struct metric_registry *r, const struct clock *c)
{
        r->clock = c;
}

static void metric_free(struct metric *m)
{
        free(m->values);
        free(m->buckets);
        free(m->ring);
        free(m);
}

static void family_free(struct metric_family *f)
{
        for (size_t i = 0; i < f->metrics.n; i++)
                metric_free(f->metrics.p[i]);
        vec_done(&f->metrics);
        map_done(&f->by_values);
        mutex_done(&f->mu);
        for (size_t i = 0; i < f->n_labels; i++)
                free(f->labels[i]);
        free(f->labels);
        free(f->by_name);
        free(f->bounds);
        free(f->name);
        free(f->help);
        free(f);
}

void metric_registry_free(struct metric_registry *r)
{
        if (!r)
                return;
        for (size_t i = 0; i < r->families.n; i++)
                family_free(r->families.p[i]);
        vec_done(&r->families);
        vec_done(&r->collectors);
        map_done(&r->by_name);
        mutex_done(&r->mu);
        mutex_done(&r->writing);
        free(r);
}

static void set_bounds(struct metric_family *f, const double *v, size_t n)
{
        free(f->bounds);
        if (n > 0 && isinf(v[n - 1]))
                n--; /* the last bucket is always there */
        f->bounds = mem_memdup(v, n * sizeof *v);
        f->n_bounds = n;
}

static struct metric_family *family_new(struct metric_registry *r, enum metric_family_type t, const char *name,
                                        const char *help, const char *const *label_names)
{
        struct metric_family *f = mem_new(struct metric_family);
        f->registry = r;
        f->type = t;
        f->name = mem_strdup(name);
        f->help = mem_strdup(help);
        while (label_names && label_names[f->n_labels])
                f->n_labels++;
        f->labels = mem_alloc(f->n_labels * sizeof *f->labels);
        f->by_name = mem_alloc(f->n_labels * sizeof *f->by_name);
        for (size_t i = 0; i < f->n_labels; i++) {
                f->labels[i] = mem_strdup(label_names[i]);
                size_t k = i;
                for (; k > 0 && strcmp(f->labels[f->by_name[k - 1]], f->labels[i]) > 0; k--)
                        f->by_name[k] = f->by_name[k - 1];
                f->by_name[k] = i;
        }
        if (t == METRIC_FAMILY_HISTOGRAM)
                set_bounds(f, default_buckets, ARRAY_LEN(default_buckets));
        mutex_init(&f->mu);
        return f;
}

static void check_same(const struct metric_family *f, enum metric_family_type t, const char *const *label_names)
{
        size_t n = 0;
        while (label_names && label_names[n])
                n++;
        bool same = f->type == t && f->n_labels == n;
        for (size_t i = 0; same && i < n; i++)
                same = strcmp(f->labels[i], label_names[i]) == 0;
        if (!same)
                bug("metric %s is registered with another kind or other labels", f->name);
}

struct metric_family *metric_family(struct metric_registry *r, enum metric_family_type t, const char *name,
                                    const char *help, const char *const *label_names)
{
        mutex_lock(&r->mu);
        struct metric_family *f = map_get(&r->by_name, str_from(name));
        if (f) {
                check_same(f, t, label_names);
        } else {
                f = family_new(r, t, name, help, label_names);
                map_set(&r->by_name, str_from(f->name), f);
                vec_push(&r->families, f);
        }
        mutex_unlock(&r->mu);
        return f;
}

void metric_family_set_buckets(struct metric_family *f, const double *upper, size_t n)
{
        mutex_lock(&f->mu);
        if (f->metrics.n == 0) /* registered twice: the first one's stay */
                set_bounds(f, upper, n);
        mutex_unlock(&f->mu);
}

void metric_family_set_quantiles(struct metric_family *f, const double *q, size_t n)
{
        metric_family_set_buckets(f, q, n);
}

/* The values, each followed by a byte that UTF-8 never holds: heap. */
static Str key_of(const struct metric_family *f, const Str *values)
{
        size_t need = 0;
        for (size_t i = 0; i < f->n_labels; i++)
                need += values[i].n + 1;
        char *p = mem_alloc(need + 1), *at = p;
        for (size_t i = 0; i < f->n_labels; i++) {
                if (values[i].n)
                        memcpy(at, values[i].p, values[i].n);
                at += values[i].n;
                *at++ = (char)0xff;
        }
        return (Str){p, need};
}

static struct metric *metric_new(struct metric_family *f, const Str *values, Str key)
{
        struct metric *m = mem_new(struct metric);
        m->family = f;
        m->values = mem_alloc(f->n_labels * sizeof(Str) + key.n + 1);
        char *p = (char *)(m->values + f->n_labels);
        memcpy(p, key.p, key.n);
        m->key = (Str){p, key.n};
        for (size_t i = 0; i < f->n_labels; i++) {
                m->values[i] = (Str){p, values[i].n};
                p += values[i].n + 1;
        }
        if (f->type == METRIC_FAMILY_HISTOGRAM)
                m->buckets = mem_zalloc((f->n_bounds + 1) * sizeof *m->buckets);
        if (f->type == METRIC_FAMILY_SUMMARY && f->n_bounds > 0)
                m->ring = mem_new(struct summary_ring);
        return m;
}

struct metric *metric_with(struct metric_family *f, const Str *values)
{
        Str key = key_of(f, values);
        mutex_lock(&f->mu);
        struct metric *m = map_get(&f->by_values, key);
        if (!m) {
                m = metric_new(f, values, key);
                map_set(&f->by_values, m->key, m);
                vec_push(&f->metrics, m);
        }
        mutex_unlock(&f->mu);
        free((char *)key.p);
        return m;
}

void metric_family_clear(struct metric_family *f)
{
        mutex_lock(&f->mu);
        map_clear(&f->by_values);
        for (size_t i = 0; i < f->metrics.n; i++)
                metric_free(f->metrics.p[i]);
        vec_clear(&f->metrics);
        mutex_unlock(&f->mu);
}

void metric_remove(struct metric_family *f, const Str *values)
{
        Str key = key_of(f, values);
        mutex_lock(&f->mu);
        struct metric *m = map_remove(&f->by_values, key);
        for (size_t i = 0; m && i < f->metrics.n; i++) {
                if (f->metrics.p[i] != m)
                        continue;
                f->metrics.p[i] = vec_pop(&f->metrics);
                break;
        }
        mutex_unlock(&f->mu);
        if (m)
                metric_free(m);
        free((char *)key.p);
}

struct metric *metric_counter(struct metric_registry *r, const char *name, const char *help)
{
        return metric_with(metric_family(r, METRIC_FAMILY_COUNTER, name, help, NULL), NULL);
}

struct metric *metric_gauge(struct metric_registry *r, const char *name, const char *help)
{
        return metric_with(metric_family(r, METRIC_FAMILY_GAUGE, name, help, NULL), NULL);
}

struct metric *metric_histogram(struct metric_registry *r, const char *name, const char *help, const double *upper,
                                size_t n)
{
        struct metric_family *f = metric_family(r, METRIC_FAMILY_HISTOGRAM, name, help, NULL);
        if (n > 0)
                metric_family_set_buckets(f, upper, n);
        return metric_with(f, NULL);
}

struct metric *metric_summary(struct metric_registry *r, const char *name, const char *help)
{
        return metric_with(metric_family(r, METRIC_FAMILY_SUMMARY, name, help, NULL), NULL);
}

double metric_float_load(const uint64_t *bits)
{
        return float_of_bits(__atomic_load_n(bits, __ATOMIC_RELAXED));
}

static void float_add(uint64_t *bits, double v)
{
        uint64_t old = __atomic_load_n(bits, __ATOMIC_RELAXED);
        for (;;) {
                double sum;
                memcpy(&sum, &old, sizeof sum);
                if (__atomic_compare_exchange_n(bits, &old, float_bits(sum + v), /* weak= */ true, __ATOMIC_RELAXED,
                                                __ATOMIC_RELAXED))
                        return;
        }
}

void metric_add(struct metric *m, double v)
{
        /* Whole increments, nearly all there are, need no retry loop and lose nothing past 2^53. */
        if (m->family->type == METRIC_FAMILY_COUNTER && v >= 0 && v < 0x1p63 && (double)(uint64_t)v == v)
                __atomic_fetch_add(&m->whole, (uint64_t)v, __ATOMIC_RELAXED);
        else
                float_add(&m->bits, v);
}

void metric_set(struct metric *m, double v)
{
        if (m->family->type == METRIC_FAMILY_COUNTER)
                __atomic_store_n(&m->whole, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&m->bits, float_bits(v), __ATOMIC_RELAXED);
}

void metric_observe(struct metric *m, double v)
{
        const struct metric_family *f = m->family;
        if (f->type == METRIC_FAMILY_HISTOGRAM) {
                size_t i = 0;
                while (i < f->n_bounds && !(v <= f->bounds[i]))
                        i++;
                __atomic_fetch_add(&m->buckets[i], 1, __ATOMIC_RELAXED);
        } else if (f->type == METRIC_FAMILY_SUMMARY) {
                __atomic_fetch_add(&m->whole, 1, __ATOMIC_RELAXED);
                if (m->ring) {
                        uint64_t at = __atomic_fetch_add(&m->ring->next, 1, __ATOMIC_RELAXED) % SUMMARY_RING;
                        int64_t now_ms = clock_mono_ns(f->registry->clock) / 1000000;
                        __atomic_store_n(&m->ring->value[at], float_bits(v), __ATOMIC_RELAXED);
                        __atomic_store_n(&m->ring->at_ms[at], now_ms, __ATOMIC_RELAXED);
                }
        } else {
                bug("metric_observe of %s, which is no histogram or summary", f->name);
        }
        float_add(&m->bits, v);
}

void metric_set_summary(struct metric *m, double sum, uint64_t count)
{
        if (m->family->type != METRIC_FAMILY_SUMMARY || m->ring)
                bug("metric_set_summary of %s, which is no summary without quantiles", m->family->name);
        __atomic_store_n(&m->whole, count, __ATOMIC_RELAXED);
        __atomic_store_n(&m->bits, float_bits(sum), __ATOMIC_RELAXED);
}

double metric_get(const struct metric *m)
{
        uint64_t whole = __atomic_load_n(&m->whole, __ATOMIC_RELAXED);
        switch (m->family->type) {
        case METRIC_FAMILY_COUNTER:
                return (double)whole + metric_float_load(&m->bits);
        case METRIC_FAMILY_SUMMARY:
                return (double)whole;
        case METRIC_FAMILY_HISTOGRAM:
                for (size_t i = 0; i <= m->family->n_bounds; i++)
                        whole += __atomic_load_n(&m->buckets[i], __ATOMIC_RELAXED);
                return (double)whole;
        case METRIC_FAMILY_GAUGE:
        case METRIC_FAMILY_UNTYPED:
                break;
        }
        return metric_float_load(&m->bits);
}

void metric_collect(struct metric_registry *r, void (*fn)(void *ctx), void *ctx)
{
        mutex_lock(&r->mu);
        vec_push(&r->collectors, (struct metric_collector){fn, ctx});
        mutex_unlock(&r->mu);
}

void metric_collect_remove(struct metric_registry *r, void (*fn)(void *ctx), void *ctx)
{
        mutex_lock(&r->writing); /* after this call fn is not running and will not run */
        mutex_lock(&r->mu);
        size_t n = 0;
        for (size_t i = 0; i < r->collectors.n; i++)
                if (r->collectors.p[i].fn != fn || r->collectors.p[i].ctx != ctx)
                        r->collectors.p[n++] = r->collectors.p[i];
        r->collectors.n = n;
        mutex_unlock(&r->mu);
        mutex_unlock(&r->writing);
}
