/* SPDX-License-Identifier: Apache-2.0 */
/* messages_test.c — every recorded message means what index.json says, and is written back byte by byte. */
#include "thanos/storeapi/messages.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/base64.h"
#include "codec/json.h"

enum { ARENA_BYTES = 64 << 20 };

static const struct {
        const char *method;
        const struct pb_message *request, *response;
} methods[] = {
        {"/thanos.info.Info/Info", &pb_nothing, &pb_info_response},
        {"/thanos.Store/Series", &pb_series_request, &pb_series_response},
        {"/thanos.Store/LabelNames", &pb_label_names_request, &pb_label_names_response},
        {"/thanos.Store/LabelValues", &pb_label_values_request, &pb_label_values_response},
        {"/thanos.Rules/Rules", &pb_rules_request, &pb_rules_response},
        {"/thanos.Targets/Targets", &pb_targets_request, &pb_targets_response},
        {"/thanos.Metadata/MetricMetadata", &pb_metadata_request, &pb_metadata_response},
        {"/thanos.Exemplars/Exemplars", &pb_exemplars_request, &pb_exemplars_response},
        {"/thanos.Query/Query", &pb_query_request, &pb_query_response},
        {"/thanos.Query/QueryRange", &pb_query_range_request, &pb_query_response},
};

static struct arena arena;

static void compare(const struct pb_message *m, const void *v, const struct json *j, const char *where);

static void compare_any(const struct pb_any *any, const struct json *j, const char *where)
{
        CHECK_STRS(any->type_url, json_str(json_get(j, STR("@type"))));
        const struct pb_message *m =
                str_has_suffix(any->type_url, STR("RequestHints")) ? &pb_request_hints : &pb_response_hints;
        union {
                struct pb_request_hints request;
                struct pb_response_hints response;
        } hints;
        CHECK_OK(pb_decode(m, any->value, &arena, &hints));
        compare(m, &hints, j, where);
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        pb_encode(m, &hints, &b);
        CHECK_STRS(buf_str(&b), any->value);
        buf_done(&b);
}

/* RFC 3339 with as many digits as are needed in threes. */
static void compare_time(const struct pb_timestamp *t, const struct json *j)
{
        char b[64];
        time_t s = (time_t)t->seconds;
        struct tm tm;
        gmtime_r(&s, &tm);
        size_t n = strftime(b, sizeof b, "%Y-%m-%dT%H:%M:%S", &tm);
        if (t->nanos % 1000)
                n += (size_t)snprintf(b + n, sizeof b - n, ".%09d", t->nanos);
        else if (t->nanos % 1000000)
                n += (size_t)snprintf(b + n, sizeof b - n, ".%06d", t->nanos / 1000);
        else if (t->nanos)
                n += (size_t)snprintf(b + n, sizeof b - n, ".%03d", t->nanos / 1000000);
        snprintf(b + n, sizeof b - n, "Z");
        CHECK_STR(json_str(j), b);
}

static double number_of(const struct json *j)
{
        Str s = j->type == JSON_STRING ? j->text : STR("");
        return str_eq(s, STR("NaN"))         ? (double)NAN
               : str_eq(s, STR("Infinity"))  ? INFINITY
               : str_eq(s, STR("-Infinity")) ? -INFINITY
                                             : json_f64(j);
}

static void compare_scalar(const struct pb_field *f, const void *v, const struct json *j, const char *where)
{
        char b[32];
        int64_t i64;
        int32_t i32;
        double d;
        bool t;
        switch (f->kind) {
        case PB_INT64:
        case PB_SINT64:
        case PB_UINT64:
                memcpy(&i64, v, 8);
                snprintf(b, sizeof b, f->kind == PB_UINT64 ? "%llu" : "%lld", (long long)i64);
                CHECK_STR(j->text, b);
                return;
        case PB_INT32:
        case PB_SINT32:
        case PB_UINT32:
                memcpy(&i32, v, 4);
                if (f->enum_names && j->type == JSON_STRING)
                        CHECK_STR(j->text, f->enum_names[i32]);
                else
                        CHECK_I64(json_i64(j), i32);
                return;
        case PB_DOUBLE:
                memcpy(&d, v, 8);
                CHECK_F64(d, number_of(j));
                return;
        case PB_BOOL:
                memcpy(&t, v, sizeof t);
                CHECK_I64(json_bool(j), t);
                return;
        case PB_STR: {
                Str s;
                memcpy(&s, v, sizeof s);
                if (f->flags & PB_BYTES) {
                        struct buf raw = BUF_INIT(BUF_NO_LIMIT);
                        CHECK(base64_decode(json_str(j), &raw));
                        CHECK_STRS(s, buf_str(&raw));
                        buf_done(&raw);
                } else {
                        CHECK_STRS(s, json_str(j));
                }
                return;
        }
        case PB_MESSAGE:
        case PB_INLINE:
                if (f->sub == &pb_any)
                        compare_any(v, j, where);
                else if (f->sub == &pb_timestamp)
                        compare_time(v, j);
                else
                        compare(f->sub, v, j, where);
        }
}

static bool is_default(const struct pb_field *f, const void *at)
{
        static const char zeros[sizeof(Str)];
        struct pb_array array;
        if (f->flags & PB_REPEATED) {
                memcpy(&array, at, sizeof array);
                return array.n == 0;
        }
        if (f->kind == PB_INLINE || f->kind == PB_MESSAGE || f->flags & PB_PRESENT)
                return f->kind != PB_INLINE && memcmp(at, zeros, sizeof(void *)) == 0;
        if (f->kind == PB_STR) {
                Str s;
                memcpy(&s, at, sizeof s);
                return s.n == 0;
        }
        return memcmp(at, zeros, pb_size_of(f)) == 0;
}

/* Every field of j is in v, and the other way round. */
static void compare(const struct pb_message *m, const void *v, const struct json *j, const char *where)
{
        size_t seen = 0;
        CHECK_MSG(j->type == JSON_OBJECT, "%s: %s is no object", where, m->name);
        for (size_t i = 0; i < m->n_fields; i++) {
                const struct pb_field *f = &m->fields[i];
                const void *at = (const char *)v + f->offset;
                const struct json *x = json_get(j, str_from(f->name));
                seen += x != NULL;
                if (!x) {
                        CHECK_MSG(is_default(f, at), "%s: %s.%s is not in the JSON", where, m->name, f->name);
                        continue;
                }
                if (f->flags & PB_REPEATED) {
                        struct pb_array array;
                        memcpy(&array, at, sizeof array);
                        CHECK_MSG(array.n == x->n, "%s: %s.%s: %zu elements, not %zu", where, m->name, f->name, array.n,
                                  x->n);
                        for (size_t k = 0; k < array.n; k++) {
                                const void *element = (const char *)array.v + k * pb_size_of(f);
                                if (f->flags & PB_MAP) {
                                        const struct pb_metadata_pair *pair = element;
                                        const struct json *of_key = json_get(x, pair->key);
                                        CHECK_MSG(of_key && pair->value, "%s: key %.*s", where, STR_ARG(pair->key));
                                        compare(&pb_metadata_entry, pair->value, of_key, where);
                                } else {
                                        compare_scalar(f, element, json_at(x, k), where);
                                }
                        }
                } else if (f->kind == PB_MESSAGE || (f->flags & PB_PRESENT && f->kind != PB_STR)) {
                        const void *value;
                        memcpy(&value, at, sizeof value);
                        CHECK_MSG(value != NULL, "%s: %s.%s is missing", where, m->name, f->name);
                        compare_scalar(f, value, x, where);
                } else {
                        compare_scalar(f, at, x, where);
                }
        }
        bool any = json_get(j, STR("@type")) != NULL;
        CHECK_MSG(seen + any == j->n, "%s: %s: %zu of %zu fields known", where, m->name, seen, j->n);
}

static struct error *read_into(const char *path, struct buf *ret)
{
        char *p = NULL;
        size_t n = 0;
        struct error *e = file_read(path, ret->limit, &p, &n);
        if (!e)
                buf_append(ret, p, n);
        free(p);
        return e;
}

static void file_case(const char *dir, Str file, const struct pb_message *m, const struct json *want)
{
        char path[1024];
        struct buf bytes = BUF_INIT(64 << 20), again = BUF_INIT(BUF_NO_LIMIT);
        snprintf(path, sizeof path, "%s/%.*s", dir, STR_ARG(file));
        CHECK_OK(read_into(path, &bytes));
        void *v = arena_alloc(&arena, m->size);
        CHECK_OK(pb_decode(m, buf_str(&bytes), &arena, v));
        compare(m, v, want, path);
        pb_encode(m, v, &again);
        CHECK_MSG(str_eq(buf_str(&again), buf_str(&bytes)), "%s: %zu bytes, written again %zu", path, bytes.n, again.n);
        buf_done(&bytes);
        buf_done(&again);
        arena_clear(&arena);
}

TEST(storeapi, recorded_messages_mean_what_the_index_says_and_are_written_back_the_same)
{
        char *dir = conformance_path("grpc"), path[1024];
        struct buf text = BUF_INIT(256 << 20);
        struct arena of_index;
        const struct json *index;
        size_t n = 0;
        snprintf(path, sizeof path, "%s/index.json", dir);
        arena_init(&of_index, 1 << 30);
        arena_init(&arena, ARENA_BYTES);
        CHECK_OK(read_into(path, &text));
        CHECK_OK(json_parse(buf_str(&text), &of_index, &index));
        JSON_EACH(entry, index)
        {
                size_t k = 0;
                while (k < ARRAY_LEN(methods) &&
                       !str_eq(json_str(json_get(&entry->value, STR("method"))), str_from(methods[k].method)))
                        k++;
                CHECK(k < ARRAY_LEN(methods));
                file_case(dir, json_str(json_get(&entry->value, STR("request_file"))), methods[k].request,
                          json_get(&entry->value, STR("request")));
                n++;
                JSON_EACH(r, json_get(&entry->value, STR("responses")))
                {
                        file_case(dir, json_str(json_get(&r->value, STR("file"))), methods[k].response,
                                  json_get(&r->value, STR("message")));
                        n++;
                }
        }
        CHECK_MSG(n > 300, "only %zu messages", n);
        arena_done(&arena);
        arena_done(&of_index);
        buf_done(&text);
        free(dir);
}

static void refused(const struct pb_message *m, Str bytes, const char *why)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        void *v = arena_alloc(&a, m->size);
        CHECK_ERROR(pb_decode(m, bytes, &a, v), why);
        arena_done(&a);
}
#define BYTES(s) ((Str){(s), sizeof(s) - 1})

TEST(storeapi, refuses_what_is_no_message)
{
        refused(&pb_series_request, BYTES("\x08"), "proto: SeriesRequest: malformed message");
        refused(&pb_series_request, BYTES("\x0a\x01x"),
                "proto: wrong wireType = 2 for field min_time of SeriesRequest");
        refused(&pb_series_request, BYTES("\x1a\x05\x12\x7fxyz"), "proto: LabelMatcher: malformed message");
        refused(&pb_series_request, BYTES("\x2a\x02\x80\x80"), "proto: SeriesRequest: malformed message");
        refused(&pb_prom_histogram,
                BYTES("\x52\x07"
                      "1234567"),
                "proto: Histogram: malformed message");
}

TEST(storeapi, memory_is_bounded_whatever_the_input_claims)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        while (b.n < 200000)
                buf_append(&b, "\x12\x00", 2); /* chunks without a field */
        refused(&pb_series, buf_str(&b), "proto: Series: more memory than the limit");
        buf_done(&b);
}

TEST(storeapi, unknown_fields_are_read_over_and_packed_or_not_is_the_same)
{
        struct arena a;
        struct pb_series_request r;
        arena_init(&a, 1 << 20);
        CHECK_OK(pb_decode(&pb_series_request, BYTES("\x28\x05\xf8\x3f\x07\x2a\x02\x01\x02\x28\x04"), &a, &r));
        CHECK_U64(r.aggregates.n, 4);
        CHECK_I64(r.aggregates.v[0], PB_AGGR_COUNTER);
        CHECK_I64(r.aggregates.v[1], PB_AGGR_COUNT);
        CHECK_I64(r.aggregates.v[3], PB_AGGR_MAX);
        arena_done(&a);
}
