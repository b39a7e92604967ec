/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h — looks at an install the way its operator would by hand, and says what is wrong and what to do about it.
 *
 *   struct doctor_facts f = {.now_ms = time_now_ms()};
 *   doctor_ask_prometheus(&opts, &arena, url, &p);          one call for each part; it never fails: p.problem says why nothing is known
 *   struct doctor_report r = {0};
 *   doctor_judge(&f, &arena, &r);
 *   doctor_print(&r, &buf);  or doctor_print_json(&r, &buf);  return doctor_exit_code(&r);
 *
 * Facts are gathered first (gather.c) and judged after (judge.c, judge_bucket.c, judge_querier.c), so that the judgement is tested without
 * servers. All texts are in the arena. Threads: one. */
#ifndef THANOS_DOCTOR_DOCTOR_H
#define THANOS_DOCTOR_DOCTOR_H

#include "base/clock.h"
#include "io/http/client.h"
#include "model/labels.h"
#include "objstore/bucket.h"

/* --- what is known; problem not empty: nothing is, and why --- */

struct doctor_job {
        Str name;
        size_t total, up, down;         /* the rest was not scraped yet */
        Str down_url, down_error;       /* of one that is down */
        double samples;                 /* of all its targets' last scrapes; < 0: unknown */
};
struct doctor_prometheus {
        Str url, problem;
        const struct doctor_job *jobs;  /* by name */
        size_t n_jobs;
        Labels external;
        Str retention;                  /* "15d or 1GiB" */
        int64_t retention_ms;           /* 0: no limit by time, or unknown */
        int64_t min_block_ms, max_block_ms;     /* 0: unknown */
        TimeMs lowest_ms, newest_ms;    /* of its samples; TIME_MS_MIN: unknown */
        bool uploads_itself;            /* a `coeus up` with a bucket: a block stays until it is uploaded */
};
struct doctor_block {
        Str id;
        TimeMs mint_ms, maxt_ms, made_ms;       /* maxt exclusive; made: as the ULID says */
        Labels labels;
        int64_t resolution_ms;
        int level;
};
struct doctor_bucket {
        Str name, problem;
        const struct doctor_block *blocks;      /* any order */
        size_t n_blocks;
        const struct doctor_block *partial;     /* without a usable meta.json: only id and made_ms */
        size_t n_partial;
};
struct doctor_store {
        Str name, type, error;          /* error empty: none */
        const Labels *label_sets;
        size_t n_label_sets;
        TimeMs mint_ms, maxt_ms;        /* both inclusive */
};
struct doctor_querier {
        Str url, problem;
        const struct doctor_store *stores;
        size_t n_stores;
        TimeMs newest_ms;               /* newest sample of up that a query finds; TIME_MS_MIN: none */
        const Str *warnings;            /* of that query */
        size_t n_warnings;
};
struct doctor_sidecar {
        Str url, problem;
        bool is_ready, reaches_prometheus, ships;       /* ships: it counts uploads */
        double uploads, failures;       /* since it started */
};
struct doctor_facts {
        TimeMs now_ms;
        const struct doctor_prometheus *prometheus;
        size_t n_prometheus;
        const struct doctor_bucket *buckets;
        size_t n_buckets;
        const struct doctor_querier *queriers;
        size_t n_queriers;
        const struct doctor_sidecar *sidecars;
        size_t n_sidecars;
        const Str *replica_labels;      /* what differs between replicas and nothing else */
        size_t n_replica_labels;
};

/* --- asking --- */

struct doctor_opts {
        const struct http_client_conf *http;    /* NULL: plain */
        int64_t timeout_ms;                     /* of each request; 0: 10 s */
};
void doctor_ask_prometheus(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_prometheus *ret);
/* The bucket that a `coeus up` at that address has; false: it has none. */
bool doctor_ask_blocks(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_bucket *ret);
void doctor_ask_querier(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_querier *ret);
void doctor_ask_sidecar(const struct doctor_opts *o, struct arena *a, Str url, struct doctor_sidecar *ret);
void doctor_ask_bucket(const struct doctor_opts *o, struct arena *a, struct bucket *b, struct doctor_bucket *ret);

/* --- judging --- */

enum doctor_level { DOCTOR_OK, DOCTOR_FINDING, DOCTOR_UNKNOWN /* could not be checked */ };
struct doctor_line {
        enum doctor_level level;
        const char *check;              /* "targets", "replicas", "bucket", "retention", "stores", "coverage", "sidecar" */
        Str subject;                    /* whom it is about: a URL, a bucket */
        Str text, advice;               /* what is, and what to do; advice is empty where all is well */
};
struct doctor_report {
        VEC(struct doctor_line) lines;
};
void doctor_report_done(struct doctor_report *r);
void doctor_judge(const struct doctor_facts *f, struct arena *a, struct doctor_report *ret);

void doctor_print(const struct doctor_report *r, struct buf *b);
void doctor_print_json(const struct doctor_report *r, struct buf *b);
/* 0 all is well, 1 there are findings, 2 something could not be checked (whatever else was found). */
int doctor_exit_code(const struct doctor_report *r);

#endif
