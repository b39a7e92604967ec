/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/ahead.h"

#include "base/buf.h"
#include "base/thread.h"
#include "base/vec.h"

/* All batches together stay in the cache that the two threads share, and mostly in that of one of them. */
enum { BATCHES = 4, BATCH_BYTES = 64 << 10, BATCH_RECORDS = 1024, KEEP_BYTES = 1 << 20 };
struct place {
        size_t at, n;
        int segment;
        uint64_t offset;
};
struct batch {
        struct buf bytes;
        VEC(struct place) records;
        bool is_last; /* then error and where it is, or the end of the log */
        struct error *error;
        int segment;
        uint64_t offset;
};
struct wal_ahead {
        struct wal_reader *reader;
        struct batch batches[BATCHES];
        struct batch *current; /* the owner's */
        size_t next;           /* record of it */
        struct thread thread;
        struct mutex mu;
        struct cond changed;
        /* guarded by mu once the thread runs: */
        uint64_t n_read, n_used; /* batches: read ones, and of these, given back */
        bool stop;
};

struct error *wal_ahead_open(const char *dir, int first, int last, uint64_t offset, struct wal_ahead **ret)
{
        struct wal_reader *reader;
        struct error *e = wal_reader_open(dir, first, last, &reader);
        if (e)
                return e;
        if (offset)
                e = wal_reader_skip(reader, first, offset);
        if (e) {
                wal_reader_close(reader);
                return e;
        }
        struct wal_ahead *a = mem_new(struct wal_ahead);
        a->reader = reader;
        mutex_init(&a->mu);
        cond_init(&a->changed);
        for (size_t i = 0; i < BATCHES; i++)
                buf_init(&a->batches[i].bytes, BUF_NO_LIMIT); /* records have their limit */
        *ret = a;
        return NULL;
}

void wal_ahead_close(struct wal_ahead *a)
{
        if (!a)
                return;
        mutex_lock(&a->mu);
        a->stop = true;
        cond_broadcast(&a->changed);
        mutex_unlock(&a->mu);
        thread_join(&a->thread);
        wal_reader_close(a->reader);
        for (size_t i = 0; i < BATCHES; i++) {
                buf_done(&a->batches[i].bytes);
                vec_done(&a->batches[i].records);
                error_free(a->batches[i].error);
        }
        mutex_done(&a->mu);
        cond_done(&a->changed);
        free(a);
}

static void batch_fill(struct wal_ahead *a, struct batch *b)
{
        if (b->bytes.cap > KEEP_BYTES) {
                buf_done(&b->bytes);
                buf_init(&b->bytes, BUF_NO_LIMIT);
        }
        buf_clear(&b->bytes);
        vec_clear(&b->records);
        while (b->bytes.n < BATCH_BYTES && b->records.n < BATCH_RECORDS) {
                size_t from = b->bytes.n;
                bool more;
                b->error = wal_reader_append(a->reader, &b->bytes, &more);
                b->segment = wal_reader_segment(a->reader);
                b->offset = wal_reader_offset(a->reader);
                b->is_last = b->error || !more;
                if (b->is_last)
                        return;
                vec_push(&b->records, (struct place){from, b->bytes.n - from, b->segment, b->offset});
        }
}

static void read_ahead(void *arg)
{
        struct wal_ahead *a = arg;
        for (bool is_last = false; !is_last;) {
                mutex_lock(&a->mu);
                while (!a->stop && a->n_read - a->n_used == BATCHES)
                        cond_wait(&a->changed, &a->mu);
                bool stop = a->stop;
                struct batch *b = &a->batches[a->n_read % BATCHES];
                mutex_unlock(&a->mu);
                if (stop)
                        return;
                batch_fill(a, b);
                is_last = b->is_last;
                mutex_lock(&a->mu);
                a->n_read++;
                cond_signal(&a->changed);
                mutex_unlock(&a->mu);
        }
}

/* The next batch; the one in use is given back. */
static struct error *batch_take(struct wal_ahead *a)
{
        if (!a->current) { /* the first one is read by the owner: most logs of tests have no more */
                batch_fill(a, &a->batches[0]);
                a->current = &a->batches[0];
                a->n_read = 1;
                return a->current->is_last ? NULL : thread_start(&a->thread, "wal-read", read_ahead, a);
        }
        mutex_lock(&a->mu);
        a->n_used++;
        cond_signal(&a->changed);
        while (a->n_read == a->n_used)
                cond_wait(&a->changed, &a->mu);
        a->current = &a->batches[a->n_used % BATCHES];
        mutex_unlock(&a->mu);
        return NULL;
}

struct error *wal_ahead_next(struct wal_ahead *a, struct wal_record *ret)
{
        *ret = (struct wal_record){.segment = -1};
        while (!a->current || (a->next == a->current->records.n && !a->current->is_last)) {
                struct error *e = batch_take(a);
                if (e)
                        return e;
                a->next = 0;
        }
        struct batch *b = a->current;
        if (a->next < b->records.n) {
                const struct place *p = &b->records.p[a->next];
                *ret = (struct wal_record){.bytes = {b->bytes.p + p->at, p->n},
                                           .is_there = true,
                                           .has_last = a->next > 0,
                                           .segment = p->segment,
                                           .offset = p->offset};
                a->next++;
                return NULL;
        }
        ret->segment = b->segment;
        ret->offset = b->offset;
        struct error *e = b->error; /* told once; then it is the end */
        b->error = NULL;
        return e;
}
