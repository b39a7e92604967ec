/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c — the web pages: one application (index.html, its placeholders filled in) behind all page paths, its assets, and /user. */
#include "web/pages.h"

#include "base/file.h"
#include "codec/compress.h"
#include "codec/json.h"
#include "model/duration.h"
#include "web/assets.h"
#include "web/serve.h"

enum { PAGE_MAX_BYTES = 4 << 20, USER_FILE_MAX_BYTES = 64 << 20 };

struct web_pages {
        struct web_pages_opts o;
        const char *home;               /* where / leads: "/query" */
};

static const char *prefix_of(const struct web_pages *p)
{
        return !p->o.route_prefix || strcmp(p->o.route_prefix, "/") == 0 ? "" : p->o.route_prefix;
}

static void html_escape(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                switch (s.p[i]) {
                case '&':
                        buf_puts(b, "&amp;");
                        break;
                case '<':
                        buf_puts(b, "&lt;");
                        break;
                case '>':
                        buf_puts(b, "&gt;");
                        break;
                case '"':
                        buf_puts(b, "&#34;");
                        break;
                default:
                        buf_putc(b, s.p[i]);
                }
        }
}

/* What the pages need to know before they ask. < and > are escaped by the JSON writer, so it cannot end its script element. */
static void boot_put(const struct web_pages *p, struct buf *b)
{
        const struct web_pages_opts *o = &p->o;
        struct buf lookback = BUF_INIT(64);
        buf_put_duration(&lookback, o->lookback_ms);
        buf_putc(b, '{');
        json_put_member(b, "role", str_from(o->role));
        buf_putc(b, ',');
        json_put_member(b, "prefix", str_from(prefix_of(p)));
        buf_putc(b, ',');
        json_put_member(b, "title", str_from(o->title));
        buf_putc(b, ',');
        json_put_member(b, "version", str_from(o->version));
        buf_putc(b, ',');
        json_put_member(b, "lookbackDelta", buf_str(&lookback));
        const struct {
                const char *name;
                bool value;
        } flags[] = {{"ready", !o->is_ready || o->is_ready(o->ctx)},
                     {"host", o->has_host},
                     {"blocks", o->has_blocks},
                     {"partialSwitch", o->has_partial_response},
                     {"partialResponse", !o->refuses_partial_response}};
        for (size_t i = 0; i < ARRAY_LEN(flags); i++)
                buf_printf(b, ",\"%s\":%s", flags[i].name, flags[i].value ? "true" : "false");
        buf_putc(b, '}');
        buf_done(&lookback);
}

/* html with the three placeholders replaced. */
static void page_fill(const struct web_pages *w, Str html, struct buf *b)
{
        static const Str base = STR_INIT("COEUS_BASE_HREF"), title = STR_INIT("COEUS_TITLE"), boot = STR_INIT("COEUS_BOOT_JSON");
        while (html.n) {
                ptrdiff_t at = str_find_str(html, STR("COEUS_"));
                if (at < 0)
                        break;
                buf_put(b, str_sub(html, 0, (size_t)at));
                html = str_skip(html, (size_t)at);
                if (str_has_prefix(html, base)) {
                        html_escape(b, str_from(prefix_of(w)));
                        buf_putc(b, '/');
                        html = str_skip(html, base.n);
                } else if (str_has_prefix(html, title)) {
                        html_escape(b, str_from(w->o.title));
                        html = str_skip(html, title.n);
                } else if (str_has_prefix(html, boot)) {
                        boot_put(w, b);
                        html = str_skip(html, boot.n);
                } else {
                        buf_putc(b, html.p[0]);
                        html = str_skip(html, 1);
                }
        }
        buf_put(b, html);
}

static void page(struct http_request *r, void *ctx)
{
        const struct web_asset *index = web_asset_find(STR("/index.html"));
        struct buf raw = BUF_INIT(PAGE_MAX_BYTES), filled = BUF_INIT(PAGE_MAX_BYTES);
        struct error *e = index ? gzip_uncompress((Str){(const char *)index->gz, index->gz_len}, &raw) : error_new(ERROR_NOT_FOUND, "no pages were built in");
        if (e) {
                http_replyf(r, 500, "text/plain; charset=utf-8", "%s\n", error_str(e));
                error_free(e);
        } else {
                page_fill(ctx, buf_str(&raw), &filled);
                http_set_header(r, "Cache-Control", STR("no-cache"));
                http_set_header(r, "Content-Security-Policy", STR("default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"));
                http_reply(r, 200, "text/html; charset=utf-8", buf_str(&filled));
        }
        buf_done(&raw);
        buf_done(&filled);
}

static void asset(struct http_request *r, void *ctx)
{
        struct web_pages *w = ctx;
        Str path = str_trim_prefix(r->path, str_from(prefix_of(w)));
        const struct web_asset *a = web_asset_find(path);
        if (!a) {
                http_reply(r, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
                return;
        }
        http_set_header(r, "ETag", str_from(a->etag));
        http_set_header(r, "Cache-Control", a->immutable ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
        if (str_eq(http_request_header(r, STR("If-None-Match")), str_from(a->etag))) {
                http_reply(r, 304, NULL, STR(""));
                return;
        }
        if (str_contains(http_request_header(r, STR("Accept-Encoding")), STR("gzip"))) {
                http_set_header(r, "Content-Encoding", STR("gzip"));
                http_reply(r, 200, a->content_type, (Str){(const char *)a->gz, a->gz_len});
                return;
        }
        struct buf raw = BUF_INIT(a->raw_len);
        struct error *e = gzip_uncompress((Str){(const char *)a->gz, a->gz_len}, &raw);
        if (e)
                http_reply(r, 500, "text/plain; charset=utf-8", STR("a page is damaged\n"));
        else
                http_reply(r, 200, a->content_type, buf_str(&raw));
        error_free(e);
        buf_done(&raw);
}

static void redirect(struct http_request *r, Str to)
{
        http_set_header(r, "Location", to);
        http_reply(r, 302, "text/html; charset=utf-8", arena_printf(r->arena, "<a href=\"" STR_FMT "\">Found</a>.\n\n", STR_ARG(to)));
}

static void root(struct http_request *r, void *ctx)
{
        redirect(r, arena_printf(r->arena, "%s%s", prefix_of(ctx), ((struct web_pages *)ctx)->home));
}

/* Old links: /graph?g0.expr=…&g0.tab=1. The page reads the old parameters itself. */
static void graph(struct http_request *r, void *ctx)
{
        redirect(r, arena_printf(r->arena, "%s/query%s" STR_FMT, prefix_of(ctx), r->raw_query.n ? "?" : "", STR_ARG(r->raw_query)));
}

/* Files of --web.user-assets: no way out of the folder. */
static void user_asset(struct http_request *r, void *ctx)
{
        struct web_pages *w = ctx;
        Str path = str_trim_prefix(str_trim_prefix(r->path, str_from(prefix_of(w))), STR("/user/"));
        char *text = NULL, *full = NULL, *name = str_dup(path);
        size_t n;
        struct error *e;
        if (str_contains(path, STR("..")) || path.n == 0 || memchr(path.p, 0, path.n))
                e = error_new(ERROR_NOT_FOUND, "404 page not found");
        else
                e = file_read(full = path_join(w->o.user_assets, name), USER_FILE_MAX_BYTES, &text, &n);
        if (e)
                http_reply(r, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
        else
                http_reply(r, 200, str_has_suffix(path, STR(".html")) ? "text/html; charset=utf-8" : "application/octet-stream", (Str){text, n});
        error_free(e);
        free(text);
        free(full);
        free(name);
}

/* Thanos' addresses of the block viewer. */
static void blocks(struct http_request *r, void *ctx)
{
        redirect(r, arena_printf(r->arena, "%s/blocks", prefix_of(ctx)));
}

struct server_pages {
        struct http_server *server;
        struct web_pages *pages;
};

static void handle(struct server_pages s, const char *path, unsigned flags, http_handler *h)
{
        struct buf full = BUF_INIT(1 << 16);
        buf_printf(&full, "%s%s", prefix_of(s.pages), path);
        http_server_handle(s.server, buf_cstr(&full), HTTP_GET, flags, h, s.pages);
        buf_done(&full);
}

static void handle_pages(struct server_pages s, const char *const *paths)
{
        for (; *paths; paths++)
                handle(s, *paths, 0, page);
}

struct web_pages *web_pages_new(struct http_server *server, const struct web_pages_opts *o)
{
        static const char *const prometheus[] = {"/query",       "/alerts",            "/targets", "/rules", "/config", "/flags", "/status",
                                                 "/tsdb-status", "/service-discovery", "/alertmanager-discovery", "/host", NULL},
                                 *const query[] = {"/query", "/stores", "/alerts", "/targets", "/rules", "/status", "/flags", NULL},
                                 *const bucket[] = {"/blocks", NULL};
        struct web_pages *p = mem_new(struct web_pages);
        p->o = *o;
        p->home = "/query";
        struct server_pages s = {server, p};
        if (strcmp(o->role, "thanos-store") == 0) {
                p->home = "/blocks";
                handle_pages(s, bucket);
                handle(s, "/loaded", 0, blocks);
        } else {
                handle_pages(s, strcmp(o->role, "thanos-query") == 0 ? query : prometheus);
                if (o->has_blocks)
                        handle_pages(s, bucket);
                handle(s, "/graph", 0, graph);
        }
        handle(s, "/", 0, root);
        if (*prefix_of(p))
                handle(s, "", 0, root);
        handle(s, "/assets/", HTTP_PREFIX, asset);
        handle(s, "/favicon.svg", 0, asset);
        handle(s, "/favicon.ico", 0, asset);
        handle(s, "/manifest.json", 0, asset);
        if (o->user_assets)
                handle(s, "/user/", HTTP_PREFIX, user_asset);
        return p;
}

void web_pages_free(struct web_pages *p)
{
        free(p);
}

/* ---- of the Prometheus server ---- */

static bool web_is_ready(void *ctx)
{
        const struct web *w = ctx;
        return w->ready; /* _Atomic */
}

void pages_register(struct web *w)
{
        w->pages = web_pages_new(w->server, &(struct web_pages_opts){.role = "prometheus", .route_prefix = w->o.route_prefix, .title = w->o.page_title,
                                                                     .version = w->o.version, .user_assets = w->o.user_assets, .lookback_ms = w->o.lookback_ms,
                                                                     .has_host = w->o.host_metrics, .has_blocks = w->o.has_blocks,
                                                                     .has_partial_response = w->o.whole_storage != NULL, .is_ready = web_is_ready, .ctx = w});
}
