/* SPDX-License-Identifier: Apache-2.0 */
/* service_fan.c — thanos.Rules, Targets, Metadata, Exemplars of the querier: what all servers say, one message after the other. */
#include "thanos/query/fan.h"
#include "thanos/query/service_impl.h"

struct forward {
        struct fan f;
        struct grpc_stream *st;
        Str request;
        struct grpc_pair tenant;
        VEC(Str) messages; /* warnings go first, as upstream sends them while it gathers */
        bool (*warning)(Str message, struct arena *a, Str *ret);
};

static void forward_init(struct forward *x, struct query_service *s, struct grpc_stream *st, int32_t strategy)
{
        *x = (struct forward){.st = st, .tenant = service_tenant(st)};
        fan_init(&x->f, s->o.core->endpoints);
        int64_t left = grpc_time_left_ms(st);
        x->f.partial_response = strategy == PB_STRATEGY_WARN;
        x->f.timeout_ms = left == INT64_MAX ? s->o.core->timeout_ms : MAX(left, (int64_t)1);
        x->f.response_timeout_ms = s->o.core->response_timeout_ms;
        x->f.cancel = grpc_cancel_flag(st);
        x->f.metadata = &x->tenant;
        x->f.n_metadata = 1;
}

static bool same_request(void *ctx, UNUSED const struct endpoint *ep, UNUSED struct arena *a, Str *ret)
{
        *ret = ((struct forward *)ctx)->request;
        return true;
}

/* Field 2 of all four answers is the warning. */
static struct error *take(void *ctx, Str message)
{
        struct forward *x = ctx;
        struct pb_rules_response w = {0};
        static const struct pb_field field = {
                .number = 2, .kind = PB_STR, .flags = PB_PRESENT, .offset = offsetof(struct pb_rules_response, warning), .name = "warning"};
        static const struct pb_message only_warning = {"answer", sizeof(struct pb_rules_response), &field, 1};
        struct error *e = pb_decode(&only_warning, message, &x->f.answers, &w);
        if (!e && w.warning.p)
                return fan_warn(&x->f, w.warning);
        if (!e)
                vec_push(&x->messages, message);
        return e;
}

static void forward_end(struct forward *x, struct error *take_e, int code)
{
        for (size_t i = 0; !take_e && i < x->f.warnings.n; i++) {
                struct pb_rules_response w = {.warning = x->f.warnings.p[i]};
                take_e = service_send(x->st, &pb_rules_response, &w);
        }
        for (size_t i = 0; !take_e && i < x->messages.n; i++)
                take_e = grpc_send(x->st, x->messages.p[i]);
        service_fail(x->st, take_e, code);
        vec_done(&x->messages);
        fan_done(&x->f);
}

static void forward_all(struct query_service *s, struct grpc_stream *st, enum fan_api api, const struct pb_message *m,
                        const void *request, int32_t strategy)
{
        struct forward x;
        forward_init(&x, s, st, strategy);
        x.request = fan_encode(&x.f.merged, m, request);
        forward_end(&x, fan_out(&x.f, &(struct fan_ask){api, same_request, take, &x}), GRPC_UNKNOWN);
}

void service_rules(struct grpc_stream *st, void *ctx)
{
        struct pb_rules_request r = {0};
        if (service_recv(st, &pb_rules_request, &r))
                forward_all(ctx, st, FAN_RULES, &pb_rules_request, &r, r.partial_response_strategy);
}

void service_targets(struct grpc_stream *st, void *ctx)
{
        struct pb_targets_request r = {0};
        if (service_recv(st, &pb_targets_request, &r))
                forward_all(ctx, st, FAN_TARGETS, &pb_targets_request, &r, r.partial_response_strategy);
}

void service_metadata(struct grpc_stream *st, void *ctx)
{
        struct pb_metadata_request r = {0};
        if (service_recv(st, &pb_metadata_request, &r))
                forward_all(ctx, st, FAN_METADATA, &pb_metadata_request, &r, r.partial_response_strategy);
}

struct forward_exemplars {
        struct forward base;
        struct fan_exemplars_ask ask;
};

static bool exemplars_request(void *ctx, const struct endpoint *ep, struct arena *a, Str *ret)
{
        return fan_exemplars_request(&((struct forward_exemplars *)ctx)->ask, ep, a, ret);
}

void service_exemplars(struct grpc_stream *st, void *ctx)
{
        struct query_service *s = ctx;
        struct pb_exemplars_request r = {0};
        struct forward_exemplars x = {0};
        bool any = false;
        if (!service_recv(st, &pb_exemplars_request, &r))
                return;
        forward_init(&x.base, s, st, r.partial_response_strategy);
        struct error *e = fan_exemplars_prepare(&x.base.f, engine_parse_opts(s->o.core->engine), &r, s->o.selector_labels, &x.ask, &any);
        if (!e && any)
                e = fan_out(&x.base.f, &(struct fan_ask){FAN_EXEMPLARS, exemplars_request, take, &x});
        fan_exemplars_done(&x.ask);
        forward_end(&x.base, e, GRPC_UNKNOWN);
}
