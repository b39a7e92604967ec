/* SPDX-License-Identifier: Apache-2.0 */
/* judge_bucket.c — the blocks of a bucket: how old the newest is, how far they are apart, what no block covers. A stream is what one
 * writer uploads: blocks of the same external labels. */
#include <stdlib.h>

#include "thanos/doctor/doctor_impl.h"

enum { RANGE_DEFAULT_MS = 7200000, UPLOAD_MAX_MS = 1800000, GRACE_MAX_MS = 600000, HOLES_SHOWN = 5 };

struct stream {
        Labels labels;
        SpanVec raw, any; /* of raw blocks; of all resolutions */
        TimeMs newest_ms;
        size_t n;
};
typedef VEC(struct stream) StreamVec;

static struct stream *stream_of(StreamVec *v, Labels labels)
{
        for (size_t i = 0; i < v->n; i++)
                if (labels_eq(v->p[i].labels, labels))
                        return &v->p[i];
        vec_push(v, (struct stream){.labels = labels, .newest_ms = TIME_MS_MIN});
        return &v->p[v->n - 1];
}

static int stream_cmp(const void *a, const void *b)
{
        return labels_cmp(((const struct stream *)a)->labels, ((const struct stream *)b)->labels);
}

static void streams_of(const struct doctor_bucket *b, StreamVec *ret)
{
        for (size_t i = 0; i < b->n_blocks; i++) {
                const struct doctor_block *x = &b->blocks[i];
                struct stream *s = stream_of(ret, x->labels);
                if (x->resolution_ms == 0)
                        vec_push(&s->raw, (struct span){x->mint_ms, x->maxt_ms});
                vec_push(&s->any, (struct span){x->mint_ms, x->maxt_ms});
                s->newest_ms = MAX(s->newest_ms, x->maxt_ms);
                s->n++;
        }
        if (ret->n)
                qsort(ret->p, ret->n, sizeof *ret->p, stream_cmp);
}

static void streams_done(StreamVec *v)
{
        for (size_t i = 0; i < v->n; i++) {
                vec_done(&v->p[i].raw);
                vec_done(&v->p[i].any);
        }
        vec_done(v);
}

static int time_cmp(const void *a, const void *b)
{
        TimeMs x = *(const TimeMs *)a, y = *(const TimeMs *)b;
        return (x > y) - (x < y);
}

/* The smallest distance between the ends of first-level raw blocks; 0: there are not two. */
static int64_t range_of_blocks(const struct doctor_facts *f, Labels external)
{
        VEC(TimeMs) ends = VEC_INIT;
        int64_t range = 0;
        for (size_t i = 0; i < f->n_buckets; i++)
                for (size_t k = 0; k < f->buckets[i].n_blocks; k++) {
                        const struct doctor_block *x = &f->buckets[i].blocks[k];
                        if (x->resolution_ms == 0 && x->level <= 1 && labels_eq(x->labels, external))
                                vec_push(&ends, x->maxt_ms);
                }
        if (ends.n)
                qsort(ends.p, ends.n, sizeof *ends.p, time_cmp);
        for (size_t i = 1; i < ends.n; i++) {
                int64_t d = ends.p[i] - ends.p[i - 1];
                if (d > 0 && (range == 0 || d < range))
                        range = d;
        }
        vec_done(&ends);
        return range;
}

int64_t block_range_of(const struct judge *j, Labels external)
{
        for (size_t i = 0; i < j->f->n_prometheus; i++)
                if (j->f->prometheus[i].min_block_ms && labels_eq(j->f->prometheus[i].external, external))
                        return j->f->prometheus[i].min_block_ms;
        int64_t range = range_of_blocks(j->f, external);
        for (size_t i = 0; range == 0 && i < j->f->n_prometheus; i++)
                range = j->f->prometheus[i].min_block_ms;
        return range ? range : RANGE_DEFAULT_MS;
}

/* A block is cut when the head is one and a half ranges long, so its end is between a half and one and a half ranges old, or two while the
 * next is on its way. */
static void judge_newest(struct judge *j, const struct doctor_bucket *b, const struct stream *s)
{
        int64_t range = block_range_of(j, s->labels), age = j->f->now_ms - s->newest_ms, old = 2 * range + MIN(range / 2, (int64_t)GRACE_MAX_MS);
        Str text = arena_printf(j->a, STR_FMT ": %zu blocks, one each " STR_FMT ", the newest ends " STR_FMT " ago", STR_ARG(say_labels(j->a, s->labels)), s->n,
                                STR_ARG(say_duration(j->a, range)), STR_ARG(say_duration(j->a, age)));
        if (age > old)
                say(j, DOCTOR_FINDING, "bucket", b->name, arena_printf(j->a, STR_FMT ": the next is overdue", STR_ARG(text)),
                    STR("See whether that Prometheus and its sidecar run; if they do, the sidecar's log says why it does not upload."));
        else if (age < -range)
                say(j, DOCTOR_FINDING, "bucket", b->name, arena_printf(j->a, STR_FMT ": that is in the future", STR_ARG(text)),
                    STR("Set the clock of the machine that wrote the block, or of this one."));
        else
                say(j, DOCTOR_OK, "bucket", b->name, text, STR(""));
}

/* Of all replicas together: a hole of one is filled by another. */
static void judge_holes(struct judge *j, const struct doctor_bucket *b, const struct stream *group)
{
        int64_t range = block_range_of(j, group->labels);
        SpanVec all = VEC_INIT;
        for (size_t i = 0; i < group->any.n; i++)
                vec_push(&all, group->any.p[i]);
        spans_unite(&all, range / 10);
        for (size_t i = 1; i < all.n && i <= HOLES_SHOWN; i++)
                say(j, DOCTOR_FINDING, "bucket", b->name,
                    arena_printf(j->a, STR_FMT ": no block covers " STR_FMT " to " STR_FMT ", a hole of " STR_FMT, STR_ARG(say_labels(j->a, group->labels)),
                                 STR_ARG(say_time(j->a, all.p[i - 1].maxt_ms)), STR_ARG(say_time(j->a, all.p[i].mint_ms)),
                                 STR_ARG(say_duration(j->a, all.p[i].mint_ms - all.p[i - 1].maxt_ms))),
                    STR("If Prometheus still has blocks of that time, remove their names from thanos.shipper.json in its data folder and restart the sidecar: it "
                        "uploads them. If nothing ran then, leave it."));
        if (all.n > HOLES_SHOWN + 1)
                say(j, DOCTOR_FINDING, "bucket", b->name, arena_printf(j->a, STR_FMT ": and %zu further holes", STR_ARG(say_labels(j->a, group->labels)), all.n - 1 - HOLES_SHOWN),
                    STR("Fill the first ones, as said above, and run this again."));
        if (all.n)
                say(j, DOCTOR_OK, "bucket", b->name,
                    arena_printf(j->a, STR_FMT ": from " STR_FMT " to " STR_FMT "%s", STR_ARG(say_labels(j->a, group->labels)), STR_ARG(say_time(j->a, all.p[0].mint_ms)),
                                 STR_ARG(say_time(j->a, all.p[all.n - 1].maxt_ms)), all.n == 1 ? " without a hole" : ""),
                    STR(""));
        vec_done(&all);
}

static void judge_partial(struct judge *j, const struct doctor_bucket *b)
{
        for (size_t i = 0; i < b->n_partial; i++) {
                const struct doctor_block *x = &b->partial[i];
                if (j->f->now_ms - x->made_ms < UPLOAD_MAX_MS)
                        continue;               /* may be on its way */
                say(j, DOCTOR_FINDING, "bucket", b->name, arena_printf(j->a, "block " STR_FMT " has no meta.json: its upload was broken off", STR_ARG(x->id)),
                    STR("If its Prometheus still has it, restart the sidecar, which uploads it again; else delete the folder of that name from the bucket."));
        }
}

/* Do all the Prometheus that were asked have too few samples yet for a block? */
static bool is_new_install(const struct judge *j, int64_t range)
{
        for (size_t i = 0; i < j->f->n_prometheus; i++) {
                TimeMs lowest = j->f->prometheus[i].lowest_ms;
                if (lowest == TIME_MS_MIN || j->f->now_ms - lowest > 2 * range + GRACE_MAX_MS)
                        return false;
        }
        return j->f->n_prometheus > 0;
}

static void judge_empty(struct judge *j, const struct doctor_bucket *b)
{
        int64_t range = block_range_of(j, (Labels){NULL, 0});
        Str first = say_duration(j->a, range * 3 / 2);
        if (is_new_install(j, range))
                say(j, DOCTOR_OK, "bucket", b->name,
                    arena_printf(j->a, "there is no block in it yet: the first comes one and a half block ranges (" STR_FMT ") after the first sample", STR_ARG(first)), STR(""));
        else
                say(j, DOCTOR_FINDING, "bucket", b->name, STR("there is no block in it"),
                    arena_printf(j->a, "The first comes one and a half block ranges (" STR_FMT ") after Prometheus started. If it is later than that, check that this is the "
                                       "bucket (a folder that is not there is an empty one), and the sidecar's --objstore.config and its log.",
                                 STR_ARG(first)));
}

void judge_bucket(struct judge *j, const struct doctor_bucket *b)
{
        if (b->problem.n) {
                say(j, DOCTOR_UNKNOWN, "bucket", b->name, b->problem, STR("Check the bucket's configuration: endpoint, name, keys, and that it can be reached from here."));
                return;
        }
        StreamVec streams = VEC_INIT, groups = VEC_INIT;
        streams_of(b, &streams);
        for (size_t i = 0; i < streams.n; i++) {
                judge_newest(j, b, &streams.p[i]);
                struct stream *g = stream_of(&groups, without_replica_labels(j, streams.p[i].labels));
                for (size_t k = 0; k < streams.p[i].any.n; k++)
                        vec_push(&g->any, streams.p[i].any.p[k]);
        }
        for (size_t i = 0; i < groups.n; i++)
                judge_holes(j, b, &groups.p[i]);
        if (streams.n == 0)
                judge_empty(j, b);
        judge_partial(j, b);
        streams_done(&streams);
        streams_done(&groups);
}
