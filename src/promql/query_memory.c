/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/query_memory.h"

#include "base/alloc.h"
#include "base/thread.h"

enum { STEP_BYTES = 1 << 20 };

struct query_memory {
        size_t max_bytes;
        struct mutex mu;        /* guards all below, and the holds but for evicted; a leaf */
        struct list holds;
        size_t held;            /* by those that are not to end */
};

struct query_memory *query_memory_new(size_t max_bytes)
{
        struct query_memory *m = mem_new(struct query_memory);
        m->max_bytes = max_bytes ? max_bytes : SIZE_MAX;
        mutex_init(&m->mu);
        list_init(&m->holds);
        return m;
}

void query_memory_free(struct query_memory *m)
{
        if (!m)
                return;
        mutex_done(&m->mu);
        free(m);
}

void query_memory_enter(struct query_memory *m, struct query_hold *h)
{
        *h = (struct query_hold){.entered = true};
        mutex_lock(&m->mu);
        list_push_back(&m->holds, &h->link);
        mutex_unlock(&m->mu);
}

void query_memory_leave(struct query_memory *m, struct query_hold *h)
{
        if (!h || !h->entered)
                return;
        mutex_lock(&m->mu);
        list_remove(&h->link);
        if (!h->evicted)
                m->held -= h->held;
        mutex_unlock(&m->mu);
        h->entered = false;
}

static bool is_evicted(const struct query_hold *h)
{
        return __atomic_load_n(&h->evicted, __ATOMIC_RELAXED); /* no data hangs on it */
}

static void evict_largest_locked(struct query_memory *m)
{
        struct query_hold *largest = NULL;
        LIST_EACH (l, &m->holds) {
                struct query_hold *h = CONTAINER_OF(l, struct query_hold, link);
                if (!h->evicted && (!largest || h->held > largest->held))
                        largest = h;
        }
        if (!largest)
                return;
        m->held -= largest->held;
        __atomic_store_n(&largest->evicted, true, __ATOMIC_RELAXED);
}

static void hold_more(struct query_memory *m, struct query_hold *h, size_t bytes)
{
        size_t held = bytes > SIZE_MAX - STEP_BYTES ? bytes : (bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
        mutex_lock(&m->mu);
        if (!h->evicted) {
                m->held -= h->held;
                m->held = held > SIZE_MAX - m->held ? SIZE_MAX : m->held + held;
        }
        h->held = held;
        while (m->held > m->max_bytes)
                evict_largest_locked(m);
        mutex_unlock(&m->mu);
}

struct error *query_memory_hold(struct query_memory *m, struct query_hold *h, size_t bytes)
{
        if (bytes > h->held || h->held - bytes >= 2 * STEP_BYTES)
                hold_more(m, h, bytes);
        if (LIKELY(!is_evicted(h)))
                return NULL;
        return error_new(ERROR_LIMIT,
                         "all queries together need more than the %zu bytes of memory that they may use: this one, which needs %zu, was the largest of "
                         "them",
                         m->max_bytes, bytes);
}

size_t query_memory_held(struct query_memory *m)
{
        mutex_lock(&m->mu);
        size_t held = m->held;
        mutex_unlock(&m->mu);
        return held;
}
