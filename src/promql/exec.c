/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, limits and small work on label sets and columns of one query. */
#include "base/clock.h"
#include "base/float_bits.h"
#include "base/map.h"
#include "codec/float_text.h"
#include "promql/eval.h"

struct block {
        struct list link;
        size_t bytes;
        double v[];
};

static struct error *over_budget(const struct exec *q)
{
        return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                         q->max_bytes);
}

static size_t used_bytes(const struct exec *q)
{
        size_t n = q->block_bytes + q->series_bytes + q->arena->used_bytes + q->storage_arena.used_bytes;
        for (int i = 0; i < q->n_workers; i++)
                n += q->workers[i].keep.used_bytes + q->workers[i].batch.used_bytes +
                     q->workers[i].decoded.used_bytes + q->workers[i].scratch_cap * sizeof(double) +
                     (q->workers[i].raw.cap + q->workers[i].window.cap) * (sizeof(TimeMs) + sizeof(double));
        return n;
}

/* May more bytes be had? */
static struct error *charge(struct exec *q, size_t more)
{
        size_t used = used_bytes(q);
        if (used > q->max_bytes || more > q->max_bytes - used)
                return over_budget(q);
        return query_memory_hold(q->memory, q->hold, used + more);
}

bool exec_is_over(const struct exec *q)
{
        return (q->cancel && __atomic_load_n(q->cancel, __ATOMIC_RELAXED)) || time_mono_ns() >= q->deadline_ns;
}

struct error *exec_poll(struct exec *q, const char *env)
{
        if (q->cancel && __atomic_load_n(q->cancel, __ATOMIC_RELAXED)) /* a hint: no data hangs on it */
                return error_new(ERROR_CANCELLED, "query was canceled in %s", env);
        if (time_mono_ns() >= q->deadline_ns)
                return error_new(ERROR_TIMEOUT, "query timed out in %s", env);
        return charge(q, 0);
}

void *exec_alloc(struct exec *q, size_t n, size_t size, struct error **ret)
{
        size_t bytes = arena_array_bytes(n ? n : 1, size);
        struct error *e = charge(q, bytes);
        void *p = e ? NULL : arena_try_alloc(q->arena, bytes);
        if (!p)
                *ret = e ? e : over_budget(q);
        return p;
}

double *column_new(struct exec *q, size_t rows, size_t n, struct error **ret)
{
        size_t bytes = arena_array_bytes(arena_array_bytes(rows ? rows : 1, n ? n : 1), sizeof(double));
        struct error *e = charge(q, bytes);
        struct block *b = e ? NULL : mem_try_alloc(sizeof *b + bytes);
        if (!b) {
                *ret = e ? e : over_budget(q);
                return NULL;
        }
        b->bytes = bytes;
        q->block_bytes += bytes;
        list_push_back(&q->blocks, &b->link);
        return b->v;
}

void column_free(struct exec *q, double *p)
{
        if (!p)
                return;
        struct block *b = CONTAINER_OF(p, struct block, v);
        list_remove(&b->link);
        q->block_bytes -= b->bytes;
        free(b);
}

void mat_own(struct exec *q, struct mat *m, double *block)
{
        if (m->n_blocks >= m->cap_blocks) {
                m->cap_blocks = m->n_blocks ? 2 * m->n_blocks : 2;
                double **more = arena_array(q->arena, double *, m->cap_blocks);
                if (m->n_blocks)
                        memcpy(more, m->blocks, m->n_blocks * sizeof *more);
                m->blocks = more;
        }
        m->blocks[m->n_blocks++] = block;
}

void mat_done(struct exec *q, struct mat *m)
{
        for (size_t i = 0; i < m->n_blocks; i++)
                column_free(q, m->blocks[i]);
        *m = (struct mat){0};
}

void value_done(struct exec *q, struct value *v)
{
        mat_done(q, &v->mat);
        column_free(q, v->scalar);
        *v = (struct value){0};
}

void samples_peak(struct exec *q, size_t extra)
{
        q->peak = MAX(q->peak, q->current + extra);
}

static struct error *too_many(void)
{
        return error_new(ERROR_LIMIT, "query processing would load too many samples into memory in query execution");
}

struct error *samples_charge(struct exec *q, size_t n)
{
        q->current += n;
        samples_peak(q, 0);
        return q->current > q->max_samples ? too_many() : NULL;
}

struct error *account_step_eval(struct exec *q, size_t before, size_t n_out, size_t last_in)
{
        size_t most = q->current + n_out + last_in;
        q->peak = MAX(q->peak, most);
        q->current = before + n_out;
        return most > q->max_samples ? too_many() : NULL;
}

static bool is_metadata(Str name)
{
        return str_eq(name, STR("__name__")) || str_eq(name, STR("__type__")) || str_eq(name, STR("__unit__"));
}

Labels labels_drop_metadata(struct exec *q, Labels ls)
{
        size_t first = 0, last = ls.n, inside = 0;
        while (first < last && is_metadata(ls.v[first].name))
                first++;
        while (last > first && is_metadata(ls.v[last - 1].name))
                last--;
        for (size_t i = first; i < last; i++)
                inside += is_metadata(ls.v[i].name);
        if (!inside)
                return (Labels){ls.v + first, last - first};
        Label *v = arena_array(q->arena, Label, last - first - inside);
        size_t n = 0;
        for (size_t i = first; i < last; i++)
                if (!is_metadata(ls.v[i].name))
                        v[n++] = ls.v[i];
        return (Labels){v, n};
}

void labels_key(struct buf *b, Labels ls)
{
        for (size_t i = 0; i < ls.n; i++) {
                buf_put(b, ls.v[i].name);
                buf_putc(b, '\xff');
                buf_put(b, ls.v[i].value);
                buf_putc(b, '\xff');
        }
}

struct error *error_same_labelset(void)
{
        return error_new(ERROR_EXISTS, "vector cannot contain metrics with the same labelset");
}

size_t column_count(const double *v, size_t n)
{
        size_t c = 0;
        for (size_t i = 0; i < n; i++)
                c += float_bits(v[i]) != ABSENT_BITS;
        return c;
}

size_t histogram_samples(Histogram h)
{
        /* What the original's values take, whatever ours do. */
        size_t bytes = 168 + 8 * ((size_t)h->pos.n_spans + h->neg.n_spans + h->pos.n + h->neg.n + h->n_bounds);
        return (bytes + 8) / 16;
}

size_t column_samples(const double *v, const Histogram *h, size_t n)
{
        size_t c = column_count(v, n);
        for (size_t i = 0; h && i < n; i++)
                if (h[i] && !is_absent(v[i]))
                        c += histogram_samples(h[i]) - 1;
        return c;
}

size_t mat_samples(const struct mat *m, size_t n_steps)
{
        size_t c = 0;
        for (size_t i = 0; i < m->n; i++)
                c += column_samples(m->rows[i].v, m->rows[i].h, n_steps);
        return c;
}

static struct error *histograms_over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                         a->limit_bytes);
}

struct error *histogram_column(struct arena *a, size_t n, Histogram **ret)
{
        Histogram *h = arena_try_alloc(a, arena_array_bytes(n ? n : 1, sizeof *h));
        if (!h)
                return histograms_over_budget(a);
        memset(h, 0, n * sizeof *h);
        *ret = h;
        return NULL;
}

struct error *histogram_keep(struct arena *a, Histogram h, Histogram *ret)
{
        struct histogram_sample s;
        struct error *e = histogram_sample_dup(a, (struct histogram_sample){.f = h}, &s);
        if (!e)
                *ret = s.f;
        return e;
}

void worker_fail(struct worker *w, size_t row, struct error *take_e)
{
        if (w->error && w->failed_row < row) {
                error_free(take_e);
                return;
        }
        error_free(w->error);
        w->error = take_e;
        w->failed_row = row;
}

struct error *workers_error(struct exec *q)
{
        struct error *e = NULL;
        size_t row = SIZE_MAX;
        for (int i = 0; i < q->n_workers; i++) {
                struct worker *w = &q->workers[i];
                if (!w->error)
                        continue;
                if (!e || w->failed_row < row) {
                        error_free(e);
                        e = w->error;
                        row = w->failed_row;
                } else {
                        error_free(w->error);
                }
                w->error = NULL;
        }
        return e;
}

void mat_drop_empty(struct mat *m, size_t n_steps)
{
        size_t w = 0;
        for (size_t i = 0; i < m->n; i++) {
                size_t s = 0;
                while (s < n_steps && is_absent(m->rows[i].v[s]))
                        s++;
                if (s < n_steps)
                        m->rows[w++] = m->rows[i];
        }
        m->n = w;
}

static struct error *join(struct exec *q, struct row *into, const struct row *from, size_t n_steps)
{
        if (from->h && !into->h) {
                struct error *e = histogram_column(&q->workers[0].keep, n_steps, &into->h);
                if (e)
                        return e;
        }
        for (size_t s = 0; s < n_steps; s++) {
                if (is_absent(from->v[s]))
                        continue;
                if (!is_absent(into->v[s]))
                        return error_same_labelset();
                into->v[s] = from->v[s];
                if (into->h)
                        into->h[s] = histogram_at(from->h, s);
        }
        return NULL;
}

struct error *mat_merge(struct exec *q, struct mat *m, size_t n_steps)
{
        if (m->n < 2)
                return NULL;
        struct error *e = NULL;
        struct map seen = MAP_INIT; /* key -> row */
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        size_t w = 0;
        for (size_t i = 0; i < m->n && !e; i++) {
                e = exec_poll_row(q, i);
                if (e)
                        break;
                buf_clear(&key);
                labels_key(&key, m->rows[i].labels);
                struct row *first = map_get(&seen, buf_str(&key));
                if (first) {
                        e = join(q, first, &m->rows[i], n_steps);
                        first->drop_name |= m->rows[i].drop_name;
                        continue;
                }
                m->rows[w] = m->rows[i];
                map_set(&seen, arena_str(q->arena, buf_str(&key)), &m->rows[w]);
                w++;
        }
        if (!e)
                m->n = w;
        buf_done(&key);
        map_done(&seen);
        return e;
}

double *scratch_get(struct worker *w, size_t n)
{
        if (w->scratch_cap < n) {
                free(w->scratch);
                w->scratch = mem_alloc(n * sizeof(double));
                w->scratch_cap = n;
        }
        return w->scratch;
}

void note_quantile(struct exec *q, double v, struct pos_range pos)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        size_t n = float_print(v, 'g', text);
        annotations_add(&q->notes, ANNOTATION_WARNING, pos,
                        "PromQL warning: quantile value should be between 0 and 1, got %.*s", (int)n, text);
}

double *blocks_column(struct list *link)
{
        return CONTAINER_OF(link, struct block, link)->v;
}
