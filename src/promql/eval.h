/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h — inside of the evaluation; only the engine's own files include it.
 *
 * An expression is evaluated over all steps at once. A vector is rows: labels and a column of one double a step; a scalar is one column.
 * Where a row has no sample the column holds ABSENT: the bits of the staleness marker, which no selector lets through and no arithmetic makes.
 * A row that has native histograms has a second column, of pointers: where it is not NULL and the first is not ABSENT, the sample is that
 * histogram (and the first column says 0). So what only drops samples need not know of it. Histograms of rows are never changed; they live in
 * the workers' arenas until the query ends, or, given to a sink, as long as their batch.
 *
 * Two ways to get a vector:
 *   eval()          all rows in memory (struct mat)
 *   rows_open()     expressions that work series by series (a selector, a function of a range, and element-wise work on top): labels at once,
 *                   columns in batches, computed on all workers and given to a sink in the order of the series. Aggregations take this way, so
 *                   that sum(rate(x[5m])) needs memory for its groups, not for its series. Results do not depend on the number of workers.
 *
 * Memory: labels and small things in the query's arena, columns in blocks (column_new) that are freed as soon as they were used; both
 * are charged to one budget. Threads: a query's own thread, except where a row is computed (struct worker). */
#ifndef PROMQL_EVAL_H
#define PROMQL_EVAL_H

#include "base/buf.h"
#include "base/float_bits.h"
#include "base/list.h"
#include "base/pool.h"
#include "promql/annotation.h"
#include "promql/engine.h"
#include "promql/query_memory.h"
#include "model/histogram.h"
#include "storage/decode.h"

#define ABSENT_BITS STALE_NAN_BITS
static inline double absent(void)
{
        return float_of_bits(ABSENT_BITS);
}
static inline bool is_absent(double v)
{
        return is_stale_nan(v);
}
static inline double go_nan(void)       /* Go's math.NaN() */
{
        return float_of_bits(NORMAL_NAN_BITS);
}

/* An expression made ready for one query: durations and @ resolved, start() and the like folded, parentheses gone. */
struct node {
        const struct expr *x;
        enum expr_type type;
        bool once;                      /* same at every step: evaluated at the first and repeated */
        double number;                  /* EXPR_NUMBER */
        struct node *a, *b;             /* lhs, rhs; child, param; of EXPR_MATRIX and EXPR_SUBQUERY the child */
        struct node **args;             /* EXPR_CALL */
        size_t n_args;
        int64_t offset_ms, range_ms, step_ms;
        bool has_at, stats_only;        /* stats_only: nothing looks at the buckets of its histograms */
        TimeMs at_ms;
        struct selection *sel;          /* EXPR_SELECTOR */
};

/* What one selector reads; shared by selectors that read the same. */
struct selection {
        const struct expr *x;
        struct select_hints hints;
        bool loaded;
        struct series *series;          /* heap: freed with the query */
        size_t n;
        struct selection *next;
};

struct sample_stats {
        uint64_t total, read;
        uint64_t *total_per_step, *read_per_step;       /* NULL: not kept */
        size_t n_steps;
};
/* The times of one evaluation: start, start + interval, …, not past end. */
struct steps {
        TimeMs start, end;
        int64_t interval;
        size_t n;
        struct sample_stats *stats;
};
static inline TimeMs step_time(const struct steps *s, size_t i)
{
        return s->start + (int64_t)i * s->interval;
}

struct worker {
        struct samples raw, window;     /* decoded; without markers, or a subquery's column as samples */
        struct arena keep, batch, decoded;      /* histograms: of the query, of a batch of rows, of the series that is worked on */
        struct arena *out;                      /* where those of rows go: keep, or batch if a sink takes them */
        double *scratch;
        size_t scratch_cap;
        struct exec *q;                 /* NULL in tests: never stopped */
        size_t failed_row;              /* of error */
        struct error *error;
        uint64_t *total_per_step, *read_per_step;       /* kept while rows are computed if the steps' stats keep them */
        uint64_t *no_floats_per_step;                   /* of total_per_step, what windows without floats held; for quantile_over_time */
};

/* One query. */
struct exec {
        struct storage *storage;
        struct querier *querier;
        struct arena *arena;            /* small things and the result; cannot end, what it holds is checked against max_bytes by exec_poll */
        struct arena storage_arena;     /* what the storage gives; ends at max_bytes */
        struct pool *pool;
        struct worker *workers;
        int n_workers;
        int64_t deadline_ns;            /* monotonic */
        const bool *cancel;
        size_t max_samples, max_bytes;
        int64_t lookback_ms, subquery_step_ms;
        int64_t closed_ms;              /* 1: windows have their left end; times are whole ms, so they begin after one ms less. In lookback_ms already */
        bool delayed_name_removal, type_and_unit_labels, use_start_times;
        TimeMs start, end;              /* of the query, for start(), end() */
        int64_t step_ms;                /* 0: instant */
        struct annotations notes;
        size_t current, peak;           /* samples that upstream would hold */
        struct selection *selections;
        TimeMs mint, maxt;
        struct list blocks;             /* columns */
        size_t block_bytes, series_bytes;       /* of columns; of the selections' series */
        struct query_memory *memory;    /* of all queries */
        struct query_hold *hold;        /* this one's part */
};

typedef const struct histogram *Histogram;
struct row {
        Labels labels;
        double *v;                      /* one a step */
        Histogram *h;                   /* NULL: floats only */
        bool drop_name;                 /* with delayed removal: __name__ goes at the end */
};
struct mat {
        struct row *rows;               /* arena */
        size_t n;
        double **blocks;                /* what mat_done frees */
        size_t n_blocks, cap_blocks;
};
struct value {
        enum value_type type;
        struct mat mat;                 /* VALUE_VECTOR */
        double *scalar;                 /* VALUE_SCALAR: a block */
        Str string;
};

/* exec.c */
#define eval_error(...) error_new(ERROR_LIMIT, __VA_ARGS__)     /* the API's "execution" */
struct error *exec_poll(struct exec *q, const char *env) MUST_CHECK;   /* time, cancel, memory */
/* Asked by any thread in work that is long between two polls: then it is given up, and the next poll tells why. */
bool exec_is_over(const struct exec *q);
/* For loops over rows: polls now and then. */
static inline struct error *exec_poll_row(struct exec *q, size_t i)
{
        return i % 1024 == 1023 ? exec_poll(q, "expression evaluation") : NULL;
}

void *exec_alloc(struct exec *q, size_t n, size_t size, struct error **ret);    /* arena; NULL: error set */
double *column_new(struct exec *q, size_t rows, size_t n, struct error **ret);  /* uninitialised block */
void column_free(struct exec *q, double *p);
double *blocks_column(struct list *link);         /* of a link of exec.blocks */
void mat_done(struct exec *q, struct mat *m);
void value_done(struct exec *q, struct value *v);
void mat_own(struct exec *q, struct mat *m, double *block);     /* m frees it */
struct error *samples_charge(struct exec *q, size_t n) MUST_CHECK;              /* current += n, peak, limit */
void samples_peak(struct exec *q, size_t extra);
Labels labels_drop_metadata(struct exec *q, Labels ls);         /* without __name__, __type__, __unit__ */
/* Rows of one label set become one; ERROR if both have a sample at one step. Keeps the order. */
struct error *mat_merge(struct exec *q, struct mat *m, size_t n_steps) MUST_CHECK;
void mat_drop_empty(struct mat *m, size_t n_steps);
size_t column_count(const double *v, size_t n);                 /* samples in it */
/* As the limit counts them: a histogram is as many as its bytes are. */
size_t column_samples(const double *v, const Histogram *h, size_t n);
size_t mat_samples(const struct mat *m, size_t n_steps);
size_t histogram_samples(Histogram h);
static inline Histogram histogram_at(const Histogram *h, size_t i)
{
        return h ? h[i] : NULL;
}
struct error *histogram_column(struct arena *a, size_t n, Histogram **ret) MUST_CHECK;  /* all NULL */
/* With spans and bounds: nothing of the original is needed any more. */
struct error *histogram_keep(struct arena *a, Histogram h, Histogram *ret) MUST_CHECK;
void worker_fail(struct worker *w, size_t row, struct error *take_e);          /* keeps that of the first row */
struct error *workers_error(struct exec *q) MUST_CHECK;
struct error *error_same_labelset(void) MUST_CHECK;
void labels_key(struct buf *b, Labels ls);                      /* bytes that are equal only for equal sets */
double *scratch_get(struct worker *w, size_t n);

/* prepare.c */
struct error *node_build(struct exec *q, const struct expr *x, struct node **ret) MUST_CHECK;

/* eval.c */
struct error *eval(struct exec *q, const struct steps *st, struct node *n, struct value *ret) MUST_CHECK;
struct error *eval_mat(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_scalar(struct exec *q, const struct steps *st, struct node *n, double **ret) MUST_CHECK;
/* A subquery's vector over its own steps. */
struct error *eval_subquery(struct exec *q, const struct steps *st, struct node *n, struct steps *ret_steps, struct mat *ret) MUST_CHECK;
/* Accounting of a node that upstream evaluates step by step: inputs of n_in samples are there, n_out come out. */
struct error *account_step_eval(struct exec *q, size_t before, size_t n_out, size_t last_in) MUST_CHECK;

/* rows.c: vectors series by series */
struct rows;
void note_quantile(struct exec *q, double v, struct pos_range pos);         /* exec.c: "quantile value should be between 0 and 1" */
struct row_batch {
        size_t first, n;                /* rows */
        double *const *v;               /* n columns */
        Histogram *const *h;            /* n, each may be NULL */
};
/* Any vector expression; what does not work series by series is evaluated whole first. */
struct error *rows_open(struct exec *q, const struct steps *st, struct node *n, struct rows **ret) MUST_CHECK;
void rows_close(struct exec *q, struct rows *r);
size_t rows_n(const struct rows *r);
Labels rows_labels(const struct rows *r, size_t i);
bool rows_drop_name(const struct rows *r, size_t i);
/* Computes all columns, in batches; once. A column is gone after its batch. */
struct error *rows_run(struct exec *q, struct rows *r, struct error *(*sink)(void *ctx, const struct row_batch *b), void *ctx) MUST_CHECK;
/* The same into memory; rows without a sample are left out. */
struct error *rows_eval(struct exec *q, struct rows *r, struct mat *ret) MUST_CHECK;
bool is_row_node(const struct node *n); /* works series by series itself */
struct error *selection_load(struct exec *q, struct selection *s) MUST_CHECK;
struct error *series_samples(struct exec *q, const struct series *s, TimeMs mint, TimeMs maxt, struct samples *out) MUST_CHECK;
void mixed_drop_markers(struct mixed *s);
/* histogram_stats.c: histograms without buckets, whose hints tell of the resets that the buckets told of */
struct error *mixed_stats_only(struct arena *a, struct mixed *s) MUST_CHECK;
void mark_stats_only(struct node *n);   /* the selectors of a whole query */
/* Top-level range vector of an instant query. */
struct error *eval_matrix(struct exec *q, const struct steps *st, struct node *n, struct result_series **ret, size_t *ret_n) MUST_CHECK;

/* range.c: functions of a range vector */
struct range_call {
        enum function_id func;
        int64_t range_ms;
        int64_t closed_ms;              /* as exec */
        enum selector_modifier modifier;
        int64_t lookback_ms;
        const struct steps *steps;
        int64_t offset_ms;
        bool has_at;
        TimeMs at_ms;
        const double *p1, *p2;          /* scalar arguments, one a step; NULL: none */
};
struct row_info {                       /* for the accounting */
        uint64_t total, read;
        size_t n_out, win_max, win_last;
        uint32_t notes;                 /* enum histogram_note, of the leaf */
        uint32_t op_notes;              /* two bits for each operation on top: it met floats, histograms that it does not take */
        bool has_floats;                /* among what came out */
        size_t overlaps;                /* windows in which a sample's start time is before the sample before */
};
bool is_range_func(enum function_id f);
/* s: without markers, strictly ascending. */
void range_row(const struct range_call *c, struct worker *w, const struct samples *s, double *out, struct row_info *info);
/* What of a range vector's function is the same for floats beside histograms. */
struct window {                         /* n > 0 samples */
        const TimeMs *t;
        const double *v;
        const TimeMs *start;            /* start times; NULL: not looked at */
        size_t n;
        TimeMs from, to;                /* (from, to] */
        TimeMs eval_t;
        size_t step;
};
double range_window(const struct range_call *c, struct worker *wk, const struct window *w);
double range_extrapolate(const struct window *w, double result, bool is_counter, double per_s);
double seconds_of(int64_t ms);          /* Go's Duration.Seconds */
double add_resets(double result, const double *v, size_t n);
/* range_plain.c: the most frequent functions over plain selectors without @; false: not one of them */
bool range_row_plain(const struct range_call *c, struct worker *w, const struct samples *s, double *out, struct row_info *info);
/* Where the windows of an evenly sampled series lie: that of step k in [first, end) is the n samples from lo + (k - first) * stride on.
 * At the other steps, and if first == end at all steps, they have to be looked for. */
struct window_grid {
        size_t first, end;
        size_t lo, stride, n;
};
struct window_grid window_grid_of(const struct samples *s, const struct steps *st, int64_t offset_ms, int64_t range_ms);
size_t first_after(const TimeMs *t, size_t n, TimeMs x);        /* first i with t[i] > x, or n */

/* range_histogram.c: the same for series with histograms; h: as long as out, all NULL */
struct error *range_row_mixed(const struct range_call *c, struct worker *w, const struct mixed *s, double *out, Histogram *h,
                              struct row_info *info) MUST_CHECK;
struct error *histogram_interpolate(struct arena *a, TimeMs t1, Histogram h1, TimeMs t2, Histogram h2, TimeMs t, bool is_counter,
                                    uint32_t *notes, struct histogram **ret) MUST_CHECK;

/* histogram_sum.c: sums and averages of histograms */
struct histogram_sum {
        struct histogram *sum, *comp, *mean;    /* sum NULL: nothing yet */
        double n;
        bool incremental, reset_seen, no_reset_seen;
};
/* Refers to nothing of h afterwards. The error may be &error_histograms_incompatible. */
struct error *histogram_sum_add(struct arena *a, struct histogram_sum *s, Histogram h, bool is_avg, uint32_t *notes) MUST_CHECK;
struct error *histogram_sum_finish(struct arena *a, struct histogram_sum *s, bool is_avg, uint32_t *notes, struct histogram **ret) MUST_CHECK;

/* histogram_note.c: annotations about histograms, collected as bits where rows are computed */
enum histogram_note {
        NOTE_MIXED_FLOATS = 1 << 0,     /* floats and histograms in one series */
        NOTE_NOT_COUNTER = 1 << 1,
        NOTE_NOT_GAUGE = 1 << 2,
        NOTE_MIXED_SCHEMAS = 1 << 3,
        NOTE_BOUNDS_ADD = 1 << 4,       /* custom bounds were reconciled */
        NOTE_BOUNDS_SUB = 1 << 5,
        NOTE_BOUNDS_AGG = 1 << 6,
        NOTE_COLLISION_ADD = 1 << 7,    /* of counter resets */
        NOTE_COLLISION_SUB = 1 << 8,
        NOTE_COLLISION_AGG = 1 << 9,
        NOTE_IGNORED_IN_RANGE = 1 << 10,
        NOTE_MIXED_AGG = 1 << 11,
        NOTE_QUANTILE_NAN = 1 << 12,
        NOTE_QUANTILE_SKEWED = 1 << 13,
        NOTE_FRACTION_NAN = 1 << 14,
        NOTE_MIXED_CLASSIC = 1 << 15,
};
void note_histograms(struct exec *q, uint32_t notes, Str metric_name, struct pos_range pos);
/* windows: in how many the start time of a sample overlapped the one before */
void note_overlaps(struct exec *q, size_t windows, Str metric_name, struct pos_range pos);
void note_ignored(struct exec *q, const char *aggregation, struct pos_range pos);
void note_binop_types(struct exec *q, enum binary_op op, bool left_histogram, bool right_histogram, struct pos_range pos);

/* elementwise.c: one value in, one out */
struct row_op {
        void (*apply)(const struct row_op *op, double *v, size_t n);
        double (*f)(double v);
        const double *c1, *c2;          /* scalar arguments, one a step */
        const struct steps *steps;
        enum binary_op op;
        bool swap, return_bool;
        bool drops_name, is_minus;
        bool only_histograms;           /* an operator that no float takes: tells so if there is one */
        bool is_histogram_func, is_binary;
        struct pos_range pos;
        enum function_id func;
};
/* The vector argument of a node that works element by element, or NULL. */
struct node *elementwise_child(struct node *n);
struct error *elementwise_op(struct exec *q, const struct steps *st, struct node *n, struct row_op *ret) MUST_CHECK;
void elementwise_done(struct exec *q, struct row_op *op);
bool is_histogram_only(enum function_id f);     /* histogram_count() and the like */
/* elementwise_histogram.c: applies op to a row that has histograms, in place; *ret_notes as row_info's op_notes */
struct error *elementwise_mixed(const struct row_op *op, struct worker *w, double *v, Histogram *h, size_t n, uint32_t *ret_notes) MUST_CHECK;
/* One binary operation with at least one histogram. NULL histograms: the float counts. *ret_keep false: no result. */
enum binop_fault { BINOP_FINE, BINOP_TYPES, BINOP_LAYOUT, BINOP_COLLISION };
struct binop_result {
        Histogram h;                    /* NULL: v */
        double v;
        bool keep, reconciled;          /* reconciled: custom bounds */
        enum binop_fault fault;         /* not fine: no result */
};
struct error *binary_histogram(struct arena *a, enum binary_op op, double l, Histogram lh, double r, Histogram rh, struct binop_result *ret) MUST_CHECK;
double binary_float(enum binary_op op, double l, double r, bool *ret_keep);
double date_part(enum function_id f, double v);   /* hour(), month(), … of seconds since the epoch */
double scalar_binop(enum binary_op op, double l, double r);

/* binary.c, aggregate.c, aggregate_k.c, func.c, func_label.c, func_histogram.c */
struct error *eval_binary_vectors(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_aggregate(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_aggregate_k(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_count_values(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_call(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_smoothed(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *rows_open_range(struct exec *q, const struct steps *st, struct node *n, struct rows **ret) MUST_CHECK;    /* also absent_over_time */
struct error *eval_label_replace(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_label_join(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_histogram_func(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_info(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_sort(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;
struct error *eval_absent_over_time(struct exec *q, const struct steps *st, struct node *n, struct mat *ret) MUST_CHECK;

/* The parameter of topk, quantile and the like: one value a step. */
struct agg_param {
        double *v;
        double min, max;
        bool any_nan, constant;
};
struct error *agg_param_eval(struct exec *q, const struct steps *st, struct node *n, struct agg_param *ret) MUST_CHECK;

/* grouping.c */
struct grouping {
        size_t *group_of;               /* row -> group */
        Labels *labels;                 /* of each group */
        size_t n;
};
struct error *grouping_make(struct exec *q, const struct expr *agg, Labels (*labels_of)(void *ctx, size_t i), void *ctx, size_t n_rows,
                            bool want_labels, struct grouping *ret) MUST_CHECK;

#endif
