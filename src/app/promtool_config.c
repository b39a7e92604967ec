/* SPDX-License-Identifier: Apache-2.0 */
/* promtool check config.  Upstream: cmd/promtool/main.go (CheckConfig) */
#include <stdio.h>
#include <errno.h>
#include <sys/stat.h>

#include "app/promtool.h"
#include "app/promtool_rules.h"
#include "collect/scrape/target.h"
#include "config/config.h"
#include "model/duration.h"

static struct error *exists(const char *path, const char *what)
{
        struct stat st;
        if (!path || !*path || stat(path, &st) == 0)
                return NULL;
        return error_wrap(error_errno(errno, "stat %s", path), "error checking %s \"%s\"", what, path);
}

static struct error *tls_check(const struct tls_client_opts *t, bool syntax_only)
{
        bool cert = t->cert_file && *t->cert_file, key = t->key_file && *t->key_file;
        if (cert && !key && !t->key)
                return error_new(ERROR_INVALID, "client cert file \"%s\" specified without client key file", t->cert_file);
        if (key && !cert && !t->cert)
                return error_new(ERROR_INVALID, "client key file \"%s\" specified without client cert file", t->key_file);
        if (syntax_only)
                return NULL;
        struct error *e = exists(t->cert_file, "client cert file");
        return e ? e : exists(t->key_file, "client key file");
}

/* Whose targets are looked at: a job's, or of an Alertmanager entry. */
struct consumer {
        const struct scrape_conf *scrape;       /* NULL: alertmanager */
        const struct notify_set_conf *alertmanager;
};

static struct error *group_check(void *ctx, const struct target_group *g)
{
        const struct consumer *c = ctx;
        struct error *e = NULL;
        if (!c->scrape) {
                struct notify_group n = {g->labels, g->targets, g->n_targets};
                return notify_group_check(c->alertmanager, &n);
        }
        struct arena a;
        arena_init(&a, 64 << 20);
        for (size_t i = 0; !e && i < g->n_targets; i++) {
                Labels ls;
                e = target_labels(c->scrape, g, i, &a, &ls);
                if (e)
                        e = error_wrap(e, "instance %zu in group " STR_FMT, i, STR_ARG(g->source));
        }
        arena_done(&a);
        return e;
}

static struct error *static_check(struct consumer *c, const struct static_sd_conf *s, size_t index)
{
        char source[32];
        snprintf(source, sizeof source, "%zu", index);
        struct target_group *g = target_group_new(str_from(source));
        Labels *targets = arena_array(&g->arena, Labels, s->n_targets + 1);
        for (size_t i = 0; i < s->n_targets; i++) {
                Label *l = arena_array(&g->arena, Label, 1);
                *l = (Label){STR("__address__"), s->targets[i]};
                targets[i] = (Labels){l, 1};
        }
        g->labels = s->labels;
        g->targets = targets;
        g->n_targets = s->n_targets;
        struct error *e = group_check(c, g);
        target_group_unref(g);
        return e;
}

static struct error *file_check(struct consumer *c, const char *pattern)
{
        PathVec files = VEC_INIT;
        struct error *e = path_glob(pattern, &files);
        for (size_t i = 0; !e && i < files.n; i++) {
                e = file_sd_check(files.p[i]);
                if (e)
                        e = error_wrap(e, "checking SD file \"%s\"", pattern);
                else
                        e = file_sd_each(files.p[i], group_check, c);
        }
        if (!e && files.n == 0) {
                printf("  WARNING: file \"%s\" for file_sd in ", pattern);
                if (c->scrape)
                        printf("scrape job \"" STR_FMT "\" does not exist\n", STR_ARG(c->scrape->job_name));
                else
                        printf("alertmanager config does not exist\n");
        }
        path_vec_done(&files);
        return e;
}

static struct error *discovery_check(struct consumer *c, const struct discovery_conf *d, bool syntax_only)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && !syntax_only && i < d->n_files; i++) {
                for (size_t k = 0; !e && k < d->files[i].n_files; k++) {
                        char *pattern = str_dup(d->files[i].files[k]);
                        e = file_check(c, pattern);
                        free(pattern);
                }
        }
        for (size_t i = 0; !e && i < d->n_statics; i++)
                e = static_check(c, &d->statics[i], i);
        return e;
}

static struct error *rule_files_find(const struct config *c, PathVec *ret)
{
        size_t n;
        const Str *patterns = config_rule_patterns(c, &n);
        for (size_t i = 0; i < n; i++) {
                size_t before = ret->n;
                struct error *e = path_glob(patterns[i].p, ret);
                if (!e && ret->n == before && str_find(patterns[i], '*') < 0)
                        e = error_new(ERROR_NOT_FOUND, "\"" STR_FMT "\" does not point to an existing file", STR_ARG(patterns[i]));
                if (e)
                        return e;
        }
        return NULL;
}

static struct error *config_check(struct config *c, bool syntax_only, PathVec *ret_rules)
{
        size_t n;
        const struct scrape_conf *scrapes = config_scrapes(c, &n);
        struct error *e = syntax_only ? NULL : rule_files_find(c, ret_rules);
        for (size_t i = 0; !e && i < n; i++) {
                struct consumer who = {.scrape = &scrapes[i]};
                if (!syntax_only)
                        e = exists(scrapes[i].http.auth_credentials_file, "authorization credentials or bearer token file");
                if (!e)
                        e = tls_check(&scrapes[i].http.tls, syntax_only);
                if (!e)
                        e = discovery_check(&who, &scrapes[i].discovery, syntax_only);
        }
        struct notify_conf notify;
        const struct discovery_conf *d = config_alertmanagers(c, &n);
        config_notify_conf(c, &notify);
        for (size_t i = 0; !e && i < n; i++) {
                struct consumer who = {.alertmanager = &notify.sets[i]};
                e = discovery_check(&who, &d[i], syntax_only);
        }
        notify.release(notify.owner);
        return e;
}

/* True: a job is scraped less often than samples are looked for. */
static bool intervals_lint(const struct config *c, int64_t lookback_ms)
{
        size_t n;
        const struct scrape_conf *s = config_scrapes(c, &n);
        for (size_t i = 0; i < n; i++) {
                if (s[i].interval_ms < lookback_ms)
                        continue;
                struct buf b = BUF_INIT(64);
                buf_put_duration(&b, s[i].interval_ms);
                fprintf(stderr, "  FAILED: too long scrape interval found, data point will be marked as stale - job: " STR_FMT ", interval: %s\n", STR_ARG(s[i].job_name), buf_cstr(&b));
                buf_done(&b);
                return true;
        }
        return false;
}

int promtool_check_config(const struct flags *f)
{
        struct rule_lint l;
        struct rule_verdict v = {0};
        size_t n;
        const char *const *files = flags_list(f, "config-files", &n);
        bool syntax_only = flags_bool(f, "syntax-only");
        int64_t lookback_ms = flags_int(f, "query.lookback-delta") / 1000000;
        if (flags_bool(f, "agent"))
                return promtool_exit(error_new(ERROR_UNSUPPORTED, "--agent is not supported yet"));
        rule_lint_init(&l, f, /* config= */ true);
        for (size_t i = 0; i < n; i++) {
                struct config *c = NULL;
                PathVec rules = VEC_INIT;
                printf("Checking %s\n", files[i]);
                struct error *e = config_load(files[i], NULL, &c);
                if (!e)
                        e = config_check(c, syntax_only, &rules);
                if (e) {
                        fprintf(stderr, "  FAILED: %s\n", error_str(e));
                        v.failed = v.has_errors = true;
                } else {
                        if (rules.n)
                                printf("  SUCCESS: %zu rule files found\n", rules.n);
                        printf(" SUCCESS: %s is valid prometheus config file syntax\n", files[i]);
                }
                putchar('\n');
                if (!e && !syntax_only) {
                        v.failed |= l.long_intervals && intervals_lint(c, lookback_ms);
                        l.file.legacy_names = config_has_legacy_names(c);
                        rule_files_check((const char *const *)rules.p, rules.n, &l, &v);
                }
                error_free(e);
                config_unref(c);
                path_vec_done(&rules);
        }
        return rule_verdict_code(&v, &l);
}
