/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h — TLS on OpenSSL: what a server offers and what a client expects. Paths are read when used, so rotated files are seen. Any thread. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/error.h"
#include "base/str.h"

struct http_tls_opts {                  /* of a server */
        const char *cert_file, *key_file;
        const char *client_ca_file;     /* NULL: no client certificates asked for */
        bool client_required;
        int min_version, max_version;   /* 0x0303 TLS 1.2, 0x0304 TLS 1.3; 0: default 1.2, 1.3 */
};
struct tls_client_opts {                /* tls_config of an HTTP client block */
        const char *ca, *ca_file, *cert, *cert_file, *key, *key_file;   /* text or file; NULL: not given */
        const char *server_name;
        bool insecure_skip_verify;
        int min_version, max_version;
};

#endif
