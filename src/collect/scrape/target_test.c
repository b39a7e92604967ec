/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "collect/scrape/target.h"

/* A group of one target; labels as "a=b,c=d". */
static Labels parse_labels(struct arena *a, const char *text)
{
        Str rest = str_from(text), part, name, value;
        Label *v = arena_array(a, Label, 16);
        size_t n = 0;
        while (str_next(&rest, ',', &part))
                if (str_cut(part, '=', &name, &value))
                        v[n++] = (Label){name, value};
        labels_sort(v, n);
        return (Labels){v, n};
}

static void check_labels(const struct scrape_conf *c, const char *group, const char *own, const char *want)
{
        struct target_group *g = target_group_new(STR("g"));
        g->labels = parse_labels(&g->arena, group);
        Labels targets[] = {parse_labels(&g->arena, own)};
        g->targets = targets;
        g->n_targets = 1;
        Labels got = {NULL, 0};
        struct error *e = target_labels(c, g, 0, &g->arena, &got);
        struct buf b = BUF_INIT(1 << 16);
        if (e)
                buf_puts(&b, error_str(e));
        for (size_t i = 0; !e && i < got.n; i++)
                if (!str_has_suffix(got.v[i].name, STR("histograms__")) &&
                    !str_has_suffix(got.v[i].name, STR("nhcb__")))
                        buf_printf(&b, STR_FMT "=" STR_FMT ",", STR_ARG(got.v[i].name), STR_ARG(got.v[i].value));
        CHECK_STR(buf_str(&b), want);
        error_free(e);
        buf_done(&b);
        target_group_unref(g);
}

static struct scrape_conf job(void)
{
        struct scrape_conf c = scrape_conf_defaults;
        c.job_name = STR("job");
        c.interval_ms = 1000;
        c.timeout_ms = 1000;
        return c;
}

TEST(target_labels, fill_in_what_the_job_says)
{
        struct scrape_conf c = job();
        check_labels(&c, "", "__address__=1.2.3.4:1000,custom=value",
                     "__address__=1.2.3.4:1000,__metrics_path__=/metrics,__scheme__=http,__scrape_interval__=1s,"
                     "__scrape_timeout__=1s,custom=value,instance=1.2.3.4:1000,job=job,");
}

TEST(target_labels, own_labels_win_over_the_group_and_the_job)
{
        struct scrape_conf c = job();
        check_labels(&c, "x=group,y=group,job=other", "__address__=h,x=own,__scheme__=https,instance=i",
                     "__address__=h,__metrics_path__=/metrics,__scheme__=https,__scrape_interval__=1s,"
                     "__scrape_timeout__=1s,instance=i,job=other,x=own,y=group,");
}

TEST(target_labels, no_port_is_added_and_meta_labels_go)
{
        struct scrape_conf c = job();
        check_labels(&c, "__meta_x=1", "__address__=[::1],__keep=2",
                     "__address__=[::1],__keep=2,__metrics_path__=/metrics,__scheme__=http,__scrape_interval__=1s,"
                     "__scrape_timeout__=1s,instance=[::1],job=job,");
}

TEST(target_labels, refuse_with_upstreams_texts)
{
        struct scrape_conf c = job();
        check_labels(&c, "", "custom=value", "no address");
        check_labels(&c, "", "__address__=http://h", "\"http://h\" is not a valid hostname");
        check_labels(&c, "", "__address__=h,__scrape_interval__=0s", "scrape interval cannot be 0");
        check_labels(&c, "", "__address__=h,__scrape_timeout__=0s", "scrape timeout cannot be 0");
        check_labels(&c, "", "__address__=h,__scrape_interval__=notinterval",
                     "error parsing scrape interval: not a valid duration string: \"notinterval\"");
        check_labels(&c, "", "__address__=h,__scrape_timeout__=nottimeout",
                     "error parsing scrape timeout: not a valid duration string: \"nottimeout\"");
        check_labels(&c, "", "__address__=h,__scrape_timeout__=2s",
                     "scrape timeout cannot be greater than scrape interval (\"2s\" > \"1s\")");
        check_labels(&c, "", "__address__=h,__scrape_native_histograms__=maybe",
                     "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": invalid syntax");
        check_labels(&c, "", "__address__=h,bad=\xff", "invalid label value for \"bad\": \"\\xff\"");
}

TEST(target_labels, relabelling_may_drop)
{
        struct scrape_conf c = job();
        Str source = STR("__address__");
        struct relabel_rule r = {.source_labels = &source,
                                 .n_source = 1,
                                 .separator = STR(";"),
                                 .regex = STR("h.*"),
                                 .replacement = STR("$1"),
                                 .action = RELABEL_DROP,
                                 .has_regex = true,
                                 .has_action = true,
                                 .utf8_names = true};
        CHECK_OK(relabel_rule_check(&r));
        c.relabel = &r;
        c.n_relabel = 1;
        check_labels(&c, "", "__address__=host", "");
        relabel_rule_done(&r);
}

static void check_url(const struct scrape_conf *c, const char *labels, const char *want)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK_STR(target_url(c, parse_labels(&a, labels), &a), want);
        arena_done(&a);
}

TEST(target_url, parameters_of_labels_replace_the_first_of_the_job)
{
        struct scrape_conf c = job();
        const Str abc[] = {STR_INIT("foo"), STR_INIT("bar"), STR_INIT("baz")}, xyz[] = {STR_INIT("hoo")};
        const struct scrape_param params[] = {{STR_INIT("abc"), abc, 3}, {STR_INIT("xyz"), xyz, 1}};
        c.params = params;
        c.n_params = 2;
        check_url(&c,
                  "__address__=example.com:1234,__scheme__=https,__metrics_path__=/"
                  "metricz,__param_abc=overwrite,__param_cde=huu",
                  "https://example.com:1234/metricz?abc=overwrite&abc=bar&abc=baz&cde=huu&xyz=hoo");
}

TEST(target_url, escapes_as_go_does)
{
        struct scrape_conf c = job();
        check_url(&c, "__address__=h:1,__scheme__=http,__metrics_path__=a b?c,__param_module=x y&z",
                  "http://h:1/a%20b%3Fc?module=x+y%26z");
}

TEST(target_offset, lies_within_the_interval_and_stands_still_in_absolute_time)
{
        const int64_t interval = 10000000000;
        for (uint64_t hash = 1; hash < 1000000; hash = hash * 7 + 3)
                for (int64_t now = 0; now < 3 * interval; now += interval / 7) {
                        int64_t at = target_offset_ns(hash, 99, interval, now);
                        CHECK(at >= 0 && at <= interval);
                        CHECK_I64((now + at) % interval, (int64_t)((hash ^ 99) % (uint64_t)interval));
                }
}

TEST(target_hash, differs_by_labels_and_by_url)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        uint64_t x = target_hash(parse_labels(&a, "a=1"), STR("http://h"));
        CHECK(x != target_hash(parse_labels(&a, "a=2"), STR("http://h")));
        CHECK(x != target_hash(parse_labels(&a, "a=1"), STR("http://g")));
        CHECK_U64(x, target_hash(parse_labels(&a, "a=1"), STR("http://h")));
        arena_done(&a);
}

TEST(scrape_conf, names_of_protocols_and_schemes_read_back)
{
        for (enum scrape_protocol p = SCRAPE_OPENMETRICS_1_0_0; p <= SCRAPE_PROTOBUF; p++) {
                enum scrape_protocol got = SCRAPE_PROTOCOL_NONE;
                CHECK(scrape_protocol_parse(str_from(scrape_protocol_name(p)), &got));
                CHECK(got == p);
        }
        enum scrape_protocol none;
        CHECK(!scrape_protocol_parse(STR("Text"), &none));
        CHECK(!scrape_protocol_parse(STR(""), &none));
        enum name_escaping e = NAME_ESCAPING_ALLOW_UTF8;
        CHECK(name_escaping_parse(STR("values"), &e) && e == NAME_ESCAPING_VALUES);
        CHECK(!name_escaping_parse(STR("none"), &e));
}

TEST(scrape_conf, equality_sees_every_kind_of_change)
{
        struct scrape_conf a = job(), b = job();
        CHECK(scrape_conf_eq(&a, &b));
        b.interval_ms++;
        CHECK(!scrape_conf_eq(&a, &b));
        CHECK(scrape_conf_cache_eq(&a, &b));
        b = job();
        b.http.basic_username = "u";
        CHECK(!scrape_conf_eq(&a, &b));
        CHECK(scrape_conf_cache_eq(&a, &b));
        b = job();
        b.honor_labels = true;
        CHECK(!scrape_conf_cache_eq(&a, &b));
        b = job();
        b.metrics_path = STR("/x");
        CHECK(!scrape_conf_cache_eq(&a, &b));
}
