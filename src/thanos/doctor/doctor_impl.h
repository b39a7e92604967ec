/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_impl.h — what the files of the doctor share. */
#ifndef THANOS_DOCTOR_DOCTOR_IMPL_H
#define THANOS_DOCTOR_DOCTOR_IMPL_H

#include "thanos/doctor/doctor.h"

struct judge {
        const struct doctor_facts *f;
        struct arena *a;
        struct doctor_report *r;
};
/* advice: printed after text; NULL for what is well. */
void say(struct judge *j, enum doctor_level level, const char *check, Str subject, Str text, Str advice);
Str say_duration(struct arena *a, int64_t ms); /* "2h10m": two units at most */
Str say_time(struct arena *a, TimeMs t);       /* "2026-11-24T21:12:57Z"; the ends of time as "the beginning", "now" */
Str say_labels(struct arena *a, Labels ls);
Labels without_replica_labels(const struct judge *j, Labels ls);

struct span {
        TimeMs mint_ms, maxt_ms;
};
typedef VEC(struct span) SpanVec;
/* Sorted and joined where they touch or are not further apart than slack_ms. */
void spans_unite(SpanVec *v, int64_t slack_ms);
/* Block range of the writer of those labels: as its Prometheus says, else as the blocks show; 2 h when nothing does. */
int64_t block_range_of(const struct judge *j, Labels external);

void judge_bucket(struct judge *j, const struct doctor_bucket *b);
void judge_querier(struct judge *j, const struct doctor_querier *q);

#endif
