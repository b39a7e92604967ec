/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/thread.h"

struct job {
        struct list link;
        void (*run)(void *arg);
        void *arg;
};

struct pool {
        int n_threads;
        struct thread *threads;
        struct mutex mu;                /* guards all below */
        struct cond wake;
        struct list jobs;               /* struct job, oldest first */
        bool stopping;
};

static void worker_main(void *arg)
{
        struct pool *p = arg;
        mutex_lock(&p->mu);
        for (;;) {
                while (list_is_empty(&p->jobs) && !p->stopping)
                        cond_wait(&p->wake, &p->mu);
                if (list_is_empty(&p->jobs))
                        break;
                struct job *j = CONTAINER_OF(p->jobs.next, struct job, link);
                list_remove(&j->link);
                mutex_unlock(&p->mu);
                j->run(j->arg);
                free(j);
                mutex_lock(&p->mu);
        }
        mutex_unlock(&p->mu);
}

struct error *pool_new(const char *name, int n_threads, struct pool **ret)
{
        struct pool *p = mem_new(struct pool);
        mutex_init(&p->mu);
        cond_init(&p->wake);
        list_init(&p->jobs);
        p->threads = mem_zalloc((size_t)n_threads * sizeof *p->threads);
        for (int i = 0; i < n_threads; i++) {
                char full[16];
                snprintf(full, sizeof full, "%.11s-%02d", name, i % 100);
                struct error *e = thread_start(&p->threads[i], full, worker_main, p);
                if (e) {
                        pool_free(p);
                        return e;
                }
                p->n_threads++;
        }
        *ret = p;
        return NULL;
}

void pool_free(struct pool *p)
{
        if (!p)
                return;
        mutex_lock(&p->mu);
        p->stopping = true;
        cond_broadcast(&p->wake);
        mutex_unlock(&p->mu);
        for (int i = 0; i < p->n_threads; i++)
                thread_join(&p->threads[i]);
        cond_done(&p->wake);
        mutex_done(&p->mu);
        free(p->threads);
        free(p);
}

int pool_size(const struct pool *p)
{
        return p ? p->n_threads : 0;
}

void pool_submit(struct pool *p, void (*run)(void *arg), void *arg)
{
        struct job *j = mem_new(struct job);
        j->run = run;
        j->arg = arg;
        mutex_lock(&p->mu);
        list_push_back(&p->jobs, &j->link);
        cond_signal(&p->wake);
        mutex_unlock(&p->mu);
}

/* One pool_each call. It lives on the heap because a helper that comes late may look at it after the caller has gone. */
struct each {
        void (*step)(void *ctx, size_t i, int worker);
        void *ctx;
        size_t n;
        atomic_size_t next;             /* next item to hand out */
        atomic_int next_worker;
        atomic_int refs;
        struct mutex mu;                /* guards finished */
        struct cond all_done;
        size_t finished;
};

static void each_unref(struct each *w)
{
        if (atomic_fetch_sub(&w->refs, 1) != 1)
                return;
        cond_done(&w->all_done);
        mutex_done(&w->mu);
        free(w);
}

static void each_work(struct each *w)
{
        size_t done = 0;
        int worker = -1;
        for (;;) {
                size_t i = atomic_fetch_add(&w->next, 1);
                if (i >= w->n)
                        break;
                if (worker < 0)
                        worker = atomic_fetch_add(&w->next_worker, 1);
                w->step(w->ctx, i, worker);
                done++;
        }
        if (done == 0)
                return;
        mutex_lock(&w->mu);
        w->finished += done;
        if (w->finished == w->n)
                cond_broadcast(&w->all_done);
        mutex_unlock(&w->mu);
}

static void each_helper(void *arg)
{
        each_work(arg);
        each_unref(arg);
}

void pool_each(struct pool *p, size_t n, void (*step)(void *ctx, size_t i, int worker), void *ctx)
{
        int helpers = pool_size(p);
        if (n <= 1 || helpers == 0) {
                for (size_t i = 0; i < n; i++)
                        step(ctx, i, 0);
                return;
        }
        if ((size_t)helpers > n - 1)
                helpers = (int)(n - 1);
        struct each *w = mem_new(struct each);
        w->step = step;
        w->ctx = ctx;
        w->n = n;
        mutex_init(&w->mu);
        cond_init(&w->all_done);
        atomic_init(&w->refs, helpers + 1);
        for (int i = 0; i < helpers; i++)
                pool_submit(p, each_helper, w);
        each_work(w);
        mutex_lock(&w->mu);
        while (w->finished < n)
                cond_wait(&w->all_done, &w->mu);
        mutex_unlock(&w->mu);
        each_unref(w);
}
