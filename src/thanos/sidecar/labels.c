/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c — LabelNames, LabelValues, and series without chunks, over the JSON API. */
#include <inttypes.h>

#include "io/http/form.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { QUERY_MAX_BYTES = 64 << 20, SERIES_ARENA_BYTES = 256 << 20, ROOM_OF_LABELS_BYTES = 32 << 20 };

/* --- what the requests share --- */

bool is_named(const Str *names, size_t n, Str name)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(names[i], name))
                        return true;
        return false;
}

Labels labels_extend(struct arena *a, Labels base, Labels external, const Str *without, size_t n_without)
{
        Label *l = arena_array(a, Label, base.n + external.n + 1);
        size_t n = 0, i = 0, k = 0;
        while (i < base.n || k < external.n) {
                int c = i == base.n ? 1 : k == external.n ? -1 : str_cmp(base.v[i].name, external.v[k].name);
                Label next = c < 0 ? base.v[i] : external.v[k];
                i += c <= 0;
                k += c >= 0;
                if (!is_named(without, n_without, next.name))
                        l[n++] = next;
        }
        return (Labels){l, n};
}

struct error *call_matchers(const struct call *c, const struct pb_label_matcher *v, size_t n, MatcherVec *ret, bool *ret_fits)
{
        static const enum matcher_type types[] = {MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE};
        *ret_fits = true;
        for (size_t i = 0; i < n; i++) {
                struct matcher *m;
                if (v[i].type < 0 || (size_t)v[i].type >= ARRAY_LEN(types))
                        return error_new(ERROR_INVALID, "unrecognized label matcher type \"%" PRId32 "\"", v[i].type);
                struct error *e = matcher_new(types[v[i].type], v[i].name, v[i].value, &m);
                if (e)
                        return e;
                Str external = labels_get(c->external, v[i].name);
                if (!external.n) {
                        vec_push(ret, m);
                        continue;
                }
                *ret_fits &= matcher_matches(m, external);
                matcher_free(m);
        }
        return NULL;
}

void put_match(struct buf *query, const MatcherVec *m)
{
        if (!m->n)
                return;
        struct buf b = BUF_INIT(QUERY_MAX_BYTES);
        buf_putc(&b, '{');
        for (size_t i = 0; i < m->n; i++) {
                if (i)
                        buf_putc(&b, ',');
                matcher_print(&b, m->p[i]);
        }
        buf_putc(&b, '}');
        buf_puts(query, "&match[]=");
        url_escape(buf_str(&b), URL_QUERY, query);
        buf_done(&b);
}

void put_time(struct buf *query, const char *name, int64_t ms)
{
        uint64_t u = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
        buf_printf(query, "&%s=%s%" PRIu64, name, ms < 0 ? "-" : "", u / 1000);
        if (u % 1000)
                buf_printf(query, ".%03" PRIu64, u % 1000);
}

void *array_of(struct arena *a, size_t n, size_t size)
{
        void *p = arena_try_alloc(a, arena_array_bytes(n + 1, size));
        if (p)
                memset(p, 0, (n + 1) * size);
        return p;
}

struct error *no_room(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "an answer that takes more than %zu bytes", a->limit_bytes);
}

struct error *labels_of_json(struct arena *a, const struct json *object, Labels *ret)
{
        size_t n = 0, bytes = 0, n_all = object && object->type == JSON_OBJECT ? object->n : 0;
        if (n_all > SIDECAR_LABELS_MAX)
                return error_new(ERROR_LIMIT, "a set of more than %d labels", SIDECAR_LABELS_MAX);
        if (a->limit_bytes - a->used_bytes < ROOM_OF_LABELS_BYTES)
                return no_room(a);
        Label *v = arena_array(a, Label, n_all + 1);
        JSON_EACH(m, n_all ? object : NULL)
        {
                Str value = json_str(&m->value);
                bytes += m->key.n + value.n;
                if (m->key.n && value.n)
                        v[n++] = (Label){m->key, value};
        }
        if (bytes > SIDECAR_LABELS_MAX_BYTES)
                return error_new(ERROR_LIMIT, "a set of labels of more than %d bytes", SIDECAR_LABELS_MAX_BYTES);
        labels_sort(v, n);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
                if (!kept || !str_eq(v[kept - 1].name, v[i].name))
                        v[kept++] = v[i];
        *ret = (Labels){v, kept};
        return NULL;
}

static struct error *ask(struct call *c, const char *path, const MatcherVec *m, int64_t start, int64_t end, int64_t limit, struct prom_answer *ret)
{
        struct buf query = BUF_INIT(QUERY_MAX_BYTES);
        put_match(&query, m);
        put_time(&query, "start", start);
        put_time(&query, "end", end);
        if (limit > 0)
                buf_printf(&query, "&limit=%" PRId64, limit);
        struct error *e = prom_get(c->s->prom, path, str_skip(buf_str(&query), 1), &c->wait, ret, &c->code);
        buf_done(&query);
        return e;
}

/* --- series without chunks --- */

struct error *serve_series_labels(struct call *c, const struct pb_series_request *q, const MatcherVec *m, struct order *o)
{
        struct prom_answer x;
        struct arena a;
        bool full = false;
        struct error *e = ask(c, "/api/v1/series", m, q->min_time, q->max_time, q->limit, &x);
        arena_init(&a, SERIES_ARENA_BYTES);
        JSON_EACH(series, e ? NULL : x.data)
        {
                Labels l;
                arena_clear(&a);
                if (!e && !full && !(e = labels_of_json(&a, &series->value, &l)))
                        e = order_add(o, l, STR(""), 0, &full);
        }
        arena_done(&a);
        prom_answer_done(&x);
        return e ? e : order_end(o);
}

/* --- names and values --- */

static int answer_cmp(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static void sort_unique(StrVec *v)
{
        size_t n = 0;
        if (v->n)
                qsort(v->p, v->n, sizeof *v->p, answer_cmp);
        for (size_t i = 0; i < v->n; i++)
                if (!n || !str_eq(v->p[n - 1], v->p[i]))
                        v->p[n++] = v->p[i];
        v->n = n;
}

static void take_list(const struct json *data, StrVec *ret)
{
        JSON_EACH(m, data)
        {
                vec_push(ret, json_str(&m->value));
        }
}

static struct error *send_names(struct call *c, StrVec *v)
{
        sort_unique(v);
        struct pb_label_names_response r = {.names = {v->p, v->n}};
        return call_send(c, &pb_label_names_response, &r);
}

static struct error *send_values(struct call *c, StrVec *v)
{
        sort_unique(v);
        struct pb_label_values_response r = {.values = {v->p, v->n}};
        return call_send(c, &pb_label_values_response, &r);
}

static struct error *names_fetch(struct call *c, const struct pb_label_names_request *q, const MatcherVec *m, struct prom_answer *x, StrVec *ret)
{
        struct error *e;
        if (!m->n || sidecar_takes_matchers(c->s)) {
                e = ask(c, "/api/v1/labels", m, q->start, q->end, q->limit, x);
                if (!e)
                        take_list(x->data, ret);
                return e;
        }
        e = ask(c, "/api/v1/series", m, q->start, q->end, q->limit, x);
        JSON_EACH(series, e ? NULL : x->data)
        {
                JSON_EACH(label, &series->value)
                {
                        vec_push(ret, label->key);
                }
                if (ret->n > 100000)
                        sort_unique(ret); /* the same few names again and again */
        }
        return e;
}

struct error *serve_label_names(struct call *c, Str request)
{
        struct pb_label_names_request q = {0};
        MatcherVec m = VEC_INIT;
        StrVec names = VEC_INIT;
        bool fits = false;
        struct error *e = call_decode(c, &pb_label_names_request, request, &q);
        if (e)
                return e;
        e = call_matchers(c, q.matchers.v, q.matchers.n, &m, &fits);
        if (e) {
                c->code = GRPC_INVALID_ARGUMENT;
        } else if (!fits) {
                e = send_names(c, &names);
        } else {
                struct prom_answer x;
                e = names_fetch(c, &q, &m, &x, &names);
                for (size_t i = 0; !e && names.n && i < c->external.n; i++)
                        if (!is_named(q.without_replica_labels.v, q.without_replica_labels.n, c->external.v[i].name))
                                vec_push(&names, c->external.v[i].name);
                if (!e)
                        e = send_names(c, &names);
                prom_answer_done(&x);
        }
        vec_done(&names);
        matcher_vec_done(&m);
        return e;
}

/* An external label has its value if some series fits the other matchers. */
static struct error *external_value(struct call *c, const struct pb_label_values_request *q, const MatcherVec *m, Str value)
{
        StrVec values = VEC_INIT;
        struct error *e = NULL;
        if (m->n) {
                struct prom_answer x;
                e = ask(c, "/api/v1/series", m, q->start, q->end, 1, &x);
                if (!e && x.data && x.data->n)
                        vec_push(&values, value);
                prom_answer_done(&x);
        } else {
                vec_push(&values, value);
        }
        if (!e)
                e = send_values(c, &values);
        vec_done(&values);
        return e;
}

static struct error *inner_values(struct call *c, const struct pb_label_values_request *q, const MatcherVec *m)
{
        StrVec values = VEC_INIT;
        struct prom_answer x;
        struct error *e;
        if (!m->n || sidecar_takes_matchers(c->s)) {
                struct buf path = BUF_INIT(QUERY_MAX_BYTES);
                buf_puts(&path, "/api/v1/label/");
                url_escape(q->label, URL_PATH, &path);
                buf_puts(&path, "/values");
                e = ask(c, buf_cstr(&path), m, q->start, q->end, q->limit, &x);
                buf_done(&path);
                if (!e)
                        take_list(x.data, &values);
        } else {
                e = ask(c, "/api/v1/series", m, q->start, q->end, q->limit, &x);
                JSON_EACH(series, e ? NULL : x.data)
                {
                        const struct json *value = json_get(&series->value, q->label);
                        if (value)
                                vec_push(&values, json_str(value));
                }
        }
        if (!e)
                e = send_values(c, &values);
        vec_done(&values);
        prom_answer_done(&x);
        return e;
}

struct error *serve_label_values(struct call *c, Str request)
{
        struct pb_label_values_request q = {0};
        MatcherVec m = VEC_INIT;
        StrVec none = VEC_INIT;
        bool fits = false;
        struct error *e = call_decode(c, &pb_label_values_request, request, &q);
        if (e)
                return e;
        if (!q.label.n)
                e = error_new(ERROR_INVALID, "label name parameter cannot be empty");
        else if (!is_named(q.without_replica_labels.v, q.without_replica_labels.n, q.label))
                e = call_matchers(c, q.matchers.v, q.matchers.n, &m, &fits);
        Str external = labels_get(c->external, q.label);
        if (e)
                c->code = GRPC_INVALID_ARGUMENT;
        else if (!fits)
                e = send_values(c, &none);
        else if (external.n)
                e = external_value(c, &q, &m, external);
        else
                e = inner_values(c, &q, &m);
        matcher_vec_done(&m);
        return e;
}
