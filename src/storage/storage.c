/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/storage.h"

ERROR_SENTINEL(error_out_of_order_sample, ERROR_INVALID, "out of order sample");
ERROR_SENTINEL(error_duplicate_sample, ERROR_INVALID, "duplicate sample for timestamp");
ERROR_SENTINEL(error_out_of_bounds, ERROR_INVALID, "out of bounds");
ERROR_SENTINEL(error_too_old_sample, ERROR_INVALID, "too old sample");

void strs_sort_unique(StrVec *v, size_t from)
{
        if (v->n < from + 2)
                return;
        qsort(v->p + from, v->n - from, sizeof *v->p, str_cmp_qsort);
        size_t n = from + 1;
        for (size_t i = n; i < v->n; i++)
                if (!str_eq(v->p[i], v->p[n - 1]))
                        v->p[n++] = v->p[i];
        v->n = n;
}

struct error *querier_select(struct querier *q, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret)
{
        return q->ops->select(q, h, m, n_m, ret);
}

struct error *querier_label_names(struct querier *q, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        return q->ops->label_names(q, m, n_m, limit, ret);
}

struct error *querier_label_values(struct querier *q, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        return q->ops->label_values(q, name, m, n_m, limit, ret);
}

void querier_warnings(struct querier *q, StrVec *ret)
{
        if (q->ops->warnings)
                q->ops->warnings(q, ret);
}

void querier_close(struct querier *q)
{
        if (q)
                q->ops->close(q);
}

struct error *appender_append_histogram(struct appender *a, SeriesRef ref, Labels labels, TimeMs t, struct histogram_sample s, SeriesRef *ret_ref)
{
        if (!a->ops->append_histogram)
                return error_new(ERROR_UNSUPPORTED, "this storage takes no native histograms");
        return a->ops->append_histogram(a, ref, labels, t, s, ret_ref);
}

struct error *appender_append_exemplar(struct appender *a, SeriesRef ref, Labels labels, const struct exemplar *x)
{
        return a->ops->append_exemplar ? a->ops->append_exemplar(a, ref, labels, x) : NULL;
}

struct error *appender_commit(struct appender *take_a)
{
        return take_a->ops->commit(take_a);
}

void appender_rollback(struct appender *take_a)
{
        if (take_a)
                take_a->ops->rollback(take_a);
}

struct error *storage_querier(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        return s->ops->querier(s, mint_ms, maxt_ms, arena, ret);
}

struct error *storage_appender(struct storage *s, struct appender **ret)
{
        if (!s->ops->appender)
                return error_new(ERROR_UNSUPPORTED, "this storage is read only");
        return s->ops->appender(s, ret);
}
