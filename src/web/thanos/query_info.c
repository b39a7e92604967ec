/* SPDX-License-Identifier: Apache-2.0 */
/* query_info.c — stores, and below status/: flags, runtimeinfo, buildinfo. */
#include <unistd.h>

#include "base/thread.h"
#include "codec/json.h"
#include "web/thanos/query_api_impl.h"

/* --- stores --- */

static void put_store(struct buf *b, const struct endpoint *ep)
{
        buf_putc(b, '{');
        json_put_member(b, "name", ep->address);
        buf_puts(b, ",\"lastCheck\":");
        json_put_time_ns(b, ep->last_check_ms * 1000000);
        buf_puts(b, ",\"lastError\":");
        if (ep->last_error.n)
                json_put_api_str(b, ep->last_error);
        else
                buf_puts(b, "null");
        buf_puts(b, ",\"labelSets\":[");
        for (size_t i = 0; i < ep->n_label_sets; i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_labels(b, ep->label_sets[i]);
        }
        buf_printf(b, "],\"minTime\":%lld,\"maxTime\":%lld}", (long long)ep->mint_ms, (long long)ep->maxt_ms);
}

static int type_cmp(const void *a, const void *b)
{
        const struct endpoint *x = *(const struct endpoint *const *)a, *y = *(const struct endpoint *const *)b;
        int c = str_cmp(x->type, y->type);
        return c ? c : x < y ? -1 : x > y;
}

/* By what they are; inside in the order of their addresses. What never answered is of no kind, and not told. */
static void stores(struct api *a)
{
        struct endpoint_list *l = endpoints_get(query_api_of(a)->o.core->endpoints);
        const struct endpoint **v = arena_array(a->r->arena, const struct endpoint *, l->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++)
                if (l->v[i].type.n)
                        v[n++] = &l->v[i];
        if (n > 1)
                qsort(v, n, sizeof *v, type_cmp);
        struct buf *b = &a->out;
        api_begin(a);
        buf_putc(b, '{');
        for (size_t i = 0; i < n; i++) {
                bool first = i == 0 || !str_eq(v[i]->type, v[i - 1]->type);
                if (first) {
                        buf_puts(b, i ? "]," : "");
                        json_put_api_str(b, v[i]->type);
                        buf_puts(b, ":[");
                } else {
                        buf_putc(b, ',');
                }
                put_store(b, v[i]);
                api_flush(a);
        }
        buf_puts(b, n ? "]}" : "}");
        query_api_end(a, NULL, 0);
        endpoint_list_unref(l);
}

/* --- status --- */

static int flag_cmp(const void *a, const void *b)
{
        return strcmp(((const struct web_flag *)a)->name, ((const struct web_flag *)b)->name);
}

static void flags(struct api *a)
{
        const struct query_api_opts *o = &query_api_of(a)->o;
        struct web_flag *v = arena_array(a->r->arena, struct web_flag, o->n_flags + 1);
        if (o->n_flags) {
                memcpy(v, o->flags, o->n_flags * sizeof *v);
                qsort(v, o->n_flags, sizeof *v, flag_cmp);
        }
        api_begin(a);
        buf_putc(&a->out, '{');
        for (size_t i = 0; i < o->n_flags; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                json_put_member(&a->out, v[i].name, str_from(v[i].value));
        }
        buf_putc(&a->out, '}');
        query_api_end(a, NULL, 0);
}

static void runtimeinfo(struct api *a)
{
        char cwd[4096];
        struct buf *b = &a->out;
        const char *gogc = getenv("GOGC"), *godebug = getenv("GODEBUG");
        api_begin(a);
        buf_puts(b, "{\"startTime\":");
        json_put_time_ns(b, query_api_of(a)->start_ms * 1000000);
        buf_putc(b, ',');
        json_put_member(b, "CWD", str_from(getcwd(cwd, sizeof cwd) ? cwd : "<error retrieving current working directory>"));
        /* No goroutines here: workers for calls and queries are what comes closest. */
        buf_printf(b, ",\"goroutineCount\":%d,\"GOMAXPROCS\":%d,", cpu_count(), cpu_count());
        json_put_member(b, "GOGC", str_from(gogc ? gogc : ""));
        buf_putc(b, ',');
        json_put_member(b, "GODEBUG", str_from(godebug ? godebug : ""));
        buf_putc(b, '}');
        query_api_end(a, NULL, 0);
}

static void buildinfo(struct api *a)
{
        const struct query_api_opts *o = &query_api_of(a)->o;
        api_begin(a);
        json_put_buildinfo(&a->out, o->version, o->revision, o->branch, o->build_user, o->build_date);
        query_api_end(a, NULL, 0);
}

void query_api_info_register(struct query_api *q)
{
        query_api_handle(q, "stores", HTTP_GET, stores);
        query_api_handle(q, "status/flags", HTTP_GET, flags);
        query_api_handle(q, "status/runtimeinfo", HTTP_GET, runtimeinfo);
        query_api_handle(q, "status/buildinfo", HTTP_GET, buildinfo);
}
