/* SPDX-License-Identifier: Apache-2.0 */
/* test_client.h — a blocking client of the tests: sends bytes as they are and reads one answer. Only tests include
 * this. */
#ifndef IO_HTTP_TEST_CLIENT_H
#define IO_HTTP_TEST_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/test.h"

struct test_client {
        int fd;
        struct buf in;
        int status;
        Str head, body; /* of the last answer; body is unchunked in place; valid until the next */
        size_t used;
};

static inline void test_client_open(struct test_client *c, int port)
{
        *c = (struct test_client){.fd = socket(AF_INET, SOCK_STREAM, 0)};
        struct sockaddr_in sa = {
                .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int one = 1; /* else each WINDOW_UPDATE waits for a late ACK */
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        buf_init(&c->in, 512 << 20);
        CHECK_MSG(connect(c->fd, (struct sockaddr *)&sa, sizeof sa) == 0, "connect: %m");
}

static inline void test_client_close(struct test_client *c)
{
        close(c->fd);
        buf_done(&c->in);
}

static inline void test_client_send(struct test_client *c, Str s)
{
        while (s.n) {
                ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);
                if (n <= 0)
                        return; /* the server may have closed: the answer tells */
                s = str_skip(s, (size_t)n);
        }
}

/* False at the end. */
static inline bool test_client_more(struct test_client *c)
{
        char *p = buf_reserve(&c->in, 65536);
        ssize_t n = recv(c->fd, p, 65536, 0);
        if (n <= 0)
                return false;
        c->in.n += (size_t)n;
        return true;
}

static inline Str test_client_header(const struct test_client *c, const char *name)
{
        Str rest = c->head, line, k, v;
        while (str_next(&rest, '\n', &line))
                if (str_cut(str_trim(line), ':', &k, &v) && str_eq_nocase(k, str_from(name)))
                        return str_trim(v);
        return STR("");
}

/* Of digits at the start of s, which no NUL need end: as much as the number reaches. */
static inline uint64_t test_client_number(Str s, unsigned base)
{
        static const char digits[] = "0123456789abcdef";
        uint64_t v = 0;
        for (size_t i = 0; i < s.n; i++) {
                const char *at = memchr(digits, s.p[i] | (s.p[i] >= 'A' ? 0x20 : 0), base);
                if (!at)
                        break;
                v = v * base + (uint64_t)(at - digits);
        }
        return v;
}

/* Reads one answer; false when the connection ended before a whole one. */
static inline bool test_client_answer_to(struct test_client *c, bool head_only)
{
        if (c->used)
                buf_drop_front(&c->in, c->used);
        c->used = 0;
        ptrdiff_t end;
        while ((end = str_find_str(buf_str(&c->in), STR("\r\n\r\n"))) < 0)
                if (!test_client_more(c))
                        return false;
        size_t at = (size_t)end + 4;
        c->head = (Str){c->in.p, at};
        CHECK(str_has_prefix(c->head, STR("HTTP/1.1 ")));
        c->status = (int)test_client_number(str_skip(c->head, 9), 10);
        Str length = test_client_header(c, "Content-Length"), coding = test_client_header(c, "Transfer-Encoding");
        if (head_only || c->status == 100 || c->status == 204 || c->status == 304) {
                c->body = STR("");
                c->used = at;
        } else if (length.n) {
                uint64_t n;
                CHECK(str_to_u64(length, &n));
                while (c->in.n - at < n)
                        if (!test_client_more(c))
                                return false;
                c->body = (Str){c->in.p + at, n};
                c->used = at + n;
        } else if (str_eq(coding, STR("chunked"))) {
                size_t out = at, from = at;
                for (;;) {
                        ptrdiff_t lf;
                        while ((lf = str_find(str_skip(buf_str(&c->in), from), '\n')) < 0)
                                if (!test_client_more(c))
                                        return false;
                        size_t n = test_client_number(str_sub(buf_str(&c->in), from, from + (size_t)lf), 16);
                        from += (size_t)lf + 1;
                        while (c->in.n - from < n + 2)
                                if (!test_client_more(c))
                                        return false;
                        memmove(c->in.p + out, c->in.p + from, n);
                        out += n;
                        from += n + 2;
                        if (!n)
                                break;
                }
                c->body = (Str){c->in.p + at, out - at};
                c->used = from;
        } else {
                while (test_client_more(c)) {}
                c->body = (Str){c->in.p + at, c->in.n - at};
                c->used = c->in.n;
        }
        c->head.p = c->in.p; /* it may have moved */
        return true;
}

static inline bool test_client_answer(struct test_client *c)
{
        return test_client_answer_to(c, false);
}

/* True when the server closed and nothing more came. */
static inline bool test_client_at_end(struct test_client *c)
{
        if (c->used)
                buf_drop_front(&c->in, c->used);
        c->used = 0;
        return !test_client_more(c) && c->in.n == 0;
}

#endif
