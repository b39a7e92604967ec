/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/vec.h"

enum { EVENTS_PER_WAIT = 128 };

struct message {
        void (*fn)(void *arg);
        void *arg;
};
typedef VEC(struct message) MessageVec;

struct loop {
        int epoll, wake; /* wake: an eventfd, readable when queue got its first message */
        struct thread thread;
        _Atomic(pthread_t) self; /* written by the loop's thread before it does anything */

        struct mutex mu; /* guards queue and stop */
        MessageVec queue;
        bool stop; /* the loop ends when the queue is empty */

        /* Of the loop's thread. */
        MessageVec running; /* the queue that is being worked off */
        struct epoll_event events[EVENTS_PER_WAIT];
        int n_events, at_event;
        VEC(struct loop_timer *) heap; /* by at_ns, the earliest first; a timer's slot is its index + 1 */
};

/* --- timers: a binary heap --- */

static void heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
        l->heap.p[i] = t;
        t->slot = i + 1;
}

static void heap_up(struct loop *l, size_t i)
{
        struct loop_timer *t = l->heap.p[i];
        for (; i > 0; i = (i - 1) / 2) {
                struct loop_timer *parent = l->heap.p[(i - 1) / 2];
                if (parent->at_ns <= t->at_ns)
                        break;
                heap_put(l, i, parent);
        }
        heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
        struct loop_timer *t = l->heap.p[i];
        for (;;) {
                size_t child = 2 * i + 1;
                if (child >= l->heap.n)
                        break;
                if (child + 1 < l->heap.n && l->heap.p[child + 1]->at_ns < l->heap.p[child]->at_ns)
                        child++;
                if (t->at_ns <= l->heap.p[child]->at_ns)
                        break;
                heap_put(l, i, l->heap.p[child]);
                i = child;
        }
        heap_put(l, i, t);
}

void loop_timer_set_ns(struct loop *l, struct loop_timer *t, int64_t at_mono_ns)
{
        int64_t before = t->at_ns;
        t->at_ns = at_mono_ns;
        if (!t->slot) {
                vec_push(&l->heap, t);
                heap_up(l, l->heap.n - 1);
        } else if (at_mono_ns < before) {
                heap_up(l, t->slot - 1);
        } else {
                heap_down(l, t->slot - 1);
        }
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms)
{
        loop_timer_set_ns(l, t, time_mono_ns() + after_ms * 1000000);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
        if (!t->slot)
                return;
        size_t i = t->slot - 1;
        t->slot = 0;
        struct loop_timer *last = vec_pop(&l->heap);
        if (last == t)
                return;
        heap_put(l, i, last);
        heap_up(l, i);
        heap_down(l, last->slot - 1);
}

static void fire_due(struct loop *l)
{
        if (!l->heap.n)
                return;
        int64_t now = time_mono_ns(); /* once: a timer that sets itself to 0 ms must not keep us here */
        while (l->heap.n && l->heap.p[0]->at_ns <= now) {
                struct loop_timer *t = l->heap.p[0];
                loop_timer_clear(l, t);
                t->fire(t);
        }
}

/* --- messages --- */

static void wake_up(struct loop *l)
{
        uint64_t one = 1;
        if (write(l->wake, &one, sizeof one) < 0 && errno != EAGAIN)
                bug("eventfd: errno %d", errno);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
        mutex_lock(&l->mu);
        bool first = l->queue.n == 0;
        vec_push(&l->queue, (struct message){fn, arg});
        /* Under the lock: the loop may be freed as soon as it saw the message. */
        if (first)
                wake_up(l);
        mutex_unlock(&l->mu);
}

struct call {
        void (*fn)(void *arg);
        void *arg;
        struct mutex mu;
        struct cond changed;
        bool done;
};

static void call_run(void *arg)
{
        struct call *c = arg;
        c->fn(c->arg);
        mutex_lock(&c->mu);
        c->done = true;
        cond_signal(&c->changed);
        mutex_unlock(&c->mu);
}

void loop_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
        if (loop_is_me(l)) {
                fn(arg);
                return;
        }
        struct call c = {.fn = fn, .arg = arg};
        mutex_init(&c.mu);
        cond_init(&c.changed);
        loop_post(l, call_run, &c);
        mutex_lock(&c.mu);
        while (!c.done)
                cond_wait(&c.changed, &c.mu);
        mutex_unlock(&c.mu);
        cond_done(&c.changed);
        mutex_done(&c.mu);
}

bool loop_is_me(const struct loop *l)
{
        return pthread_equal(l->self, pthread_self());
}

/* False: told to stop and nothing left to do. */
static bool run_messages(struct loop *l)
{
        for (;;) {
                mutex_lock(&l->mu);
                MessageVec taken = l->queue;
                l->queue = l->running;
                vec_clear(&l->queue);
                bool stop = l->stop;
                mutex_unlock(&l->mu);
                l->running = taken;
                for (size_t i = 0; i < taken.n; i++)
                        taken.p[i].fn(taken.p[i].arg);
                if (!stop)
                        return true;
                if (!taken.n) /* else they may have posted more, and nobody will wake us again */
                        return false;
        }
}

/* --- descriptors --- */

static struct error *control(struct loop *l, int op, struct loop_fd *f, uint32_t events)
{
        struct epoll_event ev = {.events = events, .data.ptr = f};
        if (epoll_ctl(l->epoll, op, f->fd, &ev))
                return error_errno(errno, "epoll_ctl");
        return NULL;
}

struct error *loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events)
{
        return control(l, EPOLL_CTL_ADD, f, events);
}

void loop_fd_change(struct loop *l, struct loop_fd *f, uint32_t events)
{
        struct error *e = control(l, EPOLL_CTL_MOD, f, events);
        if (e)
                bug("loop_fd_change: %s", error_str(e));
}

void loop_fd_remove(struct loop *l, struct loop_fd *f)
{
        error_ignore(control(l, EPOLL_CTL_DEL, f, 0), "it may have been closed already");
        for (int i = l->at_event; i < l->n_events; i++)
                if (l->events[i].data.ptr == f)
                        l->events[i].data.ptr = NULL;
}

static void drain_wake(struct loop_fd *f, uint32_t events)
{
        (void)events;
        uint64_t n;
        if (read(f->fd, &n, sizeof n) < 0 && errno != EAGAIN)
                bug("eventfd: errno %d", errno);
}

/* --- the thread --- */

/* Milliseconds round up: a timer must not fire early. */
static int wait_ms(const struct loop *l)
{
        if (!l->heap.n)
                return -1;
        int64_t left = l->heap.p[0]->at_ns - time_mono_ns();
        if (left <= 0)
                return 0;
        int64_t ms = (left + 999999) / 1000000;
        return ms > 60000 ? 60000 : (int)ms;
}

static void run(void *arg)
{
        struct loop *l = arg;
        l->self = pthread_self();
        struct loop_fd wake = {.fd = l->wake, .ready = drain_wake};
        struct error *e = loop_fd_add(l, &wake, EPOLLIN);
        if (e)
                bug("loop: %s", error_str(e));
        while (run_messages(l)) {
                int n = epoll_wait(l->epoll, l->events, EVENTS_PER_WAIT, wait_ms(l));
                if (n < 0 && errno != EINTR)
                        bug("epoll_wait: errno %d", errno);
                l->n_events = n < 0 ? 0 : n;
                for (l->at_event = 0; l->at_event < l->n_events;) {
                        struct epoll_event *ev = &l->events[l->at_event++];
                        struct loop_fd *f = ev->data.ptr;
                        if (f)
                                f->ready(f, ev->events);
                }
                l->n_events = 0;
                fire_due(l);
        }
}

struct error *loop_new(const char *name, struct loop **ret)
{
        struct error *e = NULL;
        struct loop *l = mem_new(struct loop);
        mutex_init(&l->mu);
        l->epoll = epoll_create1(EPOLL_CLOEXEC);
        l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (l->epoll < 0 || l->wake < 0) {
                e = error_errno(errno, "create event loop");
                goto out;
        }
        e = thread_start(&l->thread, name, run, l);
        if (e)
                goto out;
        *ret = l;
        l = NULL;
out:
        loop_free(l);
        return e;
}

void loop_free(struct loop *l)
{
        if (!l)
                return;
        if (l->thread.started && loop_is_me(l))
                bug("loop_free on its own thread");
        mutex_lock(&l->mu);
        l->stop = true;
        if (l->wake >= 0)
                wake_up(l);
        mutex_unlock(&l->mu);
        thread_join(&l->thread);
        if (l->epoll >= 0)
                close(l->epoll);
        if (l->wake >= 0)
                close(l->wake);
        vec_done(&l->queue);
        vec_done(&l->running);
        vec_done(&l->heap);
        mutex_done(&l->mu);
        free(l);
}
