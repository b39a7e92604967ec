/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints_dns.h — configured addresses and what they resolve to.
 *
 *   e = endpoint_names_init(&names, addresses, n);  endpoint_names_resolve(&names, 30000, 5000);
 *
 * One thread; the counters from any.  Upstream: pkg/discovery/dns */
#ifndef THANOS_QUERY_ENDPOINTS_DNS_H
#define THANOS_QUERY_ENDPOINTS_DNS_H

#include <stdatomic.h>

#include "base/vec.h"
#include "thanos/query/endpoints.h"

enum endpoint_name_kind { ENDPOINT_STATIC, ENDPOINT_DNS, ENDPOINT_SRV, ENDPOINT_SRV_NO_A };
struct endpoint_name {
        enum endpoint_name_kind kind;
        char *address;  /* as configured */
        Str host, port; /* in address; port empty: that of the SRV record */
        bool strict;
        VEC(char *) found; /* host:port; of the last look-up that worked */
};
struct endpoint_names {
        struct endpoint_name *v;
        size_t n;
        int64_t resolved_at_ms; /* monotonic */
        bool resolved;
        _Atomic uint64_t lookups, failures;
};
struct error *endpoint_names_init(struct endpoint_names *s, const struct endpoint_address *v, size_t n) MUST_CHECK;
void endpoint_names_done(struct endpoint_names *s);
/* Other addresses, none strict: what is known of those that stay is kept. Bad ones are told in the log and left out. */
void endpoint_names_replace(struct endpoint_names *s, char *const *v, size_t n);
/* Looks up what is no plain address, when the last time is interval_ms ago. Blocks. */
void endpoint_names_resolve(struct endpoint_names *s, int64_t interval_ms, int64_t timeout_ms);

#endif
