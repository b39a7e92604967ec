/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c — MetricMetadata and Exemplars, over /api/v1/metadata and /api/v1/query_exemplars. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/http/form.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { QUERY_MAX_BYTES = 64 << 20 };

/* --- metadata --- */

static struct error *entry_of(struct arena *a, const struct json_member *m, struct pb_metadata_pair *ret)
{
        size_t n = m->value.type == JSON_ARRAY ? m->value.n : 0;
        ret->key = m->key;
        ret->value = array_of(a, 1, sizeof *ret->value);
        if (!ret->value || !(ret->value->metas.v = array_of(a, n, sizeof *ret->value->metas.v)))
                return no_room(a);
        for (size_t i = 0; i < n; i++) {
                const struct json *o = json_at(&m->value, i);
                ret->value->metas.v[i] = (struct pb_metric_meta){.type = json_str(json_get(o, STR("type"))),
                                                                 .help = json_str(json_get(o, STR("help"))),
                                                                 .unit = json_str(json_get(o, STR("unit")))};
        }
        ret->value->metas.n = n;
        return NULL;
}

struct error *serve_metadata(struct call *c, Str request)
{
        struct pb_metadata_request q = {0};
        struct error *e = call_decode(c, &pb_metadata_request, request, &q);
        if (e)
                return e;
        struct buf query = BUF_INIT(QUERY_MAX_BYTES);
        if (q.metric.n) {
                buf_puts(&query, "&metric=");
                url_escape(q.metric, URL_QUERY, &query);
        }
        if (q.limit >= 0)
                buf_printf(&query, "&limit=%d", q.limit);
        struct prom_answer x;
        struct pb_metric_metadata d = {0};
        struct pb_metadata_response r = {.metadata = &d};
        e = prom_get(c->s->prom, "/api/v1/metadata", query.n ? str_skip(buf_str(&query), 1) : STR(""), &c->wait, &x, &c->code);
        buf_done(&query);
        size_t n = !e && x.data && x.data->type == JSON_OBJECT ? x.data->n : 0;
        if (!e && !(d.metadata.v = array_of(&x.arena, n, sizeof *d.metadata.v)))
                e = no_room(&x.arena);
        JSON_EACH(m, n ? x.data : NULL)
        {
                if (!e)
                        e = entry_of(&x.arena, m, &d.metadata.v[d.metadata.n++]);
        }
        if (!e)
                e = call_send(c, &pb_metadata_response, &r);
        prom_answer_done(&x);
        return e;
}

/* --- exemplars --- */

static double value_of(Str s)
{
        char text[64];
        snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
        return strtod(text, NULL); /* "1", "NaN", "+Inf": as Prometheus prints them */
}

static struct error *exemplars_of(struct arena *a, const struct json *o, Labels external, struct pb_exemplar_data *ret)
{
        const struct json *list = json_get(o, STR("exemplars"));
        size_t n = list && list->type == JSON_ARRAY ? list->n : 0;
        Labels l;
        struct error *e = labels_of_json(a, json_get(o, STR("seriesLabels")), &l);
        if (e)
                return e;
        ret->series_labels = label_set_of(a, labels_extend(a, l, external, NULL, 0));
        if (!(ret->exemplars.v = array_of(a, n, sizeof *ret->exemplars.v)))
                return no_room(a);
        for (; !e && ret->exemplars.n < n; ret->exemplars.n++) {
                const struct json *x = json_at(list, ret->exemplars.n);
                struct pb_exemplar *to = &ret->exemplars.v[ret->exemplars.n];
                double ts = json_f64(json_get(x, STR("timestamp"))) * 1000;
                e = labels_of_json(a, json_get(x, STR("labels")), &l);
                if (e)
                        break;
                to->labels = label_set_of(a, l);
                to->value = value_of(json_str(json_get(x, STR("value"))));
                to->ts = fabs(ts) < 9e18 ? (int64_t)llround(ts) : 0;
        }
        return e;
}

struct error *serve_exemplars(struct call *c, Str request)
{
        struct pb_exemplars_request q = {0};
        struct error *e = call_decode(c, &pb_exemplars_request, request, &q);
        if (e)
                return e;
        struct buf query = BUF_INIT(QUERY_MAX_BYTES);
        buf_puts(&query, "query=");
        url_escape(q.query, URL_QUERY, &query);
        put_time(&query, "start", q.start);
        put_time(&query, "end", q.end);
        struct prom_answer x;
        e = prom_get(c->s->prom, "/api/v1/query_exemplars", buf_str(&query), &c->wait, &x, &c->code);
        buf_done(&query);
        JSON_EACH(m, e ? NULL : x.data)
        {
                struct pb_exemplar_data d = {0};
                struct pb_exemplars_response r = {.data = &d};
                if (!e)
                        e = exemplars_of(&x.arena, &m->value, c->external, &d);
                if (!e)
                        e = call_send(c, &pb_exemplars_response, &r);
        }
        prom_answer_done(&x);
        return e;
}
