/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_query_flags.h — the flags of thanos query, and what of them is refused. */
#ifndef APP_THANOS_QUERY_FLAGS_H
#define APP_THANOS_QUERY_FLAGS_H

#include "app/flags.h"

extern const struct flag query_flag_rows[];
extern const size_t query_flag_n;
struct error *query_flags_check(const struct flags *f) MUST_CHECK;

#endif
