/* SPDX-License-Identifier: Apache-2.0 */
/* s3_error.c — what a store's refusal means.  Upstream: minio-go retry.go, api-error-response.go */
#include <stdio.h>

#include "objstore/s3_impl.h"
#include "objstore/xml.h"

static void take(Str s, char *ret, size_t n)
{
        size_t k = 0;
        s = str_trim(s);
        for (size_t i = 0; i < s.n && k + 1 < n; i++)
                ret[k++] = (uint8_t)s.p[i] < ' ' ? ' ' : s.p[i];
        ret[k] = 0;
}

void s3_error_parse(Str body, struct s3_error *ret)
{
        struct arena a;
        struct xml x;
        struct xml_token t;
        struct error *e;
        *ret = (struct s3_error){0};
        arena_init(&a, 1 << 20);
        xml_init(&x, body, &a);
        while (!(e = xml_next(&x, &t)) && t.type != XML_END) {
                if (t.depth == 1 && !str_eq(t.name, STR("Error")))
                        break;
                if (t.type != XML_CLOSE || t.depth != 2)
                        continue;
                if (str_eq(t.name, STR("Code")))
                        take(t.text, ret->code, sizeof ret->code);
                else if (str_eq(t.name, STR("Message")))
                        take(t.text, ret->message, sizeof ret->message);
                else if (str_eq(t.name, STR("Region")))
                        take(t.text, ret->region, sizeof ret->region);
        }
        error_ignore(e, "an answer that is no error document says nothing more");
        arena_done(&a);
}

bool s3_status_is_transient(int status, const char *code)
{
        static const int statuses[] = {408, 429, 499, 500, 502, 503, 504, 520};
        static const char *const codes[] = {
                "RequestError",     "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded",
                "RequestThrottled", "InternalError",  "SlowDown",   "OperationAborted"};
        for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
                if (status == statuses[i])
                        return true;
        for (size_t i = 0; i < ARRAY_LEN(codes); i++)
                if (strcmp(code, codes[i]) == 0)
                        return true;
        return false;
}

struct error *s3_error_of(const struct s3_request *r, const struct http_response *resp, const struct s3_error *x)
{
        int status = resp->status;
        bool is_head = strcmp(r->method, "HEAD") == 0;
        enum error_kind kind = ERROR_IO;
        if (strcmp(x->code, "NoSuchKey") == 0 || (status == 404 && r->key.n && !x->code[0]))
                kind = ERROR_NOT_FOUND;
        else if (status == 401 || status == 403)
                kind = ERROR_DENIED;
        else if (status == 412)
                kind = ERROR_UNAVAILABLE;
        else if (status / 100 == 4 && !s3_status_is_transient(status, x->code))
                kind = ERROR_INVALID;
        if (x->code[0])
                return error_new(kind, "%s: %s (HTTP status %d)", x->code, x->message, status);
        Str location = s3_answer_header(resp, STR("Location"));
        if (status / 100 == 3)
                return error_new(
                        ERROR_INVALID,
                        "redirected to \"%.*s\", which is not followed: endpoint or region is wrong (HTTP status %d)",
                        (int)MIN(location.n, (size_t)200), location.p ? location.p : "", status);
        if (is_head && status == 404)
                return error_new(kind, "the specified key does not exist (HTTP status 404)");
        char body[101];
        take(buf_str(&resp->body), body, sizeof body);
        return body[0] ? error_new(kind, "HTTP status %d %s: %s", status, http_status_text(status), body)
                       : error_new(kind, "HTTP status %d %s", status, http_status_text(status));
}
