/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/sigv4.h"

#include "base/file.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <time.h>

enum { HEADERS_MAX = 32 };

static void put_hex(const uint8_t *p, size_t n, char *ret)
{
        for (size_t i = 0; i < n; i++) {
                ret[2 * i] = "0123456789abcdef"[p[i] >> 4];
                ret[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
        }
        ret[2 * n] = 0;
}

void sha256_hex(Str s, char ret[65])
{
        uint8_t hash[32];
        if (!EVP_Digest(s.n ? s.p : "", s.n, hash, NULL, EVP_sha256(), NULL))
                bug("SHA-256 failed");
        put_hex(hash, sizeof hash, ret);
}

void sha256_hex_of_map(Str s, char ret[65])
{
        enum { WINDOW_BYTES = 1 << 20 };
        uint8_t hash[32];
        EVP_MD_CTX *x = EVP_MD_CTX_new();
        if (!x || !EVP_DigestInit_ex(x, EVP_sha256(), NULL))
                bug("SHA-256 failed");
        for (size_t at = 0; at < s.n; at += WINDOW_BYTES) {
                size_t n = MIN(s.n - at, (size_t)WINDOW_BYTES);
                if (!EVP_DigestUpdate(x, s.p + at, n))
                        bug("SHA-256 failed");
                file_map_release(s.p + at, n);
        }
        if (!EVP_DigestFinal_ex(x, hash, NULL))
                bug("SHA-256 failed");
        EVP_MD_CTX_free(x);
        put_hex(hash, sizeof hash, ret);
}

void sigv4_escape(struct buf *b, Str s, bool keep_slash)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                             c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
                if (plain)
                        buf_putc(b, c);
                else
                        buf_printf(b, "%%%02X", (unsigned)(uint8_t)c);
        }
}

void sigv4_date(TimeMs at_ms, char ret[17])
{
        time_t t = (time_t)(at_ms / 1000);
        struct tm tm;
        gmtime_r(&t, &tm);
        if (strftime(ret, 17, "%Y%m%dT%H%M%SZ", &tm) == 0)
                strcpy(ret, "19700101T000000Z"); /* a clock beyond the year 9999 */
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(((const struct http_header *)a)->name, ((const struct http_header *)b)->name);
}

static void put_lower(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++)
                buf_putc(b, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
}

/* Outer white space goes, inner runs of it become one. */
static void put_value(struct buf *b, Str s)
{
        s = str_trim(s);
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != ' ' || s.p[i - 1] != ' ')
                        buf_putc(b, s.p[i]);
}

/* "name:value\n" of each header to lines, "a;b" to names. */
static void put_headers(const struct sigv4_request *r, struct buf *lines, struct buf *names)
{
        struct http_header sorted[HEADERS_MAX];
        struct buf lower = BUF_INIT(BUF_NO_LIMIT);
        size_t n = r->n_headers, at[HEADERS_MAX];
        if (n > HEADERS_MAX)
                bug("%zu headers to sign", n);
        for (size_t i = 0; i < n; i++) {
                at[i] = lower.n;
                put_lower(&lower, r->headers[i].name);
        }
        for (size_t i = 0; i < n; i++)
                sorted[i] = (struct http_header){{lower.p + at[i], r->headers[i].name.n}, r->headers[i].value};
        qsort(sorted, n, sizeof *sorted, by_name);
        for (size_t i = 0; i < n; i++) {
                buf_put(lines, sorted[i].name);
                buf_putc(lines, ':');
                put_value(lines, sorted[i].value);
                buf_putc(lines, '\n');
                if (i)
                        buf_putc(names, ';');
                buf_put(names, sorted[i].name);
        }
        buf_done(&lower);
}

void sigv4_canonical(const struct sigv4_request *r, struct buf *ret)
{
        struct buf names = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(ret, "%s\n" STR_FMT "\n" STR_FMT "\n", r->method, STR_ARG(r->path), STR_ARG(r->query));
        put_headers(r, ret, &names);
        buf_putc(ret, '\n');
        buf_put(ret, buf_str(&names));
        buf_putc(ret, '\n');
        buf_put(ret, r->payload_hash);
        buf_done(&names);
}

static void hmac(const uint8_t *key, size_t key_n, Str text, uint8_t ret[32])
{
        unsigned n = 32;
        if (!HMAC(EVP_sha256(), key, (int)key_n, (const uint8_t *)(text.n ? text.p : ""), text.n, ret, &n))
                bug("HMAC failed");
}

void sigv4_sign(const struct sigv4_key *k, const struct sigv4_request *r, struct buf *ret)
{
        char date[17], hash[65], signature[65];
        struct buf b = BUF_INIT(BUF_NO_LIMIT), names = BUF_INIT(BUF_NO_LIMIT);
        sigv4_canonical(r, &b);
        sha256_hex(buf_str(&b), hash);
        buf_clear(&b);
        put_headers(r, &b, &names);
        sigv4_date(r->at_ms, date);
        Str day = {date, 8};
        buf_clear(&b);
        buf_printf(&b, "AWS4-HMAC-SHA256\n%s\n%.8s/" STR_FMT "/s3/aws4_request\n%s", date, date, STR_ARG(k->region),
                   hash);
        struct buf secret = BUF_INIT(BUF_NO_LIMIT);
        uint8_t key[32];
        buf_puts(&secret, "AWS4");
        buf_put(&secret, k->secret_key);
        hmac((const uint8_t *)secret.p, secret.n, day, key);
        hmac(key, sizeof key, k->region, key);
        hmac(key, sizeof key, STR("s3"), key);
        hmac(key, sizeof key, STR("aws4_request"), key);
        hmac(key, sizeof key, buf_str(&b), key);
        put_hex(key, sizeof key, signature);
        buf_printf(ret,
                   "AWS4-HMAC-SHA256 Credential=" STR_FMT "/%.8s/" STR_FMT "/s3/aws4_request, SignedHeaders=" STR_FMT
                   ", Signature=%s",
                   STR_ARG(k->access_key), date, STR_ARG(k->region), STR_ARG(buf_str(&names)), signature);
        OPENSSL_cleanse(secret.p, secret.n);
        buf_done(&secret);
        buf_done(&names);
        buf_done(&b);
}
