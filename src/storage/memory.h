/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h — the simplest storage that implements the whole waist: columns per series in memory, no files. For tests, rule unit tests and imports.
 *
 *   struct storage *st = memory_storage_new();
 *   e = memory_storage_add(st, labels, t, v);       or through an appender, as into any storage
 *   memory_storage_free(st);
 *
 * In-order appends only, per series, judged as the head judges them. Threads: any; queries see the state of their select. */
#ifndef STORAGE_MEMORY_H
#define STORAGE_MEMORY_H

#include "storage/exemplars.h"
#include "storage/storage.h"

struct storage *memory_storage_new(void);
void memory_storage_free(struct storage *s);            /* NULL is fine */
/* One sample, visible at once. Errors are the sentinels of storage.h. */
struct error *memory_storage_add(struct storage *s, Labels labels, TimeMs t, double v) MUST_CHECK;
size_t memory_storage_series(const struct storage *s);
/* Of all its series; borrowed. */
struct exemplars *memory_storage_exemplars(struct storage *s);

#endif
