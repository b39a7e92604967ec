/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/test.h"

struct shared {
        struct mutex mu;
        struct cond changed;
        int64_t n;              /* guarded by mu */
        bool go;
};

static void add_many(void *arg)
{
        struct shared *s = arg;
        mutex_lock(&s->mu);
        while (!s->go)
                cond_wait(&s->changed, &s->mu);
        mutex_unlock(&s->mu);
        for (int i = 0; i < 10000; i++) {
                mutex_lock(&s->mu);
                s->n++;
                mutex_unlock(&s->mu);
        }
}
TEST(mutex, keeps_threads_apart)
{
        struct shared s = {.n = 0};
        struct thread t[4];
        mutex_init(&s.mu);
        cond_init(&s.changed);
        for (int i = 0; i < 4; i++)
                CHECK_OK(thread_start(&t[i], "adder", add_many, &s));
        mutex_lock(&s.mu);
        s.go = true;
        cond_broadcast(&s.changed);
        mutex_unlock(&s.mu);
        for (int i = 0; i < 4; i++)
                thread_join(&t[i]);
        CHECK_I64(s.n, 40000);
        cond_done(&s.changed);
        mutex_done(&s.mu);
}

TEST(cond, wait_ends_without_a_signal_when_its_time_is_over)
{
        struct mutex mu;
        struct cond c;
        mutex_init(&mu);
        cond_init(&c);
        mutex_lock(&mu);
        CHECK(!cond_wait_ms(&c, &mu, 5));
        CHECK(!cond_wait_ms(&c, &mu, 0));
        CHECK(!mutex_try_lock(&mu));
        mutex_unlock(&mu);
        cond_done(&c);
        mutex_done(&mu);
}

static void mark(void *ctx, size_t i, int worker)
{
        _Atomic int *seen = ctx;
        (void)worker;
        atomic_fetch_add(&seen[i], 1);
}
TEST(pool_each, runs_every_item_once)
{
        struct pool *p = NULL;
        CHECK_OK(pool_new("test", 3, &p));
        enum { N = 5000 };
        _Atomic int *seen = calloc(N, sizeof *seen);
        pool_each(p, N, mark, seen);
        pool_each(p, 0, mark, seen);
        pool_each(NULL, N, mark, seen);         /* serial */
        for (int i = 0; i < N; i++)
                CHECK_I64(seen[i], 2);
        free(seen);
        pool_free(p);
}

struct nested {
        struct pool *p;
        _Atomic int n;
};
static void inner_step(void *ctx, size_t i, int worker)
{
        (void)i;
        (void)worker;
        atomic_fetch_add(&((struct nested *)ctx)->n, 1);
}
static void outer_step(void *ctx, size_t i, int worker)
{
        (void)i;
        (void)worker;
        pool_each(((struct nested *)ctx)->p, 50, inner_step, ctx);
}
TEST(pool_each, may_be_called_from_inside_a_step)
{
        struct nested n = {.n = 0};
        CHECK_OK(pool_new("test", 2, &n.p));
        pool_each(n.p, 40, outer_step, &n);
        CHECK_I64(n.n, 2000);
        pool_free(n.p);
}

static void count_job(void *arg)
{
        atomic_fetch_add((_Atomic int *)arg, 1);
}
TEST(pool_free, waits_for_what_was_submitted)
{
        struct pool *p = NULL;
        _Atomic int n = 0;
        CHECK_OK(pool_new("test", 2, &p));
        for (int i = 0; i < 200; i++)
                pool_submit(p, count_job, &n);
        pool_free(p);
        CHECK_I64(n, 200);
        pool_free(NULL);
}

TEST(clock_fake, stands_until_it_is_moved)
{
        struct clock_fake f;
        clock_fake_init(&f, 1000);
        CHECK_I64(clock_now_ms(&f.clock), 1000);
        int64_t before = clock_mono_ns(&f.clock);
        f.at_ms += 5;
        CHECK_I64(clock_now_ms(&f.clock), 1005);
        CHECK_I64(clock_mono_ns(&f.clock) - before, 5000000);
        CHECK(time_now_ms() > 1600000000000);
}
