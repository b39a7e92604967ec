/* SPDX-License-Identifier: Apache-2.0 */
/* failure_log.c — scrape_failure_log_file: a line of JSON for each scrape that gave no body. Any thread. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "codec/json.h"
#include "collect/scrape/scrape_impl.h"

struct failure_log {
        int refs, fd;
        char path[];
};

struct failure_log *failure_log_open(const char *path)
{
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) {
                log_error("scrape manager", "Cannot open scrape failure log", KV_S("file", path),
                          KV_S("err", strerror(errno)));
                return NULL;
        }
        size_t n = strlen(path) + 1;
        struct failure_log *f = mem_alloc(sizeof *f + n);
        f->refs = 1;
        f->fd = fd;
        memcpy(f->path, path, n);
        return f;
}

struct failure_log *failure_log_ref(struct failure_log *f)
{
        if (f)
                __atomic_add_fetch(&f->refs, 1, __ATOMIC_SEQ_CST);
        return f;
}

void failure_log_unref(struct failure_log *f)
{
        if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        close(f->fd);
        free(f);
}

const char *failure_log_path(const struct failure_log *f)
{
        return f->path;
}

void failure_log_write(struct failure_log *f, Str job, Str target, const char *msg)
{
        struct timespec ts;
        struct tm tm;
        char time[40];
        clock_gettime(CLOCK_REALTIME, &ts);
        gmtime_r(&ts.tv_sec, &tm);
        size_t n = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &tm);
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "{\"time\":\"");
        buf_append(&b, time, n);
        buf_printf(&b, ".%03ldZ\",\"level\":\"ERROR\",\"msg\":", ts.tv_nsec / 1000000);
        json_put_str(&b, str_from(msg));
        buf_puts(&b, ",\"job_name\":");
        json_put_str(&b, job);
        buf_puts(&b, ",\"target\":");
        json_put_str(&b, target);
        buf_puts(&b, "}\n");
        if (!buf_is_over(&b))
                error_ignore(file_write_all(f->fd, b.p, b.n), "a full disk must not stop scraping");
        buf_done(&b);
}
