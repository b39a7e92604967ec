/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <glob.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "codec/base64.h"
#include "config/build.h"
#include "config/file_conf.h"

enum { CONFIG_FILE_MAX_BYTES = 64 << 20, CONFIG_MEMORY_MAX_BYTES = 1 << 30 };

struct config {
        _Atomic int refs;
        struct arena arena;
        struct file_conf file;
        VEC(struct file_scrape *) jobs;         /* of the file, then of those that it includes */
        struct scrape_conf *scrapes;
        size_t n_scrapes;
        struct built_alerting alerting;
        Labels external_labels;
        uint64_t checksum;
};

/* $VAR and ${VAR} as Go's os.Expand takes them; $$ is a dollar. */
static Str env_expand(struct arena *a, Str s)
{
        if (str_find(s, '$') < 0)
                return s;
        struct buf b = BUF_INIT(1 << 20);
        for (size_t i = 0; i < s.n;) {
                if (s.p[i] != '$' || i + 1 == s.n) {
                        buf_putc(&b, s.p[i++]);
                        continue;
                }
                size_t from = i + 1, to = from, next;
                if (s.p[from] == '{') {
                        ptrdiff_t close = str_find(str_skip(s, from), '}');
                        if (close < 0) {                /* "${" without end: Go eats it */
                                i = from + 1;
                                continue;
                        }
                        from++;
                        to = from - 1 + (size_t)close;
                        next = to + 1;
                } else if (s.p[from] == '$') {
                        to = next = from + 1;
                } else {
                        while (to < s.n && (s.p[to] == '_' || (s.p[to] >= '0' && s.p[to] <= '9') || (s.p[to] >= 'A' && s.p[to] <= 'Z') || (s.p[to] >= 'a' && s.p[to] <= 'z')))
                                to++;
                        next = to;
                        if (to == from) {               /* a dollar before what is no name stays */
                                buf_putc(&b, '$');
                                i = from;
                                continue;
                        }
                }
                Str name = str_sub(s, from, to);
                if (str_eq(name, STR("$"))) {
                        buf_putc(&b, '$');
                } else {
                        char *cname = str_dup(name);
                        const char *v = getenv(cname);
                        if (!v || !*v)
                                log_warn("", "Empty environment variable", KV_S("name", cname));
                        buf_puts(&b, v ? v : "");
                        free(cname);
                }
                i = next;
        }
        Str out = arena_str(a, buf_str(&b));
        buf_done(&b);
        return out;
}

/* Expands *written in place. An empty value stays in the printed file but is no label. */
static Labels external_labels_make(struct arena *a, Labels *written)
{
        Label *all = arena_array(a, Label, written->n + 1), *v = arena_array(a, Label, written->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < written->n; i++) {
                all[i] = (Label){written->v[i].name, env_expand(a, written->v[i].value)};
                if (all[i].value.n)
                        v[n++] = all[i];
        }
        *written = (Labels){all, written->n};
        return (Labels){v, n};
}

/* Scalars tagged !!binary hold base64. Depth is bounded by the parser. */
static struct error *binaries_decode(struct arena *a, struct yaml *y)
{
        if (y->type == YAML_SCALAR) {
                if (!str_eq(y->tag, STR("!!binary")) && !str_eq(y->tag, STR("tag:yaml.org,2002:binary")))
                        return NULL;
                struct buf b = BUF_INIT(y->text.n + 8);
                bool ok = base64_decode(y->text, &b);
                if (ok)
                        y->text = arena_str(a, buf_str(&b));
                buf_done(&b);
                y->tag = STR("");
                return ok ? NULL : error_new(ERROR_INVALID, "yaml: !!binary value contains invalid base64 data");
        }
        struct error *e = NULL;
        for (size_t i = 0; !e && i < y->n; i++) {
                if (y->type == YAML_MAP)
                        e = binaries_decode(a, y->keys[i]);
                if (!e)
                        e = binaries_decode(a, y->items[i]);
        }
        return e;
}

static struct error *tree_parse(Str text, struct arena *a, struct yaml **ret)
{
        struct error *e = yaml_parse_with_duplicates(text, a, ret);
        return e || !*ret ? e : binaries_decode(a, *ret);
}

static struct error *text_decode(struct config *c, Str text, const char *dir, const struct config_opts *opts)
{
        struct yaml *root;
        text = arena_str(&c->arena, text);
        struct error *e = tree_parse(text, &c->arena, &root);
        if (e)
                return e;
        struct conf_decoder d;
        conf_decoder_init(&d, &c->arena);
        d.dir = dir;
        d.extra_scrape_metrics = opts && opts->extra_scrape_metrics;
        memcpy(&c->file, file_conf_schema.defaults, sizeof c->file);
        c->file.global.extra_metrics = d.extra_scrape_metrics ? TRI_TRUE : TRI_FALSE;
        if (root)
                e = conf_decode(&d, &file_conf_schema, root, &c->file);
        struct error *types = conf_decoder_finish(&d);
        if (e) {
                error_free(types);
                return e;
        }
        return types;
}

/* Jobs of the files that scrape_config_files names, behind those of the main file. */
static struct error *included_decode(struct config *c, const char *dir, const char *path)
{
        static const struct conf_field fields[] = {{"scrape_configs", CONF_LIST, 0, 0, &file_scrape_schema}};
        static const struct conf_schema schema = {"config.ScrapeConfigs", fields, ARRAY_LEN(fields), sizeof(struct conf_list)};
        char *text;
        size_t n;
        struct yaml *root;
        struct conf_list more = {NULL, 0};
        struct error *e = file_read(path, CONFIG_FILE_MAX_BYTES, &text, &n);
        if (e)
                return e;
        Str copy = arena_str(&c->arena, (Str){text, n});
        free(text);
        c->checksum = hash_bytes(copy.p, copy.n) ^ (c->checksum * UINT64_C(0x9E3779B97F4A7C15));
        struct conf_decoder d;
        conf_decoder_init(&d, &c->arena);
        d.dir = dir;
        e = tree_parse(copy, &c->arena, &root);
        if (!e && root)
                e = conf_decode(&d, &schema, root, &more);
        struct error *types = conf_decoder_finish(&d);
        if (!e) {
                e = types;
                types = NULL;
        }
        error_free(types);
        struct file_scrape *s = more.v;
        for (size_t i = 0; !e && i < more.n; i++)
                e = file_scrape_validate(&d, &s[i], &c->file.global);
        if (e)
                return e;
        for (size_t i = 0; i < more.n; i++) {
                for (size_t k = 0; k < c->jobs.n; k++) {
                        if (str_eq(c->jobs.p[k]->job_name, s[i].job_name))
                                return error_new(ERROR_INVALID, "found multiple scrape configs with job name \"" STR_FMT "\"", STR_ARG(s[i].job_name));
                }
                vec_push(&c->jobs, &s[i]);
        }
        return NULL;
}

static void paths_resolve(struct config *c, const char *dir)
{
        struct conf_strs *const lists[] = {&c->file.scrape_config_files, &c->file.rule_files};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
                Str *resolved = arena_array(&c->arena, Str, lists[k]->n + 1);
                for (size_t i = 0; i < lists[k]->n; i++)
                        resolved[i] = str_from(path_resolve(&c->arena, dir, arena_str(&c->arena, lists[k]->v[i]).p));
                lists[k]->v = resolved;
        }
        c->file.global.query_log_file = path_resolve(&c->arena, dir, c->file.global.query_log_file);
        c->file.global.failure_log_file = path_resolve(&c->arena, dir, c->file.global.failure_log_file);
}

static struct error *includes_decode(struct config *c, const char *dir)
{
        for (size_t i = 0; i < c->file.scrape_config_files.n; i++) {
                const char *pattern = c->file.scrape_config_files.v[i].p;
                glob_t g;
                if (glob(pattern, 0, NULL, &g) != 0)
                        continue;               /* matches nothing */
                struct error *e = NULL;
                for (size_t k = 0; !e && k < g.gl_pathc; k++) {
                        e = included_decode(c, dir, g.gl_pathv[k]);
                        if (e)
                                e = error_wrap(e, "scrape config file %s", g.gl_pathv[k]);
                }
                globfree(&g);
                if (e)
                        return e;
        }
        return NULL;
}

static struct error *config_make(Str text, const char *dir, const struct config_opts *opts, bool with_includes, struct config **ret)
{
        struct config *c = mem_new(struct config);
        c->refs = 1;
        arena_init(&c->arena, CONFIG_MEMORY_MAX_BYTES);
        c->checksum = hash_bytes(text.p, text.n);
        struct error *e = text_decode(c, text, dir, opts);
        for (size_t i = 0; !e && i < c->file.scrapes.n; i++)
                vec_push(&c->jobs, (struct file_scrape *)c->file.scrapes.v + i);
        if (!e)
                paths_resolve(c, dir);
        if (!e && with_includes)
                e = includes_decode(c, dir);
        if (!e) {
                c->external_labels = external_labels_make(&c->arena, &c->file.global.external_labels);
                c->n_scrapes = c->jobs.n;
                c->scrapes = arena_zalloc(&c->arena, arena_array_bytes(c->n_scrapes + 1, sizeof *c->scrapes));
                for (size_t i = 0; !e && i < c->n_scrapes; i++)
                        e = scrape_conf_build(&c->arena, dir, c->jobs.p[i], &c->scrapes[i]);
                if (!e)
                        e = notify_conf_build(&c->arena, dir, &c->file.alerting, !config_has_legacy_names(c), &c->alerting);
        }
        if (e) {
                config_unref(c);
                return e;
        }
        *ret = c;
        return NULL;
}

struct error *config_parse(Str text, const char *dir, const struct config_opts *opts, struct config **ret)
{
        return config_make(text, dir, opts, /* with_includes= */ false, ret);
}

struct error *config_load(const char *path, const struct config_opts *opts, struct config **ret)
{
        char *text;
        size_t n;
        struct error *e = file_read(path, CONFIG_FILE_MAX_BYTES, &text, &n);
        if (e)
                return e;
        char *dir = str_dup(path_dir(str_from(path)));
        e = config_make((Str){text, n}, dir, opts, /* with_includes= */ true, ret);
        free(dir);
        free(text);
        return e ? error_wrap(e, "parsing YAML file %s", path) : NULL;
}

struct config *config_ref(struct config *c)
{
        atomic_fetch_add(&c->refs, 1);
        return c;
}

void config_unref(struct config *c)
{
        if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
                return;
        for (size_t i = 0; i < c->n_scrapes; i++)
                scrape_conf_release(&c->scrapes[i]);
        notify_conf_release(&c->alerting);
        vec_done(&c->jobs);
        arena_done(&c->arena);
        free(c);
}

void config_print(struct buf *b, const struct config *c)
{
        conf_print(b, &file_conf_schema, &c->file, 0);
}

bool config_print_job(struct buf *b, const struct config *c, Str job)
{
        for (size_t i = 0; i < c->jobs.n; i++) {
                if (str_eq(c->jobs.p[i]->job_name, job)) {
                        conf_print(b, &file_scrape_schema, c->jobs.p[i], 0);
                        return true;
                }
        }
        return false;
}

static void release(void *owner)
{
        config_unref(owner);
}

void config_scrape_conf(struct config *c, struct scrape_manager_conf *ret)
{
        *ret = (struct scrape_manager_conf){
                .external_labels = c->external_labels, .scrapes = c->scrapes, .n_scrapes = c->n_scrapes, .release = release, .owner = config_ref(c)};
}

const struct scrape_conf *config_scrapes(const struct config *c, size_t *ret_n)
{
        *ret_n = c->n_scrapes;
        return c->scrapes;
}

Labels config_external_labels(const struct config *c)
{
        return c->external_labels;
}

int64_t config_evaluation_interval_ms(const struct config *c)
{
        return c->file.global.evaluation_interval_ms;
}

const char *config_query_log_file(const struct config *c)
{
        return c->file.global.query_log_file && *c->file.global.query_log_file ? c->file.global.query_log_file : NULL;
}

struct config_retention config_retention(const struct config *c)
{
        return (struct config_retention){c->file.tsdb.retention.time_ms, c->file.tsdb.retention.size_bytes, c->file.tsdb.retention.percentage};
}

int64_t config_max_exemplars(const struct config *c)
{
        return c->file.tsdb.exemplars.is_there ? c->file.tsdb.exemplars.max : -1;
}

void config_set_max_exemplars(struct config *c, int64_t max)
{
        c->file.tsdb.exemplars.is_there = true;
        c->file.tsdb.exemplars.max = max;
}

int64_t config_out_of_order_window_ms(const struct config *c)
{
        return c->file.tsdb.out_of_order_ms;
}

void config_set_retention(struct config *c, struct config_retention r)
{
        c->file.tsdb.retention.time_ms = r.time_ms;
        c->file.tsdb.retention.size_bytes = r.size_bytes;
        c->file.tsdb.retention.percentage = r.percentage;
}

bool config_has_legacy_names(const struct config *c)
{
        return str_eq(c->file.global.validation_scheme, STR("legacy"));
}

int64_t config_rule_query_offset_ms(const struct config *c)
{
        return c->file.global.rule_query_offset_ms;
}

const Str *config_rule_patterns(const struct config *c, size_t *ret_n)
{
        *ret_n = c->file.rule_files.n;
        return c->file.rule_files.v;
}

struct error *path_glob(const char *pattern, PathVec *ret)
{
        glob_t g;
        int r = glob(pattern, GLOB_PERIOD, NULL, &g);
        if (r == GLOB_NOMATCH)
                return NULL;
        if (r != 0)
                return error_new(r == GLOB_NOSPACE ? ERROR_LIMIT : ERROR_IO, "syntax error in pattern");
        for (size_t i = 0; i < g.gl_pathc; i++) {
                Str base = path_base(str_from(g.gl_pathv[i]));
                if (!str_eq(base, STR(".")) && !str_eq(base, STR("..")))
                        vec_push(ret, mem_strdup(g.gl_pathv[i]));
        }
        globfree(&g);
        return NULL;
}

struct error *config_rule_files(const struct config *c, PathVec *ret)
{
        for (size_t i = 0; i < c->file.rule_files.n; i++) {
                struct error *e = path_glob(c->file.rule_files.v[i].p, ret);
                if (e)
                        return error_wrap(e, "error retrieving rule files for %s", c->file.rule_files.v[i].p);
        }
        return NULL;
}

void config_notify_conf(struct config *c, struct notify_conf *ret)
{
        *ret = (struct notify_conf){.external_labels = c->external_labels, .alert_relabel = c->alerting.alert_relabel, .n_alert_relabel = c->alerting.n_alert_relabel,
                                    .sets = c->alerting.sets, .n_sets = c->alerting.n_sets, .release = release, .owner = config_ref(c)};
}

const struct discovery_conf *config_alertmanagers(const struct config *c, size_t *ret_n)
{
        *ret_n = c->alerting.n_sets;
        return c->alerting.discovery;
}

uint64_t config_checksum(const struct config *c)
{
        return c->checksum;
}
