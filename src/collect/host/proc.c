/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c — processors, memory, load: the files of /proc that speak of the machine as a whole. */
#include <stdio.h>

#include "base/vec.h"
#include "collect/host/parse.h"

#define USER_HZ 100.0 /* of all Linux that we run on: the unit of /proc/stat is fixed in the ABI */

/* ---- /proc/stat ---- */

static const char *const cpu_modes[] = {"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};
enum { CPU_MODES = ARRAY_LEN(cpu_modes), CPU_FIELDS = CPU_MODES + 2 };

struct cpu {
        Str number;
        double ticks[CPU_FIELDS];
};

static bool cpu_parse(Str name, Str rest, struct cpu *ret)
{
        *ret = (struct cpu){.number = str_skip(name, 3)};
        Str f;
        for (int i = 0; i < CPU_FIELDS && host_field(&rest, &f); i++)
                if (!host_number(f, &ret->ticks[i]))
                        return false;
        return true;
}

static void cpu_sample(struct buf *out, const char *name, Str cpu, const char *mode, double ticks)
{
        char labels[96];
        snprintf(labels, sizeof labels, "%s{cpu=\"" STR_FMT "\",mode=\"%s\"}", name, STR_ARG(cpu), mode);
        host_sample(out, labels, NULL, (Str){NULL, 0}, ticks / USER_HZ);
}

static void put_cpus(struct buf *out, const struct cpu *v, size_t n)
{
        host_family(out, "node_cpu_guest_seconds_total", "counter",
                    "Seconds the CPUs spent in guests (VMs) for each mode.");
        for (size_t i = 0; i < n; i++) {
                cpu_sample(out, "node_cpu_guest_seconds_total", v[i].number, "nice", v[i].ticks[CPU_MODES + 1]);
                cpu_sample(out, "node_cpu_guest_seconds_total", v[i].number, "user", v[i].ticks[CPU_MODES]);
        }
        host_family(out, "node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
        for (size_t i = 0; i < n; i++)
                for (int m = 0; m < CPU_MODES; m++)
                        cpu_sample(out, "node_cpu_seconds_total", v[i].number, cpu_modes[m], v[i].ticks[m]);
}

void host_stat(struct buf *out, Str text)
{
        static const struct {
                Str key;
                const char *name, *type, *help;
        } plain[] = {
                {STR_INIT("intr"), "node_intr_total", "counter", "Total number of interrupts serviced."},
                {STR_INIT("ctxt"), "node_context_switches_total", "counter", "Total number of context switches."},
                {STR_INIT("processes"), "node_forks_total", "counter", "Total number of forks."},
                {STR_INIT("btime"), "node_boot_time_seconds", "gauge", "Node boot time, in unixtime."},
                {STR_INIT("procs_running"), "node_procs_running", "gauge", "Number of processes in runnable state."},
                {STR_INIT("procs_blocked"), "node_procs_blocked", "gauge",
                 "Number of processes blocked waiting for I/O to complete."},
        };
        VEC(struct cpu) cpus = VEC_INIT;
        Str line, name, value;
        bool done[ARRAY_LEN(plain)] = {false};
        while (str_next(&text, '\n', &line)) {
                if (!host_field(&line, &name))
                        continue;
                if (name.n > 3 && name.n < 16 && str_has_prefix(name, STR("cpu"))) {
                        struct cpu c;
                        uint64_t number;
                        if (str_to_u64(str_skip(name, 3), &number) && cpu_parse(name, line, &c))
                                vec_push(&cpus, c);
                        continue;
                }
                double v;
                for (size_t i = 0; i < ARRAY_LEN(plain); i++)
                        if (str_eq(name, plain[i].key) && !done[i] && host_field(&line, &value) &&
                            host_number(value, &v)) {
                                host_family(out, plain[i].name, plain[i].type, plain[i].help);
                                host_sample(out, plain[i].name, NULL, (Str){NULL, 0}, v);
                                done[i] = true;
                        }
        }
        if (cpus.n > 0)
                put_cpus(out, cpus.p, cpus.n);
        vec_done(&cpus);
}

/* ---- one number a line ---- */

void host_loadavg(struct buf *out, Str text)
{
        static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
        static const char *const help[] = {"1m load average.", "5m load average.", "15m load average."};
        Str f;
        double v;
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (!host_field(&text, &f) || !host_number(f, &v))
                        return;
                host_family(out, names[i], "gauge", help[i]);
                host_sample(out, names[i], NULL, (Str){NULL, 0}, v);
        }
}

/* The name of a field as part of a metric's; false: too long or strange. */
static bool metric_part(Str field, char *ret, size_t size)
{
        size_t n = 0;
        if (field.n == 0 || field.n + 1 > size)
                return false;
        for (size_t i = 0; i < field.n; i++) {
                char c = field.p[i];
                if (c == ')')
                        continue;
                bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                ret[n++] = ok ? c : '_';
        }
        ret[n] = '\0';
        return true;
}

void host_meminfo(struct buf *out, Str text)
{
        Str line, name, value, unit;
        double v;
        char part[64], metric[128], help[128];
        while (str_next(&text, '\n', &line)) {
                if (!str_cut(line, ':', &name, &line) || !host_field(&line, &value) || !host_number(value, &v) ||
                    !metric_part(name, part, sizeof part))
                        continue;
                bool kilobytes = host_field(&line, &unit) && str_eq(unit, STR("kB"));
                snprintf(metric, sizeof metric, "node_memory_%s%s", part, kilobytes ? "_bytes" : "");
                snprintf(help, sizeof help, "Memory information field %s%s.", part, kilobytes ? "_bytes" : "");
                host_family(out, metric, "gauge", help);
                host_sample(out, metric, NULL, (Str){NULL, 0}, kilobytes ? v * 1024 : v);
        }
}

/* ^(oom_kill|pgpg|pswp|pg.*fault).* */
static bool vmstat_is_shown(Str name)
{
        return str_has_prefix(name, STR("oom_kill")) || str_has_prefix(name, STR("pgpg")) ||
               str_has_prefix(name, STR("pswp")) ||
               (str_has_prefix(name, STR("pg")) && str_contains(str_skip(name, 2), STR("fault")));
}

void host_vmstat(struct buf *out, Str text)
{
        Str line, name, value;
        double v;
        char part[64], metric[128], help[128];
        while (str_next(&text, '\n', &line)) {
                if (!host_field(&line, &name) || !vmstat_is_shown(name) || !host_field(&line, &value) ||
                    !host_number(value, &v) || !metric_part(name, part, sizeof part))
                        continue;
                snprintf(metric, sizeof metric, "node_vmstat_%s", part);
                snprintf(help, sizeof help, "/proc/vmstat information field %s.", part);
                host_family(out, metric, "untyped", help);
                host_sample(out, metric, NULL, (Str){NULL, 0}, v);
        }
}

void host_filefd(struct buf *out, Str text)
{
        Str allocated, unused, maximum;
        double a, m;
        text = str_trim(text);
        if (!host_field(&text, &allocated) || !host_field(&text, &unused) || !host_field(&text, &maximum) ||
            !host_number(allocated, &a) || !host_number(maximum, &m))
                return;
        host_family(out, "node_filefd_allocated", "gauge", "File descriptor statistics: allocated.");
        host_sample(out, "node_filefd_allocated", NULL, (Str){NULL, 0}, a);
        host_family(out, "node_filefd_maximum", "gauge", "File descriptor statistics: maximum.");
        host_sample(out, "node_filefd_maximum", NULL, (Str){NULL, 0}, m);
}

/* ---- pressure ---- */

/* total= of the line that begins with kind, in seconds. */
static bool pressure_total(Str text, Str kind, double *ret)
{
        Str line, f;
        while (str_next(&text, '\n', &line)) {
                if (!host_field(&line, &f) || !str_eq(f, kind))
                        continue;
                while (host_field(&line, &f))
                        if (str_has_prefix(f, STR("total=")) && host_number(str_skip(f, 6), ret)) {
                                *ret = *ret / 1000 / 1000;
                                return true;
                        }
        }
        return false;
}

static void put_pressure(struct buf *out, Str text, Str kind, const char *metric, const char *help)
{
        double v;
        if (!pressure_total(text, kind, &v))
                return;
        host_family(out, metric, "counter", help);
        host_sample(out, metric, NULL, (Str){NULL, 0}, v);
}

void host_pressure(struct buf *out, Str cpu, Str io, Str memory)
{
        put_pressure(out, cpu, STR("some"), "node_pressure_cpu_waiting_seconds_total",
                     "Total time in seconds that processes have waited for CPU time");
        put_pressure(out, io, STR("full"), "node_pressure_io_stalled_seconds_total",
                     "Total time in seconds no process could make progress due to IO congestion");
        put_pressure(out, io, STR("some"), "node_pressure_io_waiting_seconds_total",
                     "Total time in seconds that processes have waited due to IO congestion");
        put_pressure(out, memory, STR("full"), "node_pressure_memory_stalled_seconds_total",
                     "Total time in seconds no process could make progress due to memory congestion");
        put_pressure(out, memory, STR("some"), "node_pressure_memory_waiting_seconds_total",
                     "Total time in seconds that processes have waited for memory");
}
