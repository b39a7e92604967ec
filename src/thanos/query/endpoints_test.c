/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/endpoints.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/test.h"
#include "base/thread.h"
#include "io/grpc/server.h"
#include "thanos/storeapi/messages.h"

struct peer {
        struct grpc_server *server;
        char address[32];
        _Atomic int fails; /* 1: UNAVAILABLE, 2: bytes that are no message, 3: no answer in time */
        _Atomic int asked;
};

static void info(struct grpc_stream *st, void *ctx)
{
        struct peer *p = ctx;
        atomic_fetch_add(&p->asked, 1);
        switch (atomic_load(&p->fails)) {
        case 1:
                grpc_fail(st, GRPC_UNAVAILABLE, "not today");
                return;
        case 2:
                grpc_fail_error(st, grpc_send(st, STR("\x0a\xff\xff\xff")));
                return;
        case 3: {
                struct mutex mu = MUTEX_INIT;
                struct cond c;
                cond_init(&c);
                mutex_lock(&mu);
                while (!grpc_is_gone(st))
                        cond_wait_ms(&c, &mu, 5);
                mutex_unlock(&mu);
                cond_done(&c);
                return;
        }
        default:
                break;
        }
        struct pb_label labels[] = {{STR("replica"), STR("a")}, {STR("cluster"), STR("eu")}, {STR("empty"), STR("")}};
        struct pb_label_set set = {.labels = {labels, 3}};
        struct pb_store_info store = {.min_time = 1000, .max_time = 2000, .supports_without_replica_labels = true};
        struct pb_nothing there = {0};
        struct pb_info_response r = {
                .label_sets = {&set, 1}, .component_type = STR("sidecar"), .store = &store, .rules = &there};
        struct buf b = BUF_INIT(1 << 20);
        pb_encode(&pb_info_response, &r, &b);
        grpc_fail_error(st, grpc_send(st, buf_str(&b)));
        buf_done(&b);
}

static void peer_start(struct peer *p)
{
        CHECK_OK(grpc_server_new(&(struct grpc_server_opts){.name = "peer", .loops = 1, .workers_max = 4}, &p->server));
        grpc_server_handle(p->server, "/thanos.info.Info/Info", info, p);
        CHECK_OK(grpc_server_listen(p->server, "127.0.0.1:0"));
        CHECK_OK(grpc_server_start(p->server));
        snprintf(p->address, sizeof p->address, "127.0.0.1:%d", grpc_server_port(p->server));
}

static void peer_stop(struct peer *p)
{
        grpc_server_stop(p->server, 0);
        grpc_server_free(p->server);
        p->server = NULL;
}

static struct endpoints *endpoints_over(struct grpc_client *cl, const struct endpoint_address *v, size_t n,
                                        const struct clock *clock)
{
        struct endpoints_opts o = {.client = cl,
                                   .addresses = v,
                                   .n_addresses = n,
                                   .info_timeout_ms = 1000,
                                   .unhealthy_ms = 300000,
                                   .channel = &(struct grpc_channel_opts){.backoff_ms = 1, .backoff_max_ms = 1},
                                   .clock = clock};
        struct endpoints *es;
        CHECK_OK(endpoints_new(&o, &es));
        return es;
}

static void address_case(const char *address, bool strict, const char *error)
{
        struct endpoint_address v = {str_from(address), strict};
        struct endpoints *es;
        CHECK_ERROR(endpoints_new(&(struct endpoints_opts){.addresses = &v, .n_addresses = 1}, &es), error);
}

TEST(endpoints, refuse_addresses_that_cannot_be)
{
        address_case("", false, "static address cannot be empty");
        address_case("host", false, "address host: missing port in address");
        address_case("host:x", false, "address host:x: missing port in address");
        address_case("host:65536", false, "address host:65536: missing port in address");
        address_case(":1", false, "address :1: missing host in address");
        address_case("dns+host", false, "address dns+host: missing port in address");
        address_case("dnsx+host:1", false, "dnsx+host:1: unknown scheme \"dnsx\"");
        address_case(
                "dns+host:1", true,
                "dns+host:1 is a dynamically specified endpoint i.e. it uses SD and that is not permitted under strict "
                "mode. Use --endpoint for this");
        struct endpoint_address twice[] = {{STR("a:1"), false}, {STR("a:1"), true}};
        struct endpoints *es;
        CHECK_ERROR(endpoints_new(&(struct endpoints_opts){.addresses = twice, .n_addresses = 2}, &es),
                    "Address a:1 is duplicated for --endpoint flag.");
}

TEST(endpoints, know_what_each_says_of_itself)
{
        struct grpc_client *cl;
        struct peer p = {0};
        peer_start(&p);
        CHECK_OK(grpc_client_new("test", &cl));
        char dns[40];
        snprintf(dns, sizeof dns, "dns+%s", p.address);
        /* A number behind dns+ is the same address: one endpoint. */
        struct endpoint_address v[] = {{str_from(p.address), false}, {str_from(dns), false}};
        struct endpoints *es = endpoints_over(cl, v, 2, NULL);
        struct endpoint_list *l = endpoints_get(es);
        CHECK_U64(l->n, 0);
        endpoint_list_unref(l);
        endpoints_update(es);
        l = endpoints_get(es);
        CHECK_U64(l->n, 1);
        CHECK_STR(l->v[0].address, p.address);
        CHECK_STR(l->v[0].type, "sidecar");
        CHECK_STR(l->v[0].last_error, "");
        CHECK(l->v[0].is_usable && l->v[0].has_store && l->v[0].has_rules && !l->v[0].has_targets &&
              !l->v[0].has_query);
        CHECK(l->v[0].supports_without_replica_labels);
        CHECK_I64(l->v[0].mint_ms, 1000);
        CHECK_I64(l->v[0].maxt_ms, 2000);
        CHECK_U64(l->v[0].n_label_sets, 1);
        struct buf b = BUF_INIT(1000);
        labels_print(&b, l->v[0].label_sets[0]);
        CHECK_STR(buf_str(&b), "{cluster=\"eu\", replica=\"a\"}");
        buf_done(&b);
        /* A list outlives the endpoints. */
        endpoints_free(es);
        CHECK_STR(l->v[0].address, p.address);
        endpoint_list_unref(l);
        grpc_client_free(cl);
        peer_stop(&p);
}

static const struct endpoint *only(struct endpoints *es, struct endpoint_list **ret)
{
        endpoints_update(es);
        *ret = endpoints_get(es);
        return (*ret)->n ? &(*ret)->v[0] : NULL;
}

TEST(endpoints, keep_a_failing_one_listed_for_a_while)
{
        struct grpc_client *cl;
        struct peer p = {.fails = 1};
        struct clock_fake clock;
        clock_fake_init(&clock, 1000000);
        peer_start(&p);
        CHECK_OK(grpc_client_new("test", &cl));
        struct endpoint_address v = {str_from(p.address), false};
        struct endpoints *es = endpoints_over(cl, &v, 1, &clock.clock);
        struct endpoint_list *l;
        CHECK(!only(es, &l)); /* new and failing: not listed */
        endpoint_list_unref(l);
        p.fails = 0;
        CHECK(only(es, &l)->is_usable);
        endpoint_list_unref(l);

        clock.at_ms += 299999;
        p.fails = 1;
        const struct endpoint *x = only(es, &l);
        CHECK(x && !x->is_usable);
        CHECK_STR(x->type, "sidecar"); /* of the last good answer */
        char want[128];
        snprintf(want, sizeof want, "fetching info from %s: rpc error: code = Unavailable desc = not today", p.address);
        CHECK_STR(x->last_error, want);
        CHECK_I64(x->last_check_ms, 1299999);
        endpoint_list_unref(l);

        p.fails = 2;
        x = only(es, &l);
        CHECK(x && !x->is_usable && x->last_error.n);
        endpoint_list_unref(l);
        p.fails = 0;
        x = only(es, &l);
        CHECK(x && x->is_usable && !x->last_error.n);
        endpoint_list_unref(l);

        p.fails = 3;
        clock.at_ms += 300000;
        CHECK(!only(es, &l)); /* too long */
        endpoint_list_unref(l);
        endpoints_free(es);
        grpc_client_free(cl);
        peer_stop(&p);
}

TEST(endpoints, never_drop_a_strict_one)
{
        struct grpc_client *cl;
        struct peer p = {.fails = 1};
        peer_start(&p);
        CHECK_OK(grpc_client_new("test", &cl));
        struct endpoint_address v = {str_from(p.address), true};
        struct endpoints *es = endpoints_over(cl, &v, 1, NULL);
        struct endpoint_list *l;
        const struct endpoint *x = only(es, &l);
        CHECK(x && x->is_usable && x->strict && x->has_store && x->last_error.n);
        CHECK_I64(x->mint_ms, TIME_MS_MIN);
        CHECK_I64(x->maxt_ms, TIME_MS_MAX);
        endpoint_list_unref(l);
        endpoints_free(es);
        grpc_client_free(cl);
        peer_stop(&p);
}

TEST(endpoints, look_by_themselves)
{
        struct grpc_client *cl;
        struct peer p = {0};
        peer_start(&p);
        CHECK_OK(grpc_client_new("test", &cl));
        struct endpoint_address v = {str_from(p.address), false};
        struct endpoints_opts o = {
                .client = cl, .addresses = &v, .n_addresses = 1, .update_ms = 1, .info_timeout_ms = 60000};
        struct endpoints *es;
        CHECK_OK(endpoints_new(&o, &es));
        CHECK_OK(endpoints_start(es));
        struct endpoint_list *first = endpoints_get(es); /* waits for the first round */
        CHECK_U64(first->n, 1);
        endpoint_list_unref(first);
        for (size_t n = 0; n == 0 || p.asked < 3;) {
                struct endpoint_list *l = endpoints_get(es);
                n = l->n;
                endpoint_list_unref(l);
        }
        endpoints_free(es);
        grpc_client_free(cl);
        peer_stop(&p);
}
