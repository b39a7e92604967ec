/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h — named threads, mutexes, conditions: pthreads with the checks that we always want.
 *
 *   struct mutex mu = MUTEX_INIT;
 *   mutex_lock(&mu); ... mutex_unlock(&mu);
 *
 * Misuse (unlocking what is not held, …) is a bug and aborts. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct mutex {
        pthread_mutex_t m;
};
#define MUTEX_INIT {PTHREAD_MUTEX_INITIALIZER}
void mutex_init(struct mutex *m);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m);
bool mutex_try_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

struct rwlock {
        pthread_rwlock_t l;
};
void rwlock_init(struct rwlock *l);
void rwlock_done(struct rwlock *l);
void rwlock_read(struct rwlock *l);
void rwlock_write(struct rwlock *l);
void rwlock_unlock(struct rwlock *l);

struct cond {
        pthread_cond_t c;       /* on the monotonic clock */
};
void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *held);
/* False when timeout_ms went by first. */
bool cond_wait_ms(struct cond *c, struct mutex *held, int64_t timeout_ms);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

struct thread {
        pthread_t id;
        bool started;
};
/* name: at most 15 bytes, as ps shows it. */
struct error *thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg) MUST_CHECK;
void thread_join(struct thread *t);     /* fine when it never started */
int cpu_count(void);                    /* processors this process may use, at least 1 */

#endif
