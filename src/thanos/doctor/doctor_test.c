/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "io/http/server.h"
#include "thanos/doctor/doctor.h"

#define HOUR INT64_C(3600000)
#define NOW (INT64_C(1700000000000))
#define LABELS(...) ((Labels){(const Label[]){__VA_ARGS__}, sizeof((const Label[]){__VA_ARGS__}) / sizeof(Label)})
#define L(k, v) {STR_INIT(k), STR_INIT(v)}

/* The report of the facts as text, each line "level check text | advice". */
static struct buf judged;
static int exit_code;

static void judge(struct doctor_facts f)
{
        struct arena a;
        struct doctor_report r = {0};
        static const Str replica[] = {STR_INIT("replica")};
        arena_init(&a, 16 << 20);
        f.now_ms = NOW;
        f.replica_labels = replica;
        f.n_replica_labels = 1;
        doctor_judge(&f, &a, &r);
        buf_done(&judged);
        buf_init(&judged, 1 << 20);
        for (size_t i = 0; i < r.lines.n; i++) {
                const struct doctor_line *l = &r.lines.p[i];
                buf_printf(&judged, "%s %s: " STR_FMT "%s" STR_FMT "\n", l->level == DOCTOR_OK ? "ok" : l->level == DOCTOR_FINDING ? "finding" : "unknown", l->check,
                           STR_ARG(l->text), l->advice.n ? " | " : "", STR_ARG(l->advice));
                CHECK_MSG((l->advice.n == 0) == (l->level == DOCTOR_OK), "advice of: " STR_FMT, STR_ARG(l->text));
        }
        exit_code = doctor_exit_code(&r);
        doctor_report_done(&r);
        arena_done(&a);
}

static void says(const char *text)
{
        CHECK_MSG(str_contains(buf_str(&judged), str_from(text)), "\"%s\" is not in:\n" STR_FMT, text, STR_ARG(buf_str(&judged)));
}

static void says_not(const char *text)
{
        CHECK_MSG(!str_contains(buf_str(&judged), str_from(text)), "\"%s\" is in:\n" STR_FMT, text, STR_ARG(buf_str(&judged)));
}

static const struct doctor_job good_jobs[] = {{.name = STR_INIT("node"), .total = 3, .up = 3, .samples = 3000}};
static struct doctor_prometheus prometheus(Labels external, const char *url)
{
        return (struct doctor_prometheus){.url = str_from(url), .jobs = good_jobs, .n_jobs = 1, .external = external, .retention = STR("15d"),
                                          .retention_ms = 360 * HOUR, .min_block_ms = 2 * HOUR, .max_block_ms = 2 * HOUR, .lowest_ms = NOW - 100 * HOUR,
                                          .newest_ms = NOW - 1000};
}

TEST(doctor, targets_are_told_per_job)
{
        static const struct doctor_job jobs[] = {{.name = STR_INIT("node"), .total = 3, .up = 3},
                                                 {.name = STR_INIT("db"), .total = 2, .up = 1, .down = 1, .down_url = STR_INIT("http://db:1/metrics"), .down_error = STR_INIT("refused")},
                                                 {.name = STR_INIT("new"), .total = 1},
                                                 {.name = STR_INIT("none")}};
        struct doctor_prometheus p = prometheus(LABELS(L("replica", "a")), "http://p");
        p.jobs = jobs;
        p.n_jobs = ARRAY_LEN(jobs);
        judge((struct doctor_facts){.prometheus = &p, .n_prometheus = 1});
        says("ok targets: job node (3/3 up)\n");
        says("finding targets: job db (1/2 up): http://db:1/metrics: refused | Start what should answer there");
        says("finding targets: job new (0/1 up): 1 not scraped yet | Wait");
        says("finding targets: job none (0/0 up): its discovery finds nothing | Look at http://p/service-discovery");
        CHECK_I64(exit_code, 1);
}

TEST(doctor, all_well_is_exit_code_0_and_what_cannot_be_asked_is_2)
{
        struct doctor_prometheus p[] = {prometheus(LABELS(L("replica", "a")), "http://p"), {.url = STR("http://q"), .problem = STR("connection refused")}};
        judge((struct doctor_facts){.prometheus = p, .n_prometheus = 1});
        says("ok retention: keeps 15d locally, its oldest sample is 4d4h old\n");
        CHECK_I64(exit_code, 0);
        judge((struct doctor_facts){.prometheus = p, .n_prometheus = 2});
        says("unknown targets: connection refused | Check that it runs");
        CHECK_I64(exit_code, 2);
}

TEST(doctor, replicas_that_differ_in_their_replica_label_only_must_agree)
{
        static const struct doctor_job fewer[] = {{.name = STR_INIT("node"), .total = 3, .up = 2, .down = 1, .samples = 2000}},
                                       leaner[] = {{.name = STR_INIT("node"), .total = 3, .up = 3, .samples = 2000}};
        struct doctor_prometheus p[] = {prometheus(LABELS(L("cluster", "x"), L("replica", "a")), "http://a"),
                                        prometheus(LABELS(L("cluster", "x"), L("replica", "b")), "http://b")};
        struct doctor_facts f = {.prometheus = p, .n_prometheus = 2};
        judge(f);
        says("ok replicas: agrees with its replica http://b\n");
        p[1].jobs = fewer;
        judge(f);
        says("finding replicas: does not agree with its replica http://b: of job node 3 targets are up here and 2 there");
        p[1].jobs = leaner;
        judge(f);
        says("a round of scrapes of job node gave 3000 samples here and 2000 there");
        p[1].n_jobs = 0;
        judge(f);
        says("job node is only in http://a");
        p[1] = prometheus(LABELS(L("cluster", "y"), L("replica", "b")), "http://b");
        p[1].jobs = fewer;
        judge(f);
        says_not("replicas:");
        p[1] = prometheus(p[0].external, "http://b");
        judge(f);
        says("finding replicas: has the same external labels as http://b: {cluster=\"x\", replica=\"a\"}; their blocks cannot be told apart | Give each");
}

TEST(doctor, retention_and_local_compaction_must_leave_time_for_uploads)
{
        struct doctor_prometheus p = prometheus(LABELS(L("replica", "a")), "http://p");
        struct doctor_sidecar s = {.url = STR("http://s"), .is_ready = true, .reaches_prometheus = true, .ships = true, .uploads = 5};
        p.retention = STR("4h");
        p.retention_ms = 4 * HOUR;
        p.max_block_ms = 36 * HOUR;
        judge((struct doctor_facts){.prometheus = &p, .n_prometheus = 1, .sidecars = &s, .n_sidecars = 1});
        says("finding retention: keeps 4h locally, its oldest sample is 4d4h old: less than three blocks of 2h, so blocks may go before they are uploaded | Set "
             "--storage.tsdb.retention.time to 6h or more.");
        says("it merges blocks of 2h up to 1d12h: a block that is merged before its upload never reaches the bucket | Start it with "
             "--storage.tsdb.min-block-duration=2h and --storage.tsdb.max-block-duration=2h.");
        says("ok sidecar: reaches its Prometheus, 5 blocks uploaded since it started\n");
        p.uploads_itself = true;
        judge((struct doctor_facts){.prometheus = &p, .n_prometheus = 1});
        says("ok retention: keeps 4h locally, its oldest sample is 4d4h old\n");
        s.failures = 2;
        s.is_ready = false;
        judge((struct doctor_facts){.sidecars = &s, .n_sidecars = 1});
        says("finding sidecar: it is not ready | Check");
        says("finding sidecar: 2 uploads failed since it started, 5 went well | Read its log");
}

static struct doctor_block block(Labels labels, int64_t from_h, int64_t to_h)
{
        return (struct doctor_block){.id = STR("01HF0000000000000000000000"), .mint_ms = NOW + from_h * HOUR, .maxt_ms = NOW + to_h * HOUR, .labels = labels, .level = 1};
}

TEST(doctor, the_newest_block_of_each_stream_has_an_age_and_holes_are_told)
{
        Labels a = LABELS(L("replica", "a")), b = LABELS(L("replica", "b"));
        struct doctor_block v[] = {block(a, -9, -7), block(a, -7, -5), block(a, -3, -1), block(b, -9, -7), block(b, -5, -3)};
        struct doctor_bucket bucket = {.name = STR("bucket x"), .blocks = v, .n_blocks = 3};
        struct doctor_facts f = {.buckets = &bucket, .n_buckets = 1};
        judge(f);
        says("ok bucket: {replica=\"a\"}: 3 blocks, one each 2h, the newest ends 1h ago\n");
        says("finding bucket: {}: no block covers 2023-11-14T17:13:20Z to 2023-11-14T19:13:20Z, a hole of 2h | If Prometheus still has");
        bucket.n_blocks = 5;            /* the replica fills the hole, and is late itself */
        v[4].maxt_ms = NOW - 3 * HOUR;
        judge(f);
        says_not("no block covers");
        says("ok bucket: {}: from 2023-11-14T13:13:20Z to 2023-11-14T21:13:20Z without a hole\n");
        v[4].mint_ms -= 3 * HOUR;
        v[4].maxt_ms -= 3 * HOUR;
        judge(f);
        says("finding bucket: {replica=\"b\"}: 2 blocks, one each 1h, the newest ends 6h ago: the next is overdue | See whether that Prometheus and its sidecar run");
        bucket.n_blocks = 0;
        judge(f);
        says("finding bucket: there is no block in it | The first comes one and a half block ranges (3h) after Prometheus started.");
        CHECK_I64(exit_code, 1);
        struct doctor_prometheus p = prometheus(a, "http://one:9090");
        f.prometheus = &p;
        f.n_prometheus = 1;
        judge(f);
        says("finding bucket: there is no block in it | ");
        p.lowest_ms = NOW - 3 * HOUR;   /* it began just now: nothing is wrong */
        judge(f);
        says("ok bucket: there is no block in it yet: the first comes one and a half block ranges (3h) after the first sample\n");
        says_not("finding bucket");
        f.n_prometheus = 0;
        bucket.problem = STR("AccessDenied");
        judge(f);
        says("unknown bucket: AccessDenied | Check the bucket's configuration");
}

TEST(doctor, an_upload_that_was_broken_off_is_told_after_a_while)
{
        struct doctor_block half = {.id = STR("01HF0000000000000000000000"), .made_ms = NOW - HOUR};
        struct doctor_bucket bucket = {.name = STR("bucket x"), .partial = &half, .n_partial = 1};
        judge((struct doctor_facts){.buckets = &bucket, .n_buckets = 1});
        says("block 01HF0000000000000000000000 has no meta.json: its upload was broken off | If its Prometheus still has it");
        half.made_ms = NOW - 60000;
        judge((struct doctor_facts){.buckets = &bucket, .n_buckets = 1});
        says_not("broken off");
}

TEST(doctor, a_querier_without_sidecars_misses_the_newest_hours)
{
        static const Label replica_a[] = {L("replica", "a")};
        static const Labels sets[] = {{replica_a, 1}};
        struct doctor_store v[] = {{.name = STR("gw:1"), .type = STR("store"), .label_sets = sets, .n_label_sets = 1, .mint_ms = NOW - 100 * HOUR, .maxt_ms = NOW - 2 * HOUR},
                                   {.name = STR("sc:1"), .type = STR("sidecar"), .label_sets = sets, .n_label_sets = 1, .mint_ms = NOW - 20 * HOUR, .maxt_ms = TIME_MS_MAX}};
        struct doctor_prometheus p = prometheus(sets[0], "http://p");
        struct doctor_querier q = {.url = STR("http://q"), .stores = v, .n_stores = 1, .newest_ms = NOW - 10 * HOUR};
        struct doctor_facts f = {.prometheus = &p, .n_prometheus = 1, .queriers = &q, .n_queriers = 1};
        judge(f);
        says("finding coverage: the newest hours are missing: no sidecar endpoint is configured (what it sees ends 2h ago) | Give the querier --endpoint=");
        says("ok stores: store gateway gw:1 {replica=\"a\"} covers 2023-11-10T18:13:20Z to 2023-11-14T20:13:20Z\n");
        says("ok coverage: sees 2023-11-10T18:13:20Z to 2023-11-14T20:13:20Z\n");
        q.n_stores = 2;
        q.newest_ms = NOW - 1000;
        judge(f);
        says("ok stores: sidecar sc:1 {replica=\"a\"} covers 2023-11-14T02:13:20Z to now\n");
        says("ok coverage: sees 2023-11-10T18:13:20Z to now\n");
        CHECK_I64(exit_code, 0);
        v[1].error = STR("connection refused");
        judge(f);
        says("finding stores: sidecar sc:1 {replica=\"a\"} fails: connection refused | Check that it runs");
        says("the newest hours of http://p {replica=\"a\"} are missing: its sidecar sc:1 fails");
        v[1].error = STR("");
        v[1].mint_ms = NOW - HOUR;
        judge(f);
        says("finding coverage: no store covers 2023-11-14T20:13:20Z to 2023-11-14T21:13:20Z, a hole of 1h | Keep more");
        p.external = LABELS(L("replica", "b"));
        judge(f);
        says("the newest hours of http://p {replica=\"b\"} are missing: no endpoint of the querier has them");
        q.n_stores = 0;
        judge(f);
        says("it knows no store at all | Give it --endpoint");
}

TEST(doctor, a_querier_without_a_store_gateway_misses_the_past_of_the_bucket)
{
        static const Label replica_a[] = {L("replica", "a")};
        static const Labels sets[] = {{replica_a, 1}};
        struct doctor_store v[] = {{.name = STR("sc:1"), .type = STR("sidecar"), .label_sets = sets, .n_label_sets = 1, .mint_ms = NOW - 20 * HOUR, .maxt_ms = TIME_MS_MAX}};
        struct doctor_block b[] = {block(sets[0], -30, -28), block(sets[0], -28, -2)};
        struct doctor_bucket bucket = {.name = STR("bucket x"), .blocks = b, .n_blocks = 2};
        Str warning = STR("store y failed");
        struct doctor_querier q = {.url = STR("http://q"), .stores = v, .n_stores = 1, .newest_ms = NOW, .warnings = &warning, .n_warnings = 1};
        judge((struct doctor_facts){.queriers = &q, .n_queriers = 1, .buckets = &bucket, .n_buckets = 1});
        says("the past before 2023-11-14T02:13:20Z is missing, though the bucket goes back to 2023-11-13T16:13:20Z: no store gateway endpoint is configured | Start");
        says("a query was answered with the warning: store y failed | Bring back");
}

TEST(doctor, reports_are_text_or_json)
{
        struct doctor_report r = {0};
        struct buf b = BUF_INIT(1 << 16);
        vec_push(&r.lines, (struct doctor_line){DOCTOR_OK, "targets", STR("http://p"), STR("job a (1/1 up)"), STR("")});
        doctor_print(&r, &b);
        CHECK_STRS(buf_str(&b), STR("http://p\n  ok       targets   job a (1/1 up)\nAll is well, there is nothing to do.\n"));
        vec_push(&r.lines, (struct doctor_line){DOCTOR_FINDING, "bucket", STR("bucket x"), STR("bad \x1b[1m"), STR("Do \"it\".")});
        buf_clear(&b);
        doctor_print(&r, &b);
        CHECK_STRS(buf_str(&b), STR("http://p\n  ok       targets   job a (1/1 up)\nbucket x\n  PROBLEM  bucket    bad  [1m\n                     -> Do \"it\".\n1 problem: do what the "
                                    "arrows say, then run this again.\n"));
        buf_clear(&b);
        doctor_print_json(&r, &b);
        CHECK_STRS(buf_str(&b), STR("{\"result\":\"findings\",\"checks\":[\n{\"level\":\"ok\",\"check\":\"targets\",\"subject\":\"http://p\",\"text\":\"job a (1/1 "
                                    "up)\",\"advice\":\"\"},\n{\"level\":\"finding\",\"check\":\"bucket\",\"subject\":\"bucket x\",\"text\":\"bad \\u001b[1m\",\"advice\":\"Do "
                                    "\\\"it\\\".\"}\n]}\n"));
        doctor_report_done(&r);
        buf_done(&b);
}

/* --- asking --- */

static const struct fake {
        const char *path, *body;
} fakes[] = {
        {"/p/api/v1/targets", "{\"status\":\"success\",\"data\":{\"activeTargets\":[{\"scrapePool\":\"b\",\"health\":\"up\"},{\"scrapePool\":\"a\",\"health\":\"down\","
                              "\"scrapeUrl\":\"http://x/metrics\",\"lastError\":\"refused\"},{\"scrapePool\":\"a\",\"health\":\"unknown\"}]}}"},
        {"/p/api/v1/scrape_pools", "{\"status\":\"success\",\"data\":{\"scrapePools\":[\"a\",\"b\",\"c\"]}}"},
        {"/p/api/v1/query", "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"job\":\"b\"},\"value\":[1,\"7\"]}]},\"warnings\":[\"slow\"]}"},
        {"/p/api/v1/status/runtimeinfo", "{\"status\":\"success\",\"data\":{\"storageRetention\":\"6h or 1GiB\"}}"},
        {"/p/api/v1/status/flags",
         "{\"status\":\"success\",\"data\":{\"storage.tsdb.min-block-duration\":\"2h\",\"storage.tsdb.max-block-duration\":\"1d\"}}"},
        {"/p/api/v1/status/config", "{\"status\":\"success\",\"data\":{\"yaml\":\"global:\\n  external_labels:\\n    z: 1\\n    a: b\\n\"}}"},
        {"/p/metrics", "# HELP x\nprometheus_tsdb_lowest_timestamp_seconds 1.7e+09\nthanos_sidecar_prometheus_up 1\nthanos_shipper_uploads_total 3\n"},
        {"/p/-/ready", "OK"},
        {"/p/api/v1/blocks", "{\"status\":\"success\",\"data\":{\"label\":\"\",\"err\":null,\"blocks\":[{\"ulid\":\"01HF0000000000000000000000\",\"minTime\":1,\"maxTime\":2,"
                             "\"compaction\":{\"level\":1},\"thanos\":{\"labels\":{\"a\":\"b\"},\"downsample\":{\"resolution\":300000}}}]}}"},
        {"/p/api/v1/stores", "{\"status\":\"success\",\"data\":{\"sidecar\":[{\"name\":\"s:1\",\"lastError\":null,\"labelSets\":[{\"a\":\"b\"},{\"labels\":[{\"name\":\"c\","
                             "\"value\":\"d\"}]}],\"minTime\":5,\"maxTime\":9223372036854775807}],\"store\":[{\"name\":\"g:1\",\"lastError\":\"gone\",\"labelSets\":[],\"minTime\":"
                             "1,\"maxTime\":4}]}}"},
};

static void answer(struct http_request *r, void *ctx)
{
        const struct fake *f = ctx;
        http_reply(r, 200, "application/json", str_from(f->body));
}

TEST(doctor, asks_servers_and_takes_what_they_answer)
{
        struct http_server *s;
        struct arena a;
        arena_init(&a, 16 << 20);
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "fake", .loops = 1}, &s));
        for (size_t i = 0; i < ARRAY_LEN(fakes); i++)
                http_server_handle(s, fakes[i].path, HTTP_GET, 0, answer, (void *)&fakes[i]);
        CHECK_OK(http_server_listen(s, "127.0.0.1:0"));
        CHECK_OK(http_server_start(s));
        Str url = arena_printf(&a, "http://127.0.0.1:%d/p/", http_server_port(s, 0));
        struct doctor_opts o = {.timeout_ms = 60000};

        struct doctor_prometheus p;
        doctor_ask_prometheus(&o, &a, url, &p);
        CHECK_STR(p.problem, "");
        CHECK_U64(p.n_jobs, 3);
        CHECK_STR(p.jobs[0].name, "a");
        CHECK_U64(p.jobs[0].total, 2);
        CHECK_U64(p.jobs[0].down, 1);
        CHECK_STR(p.jobs[0].down_error, "refused");
        CHECK_F64(p.jobs[0].samples, -1);
        CHECK_F64(p.jobs[1].samples, 7);
        CHECK_U64(p.jobs[2].total, 0);
        CHECK_I64(p.retention_ms, 6 * HOUR);
        CHECK_I64(p.min_block_ms, 2 * HOUR);
        CHECK_I64(p.lowest_ms, NOW);
        CHECK_I64(p.newest_ms, TIME_MS_MIN);
        CHECK_STR(labels_get(p.external, STR("a")), "b");
        CHECK_STR(p.external.v[0].name, "a");

        struct doctor_bucket b;
        CHECK(doctor_ask_blocks(&o, &a, url, &b));
        CHECK_U64(b.n_blocks, 1);
        CHECK_I64(b.blocks[0].resolution_ms, 300000);
        CHECK_STR(labels_get(b.blocks[0].labels, STR("a")), "b");

        struct doctor_querier q;
        doctor_ask_querier(&o, &a, url, &q);
        CHECK_STR(q.problem, "");
        CHECK_U64(q.n_stores, 2);
        CHECK_STR(q.stores[0].type, "sidecar");
        CHECK_STR(q.stores[0].error, "");
        CHECK_STR(labels_get(q.stores[0].label_sets[1], STR("c")), "d");
        CHECK(q.stores[0].maxt_ms > INT64_C(253402300799000));        /* "no end" still */
        CHECK_STR(q.stores[1].error, "gone");
        CHECK_I64(q.newest_ms, 7000);
        CHECK_U64(q.n_warnings, 1);
        CHECK_STR(q.warnings[0], "slow");

        struct doctor_sidecar c;
        doctor_ask_sidecar(&o, &a, url, &c);
        CHECK_STR(c.problem, "");
        CHECK(c.is_ready && c.reaches_prometheus && c.ships);
        CHECK_F64(c.uploads, 3);

        Str nowhere = arena_printf(&a, "http://127.0.0.1:%d/q", http_server_port(s, 0));
        doctor_ask_prometheus(&o, &a, nowhere, &p);
        CHECK(str_has_suffix(p.problem, STR("/q/api/v1/targets?state=active\": the answer is 404 Not Found")));
        CHECK(!doctor_ask_blocks(&o, &a, nowhere, &b));
        doctor_ask_querier(&o, &a, nowhere, &q);
        CHECK(str_has_prefix(q.problem, STR("this is no querier: Get")));
        doctor_ask_sidecar(&o, &a, nowhere, &c);
        CHECK(c.problem.n > 0);
        http_server_free(s);
        doctor_ask_prometheus(&o, &a, url, &p);
        CHECK(str_contains(p.problem, STR("connection refused")));
        arena_done(&a);
}

TEST(doctor, answers_that_are_no_answers_do_no_harm)
{
        static const struct fake odd[] = {
                {"/api/v1/targets", "{\"status\":\"success\",\"data\":{\"activeTargets\":[7,{\"health\":[]},{\"scrapePool\":null,\"health\":\"down\"}]}}"},
                {"/api/v1/query", "{\"status\":\"success\",\"data\":{\"result\":[[],{\"value\":[\"x\",\"1e999\"]}]},\"warnings\":{\"a\":1}}"},
                {"/api/v1/status/runtimeinfo", "{\"status\":\"success\",\"data\":[]}"},
                {"/api/v1/status/flags", "{\"status\":\"success\",\"data\":{\"storage.tsdb.min-block-duration\":5}}"},
                {"/api/v1/status/config", "{\"status\":\"success\",\"data\":{\"yaml\":\"global: [\"}}"},
                {"/metrics", "prometheus_tsdb_lowest_timestamp_seconds\nprometheus_tsdb_head_max_time_seconds 1e300\n"},
                {"/api/v1/blocks", "{\"status\":\"success\",\"data\":{\"blocks\":[1,{\"minTime\":-9223372036854775808,\"maxTime\":9223372036854775807,\"ulid\":\"x\"},"
                                   "{\"minTime\":9223372036854775807,\"maxTime\":-9223372036854775808}]}}"},
                {"/api/v1/stores", "{\"status\":\"success\",\"data\":{\"store\":[{\"minTime\":9223372036854775807,\"maxTime\":9223372036854775807},"
                                   "{\"minTime\":-9223372036854775808,\"maxTime\":-9223372036854775808,\"labelSets\":\"a\"}],\"sidecar\":8}}"},
        };
        struct http_server *s;
        struct arena a;
        struct doctor_prometheus p;
        struct doctor_bucket b;
        struct doctor_querier q;
        arena_init(&a, 16 << 20);
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "fake", .loops = 1}, &s));
        for (size_t i = 0; i < ARRAY_LEN(odd); i++)
                http_server_handle(s, odd[i].path, HTTP_GET, 0, answer, (void *)&odd[i]);
        CHECK_OK(http_server_listen(s, "127.0.0.1:0"));
        CHECK_OK(http_server_start(s));
        Str url = arena_printf(&a, "http://127.0.0.1:%d", http_server_port(s, 0));
        doctor_ask_prometheus(&(struct doctor_opts){0}, &a, url, &p);
        CHECK(doctor_ask_blocks(&(struct doctor_opts){0}, &a, url, &b));
        doctor_ask_querier(&(struct doctor_opts){0}, &a, url, &q);
        judge((struct doctor_facts){.prometheus = &p, .n_prometheus = 1, .buckets = &b, .n_buckets = 1, .queriers = &q, .n_queriers = 1});
        says("finding coverage: the newest hours are missing");
        http_server_free(s);
        arena_done(&a);
}

TEST(doctor, asks_a_bucket)
{
        struct bucket *b = memory_bucket_new();
        struct arena a;
        struct doctor_bucket got;
        static const char meta[] = "{\"ulid\":\"01HF0000000000000000000000\",\"minTime\":1,\"maxTime\":2,\"compaction\":{\"level\":2},\"version\":1,\"thanos\":{\"labels\":"
                                   "{\"replica\":\"a\"},\"downsample\":{\"resolution\":0},\"source\":\"sidecar\"}}";
        arena_init(&a, 16 << 20);
        CHECK_OK(bucket_upload(b, NULL, STR("01HF0000000000000000000000/meta.json"), str_from(meta)));
        CHECK_OK(bucket_upload(b, NULL, STR("01HF0000000000000000000001/index"), STR("x")));
        doctor_ask_bucket(&(struct doctor_opts){0}, &a, b, &got);
        CHECK_STR(got.problem, "");
        CHECK_U64(got.n_blocks, 1);
        CHECK_I64(got.blocks[0].level, 2);
        CHECK_STR(labels_get(got.blocks[0].labels, STR("replica")), "a");
        CHECK_U64(got.n_partial, 1);
        CHECK_STR(got.partial[0].id, "01HF0000000000000000000001");
        CHECK(got.partial[0].made_ms > 0);
        arena_done(&a);
        bucket_free(b);
}
