/* SPDX-License-Identifier: Apache-2.0 */
/* file.c — targets from files: read when one of their folders changes, and every refresh_ms in case a change was not
 * seen. */
#include <errno.h>
#include <glob.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "collect/discovery/discovery_impl.h"

enum { FILE_BYTES_MAX = 256 << 20 };

/* A file as the last refresh saw it. */
struct sd_file {
        char *path;
        size_t n_groups;
};
typedef VEC(struct sd_file) FileVec;

struct file_run {
        struct thread thread;
        int stop_fd, watch_fd;
        FileVec files;
        struct metric *m_errors, *m_scan, *m_watch_errors;
        struct metric_family *m_mtime;
};

static void file_vec_done(FileVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                free(v->p[i].path);
        vec_done(v);
}

static const struct sd_file *find_file(const FileVec *v, const char *path)
{
        for (size_t i = 0; i < v->n; i++)
                if (strcmp(v->p[i].path, path) == 0)
                        return &v->p[i];
        return NULL;
}

static struct error *read_groups(const char *path, GroupVec *ret, double *ret_mtime)
{
        char *text = NULL;
        size_t n = 0;
        struct stat st;
        if (stat(path, &st) != 0)
                return error_errno(errno, "open %s", path);
        struct error *e = file_read(path, FILE_BYTES_MAX, &text, &n);
        if (!e)
                e = file_sd_parse(str_from(path), (Str){text, n}, ret);
        free(text);
        if (!e)
                *ret_mtime = (double)st.st_mtim.tv_sec;
        return e;
}

struct error *file_sd_each(const char *path, struct error *(*fn)(void *ctx, const struct target_group *g), void *ctx)
{
        GroupVec groups = VEC_INIT;
        double mtime;
        struct error *e = read_groups(path, &groups, &mtime);
        for (size_t i = 0; i < groups.n; i++) {
                if (!e && fn)
                        e = fn(ctx, groups.p[i]);
                target_group_unref(groups.p[i]);
        }
        vec_done(&groups);
        return e;
}

struct error *file_sd_check(const char *path)
{
        return file_sd_each(path, NULL, NULL);
}

static struct target_group *empty_group(const char *path, size_t i)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, path);
        buf_putc(&b, ':');
        buf_put_u64(&b, i);
        struct target_group *g = target_group_new(buf_str(&b));
        buf_done(&b);
        return g;
}

static void refresh_one(struct provider *p, struct file_run *r, const char *path, FileVec *now)
{
        if (find_file(now, path))
                return;
        const struct sd_file *before = find_file(&r->files, path);
        GroupVec groups = VEC_INIT;
        double mtime = 0;
        struct error *e = read_groups(path, &groups, &mtime);
        if (e) {
                log_error("discovery manager", "Error reading file", KV_S("discovery", "file"),
                          KV_STR("config", p->first_set), KV_S("path", path), KV_E(e));
                error_free(e);
                if (r->m_errors)
                        metric_add(r->m_errors, 1);
                vec_push(now, ((struct sd_file){mem_strdup(path), before ? before->n_groups : 0}));
                return;
        }
        vec_push(now, ((struct sd_file){mem_strdup(path), groups.n}));
        for (size_t i = groups.n; before && i < before->n_groups; i++)
                vec_push(&groups, empty_group(path, i));
        provider_update(p, groups.p, groups.n);
        vec_done(&groups);
        if (r->m_mtime)
                metric_set(metric_with(r->m_mtime, (Str[]){str_from(path)}), mtime);
}

static void drop_vanished(struct provider *p, struct file_run *r, const FileVec *now)
{
        for (size_t i = 0; i < r->files.n; i++) {
                const struct sd_file *f = &r->files.p[i];
                if (find_file(now, f->path))
                        continue;
                log_debug("discovery manager", "file_sd refresh found file that should be removed",
                          KV_S("file", f->path));
                if (r->m_mtime)
                        metric_remove(r->m_mtime, (Str[]){str_from(f->path)});
                GroupVec groups = VEC_INIT;
                for (size_t k = 0; k < f->n_groups; k++)
                        vec_push(&groups, empty_group(f->path, k));
                provider_update(p, groups.p, groups.n);
                vec_done(&groups);
        }
}

static void watch(struct provider *p, struct file_run *r)
{
        for (size_t i = 0; i < p->file.n_files; i++) {
                char *dir = str_dup(path_dir(p->file.files[i]));
                if (r->watch_fd >= 0 &&
                    inotify_add_watch(r->watch_fd, dir,
                                      IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                              IN_DELETE_SELF | IN_MOVE_SELF) < 0)
                        log_error("discovery manager", "Error adding file watch", KV_S("discovery", "file"),
                                  KV_STR("config", p->first_set), KV_S("path", dir), KV_S("err", strerror(errno)));
                free(dir);
        }
}

static void refresh(struct provider *p, struct file_run *r)
{
        int64_t start = time_mono_ns();
        /* Watch before reading, so that a change between the two is seen. */
        watch(p, r);
        FileVec now = VEC_INIT;
        for (size_t i = 0; i < p->file.n_files; i++) {
                char *pattern = str_dup(p->file.files[i]);
                glob_t g;
                if (glob(pattern, GLOB_PERIOD, NULL, &g) == 0) {
                        for (size_t k = 0; k < g.gl_pathc; k++)
                                refresh_one(p, r, g.gl_pathv[k], &now);
                        globfree(&g);
                }
                free(pattern);
        }
        drop_vanished(p, r, &now);
        file_vec_done(&r->files);
        r->files = now;
        if (r->m_scan)
                metric_observe(r->m_scan, (double)(time_mono_ns() - start) / 1e9);
}

/* True when something happened in a watched folder. */
static bool drain_events(struct file_run *r)
{
        _Alignas(struct inotify_event) char events[4096];
        bool any = false;
        for (;;) {
                ssize_t n = read(r->watch_fd, events, sizeof events);
                if (n <= 0)
                        return any;
                any = true;
        }
}

static void file_run(void *arg)
{
        struct provider *p = arg;
        struct file_run *r = p->run;
        int64_t next_ms = time_mono_ms() + p->file.refresh_ms;
        for (;;) {
                struct pollfd fds[] = {{.fd = r->stop_fd, .events = POLLIN}, {.fd = r->watch_fd, .events = POLLIN}};
                int64_t wait_ms = MIN(MAX(next_ms - time_mono_ms(), 0), INT32_MAX);
                int n = poll(fds, ARRAY_LEN(fds), (int)wait_ms);
                if (n < 0 && errno != EINTR)
                        bug("poll: %s", strerror(errno));
                if (fds[0].revents)
                        return;
                bool due = time_mono_ms() >= next_ms;
                if (due)
                        next_ms = time_mono_ms() + MAX(p->file.refresh_ms, 1);
                if ((n > 0 && drain_events(r)) || due)
                        refresh(p, r);
        }
}

struct error *file_provider_start(struct provider *p)
{
        struct file_run *r = mem_new(struct file_run);
        struct metric_registry *reg = discovery_metrics(p->manager);
        p->run = r;
        r->watch_fd = -1;
        r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (r->stop_fd < 0)
                return error_errno(errno, "eventfd");
        if (reg) {
                static const char *const by_file[] = {"filename", NULL};
                r->m_errors = metric_counter(reg, "prometheus_sd_file_read_errors_total",
                                             "The number of File-SD read errors.");
                struct metric_family *scan =
                        metric_family(reg, METRIC_FAMILY_SUMMARY, "prometheus_sd_file_scan_duration_seconds",
                                      "The duration of the File-SD scan in seconds.", NULL);
                metric_family_set_quantiles(scan, (const double[]){0.5, 0.9, 0.99}, 3);
                r->m_scan = metric_with(scan, NULL);
                r->m_watch_errors = metric_counter(reg, "prometheus_sd_file_watcher_errors_total",
                                                   "The number of File-SD errors caused by filesystem watch failures.");
                r->m_mtime = metric_family(reg, METRIC_FAMILY_GAUGE, "prometheus_sd_file_mtime_seconds",
                                           "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
                                           by_file);
        }
        r->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (r->watch_fd < 0) {
                /* Without a watch the files are still read every refresh_ms. */
                log_error("discovery manager", "Error adding file watcher", KV_S("discovery", "file"),
                          KV_STR("config", p->first_set), KV_S("err", strerror(errno)));
                if (r->m_watch_errors)
                        metric_add(r->m_watch_errors, 1);
        }
        refresh(p, r);
        return thread_start(&r->thread, "sd-file", file_run, p);
}

void file_provider_stop(struct provider *p)
{
        struct file_run *r = p->run;
        if (!r)
                return;
        if (r->stop_fd >= 0) {
                uint64_t one = 1;
                if (write(r->stop_fd, &one, sizeof one) != sizeof one)
                        bug("eventfd: %s", strerror(errno));
        }
        thread_join(&r->thread);
        for (size_t i = 0; i < r->files.n && r->m_mtime; i++)
                metric_remove(r->m_mtime, (Str[]){str_from(r->files.p[i].path)});
        file_vec_done(&r->files);
        if (r->stop_fd >= 0)
                close(r->stop_fd);
        if (r->watch_fd >= 0)
                close(r->watch_fd);
        free(r);
        p->run = NULL;
}
