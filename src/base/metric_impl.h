/* SPDX-License-Identifier: Apache-2.0 */
/* metric_impl.h — the inside of metric.h, shared by metric.c (updates) and metric_text.c (writing).
 *
 * Lock order: writing (held while the collectors run: above every lock of theirs) → mu → family mu. Values are atomics.
 * All their accesses are relaxed: a value stands for itself, nothing else is published through it. */
#ifndef BASE_METRIC_IMPL_H
#define BASE_METRIC_IMPL_H

#include "base/clock.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/thread.h"
#include "base/vec.h"

enum { SUMMARY_RING = 1024, SUMMARY_WINDOW_MS = 600 * 1000 };

struct metric_family {
        struct metric_registry *registry;
        enum metric_family_type type;
        char *name, *help;
        size_t n_labels;
        char **labels;          /* in the order of the values of metric_with */
        size_t *by_name;        /* positions in labels, in the order they are written: sorted by name */
        double *bounds;         /* upper bounds of buckets without +Inf; quantiles of a summary */
        size_t n_bounds;
        struct mutex mu;        /* guards the two below */
        struct map by_values;   /* key: values, each with 0xff behind */
        VEC(struct metric *) metrics;
};

/* The last observations of a summary with quantiles. Writer and reader may see a value with its neighbour's time: harmless. */
struct summary_ring {
        uint64_t next;
        uint64_t value[SUMMARY_RING];
        int64_t at_ms[SUMMARY_RING];
};

struct metric {
        struct metric_family *family;
        Str *values;            /* in the order of family->labels; owned, one allocation */
        Str key;
        uint64_t whole;         /* counter: sum of whole increments; summary: count */
        uint64_t bits;          /* float: the rest of a counter, a gauge, a sum */
        uint64_t *buckets;      /* n_bounds + 1 for histograms */
        struct summary_ring *ring;
};

struct metric_collector {
        void (*fn)(void *ctx);
        void *ctx;
};

struct metric_registry {
        const struct clock *clock;
        struct mutex writing;   /* one write at a time: collectors do not run concurrently */
        struct mutex mu;        /* guards all below */
        struct map by_name;
        VEC(struct metric_family *) families;
        VEC(struct metric_collector) collectors;
};

double metric_float_load(const uint64_t *bits);

#endif
