/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints_files.h — addresses from file_sd files.
 *
 *   endpoint_files_init(&f, patterns, n, 300000);
 *   if (endpoint_files_read(&f)) use(f.addresses);         something changed
 *
 * A file that cannot be read or parsed keeps what it said before, as long as it exists. One thread.  Upstream: cmd/thanos/query.go, pkg/discovery/cache */
#ifndef THANOS_QUERY_ENDPOINTS_FILES_H
#define THANOS_QUERY_ENDPOINTS_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

struct endpoint_file {
        char *path;
        int64_t changed_ns, bytes; /* when it was read */
        VEC(char *) addresses;
        bool is_there;
};
struct endpoint_files {
        char **patterns;
        size_t n;
        int64_t interval_ms, read_at_ms;
        VEC(struct endpoint_file *) files;
        VEC(char *) addresses; /* of all, each once; borrowed from the files */
};
void endpoint_files_init(struct endpoint_files *f, const char *const *patterns, size_t n, int64_t interval_ms);
void endpoint_files_done(struct endpoint_files *f);
bool endpoint_files_read(struct endpoint_files *f);

#endif
