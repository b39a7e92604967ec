/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of blocks: which ones there are, how one goes, and a repair from old times. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tsdb/block/block.h"
#include "tsdb/index/format.h"

static bool is_ulid(Str name)
{
        Ulid u;
        return ulid_parse(name, &u);
}

bool block_is_tmp_dir(Str name)
{
        static const char *const suffixes[] = {BLOCK_TMP_CREATION, BLOCK_TMP_DELETION, BLOCK_TMP_LEGACY};
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
                if (str_has_suffix(name, str_from(suffixes[i])) &&
                    is_ulid(str_trim_suffix(name, str_from(suffixes[i]))))
                        return true;
        return false;
}

struct error *block_remove_dir(const char *dir)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(&b, "%s" BLOCK_TMP_DELETION, dir);
        char *tmp = buf_take(&b);
        struct error *e = dir_remove_all(tmp);
        if (!e && rename(dir, tmp) < 0)
                e = error_errno(errno, "rename %s", dir);
        if (!e)
                e = dir_remove_all(tmp);
        free(tmp);
        return e;
}

struct error *block_list(const char *dir, PathVec *ret)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                if (!is_ulid(str_from(names.p[i])))
                        continue;
                struct stat st;
                char *path = path_join(dir, names.p[i]);
                if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                        vec_push(ret, mem_strdup(names.p[i]));
                free(path);
        }
        path_vec_done(&names);
        return e;
}

struct error *block_repair_version(const char *dir, bool *ret_repaired)
{
        struct block_meta m;
        int64_t version;
        struct error *e = block_meta_read_any(dir, &m, &version);
        if (e)
                return e;
        if (version == 1) {
                block_meta_done(&m);
                *ret_repaired = false;
                return NULL;
        }
        char *path = path_join(dir, "index"), *p = NULL;
        size_t n;
        e = file_read(path, BUF_NO_LIMIT, &p, &n);
        if (!e && n < INDEX_HEADER_BYTES)
                e = error_new(ERROR_CORRUPT, "%s: %zu bytes are too few for an index", path, n);
        if (!e) {
                p[4] = INDEX_V2;
                e = file_replace(path, (Str){p, n});
        }
        if (!e)
                e = block_meta_write(dir, &m);
        if (!e)
                *ret_repaired = true;
        free(p);
        free(path);
        block_meta_done(&m);
        return e;
}
