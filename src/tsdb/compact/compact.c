/* SPDX-License-Identifier: Apache-2.0 */
/* Merging blocks. Memory is that of one series over all blocks, plus what the index writer keeps. */
#include "tsdb/compact/compact.h"

#include "storage/merge.h"

#define SCRATCH_BYTES ((size_t)2 << 30)

static struct error *merge(const char *dir, struct block *const *blocks, size_t n, const struct block_write_opts *opts,
                           struct block_meta *meta)
{
        struct arena arena, *scratch = mem_alloc((n + 1) * sizeof *scratch);
        struct series_set **sets = mem_zalloc(n * sizeof(struct series_set *)), *all;
        arena_init(&arena, SIZE_MAX);
        for (size_t i = 0; i <= n; i++)
                arena_init(&scratch[i], SCRATCH_BYTES);
        struct error *e = NULL;
        for (size_t i = 0; !e && i < n; i++)
                e = block_scan(blocks[i], &arena, &scratch[i], &sets[i]);
        if (!e)
                e = merge_series_sets(&arena, &scratch[n], sets, n, &all);
        if (!e)
                e = block_write(dir, meta, opts, all);
        for (size_t i = 0; i <= n; i++)
                arena_done(&scratch[i]);
        free(scratch);
        free(sets);
        arena_done(&arena);
        return e;
}

/* After the merge: what its outcome means for the sources. */
static struct error *settle(struct error *take_e, struct block *const *blocks, size_t n, const struct block_meta *meta,
                            Ulid *ret_ulid, bool *ret_written)
{
        struct error *e = take_e;
        if (e) {
                /* A mark keeps a block from every later compaction. Upstream sets it for a full disk too; that passes. */
                bool transient = error_is(e, ERROR_CANCELLED) || error_is(e, ERROR_IO);
                for (size_t i = 0; i < n && !transient; i++) {
                        struct error *f = block_set_compaction_failed(blocks[i]);
                        if (f)
                                e = error_join(e, error_wrap(f, "setting compaction failed for block: %s",
                                                             block_get_dir(blocks[i])));
                }
                return e;
        }
        *ret_ulid = meta->ulid;
        *ret_written = meta->stats.samples > 0;
        for (size_t i = 0; i < n && !*ret_written; i++)
                e = error_join(e, block_set_deletable(blocks[i]));
        return e;
}

struct error *compact_blocks(const char *dir, struct block *const *blocks, size_t n,
                             const struct block_write_opts *opts, Ulid *ret_ulid, bool *ret_written)
{
        const struct block_meta **metas = mem_alloc(n * sizeof *metas);
        for (size_t i = 0; i < n; i++)
                metas[i] = block_get_meta(blocks[i]);
        struct block_meta meta;
        block_meta_merge(ulid_new(time_now_ms()), metas, n, &meta);
        struct error *e = settle(merge(dir, blocks, n, opts, &meta), blocks, n, &meta, ret_ulid, ret_written);
        block_meta_done(&meta);
        free(metas);
        return e;
}

struct error *compact_tombstones(const char *dir, struct block *b, const struct block_write_opts *opts, Ulid *ret_ulid,
                                 bool *ret_written)
{
        const struct block_meta *old = block_get_meta(b);
        struct block_meta meta = {.ulid = ulid_new(time_now_ms()),
                                  .mint_ms = old->mint_ms,
                                  .maxt_ms = old->maxt_ms,
                                  .level = 1,
                                  .hints = old->hints};
        vec_push(&meta.sources, meta.ulid);
        vec_push(&meta.parents, (struct block_desc){old->ulid, old->mint_ms, old->maxt_ms});
        struct error *e = settle(merge(dir, &b, 1, opts, &meta), &b, 1, &meta, ret_ulid, ret_written);
        block_meta_done(&meta);
        return e;
}
