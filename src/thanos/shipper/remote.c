/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c — does a compacted block overlap what is in the bucket? Its parts may be there already, and then it must not go too. Unlike upstream,
 * blocks of the bucket that overlap each other do not hold up a block that overlaps none of them. */
#include <inttypes.h>

#include "base/log.h"
#include "model/duration.h"
#include "thanos/shipper/shipper_impl.h"

void shipper_remote_done(struct shipper_remote *r)
{
        vec_done(&r->blocks);
}

void shipper_remote_add(struct shipper_remote *r, const struct block_meta *m)
{
        if (r->is_read)
                vec_push(&r->blocks, (struct block_desc){m->ulid, m->mint_ms, m->maxt_ms});
}

struct reading {
        struct shipper_remote *r;
        const struct bucket_call *c;
};

static struct error *meta_get(struct reading *x, Str id, struct thanos_meta **ret)
{
        struct bucket_call c = x->c ? *x->c : (struct bucket_call){0};
        struct buf name = BUF_INIT(256), text = BUF_INIT(THANOS_META_MAX_BYTES);
        c.not_found_is_expected = true;
        buf_printf(&name, STR_FMT "/" BLOCK_META_FILE, STR_ARG(id));
        struct error *e = bucket_get(x->r->bucket, &c, buf_str(&name), &text);
        if (!e && (e = thanos_meta_parse(buf_str(&text), ret)))
                e = error_wrap(e, "unmarshal meta.json for block " STR_FMT, STR_ARG(id));
        buf_done(&name);
        buf_done(&text);
        return e;
}

static struct error *remote_each(void *arg, const struct bucket_entry *entry)
{
        struct reading *x = arg;
        Ulid id;
        Str name = str_trim_suffix(entry->name, STR("/"));
        if (!entry->is_dir || !ulid_parse(name, &id))
                return NULL;
        struct thanos_meta *m = NULL;
        struct error *e = meta_get(x, name, &m);
        if (error_is(e, ERROR_NOT_FOUND)) { /* being uploaded, or being deleted: not a block */
                error_free(e);
                return NULL;
        }
        if (!e && labels_eq(m->labels, x->r->labels))
                vec_push(&x->r->blocks, (struct block_desc){m->block.ulid, m->block.mint_ms, m->block.maxt_ms});
        thanos_meta_unref(m);
        return e;
}

static int desc_cmp(const void *a, const void *b)
{
        const struct block_desc *x = a, *y = b;
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        return ulid_cmp(x->ulid, y->ulid);
}

static void put_range(struct buf *b, int64_t mint_ms, int64_t maxt_ms)
{
        buf_printf(b, "mint: %" PRId64 ", maxt: %" PRId64 ", range: ", mint_ms, maxt_ms);
        buf_put_go_duration(b, (maxt_ms - mint_ms) / 1000 * 1000000000);
}

static struct error *told(const struct block_desc *d, size_t n, Ulid self)
{
        char id[ULID_TEXT_BYTES + 1];
        int64_t mint = d[0].mint_ms, maxt = d[0].maxt_ms;
        struct buf b = BUF_INIT(64 << 10);
        for (size_t i = 1; i < n; i++) {
                mint = MAX(mint, d[i].mint_ms);
                maxt = MIN(maxt, d[i].maxt_ms);
        }
        buf_putc(&b, '[');
        put_range(&b, mint, maxt);
        buf_printf(&b, ", blocks: %zu]: ", n);
        for (size_t i = 0; i < n; i++) {
                ulid_print(d[i].ulid, id);
                buf_printf(&b, "%s<ulid: %s, ", i ? ", " : "", id);
                put_range(&b, d[i].mint_ms, d[i].maxt_ms);
                buf_putc(&b, '>');
        }
        ulid_print(self, id);
        struct error *e = error_new(ERROR_INVALID, "shipping compacted block %s is blocked; overlap spotted: %s", id,
                                    buf_cstr(&b));
        buf_done(&b);
        return e;
}

struct error *shipper_remote_check(struct shipper_remote *r, const struct bucket_call *c, const struct block_meta *m)
{
        if (!r->is_read) {
                char id[ULID_TEXT_BYTES + 1];
                struct reading x = {r, c};
                ulid_print(m->ulid, id);
                log_info("", "gathering all existing blocks from the remote bucket for check", KV_S("id", id));
                vec_clear(&r->blocks);
                struct error *e = bucket_iter(r->bucket, c, STR(""), 0, remote_each, &x);
                if (e)
                        return error_wrap(e, "get all block meta.");
                r->is_read = true;
        }
        VEC(struct block_desc) found = VEC_INIT;
        for (size_t i = 0; i < r->blocks.n; i++)
                if (r->blocks.p[i].mint_ms < m->maxt_ms && m->mint_ms < r->blocks.p[i].maxt_ms)
                        vec_push(&found, r->blocks.p[i]);
        struct error *e = NULL;
        if (found.n) {
                vec_push(&found, (struct block_desc){m->ulid, m->mint_ms, m->maxt_ms});
                qsort(found.p, found.n, sizeof *found.p, desc_cmp);
                e = told(found.p, found.n, m->ulid);
        }
        vec_done(&found);
        return e;
}
