/* SPDX-License-Identifier: Apache-2.0 */
/* net.c — network devices, protocol counters, sockets. */
#include <stdio.h>

#include "base/vec.h"
#include "collect/host/parse.h"

/* ---- /proc/net/dev ---- */

enum { NETDEV_FIELDS = 16 };
static const char *const netdev_columns[NETDEV_FIELDS] = {
        "receive_bytes",  "receive_packets",  "receive_errs",       "receive_drop",
        "receive_fifo",   "receive_frame",    "receive_compressed", "receive_multicast",
        "transmit_bytes", "transmit_packets", "transmit_errs",      "transmit_drop",
        "transmit_fifo",  "transmit_colls",   "transmit_carrier",   "transmit_compressed",
};

struct netdev {
        Str name;
        double v[NETDEV_FIELDS];
};

static bool netdev_parse(Str line, struct netdev *ret)
{
        ptrdiff_t colon = str_rfind(line, ':');
        if (colon < 0)
                return false;
        ret->name = str_trim(str_sub(line, 0, (size_t)colon));
        Str rest = str_skip(line, (size_t)colon + 1), f;
        for (int i = 0; i < NETDEV_FIELDS; i++)
                if (!host_field(&rest, &f) || !host_number(f, &ret->v[i]))
                        return false;
        return ret->name.n > 0;
}

void host_netdev(struct buf *out, Str text)
{
        VEC(struct netdev) devices = VEC_INIT;
        Str line;
        while (str_next(&text, '\n', &line)) {
                struct netdev d;
                if (netdev_parse(line, &d))
                        vec_push(&devices, d);
        }
        for (int c = 0; c < NETDEV_FIELDS && devices.n > 0; c++) {
                char metric[64], help[96];
                snprintf(metric, sizeof metric, "node_network_%s_total", netdev_columns[c]);
                snprintf(help, sizeof help, "Network device statistic %s.", netdev_columns[c]);
                host_family(out, metric, "counter", help);
                for (size_t i = 0; i < devices.n; i++)
                        host_sample(out, metric, "device", devices.p[i].name, devices.p[i].v[c]);
        }
        vec_done(&devices);
}

/* ---- protocol counters ---- */

static bool in(Str s, const char *const *v)
{
        for (; *v; v++)
                if (str_eq(s, str_from(*v)))
                        return true;
        return false;
}

/* The exporter's default choice of fields. */
static bool netstat_is_shown(Str protocol, Str field)
{
        static const char *const tcp[] = {"ActiveOpens",  "InSegs",      "OutSegs",   "OutRsts",
                                          "PassiveOpens", "RetransSegs", "CurrEstab", NULL};
        static const char *const udp[] = {"InDatagrams",  "OutDatagrams", "NoPorts",
                                          "RcvbufErrors", "SndbufErrors", NULL};
        static const char *const octets[] = {"InOctets", "OutOctets", NULL}, *const msgs[] = {"InMsgs", "OutMsgs",
                                                                                              NULL};
        static const char *const ext[] = {"TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop", NULL};
        if (str_eq(field, STR("InErrors")) || str_eq(field, STR("InErrs")))
                return true;
        if (str_eq(protocol, STR("Ip")))
                return str_eq(field, STR("Forwarding"));
        if (str_eq(protocol, STR("Ip6")) || str_eq(protocol, STR("IpExt")))
                return in(field, octets);
        if (str_eq(protocol, STR("Icmp")) || str_eq(protocol, STR("Icmp6")))
                return in(field, msgs);
        if (str_eq(protocol, STR("Tcp")))
                return in(field, tcp);
        if (str_eq(protocol, STR("TcpExt")))
                return str_has_prefix(field, STR("Listen")) || str_has_prefix(field, STR("Syncookies")) ||
                       in(field, ext);
        if (str_eq(protocol, STR("Udp")) || str_eq(protocol, STR("Udp6")))
                return in(field, udp);
        return false;
}

static void put_netstat(struct buf *out, Str protocol, Str field, Str value)
{
        double v;
        if (protocol.n > 32 || field.n > 64 || !host_is_word(protocol) || !host_is_word(field) ||
            !netstat_is_shown(protocol, field) || !host_number(value, &v))
                return;
        char metric[160], help[160];
        snprintf(metric, sizeof metric, "node_netstat_" STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(field));
        snprintf(help, sizeof help, "Statistic " STR_FMT STR_FMT ".", STR_ARG(protocol), STR_ARG(field));
        host_family(out, metric, "untyped", help);
        host_sample(out, metric, NULL, (Str){NULL, 0}, v);
}

/* Pairs of lines: names, then values, both after "Protocol:". */
static void put_paired(struct buf *out, Str text)
{
        Str names, values, protocol, again, name, value;
        while (str_next(&text, '\n', &names) && str_next(&text, '\n', &values)) {
                if (!str_cut(names, ':', &protocol, &names) || !str_cut(values, ':', &again, &values) ||
                    !str_eq(protocol, again))
                        continue;
                while (host_field(&names, &name) && host_field(&values, &value))
                        put_netstat(out, protocol, name, value);
        }
}

void host_netstat(struct buf *out, Str netstat, Str snmp, Str snmp6)
{
        put_paired(out, netstat);
        put_paired(out, snmp);
        Str line, name, value;
        while (str_next(&snmp6, '\n', &line)) {
                if (!host_field(&line, &name) || !host_field(&line, &value))
                        continue;
                ptrdiff_t six = str_find(name, '6');
                if (six >= 0)
                        put_netstat(out, str_sub(name, 0, (size_t)six + 1), str_skip(name, (size_t)six + 1), value);
        }
}

/* ---- sockets ---- */

static void put_sockets(struct buf *out, Str protocol, Str field, double v)
{
        char metric[160], help[160];
        snprintf(metric, sizeof metric, "node_sockstat_" STR_FMT "_" STR_FMT, STR_ARG(protocol), STR_ARG(field));
        if (str_eq(protocol, STR("sockets")))
                snprintf(help, sizeof help, "Number of IPv4 sockets in use.");
        else
                snprintf(help, sizeof help, "Number of " STR_FMT " sockets in state " STR_FMT ".", STR_ARG(protocol),
                         STR_ARG(field));
        host_family(out, metric, "gauge", help);
        host_sample(out, metric, NULL, (Str){NULL, 0}, v);
}

static void put_sockstat(struct buf *out, Str text, double page_bytes)
{
        Str line, protocol, field, value;
        double v;
        while (str_next(&text, '\n', &line)) {
                if (!str_cut(line, ':', &protocol, &line) || protocol.n > 32 || !host_is_word(protocol))
                        continue;
                while (host_field(&line, &field) && host_field(&line, &value)) {
                        if (field.n > 32 || !host_is_word(field) || !host_number(value, &v))
                                continue;
                        put_sockets(out, protocol, field, v);
                        if (str_eq(field, STR("mem")))
                                put_sockets(out, protocol, STR("mem_bytes"), v * page_bytes);
                }
        }
}

void host_sockstat(struct buf *out, Str sockstat, Str sockstat6, double page_bytes)
{
        put_sockstat(out, sockstat, page_bytes);
        put_sockstat(out, sockstat6, page_bytes);
}
