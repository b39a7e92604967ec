/* SPDX-License-Identifier: Apache-2.0 */
/* judge_querier.c — which stretch of time a querier sees, and which store covers it. */
#include "thanos/doctor/doctor_impl.h"

enum { STALE_MS = 300000 }; /* a newest sample that is older than this is not found by an instant query any more */

static bool is_type(const struct doctor_store *s, const char *type)
{
        return str_eq(s->type, str_from(type));
}

/* Has the samples of now: not from blocks of a bucket. */
static bool is_live(const struct doctor_store *s)
{
        return !is_type(s, "store");
}

static const char *type_text(const struct doctor_store *s)
{
        static const struct {
                const char *type, *text;
        } known[] = {{"sidecar", "sidecar"}, {"store", "store gateway"}, {"rule", "ruler"}, {"receive", "receiver"}, {"query", "querier"}};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (is_type(s, known[i].type))
                        return known[i].text;
        return "store of unknown kind";
}

static void judge_stores(struct judge *j, const struct doctor_querier *q)
{
        for (size_t i = 0; i < q->n_stores; i++) {
                const struct doctor_store *s = &q->stores[i];
                struct buf sets = BUF_INIT(1 << 20);
                for (size_t k = 0; k < s->n_label_sets; k++) {
                        buf_puts(&sets, k ? ", " : " ");
                        labels_print(&sets, s->label_sets[k]);
                }
                Str who = arena_printf(j->a, "%s " STR_FMT STR_FMT, type_text(s), STR_ARG(s->name), STR_ARG(buf_str(&sets)));
                buf_done(&sets);
                if (s->error.n)
                        say(j, DOCTOR_FINDING, "stores", q->url, arena_printf(j->a, STR_FMT " fails: " STR_FMT, STR_ARG(who), STR_ARG(s->error)),
                            STR("Check that it runs and that the querier reaches that address with the right TLS; until then queries lack its data."));
                else if (s->maxt_ms < s->mint_ms)
                        say(j, DOCTOR_OK, "stores", q->url, arena_printf(j->a, STR_FMT " has no data yet", STR_ARG(who)), STR(""));
                else
                        say(j, DOCTOR_OK, "stores", q->url,
                            arena_printf(j->a, STR_FMT " covers " STR_FMT " to " STR_FMT, STR_ARG(who), STR_ARG(say_time(j->a, s->mint_ms)),
                                         STR_ARG(s->maxt_ms >= j->f->now_ms ? STR("now") : say_time(j->a, s->maxt_ms))),
                            STR(""));
        }
}

static bool labels_within(Labels all, Labels of)
{
        for (size_t i = 0; i < of.n; i++)
                if (!str_eq(labels_get(all, of.v[i].name), of.v[i].value))
                        return false;
        return true;
}

/* The live store that has the series of a Prometheus with those external labels, one that works if there is; NULL: none. */
static const struct doctor_store *live_store_of(const struct doctor_querier *q, Labels external)
{
        const struct doctor_store *found = NULL;
        for (size_t i = 0; i < q->n_stores; i++)
                for (size_t k = 0; is_live(&q->stores[i]) && k < q->stores[i].n_label_sets; k++)
                        if (labels_within(q->stores[i].label_sets[k], external) && (!found || found->error.n))
                                found = &q->stores[i];
        return found;
}

static Str ends_text(struct judge *j, TimeMs maxt_ms)
{
        if (maxt_ms == TIME_MS_MIN)
                return STR("");
        return arena_printf(j->a, " (what it sees ends " STR_FMT " ago)", STR_ARG(say_duration(j->a, j->f->now_ms - maxt_ms)));
}

/* True: it was told why. */
static bool judge_newest_end(struct judge *j, const struct doctor_querier *q, TimeMs maxt_ms)
{
        static const Str add = STR_INIT("Give the querier --endpoint=HOST:10901 for the sidecar of each Prometheus, or one dnssrv+ name for all of them.");
        bool has_live = false, has_told = false;
        for (size_t i = 0; i < q->n_stores; i++)
                has_live |= is_live(&q->stores[i]);
        if (!has_live) {
                say(j, DOCTOR_FINDING, "coverage", q->url,
                    arena_printf(j->a, "the newest hours are missing: no sidecar endpoint is configured" STR_FMT, STR_ARG(ends_text(j, maxt_ms))), add);
                return true;
        }
        for (size_t i = 0; i < j->f->n_prometheus; i++) {
                const struct doctor_prometheus *p = &j->f->prometheus[i];
                const struct doctor_store *live = p->problem.n ? NULL : live_store_of(q, p->external);
                if (p->problem.n || (live && !live->error.n))
                        continue;
                if (live)
                        say(j, DOCTOR_FINDING, "coverage", q->url,
                            arena_printf(j->a, "the newest hours of " STR_FMT " " STR_FMT " are missing: its %s " STR_FMT " fails", STR_ARG(p->url),
                                         STR_ARG(say_labels(j->a, p->external)), type_text(live), STR_ARG(live->name)),
                            STR("Bring it back, as said above."));
                else
                        say(j, DOCTOR_FINDING, "coverage", q->url,
                            arena_printf(j->a, "the newest hours of " STR_FMT " " STR_FMT " are missing: no endpoint of the querier has them", STR_ARG(p->url),
                                         STR_ARG(say_labels(j->a, p->external))),
                            add);
                has_told = true;
        }
        if (has_told || maxt_ms >= j->f->now_ms - STALE_MS)
                return has_told;
        say(j, DOCTOR_FINDING, "coverage", q->url, arena_printf(j->a, "the newest hours are missing: no endpoint that works reaches up to now" STR_FMT, STR_ARG(ends_text(j, maxt_ms))),
            STR("Bring back the sidecars that fail, as said above."));
        return true;
}

/* What the bucket has and the querier does not reach back to. */
static void judge_oldest_end(struct judge *j, const struct doctor_querier *q, TimeMs mint_ms)
{
        for (size_t i = 0; i < j->f->n_buckets; i++) {
                const struct doctor_bucket *b = &j->f->buckets[i];
                TimeMs oldest = TIME_MS_MAX;
                for (size_t k = 0; k < b->n_blocks; k++)
                        oldest = MIN(oldest, b->blocks[k].mint_ms);
                if (oldest >= mint_ms)
                        continue;
                bool has_gateway = false;
                for (size_t k = 0; k < q->n_stores; k++)
                        has_gateway |= is_type(&q->stores[k], "store");
                say(j, DOCTOR_FINDING, "coverage", q->url,
                    arena_printf(j->a, "the past before " STR_FMT " is missing, though the bucket goes back to " STR_FMT ": %s", STR_ARG(say_time(j->a, mint_ms)),
                                 STR_ARG(say_time(j->a, oldest)),
                                 has_gateway ? "no store gateway that works covers it" : "no store gateway endpoint is configured"),
                    has_gateway ? STR("See above which store gateway fails; else check its --min-time and its selectors.")
                                : STR("Start `coeus thanos store` over that bucket and give the querier its address by --endpoint."));
        }
}

static int64_t range_least(const struct judge *j)
{
        int64_t range = 0;
        for (size_t i = 0; i < j->f->n_prometheus; i++)
                if (j->f->prometheus[i].min_block_ms && (range == 0 || j->f->prometheus[i].min_block_ms < range))
                        range = j->f->prometheus[i].min_block_ms;
        return range ? range : block_range_of(j, (Labels){NULL, 0});
}

static void judge_coverage(struct judge *j, const struct doctor_querier *q)
{
        SpanVec seen = VEC_INIT;
        TimeMs maxt = TIME_MS_MIN, mint = TIME_MS_MAX;
        for (size_t i = 0; i < q->n_stores; i++) {
                const struct doctor_store *s = &q->stores[i];
                if (s->error.n || s->maxt_ms < s->mint_ms)
                        continue;
                vec_push(&seen, (struct span){s->mint_ms, s->maxt_ms});
                maxt = MAX(maxt, s->maxt_ms);
                mint = MIN(mint, s->mint_ms);
        }
        spans_unite(&seen, range_least(j) / 10);
        bool has_told = judge_newest_end(j, q, maxt);
        judge_oldest_end(j, q, mint);
        for (size_t i = 1; i < seen.n; i++)
                say(j, DOCTOR_FINDING, "coverage", q->url,
                    arena_printf(j->a, "no store covers " STR_FMT " to " STR_FMT ", a hole of " STR_FMT, STR_ARG(say_time(j->a, seen.p[i - 1].maxt_ms)),
                                 STR_ARG(say_time(j->a, seen.p[i].mint_ms)), STR_ARG(say_duration(j->a, seen.p[i].mint_ms - seen.p[i - 1].maxt_ms))),
                    STR("Keep more in Prometheus (--storage.tsdb.retention.time) until uploads have caught up, and see why the bucket's newest block is old."));
        if (seen.n)
                say(j, DOCTOR_OK, "coverage", q->url,
                    arena_printf(j->a, "sees " STR_FMT " to " STR_FMT, STR_ARG(say_time(j->a, mint)), STR_ARG(maxt >= j->f->now_ms ? STR("now") : say_time(j->a, maxt))),
                    STR(""));
        for (size_t i = 0; i < q->n_warnings; i++)
                say(j, DOCTOR_FINDING, "coverage", q->url, arena_printf(j->a, "a query was answered with the warning: " STR_FMT, STR_ARG(q->warnings[i])),
                    STR("Bring back the store that it names; until then answers lack its data."));
        bool has_targets = false;
        for (size_t i = 0; i < j->f->n_prometheus; i++)
                has_targets |= j->f->prometheus[i].n_jobs > 0;
        if (!has_told && has_targets && (q->newest_ms == TIME_MS_MIN || q->newest_ms < j->f->now_ms - STALE_MS))
                say(j, DOCTOR_FINDING, "coverage", q->url, STR("a query for up, which each target has, finds nothing of now"),
                    STR("Check that the sidecars belong to the Prometheus servers that are asked here, and that the clocks agree."));
        vec_done(&seen);
}

void judge_querier(struct judge *j, const struct doctor_querier *q)
{
        if (q->problem.n) {
                say(j, DOCTOR_UNKNOWN, "stores", q->url, q->problem, STR("Check that the querier runs and that this is the address of its --http-address."));
                return;
        }
        if (q->n_stores == 0) {
                say(j, DOCTOR_FINDING, "stores", q->url, STR("it knows no store at all"),
                    STR("Give it --endpoint for each sidecar and store gateway, and check that the names resolve."));
                return;
        }
        judge_stores(j, q);
        judge_coverage(j, q);
}
