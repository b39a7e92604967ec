/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"
#include "base/test.h"
#include "thanos/sidecar/sidecar_impl.h"

/* --- order --- */

struct collected {
        struct store_sink sink;
        struct arena arena;
        VEC(Labels) sets;
        VEC(size_t) n_chunks;
        size_t frames;
};

static struct error *collect(struct store_sink *s, Str message)
{
        struct collected *c = CONTAINER_OF(s, struct collected, sink);
        struct pb_series_response r = {0};
        struct error *e = pb_decode(&pb_series_response, arena_str(&c->arena, message), &c->arena, &r);
        if (e)
                return e;
        size_t n = r.batch ? r.batch->series.n : 1;
        struct pb_series *v = r.batch ? r.batch->series.v : r.series;
        for (size_t i = 0; i < n; i++) {
                Label *l = arena_array(&c->arena, Label, v[i].labels.n + 1);
                for (size_t k = 0; k < v[i].labels.n; k++)
                        l[k] = (Label){v[i].labels.v[k].name, v[i].labels.v[k].value};
                vec_push(&c->sets, (Labels){l, v[i].labels.n});
                vec_push(&c->n_chunks, v[i].chunks.n);
        }
        c->frames++;
        return NULL;
}

static void collected_init(struct collected *c)
{
        *c = (struct collected){.sink.send = collect};
        arena_init(&c->arena, 256 << 20);
}

static void collected_done(struct collected *c)
{
        arena_done(&c->arena);
        vec_done(&c->sets);
        vec_done(&c->n_chunks);
}

/* "a=1,b=2" */
static Labels parse(struct arena *a, const char *text)
{
        Label *l = arena_array(a, Label, 20);
        size_t n = 0;
        Str rest = arena_str(a, str_from(text)), one;
        while (str_next(&rest, ',', &one))
                CHECK(str_cut(one, '=', &l[n].name, &l[n].value) && ++n);
        labels_sort(l, n);
        return (Labels){l, n};
}

static const struct store_chunk one_chunk = {.mint_ms = 1, .maxt_ms = 2, .encoding = CHUNK_XOR, .raw = STR_INIT("\0\1abc")};

static struct error *add(struct order *o, Labels l, size_t n_chunks, bool *full)
{
        struct buf b = BUF_INIT(1 << 16);
        for (size_t i = 0; i < n_chunks; i++)
                series_put_chunk(&b, &one_chunk);
        struct error *e = order_add(o, l, buf_str(&b), n_chunks, full);
        buf_done(&b);
        return e;
}

static void check_sets(const struct collected *c, const char *want)
{
        struct buf b = BUF_INIT(1 << 16);
        for (size_t i = 0; i < c->sets.n; i++) {
                for (size_t k = 0; k < c->sets.p[i].n; k++)
                        buf_printf(&b, "%s" STR_FMT "=" STR_FMT, k ? "," : "", STR_ARG(c->sets.p[i].v[k].name), STR_ARG(c->sets.p[i].v[k].value));
                buf_putc(&b, ' ');
        }
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

static void order_case(const char *external, const char *without, bool gathers, const char *const *in, const char *want)
{
        struct collected c;
        struct arena a;
        bool full;
        collected_init(&c);
        arena_init(&a, 1 << 20);
        Str names[] = {str_from(without)};
        struct order_opts opts = {.sink = &c.sink, .external = parse(&a, external), .without = names, .n_without = *without ? 1 : 0, .gathers = gathers};
        struct order *o = order_new(&opts);
        for (; *in; in++)
                CHECK_OK(add(o, parse(&a, *in), 1, &full));
        CHECK_OK(order_end(o));
        check_sets(&c, want);
        order_free(o);
        arena_done(&a);
        collected_done(&c);
}

TEST(sidecar_order, external_labels_move_a_set_behind_those_that_go_on_from_it)
{
        const char *in[] = {"m=1", "m=1,n=1", "m=1,n=1,o=1", "m=1,z=1", "m=2", NULL};
        order_case("", "", false, in, "m=1 m=1,n=1 m=1,n=1,o=1 m=1,z=1 m=2 ");
        order_case("a=x", "", false, in, "a=x,m=1 a=x,m=1,n=1 a=x,m=1,n=1,o=1 a=x,m=1,z=1 a=x,m=2 ");
        order_case("p=x", "", false, in, "m=1,n=1,o=1,p=x m=1,n=1,p=x m=1,p=x m=1,p=x,z=1 m=2,p=x ");
        order_case("a=x,zz=x", "", false, in, "a=x,m=1,n=1,o=1,zz=x a=x,m=1,n=1,zz=x a=x,m=1,z=1,zz=x a=x,m=1,zz=x a=x,m=2,zz=x ");
        order_case("a=x,p=x", "p", false, in, "a=x,m=1 a=x,m=1,n=1 a=x,m=1,n=1,o=1 a=x,m=1,z=1 a=x,m=2 ");
        order_case("p=x", "", true, in, "m=1,n=1,o=1,p=x m=1,n=1,p=x m=1,p=x m=1,p=x,z=1 m=2,p=x ");
}

TEST(sidecar_order, external_labels_that_prometheus_put_in_are_known)
{
        const char *in[] = {"m=1,p=x", "m=1,n=1,p=x", "m=1,p=x,z=1", NULL};
        order_case("p=x", "", false, in, "m=1,n=1,p=x m=1,p=x m=1,p=x,z=1 ");
}

TEST(sidecar_order, labels_of_their_own_with_external_names_are_replaced_and_sorted)
{
        const char *in[] = {"m=1,p=2,q=1", "m=1,p=1,q=2", "m=1,q=0", NULL};
        order_case("p=x", "", true, in, "m=1,p=x,q=0 m=1,p=x,q=1 m=1,p=x,q=2 ");
        order_case("", "p", true, in, "m=1,q=0 m=1,q=1 m=1,q=2 ");
}

static void random_case(struct rand *r)
{
        static const char *const names[] = {"b", "d", "f", "h"}, *const externals[] = {"a", "c", "e", "g", "i"};
        enum { SETS = 60 };
        struct collected c;
        struct arena a;
        collected_init(&c);
        arena_init(&a, 4 << 20);
        struct labels_builder lb;
        labels_builder_init(&lb);
        Labels external, sets[SETS];
        labels_builder_reset(&lb, (Labels){0});
        for (size_t i = 0; i < ARRAY_LEN(externals); i++)
                if (rand_below(r, 2))
                        labels_builder_set(&lb, str_from(externals[i]), STR("x"));
        external = labels_builder_labels(&lb, &a);
        Str without[] = {str_from(externals[rand_below(r, ARRAY_LEN(externals))])};
        for (size_t i = 0; i < SETS; i++) {
                labels_builder_reset(&lb, (Labels){0});
                for (size_t k = 0; k < ARRAY_LEN(names); k++) {
                        uint64_t v = rand_below(r, 4);
                        if (v)
                                labels_builder_set(&lb, str_from(names[k]), (Str){"123" + v - 1, 1});
                }
                sets[i] = labels_builder_labels(&lb, &a);
        }
        for (size_t i = 0; i < SETS; i++)
                for (size_t k = i + 1; k < SETS; k++)
                        if (labels_cmp(sets[k], sets[i]) < 0) {
                                Labels swap = sets[i];
                                sets[i] = sets[k];
                                sets[k] = swap;
                        }
        struct order_opts opts = {.sink = &c.sink, .external = external, .without = without, .n_without = 1, .batch = (int64_t)rand_below(r, 5)};
        struct order *o = order_new(&opts);
        size_t sum = 0, got = 0;
        for (size_t i = 0; i < SETS; i++) {
                bool full, as_prometheus = rand_below(r, 2);
                size_t n = 1 + rand_below(r, 2);
                CHECK_OK(add(o, as_prometheus ? labels_extend(&a, sets[i], external, NULL, 0) : sets[i], n, &full));
                CHECK(!full);
                sum += n;
        }
        CHECK_OK(order_end(o));
        CHECK(!order_is_broken(o));
        for (size_t i = 0; i < c.sets.n; i++) {
                CHECK(i == 0 || labels_cmp(c.sets.p[i - 1], c.sets.p[i]) <= 0);
                for (size_t k = 0; k < external.n; k++)
                        CHECK(labels_has(c.sets.p[i], external.v[k].name) == !str_eq(external.v[k].name, without[0]));
                got += c.n_chunks.p[i];
        }
        CHECK_U64(got, sum);
        for (size_t i = 0; i < SETS; i++) { /* none is missing */
                Labels want = labels_extend(&a, sets[i], external, without, 1);
                bool found = false;
                for (size_t k = 0; k < c.sets.n && !found; k++)
                        found = labels_eq(c.sets.p[k], want);
                CHECK(found);
        }
        order_free(o);
        labels_builder_done(&lb);
        arena_done(&a);
        collected_done(&c);
}

TEST(sidecar_order, is_kept_on_the_way_whatever_the_labels_are)
{
        struct rand r = {.s = 42};
        for (int i = 0; i < 300; i++)
                random_case(&r);
}

TEST(sidecar_order, one_that_comes_too_late_is_told)
{
        struct collected c;
        struct arena a;
        bool full;
        collected_init(&c);
        arena_init(&a, 1 << 20);
        struct order_opts opts = {.sink = &c.sink, .external = parse(&a, "a=x")};
        struct order *o = order_new(&opts);
        CHECK_OK(add(o, parse(&a, "m=2"), 1, &full));
        CHECK_ERROR(add(o, parse(&a, "m=1"), 1, &full), "Prometheus gave series in another order than their external labels allow: ask again");
        CHECK(order_is_broken(o));
        order_free(o);
        arena_done(&a);
        collected_done(&c);
}

TEST(sidecar_order, frames_of_one_series_count_once)
{
        struct collected c;
        struct arena a;
        bool full;
        uint64_t n_series, n_chunks;
        collected_init(&c);
        arena_init(&a, 1 << 20);
        struct metric_registry *r = metric_registry_new();
        struct order_opts opts = {.sink = &c.sink, .series_max = 2, .dropped_series = metric_counter(r, "x", "x")};
        struct order *o = order_new(&opts);
        for (int i = 0; i < 3; i++)
                CHECK_OK(add(o, parse(&a, "m=1"), 2, &full));
        CHECK_OK(add(o, parse(&a, "m=2"), 1, &full));
        order_counts(o, &n_series, &n_chunks);
        CHECK_U64(n_series, 2);
        CHECK_U64(n_chunks, 7);
        CHECK_ERROR(add(o, parse(&a, "m=3"), 1, &full), "failed to send series: limit 2 violated (got 3)");
        CHECK_F64(metric_get(opts.dropped_series), 1);
        order_free(o);
        metric_registry_free(r);
        arena_done(&a);
        collected_done(&c);
}

TEST(sidecar_order, stops_at_the_limit_of_the_request)
{
        struct collected c;
        struct arena a;
        bool full = false;
        collected_init(&c);
        arena_init(&a, 1 << 20);
        struct order_opts opts = {.sink = &c.sink, .limit = 2};
        struct order *o = order_new(&opts);
        CHECK_OK(add(o, parse(&a, "m=1"), 1, &full));
        CHECK(!full);
        CHECK_OK(add(o, parse(&a, "m=2"), 1, &full));
        CHECK(full);
        CHECK_OK(add(o, parse(&a, "m=3"), 1, &full));
        CHECK_OK(order_end(o));
        check_sets(&c, "m=1 m=2 ");
        order_free(o);
        arena_done(&a);
        collected_done(&c);
}

TEST(sidecar_order, shards_are_chosen_by_all_labels)
{
        struct arena a;
        bool full;
        arena_init(&a, 1 << 20);
        size_t total = 0;
        for (int64_t shard = 0; shard < 3; shard++) {
                struct collected c;
                collected_init(&c);
                struct order_opts opts = {.sink = &c.sink, .external = parse(&a, "p=x"), .shard = {.index = shard, .total = 3}};
                struct order *o = order_new(&opts);
                for (char m = '0'; m <= '9'; m++)
                        CHECK_OK(add(o, parse(&a, (char[]){'m', '=', m, 0}), 1, &full));
                CHECK_OK(order_end(o));
                total += c.sets.n;
                CHECK(c.sets.n < 10);
                order_free(o);
                collected_done(&c);
        }
        CHECK_U64(total, 10);
        arena_done(&a);
}

/* --- texts of requests --- */

static void time_case(int64_t ms, const char *want)
{
        struct buf b = BUF_INIT(100);
        put_time(&b, "t", ms);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(sidecar_query, times_are_exact)
{
        time_case(0, "&t=0");
        time_case(1500, "&t=1.500");
        time_case(-1500, "&t=-1.500");
        time_case(-62167219200000, "&t=-62167219200");
        time_case(INT64_MAX, "&t=9223372036854775.807");
        time_case(INT64_MIN, "&t=-9223372036854775.808");
}

TEST(sidecar_query, matchers_are_quoted)
{
        MatcherVec m = VEC_INIT;
        struct matcher *one;
        struct buf b = BUF_INIT(1000);
        put_match(&b, &m);
        CHECK_STR(buf_str(&b), "");
        CHECK_OK(matcher_new(MATCH_RE, STR("a"), STR("x|\"y\""), &one));
        vec_push(&m, one);
        CHECK_OK(matcher_new(MATCH_NE, STR("b"), STR("1&2"), &one));
        vec_push(&m, one);
        put_match(&b, &m);
        CHECK_STR(buf_str(&b), "&match[]=%7Ba%3D~%22x%7C%5C%22y%5C%22%22%2Cb%21%3D%221%262%22%7D");
        buf_done(&b);
        matcher_vec_done(&m);
}

/* --- errors --- */

TEST(sidecar_prom, an_error_does_not_show_the_password_of_the_url)
{
        const struct http_client_conf conf = {0};
        struct prom *p;
        struct prom_answer x;
        int code;
        CHECK_OK(prom_new("http://u:geheim@127.0.0.1:1/pre", &conf, &p));
        struct error *e = prom_get(p, "/api/v1/labels", STR(""), &(struct prom_wait){.deadline_ms = time_mono_ms() + 60000}, &x, &code);
        CHECK(e && str_contains(str_from(error_str(e)), STR("127.0.0.1:1/pre/api/v1/labels")));
        CHECK(e && !str_contains(str_from(error_str(e)), STR("geheim")));
        error_free(e);
        prom_answer_done(&x);
        prom_free(p);
}
