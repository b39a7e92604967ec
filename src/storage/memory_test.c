/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/memory.h"

#include "base/test.h"
#include "storage/acceptance.h"

static struct storage *open_memory(UNUSED void *ctx)
{
        return memory_storage_new();
}

static void close_memory(UNUSED void *ctx, struct storage *s)
{
        memory_storage_free(s);
}

TEST(memory, does_what_every_storage_must_do)
{
        storage_acceptance(&(struct storage_maker){.open = open_memory, .close = close_memory});
}
