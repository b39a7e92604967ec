/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_alert_template.c — a text as an alert's template, over labels and a query that answers two series: no crash, bounded time and memory, and what
 * parses once parses again. */
#include <stdint.h>

#include "alert/template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *query(void *ctx, Str text, TimeMs at, struct query_result *ret)
{
        static const Label labels[] = {{STR_INIT("instance"), STR_INIT("a:1")}, {STR_INIT("job"), STR_INIT("x")}};
        static const double one = 1;
        if (text.n == 0)
                return error_new(ERROR_INVALID, "no query");
        struct arena *a = mem_new(struct arena);
        arena_init(a, 1 << 20);
        struct result_series *s = arena_zalloc(a, 2 * sizeof *s);
        s[0] = (struct result_series){.labels = {labels, 2}, .v = &one, .n = 1};
        s[1] = (struct result_series){.labels = {labels, 1}, .v = &one, .n = 1};
        *ret = (struct query_result){.type = VALUE_VECTOR, .series = s, .n_series = 2, .arena = a};
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const Label labels[] = {{STR_INIT("instance"), STR_INIT("a.b:1")}, {STR_INIT("job"), STR_INIT("node")}};
        if (size > 4096)
                return 0;
        struct alert_template *t;
        struct error *e = alert_template_new(STR("A"), (Str){(const char *)data, size}, &t);
        if (e) {
                error_ignore(e, "an error is an answer");
                return 0;
        }
        struct alert_template_data d = {.labels = {labels, 2}, .external_url = STR("http://h/p"), .value = 1.5};
        struct prom_template_env env = {.at_ms = 1000, .external_url = STR("http://h/p"), .query = query};
        struct buf out = BUF_INIT(1 << 20);
        error_ignore(alert_template_expand(t, &d, &env, &out), "an error is an answer");
        buf_done(&out);
        alert_template_free(t);
        return 0;
}
