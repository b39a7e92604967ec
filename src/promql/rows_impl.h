/* SPDX-License-Identifier: Apache-2.0 */
/* rows_impl.h — what the files that work series by series share: rows_open.c (what is read, labels, operations on top),
 * row_compute.c (one row, on any worker), rows.c (all rows in batches, in order; accounting and notes). Only they include
 * it. Threads: the query's own, but for row_compute(). */
#ifndef PROMQL_ROWS_IMPL_H
#define PROMQL_ROWS_IMPL_H

#include "promql/eval.h"

enum { ROW_OPS_MAX = 8 };
enum leaf { LEAF_SELECTOR, LEAF_TIMESTAMP, LEAF_RANGE, LEAF_SUBQUERY, LEAF_MAT };

struct rows {
        enum leaf leaf;
        struct exec *q;
        const struct steps *steps;
        const struct node *node; /* of the leaf */
        const struct selection *sel;
        TimeMs mint, maxt; /* to decode */
        struct range_call call;
        double *p1, *p2;
        struct mat mat; /* LEAF_MAT, LEAF_SUBQUERY */
        struct steps sub;
        size_t n;
        Labels *labels;
        bool *drop_name;
        bool stats_only; /* of its selector */
        bool start_times; /* looked at: LEAF_RANGE; given: LEAF_TIMESTAMP */
        bool check_same; /* names were dropped that differed */
        struct row_op ops[ROW_OPS_MAX];
        size_t n_ops;
        size_t before;          /* samples held when it was opened */
        struct row_info *infos; /* of a batch */
        double **columns;       /* of all rows; those of the batch at its start */
        Histogram **histograms; /* the same, NULL where a row has none */
        size_t batch_first;
        size_t n_with_samples;
        bool *has_samples, *has_floats; /* after rows_run */
        uint32_t op_notes;              /* of all rows */
        bool *step_seen;                /* quantile_over_time: steps at which any row has a window with samples */
        uint64_t total_seen;
        Histogram **row_h; /* rows_eval: the columns of all rows */
};

/* row_compute.c: the column, histograms and infos of row i of the batch; faults are kept in the worker */
void row_compute(struct rows *r, size_t i, struct worker *w);

/* rows_open.c */
/* The same __name__, __type__ and __unit__. */
bool same_metadata(Labels a, Labels b);

#endif
