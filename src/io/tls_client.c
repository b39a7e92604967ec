/* SPDX-License-Identifier: Apache-2.0 */
/* tls_client.c — the client's side of TLS for our own HTTP/2 connections (libcurl has its own). */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "io/resolver.h"
#include "io/tls_impl.h"

struct tls_client {
        struct tls_client_opts o; /* its texts are on the heap */
        struct mutex mu;          /* guards all below */
        SSL_CTX *ctx;
        struct tls_stamp stamps[3];
};

static struct error *add_ca_text(SSL_CTX *ctx, const char *text)
{
        BIO *bio = BIO_new_mem_buf(text, -1);
        int n = 0;
        for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); X509_free(x), n++)
                X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
        BIO_free(bio);
        ERR_clear_error(); /* the end of the text */
        return n ? NULL : error_new(ERROR_INVALID, "unable to use specified CA cert: no certificate in it");
}

static struct error *use_cert_text(SSL_CTX *ctx, const char *text)
{
        BIO *bio = BIO_new_mem_buf(text, -1);
        X509 *x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
        bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;
        X509_free(x);
        for (X509 *more; ok && (more = PEM_read_bio_X509(bio, NULL, NULL, NULL));)
                ok = SSL_CTX_add0_chain_cert(ctx, more) == 1;
        BIO_free(bio);
        if (!ok)
                return tls_error("load client certificate", NULL);
        ERR_clear_error();
        return NULL;
}

static struct error *use_key_text(SSL_CTX *ctx, const char *text)
{
        BIO *bio = BIO_new_mem_buf(text, -1);
        EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        bool ok = k && SSL_CTX_use_PrivateKey(ctx, k) == 1;
        EVP_PKEY_free(k);
        BIO_free(bio);
        return ok ? NULL : tls_error("load client key", NULL);
}

static struct error *client_context(const struct tls_client_opts *o, SSL_CTX **ret)
{
        struct error *e = NULL;
        ERR_clear_error();
        SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
        if (!ctx)
                return tls_error("tls", NULL);
        SSL_CTX_set_min_proto_version(ctx, o->min_version ? o->min_version : TLS1_2_VERSION);
        SSL_CTX_set_max_proto_version(ctx, o->max_version);
        SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x02h2", 3);
        SSL_CTX_set_verify(ctx, o->insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        if (o->ca_file) {
                if (SSL_CTX_load_verify_locations(ctx, o->ca_file, NULL) != 1)
                        e = tls_error("unable to use specified CA cert", o->ca_file);
        } else if (o->ca) {
                e = add_ca_text(ctx, o->ca);
        } else if (!o->insecure_skip_verify) {
                SSL_CTX_set_default_verify_paths(ctx);
        }
        if (!e && o->cert_file && SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1)
                e = tls_error("load client certificate", o->cert_file);
        else if (!e && !o->cert_file && o->cert)
                e = use_cert_text(ctx, o->cert);
        if (!e && o->key_file && SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
                e = tls_error("load client key", o->key_file);
        else if (!e && !o->key_file && o->key)
                e = use_key_text(ctx, o->key);
        if (!e && (o->cert_file || o->cert) && SSL_CTX_check_private_key(ctx) != 1)
                e = tls_error("tls: private key does not match public key", NULL);
        if (e)
                SSL_CTX_free(ctx);
        else
                *ret = ctx;
        return e;
}

static struct error *refresh_locked(struct tls_client *t)
{
        const char *paths[3] = {t->o.ca_file, t->o.cert_file, t->o.key_file};
        struct tls_stamp now[3];
        bool same = t->ctx != NULL;
        for (int i = 0; i < 3; i++) {
                now[i] = tls_stamp_of(paths[i]);
                same = same && tls_stamp_eq(now[i], t->stamps[i]);
        }
        if (same)
                return NULL;
        SSL_CTX *ctx = NULL;
        struct error *e = client_context(&t->o, &ctx);
        if (e)
                return e;
        SSL_CTX_free(t->ctx);
        t->ctx = ctx;
        memcpy(t->stamps, now, sizeof now);
        return NULL;
}

static const char *dup_or_null(const char *s)
{
        return s && s[0] ? mem_strdup(s) : NULL;
}

struct error *tls_client_new(const struct tls_client_opts *o, struct tls_client **ret)
{
        if (!(o->cert || o->cert_file) != !(o->key || o->key_file))
                return error_new(ERROR_INVALID,
                                 "exactly one of key or key_file must be configured when a client certificate is");
        struct tls_client *t = mem_new(struct tls_client);
        t->o = *o;
        const char **texts[] = {&t->o.ca,  &t->o.ca_file,  &t->o.cert,       &t->o.cert_file,
                                &t->o.key, &t->o.key_file, &t->o.server_name};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                *texts[i] = dup_or_null(*texts[i]);
        mutex_init(&t->mu);
        struct error *e = refresh_locked(t);
        if (e)
                tls_client_free(t);
        else
                *ret = t;
        return e;
}

struct error *tls_client_ssl(struct tls_client *t, int fd, Str host, SSL **ret)
{
        mutex_lock(&t->mu);
        struct error *e = refresh_locked(t);
        SSL *ssl = e ? NULL : SSL_new(t->ctx);
        mutex_unlock(&t->mu);
        if (e)
                return e;
        char name[256];
        if (t->o.server_name)
                host = str_from(t->o.server_name);
        struct sockaddr_storage sa;
        bool is_ip = resolver_literal(host, &sa), ok = ssl && SSL_set_fd(ssl, fd) == 1 && host.n < sizeof name;
        if (ok) {
                memcpy(name, host.p, host.n);
                name[host.n] = 0;
                ok = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
                           : SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
        }
        if (!ok) {
                SSL_free(ssl);
                return tls_error("tls", NULL);
        }
        SSL_set_connect_state(ssl);
        *ret = ssl;
        return NULL;
}

struct error *tls_client_error(SSL *ssl, int r)
{
        int why = SSL_get_error(ssl, r);
        long verify = SSL_get_verify_result(ssl);
        if (verify != X509_V_OK) {
                ERR_clear_error();
                bool unknown = verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                               verify == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
                               verify == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                               verify == X509_V_ERR_CERT_SIGNATURE_FAILURE || /* the same name, another key */
                               verify == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
                return error_new(ERROR_IO, "tls: failed to verify certificate: x509: %s",
                                 unknown ? "certificate signed by unknown authority"
                                         : X509_verify_cert_error_string(verify));
        }
        if (why == SSL_ERROR_ZERO_RETURN || (why == SSL_ERROR_SYSCALL && !ERR_peek_error())) {
                ERR_clear_error();
                return error_new(ERROR_IO, "EOF");
        }
        return tls_error("tls", NULL);
}

void tls_client_free(struct tls_client *t)
{
        if (!t)
                return;
        const char *texts[] = {t->o.ca,  t->o.ca_file,  t->o.cert,       t->o.cert_file,
                               t->o.key, t->o.key_file, t->o.server_name};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                free((char *)texts[i]);
        SSL_CTX_free(t->ctx);
        mutex_done(&t->mu);
        free(t);
}
