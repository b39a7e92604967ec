/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "io/tls_impl.h"

struct tls_server {
        const struct http_tls_opts *o;
        struct mutex mu; /* guards all below */
        SSL_CTX *ctx;
        struct tls_stamp stamps[3];
};

struct error *tls_error(const char *what, const char *path)
{
        unsigned long code = ERR_peek_last_error();
        ERR_clear_error();
        const char *why = code ? ERR_reason_error_string(code) : NULL;
        return error_new(ERROR_INVALID, "%s%s%s: %s", what, path ? " " : "", path ? path : "", why ? why : "failed");
}

struct tls_stamp tls_stamp_of(const char *path)
{
        struct stat st;
        if (!path || stat(path, &st))
                return (struct tls_stamp){0};
        return (struct tls_stamp){st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, st.st_size, st.st_ino};
}

bool tls_stamp_eq(struct tls_stamp a, struct tls_stamp b)
{
        return a.changed_ns == b.changed_ns && a.size == b.size && a.inode == b.inode;
}

ssize_t tls_read(int fd, SSL *ssl, void *p, size_t n)
{
        if (!ssl) {
                ssize_t got = recv(fd, p, n, 0);
                if (got > 0)
                        return got;
                return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
        }
        ERR_clear_error();
        int got = SSL_read(ssl, p, (int)MIN(n, (size_t)1 << 30));
        if (got > 0)
                return got;
        int why = SSL_get_error(ssl, got);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

ssize_t tls_write(int fd, SSL *ssl, const void *p, size_t n)
{
        if (!ssl) {
                ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
                if (put >= 0)
                        return put;
                return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        ERR_clear_error();
        int put = SSL_write(ssl, p, (int)MIN(n, (size_t)1 << 30));
        if (put > 0)
                return put;
        int why = SSL_get_error(ssl, put);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n_out, const unsigned char *in,
                           unsigned n_in, void *arg)
{
        (void)ssl;
        (void)arg;
        static const unsigned char ours[] = "\x02h2\x08http/1.1";
        if (SSL_select_next_proto((unsigned char **)out, n_out, ours, sizeof ours - 1, in, n_in) !=
            OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_ALERT_FATAL;
        return SSL_TLSEXT_ERR_OK;
}

static struct error *server_context(const struct http_tls_opts *o, SSL_CTX **ret)
{
        struct error *e = NULL;
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        if (!ctx)
                return tls_error("tls", NULL);
        ERR_clear_error();
        SSL_CTX_set_min_proto_version(ctx, o->min_version ? o->min_version : TLS1_2_VERSION);
        SSL_CTX_set_max_proto_version(ctx, o->max_version);
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES128+SHA:ECDHE+AES256+SHA:!PSK:!aNULL");
        static const unsigned char session_context[] = "coeus";
        SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
        if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1) {
                e = tls_error("load certificate", o->cert_file);
                goto out;
        }
        if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1) {
                e = tls_error("load key", o->key_file);
                goto out;
        }
        if (o->client_ca_file) {
                STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->client_ca_file);
                if (!names || SSL_CTX_load_verify_locations(ctx, o->client_ca_file, NULL) != 1) {
                        sk_X509_NAME_pop_free(names, X509_NAME_free);
                        e = tls_error("load client CA", o->client_ca_file);
                        goto out;
                }
                SSL_CTX_set_client_CA_list(ctx, names);
        }
        if (o->client_ca_file || o->client_required)
                SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (o->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                                   NULL);
        *ret = ctx;
        ctx = NULL;
out:
        SSL_CTX_free(ctx);
        return e;
}

static struct error *refresh_locked(struct tls_server *t)
{
        const char *paths[3] = {t->o->cert_file, t->o->key_file, t->o->client_ca_file};
        struct tls_stamp now[3];
        bool same = t->ctx != NULL;
        for (int i = 0; i < 3; i++) {
                now[i] = tls_stamp_of(paths[i]);
                same = same && tls_stamp_eq(now[i], t->stamps[i]);
        }
        if (same)
                return NULL;
        SSL_CTX *ctx = NULL;
        struct error *e = server_context(t->o, &ctx);
        if (e)
                return e;
        SSL_CTX_free(t->ctx);
        t->ctx = ctx;
        memcpy(t->stamps, now, sizeof now);
        return NULL;
}

struct error *tls_server_new(const struct http_tls_opts *o, struct tls_server **ret)
{
        if (!o->cert_file || !o->key_file)
                return error_new(ERROR_INVALID, "missing %s", o->cert_file ? "key_file" : "cert_file");
        struct tls_server *t = mem_new(struct tls_server);
        t->o = o;
        mutex_init(&t->mu);
        struct error *e = refresh_locked(t);
        if (e)
                tls_server_free(t);
        else
                *ret = t;
        return e;
}

struct error *tls_server_ssl(struct tls_server *t, int fd, SSL **ret)
{
        mutex_lock(&t->mu);
        struct error *e = refresh_locked(t);
        SSL *ssl = e ? NULL : SSL_new(t->ctx);
        mutex_unlock(&t->mu);
        if (e)
                return e;
        if (!ssl || SSL_set_fd(ssl, fd) != 1) {
                SSL_free(ssl);
                return tls_error("tls", NULL);
        }
        SSL_set_accept_state(ssl);
        *ret = ssl;
        return NULL;
}

void tls_server_free(struct tls_server *t)
{
        if (!t)
                return;
        SSL_CTX_free(t->ctx);
        mutex_done(&t->mu);
        free(t);
}
