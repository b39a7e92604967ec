/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus_flags.h — the flag table of the prometheus role.  Upstream: cmd/prometheus/main.go */
#ifndef APP_PROMETHEUS_FLAGS_H
#define APP_PROMETHEUS_FLAGS_H

#include "app/flags.h"

const struct flag *prometheus_flags(size_t *ret_n);     /* constant */

#endif
