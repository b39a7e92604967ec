/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c — targets, replicas, retention, sidecars; and what all judges share. */
#include <math.h>
#include <stdlib.h>

#include "model/duration.h"
#include "thanos/doctor/doctor_impl.h"

/* Replicas scrape at different moments: so much may what they got differ. */
#define SAMPLES_MAY_DIFFER 0.1

void say(struct judge *j, enum doctor_level level, const char *check, Str subject, Str text, Str advice)
{
        vec_push(&j->r->lines, (struct doctor_line){level, check, subject, text, advice});
}

Str say_duration(struct arena *a, int64_t ms)
{
        static const int64_t units[] = {86400000, 3600000, 60000, 1000};
        if (ms < 0)
                ms = ms == INT64_MIN ? INT64_MAX : -ms;
        for (size_t i = 0; i + 1 < ARRAY_LEN(units); i++) {
                if (ms >= units[i]) {
                        ms -= ms % units[i + 1];
                        break;
                }
        }
        struct buf b = BUF_INIT(64);
        buf_put_duration(&b, ms >= 1000 ? ms - ms % 1000 : ms);
        Str s = arena_str(a, buf_str(&b));
        buf_done(&b);
        return s;
}

/* Beyond these a time is only a way to say "no end". */
#define TIME_FAR_PAST INT64_C(-62135596800000)
#define TIME_FAR_FUTURE INT64_C(253402300799000)

Str say_time(struct arena *a, TimeMs t)
{
        if (t <= TIME_FAR_PAST)
                return STR("the beginning");
        if (t >= TIME_FAR_FUTURE)
                return STR("now");
        struct buf b = BUF_INIT(64);
        buf_put_rfc3339(&b, t - (t % 1000 + 1000) % 1000);
        Str s = arena_str(a, buf_str(&b));
        buf_done(&b);
        return s;
}

Str say_labels(struct arena *a, Labels ls)
{
        struct buf b = BUF_INIT(1 << 20);
        labels_print(&b, ls);
        Str s = arena_str(a, buf_str(&b));
        buf_done(&b);
        return s;
}

Labels without_replica_labels(const struct judge *j, Labels ls)
{
        Label *v = arena_array(j->a, Label, ls.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < ls.n; i++) {
                bool drop = false;
                for (size_t k = 0; k < j->f->n_replica_labels; k++)
                        drop |= str_eq(ls.v[i].name, j->f->replica_labels[k]);
                if (!drop)
                        v[n++] = ls.v[i];
        }
        return (Labels){v, n};
}

static int span_cmp(const void *a, const void *b)
{
        const struct span *x = a, *y = b;
        return (x->mint_ms > y->mint_ms) - (x->mint_ms < y->mint_ms);
}

void spans_unite(SpanVec *v, int64_t slack_ms)
{
        if (v->n == 0)
                return;
        qsort(v->p, v->n, sizeof *v->p, span_cmp);
        size_t n = 0;
        for (size_t i = 1; i < v->n; i++) {
                TimeMs reach;
                if (__builtin_add_overflow(v->p[n].maxt_ms, slack_ms, &reach) || v->p[i].mint_ms <= reach)
                        v->p[n].maxt_ms = MAX(v->p[n].maxt_ms, v->p[i].maxt_ms);
                else
                        v->p[++n] = v->p[i];
        }
        v->n = n + 1;
}

/* --- targets --- */

static void judge_targets(struct judge *j, const struct doctor_prometheus *p)
{
        for (size_t i = 0; i < p->n_jobs; i++) {
                const struct doctor_job *job = &p->jobs[i];
                Str text = arena_printf(j->a, "job " STR_FMT " (%zu/%zu up)", STR_ARG(job->name), job->up, job->total);
                if (job->down)
                        say(j, DOCTOR_FINDING, "targets", p->url,
                            arena_printf(j->a, STR_FMT ": " STR_FMT ": " STR_FMT, STR_ARG(text), STR_ARG(job->down_url), STR_ARG(job->down_error)),
                            arena_printf(j->a, "Start what should answer there, or take the target out of the configuration; " STR_FMT "/targets lists all.",
                                         STR_ARG(p->url)));
                else if (job->up < job->total)
                        say(j, DOCTOR_FINDING, "targets", p->url, arena_printf(j->a, STR_FMT ": %zu not scraped yet", STR_ARG(text), job->total - job->up),
                            STR("Wait for one scrape interval and run this again."));
                else if (job->total == 0)
                        say(j, DOCTOR_FINDING, "targets", p->url, arena_printf(j->a, STR_FMT ": its discovery finds nothing", STR_ARG(text)),
                            arena_printf(j->a, "Look at " STR_FMT "/service-discovery what was found and dropped, and correct the job's discovery or relabelling.",
                                         STR_ARG(p->url)));
                else
                        say(j, DOCTOR_OK, "targets", p->url, text, STR(""));
        }
        if (p->n_jobs == 0)
                say(j, DOCTOR_FINDING, "targets", p->url, STR("it scrapes nothing: there is no job"), STR("Add scrape_configs to its configuration file and reload it."));
}

/* --- retention --- */

static void judge_retention(struct judge *j, const struct doctor_prometheus *p)
{
        Str keeps = p->retention.n ? p->retention : STR("all");
        Str oldest = p->lowest_ms == TIME_MS_MIN ? STR("")
                                                 : arena_printf(j->a, ", its oldest sample is " STR_FMT " old", STR_ARG(say_duration(j->a, j->f->now_ms - p->lowest_ms)));
        Str text = arena_printf(j->a, "keeps " STR_FMT " locally" STR_FMT, STR_ARG(keeps), STR_ARG(oldest));
        if (!p->uploads_itself && p->retention_ms && p->min_block_ms && p->retention_ms < 3 * p->min_block_ms)
                say(j, DOCTOR_FINDING, "retention", p->url,
                    arena_printf(j->a, STR_FMT ": less than three blocks of " STR_FMT ", so blocks may go before they are uploaded", STR_ARG(text),
                                 STR_ARG(say_duration(j->a, p->min_block_ms))),
                    arena_printf(j->a, "Set --storage.tsdb.retention.time to " STR_FMT " or more.", STR_ARG(say_duration(j->a, 3 * p->min_block_ms))));
        else
                say(j, DOCTOR_OK, "retention", p->url, text, STR(""));
}

/* A sidecar uploads blocks as they are cut; what Prometheus merges before is not uploaded. */
static void judge_compaction(struct judge *j, const struct doctor_prometheus *p)
{
        if (j->f->n_sidecars == 0 || p->min_block_ms == 0 || p->max_block_ms == 0 || p->min_block_ms == p->max_block_ms)
                return;
        say(j, DOCTOR_FINDING, "retention", p->url,
            arena_printf(j->a, "it merges blocks of " STR_FMT " up to " STR_FMT ": a block that is merged before its upload never reaches the bucket",
                         STR_ARG(say_duration(j->a, p->min_block_ms)), STR_ARG(say_duration(j->a, p->max_block_ms))),
            arena_printf(j->a, "Start it with --storage.tsdb.min-block-duration=" STR_FMT " and --storage.tsdb.max-block-duration=" STR_FMT ".",
                         STR_ARG(say_duration(j->a, p->min_block_ms)), STR_ARG(say_duration(j->a, p->min_block_ms))));
}

/* --- replicas --- */

static const struct doctor_job *job_find(const struct doctor_prometheus *p, Str name)
{
        for (size_t i = 0; i < p->n_jobs; i++)
                if (str_eq(p->jobs[i].name, name))
                        return &p->jobs[i];
        return NULL;
}

static bool has_replica_label(const struct judge *j, Labels ls)
{
        return without_replica_labels(j, ls).n < ls.n;
}

/* The first difference between two replicas; empty: they agree. */
static Str difference(struct judge *j, const struct doctor_prometheus *a, const struct doctor_prometheus *b)
{
        for (size_t i = 0; i < a->n_jobs; i++) {
                const struct doctor_job *x = &a->jobs[i], *y = job_find(b, x->name);
                if (!y)
                        return arena_printf(j->a, "job " STR_FMT " is only in " STR_FMT, STR_ARG(x->name), STR_ARG(a->url));
                if (x->total != y->total)
                        return arena_printf(j->a, "job " STR_FMT " has %zu targets here and %zu there", STR_ARG(x->name), x->total, y->total);
                if (x->up != y->up)
                        return arena_printf(j->a, "of job " STR_FMT " %zu targets are up here and %zu there", STR_ARG(x->name), x->up, y->up);
                double more = MAX(x->samples, y->samples);
                if (x->samples >= 0 && y->samples >= 0 && fabs(x->samples - y->samples) > SAMPLES_MAY_DIFFER * more)
                        return arena_printf(j->a, "a round of scrapes of job " STR_FMT " gave %.0f samples here and %.0f there", STR_ARG(x->name), x->samples,
                                            y->samples);
        }
        for (size_t i = 0; i < b->n_jobs; i++)
                if (!job_find(a, b->jobs[i].name))
                        return arena_printf(j->a, "job " STR_FMT " is only in " STR_FMT, STR_ARG(b->jobs[i].name), STR_ARG(b->url));
        return STR("");
}

static void judge_pair(struct judge *j, const struct doctor_prometheus *a, const struct doctor_prometheus *b)
{
        if (labels_eq(a->external, b->external)) {
                if (a->external.n || j->f->n_buckets || j->f->n_queriers || j->f->n_sidecars)
                        say(j, DOCTOR_FINDING, "replicas", a->url,
                            arena_printf(j->a, "has the same external labels as " STR_FMT ": " STR_FMT "; their blocks cannot be told apart", STR_ARG(b->url),
                                         STR_ARG(say_labels(j->a, a->external))),
                            STR("Give each Prometheus external_labels of its own; replicas differ in one label, as replica."));
                return;
        }
        if (!has_replica_label(j, a->external) || !has_replica_label(j, b->external) ||
            !labels_eq(without_replica_labels(j, a->external), without_replica_labels(j, b->external)))
                return;
        Str other = difference(j, a, b);
        if (other.n)
                say(j, DOCTOR_FINDING, "replicas", a->url, arena_printf(j->a, "does not agree with its replica " STR_FMT ": " STR_FMT, STR_ARG(b->url), STR_ARG(other)),
                    STR("Give both the same scrape_configs, reload them, and see why a target answers only one of them."));
        else
                say(j, DOCTOR_OK, "replicas", a->url, arena_printf(j->a, "agrees with its replica " STR_FMT, STR_ARG(b->url)), STR(""));
}

static void judge_replicas(struct judge *j)
{
        const struct doctor_facts *f = j->f;
        for (size_t i = 0; i < f->n_prometheus; i++)
                for (size_t k = i + 1; k < f->n_prometheus; k++)
                        if (!f->prometheus[i].problem.n && !f->prometheus[k].problem.n)
                                judge_pair(j, &f->prometheus[i], &f->prometheus[k]);
}

/* --- sidecars --- */

static void judge_sidecar(struct judge *j, const struct doctor_sidecar *s)
{
        if (s->problem.n) {
                say(j, DOCTOR_UNKNOWN, "sidecar", s->url, s->problem, STR("Check that the sidecar runs and that this is the address of its --http-address."));
                return;
        }
        if (!s->reaches_prometheus || !s->is_ready)
                say(j, DOCTOR_FINDING, "sidecar", s->url, s->reaches_prometheus ? STR("it is not ready") : STR("it does not reach its Prometheus"),
                    STR("Check --prometheus.url of the sidecar, and that this Prometheus is ready."));
        if (s->failures > 0)
                say(j, DOCTOR_FINDING, "sidecar", s->url, arena_printf(j->a, "%.0f uploads failed since it started, %.0f went well", s->failures, s->uploads),
                    STR("Read its log for the reason: mostly the key, the address of the bucket, or its rights."));
        if (s->reaches_prometheus && s->is_ready && !(s->failures > 0))
                say(j, DOCTOR_OK, "sidecar", s->url,
                    s->ships ? arena_printf(j->a, "reaches its Prometheus, %.0f blocks uploaded since it started", s->uploads)
                             : STR("reaches its Prometheus; it uploads nothing, for it has no bucket"),
                    STR(""));
}

/* --- all --- */

void doctor_judge(const struct doctor_facts *f, struct arena *a, struct doctor_report *ret)
{
        struct judge j = {f, a, ret};
        for (size_t i = 0; i < f->n_prometheus; i++) {
                const struct doctor_prometheus *p = &f->prometheus[i];
                if (p->problem.n) {
                        say(&j, DOCTOR_UNKNOWN, "targets", p->url, p->problem, STR("Check that it runs and that this is its address; a path prefix belongs to it."));
                        continue;
                }
                judge_targets(&j, p);
                judge_retention(&j, p);
                judge_compaction(&j, p);
        }
        judge_replicas(&j);
        for (size_t i = 0; i < f->n_sidecars; i++)
                judge_sidecar(&j, &f->sidecars[i]);
        for (size_t i = 0; i < f->n_buckets; i++)
                judge_bucket(&j, &f->buckets[i]);
        for (size_t i = 0; i < f->n_queriers; i++)
                judge_querier(&j, &f->queriers[i]);
}
