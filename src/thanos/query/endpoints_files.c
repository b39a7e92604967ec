/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/endpoints_files.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "collect/discovery/discovery.h"

enum { FILE_MAX_BYTES = 16 << 20 };

void endpoint_files_init(struct endpoint_files *f, const char *const *patterns, size_t n, int64_t interval_ms)
{
        *f = (struct endpoint_files){.interval_ms = interval_ms, .read_at_ms = INT64_MIN / 2};
        f->patterns = mem_zalloc((n + 1) * sizeof *f->patterns);
        for (size_t i = 0; i < n; i++)
                f->patterns[f->n++] = mem_strdup(patterns[i]);
}

static void file_clear(struct endpoint_file *x)
{
        for (size_t i = 0; i < x->addresses.n; i++)
                free(x->addresses.p[i]);
        vec_clear(&x->addresses);
}

static void file_free(struct endpoint_file *x)
{
        file_clear(x);
        vec_done(&x->addresses);
        free(x->path);
        free(x);
}

void endpoint_files_done(struct endpoint_files *f)
{
        for (size_t i = 0; i < f->n; i++)
                free(f->patterns[i]);
        free(f->patterns);
        for (size_t i = 0; i < f->files.n; i++)
                file_free(f->files.p[i]);
        vec_done(&f->files);
        vec_done(&f->addresses);
}

static struct error *file_read_addresses(struct endpoint_file *x)
{
        char *text;
        size_t n;
        GroupVec groups = VEC_INIT;
        struct error *e = file_read(x->path, FILE_MAX_BYTES, &text, &n);
        if (e)
                return e;
        e = file_sd_parse(str_from(x->path), (Str){text, n}, &groups);
        if (!e) {
                file_clear(x);
                for (size_t i = 0; i < groups.n; i++)
                        for (size_t k = 0; k < groups.p[i]->n_targets; k++)
                                vec_push(&x->addresses, str_dup(labels_get(groups.p[i]->targets[k], STR("__address__"))));
        }
        for (size_t i = 0; i < groups.n; i++)
                target_group_unref(groups.p[i]);
        vec_done(&groups);
        free(text);
        return e;
}

/* Whether its addresses may be others now. */
static bool look(struct endpoint_files *f, const char *path, bool anew)
{
        struct endpoint_file *x = NULL;
        struct stat st;
        for (size_t i = 0; i < f->files.n && !x; i++)
                if (strcmp(f->files.p[i]->path, path) == 0)
                        x = f->files.p[i];
        if (stat(path, &st) != 0)
                return false;
        if (!x) {
                x = mem_new(struct endpoint_file);
                x->path = mem_strdup(path);
                x->bytes = -1;
                vec_push(&f->files, x);
        }
        x->is_there = true;
        int64_t changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        if (!anew && changed_ns == x->changed_ns && st.st_size == x->bytes)
                return false;
        x->changed_ns = changed_ns;
        x->bytes = st.st_size;
        struct error *e = file_read_addresses(x);
        if (e)
                log_warn("", "reading addresses of stores", KV_S("file", path), KV_E(e));
        error_free(e);
        return true;
}

static bool drop_gone(struct endpoint_files *f)
{
        size_t kept = 0, n = f->files.n;
        for (size_t i = 0; i < n; i++) {
                if (f->files.p[i]->is_there)
                        f->files.p[kept++] = f->files.p[i];
                else
                        file_free(f->files.p[i]);
        }
        f->files.n = kept;
        return kept < n;
}

static void gather(struct endpoint_files *f)
{
        vec_clear(&f->addresses);
        for (size_t i = 0; i < f->files.n; i++)
                for (size_t k = 0; k < f->files.p[i]->addresses.n; k++) {
                        char *a = f->files.p[i]->addresses.p[k];
                        bool known = false;
                        for (size_t j = 0; j < f->addresses.n && !known; j++)
                                known = strcmp(f->addresses.p[j], a) == 0;
                        if (!known)
                                vec_push(&f->addresses, a);
                }
}

bool endpoint_files_read(struct endpoint_files *f)
{
        if (!f->n)
                return false;
        bool anew = time_mono_ms() - f->read_at_ms >= f->interval_ms, changed = false;
        if (anew)
                f->read_at_ms = time_mono_ms();
        for (size_t i = 0; i < f->files.n; i++)
                f->files.p[i]->is_there = false;
        for (size_t i = 0; i < f->n; i++) {
                glob_t g;
                if (glob(f->patterns[i], 0, NULL, &g) == 0)
                        for (size_t k = 0; k < g.gl_pathc; k++)
                                changed |= look(f, g.gl_pathv[k], anew);
                globfree(&g);
        }
        changed |= drop_gone(f);
        if (changed)
                gather(f);
        return changed;
}
