/* SPDX-License-Identifier: Apache-2.0 */
/* host.h — the host's own metrics, under the names of Prometheus' node exporter, from /proc, statfs(2) and uname(2).
 *
 *   struct buf b = BUF_INIT(16 << 20);
 *   host_collect(&b);                       text exposition 0.0.4
 *
 * What the kernel does not offer is left out; node_scrape_collector_success says so. Any thread; blocks on the file
 * systems that it asks about.  Upstream: prometheus/node_exporter */
#ifndef COLLECT_HOST_HOST_H
#define COLLECT_HOST_HOST_H

#include "base/buf.h"

void host_collect(struct buf *out);

#endif
