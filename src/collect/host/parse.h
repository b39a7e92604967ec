/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h — private to host/: the kernel's texts into exposition, a function a file. Lines that are not understood are
 * left out. Pure. */
#ifndef COLLECT_HOST_PARSE_H
#define COLLECT_HOST_PARSE_H

#include "base/buf.h"

void host_family(struct buf *out, const char *name, const char *type, const char *help);
/* label_value goes between quotes, escaped; label NULL: none. */
void host_sample(struct buf *out, const char *name, const char *label, Str label_value, double v);
void host_put_label_value(struct buf *out, Str v);
/* The next field between blanks; false: none left. */
bool host_field(Str *rest, Str *ret);
bool host_number(Str s, double *ret);
/* Letters, digits and _: what may be part of a metric's name. */
bool host_is_word(Str s);

void host_stat(struct buf *out, Str proc_stat); /* /proc/stat: CPUs, interrupts, forks, boot time, processes */
void host_loadavg(struct buf *out, Str proc_loadavg);
void host_meminfo(struct buf *out, Str proc_meminfo);
void host_vmstat(struct buf *out, Str proc_vmstat);
void host_filefd(struct buf *out, Str file_nr); /* /proc/sys/fs/file-nr */
void host_pressure(struct buf *out, Str cpu, Str io, Str memory);
void host_diskstats(struct buf *out, Str proc_diskstats);
void host_netdev(struct buf *out, Str proc_net_dev);
void host_netstat(struct buf *out, Str netstat, Str snmp, Str snmp6);
void host_sockstat(struct buf *out, Str sockstat, Str sockstat6, double page_bytes);

/* Mounts that the exporter shows, one call each; texts unescaped, valid during it. */
struct host_mount {
        Str device, point, fs_type;
        bool read_only;
};
void host_mounts(Str proc_mounts, void (*fn)(void *ctx, const struct host_mount *m), void *ctx);

#endif
