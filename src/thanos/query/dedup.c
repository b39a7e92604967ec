/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/dedup.h"

/* A leaf (one replica) or the fold of everything left of a replica with that replica. Folds are a chain: fold[k] = fold[k-1] + leaf[k]. */
struct node {
        const struct samples *leaf;     /* NULL: a fold */
        size_t at;                      /* leaf: the next sample + 1; 0: not begun */
        double lift;                    /* leaf: what was added to its values */
        struct node *a, *b;
        bool has_a, has_b;              /* fold: the side is not at its end */
        bool use_a, begun, counter;
        TimeMs last_t, penalty_a, penalty_b;
};

enum { FIRST_PENALTY_MS = 5000 };

static TimeMs node_t(const struct node *n)
{
        while (!n->leaf)
                n = n->use_a ? n->a : n->b;
        return n->leaf->t[n->at - 1];
}

static double node_v(const struct node *n)
{
        while (!n->leaf)
                n = n->use_a ? n->a : n->b;
        return n->leaf->v[n->at - 1] + n->lift;
}

/* After a switch: no leaf that has a sample may be below the value that was given last. */
static void node_adjust(struct node *n, double last)
{
        if (n->leaf) {
                double v = node_v(n);
                if (v < last)
                        n->lift += last - v;
                return;
        }
        if (n->has_a)
                node_adjust(n->a, last);
        if (n->has_b)
                node_adjust(n->b, last);
}

static bool node_next(struct node *n);

/* As the original: by steps, never past a sample that would change what was skipped. */
static bool node_seek(struct node *n, TimeMs t)
{
        while (node_t(n) < t) {
                if (!node_next(n))
                        return false;
        }
        return true;
}

static TimeMs add(TimeMs t, TimeMs d)
{
        TimeMs out;
        return __builtin_add_overflow(t, d, &out) ? TIME_MS_MAX : out;
}

static bool fold_step(struct node *n)
{
        bool first = n->last_t == TIME_MS_MIN;
        if (n->has_a && !first)
                n->has_a = node_seek(n->a, add(add(n->last_t, 1), n->penalty_a));
        if (n->has_b && !first)
                n->has_b = node_seek(n->b, add(add(n->last_t, 1), n->penalty_b));
        if (!n->has_a || !n->has_b) {
                n->use_a = n->has_a;
                if (!n->has_a && !n->has_b)
                        return false;
                n->last_t = node_t(n);
                *(n->use_a ? &n->penalty_a : &n->penalty_b) = 0;
                return true;
        }
        TimeMs ta = node_t(n->a), tb = node_t(n->b), t = MIN(ta, tb);
        n->use_a = ta <= tb;
        TimeMs penalty = first ? FIRST_PENALTY_MS : add(t - n->last_t, t - n->last_t);
        n->penalty_a = n->use_a ? 0 : penalty;
        n->penalty_b = n->use_a ? penalty : 0;
        n->last_t = t;
        return true;
}

static bool fold_next(struct node *n)
{
        if (!n->begun) {
                n->begun = true;
                n->has_a = node_next(n->a);
                n->has_b = node_next(n->b);
                bool more = fold_step(n);
                /* As upstream, which begins with a: to begin with b is a switch, from a's first value. */
                if (more && n->counter && n->has_a && !n->use_a)
                        node_adjust(n, node_v(n->a));
                return more;
        }
        bool was_a = n->use_a;
        double last = node_v(n);
        bool more = fold_step(n);
        if (n->counter && was_a != n->use_a)
                node_adjust(n, last);
        return more;
}

static bool node_next(struct node *n)
{
        if (!n->leaf)
                return fold_next(n);
        if (n->at >= n->leaf->n)
                return false;
        n->at++;
        return true;
}

enum dedup_kind dedup_kind_of(Str func)
{
        static const Str counters[] = {STR_INIT("increase"), STR_INIT("rate"), STR_INIT("irate"), STR_INIT("resets"), STR_INIT("xincrease"), STR_INIT("xrate")};
        for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
                if (str_eq(func, counters[i]))
                        return DEDUP_COUNTER;
        }
        return DEDUP_PLAIN;
}

/* Two replicas, which most series have: what the nodes do, without them. */
static void fold_two(const struct samples *a, const struct samples *b, bool counter, struct samples *out)
{
        size_t i = 0, j = 0, n = 0;
        TimeMs last = 0, penalty_a = 0, penalty_b = 0;
        double lift_a = 0, lift_b = 0;
        bool was_a = true;
        samples_reserve(out, a->n + b->n);
        for (bool first = true;; first = false) {
                if (!first) {
                        TimeMs until_a = add(add(last, 1), penalty_a), until_b = add(add(last, 1), penalty_b);
                        while (i < a->n && a->t[i] < until_a)
                                i++;
                        while (j < b->n && b->t[j] < until_b)
                                j++;
                }
                bool has_a = i < a->n, has_b = j < b->n, use_a = has_a;
                if (!has_a && !has_b)
                        break;
                TimeMs t;
                if (has_a && has_b) {
                        use_a = a->t[i] <= b->t[j];
                        t = use_a ? a->t[i] : b->t[j];
                        TimeMs penalty = first ? FIRST_PENALTY_MS : add(t - last, t - last);
                        penalty_a = use_a ? 0 : penalty;
                        penalty_b = use_a ? penalty : 0;
                } else {
                        t = use_a ? a->t[i] : b->t[j];
                        *(use_a ? &penalty_a : &penalty_b) = 0;
                }
                if (counter && use_a != was_a && (n || has_a)) {
                        double before = n ? out->v[n - 1] : a->v[i]; /* to begin with b is a switch too, from a's first value */
                        if (has_a && a->v[i] + lift_a < before)
                                lift_a += before - (a->v[i] + lift_a);
                        if (has_b && b->v[j] + lift_b < before)
                                lift_b += before - (b->v[j] + lift_b);
                }
                out->t[n] = last = t;
                out->v[n++] = use_a ? a->v[i] + lift_a : b->v[j] + lift_b;
                was_a = use_a;
        }
        out->n = n;
}

struct error *dedup_samples(const struct samples *replicas, size_t n, enum dedup_kind kind, struct samples *out)
{
        samples_clear(out);
        if (n == 0)
                return NULL;
        if (n > DEDUP_REPLICAS_MAX)
                return error_new(ERROR_LIMIT, "a series has more than %d replicas", DEDUP_REPLICAS_MAX);
        if (n == 2) {
                fold_two(&replicas[0], &replicas[1], kind == DEDUP_COUNTER, out);
                return NULL;
        }
        struct node *nodes = mem_zalloc(2 * n * sizeof *nodes), *top = &nodes[0];
        nodes[0].leaf = &replicas[0];
        for (size_t i = 1; i < n; i++) {
                struct node *leaf = &nodes[2 * i - 1], *fold = &nodes[2 * i];
                leaf->leaf = &replicas[i];
                *fold = (struct node){.a = top, .b = leaf, .last_t = TIME_MS_MIN, .counter = kind == DEDUP_COUNTER};
                top = fold;
        }
        while (node_next(top))
                samples_push(out, node_t(top), node_v(top));
        free(nodes);
        return NULL;
}
