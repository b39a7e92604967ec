/* SPDX-License-Identifier: Apache-2.0 */
/* tls_test.c — server and client over TLS and HTTP/2, with certificates made here. */
#include "io/tls.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/thread.h"
#include "io/http/client.h"
#include "io/http/server.h"
#include "io/http/test_client.h"
#include "io/test_certs.h"

static void tell_version(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_replyf(r, 200, "text/plain", "%d %s %.*s %.*s", r->version, r->tls ? "tls" : "plain",
                    STR_ARG(r->method_text), STR_ARG(r->body));
}
static void stream_much(struct http_request *r, void *ctx)
{
        (void)ctx;
        char *p = mem_alloc(100000);
        memset(p, 'x', 100000);
        http_begin(r, 200, "text/plain");
        for (int i = 0; i < 200; i++) {
                struct error *e = http_write(r, (Str){p, 100000});
                if (e) {
                        error_free(e);
                        break;
                }
        }
        free(p);
}
static void abort_late(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_begin(r, 200, "text/plain");
        error_ignore(http_write(r, STR("half")), "test");
        error_ignore(http_flush(r), "test");
        http_abort(r);
}
static struct http_server *serve(const struct http_tls_opts *tls, int *ret_port)
{
        struct http_server *s = NULL;
        CHECK_OK(http_server_new(
                &(struct http_server_opts){.name = "tls", .loops = 1, .tls = tls, .body_bytes_max = 5 << 20}, &s));
        http_server_handle(s, "/v", HTTP_GET | HTTP_POST, HTTP_INLINE, tell_version, NULL);
        http_server_handle(s, "/worker", HTTP_GET | HTTP_POST, 0, tell_version, NULL);
        http_server_handle(s, "/much", HTTP_GET, 0, stream_much, NULL);
        http_server_handle(s, "/abort", HTTP_GET, 0, abort_late, NULL);
        CHECK_OK(http_server_listen(s, "127.0.0.1:0"));
        CHECK_OK(http_server_start(s));
        *ret_port = http_server_port(s, 0);
        return s;
}
static void get_case(const struct http_client_conf *c, int port, const char *host, const char *want)
{
        struct http_response r = {0};
        char url[100];
        snprintf(url, sizeof url, "https://%s:%d/v", host, port);
        struct error *e = http_fetch(c, &(struct http_client_request){.url = url, .timeout_ms = 20000}, &r);
        if (*want == '2' || *want == '1') {
                CHECK_OK(e);
                CHECK_STR(buf_str(&r.body), want);
                http_response_done(&r);
                return;
        }
        char all[300];
        snprintf(all, sizeof all, "Get \"%s\": %s", url, want);
        CHECK_ERROR(e, all);
}

TEST(tls, serves_HTTP2_and_HTTP11_and_is_verified)
{
        struct authority a, other;
        authority_init(&a, "IP:127.0.0.1,DNS:named.test", -3600, 3600);
        authority_init(&other, "IP:127.0.0.1", -3600, 3600);
        int port;
        struct http_tls_opts tls = {.cert_file = a.cert_file, .key_file = a.key_file};
        struct http_server *s = serve(&tls, &port);
        get_case(&(struct http_client_conf){.tls.ca_file = a.ca}, port, "127.0.0.1", "20 tls GET ");
        get_case(&(struct http_client_conf){.tls.ca_file = a.ca, .no_http2 = true}, port, "127.0.0.1", "11 tls GET ");
        char *ca_text;
        size_t n;
        CHECK_OK(file_read(a.ca, 1 << 20, &ca_text, &n));
        get_case(&(struct http_client_conf){.tls.ca = ca_text, .tls.server_name = "named.test"}, port, "127.0.0.1",
                 "20 tls GET ");
        free(ca_text);
        get_case(&(struct http_client_conf){.tls.insecure_skip_verify = true}, port, "127.0.0.1", "20 tls GET ");
        get_case(&(struct http_client_conf){.tls.ca_file = other.ca}, port, "127.0.0.1",
                 "tls: failed to verify certificate: x509: certificate signed by unknown authority");
        get_case(&(struct http_client_conf){.tls.ca_file = a.ca, .tls.server_name = "wrong.test"}, port, "127.0.0.1",
                 "tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match "
                 "wrong.test");
        get_case(&(struct http_client_conf){.tls.ca_file = "/nope"}, port, "127.0.0.1",
                 "unable to read CA cert: unable to read file /nope: open /nope: no such file or directory");
        http_server_stop(s, 0);
        http_server_free(s);
        authority_done(&a);
        authority_done(&other);
}

TEST(tls, asks_for_client_certificates)
{
        struct authority a;
        authority_init(&a, "IP:127.0.0.1", -3600, 3600);
        int port;
        struct http_tls_opts tls = {
                .cert_file = a.cert_file, .key_file = a.key_file, .client_ca_file = a.ca, .client_required = true};
        struct http_server *s = serve(&tls, &port);
        get_case(&(struct http_client_conf){.tls = {.ca_file = a.ca, .cert_file = a.cert_file, .key_file = a.key_file}},
                 port, "127.0.0.1", "20 tls GET ");
        get_case(&(struct http_client_conf){.tls.ca_file = a.ca, .tls.max_version = 0x303}, port, "127.0.0.1",
                 "remote error: tls: handshake failure");
        struct test_client c;
        test_client_open(&c, port);
        test_client_send(&c, STR("GET /v HTTP/1.1\r\nHost: a\r\n\r\n")); /* no TLS at all: an alert, then the end */
        while (test_client_more(&c)) {}
        CHECK(!str_contains(buf_str(&c.in), STR("HTTP")));
        test_client_close(&c);
        http_server_stop(s, 0);
        http_server_free(s);
        authority_done(&a);
}

TEST(tls, takes_up_certificates_that_were_replaced)
{
        struct authority a;
        authority_init(&a, "IP:127.0.0.1", -7200, -3600);
        int port;
        struct http_tls_opts tls = {.cert_file = a.cert_file, .key_file = a.key_file};
        struct http_server *s = serve(&tls, &port);
        struct http_client_conf conf = {.tls.ca_file = a.ca};
        struct http_response r;
        char url[100];
        snprintf(url, sizeof url, "https://127.0.0.1:%d/v", port);
        struct error *e = http_fetch(&conf, &(struct http_client_request){.url = url}, &r);
        CHECK_MSG(strstr(error_str(e), "x509: certificate has expired or is not yet valid"), "%s", error_str(e));
        error_free(e);
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *leaf = make_cert("leaf", key, a.cert, a.key, "IP:127.0.0.1", -3600, 3600);
        write_pem(a.cert_file, leaf, NULL);
        write_pem(a.key_file, NULL, key);
        X509_free(leaf);
        EVP_PKEY_free(key);
        get_case(&conf, port, "127.0.0.1", "20 tls GET ");
        http_server_stop(s, 0);
        http_server_free(s);
        authority_done(&a);
}

TEST(tls, tells_what_is_wrong_with_its_files)
{
        struct http_server *s;
        struct http_tls_opts tls = {.cert_file = "/nope.pem", .key_file = "/nope.key"};
        struct error *e = http_server_new(&(struct http_server_opts){.tls = &tls}, &s);
        CHECK_MSG(strstr(error_str(e), "/nope.pem"), "%s", error_str(e));
        error_free(e);
}

/* --- HTTP/2 without TLS, by a client of our own ---
 *
 * Not by libcurl: that of Debian 12 (7.88.1) waits for ever when the DATA frame that ends the stream overflows its
 * buffer and is the last of what it has read. It has all bytes then, but not the end. */

struct h2_answer {
        int status;
        uint32_t code; /* the stream's end: NGHTTP2_NO_ERROR */
        bool closed;
        struct buf *body;
        Str post; /* not sent yet */
};
static int h2_on_header(nghttp2_session *ses, const nghttp2_frame *f, const uint8_t *name, size_t n_name,
                        const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
        struct h2_answer *a = arg;
        (void)ses, (void)f, (void)flags;
        if (str_eq((Str){(const char *)name, n_name}, STR(":status")))
                a->status = (int)test_client_number((Str){(const char *)value, n_value}, 10);
        return 0;
}
static int h2_on_data(nghttp2_session *ses, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
        struct h2_answer *a = arg;
        (void)ses, (void)flags, (void)id;
        buf_append(a->body, p, n);
        return 0;
}
static int h2_on_close(nghttp2_session *ses, int32_t id, uint32_t code, void *arg)
{
        struct h2_answer *a = arg;
        (void)ses, (void)id;
        a->closed = true;
        a->code = code;
        return 0;
}
static ssize_t h2_read_post(nghttp2_session *ses, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                            nghttp2_data_source *source, void *arg)
{
        struct h2_answer *a = arg;
        (void)ses, (void)id, (void)source;
        n = MIN(n, a->post.n);
        memcpy(to, a->post.p, n);
        a->post = str_skip(a->post, n);
        if (!a->post.n)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)n;
}
#define NV(k, v) {(uint8_t *)(k), (uint8_t *)(v), sizeof(k) - 1, sizeof(v) - 1, 0}
/* window: of the stream, 0 for 64 KiB. The end of the stream as code; ~0 when the connection ended before. */
static uint32_t h2_get(int port, const char *path, const char *post, size_t n_post, uint32_t window, int *ret_status,
                       struct buf *out)
{
        struct h2_answer a = {.body = out, .post = {post, n_post}, .code = UINT32_MAX};
        struct test_client c;
        nghttp2_session_callbacks *cb;
        nghttp2_session *ses;
        nghttp2_session_callbacks_new(&cb);
        nghttp2_session_callbacks_set_on_header_callback(cb, h2_on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, h2_on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, h2_on_close);
        nghttp2_session_client_new(&ses, cb, &a);
        nghttp2_session_callbacks_del(cb);
        nghttp2_settings_entry setting = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
        nghttp2_submit_settings(ses, 0, &setting, window ? 1 : 0);
        nghttp2_nv head[] = {NV(":method", "GET"), NV(":path", ""), NV(":scheme", "http"), NV(":authority", "a")};
        if (post)
                head[0] = (nghttp2_nv)NV(":method", "POST");
        head[1].value = (uint8_t *)path;
        head[1].valuelen = strlen(path);
        nghttp2_data_provider body = {.read_callback = h2_read_post};
        CHECK(nghttp2_submit_request(ses, NULL, head, ARRAY_LEN(head), post ? &body : NULL, NULL) > 0);
        test_client_open(&c, port);
        do {
                const uint8_t *p;
                ssize_t n;
                while ((n = nghttp2_session_mem_send(ses, &p)) > 0)
                        test_client_send(&c, (Str){(const char *)p, (size_t)n});
                if (a.closed || !test_client_more(&c))
                        break;
                CHECK_I64(nghttp2_session_mem_recv(ses, (const uint8_t *)c.in.p, c.in.n), (int64_t)c.in.n);
                buf_clear(&c.in);
        } while (!a.closed);
        nghttp2_session_del(ses);
        test_client_close(&c);
        *ret_status = a.status;
        return a.code;
}
/* What is said of libcurl above must not happen to what we fetch with it. */
TEST(http2, our_client_gets_large_bodies)
{
        struct authority a;
        authority_init(&a, "IP:127.0.0.1", -3600, 3600);
        int port;
        struct http_tls_opts tls = {.cert_file = a.cert_file, .key_file = a.key_file};
        struct http_server *s = serve(&tls, &port);
        struct http_client_conf conf = {.tls.ca_file = a.ca};
        char url[100];
        snprintf(url, sizeof url, "https://127.0.0.1:%d/much", port);
        for (int i = 0; i < 5; i++) {
                struct http_response r = {0};
                CHECK_OK(http_fetch(&conf, &(struct http_client_request){.url = url, .timeout_ms = 60000}, &r));
                CHECK_U64(r.body.n, 20000000);
                http_response_done(&r);
        }
        http_server_stop(s, 0);
        http_server_free(s);
        authority_done(&a);
}

TEST(http2, works_with_prior_knowledge_on_plain_sockets)
{
        int port;
        struct http_server *s = serve(NULL, &port);
        struct buf b = BUF_INIT(32 << 20);
        int status = 0;
        CHECK_I64(h2_get(port, "/worker", "abc", 3, 0, &status, &b), NGHTTP2_NO_ERROR);
        CHECK_STR(buf_str(&b), "20 plain POST abc");
        buf_clear(&b);
        CHECK_I64(h2_get(port, "/nope", NULL, 0, 0, &status, &b), NGHTTP2_NO_ERROR);
        CHECK_I64(status, 404);
        buf_clear(&b);
        CHECK_I64(h2_get(port, "/much", NULL, 0, 0, &status, &b), NGHTTP2_NO_ERROR);
        CHECK_U64(b.n, 20000000);
        buf_clear(&b);
        CHECK_I64(h2_get(port, "/abort", NULL, 0, 0, &status, &b), NGHTTP2_INTERNAL_ERROR);
        size_t n = 6 << 20;
        char *big = mem_zalloc(n);
        buf_clear(&b);
        h2_get(port, "/worker", big, n, 0, &status, &b);
        CHECK_I64(status, 413);
        buf_clear(&b);
        memset(big, 'y', 3 << 20);
        CHECK_I64(h2_get(port, "/worker", big, 3 << 20, 0, &status, &b), NGHTTP2_NO_ERROR);
        CHECK_U64(b.n, (3 << 20) + strlen("20 plain POST "));
        free(big);
        buf_done(&b);
        http_server_stop(s, 0);
        http_server_free(s);
}

/* A client that opens streams and resets them at once. */
TEST(http2, sends_away_who_only_resets_streams)
{
        int port;
        struct http_server *s = serve(NULL, &port);
        struct test_client c;
        test_client_open(&c, port);
        nghttp2_session_callbacks *cb;
        nghttp2_session *ses;
        nghttp2_session_callbacks_new(&cb);
        nghttp2_session_client_new(&ses, cb, NULL);
        nghttp2_session_callbacks_del(cb);
        nghttp2_submit_settings(ses, 0, NULL, 0);
        const uint8_t *p;
        ssize_t n;
        nghttp2_nv head[] = {NV(":method", "POST"), NV(":path", "/worker"), NV(":scheme", "http"),
                             NV(":authority", "a")};
        for (int i = 0; i < 2000; i++) {
                int32_t id = nghttp2_submit_headers(ses, 0, -1, NULL, head, 4, NULL);
                if (id < 0)
                        break;
                while ((n = nghttp2_session_mem_send(ses, &p)) > 0)
                        test_client_send(&c, (Str){(const char *)p, (size_t)n});
                nghttp2_submit_rst_stream(ses, 0, id, NGHTTP2_CANCEL);
                while ((n = nghttp2_session_mem_send(ses, &p)) > 0)
                        test_client_send(&c, (Str){(const char *)p, (size_t)n});
        }
        while (test_client_more(&c)) { /* GOAWAY, then the end */
        }
        CHECK(c.in.n > 0);
        nghttp2_session_del(ses);
        test_client_close(&c);
        http_server_stop(s, 0);
        http_server_free(s);
}

struct many {
        int port;
        _Atomic int bad;
};
static void many_main(void *arg)
{
        struct many *m = arg;
        struct buf b = BUF_INIT(32 << 20);
        int status;
        for (int i = 0; i < 20; i++) {
                buf_clear(&b);
                bool much = i % 4 == 0;
                uint32_t code = h2_get(m->port, much ? "/much" : "/worker", NULL, 0, i % 8 ? 0 : 8 << 20, &status, &b);
                if (code != NGHTTP2_NO_ERROR || status != 200 || (much && b.n != 20000000))
                        m->bad++;
        }
        buf_done(&b);
}
TEST(http2, serves_many_clients)
{
        struct many m = {0};
        struct http_server *s = serve(NULL, &m.port);
        struct thread t[4];
        for (int i = 0; i < 4; i++)
                CHECK_OK(thread_start(&t[i], "h2", many_main, &m));
        for (int i = 0; i < 4; i++)
                thread_join(&t[i]);
        CHECK_I64(m.bad, 0);
        http_server_stop(s, 100);
        http_server_free(s);
}
