/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/parse1.h"

#include "base/test.h"

static void head_case(const char *text, int status, const char *why)
{
        struct arena a;
        struct parse1_head h;
        arena_init(&a, 1 << 20);
        size_t seen = 0, n = parse1_head_bytes(str_from(text), &seen);
        CHECK_MSG(n == strlen(text), "%s: %zu bytes of the head seen", text, n);
        struct parse1_fault f = parse1_head(str_from(text), &a, &h);
        CHECK_MSG(f.status == status, "%s: got %d (%s), want %d", text, f.status, f.why, status);
        if (why)
                CHECK_STR(str_from(f.why), why);
        arena_done(&a);
}
#define LINE "GET / HTTP/1.1\r\n"
#define HOST LINE "Host: a\r\n"
TEST(parse1_head, refuses_what_is_not_strict)
{
        head_case(HOST "\r\n", 0, NULL);
        head_case(HOST "A:\tb \t\r\nEmpty:\r\n\r\n", 0, NULL);
        head_case("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL);
        head_case("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "malformed HTTP version");
        head_case("GET /\r\nHost: a\r\n\r\n", 400, "malformed HTTP request line");
        head_case("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid method");
        head_case("GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid request target");
        head_case("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid request target");
        head_case("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0, NULL);
        head_case("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid character in request target");
        head_case("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, NULL);
        head_case("GET / HTTP/1.0\r\n\r\n", 0, NULL);
        head_case(LINE "\r\n", 400, "missing required Host header");
        head_case(HOST "Host: b\r\n\r\n", 400, "too many Host headers");
        head_case(HOST "A : b\r\n\r\n", 400, "invalid header name");
        head_case(HOST " folded: b\r\n\r\n", 400, "invalid header name");
        head_case(HOST "A: b\r\n c\r\n\r\n", 400, "invalid header name");
        head_case(HOST ": b\r\n\r\n", 400, "invalid header name");
        head_case(HOST "no colon\r\n\r\n", 400, "invalid header name");
        head_case(HOST "A: b\x01\r\n\r\n", 400, "invalid header value");
        head_case(HOST "A: b\rc\r\n\r\n", 400, "invalid header value");
        head_case("GET / HTTP/1.1\nHost: a\n\n", 400, "malformed HTTP request line");
        head_case(HOST "A: b\n\r\n", 400, "malformed header line");
}
TEST(parse1_head, allows_one_way_to_tell_the_length)
{
        head_case(HOST "Content-Length: 10\r\n\r\n", 0, NULL);
        head_case(HOST "Content-Length: +1\r\n\r\n", 400, "bad Content-Length");
        head_case(HOST "Content-Length: 1, 1\r\n\r\n", 400, "bad Content-Length");
        head_case(HOST "Content-Length: 0x1\r\n\r\n", 400, "bad Content-Length");
        head_case(HOST "Content-Length:\r\n\r\n", 400, "bad Content-Length");
        head_case(HOST "Content-Length: 9999999999999999999\r\n\r\n", 400, "bad Content-Length");
        head_case(HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "repeated length of the body");
        head_case(HOST "Transfer-Encoding: chunked\r\n\r\n", 0, NULL);
        head_case(HOST "Transfer-Encoding: Chunked\r\n\r\n", 0, NULL);
        head_case(HOST "Transfer-Encoding: chunked, chunked\r\n\r\n", 501, NULL);
        head_case(HOST "Transfer-Encoding: xchunked\r\n\r\n", 501, NULL);
        head_case(HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                  "repeated length of the body");
        head_case(HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400, "ambiguous length of the body");
        head_case("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "ambiguous length of the body");
        head_case(HOST "Expect: 200-ok\r\n\r\n", 417, NULL);
}
TEST(parse1_head, gives_the_parts)
{
        struct arena a;
        struct parse1_head h;
        arena_init(&a, 1 << 20);
        Str text = STR("POST http://x.test:9/a%20b?q=1&r HTTP/1.1\r\nhost: x.test:9\r\nConnection: foo, "
                       "Close\r\nExpect: 100-continue\r\n"
                       "X:  two words \r\nContent-Length: 12\r\n\r\n");
        CHECK_I64(parse1_head(text, &a, &h).status, 0);
        CHECK_I64(h.method, HTTP_POST);
        CHECK_STR(h.raw_path, "/a%20b");
        CHECK_STR(h.raw_query, "q=1&r");
        CHECK_STR(h.host, "x.test:9");
        CHECK(!h.keep_alive && h.expect_continue && h.has_length && !h.chunked);
        CHECK_U64(h.length, 12);
        CHECK_U64(h.n_headers, 5);
        CHECK_STR(h.headers[3].value, "two words");
        CHECK_I64(parse1_head(STR("GET http://x.test HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), &a, &h).status, 0);
        CHECK_STR(h.raw_path, "/");
        CHECK(h.keep_alive);
        arena_done(&a);
}
TEST(parse1_head_bytes, finds_the_end_however_it_comes_in)
{
        Str text = STR(HOST "\r\nrest");
        size_t seen = 0;
        for (size_t n = 0; n < text.n - 4; n++)
                CHECK_U64(parse1_head_bytes(str_sub(text, 0, n), &seen), 0);
        CHECK_U64(parse1_head_bytes(text, &seen), text.n - 4);
}

static void chunked_case(Str in, int status, bool ended, const char *body, size_t left_over)
{
        for (size_t step = 1; step <= in.n; step += in.n > 1 ? in.n - 1 : 1) { /* byte by byte, and at once */
                struct parse1_chunked c = {0};
                struct buf b = BUF_INIT(20);
                size_t at = 0;
                while (at < in.n && !c.status && c.state != PARSE1_BODY_END)
                        at += parse1_chunked_add(&c, str_sub(in, at, MIN(at + step, in.n)), &b);
                CHECK_I64(c.status, status);
                CHECK_I64(c.state == PARSE1_BODY_END, ended);
                if (!status) {
                        CHECK_STR(buf_str(&b), body);
                        CHECK_U64(in.n - at, left_over);
                }
                buf_done(&b);
        }
}
TEST(parse1_chunked, joins_chunks_and_refuses_others)
{
        chunked_case(STR("3\r\nabc\r\n0\r\n\r\nGET"), 0, true, "abc", 3);
        chunked_case(STR("003;a=\"b\"\r\nabc\r\n0 \r\nT: 1\r\nU: 2\r\n\r\n"), 0, true, "abc", 0);
        chunked_case(STR("3\r\nab"), 0, false, "ab", 0);
        chunked_case(STR("0\r\n\r\n"), 0, true, "", 0);
        chunked_case(STR("\r\n"), 400, false, "", 0);
        chunked_case(STR("-1\r\n"), 400, false, "", 0);
        chunked_case(STR(" 1\r\n"), 400, false, "", 0);
        chunked_case(STR("1\na\n0\n\n"), 400, false, "", 0);
        chunked_case(STR("1\r\nab\r\n"), 400, false, "", 0);
        chunked_case(STR("0\r\n: x\r\n\r\n"), 400, false, "", 0);
        chunked_case(STR("1;\n\r\n"), 400, false, "", 0);
        chunked_case(STR("00000000000000001\r\n"), 400, false, "", 0);
        chunked_case(STR("ffffffffffffffff\r\n"), 400, false, "", 0);
        chunked_case(STR("15\r\n123456789012345678901\r\n0\r\n\r\n"), 413, false, "", 0);
}
