/* SPDX-License-Identifier: Apache-2.0 */
/* conformance_test.c — recorded bodies: stored series, health and error texts must be the original's. */
#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "collect/scrape/fixture.h"
#include "collect/scrape/target.h"

#define SCRAPED_MS INT64_C(1800000000000)

struct options {
        struct relabel_rule rules[2];
        Str source[2];
        bool is_about_http;
};

/* The recording's job options, of which there are a handful. */
static void set_options(struct fixture *f, struct options *o, Str text)
{
        f->conf.honor_labels = str_contains(text, STR("honor_labels: true"));
        f->conf.honor_timestamps = !str_contains(text, STR("honor_timestamps: false"));
        if (str_contains(text, STR("metric_name_validation_scheme: legacy")))
                f->conf.name_validation = NAME_VALIDATION_LEGACY;
        if (str_contains(text, STR("fallback_scrape_protocol: PrometheusText0.0.4")))
                f->conf.fallback_protocol = SCRAPE_TEXT_0_0_4;
        f->conf.sample_limit = str_contains(text, STR("sample_limit: 3")) ? 3 : 0;
        f->conf.label_limit = str_contains(text, STR("label_limit: 3")) ? 3 : 0;
        f->conf.label_name_length_limit = str_contains(text, STR("label_name_length_limit: 4")) ? 4 : 0;
        f->conf.label_value_length_limit = str_contains(text, STR("label_value_length_limit: 5")) ? 5 : 0;
        f->conf.scrape_native_histograms = str_contains(text, STR("scrape_native_histograms: true"));
        f->conf.always_scrape_classic_histograms = str_contains(text, STR("always_scrape_classic_histograms: true"));
        f->conf.convert_classic_histograms_to_nhcb = str_contains(text, STR("convert_classic_histograms_to_nhcb: true"));
        f->conf.native_histogram_bucket_limit = str_contains(text, STR("native_histogram_bucket_limit: 3")) ? 3 : 0;
        f->conf.native_histogram_min_bucket_factor =
                str_contains(text, STR("native_histogram_min_bucket_factor: 1.5")) ? 1.5 : 0;
        o->is_about_http = str_contains(text, STR("body_size_limit"));
        if (str_contains(text, STR("metric_relabel_configs"))) {
                o->source[0] = STR(METRIC_NAME);
                o->source[1] = STR("code");
                o->rules[0] = (struct relabel_rule){.source_labels = &o->source[0],
                                                    .n_source = 1,
                                                    .separator = STR(";"),
                                                    .regex = STR("t_hist.*"),
                                                    .replacement = STR("$1"),
                                                    .action = RELABEL_DROP,
                                                    .has_regex = true,
                                                    .has_action = true,
                                                    .utf8_names = true};
                o->rules[1] = (struct relabel_rule){.source_labels = &o->source[1],
                                                    .n_source = 1,
                                                    .separator = STR(";"),
                                                    .regex = STR("(.).*"),
                                                    .replacement = STR("${1}xx"),
                                                    .target_label = STR("c2"),
                                                    .action = RELABEL_REPLACE,
                                                    .has_regex = true,
                                                    .has_replacement = true,
                                                    .utf8_names = true};
                CHECK_OK(relabel_rule_check(&o->rules[0]));
                CHECK_OK(relabel_rule_check(&o->rules[1]));
                f->conf.metric_relabel = o->rules;
                f->conf.n_metric_relabel = 2;
        }
}

static int line_cmp(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static void sort_lines(struct buf *b)
{
        VEC(Str) lines = VEC_INIT;
        Str rest = buf_str(b), line;
        while (str_next(&rest, '\n', &line))
                vec_push(&lines, line);
        if (lines.n)
                qsort(lines.p, lines.n, sizeof lines.p[0], line_cmp);
        struct buf out = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < lines.n; i++) {
                buf_put(&out, lines.p[i]);
                buf_putc(&out, '\n');
        }
        vec_done(&lines);
        buf_done(b);
        *b = out;
}

static void check_lines(const char *name, Str got, Str want)
{
        Str g, w;
        while (str_next(&want, '\n', &w)) {
                if (!str_next(&got, '\n', &g))
                        g = STR("(nothing)");
                CHECK_MSG(str_eq(g, w), "%s: got\n" STR_FMT "\nwant\n" STR_FMT, name, STR_ARG(g), STR_ARG(w));
        }
        CHECK_MSG(got.n == 0, "%s: more than wanted: " STR_FMT, name, STR_ARG(got));
}

static bool is_report(Str name)
{
        return str_eq(name, STR("up")) || str_has_prefix(name, STR("scrape_"));
}

/* A number's text, or a histogram as the API writes it. */
static void put_expected_value(const struct json *v, struct buf *out)
{
        if (v->type != JSON_OBJECT) {
                buf_put(out, json_str(v));
                return;
        }
        buf_printf(out, "{\"count\":\"" STR_FMT "\",\"sum\":\"" STR_FMT "\"", STR_ARG(json_str(json_get(v, STR("count")))),
                   STR_ARG(json_str(json_get(v, STR("sum")))));
        const char *before = ",\"buckets\":[";
        JSON_EACH(b, json_get(v, STR("buckets")))
        {
                buf_printf(out, "%s[%d", before, (int)json_i64(json_at(&b->value, 0)));
                for (size_t i = 1; i < 4; i++)
                        buf_printf(out, ",\"" STR_FMT "\"", STR_ARG(json_str(json_at(&b->value, i))));
                buf_putc(out, ']');
                before = ",";
        }
        buf_puts(out, json_get(v, STR("buckets")) ? "]}" : "}");
}

/* Series that the recording attributes to this job (or that lost their job by honor_labels in its own case), as
 * fixture_dump prints them. */
static void put_expected(const struct json *c, const char *job, struct buf *out)
{
        struct arena a;
        arena_init(&a, 16 << 20);
        JSON_EACH(s, json_get(c, STR("series")))
        {
                const struct json *labels = json_get(&s->value, STR("labels"));
                if (is_report(json_str(json_get(labels, STR(METRIC_NAME)))))
                        continue;
                if (!json_get(labels, STR("instance")) && strcmp(job, "honor_labels_true") != 0)
                        continue;
                Label *v = arena_array(&a, Label, labels->n);
                size_t n = 0;
                JSON_EACH(l, labels) v[n++] = (Label){l->key, json_str(&l->value)};
                labels_sort(v, n);
                labels_print(out, (Labels){v, n});
                const struct json *t = json_get(&s->value, STR("timestamp"));
                int64_t ms = t->type == JSON_NUMBER ? (int64_t)(json_f64(t) * 1000) : SCRAPED_MS;
                buf_printf(out, " %lld ", (long long)ms);
                put_expected_value(json_get(&s->value, STR("value")), out);
                buf_putc(out, '\n');
        }
        arena_done(&a);
}

/* "labels | exemplar's labels value time" of each. */
static void put_expected_exemplars(const struct json *c, struct buf *out)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        JSON_EACH(s, json_get(c, STR("exemplars")))
        JSON_EACH(x, json_get(&s->value, STR("exemplars")))
        {
                const struct json *sets[] = {json_get(&s->value, STR("seriesLabels")), json_get(&x->value, STR("labels"))};
                for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
                        Label *v = arena_array(&a, Label, sets[i]->n + 1);
                        size_t n = 0;
                        JSON_EACH(l, sets[i]) v[n++] = (Label){l->key, json_str(&l->value)};
                        labels_sort(v, n);
                        labels_print(out, (Labels){v, n});
                }
                const struct json *t = json_get(&x->value, STR("timestamp"));
                int64_t ms = t->type == JSON_NUMBER ? (int64_t)(json_f64(t) * 1000 + 0.5) : SCRAPED_MS;
                buf_printf(out, " " STR_FMT " %lld\n", STR_ARG(json_str(json_get(&x->value, STR("value")))), (long long)ms);
        }
        arena_done(&a);
}

static size_t check_exemplars(const struct json *c, const char *name, const struct fixture *f)
{
        struct buf got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
        ExemplarSeriesVec found = VEC_INIT;
        struct exemplar_selector all = {NULL, 0};
        struct arena a;
        size_t n = 0;
        arena_init(&a, 1 << 20);
        CHECK_OK(exemplars_select(memory_storage_exemplars(f->storage), TIME_MS_MIN, TIME_MS_MAX, &all, 1, &a, &found));
        for (size_t i = 0; i < found.n; i++)
                for (size_t k = 0; k < found.p[i].n; k++, n++) {
                        labels_print(&got, found.p[i].labels);
                        labels_print(&got, found.p[i].v[k].labels);
                        buf_putc(&got, ' ');
                        buf_put_sample_value(&got, found.p[i].v[k].value);
                        buf_printf(&got, " %lld\n", (long long)found.p[i].v[k].t);
                }
        put_expected_exemplars(c, &want);
        check_lines(name, buf_str(&got), buf_str(&want));
        vec_done(&found);
        arena_done(&a);
        buf_done(&got);
        buf_done(&want);
        return n;
}

/* Reports: only those whose value does not vary. */
static void check_reports(const struct json *c, const char *name, const struct fixture *f, bool up)
{
        JSON_EACH(s, json_get(c, STR("series")))
        {
                Str metric = json_str(json_get(json_get(&s->value, STR("labels")), STR(METRIC_NAME)));
                double want = 0, got;
                bool range;
                (void)float_parse(json_str(json_get(&s->value, STR("value"))), &want, &range);
                if (str_eq(metric, STR("up")))
                        got = up;
                else if (str_eq(metric, STR("scrape_samples_scraped")))
                        got = (double)f->r.scraped;
                else if (str_eq(metric, STR("scrape_samples_post_metric_relabeling")))
                        got = (double)f->r.added;
                else if (str_eq(metric, STR("scrape_series_added")))
                        got = (double)f->r.series_added;
                else
                        continue;
                CHECK_MSG(got == want, "%s: " STR_FMT ": got %g, want %g", name, STR_ARG(metric), got, want);
        }
}

static size_t n_exemplars;
static void run_case(const char *name, const struct json *c, const char *folder)
{
        struct fixture f;
        struct options o = {0};
        fixture_init(&f);
        f.target[1].value = f.conf.job_name = str_from(name);
        set_options(&f, &o, json_str(json_get(c, STR("job_options"))));
        Str type = json_str(json_get(c, STR("content_type")));
        if (o.is_about_http || str_eq(type, STR("500"))) {
                printf("SKIP scrape/%s: about HTTP: tests/e2e/test_prometheus.py has it\n", name);
                fixture_done(&f);
                return;
        }
        char *file = str_dup(json_str(json_get(c, STR("body_file"))));
        char *path = path_join(folder, file);
        free(file);
        char *body;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &body, &n));
        bool up = fixture_scrape(&f, (Str){body, n}, type, SCRAPED_MS, SCRAPED_MS);
        CHECK_MSG(str_eq(buf_str(&f.error), json_str(json_get(c, STR("last_error")))),
                  "%s: error: got `" STR_FMT "`, want `" STR_FMT "`", name, STR_ARG(buf_str(&f.error)),
                  STR_ARG(json_str(json_get(c, STR("last_error")))));

        struct buf got = BUF_INIT(BUF_NO_LIMIT), want = BUF_INIT(BUF_NO_LIMIT);
        fixture_dump(&f, &got);
        put_expected(c, name, &want);
        sort_lines(&got);
        sort_lines(&want);
        check_lines(name, buf_str(&got), buf_str(&want));
        check_reports(c, name, &f, up);
        n_exemplars += check_exemplars(c, name, &f);
        buf_done(&got);
        buf_done(&want);
        free(path);
        free(body);
        relabel_rule_done(&o.rules[0]);
        relabel_rule_done(&o.rules[1]);
        fixture_done(&f);
}

TEST(scrape_conformance, stored_series_and_errors_are_the_originals)
{
        char *folder = conformance_path("scrape");
        char *path = path_join(folder, "stored.default.json");
        char *text;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 256 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        size_t cases = 0;
        JSON_EACH(c, json_get(root, STR("cases")))
        {
                run_case(arena_str(&a, c->key).p, &c->value, folder);
                cases++;
        }
        CHECK(cases >= 40);
        CHECK(n_exemplars >= 6);
        arena_done(&a);
        free(text);
        free(path);
        free(folder);
}

TEST(scrape_conformance, accept_headers_are_the_originals)
{
        char *path = conformance_path("scrape/requests.json");
        char *text;
        size_t n, cases = 0;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 64 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        JSON_EACH(c, root)
        {
                struct scrape_conf conf = scrape_conf_defaults;
                Str want = {NULL, 0};
                JSON_EACH(h, json_get(&c->value, STR("headers")))
                if (str_eq(json_str(json_at(&h->value, 0)), STR("Accept")))
                        want = json_str(json_at(&h->value, 1));
                if (str_contains(want, STR("escaping=underscores")))
                        conf.name_escaping = NAME_ESCAPING_UNDERSCORES;
                if (str_contains(want, STR("protobuf"))) {
                        memmove(conf.protocols + 1, conf.protocols, 4 * sizeof conf.protocols[0]);
                        conf.protocols[0] = SCRAPE_PROTOBUF;
                        conf.n_protocols = 5;
                }
                struct buf got = BUF_INIT(4096);
                scrape_accept_header(&conf, &got);
                CHECK_STRS(buf_str(&got), want);
                buf_done(&got);
                cases++;
        }
        CHECK(cases >= 40);
        arena_done(&a);
        free(text);
        free(path);
}
