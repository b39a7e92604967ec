/* SPDX-License-Identifier: Apache-2.0 */
/* tls_impl.h — OpenSSL contexts of servers and clients, for the files of io only. Any thread. */
#ifndef IO_TLS_IMPL_H
#define IO_TLS_IMPL_H

#include <openssl/ssl.h>

#include "io/tls.h"

/* A server's context, made anew when its files changed. */
struct tls_server;
struct error *tls_server_new(const struct http_tls_opts *o,
                             struct tls_server **ret) MUST_CHECK;                 /* o is borrowed while it lives */
struct error *tls_server_ssl(struct tls_server *t, int fd, SSL **ret) MUST_CHECK; /* for one accepted socket */
void tls_server_free(struct tls_server *t);                                       /* NULL is fine */

/* A client's context for HTTP/2 (ALPN h2), made anew when its files changed. */
struct tls_client;
struct error *tls_client_new(const struct tls_client_opts *o, struct tls_client **ret) MUST_CHECK; /* o is copied */
/* For one connected socket; host is what the certificate must be for, unless the options name it. */
struct error *tls_client_ssl(struct tls_client *t, int fd, Str host, SSL **ret) MUST_CHECK;
void tls_client_free(struct tls_client *t);
/* After SSL_connect failed with r: Go's words where Go has them. */
struct error *tls_client_error(SSL *ssl, int r) MUST_CHECK;

/* The newest of OpenSSL's queue as "what path: reason"; empties it. */
struct error *tls_error(const char *what, const char *path) MUST_CHECK;
/* To see whether a file is another one now. */
struct tls_stamp {
        int64_t changed_ns, size;
        uint64_t inode;
};
struct tls_stamp tls_stamp_of(const char *path); /* NULL, or not there: zeros */
bool tls_stamp_eq(struct tls_stamp a, struct tls_stamp b);

/* Of a non-blocking socket, over TLS when ssl is not NULL. Bytes moved, 0: nothing now, -1: closed by either side or
 * broken. */
ssize_t tls_read(int fd, SSL *ssl, void *p, size_t n);
ssize_t tls_write(int fd, SSL *ssl, const void *p, size_t n);

#endif
