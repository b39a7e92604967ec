/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h — an epoll loop in a thread of its own: descriptors, timers, messages from other threads.
 *
 *   e = loop_new("http-0", &l);                             the thread runs until loop_free
 *   loop_post(l, fn, arg);                                  any thread: fn(arg) runs on the loop, in order of posting
 *   loop_timer_set(l, &t, 15000);                           loop thread
 *
 * Objects that belong to a loop are touched by its thread only; loop_is_me() is for asserting that. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <sys/epoll.h>

#include "base/error.h"
#include "base/list.h"

struct loop;
struct error *loop_new(const char *name, struct loop **ret) MUST_CHECK;
void loop_free(struct loop *l);                                 /* stops after what was posted before; joins; NULL is fine */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_call(struct loop *l, void (*fn)(void *arg), void *arg);       /* posts and waits; called on the loop itself it just runs */
bool loop_is_me(const struct loop *l);

struct loop_fd {
        int fd;
        void (*ready)(struct loop_fd *f, uint32_t events);      /* EPOLLIN …; may remove and free f */
};
struct error *loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events) MUST_CHECK;
void loop_fd_change(struct loop *l, struct loop_fd *f, uint32_t events);
void loop_fd_remove(struct loop *l, struct loop_fd *f);         /* its ready is not called any more, not even for events already taken */

struct loop_timer {
        void (*fire)(struct loop_timer *t);
        int64_t at_ns;                  /* monotonic; private */
        size_t slot;                    /* private; 0: not armed */
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t after_ms);    /* arms or moves; fires once */
void loop_timer_set_ns(struct loop *l, struct loop_timer *t, int64_t at_mono_ns);
void loop_timer_clear(struct loop *l, struct loop_timer *t);    /* fine when not armed */

#endif
