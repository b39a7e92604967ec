/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c — the role doctor: looks at an install and says what is wrong and what to do. Exit codes for scripts: 0 all is well, 1 there are
 * findings, 2 something could not be checked. */
#include <stdio.h>

#include "app/roles.h"
#include "app/thanos_common.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/objstore_conf.h"
#include "thanos/doctor/doctor.h"

enum { FACTS_MAX_BYTES = 1 << 30, REPORT_MAX_BYTES = 64 << 20, EXIT_NOT_CHECKED = 2 };

static const struct flag rows[] = {
        {"prometheus", "URL of a Prometheus, or of a `coeus up`; can be given several times. With no address and no bucket at all: http://127.0.0.1:9090.", FLAG_STRINGS, NULL,
         "<URL>"},
        {"querier", "URL of a Thanos querier; can be given several times.", FLAG_STRINGS, NULL, "<URL>"},
        {"sidecar", "URL of the HTTP side of a Thanos sidecar; can be given several times.", FLAG_STRINGS, NULL, "<URL>"},
        THANOS_FLAGS_OBJSTORE,
        {"replica-label", "External label in which replicas differ; can be given several times.", FLAG_STRINGS, "replica,prometheus_replica"},
        {"timeout", "How long one answer may take.", FLAG_DURATION, "10s"},
        {"json", "Print JSON.", FLAG_BOOL, "false"},
};

struct asked {
        const struct flags *f;
        struct doctor_opts o;
        struct arena *a;
        VEC(struct doctor_prometheus) prometheus;
        VEC(struct doctor_bucket) buckets;
        VEC(struct doctor_querier) queriers;
        VEC(struct doctor_sidecar) sidecars;
        VEC(Str) replica_labels;
};

static Str url_of(struct arena *a, const char *text)
{
        return strstr(text, "://") ? str_from(text) : arena_printf(a, "http://%s", text);
}

static void ask_prometheus(struct asked *x, const char *address)
{
        struct doctor_prometheus p;
        struct doctor_bucket b;
        doctor_ask_prometheus(&x->o, x->a, url_of(x->a, address), &p);
        if (!p.problem.n && doctor_ask_blocks(&x->o, x->a, p.url, &b))
                vec_push(&x->buckets, b);
        vec_push(&x->prometheus, p);
}

static struct error *ask_bucket(struct asked *x)
{
        struct buf text = BUF_INIT(16 << 20);
        struct bucket *bucket = NULL;
        struct error *e = thanos_content(x->f, "objstore.config", false, &text);
        if (!e && text.n)
                e = objstore_conf_open(buf_str(&text), NULL, &bucket);
        if (bucket) {
                struct doctor_bucket b;
                doctor_ask_bucket(&x->o, x->a, bucket, &b);
                vec_push(&x->buckets, b);
        }
        bucket_free(bucket);
        buf_done(&text);
        return e;
}

static struct error *ask_all(struct asked *x)
{
        size_t n_prometheus, n_queriers, n_sidecars, n;
        const char *const *prometheus = flags_list(x->f, "prometheus", &n_prometheus), *const *queriers = flags_list(x->f, "querier", &n_queriers),
                          *const *sidecars = flags_list(x->f, "sidecar", &n_sidecars), *const *labels = flags_list(x->f, "replica-label", &n);
        for (size_t i = 0; i < n; i++) {
                Str rest = str_from(labels[i]), one;
                while (str_next(&rest, ',', &one))
                        vec_push(&x->replica_labels, one);
        }
        struct error *e = ask_bucket(x);
        if (e)
                return e;
        if (n_prometheus + n_queriers + n_sidecars + x->buckets.n == 0)
                ask_prometheus(x, "127.0.0.1:9090");
        for (size_t i = 0; i < n_prometheus; i++)
                ask_prometheus(x, prometheus[i]);
        for (size_t i = 0; i < n_sidecars; i++) {
                struct doctor_sidecar s;
                doctor_ask_sidecar(&x->o, x->a, url_of(x->a, sidecars[i]), &s);
                vec_push(&x->sidecars, s);
        }
        for (size_t i = 0; i < n_queriers; i++) {
                struct doctor_querier q;
                doctor_ask_querier(&x->o, x->a, url_of(x->a, queriers[i]), &q);
                vec_push(&x->queriers, q);
        }
        return NULL;
}

static int report(struct asked *x)
{
        struct doctor_facts facts = {.now_ms = time_now_ms(),
                                     .prometheus = x->prometheus.p,
                                     .n_prometheus = x->prometheus.n,
                                     .buckets = x->buckets.p,
                                     .n_buckets = x->buckets.n,
                                     .queriers = x->queriers.p,
                                     .n_queriers = x->queriers.n,
                                     .sidecars = x->sidecars.p,
                                     .n_sidecars = x->sidecars.n,
                                     .replica_labels = x->replica_labels.p,
                                     .n_replica_labels = x->replica_labels.n};
        struct doctor_report r = {0};
        struct buf b = BUF_INIT(REPORT_MAX_BYTES);
        doctor_judge(&facts, x->a, &r);
        if (flags_bool(x->f, "json"))
                doctor_print_json(&r, &b);
        else
                doctor_print(&r, &b);
        int code = doctor_exit_code(&r);
        if (buf_is_over(&b) || fwrite(b.p, 1, b.n, stdout) != b.n || fflush(stdout))
                code = EXIT_NOT_CHECKED;
        buf_done(&b);
        doctor_report_done(&r);
        return code;
}

int doctor_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "coeus doctor",
                                       .what = "Looks at an install and says what is wrong and what to do. Ends with 0 if all is well, 1 if it found something, 2 if it could not "
                                               "check something.",
                                       .version = "coeus " COEUS_VERSION,
                                       .table = rows,
                                       .n = ARRAY_LEN(rows)};
        struct flags f;
        struct arena a;
        int code;
        flags_init(&f, &spec);
        if (!flags_parse(&f, argc, argv, &code)) {
                flags_done(&f);
                return code ? EXIT_NOT_CHECKED : 0;
        }
        arena_init(&a, FACTS_MAX_BYTES);
        log_set_level(STR("error"));
        struct asked x = {.f = &f, .o = {.timeout_ms = flags_int(&f, "timeout")}, .a = &a};
        struct error *e = ask_all(&x);
        if (e) {
                fprintf(stderr, "coeus doctor: %s\n", error_str(e));
                error_free(e);
                code = EXIT_NOT_CHECKED;
        } else {
                code = report(&x);
        }
        vec_done(&x.prometheus);
        vec_done(&x.buckets);
        vec_done(&x.queriers);
        vec_done(&x.sidecars);
        vec_done(&x.replica_labels);
        arena_done(&a);
        flags_done(&f);
        return code;
}
