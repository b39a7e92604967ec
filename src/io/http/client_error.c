/* SPDX-License-Identifier: Apache-2.0 */
/* client_error.c — failed transfers in the words of Go's client: users compare lastError, and alerts match on it. */
#include <ctype.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <time.h>

#include "codec/quote.h"
#include "io/http/client_impl.h"
#include "io/net.h"

struct error *client_wrap(const struct op *o, struct error *take_e)
{
        struct buf b = BUF_INIT(64 << 10);
        const char *m = o->method ? o->method : "GET";
        buf_putc(&b, m[0]);
        for (const char *p = m + 1; *p; p++)
                buf_putc(&b, (char)tolower((unsigned char)*p));
        buf_putc(&b, ' ');
        /* A password in the URL is not for logs. */
        Str url = str_from(o->url ? o->url : o->first_url), user = o->parts.user, name, word;
        if (user.n && str_cut(user, ':', &name, &word)) {
                struct buf u = BUF_INIT(64 << 10);
                size_t at = (size_t)(word.p - url.p);
                buf_put(&u, str_sub(url, 0, at));
                buf_puts(&u, "xxxxx");
                buf_put(&u, str_skip(url, at + word.n));
                buf_put_go_quoted(&b, buf_str(&u));
                buf_done(&u);
        } else {
                buf_put_go_quoted(&b, url);
        }
        struct error *e = error_wrap(take_e, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

struct error *client_deadline_error(const struct op *o)
{
        struct error *e = error_new(ERROR_TIMEOUT, "context deadline exceeded");
        return o->head_seen ? e : client_wrap(o, e);
}

static struct error *verify_error(const struct op *o)
{
        long result = 0;
        curl_easy_getinfo(o->easy, CURLINFO_SSL_VERIFYRESULT, &result);
        Str host = o->conf->tls.server_name ? str_from(o->conf->tls.server_name) : o->parts.host;
        struct sockaddr_storage sa;
        char why[256];
        if (strstr(o->why, "subject name"))
                result = X509_V_OK;
        switch (result) {
        case X509_V_OK: /* the chain is good: the name is not */
                if (resolver_literal(host, &sa))
                        snprintf(why, sizeof why,
                                 "x509: cannot validate certificate for " STR_FMT
                                 " because it doesn't contain any IP SANs",
                                 STR_ARG(host));
                else
                        snprintf(why, sizeof why,
                                 "x509: certificate is not valid for any names, but wanted to match " STR_FMT,
                                 STR_ARG(host));
                break;
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID: {
                char now[40];
                time_t t = time(NULL);
                struct tm tm;
                gmtime_r(&t, &tm);
                strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
                snprintf(why, sizeof why, "x509: certificate has expired or is not yet valid: current time %s is %s",
                         now, result == X509_V_ERR_CERT_HAS_EXPIRED ? "after its end" : "before its start");
                break;
        }
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
                snprintf(why, sizeof why, "x509: certificate signed by unknown authority");
                break;
        default:
                snprintf(why, sizeof why, "x509: %s", X509_verify_cert_error_string(result));
        }
        return error_new(ERROR_IO, "tls: failed to verify certificate: %s", why);
}

/* From OpenSSL's "…:tlsv13 alert certificate required, errno 0" and the like. */
static struct error *tls_error(const struct op *o)
{
        const char *alert = strstr(o->why, " alert ");
        if (alert) {
                Str text = str_from(alert + 7), rest;
                str_cut(text, ',', &text, &rest);
                return error_new(ERROR_IO, "remote error: tls: " STR_FMT, STR_ARG(str_trim(text)));
        }
        /* A CA of the right name with another key: the signature is wrong, and OpenSSL tells of that instead of the
         * chain. */
        if (strstr(o->why, "asn1 encoding routines") || strstr(o->why, "rsa routines"))
                return error_new(ERROR_IO,
                                 "tls: failed to verify certificate: x509: certificate signed by unknown authority");
        if (strstr(o->why, "wrong version number"))
                return error_new(ERROR_IO, "http: server gave HTTP response to HTTPS client");
        if (strstr(o->why, "SSL_ERROR_SYSCALL") || strstr(o->why, "unexpected eof") ||
            strstr(o->why, "Connection reset"))
                return error_new(ERROR_IO, "EOF");
        return error_new(ERROR_IO, "tls: %s", *o->why ? o->why : "handshake failure");
}

static struct error *file_error(const struct op *o, CURLcode code)
{
        const struct tls_client_opts *t = &o->conf->tls;
        const char *path = code == CURLE_SSL_CACERT_BADFILE ? t->ca_file : t->cert_file ? t->cert_file : t->key_file;
        const char *what = code == CURLE_SSL_CACERT_BADFILE ? "unable to use specified CA cert"
                                                            : "unable to use specified client cert";
        FILE *f = path ? fopen(path, "re") : NULL;
        if (path && !f)
                return error_wrap(error_errno(errno, "unable to read file %s: open %s", path, path),
                                  "unable to read %s",
                                  code == CURLE_SSL_CACERT_BADFILE ? "CA cert" : "specified client cert");
        if (f)
                fclose(f);
        return path ? error_new(ERROR_INVALID, "%s (file %s)", what, path)
                    : error_new(ERROR_INVALID, "%s <inline>", what);
}

struct error *client_transfer_error(const struct op *o, CURLcode code)
{
        char address[64] = "";
        if (o->n_addresses)
                net_address_text((const struct sockaddr *)&o->addresses[o->at_address], address);
        long os_errno = 0;
        curl_easy_getinfo(o->easy, CURLINFO_OS_ERRNO, &os_errno);
        struct error *e;
        switch (code) {
        case CURLE_COULDNT_CONNECT:
                e = os_errno ? error_errno((int)os_errno, "dial tcp %s: connect", address)
                             : error_new(ERROR_IO, "dial tcp %s: connect: connection refused", address);
                return o->is_proxied ? error_wrap(e, "proxyconnect tcp") : e;
        case CURLE_OPERATION_TIMEDOUT:
                if (strstr(o->why, "too slow"))
                        return error_new(ERROR_TIMEOUT, o->head_seen ? "read tcp %s: i/o timeout"
                                                                     : "net/http: timeout awaiting response headers (%s)", address);
                return error_new(ERROR_TIMEOUT, "dial tcp %s: i/o timeout", address);
        case CURLE_GOT_NOTHING:
                return error_new(ERROR_IO, "EOF");
        case CURLE_PARTIAL_FILE:
                return error_new(ERROR_IO, "unexpected EOF");
        case CURLE_RECV_ERROR:
                if (strstr(o->why, "SSL") || strstr(o->why, "alert"))
                        return tls_error(o);
                if (os_errno == 0 || os_errno == EAGAIN)
                        return error_new(ERROR_IO, o->head_seen ? "unexpected EOF" : "EOF");
                return error_errno((int)os_errno, "read tcp %s: read", address);
        case CURLE_SEND_ERROR:
                return error_errno(os_errno ? (int)os_errno : EPIPE, "write tcp %s: write", address);
        case CURLE_PEER_FAILED_VERIFICATION:
                return verify_error(o);
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CIPHER:
                return tls_error(o);
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
                return file_error(o, code);
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_UNSUPPORTED_PROTOCOL:
                return error_new(ERROR_IO, "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        case CURLE_COULDNT_RESOLVE_PROXY:
                return error_new(ERROR_IO, "proxyconnect tcp: dial tcp: lookup of the proxy: no such host");
        case CURLE_PROXY:
                return error_new(ERROR_IO, "proxyconnect tcp: %s", *o->why ? o->why : "failed");
        default:
                return error_new(ERROR_IO, "%s", *o->why ? o->why : curl_easy_strerror(code));
        }
}
