/* SPDX-License-Identifier: Apache-2.0 */
/* client.c — exchanges on libcurl's multi interface, driven by the loop.
 *
 *   send → (name resolved) → transfer → done
 *             ^                 |  another address after a refused connection; another URL after a redirect
 *             +-----------------+
 *
 * Hosts are spread over SHARDS multi handles by hash, because libcurl walks all connections of a multi at the end of
 * each transfer: one multi collapses at some thousand targets, shards of a few hundred do not. Names are resolved by
 * io/resolver and given as addresses, so libcurl starts no threads; its own DNS cache is off. Bodies are inflated by
 * us. Redirects are followed by us, since their hosts need addresses too. */
#include "io/http/client.h"

#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/thread.h"
#include "base/vec.h"
#include "io/http/client_impl.h"
#include "io/net.h"

enum {
        SHARDS = 32,
        REDIRECTS_MAX = 10,
        IDLE_EASY_MAX = 64,          /* kept for the next transfers of a shard */
        IDLE_CONNECTIONS_MAX = 1000, /* of a shard */
        IDLE_SECONDS_MAX = 300,      /* as upstream's IdleConnTimeout */
        RESPONSE_HEAD_BYTES_MAX = 1 << 20,
        BODY_BYTES_DEFAULT = 64 << 20,
        /* libcurl 7.88.1 never sees the end of an HTTP/2 stream whose last DATA frame overflows this buffer at the end
         * of what it read. It reads 32 KiB from a connection at once: a larger buffer, and no second stream whose
         * bytes could pile up meanwhile, leave nothing to overflow. */
        READ_BYTES = 64 << 10,
        STALLED_BYTES_PER_SECOND = 16,
        UPLOAD_BUFFER_BYTES = 256 << 10,
        RELEASE_BYTES = 1 << 20,
};

struct shard {
        struct http_client *c;
        CURLM *multi; /* NULL: not used yet */
        struct loop_timer timer;
        VEC(CURL *) idle;
        struct list socks; /* struct curl_sock */
};
struct curl_sock {
        struct loop_fd f;
        struct shard *shard;
        struct list link;
        bool watched; /* false once it was closed: its number may be another's by now */
};
struct http_client {
        struct loop *l;
        struct resolver *resolver;
        struct shard shards[SHARDS];
        struct list ops, failed;
        struct loop_timer tell; /* fires at once while failed is not empty */
};

static void library_init(void)
{
        net_ignore_sigpipe();
        if (curl_global_init(CURL_GLOBAL_ALL))
                bug("curl_global_init failed");
}

/* --- the life of an op --- */

static void detach_easy(struct op *o)
{
        CURL *easy = o->easy;
        if (!easy)
                return;
        o->easy = NULL;
        curl_multi_remove_handle(o->shard->multi, easy);
        if (o->shard->idle.n < IDLE_EASY_MAX) {
                curl_easy_reset(easy);
                vec_push(&o->shard->idle, easy);
        } else {
                curl_easy_cleanup(easy);
        }
}

static void op_free(struct op *o)
{
        detach_easy(o);
        list_remove(&o->link);
        loop_timer_clear(o->c->l, &o->timer);
        resolver_cancel(&o->ask);
        inflater_free(o->inflater);
        curl_slist_free_all(o->user_headers);
        curl_slist_free_all(o->headers);
        curl_slist_free_all(o->connect_to);
        error_free(o->verdict);
        error_free(o->first_connect_error);
        free(o->url);
        free(o->first_url);
        free(o->method);
        free(o);
}

static void finish(struct op *o, struct error *take_e)
{
        struct http_call *call = o->call;
        call->private = NULL;
        op_free(o);
        call->done(call, take_e, &call->response);
}

/* To be told from the timer: never from inside http_client_send. */
static void fail(struct op *o, struct error *take_e)
{
        detach_easy(o);
        error_free(o->verdict);
        o->verdict = take_e;
        list_remove(&o->link);
        list_push_back(&o->c->failed, &o->link);
        if (!o->c->tell.slot)
                loop_timer_set(o->c->l, &o->c->tell, 0);
}

static void tell_failed(struct loop_timer *t)
{
        struct http_client *c = CONTAINER_OF(t, struct http_client, tell);
        while (!list_is_empty(&c->failed)) {
                struct op *o = CONTAINER_OF(c->failed.next, struct op, link);
                struct error *e = o->verdict;
                o->verdict = NULL;
                finish(o, e);
        }
}

static void deadline(struct loop_timer *t)
{
        struct op *o = CONTAINER_OF(t, struct op, timer);
        if (o->verdict)
                return; /* about to be told */
        finish(o, client_deadline_error(o));
}

/* --- what libcurl tells --- */

static void response_clear(struct http_response *r, size_t limit)
{
        r->status = 0;
        r->content_type = STR("");
        r->wire_bytes = 0;
        r->headers = NULL;
        r->n_headers = 0;
        if (r->body.cap)
                buf_clear(&r->body);
        r->body.limit = limit;
        if (r->arena)
                arena_clear(r->arena);
}

static struct error *body_limit_error(void)
{
        return error_new(ERROR_LIMIT, "body size limit exceeded");
}

static Str answer_header(const struct http_response *r, Str name)
{
        for (size_t i = 0; i < r->n_headers; i++)
                if (str_eq_nocase(r->headers[i].name, name))
                        return r->headers[i].value;
        return STR("");
}

static bool leads_on(const struct op *o)
{
        const struct http_response *r = &o->call->response;
        bool is = r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 || r->status == 308;
        return is && !o->conf->no_follow_redirects && answer_header(r, STR("Location")).n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
        struct op *o = arg;
        struct http_response *r = &o->call->response;
        Str piece = {p, size * n};
        if (o->is_redirect)
                return piece.n;
        if (o->call->pause)
                return CURL_WRITEFUNC_PAUSE; /* it comes again */
        r->wire_bytes += piece.n;
        if (o->gzip) {
                struct error *e = inflater_add(o->inflater, piece, &r->body);
                if (e) {
                        bool over = error_is(e, ERROR_LIMIT);
                        o->verdict = over ? body_limit_error() : e;
                        if (over)
                                error_free(e);
                        return 0;
                }
                if (!o->call->piece)
                        return piece.n;
                Str out = buf_str(&r->body);
                bool on = out.n == 0 || o->call->piece(o->call, out);
                buf_clear(&r->body);
                if (!on)
                        o->verdict = error_new(ERROR_CANCELLED, "context canceled");
                return on ? piece.n : 0;
        }
        if (o->call->piece) {
                if (o->call->piece(o->call, piece))
                        return piece.n;
                o->verdict = error_new(ERROR_CANCELLED, "context canceled");
                return 0;
        }
        buf_put(&r->body, piece);
        if (!buf_is_over(&r->body))
                return piece.n;
        o->verdict = body_limit_error();
        return 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
        struct op *o = arg;
        struct http_response *r = &o->call->response;
        Str line = str_trim((Str){p, size * n}), name, value;
        if (str_has_prefix(line, STR("HTTP/"))) { /* of an interim answer, or the final one */
                size_t limit = r->body.limit;
                response_clear(r, limit);
                Str version, rest;
                if (str_cut(line, ' ', &version, &rest))
                        r->status = atoi((char[]){rest.n > 0 ? rest.p[0] : '0', rest.n > 1 ? rest.p[1] : '0',
                                                  rest.n > 2 ? rest.p[2] : '0', 0});
                o->head_seen = r->status >= 200;
                o->gzip = o->is_redirect = false;
                return size * n;
        }
        if (!line.n && o->head_seen)
                o->is_redirect = leads_on(o);
        if (!str_cut(line, ':', &name, &value))
                return size * n;
        value = str_trim(value);
        if (!r->arena) {
                r->arena = mem_new(struct arena);
                arena_init(r->arena, RESPONSE_HEAD_BYTES_MAX * 4);
        }
        if (r->arena->used_bytes > RESPONSE_HEAD_BYTES_MAX) {
                o->verdict = error_new(ERROR_LIMIT, "net/http: server response headers exceeded %d bytes; aborted",
                                       RESPONSE_HEAD_BYTES_MAX);
                return 0;
        }
        if ((r->n_headers & (r->n_headers - 1)) == 0) { /* grows by doubling: the old array stays in the arena */
                struct http_header *v = arena_array(r->arena, struct http_header, r->n_headers ? r->n_headers * 2 : 1);
                if (r->n_headers)
                        memcpy(v, r->headers, r->n_headers * sizeof *v);
                r->headers = v;
        }
        struct http_header *h = &r->headers[r->n_headers++];
        *h = (struct http_header){arena_str(r->arena, name), arena_str(r->arena, value)};
        if (str_eq_nocase(name, STR("Content-Type")))
                r->content_type = h->value;
        if (str_eq_nocase(name, STR("Content-Encoding")) && o->inflate && str_eq_nocase(value, STR("gzip"))) {
                o->gzip = true;
                if (o->inflater)
                        inflater_reset(o->inflater);
                else
                        o->inflater = inflater_new();
        }
        return size * n;
}

/* --- transfers --- */

static void resolve(struct op *o);
static void start(struct op *o);

/* True when it goes on elsewhere, or failed to. */
static bool redirect(struct op *o)
{
        struct http_response *r = &o->call->response;
        if (!o->is_redirect)
                return false;
        Str location = answer_header(r, STR("Location"));
        char *next = NULL;
        struct client_url parts;
        struct error *e = client_url_join(o->url, location, &next);
        if (!e && ++o->redirects > REDIRECTS_MAX)
                e = error_new(ERROR_INVALID, "stopped after %d redirects", REDIRECTS_MAX);
        if (!e)
                e = client_url_parse(str_from(next), &parts);
        if (e) {
                free(next);
                fail(o, client_wrap(o, e));
                return true;
        }
        if (!str_eq_nocase(parts.host, o->parts.host) || parts.port != o->parts.port || parts.https != o->parts.https)
                o->cross_host = true;
        free(o->url);
        o->url = next;
        o->parts = parts;
        if (r->status < 307 && strcmp(o->method, "HEAD") != 0) {
                free(o->method);
                o->method = mem_strdup("GET");
                o->body = STR("");
                o->body_is_map = false;
        }
        detach_easy(o);
        o->head_seen = false;
        resolve(o);
        return true;
}

static void transferred(struct op *o, CURLcode code)
{
        struct http_response *r = &o->call->response;
        if (!o->verdict && code == CURLE_OK) {
                if (redirect(o))
                        return;
                if (o->gzip && strcmp(o->method, "HEAD") != 0 && r->wire_bytes)
                        o->verdict = inflater_end(o->inflater);
                struct error *e = o->verdict;
                o->verdict = NULL;
                finish(o, e);
                return;
        }
        if (o->verdict) {
                struct error *e = o->verdict;
                o->verdict = NULL;
                finish(o, e);
                return;
        }
        struct error *e = client_transfer_error(o, code);
        if (code == CURLE_COULDNT_CONNECT && o->at_address + 1 < o->n_addresses) {
                if (o->first_connect_error)
                        error_free(e);
                else
                        o->first_connect_error = e;
                o->at_address++;
                detach_easy(o);
                start(o);
                return;
        }
        if (o->first_connect_error && code == CURLE_COULDNT_CONNECT) { /* Go tells of the first address */
                error_free(e);
                e = o->first_connect_error;
                o->first_connect_error = NULL;
        }
        finish(o, o->head_seen ? e : client_wrap(o, e));
}

static void take_results(struct shard *s)
{
        CURLMsg *m;
        int left;
        while ((m = curl_multi_info_read(s->multi, &left))) {
                if (m->msg != CURLMSG_DONE)
                        continue;
                struct op *o = NULL;
                CURLcode code = m->data.result; /* m is gone once the handle is removed */
                curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&o);
                transferred(o, code);
        }
}

static void sock_ready(struct loop_fd *f, uint32_t events)
{
        struct curl_sock *cs = CONTAINER_OF(f, struct curl_sock, f);
        struct shard *s = cs->shard;
        int running, what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                            (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(s->multi, f->fd, what, &running);
        take_results(s);
}

static void sock_forget(struct curl_sock *cs)
{
        if (cs->watched)
                loop_fd_remove(cs->shard->c->l, &cs->f);
        cs->watched = false;
}

/* libcurl closes some sockets (of attempts that lost, of a handle that is removed) before it says that they need no watching: then the number could
 * already belong to a connection of another thread. */
static int on_close(void *arg, curl_socket_t fd)
{
        struct shard *s = arg;
        LIST_EACH (it, &s->socks) {
                struct curl_sock *cs = CONTAINER_OF(it, struct curl_sock, link);
                if (cs->f.fd == fd)
                        sock_forget(cs);
        }
        return close(fd);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
        struct shard *s = arg;
        struct curl_sock *cs = sock;
        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (cs) {
                        sock_forget(cs);
                        list_remove(&cs->link);
                        curl_multi_assign(s->multi, fd, NULL);
                        free(cs);
                }
                return 0;
        }
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
        if (cs && cs->watched) {
                loop_fd_change(s->c->l, &cs->f, events);
                return 0;
        }
        if (cs) { /* closed meanwhile, and the number is libcurl's again */
                list_remove(&cs->link);
                free(cs);
        }
        cs = mem_new(struct curl_sock);
        cs->f = (struct loop_fd){.fd = fd, .ready = sock_ready};
        cs->shard = s;
        list_init(&cs->link);
        struct error *e = loop_fd_add(s->c->l, &cs->f, events);
        if (e) {
                error_ignore(e, "libcurl fails the transfer");
                free(cs);
                return -1;
        }
        cs->watched = true;
        list_push_back(&s->socks, &cs->link);
        curl_multi_assign(s->multi, fd, cs);
        return 0;
}

static void shard_timer(struct loop_timer *t)
{
        struct shard *s = CONTAINER_OF(t, struct shard, timer);
        int running;
        curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        take_results(s);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
        struct shard *s = arg;
        (void)multi;
        if (ms < 0)
                loop_timer_clear(s->c->l, &s->timer);
        else
                loop_timer_set(s->c->l, &s->timer, ms);
        return 0;
}

static struct shard *shard_for(struct http_client *c, const struct client_url *u)
{
        struct shard *s = &c->shards[(hash_str(u->host) + u->port) % SHARDS];
        if (s->multi)
                return s;
        s->c = c;
        s->timer.fire = shard_timer;
        list_init(&s->socks);
        s->multi = curl_multi_init();
        if (!s->multi)
                bug("curl_multi_init failed");
        curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
        curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
        /* One stream on a connection: see READ_BYTES. */
        curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
        curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
        return s;
}

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
        struct curl_blob b = {.data = (void *)text, .len = strlen(text), .flags = CURL_BLOB_COPY};
        curl_easy_setopt(easy, option, &b);
}

static long tls_versions(const struct tls_client_opts *t)
{
        static const long from[] = {CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                    CURL_SSLVERSION_TLSv1_3};
        static const long to[] = {CURL_SSLVERSION_MAX_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                  CURL_SSLVERSION_MAX_TLSv1_3};
        long v = t->min_version >= 0x301 && t->min_version <= 0x304 ? from[t->min_version - 0x301]
                                                                    : CURL_SSLVERSION_TLSv1_2;
        if (t->max_version >= 0x301 && t->max_version <= 0x304)
                v |= to[t->max_version - 0x301];
        return v;
}

static void set_tls(CURL *easy, const struct http_client_conf *conf)
{
        const struct tls_client_opts *t = &conf->tls;
        /* With the CA path that Debian builds in, libcurl would not keep its parsed store. */
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        if (t->ca_file)
                curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
        else if (t->ca)
                set_blob(easy, CURLOPT_CAINFO_BLOB, t->ca);
        if (t->cert_file)
                curl_easy_setopt(easy, CURLOPT_SSLCERT, t->cert_file);
        else if (t->cert)
                set_blob(easy, CURLOPT_SSLCERT_BLOB, t->cert);
        if (t->key_file)
                curl_easy_setopt(easy, CURLOPT_SSLKEY, t->key_file);
        else if (t->key)
                set_blob(easy, CURLOPT_SSLKEY_BLOB, t->key);
        if (t->insecure_skip_verify) {
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        }
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, tls_versions(t));
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, conf->no_http2 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS);
}

/* "[host]:port" for where libcurl connects to. */
static void address_for_curl(const struct sockaddr_storage *sa, char *ret, size_t n)
{
        char host[INET6_ADDRSTRLEN];
        if (sa->ss_family == AF_INET6) {
                const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
                inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
                snprintf(ret, n, "[%s]:%d", host, ntohs(v6->sin6_port));
        } else {
                const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
                inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
                snprintf(ret, n, "%s:%d", host, ntohs(v4->sin_port));
        }
}

static void set_target(struct op *o)
{
        CURL *easy = o->easy;
        const char *proxy = client_proxy_for(o->conf, &o->parts);
        char address[80], connect[100];
        address_for_curl(&o->addresses[o->at_address], address, sizeof address);
        struct buf url = BUF_INIT(BUF_NO_LIMIT);
        const char *name = o->conf->tls.server_name;
        buf_puts(&url, o->parts.https ? "https://" : "http://");
        if (name && *name && o->parts.https)
                buf_printf(&url, "%s:%d", name, o->parts.port);
        else
                buf_put(&url, o->parts.authority);
        if (!o->parts.rest.n || o->parts.rest.p[0] != '/')
                buf_putc(&url, '/');
        buf_put(&url, o->parts.rest);
        curl_easy_setopt(easy, CURLOPT_URL, buf_cstr(&url));
        buf_done(&url);
        if (!o->is_proxied) {
                curl_easy_setopt(easy, CURLOPT_PROXY, *proxy ? proxy : "");
                if (*proxy)
                        return;
                snprintf(connect, sizeof connect, "::%s", address);
                o->connect_to = curl_slist_append(NULL, connect);
                curl_easy_setopt(easy, CURLOPT_CONNECT_TO, o->connect_to);
                return;
        }
        struct client_url p;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        error_ignore(client_url_parse(str_from(proxy), &p), "it was parsed when its name was resolved");
        buf_puts(&b, "http://");
        if (p.user.n) {
                buf_put(&b, p.user);
                buf_putc(&b, '@');
        }
        buf_puts(&b, address);
        curl_easy_setopt(easy, CURLOPT_PROXY, buf_cstr(&b));
        buf_done(&b);
}

/* Bodies that are maps go by these, so that what was sent can be released. */
static size_t on_read(char *p, size_t size, size_t n, void *arg)
{
        struct op *o = arg;
        n = MIN(size * n, o->body.n - o->sent);
        memcpy(p, o->body.p + o->sent, n);
        o->sent += n;
        if (o->sent - o->released >= RELEASE_BYTES || o->sent == o->body.n) {
                file_map_release(o->body.p + o->released, o->sent - o->released);
                o->released = o->sent;
        }
        return n;
}

static int on_seek(void *arg, curl_off_t at, int origin)
{
        struct op *o = arg;
        if (origin != SEEK_SET || at < 0 || (uint64_t)at > o->body.n)
                return CURL_SEEKFUNC_FAIL;
        o->sent = o->released = (size_t)at;
        return CURL_SEEKFUNC_OK;
}

static void set_map(struct op *o, CURL *easy)
{
        o->sent = o->released = 0;
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, o);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, o);
        if (o->body.n >= UPLOAD_BUFFER_BYTES)
                curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
}

static void start(struct op *o)
{
        struct error *e = client_transfer_headers(o);
        if (e) {
                fail(o, client_wrap(o, e));
                return;
        }
        o->shard = shard_for(o->c, &o->parts);
        CURL *easy = o->easy = o->shard->idle.n ? vec_pop(&o->shard->idle) : curl_easy_init();
        if (!easy)
                bug("curl_easy_init failed");
        o->why[0] = 0;
        curl_slist_free_all(o->connect_to);
        o->connect_to = NULL;
        curl_easy_setopt(easy, CURLOPT_PRIVATE, o);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, o->shard);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, o->why);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)IDLE_SECONDS_MAX);
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_BYTES);
        curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 30000L); /* as Go's default dialer */
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, o->headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, o);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, o);
        curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        if (o->stall_ms) {
                curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STALLED_BYTES_PER_SECOND);
                curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)MAX(o->stall_ms / 1000, 1));
        }
        if (strcmp(o->method, "HEAD") == 0) {
                curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        } else if (o->body.n || strcmp(o->method, "POST") == 0) {
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.n);
                if (o->body_is_map)
                        set_map(o, easy);
                else
                        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, o->body.n ? o->body.p : "");
                if (strcmp(o->method, "POST") != 0)
                        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
        } else if (strcmp(o->method, "GET") != 0) {
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, o->method);
        }
        set_target(o);
        if (o->parts.https)
                set_tls(easy, o->conf);
        CURLMcode rc = curl_multi_add_handle(o->shard->multi, easy);
        if (rc)
                fail(o, client_wrap(o, error_new(ERROR_INTERNAL, "%s", curl_multi_strerror(rc))));
}

/* --- addresses --- */

static void set_ports(struct op *o, uint16_t port)
{
        for (size_t i = 0; i < o->n_addresses; i++)
                if (o->addresses[i].ss_family == AF_INET6)
                        ((struct sockaddr_in6 *)&o->addresses[i])->sin6_port = htons(port);
                else
                        ((struct sockaddr_in *)&o->addresses[i])->sin_port = htons(port);
}

static void resolved(struct resolver_ask *a, struct error *take_e, const struct resolver_answer *r)
{
        struct op *o = CONTAINER_OF(a, struct op, ask);
        if (take_e) {
                fail(o, client_wrap(o, error_wrap(take_e, o->is_proxied ? "proxyconnect tcp: dial tcp" : "dial tcp")));
                return;
        }
        o->n_addresses = r->n;
        memcpy(o->addresses, r->v, r->n * sizeof r->v[0]);
        set_ports(o, o->connect_port);
        start(o);
}

static void resolve(struct op *o)
{
        Str host = o->parts.host;
        o->connect_port = o->parts.port;
        o->is_proxied = false;
        o->at_address = o->n_addresses = 0;
        error_free(o->first_connect_error);
        o->first_connect_error = NULL;
        const char *proxy = client_proxy_for(o->conf, &o->parts);
        if (*proxy) {
                struct client_url p;
                struct error *e = client_url_parse(str_from(proxy), &p);
                if (e || p.https) { /* https and socks proxies: libcurl knows how, and resolves their name */
                        error_free(e);
                        start(o);
                        return;
                }
                o->is_proxied = true;
                host = p.host;
                o->connect_port = p.port;
        }
        if (resolver_literal(host, &o->addresses[0])) {
                o->n_addresses = 1;
                set_ports(o, o->connect_port);
                start(o);
                return;
        }
        resolver_ask(o->c->resolver, host, &o->ask);
}

/* --- the public side --- */

void http_client_send(struct http_client *c, const struct http_client_conf *conf, const struct http_client_request *r,
                      struct http_call *call)
{
        struct op *o = mem_new(struct op);
        list_init(&o->ask.link);
        list_push_back(&c->ops, &o->link);
        o->c = c;
        o->call = call;
        o->conf = conf;
        o->url = mem_strdup(r->url);
        o->first_url = mem_strdup(r->url);
        o->method = mem_strdup(r->method ? r->method : "GET");
        o->body = r->body;
        o->body_is_map = r->body_is_map && r->body.n;
        o->inflate = r->inflate;
        o->stall_ms = r->stall_ms;
        o->timer.fire = deadline;
        o->ask.done = resolved;
        call->private = o;
        call->pause = false;
        response_clear(&call->response, r->body_bytes_max ? r->body_bytes_max : BODY_BYTES_DEFAULT);
        if (r->timeout_ms > 0)
                loop_timer_set(c->l, &o->timer, r->timeout_ms);
        struct error *e = client_url_parse(str_from(o->url), &o->parts);
        if (!e)
                e = client_collect_headers(o, r);
        if (e)
                fail(o, client_wrap(o, e));
        else
                resolve(o);
}

void http_client_cancel(struct http_client *c, struct http_call *call)
{
        (void)c;
        struct op *o = call->private;
        if (!o)
                return;
        call->private = NULL;
        op_free(o);
}

void http_client_resume(struct http_client *c, struct http_call *call)
{
        (void)c;
        struct op *o = call->private;
        call->pause = false;
        if (!o || !o->easy || o->verdict)
                return;
        CURLcode code = curl_easy_pause(o->easy, CURLPAUSE_CONT); /* gives what libcurl held back to on_body at once */
        if (code && !o->verdict)
                o->verdict = error_new(ERROR_IO, "%s", curl_easy_strerror(code));
        if (o->verdict) {
                struct error *e = o->verdict;
                o->verdict = NULL;
                fail(o, e);
        }
}

struct error *http_client_new(struct loop *l, struct http_client **ret)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, library_init);
        struct http_client *c = mem_new(struct http_client);
        c->l = l;
        list_init(&c->ops);
        list_init(&c->failed);
        c->tell.fire = tell_failed;
        struct error *e = resolver_new(l, &c->resolver);
        if (e)
                free(c);
        else
                *ret = c;
        return e;
}

void http_client_free(struct http_client *c)
{
        if (!c)
                return;
        struct list *both[] = {&c->ops, &c->failed};
        for (size_t i = 0; i < ARRAY_LEN(both); i++)
                while (!list_is_empty(both[i])) {
                        struct op *o = CONTAINER_OF(both[i]->next, struct op, link);
                        o->call->private = NULL;
                        op_free(o);
                }
        loop_timer_clear(c->l, &c->tell);
        for (size_t i = 0; i < SHARDS; i++) {
                struct shard *s = &c->shards[i];
                if (!s->multi)
                        continue;
                for (size_t k = 0; k < s->idle.n; k++)
                        curl_easy_cleanup(s->idle.p[k]);
                vec_done(&s->idle);
                curl_multi_cleanup(s->multi);
                LIST_EACH (it, &s->socks) {
                        struct curl_sock *cs = CONTAINER_OF(it, struct curl_sock, link);
                        sock_forget(cs);
                        list_remove(&cs->link);
                        free(cs);
                }
                loop_timer_clear(c->l, &s->timer);
        }
        resolver_free(c->resolver);
        free(c);
}

void http_response_done(struct http_response *r)
{
        buf_done(&r->body);
        if (r->arena)
                arena_done(r->arena);
        free(r->arena);
        *r = (struct http_response){0};
}

/* --- for other threads: one loop of the process does it --- */

static struct {
        pthread_once_t once;
        struct loop *l;
        struct http_client *c;
        struct error *e;
} shared = {.once = PTHREAD_ONCE_INIT};

static void make_shared_client(void *arg)
{
        (void)arg;
        shared.e = http_client_new(shared.l, &shared.c);
}

static void make_shared(void)
{
        shared.e = loop_new("http-fetch", &shared.l);
        if (!shared.e)
                loop_call(shared.l, make_shared_client, NULL);
}

struct fetch {
        struct http_call call;
        const struct http_client_conf *conf;
        const struct http_client_request *r;
        struct error *e;
        struct mutex mu;
        struct cond changed;
        bool done;
};

static void fetched(struct http_call *c, struct error *take_e, struct http_response *resp)
{
        struct fetch *f = CONTAINER_OF(c, struct fetch, call);
        (void)resp;
        mutex_lock(&f->mu);
        f->e = take_e;
        f->done = true;
        cond_signal(&f->changed);
        mutex_unlock(&f->mu);
}

static void fetch_start(void *arg)
{
        struct fetch *f = arg;
        http_client_send(shared.c, f->conf, f->r, &f->call);
}

struct error *http_fetch(const struct http_client_conf *conf, const struct http_client_request *r,
                         struct http_response *ret)
{
        pthread_once(&shared.once, make_shared);
        if (shared.e)
                return error_dup(shared.e);
        struct fetch f = {.call.done = fetched, .conf = conf, .r = r};
        mutex_init(&f.mu);
        cond_init(&f.changed);
        loop_post(shared.l, fetch_start, &f);
        mutex_lock(&f.mu);
        while (!f.done)
                cond_wait(&f.changed, &f.mu);
        mutex_unlock(&f.mu);
        cond_done(&f.changed);
        mutex_done(&f.mu);
        if (f.e)
                http_response_done(&f.call.response);
        else
                *ret = f.call.response;
        return f.e;
}
