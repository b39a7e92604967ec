/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/scrape/target.h"

#include <stdio.h>

#include "base/hash.h"
#include "codec/quote.h"
#include "model/duration.h"

static Str duration_str(struct arena *a, int64_t ms)
{
        char text[64];
        struct buf b = BUF_INIT(sizeof text);
        buf_put_duration(&b, ms);
        Str s = arena_str(a, buf_str(&b));
        buf_done(&b);
        return s;
}

static void set_default(struct labels_builder *b, Str name, Str value)
{
        if (str_is_empty(labels_builder_get(b, name)))
                labels_builder_set(b, name, value);
}

static void builder_discovered(struct labels_builder *b, const struct scrape_conf *c, const struct target_group *g,
                               size_t i, struct arena *a)
{
        labels_builder_reset(b, (Labels){NULL, 0});
        Labels own = g->targets[i];
        for (size_t k = 0; k < g->labels.n; k++)
                labels_builder_set(b, g->labels.v[k].name, g->labels.v[k].value);
        for (size_t k = 0; k < own.n; k++)
                labels_builder_set(b, own.v[k].name, own.v[k].value);

        set_default(b, STR("job"), c->job_name);
        set_default(b, STR(LABEL_SCRAPE_INTERVAL), duration_str(a, c->interval_ms));
        set_default(b, STR(LABEL_SCRAPE_TIMEOUT), duration_str(a, c->timeout_ms));
        set_default(b, STR(LABEL_METRICS_PATH), c->metrics_path);
        set_default(b, STR(LABEL_SCHEME), c->scheme);
        set_default(b, STR("__convert_classic_histograms_to_nhcb__"),
                    c->convert_classic_histograms_to_nhcb ? STR("true") : STR("false"));
        set_default(b, STR("__always_scrape_classic_histograms__"),
                    c->always_scrape_classic_histograms ? STR("true") : STR("false"));
        set_default(b, STR("__scrape_native_histograms__"), c->scrape_native_histograms ? STR("true") : STR("false"));
        for (size_t k = 0; k < c->n_params; k++)
                if (c->params[k].n_values > 0)
                        set_default(b, arena_printf(a, LABEL_PARAM_PREFIX STR_FMT, STR_ARG(c->params[k].key)),
                                    c->params[k].values[0]);
}

Labels target_discovered_labels(const struct scrape_conf *c, const struct target_group *g, size_t i, struct arena *a)
{
        struct labels_builder b;
        labels_builder_init(&b);
        builder_discovered(&b, c, g, i, a);
        Labels ls = labels_builder_labels(&b, a);
        labels_builder_done(&b);
        return ls;
}

static struct error *quoted_error(const char *fmt_before, Str s, const char *after)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, fmt_before);
        buf_put_go_quoted(&b, s);
        buf_puts(&b, after);
        struct error *e = error_new(ERROR_INVALID, STR_FMT, STR_ARG(buf_str(&b)));
        buf_done(&b);
        return e;
}

/* Go's strconv.ParseBool. */
static bool go_bool(Str s, bool *ret)
{
        static const char *const words[] = {"1", "t", "T", "TRUE",  "true",  "True",
                                            "0", "f", "F", "FALSE", "false", "False"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (str_eq(s, str_from(words[i]))) {
                        *ret = i < ARRAY_LEN(words) / 2;
                        return true;
                }
        return false;
}

static bool bool_label(Labels all, Str name, bool otherwise)
{
        bool v;
        return go_bool(labels_get(all, name), &v) ? v : otherwise;
}

struct expo_histograms scrape_target_histograms(const struct scrape_conf *c, Labels all)
{
        return (struct expo_histograms){
                .no_native = !bool_label(all, STR("__scrape_native_histograms__"), c->scrape_native_histograms),
                .keep_classic = bool_label(all, STR("__always_scrape_classic_histograms__"),
                                           c->always_scrape_classic_histograms),
                .to_custom = bool_label(all, STR("__convert_classic_histograms_to_nhcb__"),
                                        c->convert_classic_histograms_to_nhcb),
        };
}

static struct error *check_times(const struct labels_builder *b)
{
        Str interval = labels_builder_get(b, STR(LABEL_SCRAPE_INTERVAL));
        int64_t interval_ms = 0, timeout_ms = 0;
        struct error *e = duration_parse(interval, &interval_ms);
        if (e)
                return error_wrap(e, "error parsing scrape interval");
        if (interval_ms == 0)
                return error_new(ERROR_INVALID, "scrape interval cannot be 0");
        Str timeout = labels_builder_get(b, STR(LABEL_SCRAPE_TIMEOUT));
        e = duration_parse(timeout, &timeout_ms);
        if (e)
                return error_wrap(e, "error parsing scrape timeout");
        if (timeout_ms == 0)
                return error_new(ERROR_INVALID, "scrape timeout cannot be 0");
        if (timeout_ms > interval_ms)
                return error_new(ERROR_INVALID,
                                 "scrape timeout cannot be greater than scrape interval (\"" STR_FMT "\" > \"" STR_FMT
                                 "\")",
                                 STR_ARG(timeout), STR_ARG(interval));
        return NULL;
}

static struct error *check_bools(const struct labels_builder *b)
{
        static const struct {
                Str name;
                const char *what;
        } flags[] = {
                {STR_INIT("__convert_classic_histograms_to_nhcb__"), "convert classic histograms to nhcb"},
                {STR_INIT("__always_scrape_classic_histograms__"), "always scrape classic histograms"},
                {STR_INIT("__scrape_native_histograms__"), "scrape native histograms"},
        };
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
                Str v = labels_builder_get(b, flags[i].name);
                bool ignored;
                if (!str_is_empty(v) && !go_bool(v, &ignored))
                        return error_wrap(quoted_error("strconv.ParseBool: parsing ", v, ": invalid syntax"),
                                          "error parsing %s", flags[i].what);
        }
        return NULL;
}

struct error *target_labels(const struct scrape_conf *c, const struct target_group *g, size_t i, struct arena *a,
                            Labels *ret)
{
        struct error *e = NULL;
        struct labels_builder b;
        labels_builder_init(&b);
        builder_discovered(&b, c, g, i, a);

        Labels result = {NULL, 0};
        if (!relabel_process(c->relabel, c->n_relabel, &b, a))
                goto out;
        Str address = labels_builder_get(&b, STR(LABEL_ADDRESS));
        if (str_is_empty(address)) {
                e = error_new(ERROR_INVALID, "no address");
                goto out;
        }
        if (str_find(address, '/') >= 0) {
                e = quoted_error("", address, " is not a valid hostname");
                goto out;
        }
        e = check_times(&b);
        if (e)
                goto out;
        e = check_bools(&b);
        if (e)
                goto out;

        Labels now = labels_builder_labels(&b, a);
        for (size_t k = 0; k < now.n; k++)
                if (str_has_prefix(now.v[k].name, STR("__meta_")))
                        labels_builder_del(&b, now.v[k].name);
        set_default(&b, STR("instance"), address);
        now = labels_builder_labels(&b, a);
        for (size_t k = 0; k < now.n; k++)
                if (!utf8_is_valid(now.v[k].value)) {
                        struct buf t = BUF_INIT(BUF_NO_LIMIT);
                        buf_puts(&t, "invalid label value for ");
                        buf_put_go_quoted(&t, now.v[k].name);
                        buf_puts(&t, ": ");
                        buf_put_go_quoted(&t, now.v[k].value);
                        e = error_new(ERROR_INVALID, STR_FMT, STR_ARG(buf_str(&t)));
                        buf_done(&t);
                        goto out;
                }
        result = now;
out:
        labels_builder_done(&b);
        if (!e)
                *ret = result;
        return e;
}

Labels target_public_labels(Labels all, struct arena *a)
{
        Label *v = arena_array(a, Label, all.n);
        size_t n = 0;
        for (size_t i = 0; i < all.n; i++)
                if (!str_has_prefix(all.v[i].name, STR("__")))
                        v[n++] = all.v[i];
        return (Labels){v, n};
}

/* Go's url.QueryEscape. */
static void put_query_escaped(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    c == '_' || c == '.' || c == '~')
                        buf_putc(b, (char)c);
                else if (c == ' ')
                        buf_putc(b, '+');
                else
                        buf_printf(b, "%%%02X", c);
        }
}

/* Go's escaping of URL.Path. */
static void put_path_escaped(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c != 0 && strchr("-_.~$&+,/:;=@", c)))
                        buf_putc(b, (char)c);
                else
                        buf_printf(b, "%%%02X", c);
        }
}

static void put_param(struct buf *b, bool *first, Str key, Str value)
{
        buf_putc(b, *first ? '?' : '&');
        *first = false;
        put_query_escaped(b, key);
        buf_putc(b, '=');
        put_query_escaped(b, value);
}

Str target_url(const struct scrape_conf *c, Labels all, struct arena *a)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        Str host = labels_get(all, STR(LABEL_ADDRESS));
        if (str_is_empty(host) && labels_has(all, STR("__unix_socket__")))
                host = STR("localhost");
        buf_put(&b, labels_get(all, STR(LABEL_SCHEME)));
        buf_puts(&b, "://");
        buf_put(&b, host);
        Str path = labels_get(all, STR(LABEL_METRICS_PATH));
        if (path.n > 0 && path.p[0] != '/')
                buf_putc(&b, '/');
        put_path_escaped(&b, path);

        /* Both lists are ascending by key: merge them; a label replaces the first value of its key. */
        Str prefix = STR(LABEL_PARAM_PREFIX);
        bool first = true;
        size_t k = 0, p = 0;
        for (;;) {
                while (k < all.n && !str_has_prefix(all.v[k].name, prefix))
                        k++;
                if (k == all.n && p == c->n_params)
                        break;
                Str label = k < all.n ? str_skip(all.v[k].name, prefix.n) : (Str){NULL, 0};
                int cmp = k == all.n ? 1 : p == c->n_params ? -1 : str_cmp(label, c->params[p].key);
                if (cmp < 0) {
                        put_param(&b, &first, label, all.v[k++].value);
                        continue;
                }
                const struct scrape_param *sp = &c->params[p++];
                size_t from = 0;
                if (cmp == 0) {
                        put_param(&b, &first, label, all.v[k++].value);
                        from = 1;
                }
                for (size_t v = from; v < sp->n_values; v++)
                        put_param(&b, &first, sp->key, sp->values[v]);
        }
        Str url = arena_str(a, buf_str(&b));
        buf_done(&b);
        return url;
}

uint64_t target_hash(Labels all, Str url)
{
        char number[32];
        int n = snprintf(number, sizeof number, "%016llu", (unsigned long long)labels_hash(all));
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_append(&b, number, (size_t)n);
        buf_put(&b, url);
        uint64_t h = hash_fnv64a(b.p, b.n);
        buf_done(&b);
        return h;
}

int64_t target_offset_ns(uint64_t hash, uint64_t seed, int64_t interval_ns, int64_t now_ns)
{
        int64_t base = interval_ns - now_ns % interval_ns;
        int64_t next = base + (int64_t)((hash ^ seed) % (uint64_t)interval_ns);
        return next > interval_ns ? next - interval_ns : next;
}

uint64_t target_offset_seed(Str hostname, Labels external)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put(&b, hostname);
        labels_print(&b, external);
        uint64_t h = hash_fnv64a(b.p, b.n);
        buf_done(&b);
        return h;
}

static const char *protocol_media_type(enum scrape_protocol p)
{
        switch (p) {
        case SCRAPE_OPENMETRICS_1_0_0:
                return "application/openmetrics-text;version=1.0.0";
        case SCRAPE_OPENMETRICS_0_0_1:
                return "application/openmetrics-text;version=0.0.1";
        case SCRAPE_TEXT_1_0_0:
                return "text/plain;version=1.0.0";
        case SCRAPE_TEXT_0_0_4:
                return "text/plain;version=0.0.4";
        case SCRAPE_PROTOBUF:
                return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        case SCRAPE_PROTOCOL_NONE:
                break;
        }
        return "";
}

void scrape_accept_header(const struct scrape_conf *c, struct buf *b)
{
        int weight = SCRAPE_PROTOCOLS_MAX + 1;
        for (size_t i = 0; i < c->n_protocols; i++) {
                enum scrape_protocol p = c->protocols[i];
                buf_puts(b, protocol_media_type(p));
                if (p == SCRAPE_TEXT_1_0_0 || p == SCRAPE_OPENMETRICS_1_0_0)
                        buf_printf(b, ";escaping=%s", name_escaping_name(c->name_escaping));
                buf_printf(b, ";q=0.%d,", weight--);
        }
        buf_printf(b, "*/*;q=0.%d", weight);
}

Str scrape_fallback_media_type(enum scrape_protocol p)
{
        Str full = str_from(protocol_media_type(p)), head, tail;
        return str_cut(full, ';', &head, &tail) ? head : full;
}
