/* SPDX-License-Identifier: Apache-2.0 */
/* fan_merge.c — merging targets, metadata and exemplars, as upstream's packages of these names. */
#include "thanos/query/fan.h"

/* --- targets --- */

struct targets_ask {
        struct fan *f;
        const struct pb_targets_request *r;
        VEC(struct pb_active_target) active;
        VEC(struct pb_dropped_target) dropped;
};

static bool targets_request(void *ctx, UNUSED const struct endpoint *ep, struct arena *a, Str *ret)
{
        struct targets_ask *x = ctx;
        *ret = fan_encode(a, &pb_targets_request, x->r);
        return true;
}

static struct error *targets_take(void *ctx, Str message)
{
        struct targets_ask *x = ctx;
        struct pb_targets_response m = {0};
        struct error *e = pb_decode(&pb_targets_response, message, &x->f->answers, &m);
        if (e)
                return e;
        if (m.warning.p)
                return fan_warn(x->f, m.warning);
        for (size_t i = 0; m.targets && i < m.targets->active_targets.n; i++)
                vec_push(&x->active, m.targets->active_targets.v[i]);
        for (size_t i = 0; m.targets && i < m.targets->dropped_targets.n; i++)
                vec_push(&x->dropped, m.targets->dropped_targets.v[i]);
        return NULL;
}

static int active_cmp(const void *a, const void *b)
{
        const struct pb_active_target *x = a, *y = b;
        int c = str_cmp(x->scrape_url, y->scrape_url);
        c = c ? c : str_cmp(x->scrape_pool, y->scrape_pool);
        c = c ? c : pb_label_set_cmp(&x->discovered_labels, &y->discovered_labels);
        return c ? c : pb_label_set_cmp(&x->labels, &y->labels);
}

/* Of two that are one the one that is down is shown, then the one scraped last. */
static int active_order(const void *a, const void *b)
{
        const struct pb_active_target *x = a, *y = b;
        int c = active_cmp(a, b);
        if (c)
                return c;
        if (x->health != y->health)
                return x->health < y->health ? -1 : 1;
        return -pb_timestamp_cmp(&x->last_scrape, &y->last_scrape);
}

static int dropped_cmp(const void *a, const void *b)
{
        return pb_label_set_cmp(&((const struct pb_dropped_target *)a)->discovered_labels,
                                &((const struct pb_dropped_target *)b)->discovered_labels);
}

struct error *fan_targets(struct fan *f, const struct pb_targets_request *r, const Str *names, size_t n_names,
                          struct pb_target_discovery *ret)
{
        struct targets_ask x = {.f = f, .r = r};
        struct error *e = fan_out(f, &(struct fan_ask){FAN_TARGETS, targets_request, targets_take, &x});
        if (e)
                e = error_wrap(e, "proxy Targets");
        *ret = (struct pb_target_discovery){0};
        if (!e) {
                struct pb_active_target *active = arena_array(&f->merged, struct pb_active_target, x.active.n + 1);
                struct pb_dropped_target *dropped = arena_array(&f->merged, struct pb_dropped_target, x.dropped.n + 1);
                for (size_t i = 0; i < x.active.n; i++) {
                        struct pb_active_target *t = &x.active.p[i];
                        t->discovered_labels = fan_without(&f->merged, &t->discovered_labels, names, n_names);
                        t->labels = fan_without(&f->merged, &t->labels, names, n_names);
                }
                for (size_t i = 0; i < x.dropped.n; i++)
                        x.dropped.p[i].discovered_labels =
                                fan_without(&f->merged, &x.dropped.p[i].discovered_labels, names, n_names);
                if (x.active.n > 1)
                        qsort(x.active.p, x.active.n, sizeof *x.active.p, active_order);
                if (x.dropped.n > 1)
                        qsort(x.dropped.p, x.dropped.n, sizeof *x.dropped.p, dropped_cmp);
                for (size_t i = 0; i < x.active.n; i++)
                        if (i == 0 || active_cmp(&x.active.p[i - 1], &x.active.p[i]) != 0)
                                active[ret->active_targets.n++] = x.active.p[i];
                for (size_t i = 0; i < x.dropped.n; i++)
                        if (i == 0 || dropped_cmp(&x.dropped.p[i - 1], &x.dropped.p[i]) != 0)
                                dropped[ret->dropped_targets.n++] = x.dropped.p[i];
                ret->active_targets.v = active;
                ret->dropped_targets.v = dropped;
        }
        vec_done(&x.active);
        vec_done(&x.dropped);
        return e;
}

/* --- metadata --- */

struct metadata_item {
        Str metric;
        struct pb_metric_meta meta;
};
struct metadata_ask {
        struct fan *f;
        const struct pb_metadata_request *r;
        VEC(struct metadata_item) items;
};

static bool metadata_request(void *ctx, UNUSED const struct endpoint *ep, struct arena *a, Str *ret)
{
        struct metadata_ask *x = ctx;
        *ret = fan_encode(a, &pb_metadata_request, x->r);
        return true;
}

static struct error *metadata_take(void *ctx, Str message)
{
        struct metadata_ask *x = ctx;
        struct pb_metadata_response m = {0};
        struct error *e = pb_decode(&pb_metadata_response, message, &x->f->answers, &m);
        if (e)
                return e;
        if (m.warning.p)
                return fan_warn(x->f, m.warning);
        for (size_t i = 0; m.metadata && i < m.metadata->metadata.n; i++) {
                const struct pb_metadata_pair *p = &m.metadata->metadata.v[i];
                for (size_t k = 0; p->value && k < p->value->metas.n; k++)
                        vec_push(&x->items, (struct metadata_item){p->key, p->value->metas.v[k]});
        }
        return NULL;
}

static int meta_cmp(const struct pb_metric_meta *x, const struct pb_metric_meta *y)
{
        int c = str_cmp(x->type, y->type);
        c = c ? c : str_cmp(x->help, y->help);
        return c ? c : str_cmp(x->unit, y->unit);
}

static int item_cmp(const void *a, const void *b)
{
        const struct metadata_item *x = a, *y = b;
        int c = str_cmp(x->metric, y->metric);
        return c ? c : meta_cmp(&x->meta, &y->meta);
}

struct error *fan_metadata(struct fan *f, const struct pb_metadata_request *r, struct pb_metadata_pair **ret, size_t *ret_n)
{
        struct metadata_ask x = {.f = f, .r = r};
        struct error *e = fan_out(f, &(struct fan_ask){FAN_METADATA, metadata_request, metadata_take, &x});
        if (e) {
                vec_done(&x.items);
                return error_wrap(e, "proxy MetricMetadata");
        }
        if (x.items.n > 1)
                qsort(x.items.p, x.items.n, sizeof *x.items.p, item_cmp);
        struct pb_metadata_pair *v = arena_array(&f->merged, struct pb_metadata_pair, x.items.n + 1);
        size_t n = 0, limit = r->limit < 0 ? SIZE_MAX : (size_t)r->limit;
        for (size_t i = 0, k; i < x.items.n && n < limit; i = k) {
                for (k = i + 1; k < x.items.n && str_eq(x.items.p[i].metric, x.items.p[k].metric);)
                        k++;
                struct pb_metadata_entry *entry = arena_new(&f->merged, struct pb_metadata_entry);
                struct pb_metric_meta *metas = arena_array(&f->merged, struct pb_metric_meta, k - i);
                size_t kept = 0;
                for (size_t j = i; j < k; j++)
                        if (!kept || meta_cmp(&metas[kept - 1], &x.items.p[j].meta) != 0)
                                metas[kept++] = x.items.p[j].meta;
                entry->metas.v = metas;
                entry->metas.n = kept;
                v[n++] = (struct pb_metadata_pair){x.items.p[i].metric, entry};
        }
        vec_done(&x.items);
        *ret = v;
        *ret_n = n;
        return NULL;
}

/* --- exemplars --- */

static void selectors_of(const struct expr *x, struct fan_exemplars_ask *to)
{
        switch (x->type) {
        case EXPR_SELECTOR:
                vec_push(&to->selectors, x);
                return;
        case EXPR_MATRIX:
                selectors_of(x->matrix.selector, to);
                return;
        case EXPR_SUBQUERY:
                selectors_of(x->subquery.child, to);
                return;
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        selectors_of(x->call.args[i], to);
                return;
        case EXPR_BINARY:
                selectors_of(x->binary.lhs, to);
                selectors_of(x->binary.rhs, to);
                return;
        case EXPR_UNARY:
                selectors_of(x->unary.child, to);
                return;
        case EXPR_PAREN:
                selectors_of(x->paren.child, to);
                return;
        case EXPR_AGGREGATE:
                selectors_of(x->aggregate.child, to);
                if (x->aggregate.param)
                        selectors_of(x->aggregate.param, to);
                return;
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                return;
        }
}

static bool set_fits(const struct expr *s, Labels l)
{
        for (size_t i = 0; i < s->selector.n_matchers; i++) {
                const struct matcher *m = s->selector.matchers[i];
                if (labels_has(l, m->name) && !matcher_matches(m, labels_get(l, m->name)))
                        return false;
        }
        return true;
}

struct error *fan_exemplars_prepare(struct fan *f, const struct promql_parse_opts *o, const struct pb_exemplars_request *r,
                                    Labels selector_labels, struct fan_exemplars_ask *ret, bool *ret_any)
{
        *ret = (struct fan_exemplars_ask){.f = f, .r = r, .tree = PROMQL_TREE_INIT};
        struct error *e = promql_parse(o, r->query, &f->merged, &ret->tree);
        if (e)
                return e;
        selectors_of(ret->tree.root, ret);
        size_t kept = 0;
        for (size_t i = 0; i < ret->selectors.n; i++)
                if (set_fits(ret->selectors.p[i], selector_labels))
                        ret->selectors.p[kept++] = ret->selectors.p[i];
        ret->selectors.n = kept;
        *ret_any = kept > 0;
        return NULL;
}

void fan_exemplars_done(struct fan_exemplars_ask *x)
{
        promql_tree_done(&x->tree);
        vec_done(&x->selectors);
}

static bool is_external(const struct endpoint *ep, Str name)
{
        for (size_t i = 0; i < ep->n_label_sets; i++)
                if (labels_has(ep->label_sets[i], name))
                        return true;
        return false;
}

bool fan_exemplars_request(void *ctx, const struct endpoint *ep, struct arena *a, Str *ret)
{
        struct fan_exemplars_ask *x = ctx;
        struct buf b = BUF_INIT(16 << 20);
        for (size_t i = 0; i < x->selectors.n; i++) {
                const struct expr *s = x->selectors.p[i];
                bool fits = ep->n_label_sets == 0;
                for (size_t k = 0; k < ep->n_label_sets && !fits; k++)
                        fits = set_fits(s, ep->label_sets[k]);
                if (!fits)
                        continue;
                buf_puts(&b, b.n ? "+{" : "{");
                bool first = true;
                for (size_t k = 0; k < s->selector.n_matchers; k++) {
                        if (is_external(ep, s->selector.matchers[k]->name))
                                continue;
                        buf_puts(&b, first ? "" : ", ");
                        first = false;
                        matcher_print(&b, s->selector.matchers[k]);
                }
                buf_putc(&b, '}');
        }
        struct pb_exemplars_request r = *x->r;
        r.query = buf_str(&b);
        bool any = b.n > 0 && !buf_is_over(&b);
        if (any)
                *ret = fan_encode(a, &pb_exemplars_request, &r);
        buf_done(&b);
        return any;
}

struct exemplars_ask {
        struct fan_exemplars_ask base;
        VEC(struct pb_exemplar_data) data;
};

static struct error *exemplars_take(void *ctx, Str message)
{
        struct exemplars_ask *x = ctx;
        struct fan *f = x->base.f;
        struct pb_exemplars_response m = {0};
        struct error *e = pb_decode(&pb_exemplars_response, message, &f->answers, &m);
        if (e)
                return e;
        if (m.warning.p)
                return fan_warn(f, m.warning);
        if (m.data && m.data->exemplars.n)
                vec_push(&x->data, *m.data);
        return NULL;
}

static int data_cmp(const void *a, const void *b)
{
        return pb_label_set_cmp(&((const struct pb_exemplar_data *)a)->series_labels,
                                &((const struct pb_exemplar_data *)b)->series_labels);
}

static int exemplar_cmp(const void *a, const void *b)
{
        const struct pb_exemplar *x = a, *y = b;
        if (x->ts != y->ts)
                return x->ts < y->ts ? -1 : 1;
        int c = pb_label_set_cmp(&x->labels, &y->labels);
        return c ? c : (x->value > y->value) - (x->value < y->value);
}

/* Those of one series, from all that told of it. */
static struct pb_exemplar_data data_unite(const struct pb_exemplar_data *v, size_t n, struct arena *a)
{
        struct pb_exemplar_data d = v[0];
        size_t all = 0, kept = 0;
        for (size_t i = 0; i < n; i++)
                all += v[i].exemplars.n;
        struct pb_exemplar *x = arena_array(a, struct pb_exemplar, all + 1);
        all = 0;
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < v[i].exemplars.n; k++) {
                        x[all] = v[i].exemplars.v[k];
                        x[all].labels = fan_without(a, &x[all].labels, NULL, 0);
                        all++;
                }
        if (all > 1)
                qsort(x, all, sizeof *x, exemplar_cmp);
        for (size_t i = 0; i < all; i++)
                if (!kept || exemplar_cmp(&x[kept - 1], &x[i]) != 0)
                        x[kept++] = x[i];
        d.exemplars.v = x;
        d.exemplars.n = kept;
        return d;
}

struct error *fan_exemplars(struct fan *f, const struct promql_parse_opts *o, const struct pb_exemplars_request *r,
                            Labels selector_labels, const Str *names, size_t n_names, struct pb_exemplar_data **ret,
                            size_t *ret_n)
{
        struct exemplars_ask x = {0};
        bool any = false;
        struct error *e = fan_exemplars_prepare(f, o, r, selector_labels, &x.base, &any);
        if (!e && any)
                e = fan_out(f, &(struct fan_ask){FAN_EXEMPLARS, fan_exemplars_request, exemplars_take, &x});
        if (!e) {
                for (size_t i = 0; i < x.data.n; i++)
                        x.data.p[i].series_labels = fan_without(&f->merged, &x.data.p[i].series_labels, names, n_names);
                if (x.data.n > 1)
                        qsort(x.data.p, x.data.n, sizeof *x.data.p, data_cmp);
                struct pb_exemplar_data *v = arena_array(&f->merged, struct pb_exemplar_data, x.data.n + 1);
                size_t n = 0;
                for (size_t i = 0, k; i < x.data.n; i = k) {
                        for (k = i + 1; k < x.data.n && data_cmp(&x.data.p[i], &x.data.p[k]) == 0;)
                                k++;
                        v[n++] = data_unite(&x.data.p[i], k - i, &f->merged);
                }
                *ret = v;
                *ret_n = n;
        }
        fan_exemplars_done(&x.base);
        vec_done(&x.data);
        return e ? error_wrap(e, "proxy Exemplars") : NULL;
}
