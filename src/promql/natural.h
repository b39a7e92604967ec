/* SPDX-License-Identifier: Apache-2.0 */
/* natural.h — the order of sort_by_label: runs of digits compare as numbers.  Pure.  Upstream: github.com/facette/natsort */
#ifndef PROMQL_NATURAL_H
#define PROMQL_NATURAL_H

#include "base/str.h"

bool natural_less(Str a, Str b);

#endif
