/* SPDX-License-Identifier: Apache-2.0 */
/* server.c — listeners, routes, workers, start and stop of the HTTP server. Connections: conn.c. Requests: exchange.c.
 */
#include "io/http/server.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http/server_impl.h"
#include "io/net.h"
#include "io/tls_impl.h"

enum { ACCEPTS_PER_EVENT = 64, ACCEPT_PAUSE_MS = 50, STOP_CUT_MS = 1000 };

struct error *http_server_new(const struct http_server_opts *o, struct http_server **ret)
{
        net_ignore_sigpipe();
        struct http_server *s = mem_new(struct http_server);
        s->o = *o;
        snprintf(s->name, sizeof s->name, "%s", o->name ? o->name : "http");
        s->o.name = s->name;
        if (s->o.loops <= 0)
                s->o.loops = cpu_count();
        if (s->o.workers_max <= 0)
                s->o.workers_max = 64;
        if (s->o.connections_max <= 0)
                s->o.connections_max = 512;
        if (s->o.read_timeout_ms <= 0)
                s->o.read_timeout_ms = 5 * 60 * 1000;
        if (s->o.write_timeout_ms <= 0)
                s->o.write_timeout_ms = 60 * 1000;
        if (!s->o.header_bytes_max)
                s->o.header_bytes_max = 64 << 10;
        if (s->o.h2_streams_max <= 0)
                s->o.h2_streams_max = 100;
        if (!s->o.body_bytes_max)
                s->o.body_bytes_max = 32 << 20;
        mutex_init(&s->mu);
        cond_init(&s->work);
        cond_init(&s->idle);
        list_init(&s->queue);
        if (o->tls) {
                struct error *e = tls_server_new(o->tls, &s->tls);
                if (e) {
                        http_server_free(s);
                        return e;
                }
        }
        *ret = s;
        return NULL;
}

/* --- routes --- */

void http_server_handle(struct http_server *s, const char *path, unsigned methods, unsigned flags, http_handler *h,
                        void *ctx)
{
        struct route *r = mem_new(struct route);
        r->path = mem_strdup(path);
        r->has_names = strstr(path, "/:") != NULL;
        r->methods = methods;
        r->flags = flags;
        r->handler = h;
        r->ctx = ctx;
        vec_push(&s->routes, r);
        if (flags & HTTP_PREFIX || r->has_names)
                return;
        struct route *first = map_get(&s->exact, str_from(r->path));
        if (first) {
                r->next_same = first->next_same;
                first->next_same = r;
        } else {
                map_set(&s->exact, str_from(r->path), r);
        }
}

void http_server_fallback(struct http_server *s, http_handler *h, void *ctx)
{
        s->fallback = h;
        s->fallback_ctx = ctx;
}

static bool names_match(Str pattern, Str path)
{
        Str a, b;
        for (;;) {
                bool more_a = str_next(&pattern, '/', &a), more_b = str_next(&path, '/', &b);
                if (more_a != more_b)
                        return false;
                if (!more_a)
                        return true;
                if (a.n && a.p[0] == ':' ? b.n == 0 : !str_eq(a, b))
                        return false;
        }
}

static bool pattern_match(const struct route *r, Str path)
{
        if (r->flags & HTTP_PREFIX)
                return str_has_prefix(path, str_from(r->path));
        return r->has_names && names_match(str_from(r->path), path);
}

/* NULL: none for this method; *ret_methods: what the path can do, 0: unknown path. */
static const struct route *route_find(const struct http_server *s, Str path, enum http_method m, unsigned *ret_methods)
{
        unsigned methods = 0;
        const struct route *best = NULL;
        for (const struct route *r = map_get(&s->exact, path); r; r = r->next_same) {
                methods |= r->methods;
                if (r->methods & m)
                        best = r;
        }
        if (!methods) /* among prefixes and names, which are few, the longest wins */
                for (size_t i = 0; i < s->routes.n; i++) {
                        const struct route *r = s->routes.p[i];
                        if (!pattern_match(r, path))
                                continue;
                        methods |= r->methods;
                        if (r->methods & m && (!best || strlen(r->path) > strlen(best->path)))
                                best = r;
                }
        *ret_methods = methods;
        return best;
}

static void reply_not_found(struct exchange *x)
{
        http_set_header(&x->req, "X-Content-Type-Options", STR("nosniff"));
        http_reply(&x->req, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
}

static void reply_not_allowed(struct exchange *x, unsigned methods)
{
        static const struct {
                enum http_method m;
                const char *name;
        } all[] = {{HTTP_DELETE, "DELETE"}, {HTTP_GET, "GET"},   {HTTP_HEAD, "HEAD"}, {HTTP_OPTIONS, "OPTIONS"},
                   {HTTP_PATCH, "PATCH"},   {HTTP_POST, "POST"}, {HTTP_PUT, "PUT"}};
        struct buf b = BUF_INIT(256);
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                if (methods & all[i].m || all[i].m == HTTP_OPTIONS)
                        buf_printf(&b, "%s%s", b.n ? ", " : "", all[i].name);
        http_set_header(&x->req, "Allow", buf_str(&b));
        buf_done(&b);
        if (x->req.method == HTTP_OPTIONS) { /* the question is answered */
                http_reply(&x->req, 200, NULL, STR(""));
                return;
        }
        http_set_header(&x->req, "X-Content-Type-Options", STR("nosniff"));
        http_reply(&x->req, 405, "text/plain; charset=utf-8", STR("Method Not Allowed\n"));
}

bool server_begin(struct exchange *x)
{
        struct http_server *s = x->sl->s;
        unsigned methods = 0;
        x->is_inline = true; /* until it goes to a worker */
        x->route = route_find(s, x->req.path, x->req.method, &methods);
        bool answered = s->o.gate && !s->o.gate(&x->req, s->o.ctx);
        if (!answered && !x->route && methods) {
                reply_not_allowed(x, methods);
                answered = true;
        } else if (!answered && !x->route && !s->fallback) {
                reply_not_found(x);
                answered = true;
        }
        if (answered) {
                exchange_finish_answer(x);
                exchange_done_metrics(x);
        }
        return answered;
}

/* --- workers --- */

static void run_exchange(struct exchange *x)
{
        struct http_server *s = x->sl->s;
        if (x->route)
                exchange_run(x, x->route->handler, x->route->ctx);
        else
                exchange_run(x, s->fallback, s->fallback_ctx);
}

static void worker_main(void *arg)
{
        struct http_server *s = arg;
        mutex_lock(&s->mu);
        for (;;) {
                while (list_is_empty(&s->queue) && !s->quit) {
                        s->n_idle++;
                        cond_wait(&s->work, &s->mu);
                        s->n_idle--;
                }
                if (list_is_empty(&s->queue))
                        break;
                struct exchange *x = CONTAINER_OF(s->queue.next, struct exchange, queued);
                list_remove(&x->queued);
                s->n_queued--;
                s->n_busy++;
                mutex_unlock(&s->mu);
                struct loop *l = x->sl->l;
                if (!exchange_is_closed(x)) /* else it left while waiting */
                        run_exchange(x);
                loop_post(l, exchange_done_message, x); /* it may be gone from here on */
                mutex_lock(&s->mu);
                s->n_busy--;
                if (!s->n_busy && !s->n_queued)
                        cond_broadcast(&s->idle);
        }
        mutex_unlock(&s->mu);
}

bool server_dispatch(struct exchange *x)
{
        struct http_server *s = x->sl->s;
        if (x->route && x->route->flags & HTTP_INLINE) {
                run_exchange(x);
                return true;
        }
        x->is_inline = false;
        x->dispatched = true;
        mutex_lock(&s->mu);
        list_push_back(&s->queue, &x->queued);
        s->n_queued++;
        if (s->n_queued > s->n_idle && s->workers.n < (size_t)s->o.workers_max) {
                char name[16];
                snprintf(name, sizeof name, "%s-w%zu", s->name, s->workers.n);
                struct thread t;
                struct error *e = thread_start(&t, name, worker_main, s);
                if (!e)
                        vec_push(&s->workers, t);
                else if (s->workers.n)
                        error_ignore(e, "those that are there will do it later");
                else
                        bug("no thread for requests: %s", error_str(e));
        }
        cond_signal(&s->work);
        mutex_unlock(&s->mu);
        return false;
}

/* --- listeners: on loops[0]; connections go to the loops in turn --- */

struct accepted {
        struct server_loop *sl;
        int fd;
        char peer[64];
};

static void accepted_message(void *arg)
{
        struct accepted *a = arg;
        conn_start(a->sl, a->fd, a->peer);
        free(a);
}

static void set_accepting(struct http_server *s, bool on)
{
        s->accept_paused = !on;
        for (size_t i = 0; i < s->listeners.n; i++)
                if (s->listeners.p[i]->on_loop)
                        loop_fd_change(s->loops[0].l, &s->listeners.p[i]->f, on ? EPOLLIN : 0);
}

static void accept_again_timer(struct loop_timer *t)
{
        struct http_server *s = CONTAINER_OF(t, struct http_server, accept_again);
        if (s->accept_paused && atomic_load(&s->n_conns) < s->o.connections_max)
                set_accepting(s, true);
}

static void accept_again_message(void *arg)
{
        struct http_server *s = arg;
        accept_again_timer(&s->accept_again);
}

static void accept_ready(struct loop_fd *f, uint32_t events)
{
        (void)events;
        struct listener *li = CONTAINER_OF(f, struct listener, f);
        struct http_server *s = li->s;
        for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
                if (atomic_fetch_add(&s->n_conns, 1) >= s->o.connections_max) {
                        /* Paused first, then given back: whoever closes a connection meanwhile sees one of the two. */
                        set_accepting(s, false);
                        server_conn_gone(s);
                        return;
                }
                struct sockaddr_storage sa = {0};
                socklen_t n = sizeof sa;
                int fd = accept4(f->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0) {
                        int why = errno;
                        atomic_fetch_sub(&s->n_conns, 1);
                        if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
                                set_accepting(s, false);
                                loop_timer_set(s->loops[0].l, &s->accept_again, ACCEPT_PAUSE_MS);
                                return;
                        }
                        if (why == EAGAIN || why == EINVAL || why == EBADF)
                                return;
                        continue;
                }
                struct accepted *a = mem_new(struct accepted);
                a->fd = fd;
                net_address_text((struct sockaddr *)&sa, a->peer);
                a->sl = &s->loops[s->next_loop];
                s->next_loop = (s->next_loop + 1) % s->n_loops;
                if (a->sl == &s->loops[0])
                        accepted_message(a);
                else
                        loop_post(a->sl->l, accepted_message, a);
        }
}

void server_conn_gone(struct http_server *s)
{
        int before = atomic_fetch_sub(&s->n_conns, 1);
        if (before >= s->o.connections_max)
                loop_post(s->loops[0].l, accept_again_message, s);
        if (before == 1) {
                mutex_lock(&s->mu);
                cond_broadcast(&s->idle);
                mutex_unlock(&s->mu);
        }
}

struct error *http_server_listen(struct http_server *s, const char *address)
{
        int fd, port;
        struct error *e = net_listen(address, &fd, &port);
        if (e)
                return e;
        struct listener *li = mem_new(struct listener);
        li->f = (struct loop_fd){.fd = fd, .ready = accept_ready};
        li->s = s;
        li->port = port;
        vec_push(&s->listeners, li);
        return NULL;
}

int http_server_port(const struct http_server *s, size_t listener)
{
        return listener < s->listeners.n ? s->listeners.p[listener]->port : 0;
}

int http_server_connections(const struct http_server *s)
{
        return atomic_load(&s->n_conns);
}

/* --- start and stop --- */

struct start_listening {
        struct http_server *s;
        struct error *e;
};

static void start_listening(void *arg)
{
        struct start_listening *a = arg;
        for (size_t i = 0; i < a->s->listeners.n && !a->e; i++) {
                struct listener *li = a->s->listeners.p[i];
                a->e = loop_fd_add(a->s->loops[0].l, &li->f, EPOLLIN);
                li->on_loop = !a->e;
        }
}

struct error *http_server_start(struct http_server *s)
{
        s->loops = mem_zalloc((size_t)s->o.loops * sizeof *s->loops);
        s->accept_again.fire = accept_again_timer;
        for (int i = 0; i < s->o.loops; i++) {
                struct server_loop *sl = &s->loops[i];
                char name[24];
                snprintf(name, sizeof name, "%s-%d", s->name, i);
                sl->s = s;
                list_init(&sl->conns);
                sl->scratch = mem_alloc(SCRATCH_BYTES);
                s->n_loops = i + 1;
                struct error *e = loop_new(name, &sl->l);
                if (e)
                        return e;
        }
        struct start_listening a = {s, NULL};
        s->started = true;
        loop_call(s->loops[0].l, start_listening, &a);
        return a.e;
}

static void stop_listening(void *arg)
{
        struct http_server *s = arg;
        loop_timer_clear(s->loops[0].l, &s->accept_again);
        for (size_t i = 0; i < s->listeners.n; i++) {
                struct listener *li = s->listeners.p[i];
                if (li->on_loop)
                        loop_fd_remove(s->loops[0].l, &li->f);
                li->on_loop = false;
                if (li->f.fd >= 0)
                        close(li->f.fd);
                li->f.fd = -1;
        }
}

/* Connections without a request go at once. */
static void close_idle(void *arg)
{
        struct server_loop *sl = arg;
        LIST_EACH (it, &sl->conns) {
                struct conn *c = CONTAINER_OF(it, struct conn, link);
                if (c->proto == CONN_HTTP2)
                        h2_goaway(c);
                else if (c->state == CONN_HEAD && !c->in.n)
                        conn_close(c, false);
        }
}

static void cancel_all(void *arg)
{
        struct server_loop *sl = arg;
        LIST_EACH (it, &sl->conns) {
                struct conn *c = CONTAINER_OF(it, struct conn, link);
                if (c->ex)
                        exchange_cancel(c->ex);
                h2_cancel_all(c);
        }
}

static void close_all(void *arg)
{
        struct server_loop *sl = arg;
        LIST_EACH (it, &sl->conns)
                conn_close(CONTAINER_OF(it, struct conn, link), false);
}

static void each_loop(struct http_server *s, void (*fn)(void *arg))
{
        for (int i = 0; i < s->n_loops; i++)
                if (s->loops[i].l)
                        loop_call(s->loops[i].l, fn, &s->loops[i]);
}

static void wait_for_silence(struct http_server *s, int64_t ms)
{
        int64_t until = time_mono_ms() + ms;
        mutex_lock(&s->mu);
        while (atomic_load(&s->n_conns) > 0) {
                int64_t left = until - time_mono_ms();
                if (left <= 0)
                        break;
                cond_wait_ms(&s->idle, &s->mu, left);
        }
        mutex_unlock(&s->mu);
}

void http_server_stop(struct http_server *s, int64_t grace_ms)
{
        if (!s->started || atomic_exchange(&s->stopping, true))
                return;
        if (s->loops[0].l)
                loop_call(s->loops[0].l, stop_listening, s);
        each_loop(s, close_idle);
        wait_for_silence(s, grace_ms);
        each_loop(s, cancel_all);
        if (atomic_load(&s->n_conns) > 0)
                wait_for_silence(s, STOP_CUT_MS);
        each_loop(s, close_all);
        mutex_lock(&s->mu);
        s->quit = true;
        cond_broadcast(&s->work);
        while (s->n_busy || s->n_queued)
                cond_wait(&s->idle, &s->mu);
        mutex_unlock(&s->mu);
        for (size_t i = 0; i < s->workers.n; i++)
                thread_join(&s->workers.p[i]);
        s->workers.n = 0;
}

void http_server_free(struct http_server *s)
{
        if (!s)
                return;
        http_server_stop(s, 0);
        for (int i = s->n_loops - 1; i >= 0; i--) { /* loops[0] last: the others post to it */
                loop_free(s->loops[i].l);           /* after the messages of workers and of connections that ended */
                free(s->loops[i].scratch);
        }
        free(s->loops);
        for (size_t i = 0; i < s->listeners.n; i++) {
                if (s->listeners.p[i]->f.fd >= 0)
                        close(s->listeners.p[i]->f.fd);
                free(s->listeners.p[i]);
        }
        vec_done(&s->listeners);
        for (size_t i = 0; i < s->routes.n; i++) {
                free(s->routes.p[i]->path);
                free(s->routes.p[i]);
        }
        vec_done(&s->routes);
        map_done(&s->exact);
        vec_done(&s->workers);
        tls_server_free(s->tls);
        cond_done(&s->work);
        cond_done(&s->idle);
        mutex_done(&s->mu);
        free(s);
}
