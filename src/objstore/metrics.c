/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c — a bucket whose operations are counted. Histograms are of what succeeded, as upstream's; a call that its
 * caller gave up is no failure. Upstream: objstore/objstore.go metricBucket, under Thanos' prefix */
#include "objstore/bucket_impl.h"

enum op { OP_ITER, OP_GET, OP_GET_RANGE, OP_EXISTS, OP_UPLOAD, OP_DELETE, OP_ATTRIBUTES, OPS };
static const Str op_names[OPS] = {STR_INIT("iter"),   STR_INIT("get"),    STR_INIT("get_range"), STR_INIT("exists"),
                                  STR_INIT("upload"), STR_INIT("delete"), STR_INIT("attributes")};

struct metrics_bucket {
        struct bucket b;
        struct bucket *inner;
        struct bucket_ops ops;
        struct metric *total[OPS], *failures[OPS], *seconds[OPS];
        struct metric *fetched_bytes[OPS], *transferred_bytes[OPS]; /* of get, get_range and upload */
        struct metric *last_upload;
};

static struct metrics_bucket *self(struct bucket *b)
{
        return CONTAINER_OF(b, struct metrics_bucket, b);
}

static void metrics_free(struct bucket *b)
{
        struct metrics_bucket *m = self(b);
        bucket_free(m->inner);
        free(m);
}

static int64_t begin(struct metrics_bucket *m, enum op op)
{
        metric_add(m->total[op], 1);
        return time_mono_ns();
}

static struct error *end(struct metrics_bucket *m, const struct bucket_call *c, enum op op, int64_t begin_ns,
                         struct error *take_e)
{
        bool expected =
                error_is(take_e, ERROR_CANCELLED) || (c->not_found_is_expected && error_is(take_e, ERROR_NOT_FOUND));
        if (take_e && !expected)
                metric_add(m->failures[op], 1);
        if (!take_e || op == OP_ITER)
                metric_observe(m->seconds[op], (double)(time_mono_ns() - begin_ns) / 1e9);
        return take_e;
}

static struct error *metrics_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags,
                                  bucket_each *each, void *arg)
{
        int64_t t = begin(self(b), OP_ITER);
        return end(self(b), c, OP_ITER, t, bucket_iter(self(b)->inner, c, dir, flags, each, arg));
}

struct counting_sink {
        struct bucket_sink sink, *to;
        uint64_t n;
};

static struct error *count_piece(struct bucket_sink *s, Str piece)
{
        struct counting_sink *k = CONTAINER_OF(s, struct counting_sink, sink);
        k->n += piece.n;
        return k->to->write(k->to, piece);
}

static struct error *metrics_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                  struct bucket_sink *sink)
{
        struct metrics_bucket *m = self(b);
        struct counting_sink k = {.sink.write = count_piece, .to = sink};
        enum op op = at == 0 && n == BUCKET_TO_END ? OP_GET : OP_GET_RANGE;
        int64_t t = begin(m, op);
        struct error *e = end(m, c, op, t, bucket_read(m->inner, c, name, at, n, &k.sink));
        metric_add(m->fetched_bytes[op], (double)k.n);
        if (!e)
                metric_observe(m->transferred_bytes[op], (double)k.n);
        return e;
}

static struct error *metrics_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                        struct bucket_attributes *ret)
{
        int64_t t = begin(self(b), OP_ATTRIBUTES);
        return end(self(b), c, OP_ATTRIBUTES, t, bucket_get_attributes(self(b)->inner, c, name, ret));
}

static struct error *metrics_exists(struct bucket *b, const struct bucket_call *c, Str name, bool *ret)
{
        int64_t t = begin(self(b), OP_EXISTS);
        return end(self(b), c, OP_EXISTS, t, bucket_exists(self(b)->inner, c, name, ret));
}

struct counting_source {
        struct bucket_source source, *from;
        uint64_t n;
};

static struct error *count_read(struct bucket_source *s, char *p, size_t n, size_t *ret_n)
{
        struct counting_source *k = CONTAINER_OF(s, struct counting_source, source);
        struct error *e = k->from->read(k->from, p, n, ret_n);
        if (!e)
                k->n += *ret_n;
        return e;
}

static struct error *metrics_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        struct metrics_bucket *m = self(b);
        struct counting_source k = {.source.read = count_read, .from = body.stream, .n = body.memory.n};
        if (body.stream)
                body.stream = &k.source;
        int64_t t = begin(m, OP_UPLOAD);
        struct error *e = end(m, c, OP_UPLOAD, t, bucket_upload_body(m->inner, c, name, body));
        if (!e) {
                metric_observe(m->transferred_bytes[OP_UPLOAD], (double)k.n);
                metric_set(m->last_upload, (double)time_now_ms() / 1e3);
        }
        return e;
}

static struct error *metrics_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        int64_t t = begin(self(b), OP_DELETE);
        return end(self(b), c, OP_DELETE, t, bucket_delete(self(b)->inner, c, name));
}

static const struct bucket_ops metrics_ops = {
        .is_wrapper = true,
        .free = metrics_free,
        .iter = metrics_iter,
        .read = metrics_read,
        .attributes = metrics_attributes,
        .exists = metrics_exists,
        .upload = metrics_upload,
        .delete = metrics_delete,
};

struct bucket *metrics_bucket_new(struct bucket *take_inner, struct metric_registry *r)
{
        static const double seconds[] = {0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120};
        static const char *const labels[] = {"bucket", "operation", NULL};
        double bytes[16];
        for (int i = 0; i < 16; i++)
                bytes[i] = (double)(32768ULL << i);
        struct metrics_bucket *m = mem_new(struct metrics_bucket);
        m->inner = take_inner;
        m->ops = metrics_ops;
        m->ops.provider = bucket_provider(take_inner);
        m->b = (struct bucket){&m->ops, mem_strdup(bucket_name(take_inner))};
        struct metric_family *total =
                metric_family(r, METRIC_FAMILY_COUNTER, "thanos_objstore_bucket_operations_total",
                              "Total number of all attempted operations against a bucket.", labels);
        struct metric_family *failures =
                metric_family(r, METRIC_FAMILY_COUNTER, "thanos_objstore_bucket_operation_failures_total",
                              "Total number of operations against a bucket that failed, but were not expected to fail "
                              "in certain way from caller perspective. "
                              "Those errors have to be investigated.",
                              labels);
        struct metric_family *fetched =
                metric_family(r, METRIC_FAMILY_COUNTER, "thanos_objstore_bucket_operation_fetched_bytes_total",
                              "Total number of bytes fetched from bucket, per operation.", labels);
        struct metric_family *transferred =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, "thanos_objstore_bucket_operation_transferred_bytes",
                              "Number of bytes transferred from/to bucket per operation.", labels);
        metric_family_set_buckets(transferred, bytes, ARRAY_LEN(bytes));
        struct metric_family *duration =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, "thanos_objstore_bucket_operation_duration_seconds",
                              "Duration of successful operations against the bucket per operation - iter operations "
                              "include time spent on each callback.",
                              labels);
        metric_family_set_buckets(duration, seconds, ARRAY_LEN(seconds));
        for (enum op op = 0; op < OPS; op++) {
                Str values[] = {str_from(m->b.name), op_names[op]};
                m->total[op] = metric_with(total, values);
                m->failures[op] = metric_with(failures, values);
                m->seconds[op] = metric_with(duration, values);
                if (op != OP_GET && op != OP_GET_RANGE && op != OP_UPLOAD)
                        continue;
                m->fetched_bytes[op] = metric_with(fetched, values);
                m->transferred_bytes[op] = metric_with(transferred, values);
        }
        struct metric_family *last = metric_family(
                r, METRIC_FAMILY_GAUGE, "thanos_objstore_bucket_last_successful_upload_time",
                "Second timestamp of the last successful upload to the bucket.", (const char *[]){"bucket", NULL});
        m->last_upload = metric_with(last, (Str[]){str_from(m->b.name)});
        return &m->b;
}
