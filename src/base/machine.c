/* SPDX-License-Identifier: Apache-2.0 */
#include "base/machine.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

size_t machine_memory_bytes(void)
{
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        size_t bytes = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 32;
        char *text;
        size_t n;
        struct error *e = file_read("/sys/fs/cgroup/memory.max", 64, &text, &n);
        if (e) {
                error_ignore(e, "no control group, or version 1");
                return bytes;
        }
        uint64_t max;
        if (str_to_u64(str_trim((Str){text, n}), &max) && max > 0 && max < bytes)
                bytes = (size_t)max;
        free(text);
        return bytes;
}
