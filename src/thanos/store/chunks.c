/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks by ranges.
 *
 * The index says where a chunk begins, not where it ends; the chunk behind it in the index mostly does. Chunks that lie
 * near each other in their segment are read as one part, parts of one window beside each other. A chunk that turns out
 * to be longer is read again by itself. */
#include <inttypes.h>

#include "codec/crc32c.h"
#include "codec/varint.h"
#include "thanos/store/store_impl.h"

enum { CHUNK_BYTES_MAX = 64 << 20, PART_BYTES_MAX = 4 << 20, CHUNK_ENCODING_AGGREGATES = 0xff };

struct want {
        uint32_t segment, bytes;
        uint64_t at;
        struct store_chunk *to;
        uint32_t part;
};
struct part {
        uint32_t segment;
        uint64_t at, end;
        struct buf bytes;
        struct error *e;
};
struct chunk_window {
        struct bucket_store *store;
        VEC(struct part) parts;
        uint64_t reserved;
};
struct job {
        struct store_block *b;
        const struct bucket_call *c;
        struct chunk_window *w;
};

void chunk_window_free(struct chunk_window *w)
{
        if (!w)
                return;
        for (size_t i = 0; i < w->parts.n; i++) {
                buf_done(&w->parts.p[i].bytes);
                error_free(w->parts.p[i].e);
        }
        vec_done(&w->parts);
        __atomic_sub_fetch(&w->store->chunk_bytes, w->reserved, __ATOMIC_SEQ_CST);
        free(w);
}

static struct error *reserve(struct chunk_window *w, uint64_t n)
{
        uint64_t now = __atomic_add_fetch(&w->store->chunk_bytes, n, __ATOMIC_SEQ_CST);
        w->reserved += n;
        if (now > w->store->o.chunk_pool_bytes)
                return error_new(ERROR_LIMIT, "allocate chunk bytes: pool exhausted");
        return NULL;
}

static int want_cmp(const void *a, const void *b)
{
        const struct want *x = a, *y = b;
        if (x->segment != y->segment)
                return x->segment < y->segment ? -1 : 1;
        return x->at < y->at ? -1 : x->at > y->at;
}

static void part_step(void *ctx, size_t i, UNUSED int worker)
{
        struct job *j = ctx;
        struct part *p = &j->w->parts.p[i];
        (void)buf_reserve(&p->bytes, p->end - p->at); /* at once, not by growing */
        p->e = bucket_get_range(j->b->store->o.bucket, j->c, str_from(j->b->chunk_names[p->segment]), p->at,
                                p->end - p->at, &p->bytes);
}

/* --- one chunk --- */

enum parse { PARSE_OK, PARSE_CUT, PARSE_BAD };

/* bytes begin with the chunk; *ret_need is how many it takes. */
static enum parse chunk_parse(Str bytes, Str *ret, uint8_t *ret_encoding, uint64_t *ret_need)
{
        struct cursor c = cursor_of(bytes);
        uint64_t n = take_uvarint(&c);
        if (c.bad) {
                *ret_need = VARINT_MAX_BYTES;
                return bytes.n >= VARINT_MAX_BYTES ? PARSE_BAD : PARSE_CUT;
        }
        if (n > CHUNK_BYTES_MAX)
                return PARSE_BAD;
        *ret_need = (uint64_t)((const char *)c.p - bytes.p) + 1 + n + 4;
        if (*ret_need > bytes.n)
                return PARSE_CUT;
        if (crc32c(0, c.p, n + 1) != get_be32(c.p + n + 1))
                return PARSE_BAD;
        *ret_encoding = *c.p;
        *ret = (Str){(const char *)c.p + 1, n};
        return PARSE_OK;
}

static struct error *aggregates_take(Str data, unsigned aggregates, struct store_chunk *to)
{
        static const char *const names[AGGREGATE_N] = {"count", "sum", "min", "max", "counter"};
        struct cursor c = cursor_of(data);
        for (int i = 0; i < AGGREGATE_N; i++) {
                uint64_t n = take_uvarint(&c);
                Str part = {0};
                if (n) {
                        uint8_t encoding = take_u8(&c);
                        part = take_str(&c, n);
                        if (!c.bad && encoding != CHUNK_XOR)
                                return error_new(ERROR_UNSUPPORTED, "aggregate %s of encoding %d", names[i], encoding);
                }
                if (c.bad)
                        return error_new(ERROR_CORRUPT, "aggregates of a chunk are cut off");
                if (!(aggregates >> i & 1))
                        continue;
                if (!n)
                        return error_new(ERROR_NOT_FOUND, "aggregate %s does not exist", names[i]);
                to->aggregates[i] = part;
        }
        return NULL;
}

static struct error *chunk_place(const struct store_block *b, const struct want *w, const char *what) MUST_CHECK;
static struct error *chunk_place(const struct store_block *b, const struct want *w, const char *what)
{
        return error_new(ERROR_CORRUPT, "%s: the chunk at %" PRIu64 " %s", b->chunk_names[w->segment], w->at, what);
}

/* A chunk longer than what was read of it. */
static struct error *read_again(struct job *j, const struct want *w, uint64_t need, Str *ret, uint8_t *ret_encoding)
{
        for (int turn = 0; turn < 2; turn++) {
                struct part p = {.segment = w->segment, .at = w->at, .end = w->at + need};
                struct error *e = reserve(j->w, need);
                if (e)
                        return e;
                buf_init(&p.bytes, need);
                vec_push(&j->w->parts, p);
                part_step(j, j->w->parts.n - 1, 0);
                struct part *got = &j->w->parts.p[j->w->parts.n - 1];
                if ((e = got->e)) {
                        got->e = NULL;
                        return e;
                }
                uint64_t had = need;
                enum parse is = chunk_parse(buf_str(&got->bytes), ret, ret_encoding, &need);
                if (is == PARSE_OK)
                        return NULL;
                if (is == PARSE_BAD || got->bytes.n < had)
                        break;
        }
        return chunk_place(j->b, w, "is cut off or damaged");
}

static struct error *chunk_take(struct job *j, const struct want *w, unsigned aggregates)
{
        const struct part *p = &j->w->parts.p[w->part];
        Str data;
        uint8_t encoding;
        uint64_t need = 0;
        if (w->at - p->at >= p->bytes.n)
                return chunk_place(j->b, w, "lies behind the end of the file");
        enum parse is = chunk_parse(str_skip(buf_str(&p->bytes), w->at - p->at), &data, &encoding, &need);
        struct error *e = NULL;
        if (is == PARSE_BAD)
                return chunk_place(j->b, w, "is damaged");
        if (is == PARSE_CUT)
                e = read_again(j, w, need, &data, &encoding);
        if (e)
                return e;
        if (encoding == CHUNK_ENCODING_AGGREGATES) {
                w->to->encoding = CHUNK_NONE;
                return aggregates_take(data, aggregates, w->to);
        }
        if (encoding < CHUNK_XOR || encoding > CHUNK_FLOAT_HISTOGRAM)
                return error_new(ERROR_UNSUPPORTED, "unsupported chunk encoding %d", encoding);
        w->to->encoding = (enum chunk_encoding)encoding;
        w->to->raw = data;
        return NULL;
}

/* --- a window --- */

static struct error *plan_parts(const struct store_block *b, struct chunk_window *w, struct want *wants, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct want *x = &wants[i];
                uint64_t end = x->at + x->bytes;
                struct part *p = w->parts.n ? &w->parts.p[w->parts.n - 1] : NULL;
                bool joins =
                        p && p->segment == x->segment &&
                        (x->at <= p->end || (x->at - p->end <= b->store->o.gap_bytes && end - p->at <= PART_BYTES_MAX));
                if (joins) {
                        p->end = MAX(p->end, end);
                } else {
                        vec_push(&w->parts, (struct part){.segment = x->segment, .at = x->at, .end = end});
                }
                x->part = (uint32_t)(w->parts.n - 1);
        }
        struct error *e = NULL;
        for (size_t i = 0; !e && i < w->parts.n; i++) {
                struct part *p = &w->parts.p[i];
                buf_init(&p->bytes, p->end - p->at);
                e = reserve(w, p->end - p->at);
        }
        return e;
}

struct error *chunk_window_read(struct store_block *b, const struct stream_series *series, size_t n,
                                unsigned aggregates, const struct bucket_call *c, struct store_limits *limits,
                                struct arena *arena, struct store_chunk **ret_chunks, struct chunk_window **ret)
{
        size_t n_chunks = 0;
        for (size_t i = 0; i < n; i++)
                n_chunks += series[i].n_chunks;
        struct store_chunk *out = arena_try_alloc(arena, arena_array_bytes(n_chunks + 1, sizeof *out));
        struct want *wants = arena_try_alloc(arena, arena_array_bytes(n_chunks + 1, sizeof *wants));
        if (!out || !wants)
                return store_over_budget(arena);
        size_t k = 0;
        for (size_t i = 0; i < n; i++) {
                for (size_t m = 0; m < series[i].n_chunks; m++, k++) {
                        const struct stream_chunk *s = &series[i].chunks[m];
                        out[k] = (struct store_chunk){.mint_ms = s->mint_ms, .maxt_ms = s->maxt_ms};
                        wants[k] = (struct want){.segment = (uint32_t)(s->ref >> 32),
                                                 .at = (uint32_t)s->ref,
                                                 .bytes = s->bytes ? s->bytes : b->chunk_guess,
                                                 .to = &out[k]};
                        if (wants[k].segment >= b->n_chunk_names)
                                return error_new(ERROR_CORRUPT,
                                                 "reference sequence %" PRIu32 " out of range: %zu segment files",
                                                 wants[k].segment, b->n_chunk_names);
                }
        }
        bool is_sorted = true;
        for (size_t i = 1; i < k && is_sorted; i++)
                is_sorted = want_cmp(&wants[i - 1], &wants[i]) <= 0;
        if (!is_sorted)
                qsort(wants, k, sizeof *wants, want_cmp);
        struct chunk_window *w = mem_new(struct chunk_window);
        w->store = b->store;
        struct job j = {b, c, w};
        struct error *e = plan_parts(b, w, wants, k);
        uint64_t bytes = 0;
        for (size_t i = 0; i < w->parts.n; i++)
                bytes += w->parts.p[i].end - w->parts.p[i].at;
        if (!e)
                e = store_limit_bytes(limits, bytes, "fetching chunks");
        if (!e)
                pool_each(w->parts.n > 1 ? b->store->io : NULL, w->parts.n, part_step, &j);
        for (size_t i = 0; !e && i < w->parts.n; i++) {
                e = w->parts.p[i].e;
                w->parts.p[i].e = NULL;
        }
        for (size_t i = 0; !e && i < k; i++)
                e = chunk_take(&j, &wants[i], aggregates);
        if (e) {
                chunk_window_free(w);
                return e;
        }
        if (b->store->m.touched[DATA_CHUNKS]) {
                metric_observe(b->store->m.touched[DATA_CHUNKS], (double)k);
                metric_observe(b->store->m.fetched_bytes[DATA_CHUNKS], (double)bytes);
        }
        *ret_chunks = out;
        *ret = w;
        return NULL;
}
