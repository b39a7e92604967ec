/* SPDX-License-Identifier: Apache-2.0 */
/* api_result.c — vectors and matrices as JSON. Large ones are cut into pieces of whole series that the query's pool prints side by
 * side, some at a time, and that are sent in order; the handler's own thread waits for the client, never one of the pool. The steps
 * of a range query are the same in every series: their text is made once. */
#include "base/pool.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "model/histogram.h"
#include "web/serve.h"

enum {
        PIECE_POINTS = 2048,    /* about 64 KiB of text */
        PIECES_MAX = 16,        /* at a time */
        PIECE_MAX_BYTES = 256 << 20,
        TEXT_BYTES = FLOAT_PREFIX_BYTES,        /* of a time: 21, and what stands around it */
        TEXTS_MAX_BYTES = 1 << 20,
};

/* "[1767204600,\"" for each step. */
struct step_texts {
        TimeMs start;
        int64_t step;
        size_t n;               /* 0: none were made */
        char (*text)[TEXT_BYTES];
        uint8_t *len;
};

struct piece {
        size_t from, to;        /* series */
        struct buf out;
};

struct printing {
        const struct query_result *res;
        struct step_texts texts;
        struct piece pieces[PIECES_MAX];
};

static void step_texts_make(struct step_texts *t, TimeMs start, int64_t step, size_t n, struct arena *a)
{
        *t = (struct step_texts){.start = start, .step = step};
        if (step <= 0 || n > TEXTS_MAX_BYTES / TEXT_BYTES)
                return;
        t->text = arena_try_alloc(a, n * sizeof *t->text);
        t->len = arena_try_alloc(a, n);
        if (!t->text || !t->len)
                return;
        struct buf b = BUF_INIT(1 << 10);
        for (size_t i = 0; i < n; i++) {
                buf_clear(&b);
                buf_putc(&b, '[');
                json_put_ms(&b, start + (int64_t)i * step);
                buf_puts(&b, ",\"");
                if (b.n > TEXT_BYTES) {
                        buf_done(&b);
                        return;
                }
                memset(t->text[i], 0, TEXT_BYTES);
                memcpy(t->text[i], b.p, b.n);
                t->len[i] = (uint8_t)b.n;
        }
        buf_done(&b);
        t->n = n;
}

/* How many of the next points are at steps k, k + 1, … */
static size_t run_of(const struct result_series *s, size_t i, const struct step_texts *texts, size_t k)
{
        size_t n = 0, most = MIN(MIN((size_t)FLOAT_RUN_MAX, s->n - i), texts->n - k);
        while (n < most && s->t[i + n] == texts->start + (int64_t)(k + n) * texts->step)
                n++;
        return n;
}

static void put_points(struct buf *b, const struct result_series *s, const struct step_texts *texts)
{
        size_t k = 0;
        for (size_t i = 0; i < s->n;) {
                if (i)
                        buf_putc(b, ',');
                while (k < texts->n && texts->start + (int64_t)k * texts->step < s->t[i])
                        k++;
                size_t n = k < texts->n ? run_of(s, i, texts, k) : 0;
                if (UNLIKELY(n == 0)) {
                        json_put_point(b, s->t[i], s->v[i]);
                        i++;
                        continue;
                }
                char *from = buf_reserve(b, FLOAT_RUN_BYTES);
                if (!from)
                        return;
                b->n += (size_t)(float_print_points(from, s->v + i, n, (const char(*)[FLOAT_PREFIX_BYTES])texts->text + k, texts->len + k) - from);
                i += n;
                k += n;
        }
}

static void put_histogram_point(struct buf *b, TimeMs t, const struct histogram *h)
{
        buf_putc(b, '[');
        json_put_ms(b, t);
        buf_putc(b, ',');
        buf_put_histogram_json(b, h);
        buf_putc(b, ']');
}

static void put_series(struct buf *b, const struct result_series *s, bool matrix, const struct step_texts *texts)
{
        buf_puts(b, "{\"metric\":");
        json_put_labels(b, s->labels);
        if (matrix) {
                if (s->n || !s->n_h) {
                        buf_puts(b, ",\"values\":[");
                        put_points(b, s, texts);
                        buf_putc(b, ']');
                }
                for (size_t k = 0; k < s->n_h; k++) {
                        buf_puts(b, k ? "," : ",\"histograms\":[");
                        put_histogram_point(b, s->h_t[k], s->h[k]);
                }
                buf_puts(b, s->n_h ? "]}" : "}");
        } else if (s->n == 0) {
                buf_puts(b, ",\"histogram\":");
                put_histogram_point(b, s->h_t[0], s->h[0]);
                buf_putc(b, '}');
        } else {
                buf_puts(b, ",\"value\":");
                json_put_point(b, s->t[0], s->v[0]);
                buf_putc(b, '}');
        }
}

static void print_piece(void *ctx, size_t item, int worker)
{
        (void)worker;
        struct printing *p = ctx;
        struct piece *piece = &p->pieces[item];
        buf_clear(&piece->out);
        for (size_t i = piece->from; i < piece->to; i++) {
                if (i)
                        buf_putc(&piece->out, ',');
                put_series(&piece->out, &p->res->series[i], p->res->type == VALUE_MATRIX, &p->texts);
        }
}

static size_t points_of(const struct result_series *s)
{
        return 4 + s->n + 32 * s->n_h;          /* labels are text too */
}

void api_put_series(struct api *a, const struct query_result *res, TimeMs start_ms, int64_t step_ms)
{
        size_t points = 0, most = 0;
        for (size_t i = 0; i < res->n_series; i++) {
                points += points_of(&res->series[i]);
                most = MAX(most, res->series[i].n);
        }
        struct printing p = {.res = res};
        if (res->type == VALUE_MATRIX && res->n_series > 1 && most > 1) {
                TimeMs last = start_ms;
                for (size_t i = 0; i < res->n_series; i++)
                        if (res->series[i].n)
                                last = MAX(last, res->series[i].t[res->series[i].n - 1]);
                if (step_ms > 0 && (uint64_t)(last - start_ms) / (uint64_t)step_ms < TEXTS_MAX_BYTES)
                        step_texts_make(&p.texts, start_ms, step_ms, (size_t)((last - start_ms) / step_ms) + 1, a->r->arena);
        }
        for (size_t i = 0; i < PIECES_MAX; i++)
                buf_init(&p.pieces[i].out, PIECE_MAX_BYTES);
        buf_putc(&a->out, '[');
        size_t at = 0;
        if (points <= 2 * PIECE_POINTS) {
                for (; at < res->n_series; at++) {
                        if (at)
                                buf_putc(&a->out, ',');
                        put_series(&a->out, &res->series[at], res->type == VALUE_MATRIX, &p.texts);
                }
        }
        while (at < res->n_series && !a->write_error) {
                size_t n = 0;
                for (; n < PIECES_MAX && at < res->n_series; n++) {
                        size_t room = 0;
                        p.pieces[n].from = at;
                        for (; at < res->n_series && room < PIECE_POINTS; at++)
                                room += points_of(&res->series[at]);
                        p.pieces[n].to = at;
                }
                pool_each(engine_pool(a->engine), n, print_piece, &p);
                for (size_t i = 0; i < n; i++)
                        api_send(a, &p.pieces[i].out);
        }
        buf_putc(&a->out, ']');
        for (size_t i = 0; i < PIECES_MAX; i++)
                buf_done(&p.pieces[i].out);
}
