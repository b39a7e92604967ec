/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"

static void refused_case(const char *text, const char *want)
{
        struct config *c = NULL;
        struct error *e = config_parse(str_from(text), ".", NULL, &c);
        CHECK_MSG(e, "accepted: %s", text);
        CHECK_ERROR(e, want);
}

TEST(config_parse, tells_line_and_key_of_what_it_refuses)
{
        refused_case("global:\n  scrape_intervall: 1s\n", "yaml: unmarshal errors:\n  line 2: field scrape_intervall not found in type config.plain");
        refused_case("globl: {}\n", "yaml: unmarshal errors:\n  line 1: field globl not found in type config.plain");
        refused_case("global:\n  scrape_interval: 1x\n", "unknown unit \"x\" in duration \"1x\"");
        refused_case("global:\n  scrape_interval: 1s\n  scrape_timeout: 2s\n", "global scrape timeout greater than scrape interval");
        refused_case("scrape_configs:\n- job_name: a\n- job_name: a\n", "found multiple scrape configs with job name \"a\"");
        refused_case("scrape_configs:\n- scheme: http\n", "job_name is empty");
        refused_case("scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['http://x/y']}]\n", "\"http://x/y\" is not a valid hostname");
        refused_case("scrape_configs:\n- job_name: a\n  dns_sd_configs: [{names: [x], type: NOPE}]\n", "invalid DNS-SD records type NOPE");
        refused_case("scrape_configs:\n- job_name: a\n  sample_limit: x\n", "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `x` into uint");
}

TEST(config_parse, names_what_is_not_supported_yet)
{
        refused_case("remote_write: [{url: 'http://x/'}]\n", "line 1: remote_write is not supported yet");
        refused_case("scrape_configs:\n- job_name: a\n  consul_sd_configs: [{server: x}]\n", "line 3: consul_sd_configs is not supported yet");
        struct config *c;
        CHECK_OK(config_parse(STR("rule_files: []\nremote_write:\nalerting: {}\n"), ".", NULL, &c));
        config_unref(c);
}

TEST(config_parse, judges_the_alerting_block)
{
        struct config *c;
        struct buf b = BUF_INIT(1 << 16);
        size_t n;
        refused_case("alerting:\n  alertmanagers:\n  - api_version: v1\n", "expected Alertmanager api version to be one of [v2] but got v1");
        refused_case("alerting:\n  alertmanagers:\n  - static_configs: [{targets: ['http://a']}]\n", "\"http://a\" is not a valid hostname");
        refused_case("alerting: {alert_relabel_configs: [null]}\n", "empty or null alert relabeling rule");
        refused_case("alerting:\n  alertmanagers:\n  - sigv4: {region: x}\n", "line 3: sigv4 is not supported yet");
        refused_case("rule_files: ['a*/b.yml']\n", "invalid rule file path \"a*/b.yml\"");
        CHECK_OK(config_parse(STR("rule_files: [a.yml, 'b/*.yml']\nalerting:\n  alertmanagers:\n  - path_prefix: /am\n    basic_auth: {username: u, password: p}\n"
                                  "    static_configs: [{targets: ['a:1'], labels: {x: y}}]\n  - path_prefix: /am\n    basic_auth: {username: u, password: q}\n"
                                  "    static_configs: [{targets: ['a:1'], labels: {x: y}}]\n"),
                              "/etc/p", NULL, &c));
        const Str *patterns = config_rule_patterns(c, &n);
        CHECK_U64(n, 2);
        CHECK_STR(patterns[1], "/etc/p/b/*.yml");
        const struct discovery_conf *d = config_alertmanagers(c, &n);
        CHECK_U64(n, 2);
        CHECK_STR(d[0].statics[0].targets[0], "a:1");
        struct notify_conf notify;
        config_notify_conf(c, &notify);
        CHECK(notify.sets[0].hash != notify.sets[1].hash);      /* a password differs */
        notify.release(notify.owner);
        config_print(&b, c);
        CHECK(str_contains(buf_str(&b), STR("alerting:\n  alertmanagers:\n  - basic_auth:\n      username: u\n      password: <secret>\n    follow_redirects: true\n    enable_http2: true\n"
                                            "    scheme: http\n    path_prefix: /am\n    timeout: 10s\n    api_version: v2\n    static_configs:\n")));
        buf_done(&b);
        config_unref(c);
}

#define RULE(x) "scrape_configs:\n- job_name: a\n  relabel_configs: [{source_labels: [a], target_label: b, " x "}]\n"

/* Upstream asks whether the file has a regex, not which: the default written out is refused too. */
TEST(config_parse, takes_a_comparison_of_labels_only_without_a_regex)
{
        struct config *c;
        CHECK_OK(config_parse(STR(RULE("action: keepequal")), ".", NULL, &c));
        config_unref(c);
        CHECK_OK(config_parse(STR(RULE("action: dropequal")), ".", NULL, &c));
        config_unref(c);
        refused_case(RULE("action: keepequal, regex: (.*)"), "keepequal action requires only 'source_labels' and `target_label`, and no other fields");
        refused_case(RULE("action: dropequal, regex: ''"), "dropequal action requires only 'source_labels' and `target_label`, and no other fields");
}

TEST(config_parse, expands_the_environment_in_external_labels)
{
        setenv("COEUS_TEST_X", "seen", 1);
        unsetenv("COEUS_TEST_Y");
        struct config *c;
        CHECK_OK(config_parse(STR("global: {external_labels: {a: 'x$COEUS_TEST_X', b: '${COEUS_TEST_X}y', c: '$$a', d: '${COEUS_TEST_Y}', e: 'a$'}}\n"), ".", NULL, &c));
        struct buf b = BUF_INIT(4096);
        labels_print(&b, config_external_labels(c));
        CHECK_STR(buf_str(&b), "{a=\"xseen\", b=\"seeny\", c=\"$a\", e=\"a$\"}");
        buf_done(&b);
        config_unref(c);
}

TEST(config_scrapes, take_what_global_says)
{
        struct config *c;
        CHECK_OK(config_parse(STR("global: {scrape_interval: 15s, sample_limit: 7}\nscrape_configs:\n- job_name: a\n  basic_auth: {username: u, password_file: pw}\n"
                                  "  file_sd_configs: [{files: ['x/*.json']}]\n- job_name: b\n  scrape_interval: 5s\n  sample_limit: 3\n"),
                              "/etc/p", NULL, &c));
        size_t n;
        const struct scrape_conf *s = config_scrapes(c, &n);
        CHECK_U64(n, 2);
        CHECK_I64(s[0].interval_ms, 15000);
        CHECK_I64(s[0].timeout_ms, 10000);
        CHECK_U64(s[0].sample_limit, 7);
        CHECK_STR(str_from(s[0].http.basic_password_file), "/etc/p/pw");
        CHECK_STR(s[0].discovery.files[0].files[0], "/etc/p/x/*.json");
        CHECK_I64(s[1].interval_ms, 5000);
        CHECK_I64(s[1].timeout_ms, 5000);
        CHECK_U64(s[1].sample_limit, 3);
        config_unref(c);
}

/* Every file of the original's test data: the same text of /status/config, or the same error, or one that names a key that is not supported yet. */
TEST(config, agrees_with_the_original_on_its_test_data)
{
        char *dir = conformance_path("config/prometheus"), *path = path_join(dir, "loaded.json"), *text, cwd[4096];
        size_t n, same = 0, skipped = 0, differs = 0;
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 256 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        CHECK(getcwd(cwd, sizeof cwd) && chdir(dir) == 0);      /* relative paths are below it, as they were for the original */
        JSON_EACH(m, root)
        {
                Str want = json_str(json_get(&m->value, STR("server"))), want_error = json_str(json_get(&m->value, STR("server_error")));
                struct buf file = BUF_INIT(4096), got = BUF_INIT(16 << 20);
                buf_printf(&file, "%s/testdata/" STR_FMT, dir, STR_ARG(m->key));
                char *yaml;
                size_t yaml_n;
                CHECK_OK(file_read(buf_cstr(&file), 16 << 20, &yaml, &yaml_n));
                struct config *c = NULL;
                struct error *e = config_parse((Str){yaml, yaml_n}, "testdata", NULL, &c);
                if (e)
                        buf_printf(&got, "parsing YAML file testdata/" STR_FMT ": %s", STR_ARG(m->key), error_str(e));
                else
                        config_print(&got, c);
                bool is_refused = e && error_is(e, ERROR_UNSUPPORTED);
                if (is_refused) {
                        skipped++;
                } else if (str_eq(buf_str(&got), want_error.n ? want_error : want)) {
                        same++;
                } else {
                        differs++;
                        printf("%.*s:\n--- ours\n%s\n--- the original\n%.*s\n", STR_ARG(m->key), buf_cstr(&got), STR_ARG(want_error.n ? want_error : want));
                }
                error_free(e);
                config_unref(c);
                free(yaml);
                buf_done(&file);
                buf_done(&got);
        }
        CHECK(chdir(cwd) == 0);
        printf("SKIP config: %zu of the original's files use keys that are not supported yet and are refused by name\n", skipped);
        arena_done(&a);
        free(text);
        free(path);
        free(dir);
        CHECK_MSG(differs == 0 && same > 40, "%zu files differ, %zu are the same", differs, same);
}
