/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/host/host.h"

#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "codec/float_text.h"
#include "collect/host/parse.h"

enum { PROC_BYTES_MAX = 16 << 20 };

/* A file of the kernel; empty if it is not there. Owned by the caller (free .p). */
static Str slurp(const char *path)
{
        char *text = NULL;
        size_t n = 0;
        struct error *e = file_read(path, PROC_BYTES_MAX, &text, &n);
        if (e) {
                error_ignore(e, "kernels differ in what they offer");
                return (Str){NULL, 0};
        }
        return (Str){text, n};
}

static void drop(Str s)
{
        free((void *)(uintptr_t)s.p);
}

/* ---- file systems ---- */

struct fs_row {
        char *labels; /* device="…",fstype="…",mountpoint="…" */
        bool read_only, failed;
        struct statfs st;
};
typedef VEC(struct fs_row) FsRows;

static void add_mount(void *ctx, const struct host_mount *m)
{
        FsRows *rows = ctx;
        struct fs_row r = {.read_only = m->read_only};
        char *point = str_dup(m->point);
        r.failed = statfs(point, &r.st) != 0;
        free(point);
        struct buf b = BUF_INIT(1 << 16);
        buf_puts(&b, "{device=\"");
        host_put_label_value(&b, m->device);
        buf_puts(&b, "\",fstype=\"");
        host_put_label_value(&b, m->fs_type);
        buf_puts(&b, "\",mountpoint=\"");
        host_put_label_value(&b, m->point);
        buf_puts(&b, "\"}");
        r.labels = buf_take(&b);
        for (size_t i = 0; i < rows->n; i++)
                if (strcmp(rows->p[i].labels, r.labels) == 0) {
                        free(r.labels);
                        return;
                }
        vec_push(rows, r);
}

enum fs_column { FS_AVAIL, FS_ERROR, FS_FILES, FS_FILES_FREE, FS_FREE, FS_READONLY, FS_SIZE, FS_COLUMNS };

static double fs_value(const struct fs_row *r, enum fs_column c)
{
        double block = (double)r->st.f_bsize;
        switch (c) {
        case FS_AVAIL:
                return (double)r->st.f_bavail * block;
        case FS_ERROR:
                return r->failed;
        case FS_FILES:
                return (double)r->st.f_files;
        case FS_FILES_FREE:
                return (double)r->st.f_ffree;
        case FS_FREE:
                return (double)r->st.f_bfree * block;
        case FS_READONLY:
                return r->read_only;
        case FS_SIZE:
                return (double)r->st.f_blocks * block;
        case FS_COLUMNS:
                break;
        }
        return 0;
}

static bool filesystems(struct buf *out)
{
        static const struct {
                const char *name, *help;
        } columns[FS_COLUMNS] = {
                [FS_AVAIL] = {"node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."},
                [FS_ERROR] = {"node_filesystem_device_error",
                              "Whether an error occurred while getting statistics for the given device."},
                [FS_FILES] = {"node_filesystem_files", "Filesystem total file nodes."},
                [FS_FILES_FREE] = {"node_filesystem_files_free", "Filesystem total free file nodes."},
                [FS_FREE] = {"node_filesystem_free_bytes", "Filesystem free space in bytes."},
                [FS_READONLY] = {"node_filesystem_readonly", "Filesystem read-only status."},
                [FS_SIZE] = {"node_filesystem_size_bytes", "Filesystem size in bytes."},
        };
        Str mounts = slurp("/proc/self/mounts");
        FsRows rows = VEC_INIT;
        host_mounts(mounts, add_mount, &rows);
        for (int c = 0; c < FS_COLUMNS && rows.n > 0; c++) {
                host_family(out, columns[c].name, "gauge", columns[c].help);
                for (size_t i = 0; i < rows.n; i++) {
                        if (rows.p[i].failed && c != FS_ERROR)
                                continue;
                        buf_puts(out, columns[c].name);
                        host_sample(out, rows.p[i].labels, NULL, (Str){NULL, 0},
                                    fs_value(&rows.p[i], (enum fs_column)c));
                }
        }
        for (size_t i = 0; i < rows.n; i++)
                free(rows.p[i].labels);
        vec_done(&rows);
        bool ok = mounts.n > 0;
        drop(mounts);
        return ok;
}

/* ---- the rest ---- */

static bool uname_info(struct buf *out)
{
        struct utsname u;
        if (uname(&u) != 0)
                return false;
        const struct {
                const char *label, *value;
        } labels[] = {{"domainname", u.domainname}, {"machine", u.machine}, {"nodename", u.nodename},
                      {"release", u.release},       {"sysname", u.sysname}, {"version", u.version}};
        host_family(out, "node_uname_info", "gauge",
                    "Labeled system information as provided by the uname system call.");
        buf_puts(out, "node_uname_info{");
        for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
                buf_printf(out, "%s%s=\"", i ? "," : "", labels[i].label);
                host_put_label_value(out, str_from(labels[i].value));
                buf_putc(out, '"');
        }
        buf_puts(out, "} 1\n");
        return true;
}

static bool time_now(struct buf *out)
{
        host_family(out, "node_time_seconds", "gauge", "System time in seconds since epoch (1970).");
        host_sample(out, "node_time_seconds", NULL, (Str){NULL, 0}, (double)time_now_ms() / 1000);
        return true;
}

static bool one(struct buf *out, const char *path, void (*fn)(struct buf *out, Str text))
{
        Str text = slurp(path);
        fn(out, text);
        bool ok = text.n > 0;
        drop(text);
        return ok;
}

static bool pressure(struct buf *out)
{
        Str cpu = slurp("/proc/pressure/cpu"), io = slurp("/proc/pressure/io"), memory = slurp("/proc/pressure/memory");
        host_pressure(out, cpu, io, memory);
        bool ok = cpu.n + io.n + memory.n > 0;
        drop(cpu);
        drop(io);
        drop(memory);
        return ok;
}

static bool netstat(struct buf *out)
{
        Str a = slurp("/proc/net/netstat"), b = slurp("/proc/net/snmp"), c = slurp("/proc/net/snmp6");
        host_netstat(out, a, b, c);
        bool ok = a.n > 0 && b.n > 0;
        drop(a);
        drop(b);
        drop(c);
        return ok;
}

static bool sockstat(struct buf *out)
{
        Str a = slurp("/proc/net/sockstat"), b = slurp("/proc/net/sockstat6");
        host_sockstat(out, a, b, (double)sysconf(_SC_PAGESIZE));
        bool ok = a.n > 0;
        drop(a);
        drop(b);
        return ok;
}

static bool stat_file(struct buf *out)
{
        return one(out, "/proc/stat", host_stat);
}
static bool loadavg(struct buf *out)
{
        return one(out, "/proc/loadavg", host_loadavg);
}
static bool meminfo(struct buf *out)
{
        return one(out, "/proc/meminfo", host_meminfo);
}
static bool vmstat(struct buf *out)
{
        return one(out, "/proc/vmstat", host_vmstat);
}
static bool filefd(struct buf *out)
{
        return one(out, "/proc/sys/fs/file-nr", host_filefd);
}
static bool diskstats(struct buf *out)
{
        return one(out, "/proc/diskstats", host_diskstats);
}
static bool netdev(struct buf *out)
{
        return one(out, "/proc/net/dev", host_netdev);
}

void host_collect(struct buf *out)
{
        /* /proc/stat is two of the exporter's collectors: cpu and stat. */
        static const struct {
                const char *name;
                bool (*run)(struct buf *out);
        } collectors[] = {
                {"stat", stat_file},    {"diskstats", diskstats}, {"filefd", filefd}, {"filesystem", filesystems},
                {"loadavg", loadavg},   {"meminfo", meminfo},     {"netdev", netdev}, {"netstat", netstat},
                {"pressure", pressure}, {"sockstat", sockstat},   {"time", time_now}, {"uname", uname_info},
                {"vmstat", vmstat},
        };
        bool ok[ARRAY_LEN(collectors)];
        double took[ARRAY_LEN(collectors)];
        for (size_t i = 0; i < ARRAY_LEN(collectors); i++) {
                int64_t start = time_mono_ns();
                ok[i] = collectors[i].run(out);
                took[i] = (double)(time_mono_ns() - start) / 1e9;
        }
        host_family(out, "node_scrape_collector_duration_seconds", "gauge",
                    "node_exporter: Duration of a collector scrape.");
        for (size_t i = 0; i < ARRAY_LEN(collectors); i++)
                host_sample(out, "node_scrape_collector_duration_seconds", "collector", str_from(collectors[i].name),
                            took[i]);
        host_sample(out, "node_scrape_collector_duration_seconds", "collector", STR("cpu"), took[0]);
        host_family(out, "node_scrape_collector_success", "gauge", "node_exporter: Whether a collector succeeded.");
        for (size_t i = 0; i < ARRAY_LEN(collectors); i++)
                host_sample(out, "node_scrape_collector_success", "collector", str_from(collectors[i].name), ok[i]);
        host_sample(out, "node_scrape_collector_success", "collector", STR("cpu"), ok[0]);
}
