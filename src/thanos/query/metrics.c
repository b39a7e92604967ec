/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/metrics.h"

#include "base/alloc.h"
#include "codec/float_text.h"
#include "model/labels.h"

struct query_metrics {
        struct query_metrics_opts o;
        struct metric *waited, *in_flight, *total, *empty, *duplicated;
        struct metric_family *store_seconds, *connections, *results;
        struct metric *lookups[6], *failures[6];
};

/* With --endpoint the real ones are those of endpoints; dashboards ask for the first. */
static const char *const dns_names[] = {"store_apis", "endpoints", "rule_apis", "target_apis", "metadata_apis", "exemplar_apis"};

static void put_connection_labels(const struct query_metrics *m, const struct endpoint *ep, struct buf *b)
{
        for (size_t i = 0; i < ep->n_label_sets; i++) {
                if (i)
                        buf_putc(b, ',');
                labels_print(b, ep->label_sets[i]);
        }
        (void)m;
}

static void collect(void *ctx)
{
        struct query_metrics *m = ctx;
        uint64_t lookups = endpoints_dns_lookups(m->o.endpoints), failures = endpoints_dns_failures(m->o.endpoints);
        for (size_t i = 0; i < 2; i++) {
                metric_set(m->lookups[i], (double)lookups);
                metric_set(m->failures[i], (double)failures);
        }
        metric_family_clear(m->connections);
        struct endpoint_list *l = endpoints_get(m->o.endpoints);
        for (size_t i = 0; i < l->n; i++) {
                const struct endpoint *ep = &l->v[i];
                if (!ep->is_usable || ep->last_error.n)
                        continue;
                struct buf sets = BUF_INIT(1 << 20);
                put_connection_labels(m, ep, &sets);
                Str values[3];
                size_t n = 0;
                if (m->o.shows_external_labels)
                        values[n++] = buf_str(&sets);
                if (m->o.shows_ip_port)
                        values[n++] = ep->address;
                if (m->o.shows_store_type)
                        values[n++] = ep->type;
                metric_add(metric_with(m->connections, values), 1);
                buf_done(&sets);
        }
        endpoint_list_unref(l);
}

static void dns_register(struct query_metrics *m)
{
        for (size_t i = 0; i < ARRAY_LEN(dns_names); i++) {
                struct buf b = BUF_INIT(256);
                buf_printf(&b, "thanos_query_%s_dns_lookups_total", dns_names[i]);
                m->lookups[i] = metric_counter(m->o.metrics, buf_cstr(&b), "The number of DNS lookups resolutions attempts");
                buf_clear(&b);
                buf_printf(&b, "thanos_query_%s_dns_failures_total", dns_names[i]);
                m->failures[i] = metric_counter(m->o.metrics, buf_cstr(&b), "The number of DNS lookup failures");
                buf_done(&b);
        }
}

static void connections_register(struct query_metrics *m)
{
        const char *labels[4];
        size_t n = 0;
        if (m->o.shows_external_labels)
                labels[n++] = "external_labels";
        if (m->o.shows_ip_port)
                labels[n++] = "ip_port";
        if (m->o.shows_store_type)
                labels[n++] = "store_type";
        labels[n] = NULL;
        m->connections = metric_family(m->o.metrics, METRIC_FAMILY_GAUGE, "thanos_store_nodes_grpc_connections",
                                       "Number of gRPC connection to Store APIs. Opened connection means healthy store "
                                       "APIs available for Querier.",
                                       labels);
}

struct query_metrics *query_metrics_new(const struct query_metrics_opts *o)
{
        static const double waits[] = {.01, .05, .1, .25, .6, 1, 2, 3.5, 5, 10};
        struct query_metrics *m = mem_new(struct query_metrics);
        struct metric_registry *r = o->metrics;
        m->o = *o;
        dns_register(m);
        connections_register(m);
        m->waited = metric_histogram(r, "thanos_query_concurrent_gate_queries_duration_seconds",
                                     "How many seconds it took for queries to wait at the gate.", waits, ARRAY_LEN(waits));
        m->in_flight = metric_gauge(r, "thanos_query_concurrent_gate_queries_in_flight",
                                    "Number of queries that are currently in flight.");
        m->total = metric_counter(r, "thanos_query_concurrent_gate_queries_total", "Total number of queries.");
        metric_set(metric_gauge(r, "thanos_query_concurrent_gate_queries_max", "Maximum number of concurrent queries."),
                   o->queries_max);
        m->empty = metric_counter(r, "thanos_proxy_store_empty_stream_responses_total",
                                  "Total number of empty responses received.");
        m->duplicated = metric_counter(r, "thanos_query_duplicated_store_addresses_total",
                                       "The number of times a duplicated store addresses is detected from the different "
                                       "configs in query");
        m->store_seconds = metric_family(r, METRIC_FAMILY_HISTOGRAM, "thanos_store_api_query_duration_seconds",
                                         "Duration of the Thanos Store API select phase for a query.",
                                         (const char *[]){"samples_le", "series_le", "tenant", NULL});
        metric_family_set_buckets(m->store_seconds, o->seconds, o->n_seconds);
        metric_collect(r, collect, m);
        return m;
}

void query_metrics_free(struct query_metrics *m)
{
        if (!m)
                return;
        metric_collect_remove(m->o.metrics, collect, m);
        free(m);
}

void query_metrics_begin(struct query_metrics *m)
{
        if (!m)
                return;
        metric_add(m->in_flight, 1);
        metric_add(m->total, 1);
}

static Str bound_text(const double *v, size_t n, uint64_t x, char text[FLOAT_TEXT_MAX_BYTES + 1])
{
        for (size_t i = 0; i < n; i++)
                if ((double)x <= v[i])
                        return (Str){text, float_print_sample(v[i], text)};
        return STR("+Inf");
}

void query_metrics_end(struct query_metrics *m, double queue_s, const struct query_sums *sums, double seconds, Str tenant)
{
        if (!m)
                return;
        char samples[FLOAT_TEXT_MAX_BYTES + 1], series[FLOAT_TEXT_MAX_BYTES + 1];
        metric_add(m->in_flight, -1);
        metric_observe(m->waited, queue_s);
        Str labels[] = {bound_text(m->o.samples, m->o.n_samples, sums->samples, samples),
                        bound_text(m->o.series, m->o.n_series, sums->series, series), tenant};
        metric_observe(metric_with(m->store_seconds, labels), seconds);
}

void query_metrics_empty_frame(struct query_metrics *m)
{
        if (m)
                metric_add(m->empty, 1);
}

void query_metrics_duplicated_address(struct query_metrics *m)
{
        metric_add(m->duplicated, 1);
}
