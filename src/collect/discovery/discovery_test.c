/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"
#include "collect/discovery/discovery_impl.h"

/* ---- files ---- */

static void check_parse(const char *path, const char *text, const char *want)
{
        GroupVec v = VEC_INIT;
        struct buf b = BUF_INIT(1 << 20);
        struct error *e = file_sd_parse(str_from(path), str_from(text), &v);
        if (e)
                buf_puts(&b, error_str(e));
        for (size_t i = 0; i < v.n; i++) {
                buf_printf(&b, STR_FMT " ", STR_ARG(v.p[i]->source));
                labels_print(&b, v.p[i]->labels);
                for (size_t k = 0; k < v.p[i]->n_targets; k++)
                        buf_printf(&b, " " STR_FMT, STR_ARG(labels_get(v.p[i]->targets[k], STR("__address__"))));
                buf_putc(&b, '\n');
                target_group_unref(v.p[i]);
        }
        CHECK_STR(buf_str(&b), want);
        error_free(e);
        vec_done(&v);
        buf_done(&b);
}

TEST(file_sd, reads_json_and_yaml_alike)
{
        const char *want = "x.json:0 {__meta_filepath=\"x.json\", foo=\"bar\"} localhost:9090 example.org:443\n"
                           "x.json:1 {__meta_filepath=\"x.json\"} my.domain\n";
        check_parse("x.json",
                    "[{\"targets\": [\"localhost:9090\", \"example.org:443\"], \"labels\": {\"foo\": \"bar\"}},"
                    "{\"targets\": [\"my.domain\"]}]",
                    want);
        check_parse("x.yml",
                    "- targets: ['localhost:9090', 'example.org:443']\n  labels:\n    foo: bar\n\n- targets: "
                    "['my.domain']\n",
                    "x.yml:0 {__meta_filepath=\"x.yml\", foo=\"bar\"} localhost:9090 example.org:443\n"
                    "x.yml:1 {__meta_filepath=\"x.yml\"} my.domain\n");
}

TEST(file_sd, an_empty_file_has_no_groups)
{
        check_parse("x.yml", "", "");
        check_parse("x.json", "null", "");
        check_parse("x.json", "[]", "");
}

TEST(file_sd, refuses_with_upstreams_texts)
{
        check_parse("x.json", "[{\"targets\": []}, null]", "nil target group item found");
        check_parse("x.yml", "- targets: [a]\n- null\n", "nil target group item found");
        check_parse("x.json", "[{\"targets\": [], \"label\": {}}]", "json: unknown field \"label\"");
        check_parse("x.yml", "- targets: [a]\n  foo: 1\n",
                    "yaml: unmarshal errors:\n  line 2: field foo not found in type struct { Targets []string "
                    "\"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }");
        check_parse("x.json", "[{\"targets\": \"a\"}]",
                    "json: cannot unmarshal string into Go struct field .targets of type []string");
}

/* As `promtool check config` words them. */
TEST(file_sd, type_errors_are_worded_as_go_does)
{
#define YAML_GROUP "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }"
        check_parse("x.json", "[{\"targets\": [\"a\"], \"labels\": {\"x\": 1}}]",
                    "json: cannot unmarshal number into Go struct field .labels of type model.LabelValue");
        check_parse("x.json", "[{\"targets\": [\"a\"], \"labels\": [\"x\"]}]",
                    "json: cannot unmarshal array into Go struct field .labels of type "
                    "map[model.LabelName]model.LabelValue");
        check_parse("x.json", "{\"targets\": []}",
                    "json: cannot unmarshal object into Go value of type []*targetgroup.Group");
        check_parse("x.json", "[{\"targets\": [\"a\"], \"labels\": {\"\": \"x\"}}]", "\"\" is not a valid label name");
        check_parse("x.yml", "targets: [a]\n",
                    "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!map into []*targetgroup.Group");
        check_parse("x.yml", "- targets: a\n",
                    "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `a` into []string");
        check_parse("x.yml", "- targets: [a]\n  labels: [x]\n",
                    "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into model.LabelSet");
        check_parse("x.yml", "- averylongscalar value\n",
                    "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `averylo...` into " YAML_GROUP);
#undef YAML_GROUP
}

TEST(file_sd, paths_need_a_known_ending_and_one_star_at_the_end)
{
        CHECK(file_sd_path_is_valid(STR("a/b.json")));
        CHECK(file_sd_path_is_valid(STR("a/*.yml")));
        CHECK(file_sd_path_is_valid(STR("a/x*.YAML")));
        CHECK(!file_sd_path_is_valid(STR("a/b.txt")));
        CHECK(!file_sd_path_is_valid(STR("a/*/b.json")));
        CHECK(!file_sd_path_is_valid(STR("json")));
}

/* ---- DNS ---- */

static void check_dns(enum dns_type type, int port, struct dns_record r, const char *want)
{
        struct dns_sd_conf c = {.type = type, .port = port};
        struct target_group *g = dns_group_new(&c, STR("n"), &r, 1);
        struct buf b = BUF_INIT(1 << 16);
        labels_print(&b, g->targets[0]);
        CHECK_STR(buf_str(&b), want);
        CHECK_STR(g->source, "n");
        buf_done(&b);
        target_group_unref(g);
}

TEST(dns_sd, records_become_targets_with_their_meta_labels)
{
        check_dns(DNS_A, 80, (struct dns_record){.name = STR("192.0.2.2")},
                  "{__address__=\"192.0.2.2:80\", __meta_dns_name=\"n\"}");
        check_dns(DNS_AAAA, 80, (struct dns_record){.name = STR("::1")},
                  "{__address__=\"[::1]:80\", __meta_dns_name=\"n\"}");
        check_dns(DNS_SRV, 0, (struct dns_record){.name = STR("db1.example.com"), .port = 3306},
                  "{__address__=\"db1.example.com:3306\", __meta_dns_name=\"n\", __meta_dns_srv_record_port=\"3306\", "
                  "__meta_dns_srv_record_target=\"db1.example.com.\"}");
        check_dns(DNS_MX, 25, (struct dns_record){.name = STR("smtp1.example.com"), .priority = 5},
                  "{__address__=\"smtp1.example.com:25\", __meta_dns_mx_record_target=\"smtp1.example.com.\", "
                  "__meta_dns_name=\"n\"}");
        check_dns(DNS_NS, 53, (struct dns_record){.name = STR("ns1.example.com")},
                  "{__address__=\"ns1.example.com:53\", __meta_dns_name=\"n\", "
                  "__meta_dns_ns_record_target=\"ns1.example.com.\"}");
}

/* ---- the manager ---- */

struct seen {
        struct mutex mu;
        struct cond changed;
        int updates;
        struct buf text;
};

static void seen_update(void *ctx, const struct target_set *sets, size_t n)
{
        struct seen *s = ctx;
        mutex_lock(&s->mu);
        buf_clear(&s->text);
        for (size_t i = 0; i < n; i++) {
                buf_printf(&s->text, STR_FMT ":", STR_ARG(sets[i].name));
                for (size_t g = 0; g < sets[i].n; g++)
                        for (size_t t = 0; t < sets[i].groups[g]->n_targets; t++)
                                buf_printf(&s->text, " " STR_FMT,
                                           STR_ARG(labels_get(sets[i].groups[g]->targets[t], STR("__address__"))));
                buf_putc(&s->text, '\n');
        }
        s->updates++;
        cond_broadcast(&s->changed);
        mutex_unlock(&s->mu);
}

/* Waits until the consumer was told exactly this. */
static void wait_for(struct seen *s, const char *want)
{
        mutex_lock(&s->mu);
        for (int i = 0; i < 100 && !str_eq(buf_str(&s->text), str_from(want)); i++)
                (void)cond_wait_ms(&s->changed, &s->mu, 200);
        CHECK_STR(buf_str(&s->text), want);
        mutex_unlock(&s->mu);
}

static void seen_init(struct seen *s)
{
        *s = (struct seen){.text = BUF_INIT(1 << 20)};
        mutex_init(&s->mu);
        cond_init(&s->changed);
}

static void seen_done(struct seen *s)
{
        buf_done(&s->text);
        cond_done(&s->changed);
        mutex_done(&s->mu);
}

static struct discovery_manager *manager(struct seen *s, struct metric_registry *r)
{
        struct discovery_manager *m;
        CHECK_OK(discovery_manager_new(
                &(struct discovery_opts){
                        .name = "scrape", .metrics = r, .update_interval_ms = 200, .update = seen_update, .ctx = s},
                &m));
        return m;
}

TEST(discovery, static_targets_arrive_and_follow_reloads)
{
        struct seen s;
        seen_init(&s);
        struct metric_registry *r = metric_registry_new();
        struct discovery_manager *m = manager(&s, r);
        const Str ab[] = {STR_INIT("a:1"), STR_INIT("b:2")}, c1[] = {STR_INIT("c:3")};
        const struct static_sd_conf two = {.targets = ab, .n_targets = 2}, one = {.targets = c1, .n_targets = 1};
        const struct discovery_conf x = {.statics = &two, .n_statics = 1}, y = {.statics = &one, .n_statics = 1},
                                    none = {0};
        discovery_manager_apply(m, (const struct discovery_set[]){{STR("x"), &x}, {STR("y"), &y}, {STR("z"), &none}},
                                3);
        wait_for(&s, "x: a:1 b:2\ny: c:3\nz:\n");
        discovery_manager_apply(m, (const struct discovery_set[]){{STR("x"), &y}, {STR("w"), &x}}, 2);
        wait_for(&s, "x: c:3\nw: a:1 b:2\n");
        struct buf text = BUF_INIT(1 << 20);
        metric_write_text(r, &text);
        CHECK(str_contains(buf_str(&text), STR("prometheus_sd_discovered_targets{name=\"scrape\",config=\"w\"} 2")) ||
              str_contains(buf_str(&text), STR("prometheus_sd_discovered_targets{config=\"w\",name=\"scrape\"} 2")));
        CHECK(!str_contains(buf_str(&text), STR("config=\"y\"")));
        buf_done(&text);
        discovery_manager_free(m);
        metric_registry_free(r);
        seen_done(&s);
}

TEST(discovery, files_are_followed_and_bad_content_keeps_the_last_good)
{
        struct seen s;
        seen_init(&s);
        struct discovery_manager *m = manager(&s, NULL);
        const char *dir = test_dir();
        char *a = path_join(dir, "a.json"), *b = path_join(dir, "b.json"), *pattern = path_join(dir, "*.json");
        CHECK_OK(file_replace(a, STR("[{\"targets\":[\"a:1\"]},{\"targets\":[\"a:2\"]}]")));
        const Str files[] = {str_from(pattern)};
        const struct file_sd_conf file = {.files = files, .n_files = 1, .refresh_ms = 300000};
        const struct discovery_conf conf = {.files = &file, .n_files = 1};
        const struct discovery_set set = {STR("x"), &conf};
        discovery_manager_apply(m, &set, 1);
        wait_for(&s, "x: a:1 a:2\n");
        CHECK_OK(file_replace(b, STR("[{\"targets\":[\"b:1\"]}]")));
        wait_for(&s, "x: a:1 a:2 b:1\n");
        CHECK_OK(file_replace(b, STR("[{\"targets\":")));
        CHECK_OK(file_replace(a, STR("[{\"targets\":[\"a:3\"]}]")));
        wait_for(&s, "x: a:3 b:1\n");
        CHECK(unlink(b) == 0);
        wait_for(&s, "x: a:3\n");
        discovery_manager_apply(m, NULL, 0);
        wait_for(&s, "");
        discovery_manager_free(m);
        free(a);
        free(b);
        free(pattern);
        seen_done(&s);
}

TEST(discovery, an_unchanged_provider_keeps_running_over_a_reload)
{
        struct seen s;
        seen_init(&s);
        struct discovery_manager *m = manager(&s, NULL);
        char *a = path_join(test_dir(), "keep.yml");
        CHECK_OK(file_replace(a, STR("- targets: [k:1]\n")));
        const Str files[] = {str_from(a)};
        const struct file_sd_conf file = {.files = files, .n_files = 1, .refresh_ms = 300000};
        const struct discovery_conf conf = {.files = &file, .n_files = 1};
        discovery_manager_apply(m, (const struct discovery_set[]){{STR("x"), &conf}}, 1);
        wait_for(&s, "x: k:1\n");
        CHECK_OK(file_replace(a, STR("broken: [")));
        discovery_manager_apply(m, (const struct discovery_set[]){{STR("x"), &conf}, {STR("y"), &conf}}, 2);
        wait_for(&s, "x: k:1\ny: k:1\n"); /* a new provider could not have read it */
        discovery_manager_free(m);
        free(a);
        seen_done(&s);
}
