/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"
#include "base/vec.h"

static struct loop *start(void)
{
        struct loop *l = NULL;
        CHECK_OK(loop_new("test", &l));
        return l;
}

struct order {
        VEC(int) seen;
        int next;
};
static void note(void *arg)
{
        struct order *o = arg;
        vec_push(&o->seen, o->next++);
}
TEST(loop_free, runs_what_was_posted_before_in_order)
{
        struct order o = {.seen = VEC_INIT};
        struct loop *l = start();
        for (int i = 0; i < 1000; i++)
                loop_post(l, note, &o);
        loop_free(l);
        CHECK_I64(o.seen.n, 1000);
        for (int i = 0; i < 1000; i++)
                CHECK_I64(o.seen.p[i], i);
        vec_done(&o.seen);
        loop_free(NULL);
}

struct where {
        struct loop *l;
        bool on_loop, nested;
};
static void look_again(void *arg)
{
        ((struct where *)arg)->nested = true;
}
static void look(void *arg)
{
        struct where *w = arg;
        w->on_loop = loop_is_me(w->l);
        loop_call(w->l, look_again, w);
}
TEST(loop_call, waits_and_runs_on_the_loop_even_when_nested)
{
        struct where w = {.l = start()};
        loop_call(w.l, look, &w);
        CHECK(w.on_loop);
        CHECK(w.nested);
        CHECK(!loop_is_me(w.l));
        loop_free(w.l);
}

struct poster {
        struct loop *l;
        int *n;
};
static void count(void *arg)
{
        ++*(int *)arg;
}
static void post_many(void *arg)
{
        struct poster *p = arg;
        for (int i = 0; i < 5000; i++)
                loop_post(p->l, count, p->n);
}
TEST(loop_post, takes_messages_from_many_threads)
{
        int n = 0;
        struct poster p = {start(), &n};
        struct thread t[4];
        for (int i = 0; i < 4; i++)
                CHECK_OK(thread_start(&t[i], "poster", post_many, &p));
        for (int i = 0; i < 4; i++)
                thread_join(&t[i]);
        loop_free(p.l);
        CHECK_I64(n, 20000);
}

enum { N_TIMERS = 200 };
struct timers {
        struct loop *l;
        struct timed {
                struct loop_timer t;
                struct timers *all;
                bool fired;
        } v[N_TIMERS];
        int64_t last_at_ns;
        int left;
        bool in_order;
        struct mutex mu;
        struct cond done;
};
static void fired(struct loop_timer *t)
{
        struct timed *x = CONTAINER_OF(t, struct timed, t);
        struct timers *all = x->all;
        x->fired = true;
        all->in_order = all->in_order && t->at_ns >= all->last_at_ns && t->at_ns <= time_mono_ns();
        all->last_at_ns = t->at_ns;
        mutex_lock(&all->mu);
        all->left--;
        cond_signal(&all->done);
        mutex_unlock(&all->mu);
}
static void arm(void *arg)
{
        struct timers *all = arg;
        int64_t now = time_mono_ns();
        for (int i = 0; i < N_TIMERS; i++) {
                all->v[i] = (struct timed){.t.fire = fired, .all = all};
                loop_timer_set_ns(all->l, &all->v[i].t, now + (i * 7919 % N_TIMERS) * 50000);
        }
        for (int i = 0; i < N_TIMERS; i += 4) /* cleared, twice */
                for (int k = 0; k < 2; k++)
                        loop_timer_clear(all->l, &all->v[i].t);
        for (int i = 1; i < N_TIMERS; i += 4) /* moved to later, then earlier */
                loop_timer_set_ns(all->l, &all->v[i].t, now + 20000000);
        for (int i = 1; i < N_TIMERS; i += 8)
                loop_timer_set(all->l, &all->v[i].t, 1);
}
TEST(loop_timer, fires_in_order_never_early_and_not_after_clear)
{
        struct timers *all = mem_new(struct timers);
        all->l = start();
        all->left = N_TIMERS - N_TIMERS / 4;
        all->in_order = true;
        mutex_init(&all->mu);
        cond_init(&all->done);
        loop_call(all->l, arm, all);
        mutex_lock(&all->mu);
        while (all->left)
                cond_wait(&all->done, &all->mu);
        mutex_unlock(&all->mu);
        loop_free(all->l);
        CHECK(all->in_order);
        for (int i = 0; i < N_TIMERS; i++)
                CHECK_I64(all->v[i].fired, i % 4 != 0);
        cond_done(&all->done);
        mutex_done(&all->mu);
        free(all);
}

/* Two descriptors that are ready at once; whichever comes first removes the other. */
struct pair {
        struct loop *l;
        struct end {
                struct loop_fd f;
                struct pair *p;
        } a, b;
        int a_peer, b_peer, calls;
};
static void remove_both(struct loop_fd *f, uint32_t events)
{
        struct pair *p = CONTAINER_OF(f, struct end, f)->p;
        CHECK(events & EPOLLIN);
        p->calls++;
        loop_fd_remove(p->l, &p->a.f);
        loop_fd_remove(p->l, &p->b.f);
}
static void add_both(void *arg)
{
        struct pair *p = arg;
        CHECK_OK(loop_fd_add(p->l, &p->a.f, EPOLLIN));
        CHECK_OK(loop_fd_add(p->l, &p->b.f, EPOLLIN));
        CHECK(write(p->a_peer, "x", 1) == 1 && write(p->b_peer, "x", 1) == 1);
}
static void nothing(void *arg)
{
        (void)arg;
}
TEST(loop_fd_remove, forgets_events_already_taken)
{
        struct pair p = {.l = start()};
        int x[2], y[2];
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, x) && !socketpair(AF_UNIX, SOCK_STREAM, 0, y));
        p.a = (struct end){{x[0], remove_both}, &p};
        p.b = (struct end){{y[0], remove_both}, &p};
        p.a_peer = x[1];
        p.b_peer = y[1];
        loop_call(p.l, add_both, &p);
        loop_call(p.l, nothing, NULL);
        loop_call(p.l, nothing, NULL);
        loop_free(p.l);
        CHECK_I64(p.calls, 1);
        for (int i = 0; i < 2; i++) {
                close(x[i]);
                close(y[i]);
        }
}
