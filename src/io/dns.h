/* SPDX-License-Identifier: Apache-2.0 */
/* dns.h — names by the system's resolv.conf (c-ares): A, AAAA, SRV, MX, NS records. Blocking; time-out and search domains as the system says.
 *
 *   VEC of struct dns_record; e = dns_lookup(STR("_http._tcp.x"), DNS_SRV, 5000, &arena, &recs, &n);
 *
 * Truncated answers are asked again over TCP. No such name is ERROR_NOT_FOUND. $COEUS_RESOLV_CONF names another resolv.conf (tests).
 * Threads: any; one channel a call. Do not call on a loop. */
#ifndef IO_DNS_H
#define IO_DNS_H

#include "base/arena.h"
#include "base/error.h"

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV, DNS_MX, DNS_NS };
struct dns_record {
        Str name;                       /* address text, or target name without final dot */
        uint16_t port, priority, weight;/* SRV; MX: priority */
        uint32_t ttl_s;
};
struct error *dns_lookup(Str name, enum dns_type type, int64_t timeout_ms, struct arena *a, struct dns_record **ret, size_t *ret_n) MUST_CHECK;

#endif
