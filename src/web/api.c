/* SPDX-License-Identifier: Apache-2.0 */
/* api.c — the envelope of API v1, its errors, its parameters.  Upstream: web/api/v1/api.go */
#include <math.h>
#include <stdio.h>

#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/quote.h"
#include "model/duration.h"
#include "web/serve.h"

enum { FLUSH_BYTES = 128 << 10, ANSWER_PIECE_MAX_BYTES = 256 << 20 };

static const struct {
        const char *name;
        int status;
} kinds[] = {
        [API_BAD_DATA] = {"bad_data", 400},   [API_EXECUTION] = {"execution", 422},   [API_CANCELED] = {"canceled", 499},
        [API_TIMEOUT] = {"timeout", 503},     [API_INTERNAL] = {"internal", 500},     [API_NOT_FOUND] = {"not_found", 404},
        [API_NOT_ACCEPTABLE] = {"not_acceptable", 406}, [API_UNAVAILABLE] = {"unavailable", 500},
};

struct route {
        struct web *w;
        api_handler *fn;
        unsigned flags;
};

static void dispatch(struct http_request *r, void *ctx)
{
        const struct route *route = ctx;
        struct api a = {.w = route->w, .r = r, .engine = route->w->o.engine, .out = BUF_INIT(ANSWER_PIECE_MAX_BYTES)};
        web_cors(route->w, r);
        struct error *e = http_request_form(r, &a.form);
        if (e && route->flags & API_LENIENT_FORM) {
                error_ignore(e, "what could be read of the form is used");
                e = NULL;
        }
        if (e)
                api_fail_error(&a, API_BAD_DATA, e, "error parsing form values: ");
        else
                route->fn(&a);
        buf_done(&a.out);
        error_free(a.write_error);
}

static void preflight(struct http_request *r, void *ctx)
{
        const struct route *route = ctx;
        web_cors(route->w, r);
        http_reply(r, 204, NULL, STR(""));
}

void api_handle(struct web *w, const char *path, unsigned methods, unsigned flags, api_handler *h)
{
        char full[256];
        snprintf(full, sizeof full, "/api/v1/%s", path);
        char *routed = web_path(w, full);
        struct route *route = arena_new(&w->arena, struct route);
        *route = (struct route){w, h, flags};
        http_server_handle(w->server, routed, methods, HTTP_COMPRESS_SMALL, dispatch, route);
        http_server_handle(w->server, routed, HTTP_OPTIONS, HTTP_INLINE, preflight, route);
        free(routed);
}

void api_handle_raw(struct web *w, const char *path, unsigned methods, http_handler *h)
{
        char full[256];
        snprintf(full, sizeof full, "/api/v1/%s", path);
        char *routed = web_path(w, full);
        struct route *route = arena_new(&w->arena, struct route);
        *route = (struct route){.w = w};
        http_server_handle(w->server, routed, methods, HTTP_NO_COMPRESSION, h, w);
        http_server_handle(w->server, routed, HTTP_OPTIONS, HTTP_INLINE, preflight, route);
        free(routed);
}

static void fail_text(struct api *a, enum api_error kind, Str text)
{
        if (a->begun) {                 /* the data cannot be called back: the client must see that it is not whole */
                http_abort(a->r);
                return;
        }
        buf_clear(&a->out);
        buf_puts(&a->out, "{\"status\":\"error\",\"errorType\":\"");
        buf_puts(&a->out, kinds[kind].name);
        buf_puts(&a->out, "\",\"error\":");
        json_put_api_str(&a->out, text);
        buf_puts(&a->out, a->is_thanos ? "}\n" : "}");
        if (a->is_thanos)
                http_set_header(a->r, "Cache-Control", STR("no-store"));
        int status = a->is_thanos && kind == API_CANCELED ? 503 : kinds[kind].status;
        http_reply(a->r, status, "application/json", buf_str(&a->out));
}

void api_fail(struct api *a, enum api_error kind, const char *fmt, ...)
{
        struct buf text = BUF_INIT(1 << 20);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&text, fmt, ap);
        va_end(ap);
        fail_text(a, kind, buf_str(&text));
        buf_done(&text);
}

void api_fail_error(struct api *a, enum api_error kind, struct error *take_e, const char *prefix)
{
        api_fail(a, kind, "%s%s", prefix ? prefix : "", error_str(take_e));
        error_free(take_e);
}

void api_fail_param(struct api *a, const char *name, struct error *take_e)
{
        api_fail(a, API_BAD_DATA, "invalid parameter \"%s\": %s", name, error_str(take_e));
        error_free(take_e);
}

enum api_error api_kind_of(const struct error *e)
{
        switch (error_get_kind(e)) {
        case ERROR_TIMEOUT:
                return API_TIMEOUT;
        case ERROR_CANCELLED:
                return API_CANCELED;
        case ERROR_INTERNAL:
        case ERROR_IO:
        case ERROR_CORRUPT:
                return API_INTERNAL;
        case ERROR_INVALID:
                return API_BAD_DATA;
        default:
                return API_EXECUTION;
        }
}

void api_begin(struct api *a)
{
        buf_puts(&a->out, "{\"status\":\"success\",\"data\":");
}

static void send_piece(struct api *a)
{
        if (!a->begun) {
                http_begin(a->r, 200, "application/json");
                a->begun = true;
        }
        if (!a->write_error && buf_is_over(&a->out))
                a->write_error = error_new(ERROR_LIMIT, "one element of the answer is larger than %d bytes", ANSWER_PIECE_MAX_BYTES);
        if (!a->write_error)
                a->write_error = http_write(a->r, buf_str(&a->out));
        buf_clear(&a->out);
}

void api_send(struct api *a, const struct buf *piece)
{
        if (a->out.n || !a->begun)
                send_piece(a);
        if (!a->write_error && buf_is_over(piece))
                a->write_error = error_new(ERROR_LIMIT, "one element of the answer is larger than %d bytes", ANSWER_PIECE_MAX_BYTES);
        if (!a->write_error)
                a->write_error = http_write(a->r, buf_str(piece));
}

void api_flush(struct api *a)
{
        if (a->out.n >= FLUSH_BYTES)
                send_piece(a);
}

/* At most ten of a kind are shown, then how many more there are; or all. */
static void put_annotations(struct buf *b, const char *key, const Str *v, size_t n, bool all)
{
        const size_t shown_max = all ? SIZE_MAX : 10;
        if (n == 0)
                return;
        buf_printf(b, ",\"%ss\":[", key);
        for (size_t i = 0; i < MIN(n, shown_max); i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_api_str(b, v[i]);
        }
        if (n > shown_max)
                buf_printf(b, ",\"%zu more %s annotations omitted\"", n - shown_max, key);
        buf_putc(b, ']');
}

void api_end(struct api *a, const Str *warnings, size_t n_warnings, const Str *infos, size_t n_infos)
{
        put_annotations(&a->out, "warning", warnings, n_warnings, a->is_thanos);
        put_annotations(&a->out, "info", infos, n_infos, a->is_thanos);
        buf_puts(&a->out, a->is_thanos ? "}\n" : "}");
        if (!a->begun && !buf_is_over(&a->out)) {
                http_reply(a->r, 200, "application/json", buf_str(&a->out));
                return;
        }
        send_piece(a);
        if (a->write_error)
                http_abort(a->r);
        else
                http_end(a->r);
}

void api_no_content(struct api *a)
{
        http_reply(a->r, 204, NULL, STR(""));
}

/* ---- parameters ---- */

Str api_param(const struct api *a, const char *name)
{
        return http_form_get(&a->form, str_from(name));
}

/* Go's words for true and false; false: neither. */
static bool bool_parse(Str s, bool *ret)
{
        static const char *const words[] = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                if (str_eq(s, str_from(words[i]))) {
                        *ret = i < ARRAY_LEN(words) / 2;
                        return true;
                }
        }
        return false;
}

struct storage *api_storage(struct api *a)
{
        Str s = api_param(a, "partial_response");
        bool partial = true;
        if (!a->w->o.whole_storage || !s.n)
                return web_storage(a->w);
        if (bool_parse(s, &partial))
                return partial ? web_storage(a->w) : web_whole_storage(a->w);
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        api_fail(a, API_BAD_DATA, "'partial_response' parameter: strconv.ParseBool: parsing %s: invalid syntax", buf_cstr(&b));
        buf_done(&b);
        return NULL;
}

bool api_has(const struct api *a, const char *name)
{
        return http_form_has(&a->form, str_from(name));
}

static struct error *cannot_parse(Str s, const char *what, const char *more)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "cannot parse %s to a valid %s%s", buf_cstr(&b), what, more);
        buf_done(&b);
        return e;
}

struct error *time_param_parse(Str s, TimeMs *ret)
{
        /* The ends of time as upstream prints them; no other year has more than four digits. */
        if (str_eq(s, STR("-292273086-05-16T16:47:06Z")) || str_eq(s, STR("292277025-08-18T07:12:54.999999999Z"))) {
                *ret = s.p[0] == '-' ? -INT64_C(9223309901257974000) : INT64_C(9223309901257974999);
                return NULL;
        }
        return time_parse(s, ret) ? NULL : cannot_parse(s, "timestamp", "");
}

struct error *seconds_parse_ns(Str s, int64_t *ret_ns)
{
        double v;
        bool range;
        if (float_parse(s, &v, &range) && !range) {
                double ns = v * 1e9;
                if (ns > 9223372036854775807.0 || ns < -9223372036854775808.0)
                        return cannot_parse(s, "duration", ". It overflows int64");
                *ret_ns = isnan(ns) ? INT64_MIN : ns >= 0x1p63 ? INT64_MAX : (int64_t)ns;
                return NULL;
        }
        int64_t ms;
        struct error *e = duration_parse(s, &ms);
        if (!e && !__builtin_mul_overflow(ms, (int64_t)1000000, ret_ns))
                return NULL;
        error_free(e);
        return cannot_parse(s, "duration", "");
}

struct error *seconds_parse(Str s, int64_t *ret_ms)
{
        int64_t ns;
        struct error *e = seconds_parse_ns(s, &ns);
        if (!e)
                *ret_ms = ns / 1000000;
        return e;
}

bool api_time(struct api *a, const char *name, TimeMs fallback, TimeMs *ret)
{
        Str s = api_param(a, name);
        *ret = fallback;
        struct error *e = s.n ? time_param_parse(s, ret) : NULL;
        if (!e)
                return true;
        api_fail_param(a, name, error_wrap(e, "invalid time value for '%s'", name));
        return false;
}

bool api_limit(struct api *a, size_t *ret)
{
        Str s = api_param(a, "limit");
        int64_t v = 0;
        struct error *e = NULL;
        if (s.n && !str_to_i64(s, &v)) {
                bool digits = s.n > (size_t)(s.p[0] == '+' || s.p[0] == '-');
                for (size_t i = s.p[0] == '+' || s.p[0] == '-'; i < s.n; i++)
                        digits = digits && s.p[i] >= '0' && s.p[i] <= '9';
                struct buf b = BUF_INIT(1 << 20);
                buf_put_go_quoted(&b, s);
                e = error_new(ERROR_INVALID, "strconv.Atoi: parsing %s: %s", buf_cstr(&b), digits ? "value out of range" : "invalid syntax");
                buf_done(&b);
        } else if (v < 0) {
                e = error_new(ERROR_INVALID, "limit must be non-negative");
        }
        if (e) {
                api_fail_param(a, "limit", e);
                return false;
        }
        *ret = (size_t)v;
        return true;
}

struct error *matcher_sets_parse(const struct http_form *f, bool selective, struct arena *a, MatcherSets *ret)
{
        for (size_t i = 0; i < f->n; i++) {
                if (!str_eq(f->v[i].name, STR("match[]")))
                        continue;
                MatcherVec m = VEC_INIT;
                struct error *e = promql_parse_selector(f->v[i].value, a, &m);
                if (e) {
                        matcher_vec_done(&m);
                        return e;
                }
                bool selects = false;
                for (size_t k = 0; k < m.n; k++)
                        selects = selects || !matcher_matches_empty(m.p[k]);
                vec_push(ret, m);
                if (selective && !selects)
                        return error_new(ERROR_INVALID, "match[] must contain at least one non-empty matcher");
        }
        return NULL;
}

void matcher_sets_done(MatcherSets *m)
{
        for (size_t i = 0; i < m->n; i++)
                matcher_vec_done(&m->p[i]);
        vec_done(m);
}

/* ---- pieces of JSON ---- */

void json_put_labels(struct buf *b, Labels ls)
{
        buf_putc(b, '{');
        for (size_t i = 0; i < ls.n; i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_label_str(b, ls.v[i].name);
                buf_putc(b, ':');
                json_put_label_str(b, ls.v[i].value);
        }
        buf_putc(b, '}');
}

/* As encoding/json prints a float64: 'f', or 'e' below 1e-6 and from 1e21 on, with 1e-09 as 1e-9; what is no number is 0. */
void json_put_f64(struct buf *b, double v)
{
        if (!isfinite(v)) {
                buf_putc(b, '0');
                return;
        }
        size_t from = b->n;
        buf_put_sample_value(b, v);
        if (!buf_is_over(b) && b->n - from > 4 && b->p[b->n - 4] == 'e' && b->p[b->n - 3] == '-' && b->p[b->n - 2] == '0') {
                b->p[b->n - 2] = b->p[b->n - 1];
                b->n--;
        }
}

void json_put_member(struct buf *b, const char *key, Str value)
{
        buf_putc(b, '"');
        buf_puts(b, key);
        buf_puts(b, "\":");
        json_put_api_str(b, value);
}

/* At most 21 bytes. */
static char *print_ms(char *p, TimeMs t)
{
        uint64_t abs = t < 0 ? (uint64_t)-(t + 1) + 1 : (uint64_t)t;
        if (t < 0)
                *p++ = '-';
        if (LIKELY(abs / 1000 < UINT64_C(1000000000000000)))
                p += float_print((double)(abs / 1000), 'f', p);
        else
                p += sprintf(p, "%llu", (unsigned long long)(abs / 1000)); /* a double would round it */
        unsigned part = (unsigned)(abs % 1000);
        if (part) {
                char frac[4] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10), (char)('0' + part % 10)};
                memcpy(p, frac, sizeof frac);
                p += sizeof frac;
        }
        return p;
}

void json_put_ms(struct buf *b, TimeMs t)
{
        char *from = buf_reserve(b, 32 + FLOAT_TEXT_MAX_BYTES);
        if (from)
                b->n += (size_t)(print_ms(from, t) - from);
}

/* A large answer is a million of these. */
void json_put_point(struct buf *b, TimeMs t, double v)
{
        char *from = buf_reserve(b, 64 + FLOAT_TEXT_MAX_BYTES);
        if (!from)
                return;
        char *p = from;
        *p++ = '[';
        p = print_ms(p, t);
        memcpy(p, ",\"", 2);
        p += 2;
        p += float_print_sample(v, p);
        memcpy(p, "\"]", 2);
        b->n += (size_t)(p + 2 - from);
}

void json_put_strs(struct buf *b, const Str *v, size_t n)
{
        buf_putc(b, '[');
        for (size_t i = 0; i < n; i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_str(b, v[i]);
        }
        buf_putc(b, ']');
}
