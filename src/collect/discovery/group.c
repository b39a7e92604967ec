/* SPDX-License-Identifier: Apache-2.0 */
/* group.c — target groups, and comparing and checking what configuration says of discovery. */
#include "collect/discovery/discovery_impl.h"

#include "base/alloc.h"

enum { GROUP_BYTES_MAX = 256 << 20 };

const struct file_sd_conf file_sd_conf_defaults = {.refresh_ms = 5 * 60 * 1000};
const struct dns_sd_conf dns_sd_conf_defaults = {.type = DNS_SRV, .refresh_ms = 30 * 1000};

struct target_group *target_group_new(Str source)
{
        struct target_group *g = mem_new(struct target_group);
        arena_init(&g->arena, GROUP_BYTES_MAX);
        g->source = arena_str(&g->arena, source);
        g->refs = 1;
        return g;
}

struct target_group *target_group_ref(const struct target_group *g)
{
        struct target_group *mine = (struct target_group *)(uintptr_t)g; /* only the count is not constant */
        __atomic_add_fetch(&mine->refs, 1, __ATOMIC_SEQ_CST);
        return mine;
}

void target_group_unref(const struct target_group *g)
{
        if (!g)
                return;
        struct target_group *mine = (struct target_group *)(uintptr_t)g;
        if (__atomic_sub_fetch(&mine->refs, 1, __ATOMIC_SEQ_CST) == 0) {
                arena_done(&mine->arena);
                free(mine);
        }
}

static bool strs_eq(const Str *a, size_t n_a, const Str *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        for (size_t i = 0; i < n_a; i++)
                if (!str_eq(a[i], b[i]))
                        return false;
        return true;
}

bool static_sd_confs_eq(const struct static_sd_conf *a, size_t n_a, const struct static_sd_conf *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        for (size_t i = 0; i < n_a; i++)
                if (!strs_eq(a[i].targets, a[i].n_targets, b[i].targets, b[i].n_targets) ||
                    !labels_eq(a[i].labels, b[i].labels))
                        return false;
        return true;
}

bool file_sd_conf_eq(const struct file_sd_conf *a, const struct file_sd_conf *b)
{
        return strs_eq(a->files, a->n_files, b->files, b->n_files) && a->refresh_ms == b->refresh_ms;
}

bool dns_sd_conf_eq(const struct dns_sd_conf *a, const struct dns_sd_conf *b)
{
        return strs_eq(a->names, a->n_names, b->names, b->n_names) && a->type == b->type && a->port == b->port &&
               a->refresh_ms == b->refresh_ms;
}

bool discovery_conf_eq(const struct discovery_conf *a, const struct discovery_conf *b)
{
        if (!static_sd_confs_eq(a->statics, a->n_statics, b->statics, b->n_statics) || a->n_files != b->n_files ||
            a->n_dns != b->n_dns)
                return false;
        for (size_t i = 0; i < a->n_files; i++)
                if (!file_sd_conf_eq(&a->files[i], &b->files[i]))
                        return false;
        for (size_t i = 0; i < a->n_dns; i++)
                if (!dns_sd_conf_eq(&a->dns[i], &b->dns[i]))
                        return false;
        return true;
}

bool file_sd_path_is_valid(Str path)
{
        static const Str extensions[] = {STR_INIT(".json"), STR_INIT(".yml"), STR_INIT(".yaml"),
                                         STR_INIT(".JSON"), STR_INIT(".YML"), STR_INIT(".YAML")};
        ptrdiff_t star = str_find(path, '*');
        if (star >= 0 && str_find(str_skip(path, (size_t)star), '/') >= 0)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
                if (str_has_suffix(path, extensions[i]))
                        return true;
        return false;
}
