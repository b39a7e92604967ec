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

#endif
