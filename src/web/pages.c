/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c — the web pages: one application (index.html, its placeholders filled in) behind all page paths, its assets, and /user. */
#include <stdatomic.h>

#include "base/file.h"
#include "codec/compress.h"
#include "codec/json.h"
#include "model/duration.h"
#include "web/assets.h"
#include "web/serve.h"

enum { PAGE_MAX_BYTES = 4 << 20, USER_FILE_MAX_BYTES = 64 << 20 };

static const char *prefix_of(const struct web *w)
{
        return strcmp(w->o.route_prefix, "/") == 0 ? "" : w->o.route_prefix;
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
static void boot_put(struct web *w, struct buf *b)
{
        struct buf lookback = BUF_INIT(64);
        buf_put_duration(&lookback, w->o.lookback_ms);
        buf_puts(b, "{\"role\":\"prometheus\",");
        json_put_member(b, "prefix", str_from(prefix_of(w)));
        buf_putc(b, ',');
        json_put_member(b, "title", str_from(w->o.page_title));
        buf_putc(b, ',');
        json_put_member(b, "version", str_from(w->o.version));
        buf_putc(b, ',');
        json_put_member(b, "lookbackDelta", buf_str(&lookback));
        buf_printf(b, ",\"ready\":%s,\"host\":%s}", atomic_load(&w->ready) ? "true" : "false", w->o.host_metrics ? "true" : "false");
        buf_done(&lookback);
}

/* html with the three placeholders replaced. */
static void page_fill(struct web *w, Str html, struct buf *b)
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
                        html_escape(b, str_from(w->o.page_title));
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
        struct web *w = ctx;
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
        redirect(r, arena_printf(r->arena, "%s/query", prefix_of(ctx)));
}

/* Old links: /graph?g0.expr=…&g0.tab=1. The page reads the old parameters itself. */
static void graph(struct http_request *r, void *ctx)
{
        redirect(r, arena_printf(r->arena, "%s/query%s" STR_FMT, prefix_of(ctx), r->raw_query.n ? "?" : "", STR_ARG(r->raw_query)));
}

/* Files of --web.user-assets: no way out of the folder. */
static void user_asset(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
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

static void handle(struct web *w, const char *path, unsigned flags, http_handler *h)
{
        char *full = web_path(w, path);
        http_server_handle(w->server, full, HTTP_GET, flags, h, w);
        free(full);
}

void pages_register(struct web *w)
{
        static const char *const pages[] = {"/query", "/alerts", "/targets", "/rules", "/config", "/flags", "/status", "/tsdb-status", "/service-discovery",
                                            "/alertmanager-discovery", "/host"};
        for (size_t i = 0; i < ARRAY_LEN(pages); i++)
                handle(w, pages[i], 0, page);
        handle(w, "/", 0, root);
        if (*prefix_of(w))
                handle(w, "", 0, root);
        handle(w, "/graph", 0, graph);
        handle(w, "/assets/", HTTP_PREFIX, asset);
        handle(w, "/favicon.svg", 0, asset);
        handle(w, "/favicon.ico", 0, asset);
        handle(w, "/manifest.json", 0, asset);
        if (w->o.user_assets)
                handle(w, "/user/", HTTP_PREFIX, user_asset);
}
