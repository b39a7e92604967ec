/* SPDX-License-Identifier: Apache-2.0 */
#include "app/group.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

struct error *group_init(struct group *g, void (*reload)(void *ctx), void *ctx)
{
        *g = (struct group){.parts = VEC_INIT, .reload = reload, .ctx = ctx, .wake_fd = -1, .signal_fd = -1, .stopped_fd = -1};
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        g->stopped_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return g->wake_fd < 0 || g->signal_fd < 0 || g->stopped_fd < 0 ? error_errno(errno, "wait for signals") : NULL;
}

void group_done(struct group *g)
{
        int fds[] = {g->wake_fd, g->signal_fd, g->stopped_fd};
        for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
        }
        vec_done(&g->parts);
}

void group_add(struct group *g, const char *name, struct error *(*start)(void *ctx), void (*stop)(void *ctx), void *ctx)
{
        vec_push(&g->parts, (struct group_part){.name = name, .start = start, .stop = stop, .ctx = ctx});
}

static void fd_raise(int event_fd)
{
        uint64_t one = 1;
        if (write(event_fd, &one, sizeof one) < 0) {
                /* the counter is full: who waits is awake anyway */
        }
}

void group_fail(struct group *g, int exit_code)
{
        int none = 0;
        atomic_compare_exchange_strong(&g->exit_code, &none, exit_code);
        group_stop(g);
}

void group_stop(struct group *g)
{
        atomic_store(&g->stopping, true);
        fd_raise(g->wake_fd);
}

/* The next signal, or 0 when it was woken without one. */
static int signal_wait(struct group *g)
{
        struct pollfd fds[] = {{.fd = g->signal_fd, .events = POLLIN}, {.fd = g->wake_fd, .events = POLLIN}};
        poll(fds, ARRAY_LEN(fds), -1);
        struct signalfd_siginfo info;
        return read(g->signal_fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

/* While parts stop: a second signal ends the process. One that comes at the heels of the first is the same wish: timeout(1) sends its
 * signal to the process and to its group. */
static void second_signal(void *arg)
{
        enum { SAME_WISH_NS = 300 * 1000 * 1000 };
        struct group *g = arg;
        int64_t first_ns = time_mono_ns();
        for (;;) {
                struct pollfd fds[] = {{.fd = g->signal_fd, .events = POLLIN}, {.fd = g->stopped_fd, .events = POLLIN}};
                poll(fds, ARRAY_LEN(fds), -1);
                if (fds[1].revents)
                        return;
                struct signalfd_siginfo info;
                if (read(g->signal_fd, &info, sizeof info) != (ssize_t)sizeof info || info.ssi_signo == SIGHUP || time_mono_ns() - first_ns < SAME_WISH_NS)
                        continue;
                log_warn("", "Received a second signal, exiting at once.");
                _exit(1);
        }
}

int group_run(struct group *g)
{
        for (size_t i = 0; i < g->parts.n && !atomic_load(&g->stopping); i++) {
                struct group_part *p = &g->parts.p[i];
                struct error *e = p->start ? p->start(p->ctx) : NULL;
                if (e) {
                        log_error(p->name, "Error starting", KV_E(e));
                        error_free(e);
                        group_fail(g, 1);
                        break;
                }
                p->started = true;
        }
        while (!atomic_load(&g->stopping)) {
                int s = signal_wait(g);
                if (s == SIGHUP && g->reload) {
                        g->reload(g->ctx);
                } else if (s == SIGTERM || s == SIGINT) {
                        log_warn("", "Received an OS signal, exiting gracefully...", KV_S("signal", s == SIGTERM ? "terminated" : "interrupt"));
                        atomic_store(&g->stopping, true);
                }
        }
        struct thread t = {.started = false};
        error_ignore(thread_start(&t, "signals", second_signal, g), "then a second signal waits for the end of the stop");
        for (size_t i = g->parts.n; i-- > 0;) {
                struct group_part *p = &g->parts.p[i];
                if (p->started && p->stop)
                        p->stop(p->ctx);
        }
        fd_raise(g->stopped_fd);
        thread_join(&t);
        return atomic_load(&g->exit_code);
}
