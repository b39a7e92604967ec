/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c — block devices and mounts. */
#include "base/vec.h"
#include "collect/host/parse.h"

enum { DISK_FIELDS = 17, SECTOR_BYTES = 512 };

struct disk {
        Str name;
        double v[DISK_FIELDS];
        int n; /* fields that the kernel gave */
};

static size_t skip_digits(Str s, size_t at)
{
        while (at < s.n && s.p[at] >= '0' && s.p[at] <= '9')
                at++;
        return at;
}

/* What follows prefix is digits, at least one, to the end. */
static bool is_numbered(Str s, Str prefix)
{
        return str_has_prefix(s, prefix) && s.n > prefix.n && skip_digits(s, prefix.n) == s.n;
}

/* ^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$: memory, loops, floppies, partitions. */
static bool disk_is_hidden(Str s)
{
        static const Str plain[] = {STR_INIT("ram"), STR_INIT("zram"), STR_INIT("loop"), STR_INIT("fd")};
        for (size_t i = 0; i < ARRAY_LEN(plain); i++)
                if (is_numbered(s, plain[i]))
                        return true;
        static const Str lettered[] = {STR_INIT("hd"), STR_INIT("sd"), STR_INIT("vd"), STR_INIT("xvd")};
        for (size_t i = 0; i < ARRAY_LEN(lettered); i++) {
                size_t n = lettered[i].n + 1;
                if (str_has_prefix(s, lettered[i]) && s.n > n && s.p[n - 1] >= 'a' && s.p[n - 1] <= 'z' &&
                    is_numbered(s, str_sub(s, 0, n)))
                        return true;
        }
        if (!str_has_prefix(s, STR("nvme")))
                return false;
        size_t a = skip_digits(s, 4);
        if (a == 4 || a >= s.n || s.p[a] != 'n')
                return false;
        size_t b = skip_digits(s, a + 1);
        return b > a + 1 && b < s.n && s.p[b] == 'p' && is_numbered(s, str_sub(s, 0, b + 1));
}

void host_diskstats(struct buf *out, Str text)
{
        static const struct {
                const char *name, *type, *help;
                double unit;
        } columns[DISK_FIELDS] = {
                {"node_disk_reads_completed_total", "counter", "The total number of reads completed successfully.", 1},
                {"node_disk_reads_merged_total", "counter", "The total number of reads merged.", 1},
                {"node_disk_read_bytes_total", "counter", "The total number of bytes read successfully.", SECTOR_BYTES},
                {"node_disk_read_time_seconds_total", "counter", "The total number of seconds spent by all reads.",
                 .001},
                {"node_disk_writes_completed_total", "counter", "The total number of writes completed successfully.",
                 1},
                {"node_disk_writes_merged_total", "counter", "The number of writes merged.", 1},
                {"node_disk_written_bytes_total", "counter", "The total number of bytes written successfully.",
                 SECTOR_BYTES},
                {"node_disk_write_time_seconds_total", "counter",
                 "This is the total number of seconds spent by all writes.", .001},
                {"node_disk_io_now", "gauge", "The number of I/Os currently in progress.", 1},
                {"node_disk_io_time_seconds_total", "counter", "Total seconds spent doing I/Os.", .001},
                {"node_disk_io_time_weighted_seconds_total", "counter", "The weighted # of seconds spent doing I/Os.",
                 .001},
                {"node_disk_discards_completed_total", "counter",
                 "The total number of discards completed successfully.", 1},
                {"node_disk_discards_merged_total", "counter", "The total number of discards merged.", 1},
                {"node_disk_discarded_sectors_total", "counter", "The total number of sectors discarded successfully.",
                 1},
                {"node_disk_discard_time_seconds_total", "counter",
                 "This is the total number of seconds spent by all discards.", .001},
                {"node_disk_flush_requests_total", "counter",
                 "The total number of flush requests completed successfully", 1},
                {"node_disk_flush_requests_time_seconds_total", "counter",
                 "This is the total number of seconds spent by all flush requests.", .001},
        };
        VEC(struct disk) disks = VEC_INIT;
        Str line, f;
        while (str_next(&text, '\n', &line)) {
                struct disk d = {0};
                if (!host_field(&line, &f) || !host_field(&line, &f) || !host_field(&line, &d.name) ||
                    disk_is_hidden(d.name))
                        continue;
                while (d.n < DISK_FIELDS && host_field(&line, &f) && host_number(f, &d.v[d.n]))
                        d.n++;
                vec_push(&disks, d);
        }
        for (int c = 0; c < DISK_FIELDS; c++) {
                bool first = true;
                for (size_t i = 0; i < disks.n; i++) {
                        if (disks.p[i].n <= c)
                                continue;
                        if (first)
                                host_family(out, columns[c].name, columns[c].type, columns[c].help);
                        first = false;
                        host_sample(out, columns[c].name, "device", disks.p[i].name, disks.p[i].v[c] * columns[c].unit);
                }
        }
        vec_done(&disks);
}

/* ---- mounts ---- */

static bool is_one_of(Str s, const Str *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(s, v[i]))
                        return true;
        return false;
}

static bool fs_type_is_hidden(Str s)
{
        static const Str hidden[] = {
                STR_INIT("autofs"),    STR_INIT("binfmt_misc"), STR_INIT("bpf"),        STR_INIT("cgroup"),
                STR_INIT("cgroup2"),   STR_INIT("configfs"),    STR_INIT("debugfs"),    STR_INIT("devpts"),
                STR_INIT("devtmpfs"),  STR_INIT("fusectl"),     STR_INIT("hugetlbfs"),  STR_INIT("iso9660"),
                STR_INIT("mqueue"),    STR_INIT("nsfs"),        STR_INIT("overlay"),    STR_INIT("proc"),
                STR_INIT("procfs"),    STR_INIT("pstore"),      STR_INIT("rpc_pipefs"), STR_INIT("securityfs"),
                STR_INIT("selinuxfs"), STR_INIT("squashfs"),    STR_INIT("erofs"),      STR_INIT("sysfs"),
                STR_INIT("tracefs"),
        };
        return is_one_of(s, hidden, ARRAY_LEN(hidden));
}

/* prefix itself or a path below it. */
static bool is_below(Str path, Str prefix)
{
        return str_has_prefix(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

/* ^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/) */
static bool mount_is_hidden(Str point)
{
        static const Str below[] = {STR_INIT("/dev"), STR_INIT("/proc"), STR_INIT("/sys")};
        static const Str inside[] = {STR_INIT("/run/credentials/"), STR_INIT("/var/lib/docker/"),
                                     STR_INIT("/var/lib/containers/storage/")};
        for (size_t i = 0; i < ARRAY_LEN(below); i++)
                if (is_below(point, below[i]))
                        return true;
        for (size_t i = 0; i < ARRAY_LEN(inside); i++)
                if (str_has_prefix(point, inside[i]) && point.n > inside[i].n)
                        return true;
        return false;
}

/* The kernel writes blanks as \040. In place; the text only gets shorter. */
static Str unescape(Str s, struct buf *b)
{
        size_t from = b->n;
        for (size_t i = 0; i < s.n; i++) {
                bool octal = s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '3';
                for (size_t k = 2; octal && k <= 3; k++)
                        octal = s.p[i + k] >= '0' && s.p[i + k] <= '7';
                if (!octal) {
                        buf_putc(b, s.p[i]);
                        continue;
                }
                buf_putc(b, (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 + (s.p[i + 3] - '0')));
                i += 3;
        }
        return (Str){b->p + from, b->n - from};
}

static bool option_is_set(Str options, Str name)
{
        Str o;
        while (str_next(&options, ',', &o))
                if (str_eq(o, name))
                        return true;
        return false;
}

void host_mounts(Str text, void (*fn)(void *ctx, const struct host_mount *m), void *ctx)
{
        struct buf scratch = BUF_INIT(1 << 20);
        Str line, device, point, options;
        while (str_next(&text, '\n', &line)) {
                struct host_mount m;
                if (!host_field(&line, &device) || !host_field(&line, &point) || !host_field(&line, &m.fs_type) ||
                    !host_field(&line, &options))
                        continue;
                buf_clear(&scratch);
                if (!buf_reserve(&scratch, device.n + point.n)) /* so that the views below stay */
                        continue;
                m.device = unescape(device, &scratch);
                m.point = unescape(point, &scratch);
                m.read_only = option_is_set(options, STR("ro"));
                if (!fs_type_is_hidden(m.fs_type) && !mount_is_hidden(m.point))
                        fn(ctx, &m);
        }
        buf_done(&scratch);
}
