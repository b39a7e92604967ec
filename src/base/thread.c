/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

static void check(int rc, const char *what)
{
        if (rc)
                bug("%s: %s", what, strerror(rc));
}

void mutex_init(struct mutex *m)
{
        check(pthread_mutex_init(&m->m, NULL), "mutex_init");
}

void mutex_done(struct mutex *m)
{
        check(pthread_mutex_destroy(&m->m), "mutex_done");
}

void mutex_lock(struct mutex *m)
{
        check(pthread_mutex_lock(&m->m), "mutex_lock");
}

bool mutex_try_lock(struct mutex *m)
{
        int rc = pthread_mutex_trylock(&m->m);
        if (rc == EBUSY)
                return false;
        check(rc, "mutex_try_lock");
        return true;
}

void mutex_unlock(struct mutex *m)
{
        check(pthread_mutex_unlock(&m->m), "mutex_unlock");
}

void rwlock_init(struct rwlock *l)
{
        /* Writers must not starve: reloads and truncations wait for them behind a steady stream of queries. */
        pthread_rwlockattr_t a;
        pthread_rwlockattr_init(&a);
        pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        check(pthread_rwlock_init(&l->l, &a), "rwlock_init");
        pthread_rwlockattr_destroy(&a);
}

void rwlock_done(struct rwlock *l)
{
        check(pthread_rwlock_destroy(&l->l), "rwlock_done");
}

void rwlock_read(struct rwlock *l)
{
        check(pthread_rwlock_rdlock(&l->l), "rwlock_read");
}

void rwlock_write(struct rwlock *l)
{
        check(pthread_rwlock_wrlock(&l->l), "rwlock_write");
}

void rwlock_unlock(struct rwlock *l)
{
        check(pthread_rwlock_unlock(&l->l), "rwlock_unlock");
}

void cond_init(struct cond *c)
{
        pthread_condattr_t a;
        pthread_condattr_init(&a);
        pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        check(pthread_cond_init(&c->c, &a), "cond_init");
        pthread_condattr_destroy(&a);
}

void cond_done(struct cond *c)
{
        check(pthread_cond_destroy(&c->c), "cond_done");
}

void cond_wait(struct cond *c, struct mutex *held)
{
        check(pthread_cond_wait(&c->c, &held->m), "cond_wait");
}

bool cond_wait_ms(struct cond *c, struct mutex *held, int64_t timeout_ms)
{
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        if (timeout_ms < 0)
                timeout_ms = 0;
        at.tv_sec += timeout_ms / 1000;
        at.tv_nsec += timeout_ms % 1000 * 1000000;
        if (at.tv_nsec >= 1000000000) {
                at.tv_sec++;
                at.tv_nsec -= 1000000000;
        }
        int rc = pthread_cond_timedwait(&c->c, &held->m, &at);
        if (rc == ETIMEDOUT)
                return false;
        check(rc, "cond_wait_ms");
        return true;
}

void cond_signal(struct cond *c)
{
        check(pthread_cond_signal(&c->c), "cond_signal");
}

void cond_broadcast(struct cond *c)
{
        check(pthread_cond_broadcast(&c->c), "cond_broadcast");
}

struct start {
        void (*run)(void *arg);
        void *arg;
        char name[16];
};

static void *thread_main(void *arg)
{
        struct start s = *(struct start *)arg;
        free(arg);
        pthread_setname_np(pthread_self(), s.name);
        s.run(s.arg);
        return NULL;
}

struct error *thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg)
{
        struct start *s = mem_new(struct start);
        s->run = run;
        s->arg = arg;
        snprintf(s->name, sizeof s->name, "%s", name);
        int rc = pthread_create(&t->id, NULL, thread_main, s);
        t->started = rc == 0;
        if (rc) {
                free(s);
                return error_errno(rc, "start thread %s", name);
        }
        return NULL;
}

void thread_join(struct thread *t)
{
        if (!t->started)
                return;
        check(pthread_join(t->id, NULL), "thread_join");
        t->started = false;
}

int cpu_count(void)
{
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set))
                return 1;
        int n = CPU_COUNT(&set);
        return n < 1 ? 1 : n;
}
