/* SPDX-License-Identifier: Apache-2.0 */
#include "app/thanos_blocks.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "codec/json.h"
#include "model/duration.h"

enum { ANSWER_MAX_BYTES = 256 << 20 };

struct blocks_api {
        struct bucket_store *s;
        const char *label;
        bool sends_cors;
        struct mutex mu; /* guards: */
        TimeMs refreshed_ms;
        char *error; /* NULL: none */
};

/* White space between tokens goes. */
static void put_compact(struct buf *b, Str json)
{
        bool in_string = false;
        for (size_t i = 0; i < json.n; i++) {
                char c = json.p[i];
                if (in_string && c == '\\' && i + 1 < json.n) {
                        buf_putc(b, c);
                        c = json.p[++i];
                } else if (c == '"') {
                        in_string = !in_string;
                } else if (!in_string && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
                        continue;
                }
                buf_putc(b, c);
        }
}

static void put_blocks(struct blocks_api *a, struct buf *b)
{
        ThanosMetaVec metas = VEC_INIT;
        struct buf one = BUF_INIT(2 * THANOS_META_MAX_BYTES);
        bucket_store_metas(a->s, &metas);
        buf_putc(b, '[');
        for (size_t i = 0; i < metas.n; i++) {
                buf_clear(&one);
                thanos_meta_print(&one, metas.p[i]);
                if (i)
                        buf_putc(b, ',');
                put_compact(b, buf_str(&one));
                thanos_meta_unref(metas.p[i]);
        }
        buf_putc(b, ']');
        vec_done(&metas);
        buf_done(&one);
}

static void on_blocks(struct http_request *r, void *ctx)
{
        struct blocks_api *a = ctx;
        struct http_form form;
        struct buf b = BUF_INIT(ANSWER_MAX_BYTES);
        if (a->sends_cors) {
                http_set_header(r, "Access-Control-Allow-Headers",
                                STR("Accept, Accept-Encoding, Authorization, Content-Type, Origin"));
                http_set_header(r, "Access-Control-Allow-Methods", STR("GET, OPTIONS"));
                http_set_header(r, "Access-Control-Allow-Origin", STR("*"));
                http_set_header(r, "Access-Control-Expose-Headers", STR("Date"));
        }
        if (r->method == HTTP_OPTIONS) {
                http_reply(r, 204, NULL, STR(""));
                return;
        }
        struct error *e = http_request_form(r, &form);
        if (e) {
                http_replyf(r, 400, "application/json",
                            "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"%s\"}\n", "invalid form");
                error_free(e);
                return;
        }
        /* Only what is loaded is looked at here; a global view is the compactor's. */
        bool is_global = str_eq(http_form_get(&form, STR("view")), STR("global"));
        buf_puts(&b, "{\"status\":\"success\",\"data\":{\"label\":");
        json_put_api_str(&b, str_from(a->label));
        buf_puts(&b, ",\"blocks\":");
        if (is_global)
                buf_puts(&b, "[]");
        else
                put_blocks(a, &b);
        buf_puts(&b, ",\"refreshedAt\":\"");
        mutex_lock(&a->mu);
        if (a->refreshed_ms && !is_global)
                buf_put_rfc3339(&b, a->refreshed_ms);
        else
                buf_puts(&b, "0001-01-01T00:00:00Z");
        buf_puts(&b, "\",\"err\":");
        if (a->error && !is_global)
                json_put_api_str(&b, str_from(a->error));
        else
                buf_puts(&b, "null");
        mutex_unlock(&a->mu);
        buf_puts(&b, "}}\n");
        if (buf_is_over(&b))
                http_reply(r, 500, "text/plain; charset=utf-8", STR("more blocks than an answer can hold\n"));
        else
                http_reply(r, 200, "application/json", buf_str(&b));
        buf_done(&b);
}

struct blocks_api *blocks_api_new(struct http_server *server, struct bucket_store *s, const char *label,
                                  bool sends_cors)
{
        struct blocks_api *a = mem_new(struct blocks_api);
        a->s = s;
        a->label = label;
        a->sends_cors = sends_cors;
        mutex_init(&a->mu);
        http_server_handle(server, "/api/v1/blocks", HTTP_GET | HTTP_OPTIONS, 0, on_blocks, a);
        return a;
}

void blocks_api_free(struct blocks_api *a)
{
        if (!a)
                return;
        free(a->error);
        mutex_done(&a->mu);
        free(a);
}

void blocks_api_refreshed(struct blocks_api *a, const struct error *e)
{
        mutex_lock(&a->mu);
        free(a->error);
        a->error = e ? mem_strdup(error_str(e)) : NULL;
        a->refreshed_ms = time_now_ms();
        mutex_unlock(&a->mu);
}
