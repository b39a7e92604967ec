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
/* What is told of a step, as upstream: of several pairs, what the last one had to tell. */
struct step_note {
        size_t order; /* of the pair, plus one; 0: nothing */
        enum step_note_kind {
                TELL_FLOATS,
                TELL_FLOAT_HISTOGRAM,
                TELL_HISTOGRAM_FLOAT,
                TELL_HISTOGRAMS,
                TELL_LAYOUT,
                TELL_COLLISION,
                TELL_RECONCILED
        } kind;
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
        struct step_note *notes; /* NULL: none yet */
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

static struct error *tell(struct match *ma, size_t step, size_t order, enum step_note_kind kind)
{
        struct error *e = NULL;
        if (!ma->notes) {
                ma->notes = exec_alloc(ma->q, ma->st->n, sizeof *ma->notes, &e);
                if (e)
                        return e;
                memset(ma->notes, 0, ma->st->n * sizeof *ma->notes);
        }
        if (order + 1 >= ma->notes[step].order)
                ma->notes[step] = (struct step_note){order + 1, kind};
        return NULL;
}

static void tell_notes(struct match *ma)
{
        enum binary_op op = ma->x->binary.op;
        struct pos_range pos = ma->x->pos;
        uint32_t kinds = 0;
        for (size_t k = 0; ma->notes && k < ma->st->n; k++)
                if (ma->notes[k].order)
                        kinds |= UINT32_C(1) << ma->notes[k].kind;
        if (kinds & (1 << TELL_FLOATS))
                note_binop_types(ma->q, op, false, false, pos);
        if (kinds & (1 << TELL_FLOAT_HISTOGRAM))
                note_binop_types(ma->q, op, false, true, pos);
        if (kinds & (1 << TELL_HISTOGRAM_FLOAT))
                note_binop_types(ma->q, op, true, false, pos);
        if (kinds & (1 << TELL_HISTOGRAMS))
                note_binop_types(ma->q, op, true, true, pos);
        if (kinds & (1 << TELL_LAYOUT))
                annotations_add(&ma->q->notes, ANNOTATION_WARNING, pos,
                                "PromQL warning: incompatible bucket layout encountered for binary operator %s",
                                binary_op_text(op));
        if (kinds & (1 << TELL_COLLISION))
                note_histograms(ma->q, op == OP_SUB ? NOTE_COLLISION_SUB : NOTE_COLLISION_ADD, (Str){0}, pos);
        if (kinds & (1 << TELL_RECONCILED))
                note_histograms(ma->q, op == OP_SUB ? NOTE_BOUNDS_SUB : NOTE_BOUNDS_ADD, (Str){0}, pos);
}

/* One step of a pair with a histogram. *ret_matched false: upstream stops before it looks for other matches. */
static struct error *pair_histograms(struct match *ma, size_t k, size_t order, double l, Histogram lh, double r,
                                     Histogram rh, struct binop_result *ret, bool *ret_matched)
{
        struct error *e = binary_histogram(&ma->q->workers[0].keep, ma->x->binary.op, l, lh, r, rh, ret);
        if (e)
                return e;
        *ret_matched = ret->fault == BINOP_FINE;
        switch (ret->fault) {
        case BINOP_TYPES:
                return tell(ma, k, order,
                            lh && rh ? TELL_HISTOGRAMS
                            : lh     ? TELL_HISTOGRAM_FLOAT
                                     : TELL_FLOAT_HISTOGRAM);
        case BINOP_LAYOUT:
                return tell(ma, k, order, TELL_LAYOUT);
        case BINOP_COLLISION:
                return tell(ma, k, order, TELL_COLLISION);
        case BINOP_FINE:
                break;
        }
        return ret->reconciled ? tell(ma, k, order, TELL_RECONCILED) : NULL;
}

/* m, o: rows, or NULL with a fill value; skip: steps not to look at. */
static struct error *pair(struct pairing *p, Labels many, Labels one, const struct row *m, const struct row *o,
                          double m_fill, double o_fill, const uint8_t *skip, size_t order, VecBlocks *blocks)
{
        const double *mv = m ? m->v : NULL, *ov = o ? o->v : NULL;
        const Histogram *mh = m ? m->h : NULL, *oh = o ? o->h : NULL;
        Histogram *out_h = NULL;
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
        bool trims = op == OP_TRIM_UPPER || op == OP_TRIM_LOWER;
        if (mh || oh)
                e = histogram_column(&ma->q->workers[0].keep, n, &out_h);
        if (e)
                return e;
        bool any = false;
        for (size_t k = 0; k < n; k++) {
                double mval = mv ? mv[k] : m_fill, oval = ov ? ov[k] : o_fill;
                out[k] = absent();
                if (is_absent(mval) || is_absent(oval) || (skip && skip[k]))
                        continue;
                bool keep, matched = !trims;
                double v;
                Histogram h = NULL;
                if (out_h && (histogram_at(mh, k) || histogram_at(oh, k))) {
                        struct binop_result r;
                        e = ma->swapped ? pair_histograms(ma, k, order, oval, histogram_at(oh, k), mval,
                                                          histogram_at(mh, k), &r, &matched)
                                        : pair_histograms(ma, k, order, mval, histogram_at(mh, k), oval,
                                                          histogram_at(oh, k), &r, &matched);
                        if (e)
                                return e;
                        h = r.h;
                        v = 0;
                        keep = r.keep;
                } else {
                        v = ma->swapped ? binary_float(op, oval, mval, &keep) : binary_float(op, mval, oval, &keep);
                        if (trims)
                                e = tell(ma, k, order, TELL_FLOATS);
                        if (e)
                                return e;
                }
                if (!matched)
                        continue;
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
                if (out_h && keep && !x->binary.return_bool)
                        out_h[k] = h;
                any |= !is_absent(out[k]);
        }
        if (any)
                vec_push(&ma->out, (struct result){{.labels = labels,
                                                    .v = out,
                                                    .h = out_h,
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
                                e = pair(&p, m->labels, o->labels, m, o, 0, 0, NULL, many->member[i], blocks);
                        }
                        if (ma->fill_one && !e)
                                e = pair(&p, m->labels, match_labels(ma, m->labels), m, NULL, 0, *ma->fill_one, there,
                                         many->member[i], blocks);
                }
                if (ma->fill_many && !e) {
                        /* Steps at which a row of the many side met one are done; a pair that does not go together has not met. */
                        memcpy(there, p.met, n);
                        for (size_t i = 0; i < p.meetings.n; i++)
                                for (size_t k = 0; k < n; k++)
                                        there[k] |= p.meetings.p[i].at[k];
                        for (size_t j = one->start[s]; j < one->start[s + 1] && !e; j++) {
                                const struct row *o = &one->m.rows[one->member[j]];
                                e = pair(&p, match_labels(ma, o->labels), o->labels, NULL, o, *ma->fill_many, 0, there,
                                         many->m.n + one->member[j], blocks);
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
        tell_notes(&ma);
        if (!(q->delayed_name_removal && st->n == 1))
                e = mat_merge(q, &m, st->n);
        *ret = m;
        return e ? e : account_step_eval(q, before, mat_samples(&m, st->n), last_in);
}
