/* SPDX-License-Identifier: Apache-2.0 */
/* promtool query instant | range | series | labels: one request to a server's API, its answer printed as the original's client library prints it.
 * Upstream: cmd/promtool/query.go, client_golang/api/prometheus/v1, common/model */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/promtool.h"
#include "base/clock.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/quote.h"
#include "io/http/client.h"
#include "io/http/form.h"
#include "model/duration.h"
#include "model/labels.h"

enum { ANSWER_MAX_BYTES = 1 << 30, TIMEOUT_MS = 120 * 1000 };
#define ARENA_MAX_BYTES (UINT64_C(8) << 30)
#define FAR_MS (INT64_C(9999) * 3600 * 1000)

struct ask {
        const struct flags *f;
        struct arena arena;
        struct buf form;                /* url-encoded parameters */
        struct http_response response;
        const struct json *data, *warnings;
};

static void ask_init(struct ask *q, const struct flags *f)
{
        *q = (struct ask){.f = f, .form = BUF_INIT(64 << 20)};
        arena_init(&q->arena, ARENA_MAX_BYTES);
}

static void ask_done(struct ask *q)
{
        http_response_done(&q->response);
        buf_done(&q->form);
        arena_done(&q->arena);
}

static void param(struct ask *q, const char *name, Str value)
{
        if (q->form.n)
                buf_putc(&q->form, '&');
        url_escape(str_from(name), URL_QUERY, &q->form);
        buf_putc(&q->form, '=');
        url_escape(value, URL_QUERY, &q->form);
}

static void param_seconds(struct ask *q, const char *name, double s)
{
        struct buf b = BUF_INIT(512);
        buf_put_float(&b, s, 'f');
        param(q, name, buf_str(&b));
        buf_done(&b);
}

/* Seconds since the epoch. */
static struct error *time_arg(Str text, const char *what, double *ret)
{
        int64_t ms;
        bool range;
        if (float_parse(text, ret, &range) && isfinite(*ret))
                return NULL;
        if (!time_parse_rfc3339(text, &ms))
                return error_new(ERROR_INVALID, "error parsing %s: cannot parse \"" STR_FMT "\" to a valid timestamp", what, STR_ARG(text));
        *ret = (double)ms / 1000;
        return NULL;
}

static struct error *time_flag(const struct flags *f, const char *name, const char *what, double fallback, double *ret)
{
        const char *text = flags_str(f, name);
        *ret = fallback;
        return *text ? time_arg(str_from(text), what, ret) : NULL;
}

/* What the server says about what went wrong, or that it speaks no such API. */
static struct error *judge(struct ask *q)
{
        int status = q->response.status;
        Str body = str_trim(buf_str(&q->response.body));
        const struct json *root = NULL;
        if (status / 100 != 2 && status != 400 && status != 422) {
                const char *kind = status / 100 == 4 ? "client_error: client error: " : status / 100 == 5 ? "server_error: server error: " : "bad_response: bad response code ";
                if (!body.n)
                        return error_new(ERROR_UNAVAILABLE, "%s%d", kind, status);
                return error_new(ERROR_UNAVAILABLE, "%s%d (detail: " STR_FMT ")", kind, status, STR_ARG(body));
        }
        struct error *e = json_parse(body, &q->arena, &root);
        if (e)
                return error_wrap(e, "bad_response");
        Str text = json_str(json_get(root, STR("status")));
        if (str_eq(text, STR("error")))
                return error_new(ERROR_INVALID, STR_FMT ": " STR_FMT, STR_ARG(json_str(json_get(root, STR("errorType")))),
                                 STR_ARG(json_str(json_get(root, STR("error")))));
        if (status / 100 != 2)
                return error_new(ERROR_INVALID, "bad_response: inconsistent body for response code");
        q->data = json_get(root, STR("data"));
        q->warnings = json_get(root, STR("warnings"));
        return NULL;
}

static struct error *ask_server(struct ask *q, const char *path, bool is_post)
{
        const struct flags *f = q->f;
        struct buf url = BUF_INIT(64 << 20);
        Str server = str_trim_suffix(str_from(flags_str(f, "server")), STR("/"));
        struct http_client_conf conf = {0};
        size_t n_headers = 0;
        const char *const *pairs = NULL;
        if (*flags_str(f, "http.config.file"))
                return error_new(ERROR_UNSUPPORTED, "--http.config.file is not supported yet");
        for (size_t i = 0; i < f->spec->n; i++) {
                if (strcmp(f->spec->table[i].name, "header") == 0)
                        pairs = flags_list(f, "header", &n_headers);
        }
        struct http_header *headers = arena_array(&q->arena, struct http_header, n_headers + 1);
        for (size_t i = 0; i < n_headers; i++) {
                Str name = str_from(pairs[i]), value = STR("");
                if (!str_cut(name, '=', &name, &value))
                        str_cut(name, ':', &name, &value);
                headers[i] = (struct http_header){name, value};
        }
        headers[n_headers] = (struct http_header){STR("Content-Type"), STR("application/x-www-form-urlencoded")};
        buf_printf(&url, "%s" STR_FMT "%s", str_contains(server, STR("://")) ? "" : "http://", STR_ARG(server), path);
        if (!is_post && q->form.n) {
                buf_putc(&url, '?');
                buf_put(&url, buf_str(&q->form));
        }
        struct http_client_request r = {.url = buf_cstr(&url), .method = is_post ? "POST" : "GET", .headers = headers, .n_headers = n_headers + is_post,
                                        .timeout_ms = TIMEOUT_MS, .body_bytes_max = ANSWER_MAX_BYTES, .inflate = true};
        if (is_post)
                r.body = buf_str(&q->form);
        struct error *e = http_fetch(&conf, &r, &q->response);
        if (!e && is_post && (q->response.status == 403 || q->response.status == 405 || q->response.status == 501)) {
                http_response_done(&q->response);
                q->response = (struct http_response){0};
                buf_done(&url);
                return ask_server(q, path, false);      /* a proxy that lets no POST through */
        }
        buf_done(&url);
        return e ? e : judge(q);
}

/* Prints the error as the original does; gives the code. */
static int told(struct error *take_e)
{
        fprintf(stderr, "query error: %s\n", error_str(take_e));
        error_free(take_e);
        return PROMTOOL_FAILURE;
}

/* ---- printing ---- */

static void put_time(struct buf *b, const struct json *j)
{
        buf_put_float(b, round(json_f64(j) * 1000) / 1000, 'f');
}

static double number_of(const struct json *j)
{
        double v = 0;
        bool range;
        return float_parse(json_str(j), &v, &range) ? v : 0;
}

static Labels labels_of(struct ask *q, const struct json *metric)
{
        Label *v = arena_array(&q->arena, Label, metric ? metric->n + 1 : 1);
        size_t n = 0;
        JSON_EACH(m, metric)
        v[n++] = (Label){m->key, json_str(&m->value)};
        labels_sort(v, n);
        return (Labels){v, n};
}

/* a="b", the name as it is. */
static void put_label(struct buf *b, Label l)
{
        buf_put(b, l.name);
        buf_putc(b, '=');
        buf_put_go_quoted(b, l.value);
}

/* name{a="b"} */
static void put_metric(struct buf *b, Labels ls)
{
        Str name = labels_get(ls, STR(METRIC_NAME));
        bool has_name = labels_has(ls, STR(METRIC_NAME)), any = false;
        buf_put(b, name);
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR(METRIC_NAME)))
                        continue;
                buf_puts(b, any ? ", " : "{");
                any = true;
                put_label(b, ls.v[i]);
        }
        if (any)
                buf_putc(b, '}');
        else if (!has_name)
                buf_puts(b, "{}");
}

static void put_histogram(struct buf *b, const struct json *h)
{
        buf_printf(b, "Count: %f, Sum: %f, Buckets: [", number_of(json_get(h, STR("count"))), number_of(json_get(h, STR("sum"))));
        bool first = true;
        JSON_EACH(k, json_get(h, STR("buckets")))
        {
                int64_t bounds = json_i64(json_at(&k->value, 0));
                if (!first)
                        buf_putc(b, ' ');
                first = false;
                buf_putc(b, bounds == 1 || bounds == 3 ? '[' : '(');
                buf_put_float(b, number_of(json_at(&k->value, 1)), 'g');
                buf_putc(b, ',');
                buf_put_float(b, number_of(json_at(&k->value, 2)), 'g');
                buf_putc(b, bounds == 0 || bounds == 3 ? ']' : ')');
                buf_putc(b, ':');
                buf_put_float(b, number_of(json_at(&k->value, 3)), 'f');
        }
        buf_putc(b, ']');
}

static void put_point(struct buf *b, const struct json *pair, bool is_histogram)
{
        if (is_histogram)
                put_histogram(b, json_at(pair, 1));
        else
                buf_put_float(b, number_of(json_at(pair, 1)), 'f');
        buf_puts(b, " @[");
        put_time(b, json_at(pair, 0));
        buf_putc(b, ']');
}

struct series {
        Labels labels;
        const struct json *of;
};

/* Fewer labels first; then by name, a label that only the other has before.  Upstream: LabelSet.Before */
static int series_cmp(const void *pa, const void *pb)
{
        Labels a = ((const struct series *)pa)->labels, b = ((const struct series *)pb)->labels;
        if (a.n != b.n)
                return a.n < b.n ? -1 : 1;
        for (size_t i = 0; i < a.n; i++) {
                int c = str_cmp(a.v[i].name, b.v[i].name);
                if (c)
                        return -c;
                c = str_cmp(a.v[i].value, b.v[i].value);
                if (c)
                        return c;
        }
        return 0;
}

static void put_series(struct buf *b, const struct series *s, bool is_vector)
{
        const struct json *value = json_get(s->of, STR("value")), *histogram = json_get(s->of, STR("histogram"));
        put_metric(b, s->labels);
        if (is_vector) {
                buf_puts(b, " => ");
                put_point(b, histogram ? histogram : value, histogram != NULL);
                buf_putc(b, '\n');
                return;
        }
        buf_puts(b, " =>\n");
        JSON_EACH(v, json_get(s->of, STR("values")))
        {
                put_point(b, &v->value, false);
                buf_putc(b, '\n');
        }
        JSON_EACH(h, json_get(s->of, STR("histograms")))
        {
                put_point(b, &h->value, true);
                buf_putc(b, '\n');
        }
}

static void json_number_str(struct buf *b, const struct json *j)
{
        buf_putc(b, '"');
        buf_put_float(b, number_of(j), 'f');
        buf_putc(b, '"');
}

static void json_labels(struct buf *b, Labels ls)
{
        buf_putc(b, '{');
        for (size_t i = 0; i < ls.n; i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_str(b, ls.v[i].name);
                buf_putc(b, ':');
                json_put_str(b, ls.v[i].value);
        }
        buf_putc(b, '}');
}

static void json_point(struct buf *b, const struct json *pair, bool is_histogram)
{
        buf_putc(b, '[');
        put_time(b, json_at(pair, 0));
        buf_putc(b, ',');
        const struct json *h = json_at(pair, 1);
        if (!is_histogram) {
                json_number_str(b, h);
                buf_putc(b, ']');
                return;
        }
        buf_puts(b, "{\"count\":");
        json_number_str(b, json_get(h, STR("count")));
        buf_puts(b, ",\"sum\":");
        json_number_str(b, json_get(h, STR("sum")));
        buf_puts(b, ",\"buckets\":");
        const struct json *buckets = json_get(h, STR("buckets"));
        buf_puts(b, buckets ? "[" : "null");
        for (size_t i = 0; buckets && i < buckets->n; i++) {
                const struct json *k = json_at(buckets, i);
                buf_printf(b, "%s[%lld", i ? "," : "", (long long)json_i64(json_at(k, 0)));
                for (size_t c = 1; c < 4; c++) {
                        buf_putc(b, ',');
                        json_number_str(b, json_at(k, c));
                }
                buf_putc(b, ']');
        }
        buf_puts(b, buckets ? "]}]" : "}]");
}

static void json_points(struct buf *b, const char *key, const struct json *list, bool is_histogram)
{
        buf_printf(b, ",\"%s\":[", key);
        for (size_t i = 0; list && i < list->n; i++) {
                if (i)
                        buf_putc(b, ',');
                json_point(b, json_at(list, i), is_histogram);
        }
        buf_putc(b, ']');
}

static void json_series(struct buf *b, const struct series *s, bool is_vector)
{
        const struct json *value = json_get(s->of, STR("value")), *histogram = json_get(s->of, STR("histogram"));
        const struct json *values = json_get(s->of, STR("values")), *histograms = json_get(s->of, STR("histograms"));
        buf_puts(b, "{\"metric\":");
        json_labels(b, s->labels);
        if (is_vector) {
                buf_puts(b, histogram ? ",\"histogram\":" : ",\"value\":");
                json_point(b, histogram ? histogram : value, histogram != NULL);
        } else {
                if (values || !histograms)
                        json_points(b, "values", values, false);
                if (histograms)
                        json_points(b, "histograms", histograms, true);
        }
        buf_putc(b, '}');
}

static bool is_json(const struct flags *f)
{
        return strcmp(flags_str(f, "format"), "json") == 0;
}

static void print(struct buf *b)
{
        fwrite(b->p, 1, b->n, stdout);
        buf_done(b);
}

static void print_value(struct ask *q)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        Str type = json_str(json_get(q->data, STR("resultType")));
        const struct json *result = json_get(q->data, STR("result"));
        bool json = is_json(q->f), is_vector = str_eq(type, STR("vector"));
        if (str_eq(type, STR("scalar"))) {
                if (json) {
                        json_point(&b, result, false);
                } else {
                        buf_puts(&b, "scalar: ");
                        put_point(&b, result, false);
                }
                buf_putc(&b, '\n');
        } else if (str_eq(type, STR("string"))) {
                if (json)
                        buf_put(&b, result->raw);
                else
                        buf_put(&b, json_str(json_at(result, 1)));
                buf_putc(&b, '\n');
        } else {
                size_t n = result ? result->n : 0;
                struct series *all = mem_alloc((n + 1) * sizeof *all);
                for (size_t i = 0; i < n; i++)
                        all[i] = (struct series){labels_of(q, json_get(json_at(result, i), STR("metric"))), json_at(result, i)};
                if (!json && !is_vector)
                        qsort(all, n, sizeof *all, series_cmp);
                if (json)
                        buf_putc(&b, '[');
                for (size_t i = 0; i < n; i++) {
                        if (json && i)
                                buf_putc(&b, ',');
                        (json ? json_series : put_series)(&b, &all[i], is_vector);
                }
                if (json)
                        buf_puts(&b, "]\n");
                else if (!n)
                        buf_putc(&b, '\n');
                free(all);
        }
        print(&b);
}

/* ---- commands ---- */

static int finish(struct ask *q, struct error *take_e, void (*print_fn)(struct ask *q))
{
        int code = PROMTOOL_OK;
        if (take_e)
                code = told(take_e);
        else
                print_fn(q);
        ask_done(q);
        return code;
}

static int refuse(struct ask *q, struct error *take_e)
{
        ask_done(q);
        return promtool_exit(take_e);
}

int promtool_query_instant(const struct flags *f)
{
        struct ask q;
        double at;
        ask_init(&q, f);
        struct error *e = time_flag(f, "time", "evaluation time", (double)time_now_ms() / 1000, &at);
        if (e)
                return refuse(&q, e);
        param(&q, "query", str_from(flags_str(f, "expr")));
        param_seconds(&q, "time", at);
        return finish(&q, ask_server(&q, "/api/v1/query", true), print_value);
}

int promtool_query_range(const struct flags *f)
{
        struct ask q;
        double start = 0, end, step = (double)flags_int(f, "step") / 1e9;
        ask_init(&q, f);
        struct error *e = time_flag(f, "end", "end time", (double)time_now_ms() / 1000, &end);
        if (!e)
                e = time_flag(f, "start", "start time", end - 300, &start);
        if (!e && start >= end)
                e = error_new(ERROR_INVALID, "start time is not before end time");
        if (e)
                return refuse(&q, e);
        if (step == 0)
                step = fmax(floor((end - start) / 250), 1);
        param(&q, "query", str_from(flags_str(f, "expr")));
        param_seconds(&q, "start", start);
        param_seconds(&q, "end", end);
        param_seconds(&q, "step", step);
        return finish(&q, ask_server(&q, "/api/v1/query_range", true), print_value);
}

/* Matchers and times of series and labels. */
static struct error *range_params(struct ask *q)
{
        double now = (double)time_now_ms() / 1000, start, end = 0;
        size_t n;
        const char *const *match = flags_list(q->f, "match", &n);
        struct error *e = time_flag(q->f, "start", "start time", now - (double)FAR_MS / 1000, &start);
        if (!e)
                e = time_flag(q->f, "end", "end time", now + (double)FAR_MS / 1000, &end);
        for (size_t i = 0; !e && i < n; i++)
                param(q, "match[]", str_from(match[i]));
        param_seconds(q, "start", start);
        param_seconds(q, "end", end);
        return e;
}

static void print_series(struct ask *q)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        bool json = is_json(q->f);
        if (json)
                buf_putc(&b, '[');
        for (size_t i = 0; q->data && i < q->data->n; i++) {
                Labels ls = labels_of(q, json_at(q->data, i));
                if (json && i)
                        buf_putc(&b, ',');
                if (json) {
                        json_labels(&b, ls);
                        continue;
                }
                buf_putc(&b, '{');
                for (size_t k = 0; k < ls.n; k++) {
                        buf_puts(&b, k ? ", " : "");
                        put_label(&b, ls.v[k]);
                }
                buf_puts(&b, "}\n");
        }
        if (json)
                buf_puts(&b, "]\n");
        print(&b);
}

int promtool_query_series(const struct flags *f)
{
        struct ask q;
        ask_init(&q, f);
        struct error *e = range_params(&q);
        if (e)
                return refuse(&q, e);
        return finish(&q, ask_server(&q, "/api/v1/series", true), print_series);
}

static void print_values(struct ask *q)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        bool json = is_json(q->f);
        if (json)
                buf_putc(&b, '[');
        for (size_t i = 0; q->data && i < q->data->n; i++) {
                Str v = json_str(json_at(q->data, i));
                if (json && i)
                        buf_putc(&b, ',');
                if (json)
                        json_put_str(&b, v);
                else
                        buf_put(&b, v);
                if (!json)
                        buf_putc(&b, '\n');
        }
        if (json)
                buf_puts(&b, "]\n");
        print(&b);
}

int promtool_query_labels(const struct flags *f)
{
        struct ask q;
        struct buf path = BUF_INIT(1 << 20);
        ask_init(&q, f);
        struct error *e = range_params(&q);
        if (e)
                return refuse(&q, e);
        buf_puts(&path, "/api/v1/label/");
        url_escape(str_from(flags_str(f, "name")), URL_PATH, &path);
        buf_puts(&path, "/values");
        e = ask_server(&q, buf_cstr(&path), false);
        buf_done(&path);
        JSON_EACH(w, q.warnings)        /* of the other commands they are left out, as the original does */
        fprintf(stderr, "query warning: " STR_FMT "\n", STR_ARG(json_str(&w->value)));
        return finish(&q, e, print_values);
}
