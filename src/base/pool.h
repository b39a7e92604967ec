/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h — worker threads for CPU work: queries, replay, compaction.
 *
 *   struct pool *p;  e = pool_new("query", n, &p);
 *   pool_submit(p, run, arg);                       one job, some time, any worker
 *   pool_each(p, n_items, step, ctx);               step(ctx, i, worker) for every i, on all workers and the caller; returns when all are done
 *
 * pool_each may be called from inside a job: the caller takes items itself, so progress never depends on a free worker.
 * Items are handed out one by one in rising order; results must not depend on which worker ran one. Any thread. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#include "base/error.h"

struct pool;
struct error *pool_new(const char *name, int n_threads, struct pool **ret) MUST_CHECK;
void pool_free(struct pool *p);                         /* waits for what was submitted; NULL is fine */
int pool_size(const struct pool *p);                    /* threads of its own; 0 for NULL */
void pool_submit(struct pool *p, void (*run)(void *arg), void *arg);
/* worker is in 0 … pool_size(p) and no two running steps of one call share it: index scratch memory by it. p may be NULL: serial. */
void pool_each(struct pool *p, size_t n, void (*step)(void *ctx, size_t i, int worker), void *ctx);

#endif
