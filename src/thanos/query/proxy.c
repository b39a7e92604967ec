/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/proxy.h"

#include "thanos/query/proxy_impl.h"

enum { REQUEST_BYTES_MAX = 16 << 20 };

struct error *proxy_over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

bool proxy_is_replica_label(const struct proxy_opts *o, Str name)
{
        for (size_t i = 0; i < o->n_replica_labels; i++)
                if (str_eq(o->replica_labels[i], name))
                        return true;
        return false;
}

Str proxy_name_of(struct proxy_querier *q, const struct endpoint *ep)
{
        Str *known = &q->names[ep - q->list->v];
        if (known->p)
                return *known;
        struct buf b = BUF_INIT(4096);
        buf_printf(&b, "Addr: " STR_FMT " LabelSets: ", STR_ARG(ep->address));
        for (size_t i = 0; i < ep->n_label_sets; i++) {
                if (i)
                        buf_putc(&b, ',');
                labels_print(&b, ep->label_sets[i]);
        }
        buf_printf(&b, " MinTime: %lld MaxTime: %lld", (long long)ep->mint_ms, (long long)ep->maxt_ms);
        char *p = arena_try_alloc(q->arena, b.n + 1);
        if (p) {
                memcpy(p, b.p, b.n);
                p[b.n] = '\0';
                *known = (Str){p, b.n};
        }
        buf_done(&b);
        return p ? *known : ep->address;
}

struct error *proxy_lose(struct proxy_querier *q, struct error *take_e)
{
        bool ours =
                error_is(take_e, ERROR_CANCELLED) && q->o->cancel && __atomic_load_n(q->o->cancel, __ATOMIC_SEQ_CST);
        if (ours || (!q->o->partial_response && error_is(take_e, ERROR_LIMIT)))
                return take_e;
        if (!q->o->partial_response) {
                /* Not the query's own time-out, nor a fault in its text. */
                struct error *e = error_new(ERROR_UNAVAILABLE, "%s", error_str(take_e));
                error_free(take_e);
                return e;
        }
        Str text = str_from(error_str(take_e));
        enum { WARNINGS_MAX = 1000 };
        bool known = q->warnings.n >= WARNINGS_MAX;
        for (size_t i = 0; i < q->warnings.n && !known; i++)
                known = str_eq(q->warnings.p[i], text);
        char *p = known ? NULL : arena_try_alloc(q->arena, text.n + 1);
        if (!known && !p) {
                error_ignore(take_e, "there is no room to say it: the query fails by its budget");
                return proxy_over_budget(q->arena);
        }
        if (p) {
                memcpy(p, text.p, text.n + 1);
                vec_push(&q->warnings, (Str){p, text.n});
        }
        error_ignore(take_e, "told as a warning");
        return NULL;
}

struct error *proxy_lose_late(struct proxy_querier *q, struct error *take_e)
{
        enum { LATE_MAX = 100 };
        if (!q->o->partial_response) {
                struct error *e = error_new(ERROR_UNAVAILABLE, "%s", error_str(take_e));
                error_free(take_e);
                return e;
        }
        Str text = str_from(error_str(take_e));
        mutex_lock(&q->mu);
        bool known = q->late.n >= LATE_MAX;
        for (size_t i = 0; i < q->late.n && !known; i++)
                known = str_eq(q->late.p[i], text);
        if (!known)
                vec_push(&q->late, arena_str(&q->late_arena, text));
        mutex_unlock(&q->mu);
        error_ignore(take_e, "told as a warning");
        return NULL;
}

/* --- which stores --- */

/* One of the sets has no label that contradicts a matcher. */
static bool sets_fit(const Labels *sets, size_t n_sets, const struct matcher *const *m, size_t n_m)
{
        for (size_t i = 0; i < n_sets; i++) {
                bool fits = true;
                for (size_t k = 0; k < n_m && fits; k++)
                        fits = !labels_has(sets[i], m[k]->name) ||
                               matcher_matches(m[k], labels_get(sets[i], m[k]->name));
                if (fits)
                        return true;
        }
        return n_sets == 0;
}

static bool selector_keeps(const struct proxy_opts *o, Labels set)
{
        struct arena a;
        struct labels_builder b;
        arena_init(&a, 1 << 20);
        labels_builder_init(&b);
        labels_builder_reset(&b, set);
        bool keeps = relabel_process(o->selector, o->n_selector, &b, &a);
        labels_builder_done(&b);
        arena_done(&a);
        return keeps;
}

static bool selector_wants(const struct proxy_opts *o, const struct endpoint *ep)
{
        for (size_t i = 0; i < ep->n_label_sets && o->n_selector; i++)
                if (selector_keeps(o, ep->label_sets[i]))
                        return true;
        return !o->n_selector || !ep->n_label_sets;
}

/* Its data belongs to the answer. */
static bool has_a_part(const struct proxy_querier *q, const struct endpoint *ep, TimeMs mint_ms, TimeMs maxt_ms,
                       const struct matcher *const *m, size_t n_m)
{
        if (!ep->has_store || ep->mint_ms > maxt_ms || ep->maxt_ms < mint_ms)
                return false;
        if (!sets_fit(ep->label_sets, ep->n_label_sets, m, n_m) || !selector_wants(q->o, ep))
                return false;
        Label address = {STR("__address__"), ep->address};
        Labels l = {&address, 1};
        bool fits = q->o->n_store_match == 0;
        for (size_t i = 0; i < q->o->n_store_match && !fits; i++)
                fits = sets_fit(&l, 1, q->o->store_match[i].v, q->o->store_match[i].n);
        return fits;
}

static void put_quoted(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] && strchr("\\.+*?()|[]{}^$", s.p[i]))
                        buf_putc(b, '\\');
                buf_putc(b, s.p[i]);
        }
}

/* name=~"a|b" of the values that the kept sets have; one that a set has not may be empty. */
static struct pb_label_matcher values_matcher(struct arena *a, Str name, const Labels *sets, size_t n)
{
        StrVec values = VEC_INIT;
        struct buf b = BUF_INIT(1 << 20);
        for (size_t i = 0; i < n; i++)
                vec_push(&values, labels_get(sets[i], name));
        qsort(values.p, values.n, sizeof *values.p, str_cmp_qsort);
        for (size_t i = 0; i < values.n; i++) {
                if (i && str_eq(values.p[i], values.p[i - 1]))
                        continue;
                buf_puts(&b, i ? "|" : "");
                put_quoted(&b, values.p[i]);
        }
        struct pb_label_matcher m = {PB_MATCHER_TYPE_RE, name, arena_str(a, buf_str(&b))};
        vec_done(&values);
        buf_done(&b);
        return m;
}

/* Stores with several label sets shall give those that the selector keeps. */
static void add_selector(const struct proxy_querier *q, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m,
                         struct pb_label_matcher **v, size_t *n)
{
        VEC(Labels) kept = VEC_INIT;
        size_t n_labels = 0, from = *n;
        for (size_t i = 0; i < q->list->n; i++) {
                const struct endpoint *ep = &q->list->v[i];
                if (!proxy_wants(q, ep, mint_ms, maxt_ms, m, n_m))
                        continue;
                for (size_t k = 0; k < ep->n_label_sets; k++)
                        if (selector_keeps(q->o, ep->label_sets[k])) {
                                vec_push(&kept, ep->label_sets[k]);
                                n_labels += ep->label_sets[k].n;
                        }
        }
        struct pb_label_matcher *all = arena_array(q->arena, struct pb_label_matcher, *n + n_labels + 1);
        for (size_t i = 0; i < *n; i++)
                all[i] = (*v)[i];
        for (size_t i = 0; i < kept.n; i++)
                for (size_t k = 0; k < kept.p[i].n; k++) {
                        Str name = kept.p[i].v[k].name;
                        bool known = false;
                        for (size_t j = from; j < *n && !known; j++)
                                known = str_eq(all[j].name, name);
                        if (!known)
                                all[(*n)++] = values_matcher(q->arena, name, kept.p, kept.n);
                }
        *v = all;
        vec_done(&kept);
}

bool proxy_wants(const struct proxy_querier *q, const struct endpoint *ep, TimeMs mint_ms, TimeMs maxt_ms,
                 const struct matcher *const *m, size_t n_m)
{
        return ep->is_usable && has_a_part(q, ep, mint_ms, maxt_ms, m, n_m);
}

struct error *proxy_tell_unusable(struct proxy_querier *q, TimeMs mint_ms, TimeMs maxt_ms,
                                  const struct matcher *const *m, size_t n_m)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && q->o->partial_response && i < q->list->n; i++) {
                const struct endpoint *ep = &q->list->v[i];
                if (ep->is_usable || !has_a_part(q, ep, mint_ms, maxt_ms, m, n_m))
                        continue;
                Str name = proxy_name_of(q, ep);
                e = proxy_lose(q, error_new(ERROR_UNAVAILABLE, "not asked, since it fails: " STR_FMT ": " STR_FMT,
                                            STR_ARG(name), STR_ARG(ep->last_error)));
        }
        return e;
}

struct pb_label_matcher *proxy_matchers(const struct proxy_querier *q, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m,
                                        size_t n_m, size_t *ret_n)
{
        struct arena *a = q->arena;
        static const enum pb_matcher_type types[] = {[MATCH_EQ] = PB_MATCHER_TYPE_EQ,
                                                     [MATCH_NE] = PB_MATCHER_TYPE_NEQ,
                                                     [MATCH_RE] = PB_MATCHER_TYPE_RE,
                                                     [MATCH_NRE] = PB_MATCHER_TYPE_NRE};
        struct pb_label_matcher *v = arena_array(a, struct pb_label_matcher, n_m + 1);
        for (size_t i = 0; i < n_m; i++)
                v[i] = (struct pb_label_matcher){(int32_t)types[m[i]->type], m[i]->name, m[i]->value};
        *ret_n = n_m;
        if (q->o->n_selector)
                add_selector(q, mint_ms, maxt_ms, m, n_m, &v, ret_n);
        return v;
}

struct grpc_call_opts proxy_call_opts(const struct proxy_querier *q)
{
        return (struct grpc_call_opts){
                .timeout_ms = MAX(q->o->timeout_ms, 0), .metadata = q->o->metadata, .n_metadata = q->o->n_metadata};
}

/* --- label names and values --- */

struct asked {
        struct grpc_call *call;
        const struct endpoint *ep;
};

static struct error *take_texts(struct proxy_querier *q, const Str *v, size_t n, StrVec *to)
{
        for (size_t i = 0; i < n; i++) {
                char *p = arena_try_alloc(q->arena, v[i].n + 1);
                if (!p)
                        return proxy_over_budget(q->arena);
                if (v[i].n)
                        memcpy(p, v[i].p, v[i].n);
                p[v[i].n] = '\0';
                vec_push(to, (Str){p, v[i].n});
        }
        return NULL;
}

static struct error *take_warnings(struct proxy_querier *q, const Str *v, size_t n)
{
        struct error *e = NULL;
        for (size_t i = 0; i < n && !e; i++)
                e = proxy_lose(q, error_new(ERROR_UNAVAILABLE, STR_FMT, STR_ARG(v[i])));
        return e;
}

/* Both answers are strings in field 1 and warnings in field 2. */
static struct error *take_answer(struct proxy_querier *q, const struct asked *x, bool names, int64_t wait_ms,
                                 struct arena *scratch, StrVec *to, bool *ret_ours)
{
        Str m;
        bool more;
        *ret_ours = false;
        struct error *e = proxy_recv(q, x->ep, x->call, wait_ms, &m, &more);
        if (e)
                return e;
        if (!more)
                return error_new(ERROR_INVALID, "no answer in the call");
        struct pb_label_names_response n = {0};
        struct pb_label_values_response v = {0};
        e = names ? pb_decode(&pb_label_names_response, m, scratch, &n)
                  : pb_decode(&pb_label_values_response, m, scratch, &v);
        if (e)
                return e;
        *ret_ours = true;
        e = names ? take_warnings(q, n.warnings.v, n.warnings.n) : take_warnings(q, v.warnings.v, v.warnings.n);
        if (!e)
                e = names ? take_texts(q, n.names.v, n.names.n, to) : take_texts(q, v.values.v, v.values.n, to);
        if (e)
                return e;
        *ret_ours = false;
        e = proxy_recv(q, x->ep, x->call, wait_ms, &m, &more);
        return e || !more ? e : error_new(ERROR_INVALID, "more than one answer in the call");
}

static struct error *fan_out(struct proxy_querier *q, const char *path, Str request, bool names,
                             const struct matcher *const *m, size_t n_m, StrVec *to)
{
        VEC(struct asked) asked = VEC_INIT;
        struct grpc_call_opts o = proxy_call_opts(q);
        struct error *e = proxy_tell_unusable(q, q->mint_ms, q->maxt_ms, m, n_m);
        if (e)
                return e;
        for (size_t i = 0; i < q->list->n; i++) {
                const struct endpoint *ep = &q->list->v[i];
                if (proxy_wants(q, ep, q->mint_ms, q->maxt_ms, m, n_m))
                        vec_push(&asked, (struct asked){grpc_call_start(ep->channel, path, &o, request), ep});
        }
        int64_t timeout_ms = q->o->response_timeout_ms, end_ms = time_mono_ms() + MIN(timeout_ms, INT64_MAX / 2);
        struct arena scratch;
        arena_init(&scratch, q->arena->limit_bytes);
        for (size_t i = 0; i < asked.n && !e; i++) {
                int64_t wait_ms = timeout_ms > 0 ? MAX(end_ms - time_mono_ms(), 0) : -1;
                bool ours;
                arena_clear(&scratch);
                e = take_answer(q, &asked.p[i], names, wait_ms, &scratch, to, &ours);
                if (!e || ours)
                        continue;
                Str name = proxy_name_of(q, asked.p[i].ep);
                e = proxy_lose(
                        q, error_wrap(e, "fetch label %s from " STR_FMT, names ? "names" : "values", STR_ARG(name)));
        }
        arena_done(&scratch);
        for (size_t i = 0; i < asked.n; i++)
                grpc_call_free(asked.p[i].call);
        vec_done(&asked);
        return e;
}

static void give(StrVec *from, size_t limit, StrVec *ret)
{
        strs_sort_unique(from, 0);
        for (size_t i = 0; i < from->n && (!limit || i < limit); i++)
                vec_push(ret, from->p[i]);
        vec_done(from);
}

static struct error *q_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit,
                             StrVec *ret)
{
        struct proxy_querier *q = CONTAINER_OF(base, struct proxy_querier, base);
        struct pb_label_names_request r = {
                .partial_response_disabled = !q->o->partial_response,
                .partial_response_strategy = q->o->partial_response ? PB_STRATEGY_WARN : PB_STRATEGY_ABORT,
                .start = q->mint_ms,
                .end = q->maxt_ms,
                .without_replica_labels = {(Str *)(uintptr_t)q->o->replica_labels, q->o->n_replica_labels}};
        struct buf b = BUF_INIT(REQUEST_BYTES_MAX);
        StrVec all = VEC_INIT;
        r.matchers.v = proxy_matchers(q, q->mint_ms, q->maxt_ms, m, n_m, &r.matchers.n);
        pb_encode(&pb_label_names_request, &r, &b);
        struct error *e = fan_out(q, "/thanos.Store/LabelNames", buf_str(&b), true, m, n_m, &all);
        buf_done(&b);
        if (e) {
                vec_done(&all);
                return e;
        }
        size_t kept = 0;
        for (size_t i = 0; i < all.n; i++)
                if (!proxy_is_replica_label(q->o, all.p[i]))
                        all.p[kept++] = all.p[i];
        all.n = kept;
        give(&all, limit, ret);
        return NULL;
}

static struct error *q_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit,
                              StrVec *ret)
{
        struct proxy_querier *q = CONTAINER_OF(base, struct proxy_querier, base);
        if (proxy_is_replica_label(q->o, name))
                return NULL;
        struct pb_label_values_request r = {
                .label = name,
                .partial_response_disabled = !q->o->partial_response,
                .partial_response_strategy = q->o->partial_response ? PB_STRATEGY_WARN : PB_STRATEGY_ABORT,
                .start = q->mint_ms,
                .end = q->maxt_ms,
                .without_replica_labels = {(Str *)(uintptr_t)q->o->replica_labels, q->o->n_replica_labels}};
        struct buf b = BUF_INIT(REQUEST_BYTES_MAX);
        StrVec all = VEC_INIT;
        r.matchers.v = proxy_matchers(q, q->mint_ms, q->maxt_ms, m, n_m, &r.matchers.n);
        pb_encode(&pb_label_values_request, &r, &b);
        struct error *e = fan_out(q, "/thanos.Store/LabelValues", buf_str(&b), false, m, n_m, &all);
        buf_done(&b);
        if (e)
                vec_done(&all);
        else
                give(&all, limit, ret);
        return e;
}

/* --- the storage --- */

static struct error *q_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m,
                              size_t n_m, struct series_set **ret)
{
        return proxy_select(CONTAINER_OF(base, struct proxy_querier, base), h, m, n_m, ret);
}

static void q_warnings(struct querier *base, StrVec *ret)
{
        struct proxy_querier *q = CONTAINER_OF(base, struct proxy_querier, base);
        for (size_t i = 0; i < q->warnings.n; i++)
                vec_push(ret, q->warnings.p[i]);
        mutex_lock(&q->mu);
        for (size_t i = 0; i < q->late.n; i++)
                vec_push(ret, q->late.p[i]);
        mutex_unlock(&q->mu);
}

static void q_close(struct querier *base)
{
        struct proxy_querier *q = CONTAINER_OF(base, struct proxy_querier, base);
        for (size_t i = 0; i < q->sets.n; i++)
                proxy_set_done(q->sets.p[i]);
        vec_done(&q->sets);
        vec_done(&q->warnings);
        vec_done(&q->late);
        arena_done(&q->late_arena);
        mutex_done(&q->mu);
        endpoint_list_unref(q->list);
        free(q->names);
        free(q);
}

static const struct querier_ops querier_ops = {
        .select = q_select, .label_names = q_names, .label_values = q_values, .warnings = q_warnings, .close = q_close};

static struct error *st_querier(struct storage *st, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                struct querier **ret)
{
        struct proxy_querier *q = mem_new(struct proxy_querier);
        q->base.ops = &querier_ops;
        q->o = &CONTAINER_OF(st, struct proxy, base)->o;
        q->list = endpoints_get(q->o->endpoints);
        q->names = mem_zalloc((q->list->n + 1) * sizeof *q->names);
        mutex_init(&q->mu);
        arena_init(&q->late_arena, SIZE_MAX);
        q->arena = arena;
        q->mint_ms = mint_ms;
        q->maxt_ms = maxt_ms;
        *ret = &q->base;
        return NULL;
}

static const struct storage_ops storage_ops = {.querier = st_querier};

struct storage *proxy_init(struct proxy *p, const struct proxy_opts *o)
{
        *p = (struct proxy){.base = {&storage_ops}, .o = *o};
        return &p->base;
}
