/* SPDX-License-Identifier: Apache-2.0 */
/* remote_write.c — POST /api/v1/write: messages 1.0 (all or nothing) and 2.0 (the good part is written, the bad is told).
 * Upstream: storage/remote/write_handler.go, client_golang/exp/api/remote */
#include "web/remote_write.h"

#include <stdio.h>

#include "base/log.h"
#include "codec/compress.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "storage/decode.h"

enum { BODY_BYTES_MAX = 32 << 20, ERROR_TEXT_MAX = 1 << 20, AHEAD_MAX_MS = 10 * 60 * 1000, SERIES_BYTES_MAX = 64 << 20 };
#define V1_NAME "prometheus.WriteRequest"
#define V2_NAME "io.prometheus.write.v2.Request"

struct writing {
        struct web *w;
        struct appender *app;
        struct arena scratch;           /* of one series */
        struct write_series series;
        TimeMs newest_ms;
        uint64_t samples, histograms, exemplars, invalid;
        struct buf refused;             /* 2.0: what is told of series that were not taken */
};

static struct error *too_far(void)
{
        return error_new(ERROR_INVALID, "%s: timestamp is too far in the future", error_str(&error_out_of_bounds));
}

/* Refused by the head for good: sending it again is no use. */
static bool is_refusal(const struct error *e)
{
        return e == &error_out_of_order_sample || e == &error_out_of_bounds || e == &error_duplicate_sample || e == &error_too_old_sample ||
               error_is(e, ERROR_INVALID);
}

/* The sample that is there already, for the text. */
static bool stored_value(struct writing *wr, Labels labels, TimeMs t, double *ret)
{
        struct arena a;
        struct querier *q = NULL;
        struct series_set *set;
        struct series s;
        MatcherVec m = VEC_INIT;
        bool more = false;
        arena_init(&a, SERIES_BYTES_MAX);
        struct error *e = NULL;
        for (size_t i = 0; !e && i < labels.n; i++) {
                struct matcher *one;
                e = matcher_new(MATCH_EQ, labels.v[i].name, labels.v[i].value, &one);
                if (!e)
                        vec_push(&m, one);
        }
        if (!e)
                e = storage_querier(db_storage(wr->w->o.db), t, t, &a, &q);
        if (!e)
                e = querier_select(q, &(struct select_hints){.start_ms = t, .end_ms = t}, (const struct matcher *const *)m.p, m.n, &set);
        while (!e) {
                e = series_set_next(set, &s, &more);
                if (e || !more || labels_eq(s.labels, labels))
                        break;
        }
        struct samples out = SAMPLES_INIT;
        if (!e && more)
                e = series_decode(&s, t, t, &out);
        bool found = !e && out.n == 1;
        if (found)
                *ret = out.v[0];
        samples_done(&out);
        querier_close(q);
        matcher_vec_done(&m);
        arena_done(&a);
        error_ignore(e, "only the text is poorer for it");
        return found;
}

static struct error *duplicate(struct writing *wr, const struct write_sample *s)
{
        double old;
        if (!stored_value(wr, wr->series.labels, s->t, &old))
                return &error_duplicate_sample;
        struct buf b = BUF_INIT(1024);
        buf_printf(&b, "duplicate sample for timestamp %lld; overrides not allowed: existing ", (long long)s->t);
        buf_put_float(&b, old, 'g');
        buf_puts(&b, ", new value ");
        buf_put_float(&b, s->v, 'g');
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static struct error *sample_append(struct writing *wr, const struct write_sample *s, SeriesRef *ref)
{
        if (s->t > wr->newest_ms)
                return too_far();
        appender_set_start(wr->app, s->start);
        if (s->h.i || s->h.f) {
                struct histogram_sample h = s->h;
                struct error *e = histogram_sample_reduce_reserved(&wr->scratch, &h);
                return e ? e : appender_append_histogram(wr->app, *ref, wr->series.labels, s->t, h, ref);
        }
        struct error *e = appender_append(wr->app, *ref, wr->series.labels, s->t, s->v, ref);
        return e == &error_duplicate_sample ? duplicate(wr, s) : e;
}

static struct error *exemplar_append(struct writing *wr, struct write_exemplar *x, SeriesRef ref)
{
        if (x->x.t > wr->newest_ms)
                return too_far();
        return appender_append_exemplar(wr->app, ref, ref ? (Labels){NULL, 0} : wr->series.labels, &x->x);
}

static void refuse(struct writing *wr, struct error *take_e, bool with_labels)
{
        if (wr->refused.n)
                buf_putc(&wr->refused, '\n');
        buf_puts(&wr->refused, error_str(take_e));
        if (with_labels) {
                buf_puts(&wr->refused, " for series ");
                labels_print(&wr->refused, wr->series.labels);
        }
        error_free(take_e);
}

/* NULL: fine. */
static struct error *labels_fault(Labels ls, bool is_v2)
{
        struct buf text = BUF_INIT(ERROR_TEXT_MAX);
        bool valid = labels_get(ls, STR(METRIC_NAME)).n > 0;
        Str twice = STR("");
        for (size_t i = 0; i < ls.n; i++) {
                valid = valid && label_name_is_valid_utf8(ls.v[i].name) && utf8_is_valid(ls.v[i].value);
                if (i && str_eq(ls.v[i].name, ls.v[i - 1].name))
                        twice = ls.v[i].name;
        }
        if (valid && !twice.p)
                goto out;
        if (valid && !twice.n)
                goto out;
        if (is_v2) {
                buf_puts(&text, !valid ? "invalid metric name or labels, got " : "invalid labels for series, labels ");
                labels_print(&text, ls);
                if (valid)
                        buf_printf(&text, ", duplicated label " STR_FMT, STR_ARG(twice));
        }
        buf_done(&text);
        return error_new(ERROR_INVALID, "%s", is_v2 ? buf_cstr(&text) : "invalid labels");
out:
        buf_done(&text);
        return NULL;
}

/* One series of a 1.0 message. An error ends the request, and nothing of it is kept. */
static struct error *series_v1(void *ctx, Str bytes)
{
        struct writing *wr = ctx;
        struct error *e = write_series_decode_v1(&wr->series, &wr->scratch, bytes);
        if (e)
                return e;
        struct error *fault = labels_fault(wr->series.labels, false);
        if (fault) {
                wr->invalid++;
                error_free(fault);
                return NULL;
        }
        SeriesRef ref = 0;
        for (size_t i = 0; !e && i < wr->series.samples.n; i++)
                e = sample_append(wr, &wr->series.samples.p[i], &ref);
        for (size_t i = 0; !e && i < wr->series.exemplars.n; i++)
                error_ignore(exemplar_append(wr, &wr->series.exemplars.p[i], ref), "samples are worth more");
        return e;
}

static struct error *series_v2(void *ctx, Str bytes)
{
        struct writing *wr = ctx;
        struct error *fault = NULL;
        struct error *e = write_series_decode_v2(&wr->series, &wr->scratch, bytes, wr->w->o.type_and_unit_labels, &fault);
        if (e)
                return e;
        bool with_labels = false;
        if (!fault) {
                fault = labels_fault(wr->series.labels, true);
                if (!fault && wr->series.samples.n == 0) {
                        fault = error_new(ERROR_INVALID, "TimeSeries must contain at least one sample or histogram");
                        with_labels = true;
                }
        }
        if (fault) {
                wr->invalid += with_labels ? 0 : wr->series.samples.n;
                refuse(wr, fault, with_labels);
                return NULL;
        }
        SeriesRef ref = 0;
        for (size_t i = 0; i < wr->series.samples.n; i++) {
                const struct write_sample *s = &wr->series.samples.p[i];
                e = sample_append(wr, s, &ref);
                if (e && !is_refusal(e))
                        return e;
                if (e)
                        refuse(wr, e, true);
                else if (s->h.i || s->h.f)
                        wr->histograms++;
                else
                        wr->samples++;
        }
        for (size_t i = 0; i < wr->series.exemplars.n; i++) {
                struct write_exemplar *x = &wr->series.exemplars.p[i];
                e = x->fault ? error_wrap(x->fault, "parsing exemplar") : exemplar_append(wr, x, ref);
                if (x->fault || e == &error_out_of_order_exemplar)
                        refuse(wr, e, true);
                else if (e)
                        error_ignore(e, "samples are worth more");
                else
                        wr->exemplars += wr->w->o.keeps_exemplars;
                x->fault = NULL;
        }
        return NULL;
}

static void fail(struct http_request *r, int status, const char *text)
{
        http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
        http_replyf(r, status, "text/plain; charset=utf-8", "%s\n", text);
}

static void written_headers(struct http_request *r, const struct writing *wr)
{
        const struct {
                const char *name;
                uint64_t n;
        } all[] = {{"X-Prometheus-Remote-Write-Samples-Written", wr->samples},
                   {"X-Prometheus-Remote-Write-Histograms-Written", wr->histograms},
                   {"X-Prometheus-Remote-Write-Exemplars-Written", wr->exemplars}};
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                http_set_header(r, all[i].name, arena_printf(r->arena, "%llu", (unsigned long long)all[i].n));
}

static void store(struct web *w, struct http_request *r, Str body, bool is_v2)
{
        struct writing wr = {.w = w, .newest_ms = time_now_ms() + AHEAD_MAX_MS, .refused = BUF_INIT(ERROR_TEXT_MAX)};
        arena_init(&wr.scratch, SERIES_BYTES_MAX);
        struct error *e = write_series_init(&wr.series, body, is_v2);
        bool is_garbage = e != NULL;
        if (!e)
                e = storage_appender(db_storage(w->o.db), &wr.app);
        if (!e) {
                e = write_each_series(body, is_v2, is_v2 ? series_v2 : series_v1, &wr, &is_garbage);
                if (e) {
                        appender_rollback(wr.app);
                        wr.samples = wr.histograms = wr.exemplars = 0;
                } else {
                        e = appender_commit(wr.app);
                }
        }
        metric_add(w->write_invalid, (double)wr.invalid);
        if (is_v2 && !is_garbage)
                written_headers(r, &wr);
        if (e) {
                bool bad = is_garbage || (!is_v2 && is_refusal(e));
                if (!bad)
                        log_error("web", "Error while storing the remote write request", KV_E(e));
                fail(r, bad ? 400 : 500, error_str(e));
        } else if (wr.refused.n) {
                fail(r, 400, buf_cstr(&wr.refused));
        } else {
                http_reply(r, 204, NULL, STR(""));
        }
        error_free(e);
        write_series_done(&wr.series);
        arena_done(&wr.scratch);
        buf_done(&wr.refused);
}

/* The message that a content type names. NULL: *ret_is_v2. */
static struct error *message_of(Str type, bool *ret_is_v2)
{
        static const char media[] = "application/x-protobuf";
        type = str_trim(type);
        *ret_is_v2 = false;
        Str rest = type, part, name, value;
        if (!type.n)
                return NULL;
        str_next(&rest, ';', &part);
        if (!str_eq(part, str_from(media)))
                return error_new(ERROR_INVALID, "expected %s as the first (media) part, got " STR_FMT " content-type", media, STR_ARG(type));
        while (str_next(&rest, ';', &part)) {
                if (!str_cut(part, '=', &name, &value) || str_find(value, '=') >= 0)
                        return error_new(ERROR_INVALID,
                                         "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got " STR_FMT
                                         " in " STR_FMT " content-type",
                                         STR_ARG(part), STR_ARG(type));
                if (!str_eq(name, STR("proto")))
                        continue;
                *ret_is_v2 = str_eq(value, STR(V2_NAME));
                if (*ret_is_v2 || str_eq(value, STR(V1_NAME)))
                        return NULL;
                return error_new(ERROR_INVALID,
                                 "got " STR_FMT " content type; unknown type for remote write protobuf message " STR_FMT ", supported: " V1_NAME ", " V2_NAME,
                                 STR_ARG(type), STR_ARG(value));
        }
        return NULL;
}

static void remote_write(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        if (!w->o.write_v1 && !w->o.write_v2) {
                http_set_header(r, "X-Content-Type-Options", STR("nosniff"));
                http_reply(r, 404, "text/plain; charset=utf-8", STR("remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n"));
                return;
        }
        Str encoding = http_request_header(r, STR("Content-Encoding"));
        if (encoding.n && !str_eq(encoding, STR("snappy"))) {
                fail(r, 415, arena_printf(r->arena, STR_FMT " encoding (compression) is not accepted by this server; only snappy is acceptable", STR_ARG(encoding)).p);
                return;
        }
        struct buf body = BUF_INIT(BODY_BYTES_MAX);
        bool is_v2;
        struct error *e = snappy_uncompress_block(r->body, &body);
        if (e) {
                fail(r, 400, error_is(e, ERROR_LIMIT) ? "decoded size exceeds the 33554432 bytes limit" : "s2: corrupt input");
                goto out;
        }
        e = message_of(http_request_header(r, STR("Content-Type")), &is_v2);
        if (e)
                fail(r, 415, error_str(e));
        else if (is_v2 ? !w->o.write_v2 : !w->o.write_v1)
                fail(r, 415, is_v2 ? V2_NAME " protobuf message is not accepted by this server; only accepts " V1_NAME
                                   : V1_NAME " protobuf message is not accepted by this server; only accepts " V2_NAME);
        else
                store(w, r, buf_str(&body), is_v2);
out:
        error_free(e);
        buf_done(&body);
}

void remote_write_register(struct web *w)
{
        w->write_invalid = metric_counter(w->o.metrics, "prometheus_api_remote_write_invalid_labels_samples_total",
                                          "Samples and histograms received by remote write that were refused for their labels.");
        api_handle_raw(w, "write", HTTP_POST, remote_write);
}
