/* SPDX-License-Identifier: Apache-2.0 */
/* probes.c — /-/healthy, /-/ready, /-/reload, /-/quit, /metrics, /version, /host/metrics. */
#include "collect/host/host.h"
#include "web/serve.h"

#define TEXT "text/plain; charset=utf-8"
enum { METRICS_MAX_BYTES = 64 << 20 };

static void healthy(struct http_request *r, void *ctx)
{
        http_reply(r, 200, TEXT, STR("Prometheus Server is Healthy.\n"));
}

static void ready(struct http_request *r, void *ctx)
{
        http_reply(r, 200, TEXT, STR("Prometheus Server is Ready.\n"));
}

/* False: answered. */
static bool lifecycle(struct web *w, struct http_request *r)
{
        if (!(r->method & (HTTP_POST | HTTP_PUT)))
                http_reply(r, 405, TEXT, STR("Only POST or PUT requests allowed"));
        else if (!w->o.enable_lifecycle)
                http_reply(r, 403, TEXT, STR("Lifecycle API is not enabled."));
        else
                return true;
        return false;
}

static void reload(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        if (!lifecycle(w, r))
                return;
        struct error *e = w->o.reload(w->o.app);
        if (e)
                http_replyf(r, 500, TEXT, "failed to reload config: %s\n", error_str(e));
        else
                http_reply(r, 200, NULL, STR(""));
        error_free(e);
}

static void quit(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        if (!lifecycle(w, r))
                return;
        http_reply(r, 200, TEXT, STR("Requesting termination... Goodbye!"));
        w->o.quit(w->o.app);
}

static void metrics(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        struct buf b = BUF_INIT(METRICS_MAX_BYTES);
        metric_write_text(w->o.metrics, &b);
        http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", buf_str(&b));
        buf_done(&b);
}

static void host_metrics(struct http_request *r, void *ctx)
{
        struct buf b = BUF_INIT(METRICS_MAX_BYTES);
        host_collect(&b);
        http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
        buf_done(&b);
}

static void version(struct http_request *r, void *ctx)
{
        struct buf b = BUF_INIT(1 << 16);
        web_put_buildinfo(ctx, &b);
        buf_putc(&b, '\n');
        http_reply(r, 200, TEXT, buf_str(&b));
        buf_done(&b);
}

static void handle(struct web *w, const char *path, unsigned methods, unsigned flags, http_handler *h)
{
        char *full = web_path(w, path);
        http_server_handle(w->server, full, methods, flags, h, w);
        free(full);
}

void probes_register(struct web *w)
{
        handle(w, "/-/healthy", HTTP_GET | HTTP_HEAD, HTTP_INLINE | HTTP_NO_COMPRESSION, healthy);
        handle(w, "/-/ready", HTTP_GET | HTTP_HEAD, HTTP_INLINE | HTTP_NO_COMPRESSION, ready);
        handle(w, "/-/reload", HTTP_GET | HTTP_POST | HTTP_PUT, HTTP_NO_COMPRESSION, reload);
        handle(w, "/-/quit", HTTP_GET | HTTP_POST | HTTP_PUT, HTTP_NO_COMPRESSION, quit);
        handle(w, "/metrics", HTTP_GET, 0, metrics);
        handle(w, "/version", HTTP_GET, 0, version);
        if (w->o.host_metrics)
                handle(w, "/host/metrics", HTTP_GET, 0, host_metrics);
}
