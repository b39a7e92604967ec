/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' own functions of templates.  Upstream: template/template.go, prometheus/common helpers/templates */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#include "alert/template/template.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "codec/regex.h"
#include "io/http/form.h"
#include "model/duration.h"
#include "model/histogram.h"
#include "model/relabel.h"

enum { TEXT_MAX_BYTES = 16 << 20 };

static const struct prom_template_env *env_of(const struct texec *x)
{
        return texec_env(x)->ctx;
}

static TVal kept(struct texec *x, struct buf *b)
{
        TVal v = tval_str(arena_str(texec_env(x)->arena, buf_str(b)));
        buf_done(b);
        return v;
}

/* ---- data ---- */

TVal prom_template_labels(struct arena *a, Labels ls)
{
        struct tval_map_entry *v = arena_array(a, struct tval_map_entry, ls.n + 1);
        for (size_t i = 0; i < ls.n; i++)
                v[i] = (struct tval_map_entry){ls.v[i].name, tval_str(ls.v[i].value)};
        return tval_map(a, &ttype_map_string, v, ls.n);
}

#define HISTOGRAM_FIELD(name, expr)                    \
        static TVal histogram_##name(const void *p)    \
        {                                              \
                const struct histogram *h = p;         \
                return expr;                           \
        }
HISTOGRAM_FIELD(count, tval_float(h->count))
HISTOGRAM_FIELD(sum, tval_float(h->sum))
HISTOGRAM_FIELD(zero_count, tval_float(h->zero_count))
HISTOGRAM_FIELD(zero_threshold, tval_float(h->zero_threshold))
HISTOGRAM_FIELD(schema, tval_int(h->schema))
static const struct tfield histogram_fields[] = {{"Schema", histogram_schema}, {"ZeroThreshold", histogram_zero_threshold}, {"ZeroCount", histogram_zero_count},
                                                 {"Count", histogram_count}, {"Sum", histogram_sum}, {NULL, NULL}};

static void histogram_as_string(TVal v, struct buf *b)
{
        buf_put_histogram(b, v.p);
}
static struct error *histogram_string(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        buf_put_histogram(&b, args[0].p);
        *ret = kept(x, &b);
        return NULL;
}
static const struct tfunc histogram_methods[] = {{"String", histogram_string, 0, false, {NULL}}, {NULL, NULL, 0, false, {NULL}}};
static const struct ttype type_histogram = {
        .name = "histogram.FloatHistogram", .kind = TKIND_STRUCT, .fields = histogram_fields, .methods = histogram_methods, .string = histogram_as_string};
static const struct ttype type_histogram_ptr = {.name = "*histogram.FloatHistogram", .kind = TKIND_PTR, .elem = &type_histogram};

TVal prom_template_histogram(const struct histogram *h)
{
        return (TVal){.type = &type_histogram_ptr, .p = h};
}

struct sample {
        TVal labels, value;
};
static TVal sample_labels(const void *p)
{
        return ((const struct sample *)p)->labels;
}
static TVal sample_value(const void *p)
{
        return ((const struct sample *)p)->value;
}
static const struct tfield sample_fields[] = {{"Labels", sample_labels}, {"Value", sample_value, true}, {NULL, NULL}};
static const struct ttype type_sample = {.name = "template.sample", .kind = TKIND_STRUCT, .fields = sample_fields};
static const struct ttype type_sample_ptr = {.name = "*template.sample", .kind = TKIND_PTR, .elem = &type_sample};
static const struct ttype type_result = {.name = "template.queryResult", .kind = TKIND_LIST, .elem = &type_sample_ptr};

/* ---- queries ---- */

static struct error *fn_query(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        const struct prom_template_env *env = env_of(x);
        struct arena *a = texec_env(x)->arena;
        struct query_result r = {0};
        if (!env->query)
                return error_new(ERROR_INVALID, "queries are not possible here");
        struct error *e = env->query(env->ctx, args[0].s, env->at_ms, &r);
        if (e)
                return e;
        if (r.type != VALUE_VECTOR && r.type != VALUE_SCALAR) {
                query_result_done(&r);
                return error_new(ERROR_INVALID, "rule result is not a vector or scalar");
        }
        bool scalar = r.type == VALUE_SCALAR;
        size_t count = scalar ? 1 : r.n_series;
        struct sample *samples = arena_try_alloc(a, arena_array_bytes(count + 1, sizeof *samples));
        TVal *v = arena_try_alloc(a, arena_array_bytes(count + 1, sizeof *v));
        if (!samples || !v || a->limit_bytes - MIN(a->used_bytes, a->limit_bytes) < r.arena->used_bytes * 2) {
                query_result_done(&r);
                return error_new(ERROR_LIMIT, "the result of the query is too large");
        }
        for (size_t i = 0; i < count; i++) {
                const struct result_series *s = scalar ? NULL : &r.series[i];
                samples[i].labels = prom_template_labels(a, s ? labels_dup(a, s->labels) : (Labels){NULL, 0});
                struct histogram *h = NULL;
                if (s && s->n == 0 && (e = histogram_dup(a, s->h[0], &h)) != NULL)
                        break;
                samples[i].value = !s ? tval_float(r.scalar) : h ? prom_template_histogram(h) : tval_float(s->v[0]);
                v[i] = (TVal){.type = &type_sample_ptr, .p = &samples[i]};
        }
        *ret = tval_list(a, &type_result, v, count);
        query_result_done(&r);
        return e;
}

static struct error *fn_first(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        if (args[0].list->n == 0)
                return error_new(ERROR_INVALID, "first() called on vector with no elements");
        *ret = args[0].list->v[0];
        return NULL;
}

static struct error *nil_sample(void)
{
        return error_new(ERROR_INVALID, "runtime error: invalid memory address or nil pointer dereference");
}

static TVal label_of(TVal sample, Str name)
{
        const TVal *v = tval_map_get(((const struct sample *)sample.p)->labels, name);
        return v ? *v : tval_str(STR(""));
}

static struct error *fn_label(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        if (!args[1].p)
                return nil_sample();
        *ret = label_of(args[1], args[0].s);
        return NULL;
}

static struct error *fn_value(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        if (!args[0].p)
                return nil_sample();
        *ret = ((const struct sample *)args[0].p)->value;
        return NULL;
}

static struct error *fn_strvalue(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        if (!args[0].p)
                return nil_sample();
        *ret = label_of(args[0], STR("__value__"));
        return NULL;
}

/* Merge sort: it is stable. */
static void sort_samples(TVal *v, TVal *scratch, size_t n, Str by)
{
        if (n < 2)
                return;
        size_t half = n / 2, l = 0, r = half;
        sort_samples(v, scratch, half, by);
        sort_samples(v + half, scratch, n - half, by);
        for (size_t i = 0; i < n; i++) {
                bool right = l == half || (r < n && str_cmp(label_of(v[r], by).s, label_of(v[l], by).s) < 0);
                scratch[i] = v[right ? r++ : l++];
        }
        memcpy(v, scratch, n * sizeof *v);
}

static struct error *fn_sort_by_label(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct arena *a = texec_env(x)->arena;
        size_t count = args[1].list->n;
        TVal *v = arena_array(a, TVal, count + 1), *scratch = arena_array(a, TVal, count + 1);
        if (count)
                memcpy(v, args[1].list->v, count * sizeof *v);
        sort_samples(v, scratch, count, args[0].s);
        *ret = tval_list(a, args[1].type, v, count);
        return NULL;
}

/* ---- numbers ---- */

static struct error *to_float(TVal v, double *ret)
{
        if (v.type == &ttype_float) {
                *ret = v.f;
        } else if (v.type == &ttype_string) {
                bool range = false;
                if (!float_parse(v.s, ret, &range) || range) {
                        struct buf b = BUF_INIT(1 << 16);
                        buf_put_go_quoted(&b, v.s);
                        struct error *e = error_new(ERROR_INVALID, "strconv.ParseFloat: parsing %s: %s", buf_cstr(&b), range ? "value out of range" : "invalid syntax");
                        buf_done(&b);
                        return e;
                }
        } else if (v.type == &ttype_int || v.type == &ttype_int64) {
                *ret = (double)v.i;
        } else if (v.type == &ttype_uint64) {
                *ret = (double)v.u;
        } else if (v.type == &ttype_duration) {
                *ret = (double)(v.i / 1000000000) + (double)(v.i % 1000000000) / 1e9;
        } else {
                return error_new(ERROR_INVALID, "can't convert %s to float", tval_type_name(v));
        }
        return NULL;
}

/* Go's %.4g. */
static void put_4g(struct buf *b, double v)
{
        if (isnan(v))
                buf_puts(b, "NaN");
        else if (isinf(v))
                buf_puts(b, v > 0 ? "+Inf" : "-Inf");
        else
                buf_printf(b, "%.4g", v);
}

static const char *scale_down(double *v)
{
        static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
        const char *prefix = "";
        for (size_t i = 0; i < ARRAY_LEN(prefixes) && !(fabs(*v) >= 1); i++) {
                prefix = prefixes[i];
                *v *= 1000;
        }
        return prefix;
}

static const char *scale_up(double *v, double by, const char *const *prefixes)
{
        const char *prefix = "";
        for (size_t i = 0; prefixes[i] && !(fabs(*v) < by); i++) {
                prefix = prefixes[i];
                *v /= by;
        }
        return prefix;
}

static struct error *fn_humanize(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        static const char *const up[] = {"k", "M", "G", "T", "P", "E", "Z", "Y", NULL};
        double v;
        struct error *e = to_float(args[0], &v);
        if (e)
                return e;
        struct buf b = BUF_INIT(64);
        const char *prefix = "";
        if (v != 0 && isfinite(v))
                prefix = fabs(v) >= 1 ? scale_up(&v, 1000, up) : scale_down(&v);
        put_4g(&b, v);
        buf_puts(&b, prefix);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *fn_humanize1024(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        static const char *const up[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL};
        double v;
        struct error *e = to_float(args[0], &v);
        if (e)
                return e;
        struct buf b = BUF_INIT(64);
        const char *prefix = fabs(v) <= 1 || !isfinite(v) ? "" : scale_up(&v, 1024, up);
        put_4g(&b, v);
        buf_puts(&b, prefix);
        *ret = kept(x, &b);
        return NULL;
}

/* A float to int64 as amd64 converts it: what does not fit becomes the smallest. */
static int64_t to_int64(double v)
{
        return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

static struct error *fn_humanize_duration(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        double v;
        struct error *e = to_float(args[0], &v);
        if (e)
                return e;
        struct buf b = BUF_INIT(128);
        if (!isfinite(v)) {
                put_4g(&b, v);
        } else if (v == 0) {
                put_4g(&b, v);
                buf_putc(&b, 's');
        } else if (fabs(v) >= 1) {
                const char *sign = v < 0 ? "-" : "";
                v = fabs(v);
                int64_t d = to_int64(v), s = d % 60, m = d / 60 % 60, h = d / 3600 % 24, days = d / 86400;
                buf_puts(&b, sign);
                if (days)
                        buf_printf(&b, "%lldd %lldh %lldm %llds", (long long)days, (long long)h, (long long)m, (long long)s);
                else if (h)
                        buf_printf(&b, "%lldh %lldm %llds", (long long)h, (long long)m, (long long)s);
                else if (m)
                        buf_printf(&b, "%lldm %llds", (long long)m, (long long)s);
                else
                        buf_printf(&b, "%.4gs", v);
        } else {
                const char *prefix = scale_down(&v);
                buf_printf(&b, "%.4g%ss", v, prefix);
        }
        *ret = kept(x, &b);
        return NULL;
}

static struct error *fn_humanize_percentage(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        double v;
        struct error *e = to_float(args[0], &v);
        if (e)
                return e;
        struct buf b = BUF_INIT(64);
        put_4g(&b, v * 100);
        buf_putc(&b, '%');
        *ret = kept(x, &b);
        return NULL;
}

static struct error *float_to_ns(double v, int64_t *ret)
{
        double ns = v * 1e9;
        if (ns > 0x1p63 || ns < -0x1p63) {
                struct buf b = BUF_INIT(64);
                buf_put_float(&b, v, 'g');
                struct error *e = error_new(ERROR_INVALID, "%s cannot be represented as a nanoseconds timestamp since it overflows int64", buf_cstr(&b));
                buf_done(&b);
                return e;
        }
        *ret = to_int64(ns) / 1000000 * 1000000;
        return NULL;
}

static struct error *fn_humanize_timestamp(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        double v;
        int64_t ns = 0;
        struct error *e = to_float(args[0], &v);
        if (!e && isfinite(v))
                e = float_to_ns(v, &ns);
        if (e)
                return e;
        struct buf b = BUF_INIT(128);
        if (isfinite(v))
                gotime_string(&b, ns);
        else
                put_4g(&b, v);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *fn_to_time(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        double v;
        struct error *e = to_float(args[0], &v);
        if (!e && !isfinite(v))
                e = error_new(ERROR_INVALID, "value is NaN or Inf");
        int64_t *ns = arena_new(texec_env(x)->arena, int64_t);
        if (!e)
                e = float_to_ns(v, ns);
        *ret = (TVal){.type = &ttype_time_ptr, .p = ns};
        return e;
}

static struct error *fn_to_duration(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        double v;
        struct error *e = to_float(args[0], &v);
        if (e)
                return e;
        int64_t *ns = arena_new(texec_env(x)->arena, int64_t);
        *ns = to_int64(v * 1e9);
        *ret = (TVal){.type = &ttype_duration_ptr, .p = ns};
        return NULL;
}

static struct error *fn_now(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_float((double)env_of(x)->at_ms / 1000.0);
        return NULL;
}

static struct error *fn_parse_duration(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        Str s = args[0].s;
        bool negative = str_has_prefix(s, STR("-"));
        int64_t ms;
        struct error *e = duration_parse(negative ? str_skip(s, 1) : s, &ms);
        if (e)
                return e;
        double v = (double)ms * 1e6 / 1e9;
        *ret = tval_float(negative ? -v : v);
        return NULL;
}

/* ---- strings ---- */

static struct error *fn_case(struct texec *x, Str s, bool upper, TVal *ret)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        buf_put_case(&b, s, upper);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *fn_to_upper(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        return fn_case(x, args[0].s, true, ret);
}

static struct error *fn_to_lower(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        return fn_case(x, args[0].s, false, ret);
}

static bool is_word(Str s)
{
        unsigned char c = s.n ? (unsigned char)s.p[0] : 0;
        return c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_letter(Str s)
{
        unsigned char c = (unsigned char)s.p[0];
        return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The first letter of each word, large; ' . : join what stands on both sides of them. */
static struct error *fn_title(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        bool titled = false;            /* the word at hand has its large letter */
        Str s = args[0].s;
        while (s.n) {
                uint32_t r;
                size_t len = utf8_decode(s, &r);
                len = len ? len : 1;
                Str one = str_sub(s, 0, len), rest = str_skip(s, len);
                if (is_word(s) && is_letter(s) && !titled) {
                        buf_put_case(&b, one, true);
                        titled = true;
                } else {
                        buf_put(&b, one);
                        if (!is_word(s))
                                titled = titled && (s.p[0] == '\'' || s.p[0] == '.' || s.p[0] == ':') && is_word(rest);
                }
                s = rest;
        }
        *ret = kept(x, &b);
        return NULL;
}

static struct error *fn_match(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct regex_search *re;
        struct error *e = regex_search_new(args[0].s, &re);
        if (e)
                return e;
        *ret = tval_bool(regex_search_matches(re, args[1].s));
        regex_search_free(re);
        return NULL;
}

static struct error *fn_replace_all(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct regex_search *re;
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        struct error *e = regex_search_new(args[0].s, &re);
        if (e) {
                bool raw = str_find(args[0].s, '`') < 0 && str_find(args[0].s, '\n') < 0;
                if (raw)
                        buf_printf(&b, "`" STR_FMT "`", STR_ARG(args[0].s));
                else
                        buf_put_go_quoted(&b, args[0].s);
                e = error_wrap(e, "regexp: Compile(%s)", buf_cstr(&b));
                buf_done(&b);
                return e;
        }
        regex_search_replace_all(re, args[2].s, args[1].s, &b);
        regex_search_free(re);
        *ret = kept(x, &b);
        return NULL;
}

/* net.SplitHostPort. */
static bool host_port(Str s, Str *ret_host, Str *ret_port)
{
        ptrdiff_t colon = str_rfind(s, ':');
        size_t j = 0, k = 0;
        Str host;
        if (colon < 0)
                return false;
        if (s.p[0] == '[') {
                ptrdiff_t end = str_find(s, ']');
                if (end < 0 || end + 1 != colon)
                        return false;
                host = str_sub(s, 1, (size_t)end);
                j = 1;
                k = (size_t)end + 1;
        } else {
                host = str_sub(s, 0, (size_t)colon);
                if (str_find(host, ':') >= 0)
                        return false;
        }
        if (str_find(str_skip(s, j), '[') >= 0 || str_find(str_skip(s, k), ']') >= 0)
                return false;
        *ret_host = host;
        *ret_port = str_skip(s, (size_t)colon + 1);
        return true;
}

static struct error *fn_strip_port(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        Str host, port;
        *ret = tval_str(host_port(args[0].s, &host, &port) ? host : args[0].s);
        return NULL;
}

static bool is_ip(Str s)
{
        char text[64];
        struct in6_addr a;
        if (s.n >= sizeof text)
                return false;
        snprintf(text, sizeof text, STR_FMT, STR_ARG(s));
        return inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1;
}

static struct error *fn_strip_domain(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        Str host, port = STR("");
        if (!host_port(args[0].s, &host, &port))
                host = args[0].s;
        *ret = args[0];
        if (is_ip(host))
                return NULL;
        ptrdiff_t dot = str_find(host, '.');
        if (dot >= 0)
                host = str_sub(host, 0, (size_t)dot);
        if (port.n) {
                bool bracket = str_find(host, ':') >= 0;
                *ret = tval_str(arena_printf(texec_env(x)->arena, "%s" STR_FMT "%s:" STR_FMT, bracket ? "[" : "", STR_ARG(host), bracket ? "]" : "", STR_ARG(port)));
        } else {
                *ret = tval_str(host);
        }
        return NULL;
}

static struct error *fn_safe_html(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_html, .s = args[0].s};
        return NULL;
}

static struct error *fn_url_query_escape(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        url_escape(args[0].s, URL_QUERY, &b);
        *ret = kept(x, &b);
        return NULL;
}

/* ---- links ---- */

static TVal graph(struct texec *x, Str expr, int tab)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        buf_puts(&b, "/graph?g0.expr=");
        url_escape(expr, URL_QUERY, &b);
        buf_printf(&b, "&g0.tab=%d", tab);
        return kept(x, &b);
}

static struct error *fn_graph_link(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = graph(x, args[0].s, 0);
        return NULL;
}

static struct error *fn_table_link(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = graph(x, args[0].s, 1);
        return NULL;
}

static struct error *fn_external_url(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_str(env_of(x)->external_url);
        return NULL;
}

static struct error *fn_path_prefix(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        Str url = env_of(x)->external_url;
        ptrdiff_t scheme = str_find_str(url, STR("://"));
        Str rest = scheme < 0 ? url : str_skip(url, (size_t)scheme + 3);
        ptrdiff_t slash = str_find(rest, '/');
        *ret = tval_str(slash < 0 ? STR("") : str_skip(rest, (size_t)slash));
        return NULL;
}

/* ---- other ---- */

static int by_key(const void *a, const void *b)
{
        return str_cmp(((const struct tval_map_entry *)a)->key, ((const struct tval_map_entry *)b)->key);
}

static struct error *fn_args(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct arena *a = texec_env(x)->arena;
        struct tval_map_entry *v = arena_array(a, struct tval_map_entry, n + 1);
        for (size_t i = 0; i < n; i++)
                v[i] = (struct tval_map_entry){arena_printf(a, "arg%zu", i), args[i]};
        qsort(v, n, sizeof *v, by_key);
        *ret = tval_map(a, &ttype_map_any, v, n);
        return NULL;
}

#define ANY &ttype_any
#define TEXT &ttype_string
const struct tfunc prom_template_functions[] = {
        {"args", fn_args, 1, true, {ANY}},
        {"externalURL", fn_external_url, 0, false, {NULL}},
        {"first", fn_first, 1, false, {&type_result}},
        {"graphLink", fn_graph_link, 1, false, {TEXT}},
        {"humanize", fn_humanize, 1, false, {ANY}},
        {"humanize1024", fn_humanize1024, 1, false, {ANY}},
        {"humanizeDuration", fn_humanize_duration, 1, false, {ANY}},
        {"humanizePercentage", fn_humanize_percentage, 1, false, {ANY}},
        {"humanizeTimestamp", fn_humanize_timestamp, 1, false, {ANY}},
        {"label", fn_label, 2, false, {TEXT, &type_sample_ptr}},
        {"match", fn_match, 2, false, {TEXT, TEXT}},
        {"now", fn_now, 0, false, {NULL}},
        {"parseDuration", fn_parse_duration, 1, false, {TEXT}},
        {"pathPrefix", fn_path_prefix, 0, false, {NULL}},
        {"query", fn_query, 1, false, {TEXT}},
        {"reReplaceAll", fn_replace_all, 3, false, {TEXT, TEXT, TEXT}},
        {"safeHtml", fn_safe_html, 1, false, {TEXT}},
        {"sortByLabel", fn_sort_by_label, 2, false, {TEXT, &type_result}},
        {"stripDomain", fn_strip_domain, 1, false, {TEXT}},
        {"stripPort", fn_strip_port, 1, false, {TEXT}},
        {"strvalue", fn_strvalue, 1, false, {&type_sample_ptr}},
        {"tableLink", fn_table_link, 1, false, {TEXT}},
        {"title", fn_title, 1, false, {TEXT}},
        {"toDuration", fn_to_duration, 1, false, {ANY}},
        {"toLower", fn_to_lower, 1, false, {TEXT}},
        {"toTime", fn_to_time, 1, false, {ANY}},
        {"toUpper", fn_to_upper, 1, false, {TEXT}},
        {"urlQueryEscape", fn_url_query_escape, 1, false, {TEXT}},
        {"value", fn_value, 1, false, {&type_sample_ptr}},
        {NULL, NULL, 0, false, {NULL}},
};
