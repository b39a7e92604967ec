/* SPDX-License-Identifier: Apache-2.0 */
/* external_url.h — the URL under which users reach us, and the prefix of our routes.  Upstream: cmd/prometheus/main.go, computeExternalURL */
#ifndef APP_EXTERNAL_URL_H
#define APP_EXTERNAL_URL_H

#include "base/error.h"

/* url "": http://<host name>:<port of listen_address>. The result (heap) has no final slash. */
struct error *external_url_compute(const char *url, const char *listen_address, char **ret) MUST_CHECK;
/* "/" or "/x": the flag's, or the path of the external URL. Heap. */
char *route_prefix_of(const char *flag, const char *external_url);

#endif
