/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "collect/scrape/fixture.h"

#define TEXT STR("text/plain; version=0.0.4")
#define FAR  INT64_C(1000000000)

static bool scrape(struct fixture *f, const char *body, TimeMs t)
{
        return fixture_scrape(f, str_from(body), TEXT, t, FAR);
}

static void check_dump(struct fixture *f, const char *want)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        fixture_dump(f, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

#define A "{__name__=\"a\", instance=\"t\", job=\"j\"}"
#define B "{__name__=\"b\", instance=\"t\", job=\"j\"}"

TEST(scrape_cache, stores_samples_under_the_target_labels)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\nb 2\n", 1000));
        CHECK(scrape(&f, "a 3\nb 4\n", 2000));
        check_dump(&f, A " 1000 1\n" A " 2000 3\n" B " 1000 2\n" B " 2000 4\n");
        CHECK_U64(f.r.scraped, 2);
        CHECK_U64(f.r.added, 2);
        CHECK_U64(f.r.series_added, 0);
        fixture_done(&f);
}

TEST(scrape_cache, follows_lines_that_change_places)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\nb 2\nc 3\n", 1000));
        CHECK_U64(f.r.series_added, 3);
        CHECK(scrape(&f, "c 3\na 1\nd 5\nb 2\n", 2000));
        CHECK_U64(f.r.series_added, 1);
        CHECK(scrape(&f, "c 3\na 1\nd 5\nb 2\n", 3000));
        CHECK_U64(f.r.series_added, 0);
        CHECK_U64(f.r.added, 4);
        CHECK_U64(memory_storage_series(f.storage), 4 + 5);
        fixture_done(&f);
}

TEST(scrape_cache, marks_series_that_are_gone_once)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\nb 2\n", 1000));
        CHECK(scrape(&f, "b 2\n", 2000));
        CHECK(scrape(&f, "b 2\n", 3000));
        CHECK(scrape(&f, "a 9\nb 2\n", 4000));
        CHECK_U64(f.r.series_added, 1);
        check_dump(&f, A " 1000 1\n" A " 2000 stale\n" A " 4000 9\n" B " 1000 2\n" B " 2000 2\n" B " 3000 2\n" B
                         " 4000 2\n");
        fixture_done(&f);
}

TEST(scrape_cache, marks_everything_when_a_scrape_fails_half_way)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\nb 2\n", 1000));
        CHECK(!scrape(&f, "a 2\nc 1\nbroken\n", 2000));
        CHECK(!scrape(&f, "a 2\nbroken\n", 3000));
        CHECK(scrape(&f, "a 4\nb 5\n", 4000));
        CHECK_U64(f.r.series_added, 0); /* a failed scrape does not make the cache forget */
        check_dump(&f, A " 1000 1\n" A " 2000 stale\n" A " 4000 4\n" B " 1000 2\n" B " 2000 stale\n" B " 4000 5\n");
        fixture_done(&f);
}

TEST(scrape_cache, marks_everything_after_an_empty_body)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\n", 1000));
        CHECK(scrape(&f, "", 2000));
        check_dump(&f, A " 1000 1\n" A " 2000 stale\n");
        fixture_done(&f);
}

TEST(scrape_cache, does_not_mark_a_series_that_another_text_names)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a{} 1\n", 1000));
        CHECK(scrape(&f, "a 2\n", 2000));
        check_dump(&f, A " 1000 1\n" A " 2000 2\n");
        fixture_done(&f);
}

TEST(scrape_cache, explicit_timestamps_leave_no_markers)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1 500\nb 2\n", 1000));
        CHECK(scrape(&f, "b 2\n", 2000));
        check_dump(&f, A " 500 1\n" B " 1000 2\n" B " 2000 2\n");
        fixture_done(&f);
}

TEST(scrape_cache, explicit_timestamps_leave_markers_when_tracked)
{
        struct fixture f;
        fixture_init(&f);
        f.conf.track_timestamps_staleness = true;
        CHECK(scrape(&f, "a 1 500\n", 1000));
        CHECK(scrape(&f, "b 2\n", 2000));
        check_dump(&f, A " 500 1\n" A " 2000 stale\n" B " 2000 2\n");
        fixture_done(&f);
}

TEST(scrape_cache, timestamps_are_not_taken_unless_honoured)
{
        struct fixture f;
        fixture_init(&f);
        f.conf.honor_timestamps = false;
        CHECK(scrape(&f, "a 1 500\n", 1000));
        CHECK(scrape(&f, "b 1\n", 2000));
        check_dump(&f, A " 1000 1\n" A " 2000 stale\n" B " 2000 1\n");
        fixture_done(&f);
}

TEST(scrape_cache, counts_what_the_storage_refuses)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a 1\na 2\nb 1 99999999999999\n", 1000));
        CHECK_U64(f.r.duplicates, 1);
        CHECK_U64(f.r.out_of_bounds, 1);
        CHECK_U64(f.r.scraped, 3);
        CHECK_U64(f.r.added, 3);
        CHECK_U64(f.r.series_added, 1);
        CHECK(scrape(&f, "a 1 400\n", 2000));
        CHECK_U64(f.r.out_of_order, 1);
        fixture_done(&f);
}

TEST(scrape_cache, sample_limit_fails_the_scrape_and_still_counts)
{
        struct fixture f;
        fixture_init(&f);
        f.conf.sample_limit = 2;
        CHECK(scrape(&f, "a 1\nb 2\n", 1000));
        CHECK(!scrape(&f, "a 1\nb 2\nc 3\nd 4\n", 2000));
        CHECK_STR(buf_str(&f.error), "sample limit exceeded");
        CHECK_U64(f.r.scraped, 4);
        CHECK_U64(f.r.added, 4);
        check_dump(&f, A " 1000 1\n" A " 2000 stale\n" B " 1000 2\n" B " 2000 stale\n");
        fixture_done(&f);
}

static struct relabel_rule drop_rule(const Str *source, const char *regex)
{
        struct relabel_rule r = {.source_labels = source,
                                 .n_source = 1,
                                 .separator = STR(";"),
                                 .regex = str_from(regex),
                                 .replacement = STR("$1"),
                                 .action = RELABEL_DROP,
                                 .has_regex = true,
                                 .has_action = true,
                                 .utf8_names = true};
        return r;
}

TEST(scrape_cache, remembers_what_relabelling_drops)
{
        struct fixture f;
        fixture_init(&f);
        Str source = STR(METRIC_NAME);
        struct relabel_rule rule = drop_rule(&source, "a.*");
        CHECK_OK(relabel_rule_check(&rule));
        f.conf.metric_relabel = &rule;
        f.conf.n_metric_relabel = 1;
        for (TimeMs t = 1000; t < 4000; t += 1000) {
                CHECK(scrape(&f, "a1 1\nb 2\na2 3\n", t));
                CHECK_U64(f.r.scraped, 3);
                CHECK_U64(f.r.added, 1);
        }
        check_dump(&f, B " 1000 2\n" B " 2000 2\n" B " 3000 2\n");
        relabel_rule_done(&rule);
        fixture_done(&f);
}

TEST(scrape_cache, exposed_labels_give_way_to_the_target)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "a{job=\"x\",exported_job=\"y\"} 1\n", 1000));
        check_dump(&f, "{__name__=\"a\", exported_exported_job=\"x\", exported_job=\"y\", instance=\"t\", job=\"j\"} "
                       "1000 1\n");
        fixture_done(&f);
}

TEST(scrape_cache, honoured_labels_stay_and_empty_ones_remove)
{
        struct fixture f;
        fixture_init(&f);
        f.conf.honor_labels = true;
        CHECK(scrape(&f, "a{job=\"x\",instance=\"\"} 1\n", 1000));
        check_dump(&f, "{__name__=\"a\", job=\"x\"} 1000 1\n");
        fixture_done(&f);
}

TEST(scrape_cache, forgets_the_dead_and_stays_small)
{
        struct fixture f;
        fixture_init(&f);
        char body[4096];
        for (int i = 0; i < 200; i++) {
                size_t n = 0;
                for (int k = 0; k < 50; k++)
                        n += (size_t)snprintf(body + n, sizeof body - n, "m{scrape=\"%d\",k=\"%d\"} 1\n", i, k);
                CHECK(fixture_scrape(&f, (Str){body, n}, TEXT, 1000 + i, FAR));
                CHECK_U64(f.r.series_added, 50);
        }
        CHECK(f.cache->v.n < 300);
        CHECK(f.cache->cap <= 1024);
        fixture_done(&f);
}

TEST(scrape_cache, does_not_grow_while_all_scrapes_fail)
{
        struct fixture f;
        fixture_init(&f);
        char body[4096];
        for (int i = 0; i < 500; i++) {
                size_t n = 0;
                for (int k = 0; k < 50; k++)
                        n += (size_t)snprintf(body + n, sizeof body - n, "m{scrape=\"%d\",k=\"%d\"} 1\n", i, k);
                n += (size_t)snprintf(body + n, sizeof body - n, "broken\n");
                CHECK(!fixture_scrape(&f, (Str){body, n}, TEXT, 1000 + i, FAR));
        }
        CHECK(f.cache->v.n <= 1100);
        fixture_done(&f);
}

static bool collect_family(void *ctx, Str family, const struct metric_metadata *md)
{
        buf_printf(ctx, STR_FMT " %s " STR_FMT "\n", STR_ARG(family), metric_type_name(md->type), STR_ARG(md->help));
        return true;
}

static void check_metadata(struct fixture *f, const char *want)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        metadata_each(scrape_cache_metadata(f->cache), collect_family, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(scrape_metadata, is_kept_for_ten_scrapes_after_its_family_went)
{
        struct fixture f;
        fixture_init(&f);
        CHECK(scrape(&f, "# HELP a An a.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n", 1000));
        check_metadata(&f, "a counter An a.\nb gauge \n");
        CHECK(scrape(&f, "# TYPE b gauge\nb 2\n# HELP c see\nc 1\n", 2000));
        for (int i = 0; i < 9; i++)
                CHECK(scrape(&f, "# TYPE b counter\nb 2\n", 3000 + i));
        check_metadata(&f, "a counter An a.\nb counter \nc unknown see\n");
        CHECK(scrape(&f, "# TYPE b counter\nb 2\n", 4000));
        check_metadata(&f, "b counter \nc unknown see\n");
        fixture_done(&f);
}

TEST(scrape_metadata, equal_records_are_stored_once)
{
        struct metadata_pool *p = metadata_pool_new();
        struct metadata a, b;
        metadata_init(&a, p);
        metadata_init(&b, p);
        metadata_set_help(&a, 1, STR("x"), STR("help"));
        metadata_set_type(&a, 1, STR("x"), METRIC_COUNTER);
        metadata_set_type(&b, 1, STR("x"), METRIC_COUNTER);
        CHECK(a.v.p[0].record != b.v.p[0].record);
        metadata_set_help(&b, 1, STR("x"), STR("help"));
        CHECK(a.v.p[0].record == b.v.p[0].record);
        metadata_done(&a);
        metadata_done(&b);
        metadata_pool_free(p);
}

TEST(scrape_report, carries_target_labels_and_the_extra_series_when_asked_for)
{
        struct fixture f;
        fixture_init(&f);
        struct scrape_how how = fixture_how(&f);
        const double values[REPORT_COUNT] = {1, 0.5, 10, 9, 8, 3, 100, 4096};
        for (TimeMs t = 1000; t <= 2000; t += 1000) {
                struct appender *app;
                CHECK_OK(storage_appender(f.storage, &app));
                CHECK_OK(scrape_cache_report(f.cache, &how, app, t, values,
                                             t == 1000 ? REPORT_COUNT_PLAIN : REPORT_COUNT));
                CHECK_OK(appender_commit(app));
                CHECK_U64(memory_storage_series(f.storage), t == 1000 ? 5 : 8);
        }
        struct buf b = BUF_INIT(1 << 16);
        labels_print(&b, scrape_report_labels(&how, REPORT_BODY_SIZE));
        CHECK_STR(buf_str(&b), "{__name__=\"scrape_body_size_bytes\", instance=\"t\", job=\"j\"}");
        buf_done(&b);
        fixture_done(&f);
}
