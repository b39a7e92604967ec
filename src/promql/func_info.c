/* SPDX-License-Identifier: Apache-2.0 */
/* info(v, {selector}): labels of info series (target_info if none are named) put onto the rows of v that have the same instance and job.
 *
 * Upstream joins step by step. Here the steps of one row at which the same info series are the newest share one output row; mostly that is
 * all of them, and the row keeps its column.  Upstream: promql/info.go */
#include "promql/eval.h"

typedef VEC(const struct matcher *) ConstMatcherVec;
typedef VEC(size_t) IndexVec;

struct info_series {
        Labels labels;
        double *t; /* when the sample was taken that a step sees, ms; ABSENT: none */
};
struct target { /* the info series of one name, instance and job */
        IndexVec series;
        struct target *next; /* another name, same instance and job */
        Str name;
};
struct join {
        struct exec *q;
        const struct steps *st;
        struct mat *base;
        bool *ignored;           /* rows that are info series themselves */
        ConstMatcherVec wanted;  /* conditions on the labels to take; none: all labels */
        bool needs_match;        /* one of them does not take an empty label */
        VEC(struct info_series) info;
        VEC(struct target *) targets;
        struct map by_id;        /* instance and job -> first struct target */
        struct map by_labels;    /* of the result -> its index + 1 */
        struct arena keys;
        VEC(struct row) out;
        struct buf key;
};

static bool is_name(const struct matcher *m)
{
        return str_eq(m->name, STR(METRIC_NAME));
}

/* The @ and offset of the first selector inside, with those of the subqueries around it, as far as @ does not end that. */
static bool time_of(const struct node *n, struct node *ret)
{
        switch (n->type) {
        case EXPR_SELECTOR:
                *ret = *n;
                return true;
        case EXPR_SUBQUERY:
                if (!time_of(n->a, ret))
                        return false;
                if (!ret->has_at) {
                        ret->offset_ms += n->offset_ms;
                        ret->has_at = n->has_at;
                        ret->at_ms = n->at_ms;
                }
                return true;
        case EXPR_CALL:
                for (size_t i = 0; i < n->n_args; i++)
                        if (time_of(n->args[i], ret))
                                return true;
                return false;
        case EXPR_MATRIX:
        case EXPR_UNARY:
        case EXPR_BINARY:
        case EXPR_AGGREGATE:
                return time_of(n->a, ret) || (n->b && time_of(n->b, ret));
        default:
                return false;
        }
}

/* The conditions on the names of info series; without a positive one, one is added. */
static struct error *name_conditions(const struct node *selector, MatcherVec *owned, ConstMatcherVec *ret)
{
        bool positive = false, any = false;
        for (size_t i = 0; selector && i < selector->x->selector.n_matchers; i++) {
                const struct matcher *m = selector->x->selector.matchers[i];
                if (!is_name(m))
                        continue;
                any = true;
                positive |= m->type == MATCH_EQ || m->type == MATCH_RE;
                vec_push(ret, m);
        }
        if (positive)
                return NULL;
        struct matcher *m;
        struct error *e = any ? matcher_new(MATCH_RE, STR(METRIC_NAME), STR(".+_info"), &m)
                              : matcher_new(MATCH_EQ, STR(METRIC_NAME), STR("target_info"), &m);
        if (e)
                return e;
        vec_push(owned, m);
        vec_push(ret, m);
        return NULL;
}

static void put_quoted_meta(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                if (memchr("\\.+*?()|[]{}^$", s.p[i], 14))
                        buf_putc(b, '\\');
                buf_putc(b, s.p[i]);
        }
}

/* One of the values that the rows have. None if no row has the label. */
static struct error *id_condition(struct join *j, Str label, MatcherVec *owned, ConstMatcherVec *ret)
{
        struct map seen = MAP_INIT;
        struct buf re = BUF_INIT(64 << 20);
        struct error *e = NULL;
        struct matcher *m;
        for (size_t i = 0; i < j->base->n; i++) {
                Str v = labels_get(j->base->rows[i].labels, label);
                if (j->ignored[i] || !v.n || map_set(&seen, v, j))
                        continue;
                if (re.n)
                        buf_putc(&re, '|');
                put_quoted_meta(&re, v);
        }
        if (buf_is_over(&re))
                e = eval_error("too many values of label " STR_FMT " for info()", STR_ARG(label));
        else if (re.n)
                e = matcher_new(MATCH_RE, label, buf_str(&re), &m);
        if (!e && re.n) {
                vec_push(owned, m);
                vec_push(ret, m);
        }
        map_done(&seen);
        buf_done(&re);
        return e;
}

static struct error *read_series(struct join *j, const struct series *s, const struct node *time)
{
        struct exec *q = j->q;
        const struct steps *st = j->st;
        TimeMs first = time->has_at ? time->at_ms : st->start, last = time->has_at ? time->at_ms : step_time(st, st->n - 1);
        struct mixed m;
        struct error *e = NULL;
        struct arena *a = &q->workers[0].decoded;
        arena_clear(a);
        e = series_decode_mixed(s, first - time->offset_ms - q->lookback_ms + 1, last - time->offset_ms, a, &m);
        struct info_series one = {.labels = s->labels};
        if (!e)
                one.t = column_new(q, 1, st->n, &e);
        if (e)
                return e;
        size_t k = 0, n = 0;
        for (size_t i = 0; i < st->n && !e; i++) {
                TimeMs ref = (time->has_at ? time->at_ms : step_time(st, i)) - time->offset_ms;
                while (k < m.n && m.t[k] <= ref)
                        k++;
                bool in = k && m.t[k - 1] > ref - q->lookback_ms && !is_stale_nan(m.v[k - 1]);
                one.t[i] = in ? (double)m.t[k - 1] : absent();
                if (in && m.h && m.h[k - 1]) {
                        struct buf b = BUF_INIT(1 << 20);
                        labels_print(&b, s->labels);
                        e = eval_error("this should be an info metric, with float samples: " STR_FMT, STR_ARG(buf_str(&b)));
                        buf_done(&b);
                }
                n += in;
                if (st->stats->total_per_step) {
                        st->stats->total_per_step[i] += in;
                        st->stats->read_per_step[i] += in;
                }
        }
        st->stats->total += n;
        st->stats->read += n;
        if (!e)
                e = samples_charge(q, n);
        if (e || !n) {
                column_free(q, one.t);
                return e;
        }
        vec_push(&j->info, one);
        return NULL;
}

static struct error *fetch(struct join *j, const struct node *arg, const struct node *selector)
{
        struct exec *q = j->q;
        MatcherVec owned = VEC_INIT;
        ConstMatcherVec m = VEC_INIT;
        struct node time = {0};
        struct series_set *set = NULL;
        (void)time_of(arg, &time);
        struct error *e = id_condition(j, STR("instance"), &owned, &m);
        if (!e)
                e = id_condition(j, STR("job"), &owned, &m);
        if (e || !m.n) /* no row could be joined */
                goto out;
        for (size_t i = 0; i < j->wanted.n; i++)
                vec_push(&m, j->wanted.p[i]);
        e = name_conditions(selector, &owned, &m);
        if (e)
                goto out;
        TimeMs first = time.has_at ? time.at_ms : j->st->start, last = time.has_at ? time.at_ms : step_time(j->st, j->st->n - 1);
        struct select_hints h = {
                .start_ms = first - time.offset_ms - q->lookback_ms + 1,
                .end_ms = last - time.offset_ms,
                .step_ms = j->st->interval,
                .func = STR("info"),
        };
        e = querier_select(q->querier, &h, m.p, m.n, &set);
        for (size_t i = 0; !e; i++) {
                struct series one;
                bool more;
                e = series_set_next(set, &one, &more);
                if (e || !more)
                        break;
                e = read_series(j, &one, &time);
                if (!e)
                        e = exec_poll_row(q, i);
        }
        if (e && error_is(e, ERROR_INVALID)) /* would pass for a parse error */
                e = error_join(error_new(ERROR_CORRUPT, "%s", error_str(e)), e);
out:
        matcher_vec_done(&owned);
        vec_done(&m);
        return e;
}

static Str id_key(struct join *j, Labels ls)
{
        buf_clear(&j->key);
        buf_put(&j->key, labels_get(ls, STR("instance")));
        buf_putc(&j->key, '\xff');
        buf_put(&j->key, labels_get(ls, STR("job")));
        return buf_str(&j->key);
}

static void index_info(struct join *j)
{
        for (size_t i = 0; i < j->info.n; i++) {
                Labels ls = j->info.p[i].labels;
                Str key = id_key(j, ls), name = labels_get(ls, STR(METRIC_NAME));
                struct target *first = map_get(&j->by_id, key), *t = first;
                while (t && !str_eq(t->name, name))
                        t = t->next;
                if (!t) {
                        t = mem_zalloc(sizeof *t);
                        t->name = name;
                        vec_push(&j->targets, t);
                        if (first) {
                                t->next = first->next;
                                first->next = t;
                        } else {
                                map_set(&j->by_id, arena_str(&j->keys, key), t);
                        }
                }
                vec_push(&t->series, i);
        }
}

/* The newest info series of a target at a step, or -1. */
static ptrdiff_t newest(const struct join *j, const struct target *t, size_t step)
{
        ptrdiff_t best = -1;
        for (size_t i = 0; i < t->series.n; i++) {
                double at = j->info.p[t->series.p[i]].t[step];
                if (!is_absent(at) && (best < 0 || at > j->info.p[best].t[step]))
                        best = (ptrdiff_t)t->series.p[i];
        }
        return best;
}

/* Two info series of one target whose samples are equally new are an error, at steps that have rows at all. */
static struct error *check_unique(const struct join *j)
{
        for (size_t i = 0; i < j->targets.n; i++) {
                const struct target *t = j->targets.p[i];
                for (size_t s = 0; t->series.n > 1 && s < j->st->n; s++) {
                        double best = absent();
                        const struct info_series *have = NULL;
                        bool any = false;
                        for (size_t k = 0; k < j->base->n && !any; k++)
                                any = !is_absent(j->base->rows[k].v[s]);
                        for (size_t k = 0; any && k < t->series.n; k++) {
                                const struct info_series *x = &j->info.p[t->series.p[k]];
                                if (is_absent(x->t[s]) || (have && x->t[s] < best))
                                        continue;
                                if (have && x->t[s] == best) {
                                        struct buf b = BUF_INIT(1 << 20);
                                        buf_puts(&b, "found duplicate series for info metric: existing ");
                                        labels_print(&b, have->labels);
                                        buf_printf(&b, " @ %lld, new ", (long long)best);
                                        labels_print(&b, x->labels);
                                        buf_printf(&b, " @ %lld", (long long)best);
                                        struct error *e = eval_error(STR_FMT, STR_ARG(buf_str(&b)));
                                        buf_done(&b);
                                        return e;
                                }
                                have = x;
                                best = x->t[s];
                        }
                }
        }
        return NULL;
}

static bool is_wanted(const struct join *j, Str label)
{
        for (size_t i = 0; i < j->wanted.n; i++)
                if (str_eq(j->wanted.p[i]->name, label))
                        return true;
        return !j->wanted.n;
}

/* The labels of a row with those of the chosen info series (-1: none of that target). */
static struct error *joined_labels(struct join *j, Labels base, const ptrdiff_t *chosen, size_t n, Labels *ret, bool *ret_any)
{
        struct labels_builder b;
        struct error *e = NULL;
        labels_builder_init(&b);
        labels_builder_reset(&b, base);
        *ret_any = false;
        for (size_t i = 0; i < n && !e; i++) {
                Labels ls = chosen[i] < 0 ? (Labels){0} : j->info.p[chosen[i]].labels;
                *ret_any |= chosen[i] >= 0;
                for (size_t k = 0; k < ls.n && !e; k++) {
                        Label l = ls.v[k];
                        if (str_eq(l.name, STR(METRIC_NAME)) || !is_wanted(j, l.name) || labels_has(base, l.name))
                                continue;
                        Str have = labels_builder_get(&b, l.name);
                        if (have.n && !str_eq(have, l.value))
                                e = eval_error("conflicting label: " STR_FMT, STR_ARG(l.name));
                        labels_builder_set(&b, l.name, l.value);
                }
        }
        if (!e)
                *ret = labels_builder_labels(&b, j->q->arena);
        labels_builder_done(&b);
        return e;
}

/* Moves the sample of a step into the output row of these labels, which is made if it is not there; own: the row's column may become it. */
static struct error *place(struct join *j, struct row *row, Labels labels, size_t step, size_t *own, size_t *ret_at)
{
        struct error *e = NULL;
        buf_clear(&j->key);
        labels_key(&j->key, labels);
        size_t at = (size_t)(uintptr_t)map_get(&j->by_labels, buf_str(&j->key));
        if (!at) {
                struct row made = {.labels = labels, .drop_name = row->drop_name};
                if (*own == 0) {
                        made.v = row->v;
                        made.h = row->h;
                        *own = j->out.n + 1;
                } else {
                        made.v = column_new(j->q, 1, j->st->n, &e);
                        if (e)
                                return e;
                        mat_own(j->q, j->base, made.v);
                        for (size_t s = 0; s < j->st->n; s++)
                                made.v[s] = absent();
                }
                vec_push(&j->out, made);
                at = j->out.n;
                map_set(&j->by_labels, arena_str(&j->keys, buf_str(&j->key)), (void *)(uintptr_t)at);
        }
        *ret_at = at;
        if (at == *own)
                return NULL;
        struct row *to = &j->out.p[at - 1];
        Histogram h = histogram_at(row->h, step);
        if (!is_absent(to->v[step]))
                return error_same_labelset();
        if (h && !to->h)
                e = histogram_column(&j->q->workers[0].keep, j->st->n, &to->h);
        if (e)
                return e;
        to->v[step] = row->v[step];
        if (to->h)
                to->h[step] = h;
        row->v[step] = absent();
        return NULL;
}

static struct error *join_row(struct join *j, struct row *row, bool ignored)
{
        struct target *first = ignored ? NULL : map_get(&j->by_id, id_key(j, row->labels));
        size_t n = 0, own = 0;
        for (struct target *t = first; t; t = t->next)
                n++;
        struct error *e = NULL;
        ptrdiff_t *chosen = exec_alloc(j->q, 2 * (n + 1), sizeof *chosen, &e);
        if (e)
                return e;
        ptrdiff_t *last = chosen + n + 1;
        bool have_last = false, any = false;
        Labels labels = row->labels;
        for (size_t s = 0; s < j->st->n && !e; s++) {
                if (is_absent(row->v[s]))
                        continue;
                struct target *t = first;
                for (size_t i = 0; i < n; i++, t = t->next)
                        chosen[i] = newest(j, t, s);
                if (!ignored && (!have_last || (n && memcmp(chosen, last, n * sizeof *last) != 0))) {
                        e = joined_labels(j, row->labels, chosen, n, &labels, &any);
                        if (n)
                                memcpy(last, chosen, n * sizeof *last);
                        have_last = true;
                }
                size_t at;
                if (!e && !ignored && !any && j->needs_match)
                        row->v[s] = absent();
                else if (!e)
                        e = place(j, row, labels, s, &own, &at);
        }
        return e;
}

static void join_done(struct join *j)
{
        for (size_t i = 0; i < j->info.n; i++)
                column_free(j->q, j->info.p[i].t);
        for (size_t i = 0; i < j->targets.n; i++) {
                vec_done(&j->targets.p[i]->series);
                free(j->targets.p[i]);
        }
        vec_done(&j->targets);
        vec_done(&j->info);
        vec_done(&j->wanted);
        vec_done(&j->out);
        map_done(&j->by_id);
        map_done(&j->by_labels);
        arena_done(&j->keys);
        buf_done(&j->key);
}

struct error *eval_info(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct mat base;
        struct error *e = eval_mat(q, st, n->args[0], &base);
        if (e)
                return e;
        const struct node *selector = n->n_args > 1 ? n->args[1] : NULL;
        struct join j = {.q = q, .st = st, .base = &base, .by_id = MAP_INIT, .by_labels = MAP_INIT, .key = BUF_INIT(BUF_NO_LIMIT)};
        MatcherVec owned = VEC_INIT;
        ConstMatcherVec names = VEC_INIT;
        arena_init(&j.keys, q->max_bytes);
        e = name_conditions(selector, &owned, &names);
        j.ignored = e ? NULL : exec_alloc(q, base.n, sizeof *j.ignored, &e);
        for (size_t i = 0; !e && i < base.n; i++) {
                Str name = labels_get(base.rows[i].labels, STR(METRIC_NAME));
                j.ignored[i] = true;
                for (size_t k = 0; k < names.n; k++)
                        j.ignored[i] &= matcher_matches(names.p[k], name);
        }
        for (size_t i = 0; selector && i < selector->x->selector.n_matchers; i++) {
                const struct matcher *m = selector->x->selector.matchers[i];
                if (is_name(m))
                        continue;
                vec_push(&j.wanted, m);
                j.needs_match |= !matcher_matches_empty(m);
        }
        if (!e)
                e = fetch(&j, n->args[0], selector);
        if (!e) {
                index_info(&j);
                e = check_unique(&j);
        }
        for (size_t i = 0; i < base.n && !e; i++) {
                e = join_row(&j, &base.rows[i], j.ignored[i]);
                if (!e)
                        e = exec_poll_row(q, i);
        }
        struct row *rows = e ? NULL : exec_alloc(q, j.out.n, sizeof *rows, &e);
        if (!e) {
                if (j.out.n)
                        memcpy(rows, j.out.p, j.out.n * sizeof *rows);
                base.rows = rows;
                base.n = j.out.n;
                mat_drop_empty(&base, st->n);
                e = samples_charge(q, mat_samples(&base, st->n));
        }
        if (e)
                mat_done(q, &base);
        else
                *ret = base;
        matcher_vec_done(&owned);
        vec_done(&names);
        join_done(&j);
        return e;
}
