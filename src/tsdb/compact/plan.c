/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocks to merge.  Upstream: tsdb/compact.go, LeveledCompactor.plan. */
#include "tsdb/compact/plan.h"

size_t compact_ranges(int64_t min_ms, int64_t max_ms, int64_t ret[COMPACT_RANGES_MAX])
{
        size_t n = 0;
        int64_t range = min_ms;
        do {
                ret[n++] = range;
        } while (n < COMPACT_RANGES_MAX && !__builtin_mul_overflow(range, (int64_t)COMPACT_STEP, &range) &&
                 range <= max_ms);
        return n;
}

/* Start of the aligned range of length tr that holds t; also before 1970. */
static int64_t range_start(int64_t t, int64_t tr)
{
        int64_t r = t % tr;
        return t - (r < 0 ? r + tr : r);
}

void compact_split(const struct block_meta *const *metas, const size_t *order, size_t n, int64_t tr,
                   CompactPartVec *ret)
{
        for (size_t i = 0; i < n;) {
                int64_t t0 = range_start(metas[order[i]]->mint_ms, tr);
                if (metas[order[i]]->maxt_ms > t0 + tr) { /* no part of one range */
                        i++;
                        continue;
                }
                size_t from = i;
                while (i < n && metas[order[i]]->maxt_ms <= t0 + tr)
                        i++;
                vec_push(ret, (struct compact_part){from, i});
        }
}

static void take(const size_t *order, size_t from, size_t to, IndexVec *ret)
{
        for (size_t i = from; i < to; i++)
                vec_push(ret, order[i]);
}

static bool has_failed(const struct block_meta *const *metas, const size_t *order, size_t from, size_t to)
{
        bool failed = false;
        for (size_t i = from; i < to; i++)
                failed |= metas[order[i]]->failed;
        return failed;
}

/* The first group of overlapping blocks. Upstream tries one that failed again and again, and nothing else before it is
 * done; here it is passed over, as upstream does with ranges. */
static bool select_overlapping(const struct block_meta *const *metas, const size_t *order, size_t n, IndexVec *ret)
{
        for (size_t from = 0, to; from < n; from = to) {
                TimeMs end = metas[order[from]]->maxt_ms;
                for (to = from + 1; to < n && metas[order[to]]->mint_ms < end; to++)
                        end = MAX(end, metas[order[to]]->maxt_ms);
                if (to - from > 1 && !has_failed(metas, order, from, to)) {
                        take(order, from, to, ret);
                        return true;
                }
        }
        return false;
}

static bool select_range(const int64_t *ranges, size_t n_ranges, const struct block_meta *const *metas,
                         const size_t *order, size_t n, IndexVec *ret)
{
        if (n_ranges < 2 || n < 1)
                return false;
        TimeMs high = metas[order[n - 1]]->mint_ms;
        bool found = false;
        for (size_t r = 1; r < n_ranges && !found; r++) {
                CompactPartVec parts = VEC_INIT;
                compact_split(metas, order, n, ranges[r], &parts);
                for (size_t p = 0; p < parts.n && !found; p++) {
                        size_t from = parts.p[p].from, to = parts.p[p].to;
                        bool failed = has_failed(metas, order, from, to);
                        TimeMs mint = metas[order[from]]->mint_ms, maxt = metas[order[to - 1]]->maxt_ms;
                        /* Full, or nothing will fill it any more. */
                        if (!failed && to - from > 1 && (maxt - mint == ranges[r] || maxt <= high)) {
                                take(order, from, to, ret);
                                found = true;
                        }
                }
                vec_done(&parts);
        }
        return found;
}

static void select_deleted(const int64_t *ranges, size_t n_ranges, const struct block_meta *const *metas,
                           const size_t *order, size_t n, IndexVec *ret)
{
        for (size_t i = n; i-- > 0;) {
                const struct block_meta *m = metas[order[i]];
                const struct block_stats *s = &m->stats;
                bool take_it;
                if (m->failed)
                        continue;
                if (m->maxt_ms - m->mint_ms < ranges[n_ranges / 2]) {
                        /* Too small to be worth it, unless all of it may be deleted. */
                        if (!(s->tombstones > 0 && s->tombstones >= s->series))
                                return;
                        take_it = true;
                } else {
                        take_it = (double)s->tombstones / (double)(s->series + 1) > 0.05;
                }
                if (take_it) {
                        vec_push(ret, order[i]);
                        return;
                }
        }
}

static bool plan_class(const int64_t *ranges, size_t n_ranges, const struct block_meta *const *metas,
                       const size_t *order, size_t n, bool allow_overlap, IndexVec *ret)
{
        if (n == 0)
                return false;
        if (allow_overlap && select_overlapping(metas, order, n, ret))
                return true;
        /* The newest block is left alone: time to copy it away. */
        n--;
        if (select_range(ranges, n_ranges, metas, order, n, ret))
                return true;
        size_t before = ret->n;
        select_deleted(ranges, n_ranges, metas, order, n, ret);
        return ret->n > before;
}

static int mint_cmp(const void *a, const void *b, void *ctx)
{
        const struct block_meta *const *metas = ctx;
        size_t i = *(const size_t *)a, j = *(const size_t *)b;
        TimeMs x = metas[i]->mint_ms, y = metas[j]->mint_ms;
        return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

void compact_plan(const int64_t *ranges_ms, size_t n_ranges, const struct block_meta *const *metas, size_t n,
                  bool allow_overlap, IndexVec *ret)
{
        /* Blocks that hold part of a head (stale or selected series) are merged only among their like, the others
         * first. */
        static const unsigned classes[] = {0, BLOCK_HINT_STALE_SERIES, BLOCK_HINT_SELECTED_SERIES};
        bool found = false;
        for (size_t c = 0; c < ARRAY_LEN(classes) && !found; c++) {
                IndexVec order = VEC_INIT;
                for (size_t i = 0; i < n; i++) {
                        unsigned h = metas[i]->hints;
                        unsigned class =
                                h & BLOCK_HINT_STALE_SERIES ? BLOCK_HINT_STALE_SERIES : h & BLOCK_HINT_SELECTED_SERIES;
                        if (class == classes[c])
                                vec_push(&order, i);
                }
                if (order.n)
                        qsort_r(order.p, order.n, sizeof *order.p, mint_cmp, (void *)metas);
                found = plan_class(ranges_ms, n_ranges, metas, order.p, order.n, allow_overlap, ret);
                vec_done(&order);
        }
}
