/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_thanos_sidecar.c — any bytes as an answer to the sidecar's remote read: an error, or series that go out sorted, with the external labels. */
#include "thanos/sidecar/sidecar_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct checker {
        struct store_sink sink;
        struct arena arena; /* of the last series */
        Labels last;
};

static struct error *check(struct store_sink *s, Str message)
{
        struct checker *c = CONTAINER_OF(s, struct checker, sink);
        struct arena a;
        struct pb_series_response r = {0};
        arena_init(&a, 256 << 20);
        struct error *e = pb_decode(&pb_series_response, message, &a, &r);
        if (e || !r.series)
                bug("no message of ours: %s", error_str(e));
        Label *l = arena_array(&a, Label, r.series->labels.n + 1);
        for (size_t i = 0; i < r.series->labels.n; i++)
                l[i] = (Label){r.series->labels.v[i].name, r.series->labels.v[i].value};
        Labels full = {l, r.series->labels.n};
        for (size_t i = 1; i < full.n; i++)
                if (str_cmp(l[i - 1].name, l[i].name) >= 0)
                        bug("labels are not sorted");
        if (!str_eq(labels_get(full, STR("cluster")), STR("c1")) || labels_has(full, STR("replica")))
                bug("external labels");
        if (labels_cmp(c->last, full) > 0)
                bug("series are not sorted");
        arena_clear(&c->arena);
        c->last = labels_dup(&c->arena, full);
        arena_done(&a);
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const Label external[] = {{STR_INIT("cluster"), STR_INIT("c1")}, {STR_INIT("replica"), STR_INIT("r0")}};
        static const Str without[] = {STR_INIT("replica")};
        for (int mode = 0; mode < 4; mode++) {
                struct checker c = {.sink.send = check};
                arena_init(&c.arena, 256 << 20);
                struct order_opts o = {.sink = &c.sink, .external = {external, 2}, .without = without, .n_without = 1, .gathers = mode & 1};
                struct order *order = order_new(&o);
                struct error *e = sidecar_take_message(order, (Str){(const char *)data, size}, mode & 2);
                if (!e)
                        e = order_end(order);
                error_free(e);
                order_free(order);
                arena_done(&c.arena);
        }
        return 0;
}
