/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/exemplars.h"

#include <stdio.h>

#include "base/rand.h"
#include "base/test.h"

static Labels one(const char *name, const char *value, Label *l)
{
        *l = (Label){str_from(name), str_from(value)};
        return (Labels){l, 1};
}

static struct error *add(struct exemplars *x, const char *series, TimeMs t, double v, const char *id)
{
        Label a, b;
        struct exemplar e = {.labels = one("id", id, &b), .value = v, .t = t, .has_t = true};
        return exemplars_add(x, one("s", series, &a), &e);
}

/* "series t:v:id t:v:id …; " of what lies in the range. */
static void print(struct exemplars *x, TimeMs mint, TimeMs maxt, struct buf *b)
{
        struct arena a;
        ExemplarSeriesVec found = VEC_INIT;
        struct exemplar_selector all = {NULL, 0};
        arena_init(&a, 1 << 24);
        CHECK_OK(exemplars_select(x, mint, maxt, &all, 1, &a, &found));
        buf_clear(b);
        for (size_t i = 0; i < found.n; i++) {
                buf_put(b, found.p[i].labels.v[0].value);
                for (size_t k = 0; k < found.p[i].n; k++) {
                        const struct exemplar *e = &found.p[i].v[k];
                        buf_printf(b, " %lld:%g:" STR_FMT, (long long)e->t, e->value, STR_ARG(e->labels.v[0].value));
                }
                buf_puts(b, "; ");
        }
        vec_done(&found);
        arena_done(&a);
}

static void check(struct exemplars *x, const char *want)
{
        struct buf b = BUF_INIT(1 << 16);
        print(x, TIME_MS_MIN, TIME_MS_MAX, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(exemplars, the_oldest_added_goes_when_the_ring_is_full)
{
        struct exemplars *x = exemplars_new(3, 0);
        CHECK_OK(add(x, "a", 1, 1, "p"));
        CHECK_OK(add(x, "b", 1, 2, "q"));
        CHECK_OK(add(x, "a", 2, 3, "r"));
        check(x, "a 1:1:p 2:3:r; b 1:2:q; ");
        CHECK_OK(add(x, "c", 5, 4, "s"));
        check(x, "a 2:3:r; b 1:2:q; c 5:4:s; ");
        CHECK_OK(add(x, "c", 6, 4, "t"));
        CHECK_OK(add(x, "c", 7, 4, "u"));
        check(x, "c 5:4:s 6:4:t 7:4:u; ");
        CHECK_OK(add(x, "a", 8, 4, "v"));
        struct exemplar_stats st;
        exemplars_get_stats(x, &st);
        CHECK_U64(st.stored, 3);
        CHECK_U64(st.series, 2);
        CHECK_U64(st.appended, 7);
        CHECK_I64(st.oldest_ms, 6);
        exemplars_free(x);
}

TEST(exemplars, refuses_as_the_original_does)
{
        struct exemplars *x = exemplars_new(10, 0);
        Label a, b;
        CHECK_OK(add(x, "a", 10, 5, "p"));
        CHECK_OK(add(x, "a", 10, 5, "p")); /* the same again */
        CHECK(add(x, "a", 9, 5, "p") == &error_out_of_order_exemplar);
        CHECK(add(x, "a", 10, 4, "p") == &error_out_of_order_exemplar);
        CHECK_OK(add(x, "a", 10, 6, "p"));
        struct exemplar same = {.labels = one("id", "p", &b), .value = 6, .t = 99}, timed = same;
        timed.has_t = true;
        CHECK(exemplars_check(x, one("s", "a", &a), &same) == NULL); /* the newest one has a time of its own */
        CHECK_OK(exemplars_add(x, one("s", "a", &a), &same));
        same.t = 120;
        CHECK(exemplars_check(x, one("s", "a", &a), &same) == &error_duplicate_exemplar);
        timed.t = 120;
        CHECK(exemplars_check(x, one("s", "a", &a), &timed) == NULL);
        char text[130];
        memset(text, 'x', sizeof text);
        struct exemplar e = {.labels = one("id", "", &b), .t = 200};
        b.value = (Str){text, 126};
        CHECK(exemplars_check(x, one("s", "z", &a), &e) == NULL);
        b.value = (Str){text, 127};
        CHECK(exemplars_check(x, one("s", "z", &a), &e) == &error_exemplar_labels);
        b.value = STR("\xc3\xa4\xc3\xa4");
        CHECK(exemplars_check(x, one("s", "z", &a), &e) == NULL);
        struct exemplar_stats st;
        exemplars_get_stats(x, &st);
        CHECK_U64(st.out_of_order, 2);
        exemplars_free(x);
        x = exemplars_new(0, 0);
        CHECK(add(x, "a", 1, 1, "p") == &error_exemplars_disabled);
        CHECK(!exemplars_is_on(x));
        exemplars_free(x);
}

TEST(exemplars, older_ones_are_taken_within_a_window)
{
        struct exemplars *x = exemplars_new(10, 50);
        CHECK_OK(add(x, "a", 100, 1, "p"));
        CHECK_OK(add(x, "a", 60, 2, "q"));
        CHECK_OK(add(x, "a", 80, 3, "r"));
        CHECK_OK(add(x, "a", 80, 4, "s")); /* its time is there: taken for the same */
        CHECK(add(x, "a", 50, 5, "t") == &error_out_of_order_exemplar);
        CHECK_OK(add(x, "a", 51, 5, "t"));
        check(x, "a 51:5:t 60:2:q 80:3:r 100:1:p; ");
        struct buf b = BUF_INIT(4096);
        print(x, 60, 80, &b);
        CHECK_STR(buf_str(&b), "a 60:2:q 80:3:r; ");
        print(x, 101, 200, &b);
        CHECK_STR(buf_str(&b), "");
        buf_done(&b);
        exemplars_free(x);
}

TEST(exemplars, another_size_keeps_the_newest)
{
        struct exemplars *x = exemplars_new(4, 0);
        for (int i = 0; i < 6; i++)
                CHECK_OK(add(x, i % 2 ? "odd" : "even", i, i, "p"));
        check(x, "even 2:2:p 4:4:p; odd 3:3:p 5:5:p; ");
        exemplars_resize(x, 3);
        check(x, "even 4:4:p; odd 3:3:p 5:5:p; ");
        exemplars_resize(x, 5);
        for (int i = 6; i < 9; i++)
                CHECK_OK(add(x, i % 2 ? "odd" : "even", i, i, "p"));
        check(x, "even 4:4:p 6:6:p 8:8:p; odd 5:5:p 7:7:p; ");
        exemplars_resize(x, 0);
        check(x, "");
        exemplars_free(x);
}

/* Against a list: what is in the ring is what was added last, per series by time. */
TEST(exemplars, random_workloads_keep_the_links_whole)
{
        struct rand r = {7};
        struct exemplars *x = exemplars_new(16, 40);
        struct buf got = BUF_INIT(1 << 16);
        for (int i = 0; i < 20000; i++) {
                char series[2] = {(char)('a' + rand_below(&r, 5)), 0}, id[16];
                snprintf(id, sizeof id, "%d", i);
                struct error *e = add(x, series, i / 3 - (TimeMs)rand_below(&r, 50), i, id);
                CHECK(!e || e == &error_out_of_order_exemplar);
                if (rand_below(&r, 200) == 0)
                        exemplars_resize(x, (int64_t)rand_below(&r, 30) + 1);
                if (rand_below(&r, 20))
                        continue;
                print(x, TIME_MS_MIN, TIME_MS_MAX, &got);
                struct exemplar_stats st;
                exemplars_get_stats(x, &st);
                Str rest = buf_str(&got), part, word;
                uint64_t n = 0;
                while (str_next(&rest, ';', &part)) {
                        TimeMs last = TIME_MS_MIN;
                        for (bool first = true; str_next(&part, ' ', &word);) {
                                Str t, after;
                                if (word.n <= 1 || !str_cut(word, ':', &t, &after))
                                        continue;
                                int64_t ms;
                                CHECK(str_to_i64(t, &ms));
                                CHECK(first || ms >= last);
                                first = false;
                                last = ms;
                                n++;
                        }
                }
                CHECK_U64(n, st.stored);
        }
        buf_done(&got);
        exemplars_free(x);
}
