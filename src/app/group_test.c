/* SPDX-License-Identifier: Apache-2.0 */
#include "app/group.h"

#include "base/test.h"
#include "base/thread.h"

struct seen {
        struct group *g;
        char order[16];
        size_t n;
};

static struct error *start_a(void *ctx)
{
        struct seen *s = ctx;
        s->order[s->n++] = 'a';
        return NULL;
}
static struct error *start_b(void *ctx)
{
        struct seen *s = ctx;
        s->order[s->n++] = 'b';
        group_stop(s->g);
        return NULL;
}
static struct error *start_bad(void *ctx)
{
        return error_new(ERROR_IO, "no");
}
static void stop_a(void *ctx)
{
        struct seen *s = ctx;
        s->order[s->n++] = 'A';
}
static void stop_b(void *ctx)
{
        struct seen *s = ctx;
        s->order[s->n++] = 'B';
}

TEST(group_run, stops_in_reverse)
{
        struct group g;
        struct seen s = {.g = &g};
        CHECK_OK(group_init(&g, NULL, NULL));
        group_add(&g, "a", start_a, stop_a, &s);
        group_add(&g, "b", start_b, stop_b, &s);
        CHECK_I64(group_run(&g), 0);
        CHECK_STR(((Str){s.order, s.n}), "abBA");
        group_done(&g);
}

TEST(group_run, ends_with_1_when_a_part_does_not_start)
{
        struct group g;
        struct seen s = {.g = &g};
        CHECK_OK(group_init(&g, NULL, NULL));
        group_add(&g, "a", start_a, stop_a, &s);
        group_add(&g, "bad", start_bad, stop_b, &s);
        group_add(&g, "never", start_b, stop_b, &s);
        CHECK_I64(group_run(&g), 1);
        CHECK_STR(((Str){s.order, s.n}), "aA");
        group_done(&g);
}
