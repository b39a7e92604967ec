/* SPDX-License-Identifier: Apache-2.0 */
/* An alert is encoded once for each set and shared by the queues of its Alertmanagers.
 *
 * Locks: list (who is there) before a queue's own. A sender's thread holds neither while it sends. */
#include "alert/notify/notify.h"

#include "alert/notify/sender.h"
#include "base/log.h"
#include "codec/quote.h"

struct conf_ref {
        _Atomic int refs;
        struct notify_conf conf;
};
struct set {
        struct conf_ref *conf;          /* that it was made of */
        const struct notify_set_conf *c;
        VEC(struct sender *) senders;   /* the active ones, in order of discovery */
        VEC(char *) dropped;            /* URLs */
};
struct notify_manager {
        struct notify_opts o;
        struct sender_metrics metrics;
        struct rwlock list;             /* guards all below */
        struct conf_ref *conf;          /* NULL: none applied yet */
        VEC(struct set *) sets;
        bool stopped;
};

static void conf_unref(struct conf_ref *r)
{
        if (!r || --r->refs > 0)
                return;
        if (r->conf.release)
                r->conf.release(r->conf.owner);
        free(r);
}

static void discovered_collect(void *ctx)
{
        struct notify_manager *n = ctx;
        double count = 0;
        rwlock_read(&n->list);
        for (size_t i = 0; i < n->sets.n; i++)
                count += (double)n->sets.p[i]->senders.n;
        rwlock_unlock(&n->list);
        metric_set(n->metrics.discovered, count);
}

struct error *notify_manager_new(const struct notify_opts *o, struct notify_manager **ret)
{
        struct notify_manager *n = mem_new(struct notify_manager);
        n->o = *o;
        if (n->o.batch_size == 0)
                n->o.batch_size = 256;
        rwlock_init(&n->list);
        sender_metrics_init(&n->metrics, o->metrics);
        if (o->metrics) {
                metric_set(n->metrics.queue_capacity, (double)o->queue_capacity);
                metric_collect(o->metrics, discovered_collect, n);
        }
        *ret = n;
        return NULL;
}

/* Stops senders, one after the other: each may drain for as long as its requests take. The set's lists are out of reach of others. */
static void set_free(struct set *s)
{
        for (size_t i = 0; i < s->senders.n; i++)
                sender_begin_stop(s->senders.p[i]);
        for (size_t i = 0; i < s->senders.n; i++)
                sender_free(s->senders.p[i]);
        for (size_t i = 0; i < s->dropped.n; i++)
                free(s->dropped.p[i]);
        vec_done(&s->senders);
        vec_done(&s->dropped);
        conf_unref(s->conf);
        free(s);
}

void notify_manager_apply(struct notify_manager *n, const struct notify_conf *c)
{
        struct conf_ref *r = mem_new(struct conf_ref);
        VEC(struct set *) fresh = VEC_INIT, old = VEC_INIT;
        r->refs = 1;
        r->conf = *c;
        rwlock_write(&n->list);
        for (size_t i = 0; i < n->sets.n; i++)
                vec_push(&old, n->sets.p[i]);
        for (size_t i = 0; i < c->n_sets; i++) {
                struct set *s = NULL;
                for (size_t k = 0; k < old.n && !s; k++) {
                        if (old.p[k] && old.p[k]->c->hash == c->sets[i].hash) {
                                s = old.p[k];
                                old.p[k] = NULL;
                        }
                }
                if (!s) {
                        s = mem_new(struct set);
                        s->conf = r;
                        r->refs++;
                        s->c = &c->sets[i];
                }
                vec_push(&fresh, s);
        }
        struct conf_ref *before = n->conf;
        n->conf = r;
        vec_clear(&n->sets);
        for (size_t i = 0; i < fresh.n; i++)
                vec_push(&n->sets, fresh.p[i]);
        rwlock_unlock(&n->list);
        for (size_t i = 0; i < old.n; i++) {
                if (old.p[i])
                        set_free(old.p[i]);
        }
        conf_unref(before);
        vec_done(&fresh);
        vec_done(&old);
}

/* ---- who is there ---- */

/* path.Join("/", prefix, "/api/v2/alerts"). */
static void put_post_path(struct buf *b, Str prefix)
{
        VEC(Str) parts = VEC_INIT;
        Str part;
        while (str_next(&prefix, '/', &part)) {
                if (str_eq(part, STR("..")))
                        parts.n -= parts.n > 0;
                else if (part.n && !str_eq(part, STR(".")))
                        vec_push(&parts, part);
        }
        for (size_t i = 0; i < parts.n; i++)
                buf_printf(b, "/" STR_FMT, STR_ARG(parts.p[i]));
        buf_puts(b, "/api/v2/alerts");
        vec_done(&parts);
}

static void put_url_path(struct buf *b, Str path)
{
        static const char plain[] = "-_.~!$&'()*+,;=:@/";
        for (size_t i = 0; i < path.n; i++) {
                char c = path.p[i];
                bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                if (alnum || (c && strchr(plain, c)))
                        buf_putc(b, c);
                else
                        buf_printf(b, "%%%02X", (unsigned char)c);
        }
}

static char *url_of(Labels ls)
{
        struct buf b = BUF_INIT(1 << 16);
        Str path = labels_get(ls, STR("__alerts_path__"));
        buf_printf(&b, STR_FMT "://" STR_FMT "%s", STR_ARG(labels_get(ls, STR("__scheme__"))), STR_ARG(labels_get(ls, STR("__address__"))),
                   path.n && path.p[0] != '/' ? "/" : "");
        put_url_path(&b, path);
        return buf_take(&b);
}

typedef VEC(char *) Urls;

static struct error *target_judge(const struct notify_set_conf *c, Labels group, Labels target, struct arena *a, Urls *active, Urls *dropped)
{
        struct labels_builder b;
        struct buf path = BUF_INIT(1 << 16);
        struct error *e = NULL;
        labels_builder_init(&b);
        labels_builder_reset(&b, target);
        labels_builder_set(&b, STR("__scheme__"), c->scheme);
        put_post_path(&path, c->path_prefix);
        labels_builder_set(&b, STR("__alerts_path__"), buf_str(&path));
        for (size_t i = 0; i < group.n; i++) {
                if (!labels_has(target, group.v[i].name))
                        labels_builder_set(&b, group.v[i].name, group.v[i].value);
        }
        Labels before = labels_builder_labels(&b, a);
        if (!relabel_process(c->relabel, c->n_relabel, &b, a)) {
                vec_push(dropped, url_of(before));
        } else {
                Labels ls = labels_builder_labels(&b, a);
                if (str_find(labels_get(ls, STR("__address__")), '/') >= 0) {
                        struct buf q = BUF_INIT(1 << 16);
                        buf_put_go_quoted(&q, labels_get(ls, STR("__address__")));
                        e = error_new(ERROR_INVALID, "%s is not a valid hostname", buf_cstr(&q));
                        buf_done(&q);
                } else {
                        vec_push(active, url_of(ls));
                }
        }
        buf_done(&path);
        labels_builder_done(&b);
        return e;
}

/* A group with a bad address gives nothing. */
static struct error *group_judge(const struct notify_set_conf *c, const struct notify_group *g, Urls *active, Urls *dropped)
{
        size_t n_active = active->n, n_dropped = dropped->n;
        struct arena a;
        struct error *e = NULL;
        arena_init(&a, 64 << 20);
        for (size_t i = 0; i < g->n_targets && !e; i++)
                e = target_judge(c, g->labels, g->targets[i], &a, active, dropped);
        while (e && active->n > n_active)
                free(vec_pop(active));
        while (e && dropped->n > n_dropped)
                free(vec_pop(dropped));
        arena_done(&a);
        return e;
}

struct error *notify_group_check(const struct notify_set_conf *c, const struct notify_group *g)
{
        Urls active = VEC_INIT, dropped = VEC_INIT;
        struct error *e = group_judge(c, g, &active, &dropped);
        while (active.n)
                free(vec_pop(&active));
        while (dropped.n)
                free(vec_pop(&dropped));
        vec_done(&active);
        vec_done(&dropped);
        return e;
}

static struct sender *sender_take(struct set *s, const char *url)
{
        for (size_t i = 0; i < s->senders.n; i++) {
                struct sender *one = s->senders.p[i];
                if (one && strcmp(sender_url(one), url) == 0) {
                        s->senders.p[i] = NULL;
                        return one;
                }
        }
        return NULL;
}

void notify_manager_update(struct notify_manager *n, size_t set, const struct notify_group *groups, size_t n_groups)
{
        Urls active = VEC_INIT, dropped = VEC_INIT;
        VEC(struct sender *) now = VEC_INIT, gone = VEC_INIT;
        rwlock_write(&n->list);
        struct set *s = set < n->sets.n && !n->stopped ? n->sets.p[set] : NULL;
        for (size_t i = 0; s && i < n_groups; i++) {
                struct error *e = group_judge(s->c, &groups[i], &active, &dropped);
                if (e)
                        log_error("notifier", "Creating discovered Alertmanagers failed", KV_E(e));
                error_free(e);
        }
        for (size_t i = 0; i < active.n; i++) {
                bool again = false;
                for (size_t k = 0; k < i; k++)
                        again |= strcmp(active.p[i], active.p[k]) == 0;
                if (again)
                        continue;
                struct sender *one = sender_take(s, active.p[i]);
                if (!one) {
                        struct sender_opts o = {.url = active.p[i], .http = &s->c->http, .timeout_ms = s->c->timeout_ms, .capacity = n->o.queue_capacity, .batch = n->o.batch_size,
                                                .drain = n->o.drain_on_shutdown, .user_agent = n->o.user_agent, .metrics = &n->metrics};
                        struct error *e = sender_new(&o, &one);
                        if (e) {
                                log_error("notifier", "Creating discovered Alertmanagers failed", KV_E(e));
                                error_free(e);
                                continue;
                        }
                }
                vec_push(&now, one);
        }
        if (s) {
                for (size_t i = 0; i < s->senders.n; i++) {
                        if (s->senders.p[i])
                                vec_push(&gone, s->senders.p[i]);
                }
                vec_clear(&s->senders);
                for (size_t i = 0; i < now.n; i++)
                        vec_push(&s->senders, now.p[i]);
                for (size_t i = 0; i < s->dropped.n; i++)
                        free(s->dropped.p[i]);
                vec_clear(&s->dropped);
                for (size_t i = 0; i < dropped.n; i++)
                        vec_push(&s->dropped, dropped.p[i]);
                vec_clear(&dropped);
        }
        rwlock_unlock(&n->list);
        for (size_t i = 0; i < gone.n; i++)
                sender_begin_stop(gone.p[i]);
        for (size_t i = 0; i < gone.n; i++)
                sender_free(gone.p[i]);
        for (size_t i = 0; i < active.n; i++)
                free(active.p[i]);
        for (size_t i = 0; i < dropped.n; i++)
                free(dropped.p[i]);
        vec_done(&active);
        vec_done(&dropped);
        vec_done(&now);
        vec_done(&gone);
}

/* ---- sending ---- */

struct relabelled {
        Labels labels;
        const struct rule_notice *notice;
};

/* In place; how many are left. Labels of the alert win over external ones. */
static size_t relabel_all(struct relabelled *v, size_t n, const struct relabel_rule *rules, size_t n_rules, Labels external, struct arena *a)
{
        struct labels_builder b;
        size_t kept = 0;
        if (n_rules == 0 && external.n == 0)
                return n;
        labels_builder_init(&b);
        for (size_t i = 0; i < n; i++) {
                labels_builder_reset(&b, v[i].labels);
                for (size_t k = 0; k < external.n; k++) {
                        if (labels_get(v[i].labels, external.v[k].name).n == 0)
                                labels_builder_set(&b, external.v[k].name, external.v[k].value);
                }
                if (!relabel_process(rules, n_rules, &b, a))
                        continue;
                v[kept++] = (struct relabelled){labels_builder_labels(&b, a), v[i].notice};
        }
        labels_builder_done(&b);
        return kept;
}

void notify_manager_send(struct notify_manager *n, const struct rule_notice *v, size_t n_v)
{
        struct arena a;
        arena_init(&a, BUF_NO_LIMIT);
        struct relabelled *all = arena_array(&a, struct relabelled, n_v + 1), *own = arena_array(&a, struct relabelled, n_v + 1);
        struct sendable **encoded = arena_array(&a, struct sendable *, n_v + 1);
        for (size_t i = 0; i < n_v; i++)
                all[i] = (struct relabelled){v[i].labels, &v[i]};
        rwlock_read(&n->list);
        size_t count = n->conf && !n->stopped ? relabel_all(all, n_v, n->conf->conf.alert_relabel, n->conf->conf.n_alert_relabel, n->conf->conf.external_labels, &a) : 0;
        for (size_t i = 0; i < n->sets.n && count; i++) {
                struct set *s = n->sets.p[i];
                if (s->senders.n == 0)
                        continue;
                memcpy(own, all, count * sizeof *own);
                size_t left = relabel_all(own, count, s->c->alert_relabel, s->c->n_alert_relabel, (Labels){NULL, 0}, &a);
                for (size_t k = 0; k < left; k++)
                        encoded[k] = sendable_new(own[k].labels, own[k].notice);
                for (size_t k = 0; k < s->senders.n && left; k++)
                        sender_add(s->senders.p[k], encoded, left);
                for (size_t k = 0; k < left; k++)
                        sendable_unref(encoded[k]);
        }
        rwlock_unlock(&n->list);
        arena_done(&a);
}

/* ---- end ---- */

void notify_manager_stop(struct notify_manager *n)
{
        VEC(struct set *) sets = VEC_INIT;
        rwlock_write(&n->list);
        bool was = n->stopped;
        n->stopped = true;
        for (size_t i = 0; i < n->sets.n; i++)
                vec_push(&sets, n->sets.p[i]);
        vec_clear(&n->sets);
        struct conf_ref *conf = n->conf;
        n->conf = NULL;
        rwlock_unlock(&n->list);
        if (!was)
                log_info("notifier", "Stopping notification manager...");
        for (size_t i = 0; i < sets.n; i++) {
                for (size_t k = 0; k < sets.p[i]->senders.n; k++)
                        sender_begin_stop(sets.p[i]->senders.p[k]);
        }
        for (size_t i = 0; i < sets.n; i++)
                set_free(sets.p[i]);
        conf_unref(conf);
        vec_done(&sets);
}

void notify_manager_free(struct notify_manager *n)
{
        if (!n)
                return;
        notify_manager_stop(n);
        if (n->o.metrics)
                metric_collect_remove(n->o.metrics, discovered_collect, n);
        vec_done(&n->sets);
        sender_metrics_done(&n->metrics);
        rwlock_done(&n->list);
        free(n);
}

void notify_manager_urls(struct notify_manager *n, struct arena *a, struct notify_urls *ret)
{
        size_t active = 0, dropped = 0;
        rwlock_read(&n->list);
        for (size_t i = 0; i < n->sets.n; i++) {
                active += n->sets.p[i]->senders.n;
                dropped += n->sets.p[i]->dropped.n;
        }
        *ret = (struct notify_urls){.active = arena_array(a, Str, active + 1), .dropped = arena_array(a, Str, dropped + 1)};
        for (size_t i = 0; i < n->sets.n; i++) {
                const struct set *s = n->sets.p[i];
                for (size_t k = 0; k < s->senders.n; k++)
                        ret->active[ret->n_active++] = arena_str(a, str_from(sender_url(s->senders.p[k])));
                for (size_t k = 0; k < s->dropped.n; k++)
                        ret->dropped[ret->n_dropped++] = arena_str(a, str_from(s->dropped.p[k]));
        }
        rwlock_unlock(&n->list);
}
