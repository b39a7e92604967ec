/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.h — condenses old segments into wal/checkpoint.N, which stands for all segments up to N.
 *
 * Kept: series for which keep() is true, samples and exemplars from mint on, tombstones that reach beyond it, metadata
 * of kept series; records with native histograms are kept byte for byte. Threads: one at a time per log.  Upstream:
 * tsdb/wlog/checkpoint.go. */
#ifndef TSDB_WAL_CHECKPOINT_H
#define TSDB_WAL_CHECKPOINT_H

#include "base/clock.h"
#include "tsdb/wal/wal.h"

struct checkpoint_opts {
        bool (*keep)(void *ctx, uint64_t series_ref);
        void *ctx;
        TimeMs mint_ms;
        enum wal_compression compression;
        uint32_t segment_bytes;  /* 0: as wal_opts */
        const struct disk *disk; /* NULL: disk_system */
};
/* Reads the last checkpoint and segments up to `to`; written as checkpoint.N.tmp, synced, renamed. The sources stay. */
struct error *checkpoint_create(const char *wal_dir, int to, const struct checkpoint_opts *opts) MUST_CHECK;
/* ERROR_NOT_FOUND: there is none. *ret_dir is heap. */
struct error *checkpoint_last(const char *wal_dir, char **ret_dir, int *ret_index) MUST_CHECK;
struct error *checkpoint_delete_below(const char *wal_dir, int index) MUST_CHECK;
struct error *checkpoint_delete_temp(const char *wal_dir) MUST_CHECK;

#endif
