/* SPDX-License-Identifier: Apache-2.0 */
/* service_test.c — the sidecar between a Prometheus and a client that are servers and threads of this process. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/test.h"
#include "codec/crc32c.h"
#include "codec/proto.h"
#include "io/grpc/client.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { SERIES_BYTES = 50000 };
enum mode { FINE, ENDLESS, CUTS };

struct world {
        struct http_server *prometheus;
        struct sidecar *s;
        struct grpc_server *server;
        struct grpc_client *client;
        struct grpc_channel *channel;
        struct metric_registry *metrics;
        struct http_client_conf conf;
        _Atomic size_t written, n_series;
        _Atomic int mode, reads, labels_asked;
};

/* --- Prometheus --- */

static void put_label(struct buf *b, const char *name, const char *value)
{
        size_t at = proto_begin(b, 1);
        proto_put_bytes(b, 1, str_from(name));
        proto_put_bytes(b, 2, str_from(value));
        proto_end(b, at);
}

static void put_frame(struct buf *out, size_t i)
{
        static const char zeros[SERIES_BYTES];
        struct buf m = BUF_INIT(1 << 20);
        char number[24];
        snprintf(number, sizeof number, "%08zu", i);
        size_t series = proto_begin(&m, 1);
        put_label(&m, "__name__", "m");
        put_label(&m, "i", number);
        size_t chunk = proto_begin(&m, 2);
        proto_put_uint(&m, 1, 1);
        proto_put_uint(&m, 2, 2);
        proto_put_uint(&m, 3, 1);
        proto_put_bytes(&m, 4, (Str){zeros, sizeof zeros});
        proto_end(&m, chunk);
        proto_end(&m, series);
        buf_put_uvarint(out, m.n);
        buf_put_be32(out, crc32c(0, m.p, m.n));
        buf_put(out, buf_str(&m));
        buf_done(&m);
}

static void on_read(struct http_request *r, void *ctx)
{
        struct world *w = ctx;
        struct buf b = BUF_INIT(1 << 20);
        struct error *e = NULL;
        w->reads++;
        http_begin(r, 200, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
        for (size_t i = 0; !e && (w->mode == ENDLESS || i < w->n_series); i++) {
                buf_clear(&b);
                put_frame(&b, i);
                if (w->mode == CUTS && i + 1 == w->n_series)
                        b.n /= 2;
                e = http_write(r, buf_str(&b));
                if (!e)
                        e = http_flush(r);
                w->written += b.n;
        }
        w->reads--;
        error_free(e);
        buf_done(&b);
}

static void on_config(struct http_request *r, UNUSED void *ctx)
{
        http_reply(r, 200, "application/json", STR("{\"status\":\"success\",\"data\":{\"yaml\":\"global:\\n  external_labels: {cluster: c1}\\n\"}}"));
}

static void on_labels(struct http_request *r, void *ctx)
{
        struct world *w = ctx;
        w->labels_asked++;
        http_reply(r, 200, "application/json", STR("{\"status\":\"success\",\"data\":[\"__name__\",\"i\"]}"));
}

/* --- the world --- */

static void begin(struct world *w, size_t n_series)
{
        *w = (struct world){.n_series = n_series, .metrics = metric_registry_new()};
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "prom"}, &w->prometheus));
        http_server_handle(w->prometheus, "/x/api/v1/read", HTTP_POST, HTTP_NO_COMPRESSION, on_read, w);
        http_server_handle(w->prometheus, "/x/api/v1/status/config", HTTP_GET, 0, on_config, w);
        http_server_handle(w->prometheus, "/x/api/v1/labels", HTTP_GET, 0, on_labels, w);
        CHECK_OK(http_server_listen(w->prometheus, "127.0.0.1:0"));
        CHECK_OK(http_server_start(w->prometheus));
        char url[64], address[32];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/x/", http_server_port(w->prometheus, 0));
        struct sidecar_opts o = {.prometheus_url = url, .http = &w->conf, .min = {.ms = INT64_MIN}, .metrics = w->metrics};
        CHECK_OK(sidecar_new(&o, &w->s));
        struct prom_wait wait = {.deadline_ms = time_mono_ms() + 60000};
        CHECK_OK(sidecar_load_labels(w->s, &wait));
        sidecar_set_ready(w->s, true);
        CHECK_OK(grpc_server_new(&(struct grpc_server_opts){.name = "side"}, &w->server));
        sidecar_register(w->s, w->server);
        CHECK_OK(grpc_server_listen(w->server, "127.0.0.1:0"));
        CHECK_OK(grpc_server_start(w->server));
        snprintf(address, sizeof address, "127.0.0.1:%d", grpc_server_port(w->server));
        CHECK_OK(grpc_client_new("client", &w->client));
        CHECK_OK(grpc_channel_new(w->client, address, NULL, &w->channel));
}

static void end(struct world *w)
{
        grpc_channel_free(w->channel);
        grpc_client_free(w->client);
        grpc_server_stop(w->server, 0);
        grpc_server_free(w->server);
        sidecar_free(w->s);
        http_server_stop(w->prometheus, 0);
        http_server_free(w->prometheus);
        metric_registry_free(w->metrics);
}

static struct grpc_call *ask(struct world *w)
{
        struct buf b = BUF_INIT(1 << 10);
        struct pb_label_matcher m = {.name = STR("__name__"), .value = STR("m")};
        struct pb_series_request q = {.max_time = INT64_MAX, .matchers = {&m, 1}};
        pb_encode(&pb_series_request, &q, &b);
        struct grpc_call *c = grpc_call_start(w->channel, "/thanos.Store/Series", NULL, buf_str(&b));
        buf_done(&b);
        return c;
}

static size_t drain(struct grpc_call *c)
{
        Str m;
        size_t n = 0;
        while (grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE)
                n++;
        return n;
}

static void pause_ms(int64_t ms)
{
        struct mutex mu = MUTEX_INIT;
        struct cond never;
        cond_init(&never);
        mutex_lock(&mu);
        cond_wait_ms(&never, &mu, ms);
        mutex_unlock(&mu);
        cond_done(&never);
        mutex_done(&mu);
}

/* Until Prometheus wrote nothing for a while. */
static size_t settled(struct world *w)
{
        size_t last = w->written;
        for (int same = 0; same < 20; same++) {
                pause_ms(10);
                if (w->written != last)
                        same = 0;
                last = w->written;
        }
        return last;
}

TEST(sidecar_service, passes_all_series_on)
{
        struct world w;
        begin(&w, 300);
        struct grpc_call *c = ask(&w);
        CHECK_U64(drain(c), 300);
        CHECK_I64(grpc_call_get_status(c)->code, GRPC_OK);
        grpc_call_free(c);
        w.n_series = 0;
        c = ask(&w);
        CHECK_U64(drain(c), 0);
        CHECK_I64(grpc_call_get_status(c)->code, GRPC_OK);
        grpc_call_free(c);
        end(&w);
}

TEST(sidecar_service, prometheus_waits_for_a_slow_client)
{
        struct world w;
        begin(&w, 4000); /* 200 MB */
        struct grpc_call *c = ask(&w);
        Str m;
        CHECK(grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE);
        size_t before = settled(&w);
        CHECK_MSG(before < (size_t)4000 * SERIES_BYTES / 2, "%zu bytes were taken for a client that took one message", before);
        CHECK_U64(drain(c), 3999);
        CHECK_I64(grpc_call_get_status(c)->code, GRPC_OK);
        grpc_call_free(c);
        end(&w);
}

TEST(sidecar_service, a_client_that_leaves_ends_the_read)
{
        struct world w;
        begin(&w, 1);
        w.mode = ENDLESS;
        struct grpc_call *c = ask(&w);
        Str m;
        for (int i = 0; i < 100; i++)
                CHECK(grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE);
        grpc_call_free(c);
        while (w.reads)
                pause_ms(1);
        w.mode = FINE;
        c = ask(&w);
        CHECK_U64(drain(c), 1);
        grpc_call_free(c);
        end(&w);
}

TEST(sidecar_service, many_at_once_and_a_cut_answer)
{
        struct world w;
        struct grpc_call *c[20];
        begin(&w, 50);
        for (size_t i = 0; i < ARRAY_LEN(c); i++)
                c[i] = ask(&w);
        for (size_t i = 0; i < ARRAY_LEN(c); i++) {
                CHECK_U64(drain(c[i]), 50);
                grpc_call_free(c[i]);
        }
        w.mode = CUTS;
        c[0] = ask(&w);
        CHECK(drain(c[0]) <= 49);
        CHECK_I64(grpc_call_get_status(c[0])->code, GRPC_UNKNOWN);
        CHECK_STR(str_from(grpc_call_get_status(c[0])->message), "next proto: unexpected EOF");
        grpc_call_free(c[0]);
        end(&w);
}

TEST(sidecar_service, a_prometheus_that_is_away_is_told)
{
        struct world w;
        begin(&w, 50);
        char want[200];
        int port = http_server_port(w.prometheus, 0);
        http_server_stop(w.prometheus, 0);
        http_server_free(w.prometheus);
        w.prometheus = NULL;
        struct grpc_call *c = ask(&w);
        CHECK_U64(drain(c), 0);
        snprintf(want, sizeof want, "query Prometheus: send request: Post \"http://127.0.0.1:%d/x/api/v1/read\": dial tcp 127.0.0.1:%d: connect: connection refused", port, port);
        CHECK_STR(str_from(grpc_call_get_status(c)->message), want);
        grpc_call_free(c);
        struct prom_wait wait = {.deadline_ms = time_mono_ms() + 60000};
        struct error *e = sidecar_load_labels(w.s, &wait);
        CHECK(e && strstr(error_str(e), "connection refused"));
        error_free(e);
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK_STR(labels_get(sidecar_labels(w.s, &a), STR("cluster")), "c1"); /* what was known stays */
        arena_done(&a);
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "prom"}, &w.prometheus));
        end(&w);
}
