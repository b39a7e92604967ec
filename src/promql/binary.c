/* SPDX-License-Identifier: Apache-2.0 */
/* Binary operators between two vectors: rows are matched by signature once, then columns are worked on pair by pair.
 * Which rows meet may differ from step to step, so every check is of the steps at which both are there; of several
 * errors the one of the earliest step is told, as upstream, which goes step by step, would.  Upstream: VectorBinop,
 * VectorAnd, VectorOr, VectorUnless, resultMetric in promql/engine.go */
#include <math.h>

#include "base/map.h"
#include "promql/eval.h"

typedef VEC(double *) VecBlocks;
struct side {
        struct mat m;
        size_t *sig;            /* row -> signature */
        size_t *start, *member; /* signature -> its rows: member[start[s]] … member[start[s + 1] - 1] */
};
struct result {
        struct row row;
        size_t order; /* upstream's at one step: of the row of the many side, then of the one side that got a fill value
                       */
};
struct match {
        struct exec *q;
        const struct steps *st;
        const struct expr *x;
        const struct vector_matching *m;
        struct side l, r;        /* as written */
        struct side *many, *one; /* one: the side that may have one row a signature and step */
        size_t n_sigs;
        const double *fill_many, *fill_one; /* what stands in for a missing row of that side */
        bool swapped;
        bool note_floats; /* an operator of histograms met floats */
        VEC(struct result) out;
        size_t error_step;
        struct error *error;
};

static bool is_listed(const struct vector_matching *m, Str name)
{
        for (size_t i = 0; i < m->n_labels; i++)
                if (str_eq(m->labels[i], name))
                        return true;
        return false;
}

static void put_signature(struct buf *b, const struct vector_matching *m, Labels ls)
{
        for (size_t i = 0; i < ls.n; i++) {
                bool listed = is_listed(m, ls.v[i].name);
                if (m->on ? !listed : listed || str_eq(ls.v[i].name, STR(METRIC_NAME)))
                        continue;
                buf_put(b, ls.v[i].name);
                buf_putc(b, '\xff');
                buf_put(b, ls.v[i].value);
                buf_putc(b, '\xff');
        }
}

static struct error *sign(struct match *ma)
{
        struct error *e = NULL;
        struct map seen = MAP_INIT;
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        struct side *sides[] = {&ma->l, &ma->r};
        for (int k = 0; k < 2 && !e; k++) {
                struct side *s = sides[k];
                s->sig = exec_alloc(ma->q, s->m.n, sizeof *s->sig, &e);
                for (size_t i = 0; !e && i < s->m.n; i++) {
                        e = exec_poll_row(ma->q, i);
                        buf_clear(&key);
                        put_signature(&key, ma->m, s->m.rows[i].labels);
                        size_t at = (size_t)(uintptr_t)map_get(&seen, buf_str(&key));
                        if (!at) {
                                at = ++ma->n_sigs;
                                map_set(&seen, arena_str(ma->q->arena, buf_str(&key)), (void *)(uintptr_t)at);
                        }
                        s->sig[i] = at - 1;
                }
        }
        for (int k = 0; k < 2 && !e; k++) {
                struct side *s = sides[k];
                s->start = exec_alloc(ma->q, ma->n_sigs + 2, sizeof *s->start, &e);
                if (!e)
                        s->member = exec_alloc(ma->q, s->m.n, sizeof *s->member, &e);
                if (e)
                        break;
                memset(s->start, 0, (ma->n_sigs + 2) * sizeof *s->start);
                for (size_t i = 0; i < s->m.n; i++)
                        s->start[s->sig[i] + 2]++;
                for (size_t i = 2; i < ma->n_sigs + 2; i++)
                        s->start[i] += s->start[i - 1];
                for (size_t i = 0; i < s->m.n; i++)
                        s->member[s->start[s->sig[i] + 1]++] = i;
        }
        map_done(&seen);
        buf_done(&key);
        return e;
}

/* 1 where any row of the signature has a sample. */
static void presence(const struct side *s, size_t sig, size_t n_steps, uint8_t *ret)
{
        memset(ret, 0, n_steps);
        for (size_t i = s->start[sig]; i < s->start[sig + 1]; i++) {
                const double *v = s->m.rows[s->member[i]].v;
                for (size_t k = 0; k < n_steps; k++)
                        ret[k] |= !is_absent(v[k]);
        }
}

/* Keeps of the rows of a signature the steps at which the other side has, or has not, a row: in place. */
static void filter(const struct side *s, size_t sig, size_t n_steps, const uint8_t *other, bool keep_if)
{
        for (size_t i = s->start[sig]; i < s->start[sig + 1]; i++) {
                double *v = s->m.rows[s->member[i]].v;
                for (size_t k = 0; k < n_steps; k++)
                        if ((bool)other[k] != keep_if)
                                v[k] = absent();
        }
}

static struct error *set_operator(struct match *ma, struct mat *ret)
{
        struct error *e = NULL;
        size_t n = ma->st->n;
        uint8_t *other = exec_alloc(ma->q, n, 1, &e);
        if (e)
                return e;
        enum binary_op op = ma->x->binary.op;
        for (size_t s = 0; s < ma->n_sigs; s++) {
                presence(op == OP_OR ? &ma->l : &ma->r, s, n, other);
                if (op == OP_OR)
                        filter(&ma->r, s, n, other, false);
                else
                        filter(&ma->l, s, n, other, op == OP_AND);
        }
        struct mat m = ma->l.m;
        ma->l.m.n_blocks = 0;
        if (op == OP_OR) {
                struct row *rows = exec_alloc(ma->q, m.n + ma->r.m.n, sizeof *rows, &e);
                if (e)
                        return e;
                if (m.n)
                        memcpy(rows, m.rows, m.n * sizeof *rows);
                if (ma->r.m.n)
                        memcpy(rows + m.n, ma->r.m.rows, ma->r.m.n * sizeof *rows);
                m.rows = rows;
                m.n += ma->r.m.n;
                for (size_t i = 0; i < ma->r.m.n_blocks; i++)
                        mat_own(ma->q, &m, ma->r.m.blocks[i]);
                ma->r.m.n_blocks = 0;
        }
        mat_drop_empty(&m, n);
        *ret = m;
        return NULL;
}

/* Takes e if it is of an earlier step than what is there. */
static void note_error(struct match *ma, size_t step, struct error *take_e)
{
        if (ma->error && step >= ma->error_step) {
                error_free(take_e);
                return;
        }
        error_free(ma->error);
        ma->error = take_e;
        ma->error_step = step;
}

static Labels match_labels(struct match *ma, Labels ls)
{
        Label *v = arena_array(ma->q->arena, Label, ls.n);
        size_t n = 0;
        for (size_t i = 0; i < ls.n; i++) {
                bool listed = is_listed(ma->m, ls.v[i].name);
                if (ma->m->on ? listed : !listed && !str_eq(ls.v[i].name, STR(METRIC_NAME)))
                        v[n++] = ls.v[i];
        }
        return (Labels){v, n};
}

static Str print(struct match *ma, Labels ls)
{
        struct buf b = BUF_INIT(1 << 20);
        labels_print(&b, ls);
        Str s = arena_str(ma->q->arena, buf_str(&b));
        buf_done(&b);
        return s;
}

static struct error *duplicate_error(struct match *ma, size_t row, size_t earlier)
{
        Labels a = ma->one->m.rows[row].labels, b = ma->one->m.rows[earlier].labels;
        Str x = print(ma, a), y = print(ma, b);
        if (str_cmp(x, y) > 0) {
                Str t = x;
                x = y;
                y = t;
        }
        return error_new(ERROR_EXISTS,
                         "found duplicate series for the match group " STR_FMT
                         " on the %s hand-side of the operation: [" STR_FMT ", " STR_FMT "]"
                         ";many-to-many matching not allowed: matching labels must be unique on one side",
                         STR_ARG(print(ma, match_labels(ma, a))), ma->swapped ? "left" : "right", STR_ARG(x),
                         STR_ARG(y));
}

static bool any_present(const struct side *s, size_t step)
{
        for (size_t i = 0; i < s->m.n; i++)
                if (!is_absent(s->m.rows[i].v[step]))
                        return true;
        return false;
}

/* Two rows of one signature on the side that may have one. */
static void check_one_side(struct match *ma)
{
        const struct side *o = ma->one;
        size_t best_step = SIZE_MAX, best_row = 0, best_earlier = 0;
        for (size_t s = 0; s < ma->n_sigs; s++) {
                size_t n = o->start[s + 1] - o->start[s];
                if (n < 2)
                        continue;
                for (size_t k = 0; k < ma->st->n && k <= best_step; k++) {
                        size_t last = SIZE_MAX, row = SIZE_MAX;
                        for (size_t i = o->start[s]; i < o->start[s + 1] && row == SIZE_MAX; i++) {
                                if (is_absent(o->m.rows[o->member[i]].v[k]))
                                        continue;
                                if (last != SIZE_MAX)
                                        row = o->member[i];
                                else
                                        last = o->member[i];
                        }
                        if (row == SIZE_MAX || (k == best_step && row > best_row))
                                continue;
                        if (!ma->fill_many && !ma->fill_one && !any_present(ma->many, k))
                                continue;
                        best_step = k;
                        best_row = row;
                        best_earlier = last;
                        break;
                }
        }
        if (best_step != SIZE_MAX)
                note_error(ma, best_step, duplicate_error(ma, best_row, best_earlier));
}

static Labels result_labels(struct match *ma, Labels many, Labels one, bool drop_name)
{
        const struct vector_matching *m = ma->m;
        if (drop_name)
                many = labels_drop_metadata(ma->q, many);
        if (m->card == CARD_ONE_TO_ONE) {
                Label *v = arena_array(ma->q->arena, Label, many.n);
                size_t n = 0;
                for (size_t i = 0; i < many.n; i++)
                        if (is_listed(m, many.v[i].name) == m->on)
                                v[n++] = many.v[i];
                many = (Labels){v, n};
        }
        if (m->n_include == 0)
                return many;
        struct labels_builder b;
        labels_builder_init(&b);
        labels_builder_reset(&b, many);
        for (size_t i = 0; i < m->n_include; i++)
                labels_builder_set(&b, m->include[i], labels_get(one, m->include[i]));
        Labels ls = labels_builder_labels(&b, ma->q->arena);
        labels_builder_done(&b);
        return ls;
}

/* Where a row of the many side and one of the other have met: for the check that no two results are one. */
struct meeting {
        Labels labels;
        uint8_t *at; /* 1 a step */
};

struct pairing {
        struct match *ma;
        double *block; /* columns of results */
        size_t used, cap;
        uint8_t *met;                 /* of the current signature, CARD_ONE_TO_ONE: a result exists at the step */
        VEC(struct meeting) meetings; /* of the current signature, else */
};

static struct error *result_column(struct pairing *p, double **ret)
{
        struct error *e = NULL;
        size_t n = p->ma->st->n;
        if (p->used == p->cap) {
                size_t want = MAX(p->cap * 2, p->ma->many->m.n);
                p->cap = want < 1 ? 1 : want > 4096 ? 4096 : want;
                p->block = column_new(p->ma->q, p->cap, n, &e);
                if (e)
                        return e;
                p->used = 0;
        }
        *ret = p->block + p->used++ * n;
        return NULL;
}

/* l, r: columns or NULL with a fill value; skip: steps not to look at. */
static struct error *pair(struct pairing *p, Labels many, Labels one, const double *mv, const double *ov, double m_fill,
                          double o_fill, const uint8_t *skip, size_t order, VecBlocks *blocks)
{
        struct match *ma = p->ma;
        const struct expr *x = ma->x;
        size_t n = ma->st->n;
        enum binary_op op = x->binary.op;
        size_t had = p->cap - p->used;
        double *out;
        struct error *e = result_column(p, &out);
        if (e)
                return e;
        if (had == 0)
                vec_push(blocks, p->block);
        bool one_to_one = ma->m->card == CARD_ONE_TO_ONE;
        uint8_t *met = p->met;
        bool drops = op <= OP_ATAN2 || (x->binary.return_bool && !ma->q->delayed_name_removal);
        Labels labels = result_labels(ma, many, one, drops);
        if (!one_to_one) {
                met = NULL;
                for (size_t i = 0; i < p->meetings.n && !met; i++)
                        if (labels_eq(p->meetings.p[i].labels, labels))
                                met = p->meetings.p[i].at;
                if (!met) {
                        met = exec_alloc(ma->q, n, 1, &e);
                        if (e)
                                return e;
                        memset(met, 0, n);
                        vec_push(&p->meetings, (struct meeting){labels, met});
                }
        }
        if (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER) {
                p->used--;
                for (size_t k = 0; k < n; k++)
                        if (!is_absent(mv ? mv[k] : m_fill) && !is_absent(ov ? ov[k] : o_fill) && !(skip && skip[k]))
                                ma->note_floats = true;
                return NULL;
        }
        bool any = false;
        for (size_t k = 0; k < n; k++) {
                double mval = mv ? mv[k] : m_fill, oval = ov ? ov[k] : o_fill;
                out[k] = absent();
                if (is_absent(mval) || is_absent(oval) || (skip && skip[k]))
                        continue;
                bool keep;
                double v = ma->swapped ? binary_float(op, oval, mval, &keep) : binary_float(op, mval, oval, &keep);
                if (met[k]) {
                        note_error(ma, k,
                                   error_new(ERROR_EXISTS,
                                             one_to_one ? "multiple matches for labels: many-to-one matching must be "
                                                          "explicit (group_left/group_right)"
                                                        : "multiple matches for labels: grouping labels must ensure "
                                                          "unique matches"));
                        break;
                }
                met[k] = 1;
                if (x->binary.return_bool)
                        out[k] = keep;
                else if (keep)
                        out[k] = v;
                any |= !is_absent(out[k]);
        }
        if (any)
                vec_push(&ma->out, (struct result){{.labels = labels,
                                                    .v = out,
                                                    .drop_name = x->binary.return_bool && ma->q->delayed_name_removal},
                                                   order});
        else
                p->used--;
        return NULL;
}

static struct error *match_all(struct match *ma, VecBlocks *blocks)
{
        struct error *e = NULL;
        size_t n = ma->st->n;
        struct pairing p = {.ma = ma};
        p.met = exec_alloc(ma->q, n, 1, &e);
        uint8_t *there = e ? NULL : exec_alloc(ma->q, n, 1, &e);
        if (e)
                return e;
        for (size_t s = 0; s < ma->n_sigs && !e; s++) {
                const struct side *many = ma->many, *one = ma->one;
                size_t n_many = many->start[s + 1] - many->start[s], n_one = one->start[s + 1] - one->start[s];
                if ((!n_many && !ma->fill_many) || (!n_one && !ma->fill_one))
                        continue;
                if (s % 256 == 0)
                        e = exec_poll(ma->q, "expression evaluation");
                memset(p.met, 0, n);
                vec_clear(&p.meetings);
                if (ma->fill_one)
                        presence(one, s, n, there);
                for (size_t i = many->start[s]; i < many->start[s + 1] && !e; i++) {
                        const struct row *m = &many->m.rows[many->member[i]];
                        for (size_t j = one->start[s]; j < one->start[s + 1] && !e; j++) {
                                const struct row *o = &one->m.rows[one->member[j]];
                                e = pair(&p, m->labels, o->labels, m->v, o->v, 0, 0, NULL, many->member[i], blocks);
                        }
                        if (ma->fill_one && !e)
                                e = pair(&p, m->labels, match_labels(ma, m->labels), m->v, NULL, 0, *ma->fill_one,
                                         there, many->member[i], blocks);
                }
                if (ma->fill_many && !e) {
                        /* Steps at which a row of the many side took part are done. */
                        presence(many, s, n, there);
                        for (size_t j = one->start[s]; j < one->start[s + 1] && !e; j++) {
                                const struct row *o = &one->m.rows[one->member[j]];
                                e = pair(&p, match_labels(ma, o->labels), o->labels, NULL, o->v, *ma->fill_many, 0,
                                         there, many->m.n + one->member[j], blocks);
                        }
                }
        }
        vec_done(&p.meetings);
        return e;
}

static size_t last_count(const struct mat *m, size_t n)
{
        size_t c = 0;
        for (size_t i = 0; i < m->n && n; i++)
                c += !is_absent(m->rows[i].v[n - 1]);
        return c;
}

static int by_order(const void *a, const void *b)
{
        size_t x = ((const struct result *)a)->order, y = ((const struct result *)b)->order;
        return (x > y) - (x < y);
}

static struct error *arithmetic(struct match *ma, struct mat *ret)
{
        ma->swapped = ma->m->card == CARD_ONE_TO_MANY;
        ma->many = ma->swapped ? &ma->r : &ma->l;
        ma->one = ma->swapped ? &ma->l : &ma->r;
        /* The fill values go with the sides after the swap, as upstream takes them. */
        ma->fill_many = ma->m->fill_left;
        ma->fill_one = ma->m->fill_right;
        VecBlocks blocks = VEC_INIT;
        check_one_side(ma);
        struct error *e = match_all(ma, &blocks);
        if (!e && ma->error) {
                e = ma->error;
                ma->error = NULL;
        }
        struct mat m = {.n = ma->out.n};
        if (!e)
                m.rows = exec_alloc(ma->q, ma->out.n, sizeof *m.rows, &e);
        if (!e && m.n)
                qsort(ma->out.p, m.n, sizeof *ma->out.p, by_order);
        for (size_t i = 0; !e && i < m.n; i++)
                m.rows[i] = ma->out.p[i].row;
        for (size_t i = 0; i < blocks.n; i++)
                mat_own(ma->q, &m, blocks.p[i]);
        vec_done(&blocks);
        vec_done(&ma->out);
        error_free(ma->error);
        if (!e)
                *ret = m;
        else
                mat_done(ma->q, &m);
        return e;
}

struct error *eval_binary_vectors(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        struct match ma = {.q = q, .st = st, .x = n->x, .m = n->x->binary.matching};
        struct mat m = {0};
        struct error *e = eval_mat(q, st, n->a, &ma.l.m);
        if (!e)
                e = eval_mat(q, st, n->b, &ma.r.m);
        size_t last_in = e ? 0 : last_count(&ma.l.m, st->n) + last_count(&ma.r.m, st->n);
        if (!e)
                e = sign(&ma);
        if (!e)
                e = op_is_set(n->x->binary.op) ? set_operator(&ma, &m) : arithmetic(&ma, &m);
        mat_done(q, &ma.l.m);
        mat_done(q, &ma.r.m);
        if (e)
                return e;
        if (ma.note_floats)
                annotations_add(
                        &q->notes, ANNOTATION_INFO, n->x->pos,
                        "PromQL info: incompatible sample types encountered for binary operator \"%s\": float %s float",
                        binary_op_text(n->x->binary.op), binary_op_text(n->x->binary.op));
        if (!(q->delayed_name_removal && st->n == 1))
                e = mat_merge(q, &m, st->n);
        size_t total = 0;
        for (size_t i = 0; i < m.n; i++)
                total += column_count(m.rows[i].v, st->n);
        *ret = m;
        return e ? e : account_step_eval(q, before, total, last_in);
}
