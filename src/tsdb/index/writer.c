/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of an index.
 *
 * Pass 1 (add): labels become numbers of pairs, pairs are pairs of strings; both are numbered as they come. A series
 * waits in a file as number of pairs, pairs, bytes of its chunk list (all uvarints), chunk list Pass 2 (finish):
 * strings and pairs are sorted, numbers become ranks, the waiting series are written with them; as a series gets its
 * place, its ref is put into the lists of its pairs, whose sizes are known from pass 1. Refs ascend, so the lists are
 * sorted. */
#include "tsdb/index/writer.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/map.h"
#include "codec/varint.h"
#include "tsdb/index/format.h"
#include "tsdb/index/out.h"

struct pair {
        uint32_t name, value; /* strings; after sort_symbols: ranks */
        uint32_t n;           /* series that have it */
};

/* Open addressing, name << 32 | value to pair number + 1. */
struct pair_slot {
        uint64_t key;
        uint32_t pair; /* + 1; 0: free */
};

struct index_writer {
        struct out out, wait;
        char *wait_path;
        struct arena strings;
        struct map symbols; /* string to number + 1 */
        VEC(Str) symbol;    /* number to string */
        VEC(struct pair) pairs;
        struct pair_slot *slots;
        size_t n_slots;       /* a power of two */
        VEC(uint32_t) last;   /* pairs of the last series */
        LabelVec last_labels; /* strings of ours */
        uint64_t last_ref;
        uint64_t n_series, n_labels;
        struct buf tmp;
};

struct error *index_writer_new(const struct disk *disk, const char *path, struct index_writer **ret)
{
        struct index_writer *w = mem_new(struct index_writer);
        arena_init(&w->strings, SIZE_MAX);
        buf_init(&w->tmp, BUF_NO_LIMIT);
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(&b, "%s_tmp", path);
        w->wait_path = buf_take(&b);
        struct error *e = out_open(&w->out, disk, path);
        if (!e)
                e = out_open(&w->wait, disk, w->wait_path);
        if (e) {
                index_writer_free(w);
                return e;
        }
        *ret = w;
        return NULL;
}

void index_writer_free(struct index_writer *w)
{
        if (!w)
                return;
        if (w->wait.path)
                w->wait.disk->unlink(w->wait.disk, w->wait_path);
        out_abort(&w->wait);
        out_abort(&w->out);
        free(w->wait_path);
        map_done(&w->symbols);
        vec_done(&w->symbol);
        vec_done(&w->pairs);
        vec_done(&w->last);
        vec_done(&w->last_labels);
        free(w->slots);
        buf_done(&w->tmp);
        arena_done(&w->strings);
        free(w);
}

static uint32_t symbol_number(struct index_writer *w, Str s)
{
        void *got = map_get(&w->symbols, s);
        if (got)
                return (uint32_t)((uintptr_t)got - 1);
        uint32_t number = (uint32_t)w->symbol.n;
        Str own = arena_str(&w->strings, s);
        vec_push(&w->symbol, own);
        map_set(&w->symbols, own, (void *)((uintptr_t)number + 1));
        return number;
}

static struct pair_slot *slot_find(const struct index_writer *w, uint64_t key)
{
        size_t mask = w->n_slots - 1;
        for (size_t i = (size_t)((key * 0x9e3779b97f4a7c15u) >> 20) & mask;; i = (i + 1) & mask)
                if (!w->slots[i].pair || w->slots[i].key == key)
                        return &w->slots[i];
}

static uint32_t pair_number(struct index_writer *w, Label l)
{
        uint64_t key = (uint64_t)symbol_number(w, l.name) << 32 | symbol_number(w, l.value);
        if (w->pairs.n * 2 >= w->n_slots) {
                struct pair_slot *old = w->slots;
                size_t n_old = w->n_slots;
                w->n_slots = n_old ? n_old * 2 : 256;
                w->slots = mem_zalloc(w->n_slots * sizeof *w->slots);
                for (size_t i = 0; i < n_old; i++)
                        if (old[i].pair)
                                *slot_find(w, old[i].key) = old[i];
                free(old);
        }
        struct pair_slot *s = slot_find(w, key);
        if (!s->pair) {
                vec_push(&w->pairs, (struct pair){.name = (uint32_t)(key >> 32), .value = (uint32_t)key});
                *s = (struct pair_slot){key, (uint32_t)w->pairs.n};
        }
        return s->pair - 1;
}

static struct error *check_order(const struct index_writer *w, Labels labels, const struct index_chunk *c, size_t n)
{
        struct buf b = BUF_INIT(4096);
        struct error *e = NULL;
        if (w->n_series && labels_cmp(labels, (Labels){w->last_labels.p, w->last_labels.n}) <= 0) {
                labels_print(&b, labels);
                e = error_new(ERROR_INVALID, "series out of order: %s", buf_cstr(&b));
        }
        uint64_t last_ref = w->last_ref;
        for (size_t i = 0; !e && i < n; i++) {
                if (c[i].maxt_ms < c[i].mint_ms || (i && c[i].mint_ms <= c[i - 1].maxt_ms) || c[i].ref < last_ref) {
                        labels_print(&b, labels);
                        e = error_new(ERROR_INVALID, "chunk %zu of series %s is out of order", i, buf_cstr(&b));
                }
                last_ref = c[i].ref;
        }
        buf_done(&b);
        return e;
}

struct error *index_writer_add(struct index_writer *w, Labels labels, const struct index_chunk *chunks, size_t n)
{
        struct error *e = check_order(w, labels, chunks, n);
        if (e)
                return e;
        out_put_uvarint(&w->wait, labels.n);
        /* Neighbours share most labels: compare with the series before, place by place. */
        vec_reserve(&w->last, labels.n);
        vec_reserve(&w->last_labels, labels.n);
        for (size_t i = 0; i < labels.n; i++) {
                Label l = labels.v[i];
                if (i >= w->last.n || !str_eq(w->last_labels.p[i].value, l.value) ||
                    !str_eq(w->last_labels.p[i].name, l.name)) {
                        w->last.p[i] = pair_number(w, l);
                        const struct pair *p = &w->pairs.p[w->last.p[i]];
                        w->last_labels.p[i] = (Label){w->symbol.p[p->name], w->symbol.p[p->value]};
                }
                w->pairs.p[w->last.p[i]].n++;
                out_put_uvarint(&w->wait, w->last.p[i]);
        }
        w->last.n = w->last_labels.n = labels.n;
        w->n_labels += labels.n;
        w->n_series++;

        buf_clear(&w->tmp);
        buf_put_uvarint(&w->tmp, n);
        for (size_t i = 0; i < n; i++) {
                const struct index_chunk *c = &chunks[i], *before = i ? c - 1 : NULL;
                if (before) {
                        buf_put_uvarint(&w->tmp, (uint64_t)c->mint_ms - (uint64_t)before->maxt_ms);
                        buf_put_uvarint(&w->tmp, (uint64_t)c->maxt_ms - (uint64_t)c->mint_ms);
                        buf_put_varint(&w->tmp, (int64_t)(c->ref - before->ref));
                } else {
                        buf_put_varint(&w->tmp, c->mint_ms);
                        buf_put_uvarint(&w->tmp, (uint64_t)c->maxt_ms - (uint64_t)c->mint_ms);
                        buf_put_uvarint(&w->tmp, c->ref);
                }
                w->last_ref = c->ref;
        }
        out_put_uvarint_str(&w->wait, buf_str(&w->tmp));
        return error_dup(w->wait.error);
}

static int symbol_cmp(const void *a, const void *b, void *ctx)
{
        const struct index_writer *w = ctx;
        return str_cmp(w->symbol.p[*(const uint32_t *)a], w->symbol.p[*(const uint32_t *)b]);
}

static void write_symbols(struct index_writer *w)
{
        size_t n = w->symbol.n;
        uint32_t *order = mem_alloc(n * sizeof *order), *rank = mem_alloc(n * sizeof *rank);
        for (size_t i = 0; i < n; i++)
                order[i] = (uint32_t)i;
        if (n)
                qsort_r(order, n, sizeof *order, symbol_cmp, w);
        out_section_begin(&w->out);
        out_put_be32(&w->out, (uint32_t)n);
        VEC(Str) sorted = VEC_INIT;
        vec_reserve(&sorted, n);
        for (size_t i = 0; i < n; i++) {
                rank[order[i]] = (uint32_t)i;
                sorted.p[i] = w->symbol.p[order[i]];
                out_put_uvarint_str(&w->out, sorted.p[i]);
        }
        out_section_end(&w->out);
        free(w->symbol.p);
        w->symbol.p = sorted.p;
        w->symbol.cap = sorted.cap;
        for (size_t i = 0; i < w->pairs.n; i++) {
                struct pair *p = &w->pairs.p[i];
                p->name = rank[p->name];
                p->value = rank[p->value];
        }
        free(order);
        free(rank);
        map_clear(&w->symbols); /* its numbers are no longer true */
}

/* Refs of series: first those of all, then list by list, in the order of the pairs. */
struct lists {
        uint32_t *refs;
        uint64_t *start; /* of each pair's list; while filling: where its next ref goes */
        uint32_t *order; /* pairs by name and value */
};

static int pair_cmp(const void *a, const void *b, void *ctx)
{
        const struct index_writer *w = ctx;
        const struct pair *x = &w->pairs.p[*(const uint32_t *)a], *y = &w->pairs.p[*(const uint32_t *)b];
        if (x->name != y->name)
                return x->name < y->name ? -1 : 1;
        return (x->value > y->value) - (x->value < y->value);
}

static struct error *lists_init(struct lists *l, struct index_writer *w)
{
        size_t n = w->pairs.n;
        l->refs = mem_try_alloc((w->n_series + w->n_labels) * sizeof *l->refs);
        l->start = mem_alloc(n * sizeof *l->start);
        l->order = mem_alloc(n * sizeof *l->order);
        if (!l->refs)
                return error_new(ERROR_LIMIT, "out of memory for the postings of %llu series",
                                 (unsigned long long)w->n_series);
        for (size_t i = 0; i < n; i++)
                l->order[i] = (uint32_t)i;
        if (n)
                qsort_r(l->order, n, sizeof *l->order, pair_cmp, w);
        uint64_t at = w->n_series;
        for (size_t i = 0; i < n; i++) {
                l->start[l->order[i]] = at;
                at += w->pairs.p[l->order[i]].n;
        }
        return NULL;
}

static void lists_done(struct lists *l)
{
        free(l->refs);
        free(l->start);
        free(l->order);
}

static struct error *write_series(struct index_writer *w, struct lists *l, Str waiting, const bool *cancel)
{
        struct cursor c = cursor_of(waiting);
        for (uint64_t i = 0; i < w->n_series; i++) {
                if (cancel && (i & 1023) == 0 && __atomic_load_n(cancel, __ATOMIC_RELAXED))
                        return error_new(ERROR_CANCELLED, "cancelled");
                out_pad(&w->out, INDEX_SERIES_ALIGN);
                uint64_t ref = w->out.pos / INDEX_SERIES_ALIGN;
                if (ref > UINT32_MAX)
                        return error_new(ERROR_LIMIT, "the index is larger than 64 GiB");
                l->refs[i] = (uint32_t)ref;
                uint64_t n_labels = take_uvarint(&c);
                buf_clear(&w->tmp);
                buf_put_uvarint(&w->tmp, n_labels);
                for (uint64_t k = 0; k < n_labels; k++) {
                        uint64_t pair = take_uvarint(&c);
                        if (c.bad || pair >= w->pairs.n)
                                break;
                        buf_put_uvarint(&w->tmp, w->pairs.p[pair].name);
                        buf_put_uvarint(&w->tmp, w->pairs.p[pair].value);
                        l->refs[l->start[pair]++] = (uint32_t)ref;
                }
                Str chunks = take_uvarint_str(&c);
                if (c.bad)
                        return error_new(ERROR_IO, "%s: the file changed while it was read", w->wait_path);
                buf_put(&w->tmp, chunks);
                out_put_uvarint(&w->out, w->tmp.n);
                out_crc_begin(&w->out);
                out_write(&w->out, w->tmp.p, w->tmp.n);
                out_put_crc(&w->out);
        }
        return NULL;
}

static uint64_t write_list(struct index_writer *w, const uint32_t *refs, size_t n)
{
        out_pad(&w->out, 4);
        uint64_t at = w->out.pos;
        out_section_begin(&w->out);
        out_put_be32(&w->out, (uint32_t)n);
        uint8_t block[4096];
        for (size_t i = 0; i < n;) {
                uint8_t *p = block;
                for (; i < n && p < block + sizeof block; i++)
                        p = put_be32(p, refs[i]);
                out_write(&w->out, block, (size_t)(p - block));
        }
        out_section_end(&w->out);
        return at;
}

static void write_postings(struct index_writer *w, struct lists *l, struct index_toc *toc)
{
        toc->postings = w->out.pos;
        uint64_t all = write_list(w, l->refs, w->n_series);
        for (size_t i = 0; i < w->pairs.n; i++) {
                uint32_t p = l->order[i], n = w->pairs.p[p].n;
                l->start[p] = write_list(w, l->refs + l->start[p] - n, n);
        }
        toc->label_indices_table = toc->postings_table = w->out.pos;
        out_section_begin(&w->out);
        out_put_be32(&w->out, (uint32_t)w->pairs.n + 1);
        const Str none = STR("");
        out_put_uvarint(&w->out, 2);
        out_put_uvarint_str(&w->out, none);
        out_put_uvarint_str(&w->out, none);
        out_put_uvarint(&w->out, all);
        for (size_t i = 0; i < w->pairs.n; i++) {
                const struct pair *p = &w->pairs.p[l->order[i]];
                out_put_uvarint(&w->out, 2);
                out_put_uvarint_str(&w->out, w->symbol.p[p->name]);
                out_put_uvarint_str(&w->out, w->symbol.p[p->value]);
                out_put_uvarint(&w->out, l->start[l->order[i]]);
        }
        out_section_end(&w->out);
}

struct error *index_writer_finish(struct index_writer *w, const bool *cancel)
{
        struct lists l = {0};
        struct file_map waiting = {0};
        struct index_toc toc = {0};
        if (w->symbol.n >= UINT32_MAX || w->pairs.n >= UINT32_MAX)
                return error_new(ERROR_LIMIT, "more than 2^32 symbols");
        struct error *e = out_flush(&w->wait);
        if (!e)
                e = file_map_open(w->wait_path, &waiting);
        if (e)
                goto out;
        out_put_be32(&w->out, INDEX_MAGIC);
        out_write(&w->out, &(uint8_t){INDEX_V2}, 1);
        toc.symbols = w->out.pos;
        write_symbols(w);
        e = lists_init(&l, w);
        if (e)
                goto out;
        toc.series = w->out.pos;
        e = write_series(w, &l, (Str){(const char *)waiting.p, waiting.n}, cancel);
        if (e)
                goto out;
        toc.label_indices = w->out.pos;
        write_postings(w, &l, &toc);
        out_crc_begin(&w->out);
        const uint64_t places[] = {toc.symbols,  toc.series,        toc.label_indices, toc.label_indices_table,
                                   toc.postings, toc.postings_table};
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
                out_put_be64(&w->out, places[i]);
        out_put_crc(&w->out);
        e = out_close(&w->out);
out:
        file_map_close(&waiting);
        lists_done(&l);
        return e;
}
