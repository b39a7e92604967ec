/* SPDX-License-Identifier: Apache-2.0 */
/* open.h — an open block from inside: for the files of this folder. */
#ifndef TSDB_BLOCK_OPEN_H
#define TSDB_BLOCK_OPEN_H

#include "base/thread.h"
#include "tsdb/block/block.h"
#include "tsdb/block/chunk_files.h"
#include "tsdb/block/tombstones.h"
#include "tsdb/index/index.h"

/* Deletions never change in place: a new list takes the place of the old one, which lives as long as its queriers. */
struct stones {
        int refs;                       /* atomic */
        struct tombstones t;
};
struct block {
        struct storage storage;
        int refs;                       /* atomic */
        char *dir;
        struct block_meta meta;
        struct index_reader *index;
        struct chunk_files *chunks;
        uint64_t bytes;
        struct mutex mu;                /* guards: */
        struct stones *stones;
};

struct stones *block_stones_ref(struct block *b);
void block_stones_unref(struct stones *s);

#endif
