/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/endpoints.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "base/thread.h"
#include "codec/proto.h"
#include "thanos/query/endpoints_dns.h"
#include "thanos/query/endpoints_files.h"
#include "thanos/storeapi/messages.h"

enum { META_BYTES_MAX = 64 << 20, FRAME_BYTES_MAX = 256 << 20 };

/* A channel, held by the round and by every list that names it. */
struct wire {
        _Atomic int refs;
        struct grpc_channel *ch;
};

struct list_impl {
        struct endpoint_list base;
        _Atomic int refs;
        struct arena arena;
        struct wire **wires; /* one for each of base.v */
};

struct entry {
        char *address;
        bool strict, wanted;
        struct wire *wire;
        struct arena meta;      /* of what info holds */
        struct endpoint info;   /* of the last good answer */
        bool answered, healthy; /* ever; in the last round */
        char *last_error;       /* NULL: none */
        TimeMs last_ok_ms, last_check_ms;
        struct grpc_call *call;
        bool done, asks_old; /* old: Store/Info, as there is no Info/Info */
};

struct endpoints {
        struct endpoints_opts o;
        struct grpc_channel_opts channel;
        struct endpoint_names names; /* configured, with what they resolved to */
        struct endpoint_files files;
        struct endpoint_names in_files;

        struct mutex round; /* one round at a time: guards entries, names */
        VEC(struct entry *) entries;

        struct mutex mu; /* guards published, stop, starts, has_round */
        struct cond wake;
        struct list_impl *published;
        bool stop;
        bool starts, has_round; /* rounds are on their way; one is over */
        struct thread thread;
};

static void wire_unref(struct wire *w)
{
        if (w && atomic_fetch_sub(&w->refs, 1) == 1) {
                grpc_channel_free(w->ch);
                free(w);
        }
}

void endpoint_list_unref(struct endpoint_list *l)
{
        if (!l)
                return;
        struct list_impl *x = CONTAINER_OF(l, struct list_impl, base);
        if (atomic_fetch_sub(&x->refs, 1) != 1)
                return;
        for (size_t i = 0; i < l->n; i++)
                wire_unref(x->wires[i]);
        arena_done(&x->arena);
        free(x);
}

struct endpoint_list *endpoints_get(struct endpoints *es)
{
        mutex_lock(&es->mu);
        int64_t end_ms = time_mono_ms() + es->o.resolve_timeout_ms + es->o.info_timeout_ms, left;
        while (es->starts && !es->has_round && !es->stop && (left = end_ms - time_mono_ms()) > 0)
                cond_wait_ms(&es->wake, &es->mu, left);
        struct list_impl *x = es->published;
        atomic_fetch_add(&x->refs, 1);
        mutex_unlock(&es->mu);
        return &x->base;
}

static void entry_free(struct entry *x)
{
        grpc_call_free(x->call);
        wire_unref(x->wire);
        arena_done(&x->meta);
        free(x->last_error);
        free(x->address);
        free(x);
}

/* --- what an endpoint says --- */

static struct error *take_labels(const struct pb_label_set *from, struct arena *a, Labels *ret)
{
        Label *v = arena_try_alloc(a, (from->labels.n + 1) * sizeof *v);
        if (!v)
                return error_new(ERROR_LIMIT, "too many labels");
        size_t n = 0;
        for (size_t i = 0; i < from->labels.n; i++)
                if (from->labels.v[i].value.n)
                        v[n++] = (Label){from->labels.v[i].name, from->labels.v[i].value};
        labels_sort(v, n);
        *ret = (Labels){v, n};
        return NULL;
}

static struct error *entry_take(struct entry *x, Str answer)
{
        struct arena a;
        struct pb_info_response r = {0};
        arena_init(&a, META_BYTES_MAX);
        char *copy = arena_try_alloc(&a, answer.n + 1);
        struct error *e = copy ? NULL : error_new(ERROR_LIMIT, "answer of %zu bytes", answer.n);
        if (e)
                goto out;
        if (answer.n)
                memcpy(copy, answer.p, answer.n);
        e = pb_decode(&pb_info_response, (Str){copy, answer.n}, &a, &r);
        if (e)
                goto out;
        Labels *sets = arena_try_alloc(&a, (r.label_sets.n + 1) * sizeof *sets);
        if (!sets) {
                e = error_new(ERROR_LIMIT, "too many label sets");
                goto out;
        }
        size_t n = 0;
        for (size_t i = 0; i < r.label_sets.n && !e; i++) {
                e = take_labels(&r.label_sets.v[i], &a, &sets[n]);
                /* A store says this to queriers before 0.8; it would match every selector. */
                if (!e && !labels_has(sets[n], STR("@thanos_compatibility_store_type")))
                        n++;
        }
        size_t n_tsdbs = r.store ? r.store->tsdb_infos.n : 0;
        struct endpoint_tsdb *tsdbs = e ? NULL : arena_try_alloc(&a, (n_tsdbs + 1) * sizeof *tsdbs);
        if (!e && !tsdbs)
                e = error_new(ERROR_LIMIT, "too many databases");
        for (size_t i = 0; i < n_tsdbs && !e; i++) {
                const struct pb_tsdb_info *t = &r.store->tsdb_infos.v[i];
                tsdbs[i].mint_ms = t->min_time;
                tsdbs[i].maxt_ms = t->max_time;
                e = take_labels(&t->labels, &a, &tsdbs[i].labels);
        }
        if (e)
                goto out;
        x->info = (struct endpoint){
                .type = r.component_type,
                .has_store = r.store,
                .has_rules = r.rules,
                .has_targets = r.targets,
                .has_metadata = r.metric_metadata,
                .has_exemplars = r.exemplars,
                .has_query = r.query,
                .supports_without_replica_labels = r.store && r.store->supports_without_replica_labels,
                .mint_ms = r.store ? r.store->min_time : TIME_MS_MIN,
                .maxt_ms = r.store ? r.store->max_time : TIME_MS_MAX,
                .label_sets = sets,
                .n_label_sets = n,
                .tsdbs = tsdbs,
                .n_tsdbs = n_tsdbs,
                .exemplars_mint_ms = r.exemplars ? r.exemplars->min_time : TIME_MS_MIN,
                .exemplars_maxt_ms = r.exemplars ? r.exemplars->max_time : TIME_MS_MAX,
        };
        arena_done(&x->meta);
        x->meta = a;
        return NULL;
out:
        arena_done(&a);
        return e;
}

static void entry_settle(struct entry *x, struct error *take_e, TimeMs now)
{
        free(x->last_error);
        x->last_error = take_e ? str_dup(str_from(error_str(take_e))) : NULL;
        x->healthy = !take_e;
        x->last_check_ms = now;
        if (!take_e) {
                x->answered = true;
                x->last_ok_ms = now;
        }
        error_free(take_e);
        x->done = true;
        grpc_call_free(x->call);
        x->call = NULL;
}

/* storepb.InfoResponse: labels 1, min 2, max 3, type 4, label sets 5. */
static struct error *entry_take_old(struct entry *x, Str answer)
{
        static const char *const types[] = {"store", "query", "rule", "sidecar", "store", "receive", "debug"};
        struct pb_info_response r = {0};
        struct pb_store_info store = {0};
        struct buf again = BUF_INIT(META_BYTES_MAX);
        struct cursor c = cursor_of(answer);
        struct proto_field f;
        size_t type = 0;
        while (proto_next(&c, &f)) {
                if (f.number == 2 && f.wire == 0)
                        store.min_time = (int64_t)f.u;
                else if (f.number == 3 && f.wire == 0)
                        store.max_time = (int64_t)f.u;
                else if (f.number == 4 && f.wire == 0)
                        type = f.u < ARRAY_LEN(types) ? (size_t)f.u : 0;
                else if (f.number == 5 && f.wire == 2)
                        proto_put_bytes_always(&again, 1, f.bytes);
        }
        struct error *e = c.bad || buf_is_over(&again) ? error_new(ERROR_INVALID, "malformed answer") : NULL;
        r.component_type = str_from(types[type]);
        r.store = &store;
        if (!e) { /* told anew as the other message, which entry_take reads */
                pb_encode(&pb_info_response, &r, &again);
                e = entry_take(x, buf_str(&again));
        }
        buf_done(&again);
        return e;
}

/* The call has something, or may have. */
static void entry_read(struct entry *x, TimeMs now, const struct grpc_call_opts *o)
{
        Str m;
        enum grpc_got got = grpc_call_recv(x->call, 0, &m);
        if (got == GRPC_GOT_NOTHING)
                return;
        if (got == GRPC_GOT_END && grpc_call_get_status(x->call)->code == GRPC_UNIMPLEMENTED && !x->asks_old) {
                grpc_call_free(x->call); /* from before 0.26 */
                x->asks_old = true;
                x->call = grpc_call_start(x->wire->ch, "/thanos.Store/Info", o, (Str){0});
                return;
        }
        struct error *e = NULL;
        if (got == GRPC_GOT_MESSAGE)
                e = x->asks_old ? entry_take_old(x, m) : entry_take(x, m);
        else if (!(e = grpc_status_error(grpc_call_get_status(x->call))))
                e = error_new(ERROR_INVALID, "no answer in the call");
        entry_settle(x, e ? error_wrap(e, "fetching info from %s", x->address) : NULL, now);
}

/* --- a round --- */

static bool is_stopping(struct endpoints *es)
{
        mutex_lock(&es->mu);
        bool stop = es->stop;
        mutex_unlock(&es->mu);
        return stop;
}

static struct entry *entry_of(struct endpoints *es, Str address)
{
        for (size_t i = 0; i < es->entries.n; i++)
                if (str_eq(str_from(es->entries.p[i]->address), address))
                        return es->entries.p[i];
        return NULL;
}

static void want(struct endpoints *es, Str address, bool strict)
{
        struct entry *x = entry_of(es, address);
        if (!x) {
                x = mem_new(struct entry);
                x->address = str_dup(address);
                arena_init(&x->meta, META_BYTES_MAX);
                x->info = (struct endpoint){.mint_ms = TIME_MS_MIN, .maxt_ms = TIME_MS_MAX};
                vec_push(&es->entries, x);
        }
        x->strict = x->wanted ? x->strict || strict : strict;
        x->wanted = true;
        if (x->wire)
                return;
        struct grpc_channel *ch;
        struct error *e = grpc_channel_new(es->o.client, x->address, &es->channel, &ch);
        if (e) {
                entry_settle(x, error_wrap(e, "dialing %s", x->address), clock_now_ms(es->o.clock));
                return;
        }
        x->wire = mem_new(struct wire);
        x->wire->refs = 1;
        x->wire->ch = ch;
}

static void ask_all(struct endpoints *es)
{
        struct grpc_group *g = grpc_group_new();
        size_t open = 0;
        for (size_t i = 0; i < es->entries.n; i++) {
                struct entry *x = es->entries.p[i];
                x->done = !x->wire;
                if (x->done)
                        continue;
                struct grpc_call_opts o = {.timeout_ms = es->o.info_timeout_ms, .group = g, .tag = x};
                x->asks_old = false;
                x->call = grpc_call_start(x->wire->ch, "/thanos.info.Info/Info", &o, (Str){0});
                open++;
        }
        int64_t end_ms = time_mono_ms() + es->o.info_timeout_ms + 1000;
        while (open && !is_stopping(es)) {
                int64_t left = end_ms - time_mono_ms();
                if (left <= 0)
                        break;
                struct grpc_call *c = grpc_group_next(g, MIN(left, 100));
                if (!c)
                        continue;
                struct entry *x = grpc_call_get_tag(c);
                entry_read(x, clock_now_ms(es->o.clock), &(struct grpc_call_opts){.timeout_ms = es->o.info_timeout_ms, .group = g, .tag = x});
                open -= x->done;
        }
        for (size_t i = 0; i < es->entries.n; i++) {
                struct entry *x = es->entries.p[i];
                if (!x->done)
                        entry_settle(x, error_new(ERROR_TIMEOUT, "fetching info from %s: no answer", x->address),
                                     clock_now_ms(es->o.clock));
        }
        grpc_group_free(g);
}

static void drop_old(struct endpoints *es, TimeMs now)
{
        size_t kept = 0;
        for (size_t i = 0; i < es->entries.n; i++) {
                struct entry *x = es->entries.p[i];
                bool keep = x->wanted;
                if (keep && !x->healthy && !x->strict)
                        keep = x->answered && now - x->last_ok_ms < es->o.unhealthy_ms;
                if (keep)
                        es->entries.p[kept++] = x;
                else
                        entry_free(x);
        }
        es->entries.n = kept;
}

static struct list_impl *list_of(struct endpoints *es)
{
        struct list_impl *l = mem_new(struct list_impl);
        l->refs = 1;
        arena_init(&l->arena, SIZE_MAX);
        size_t n = 0;
        struct endpoint *v = arena_array(&l->arena, struct endpoint, es->entries.n + 1);
        l->wires = arena_array(&l->arena, struct wire *, es->entries.n + 1);
        for (size_t i = 0; i < es->entries.n; i++) {
                const struct entry *x = es->entries.p[i];
                if (!x->wire)
                        continue;
                struct endpoint *to = &v[n];
                *to = x->info;
                to->address = arena_str(&l->arena, str_from(x->address));
                to->type = arena_str(&l->arena, x->info.type);
                to->last_error = x->last_error ? arena_str(&l->arena, str_from(x->last_error)) : (Str){0};
                to->strict = x->strict;
                to->is_usable = x->healthy || x->strict;
                /* Nobody knows what a strict endpoint that never answered is: a store of all time. */
                to->has_store = x->info.has_store || !x->answered;
                to->last_check_ms = x->last_check_ms;
                to->channel = x->wire->ch;
                Labels *sets = arena_array(&l->arena, Labels, x->info.n_label_sets + 1);
                for (size_t k = 0; k < x->info.n_label_sets; k++)
                        sets[k] = labels_dup(&l->arena, x->info.label_sets[k]);
                to->label_sets = sets;
                struct endpoint_tsdb *tsdbs = arena_array(&l->arena, struct endpoint_tsdb, x->info.n_tsdbs + 1);
                for (size_t k = 0; k < x->info.n_tsdbs; k++) {
                        tsdbs[k] = x->info.tsdbs[k];
                        tsdbs[k].labels = labels_dup(&l->arena, x->info.tsdbs[k].labels);
                }
                to->tsdbs = tsdbs;
                l->wires[n++] = x->wire;
                atomic_fetch_add(&x->wire->refs, 1);
        }
        l->base = (struct endpoint_list){v, n};
        return l;
}

void endpoints_update(struct endpoints *es)
{
        mutex_lock(&es->round);
        endpoint_names_resolve(&es->names, es->o.resolve_ms, es->o.resolve_timeout_ms);
        if (endpoint_files_read(&es->files))
                endpoint_names_replace(&es->in_files, es->files.addresses.p, es->files.addresses.n);
        endpoint_names_resolve(&es->in_files, es->o.resolve_ms, es->o.resolve_timeout_ms);
        for (size_t i = 0; i < es->entries.n; i++)
                es->entries.p[i]->wanted = false;
        for (size_t i = 0; i < es->names.n; i++)
                for (size_t k = 0; k < es->names.v[i].found.n; k++)
                        want(es, str_from(es->names.v[i].found.p[k]), es->names.v[i].strict);
        for (size_t i = 0; i < es->in_files.n; i++)
                for (size_t k = 0; k < es->in_files.v[i].found.n; k++)
                        want(es, str_from(es->in_files.v[i].found.p[k]), false);
        ask_all(es);
        drop_old(es, clock_now_ms(es->o.clock));
        struct list_impl *l = list_of(es);
        mutex_lock(&es->mu);
        struct list_impl *old = es->published;
        es->published = l;
        if (!es->has_round)
                cond_broadcast(&es->wake);
        es->has_round = true;
        mutex_unlock(&es->mu);
        endpoint_list_unref(&old->base);
        mutex_unlock(&es->round);
}

static void run(void *arg)
{
        struct endpoints *es = arg;
        mutex_lock(&es->mu);
        while (!es->stop) {
                mutex_unlock(&es->mu);
                endpoints_update(es);
                mutex_lock(&es->mu);
                int64_t end_ms = time_mono_ms() + es->o.update_ms, left;
                while (!es->stop && (left = end_ms - time_mono_ms()) > 0)
                        cond_wait_ms(&es->wake, &es->mu, left);
        }
        mutex_unlock(&es->mu);
}

/* --- life --- */

static int64_t or_default(int64_t v, int64_t d)
{
        return v > 0 ? v : d;
}

struct error *endpoints_new(const struct endpoints_opts *o, struct endpoints **ret)
{
        struct endpoints *es = mem_new(struct endpoints);
        struct error *e = endpoint_names_init(&es->names, o->addresses, o->n_addresses);
        if (e) {
                free(es);
                return e;
        }
        es->o = *o;
        es->o.addresses = NULL;
        endpoint_files_init(&es->files, o->files, o->n_files, or_default(o->files_ms, 5 * 60 * 1000));
        es->o.update_ms = or_default(o->update_ms, 5000);
        es->o.info_timeout_ms = or_default(o->info_timeout_ms, 5000);
        es->o.resolve_ms = or_default(o->resolve_ms, 30000);
        es->o.resolve_timeout_ms = or_default(o->resolve_timeout_ms, 5000);
        es->o.unhealthy_ms = or_default(o->unhealthy_ms, 5 * 60 * 1000);
        if (!o->clock)
                es->o.clock = &clock_system;
        if (o->channel)
                es->channel = *o->channel;
        /* The next round shall find the channel willing to connect, and no peer shall make us take in gigabytes. */
        if (!es->channel.backoff_max_ms)
                es->channel.backoff_max_ms = MIN(es->o.update_ms, 5000);
        if (!es->channel.backoff_ms)
                es->channel.backoff_ms = MIN(es->channel.backoff_max_ms, 1000);
        if (!es->channel.recv_bytes_max)
                es->channel.recv_bytes_max = FRAME_BYTES_MAX;
        mutex_init(&es->round);
        mutex_init(&es->mu);
        cond_init(&es->wake);
        es->published = list_of(es);
        *ret = es;
        return NULL;
}

struct error *endpoints_start(struct endpoints *es)
{
        mutex_lock(&es->mu);
        es->starts = true;
        mutex_unlock(&es->mu);
        return thread_start(&es->thread, "endpoints", run, es);
}

void endpoints_free(struct endpoints *es)
{
        if (!es)
                return;
        mutex_lock(&es->mu);
        es->stop = true;
        cond_broadcast(&es->wake);
        mutex_unlock(&es->mu);
        thread_join(&es->thread);
        endpoint_list_unref(&es->published->base);
        for (size_t i = 0; i < es->entries.n; i++)
                entry_free(es->entries.p[i]);
        vec_done(&es->entries);
        endpoint_names_done(&es->names);
        endpoint_names_done(&es->in_files);
        endpoint_files_done(&es->files);
        cond_done(&es->wake);
        mutex_done(&es->mu);
        mutex_done(&es->round);
        free(es);
}

uint64_t endpoints_dns_lookups(const struct endpoints *es)
{
        return atomic_load(&es->names.lookups) + atomic_load(&es->in_files.lookups);
}

uint64_t endpoints_dns_failures(const struct endpoints *es)
{
        return atomic_load(&es->names.failures) + atomic_load(&es->in_files.failures);
}
