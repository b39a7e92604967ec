/* SPDX-License-Identifier: Apache-2.0 */
/* group.h — a role as a short list of start/stop pairs: started in order, stopped in reverse, signals in between.
 *
 *   struct group g;
 *   e = group_init(&g, reload, ctx);                before any thread is started: it blocks the signals that it waits for
 *   group_add(&g, "storage", storage_start, storage_stop, r);
 *   int code = group_run(&g);                       returns when it was asked to stop, or a start failed
 *   group_done(&g);
 *
 * SIGTERM and SIGINT stop; a second one while stopping ends the process at once. SIGHUP calls reload. group_stop() and group_fail() may be called
 * from any thread. A start that takes long runs in a thread of its own and calls group_fail() when it fails. */
#ifndef APP_GROUP_H
#define APP_GROUP_H

#include "base/error.h"
#include "base/vec.h"

struct group_part {
        const char *name;
        struct error *(*start)(void *ctx);      /* NULL: nothing to start */
        void (*stop)(void *ctx);                /* called only if start succeeded; NULL: nothing to stop */
        void *ctx;
        bool started;
};
struct group {
        VEC(struct group_part) parts;
        void (*reload)(void *ctx);
        void *ctx;
        int wake_fd, signal_fd, stopped_fd;
        _Atomic int exit_code;
        _Atomic bool stopping;
};
struct error *group_init(struct group *g, void (*reload)(void *ctx), void *ctx) MUST_CHECK;
void group_done(struct group *g);
void group_add(struct group *g, const char *name, struct error *(*start)(void *ctx), void (*stop)(void *ctx), void *ctx);
/* The exit code: 0, 1 when a start failed (told in the log), or what group_fail was given. */
int group_run(struct group *g);
void group_stop(struct group *g);                       /* as SIGTERM */
void group_fail(struct group *g, int exit_code);        /* stop, and end with that code */

#endif
