/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_io_http1.c — heads and chunked bodies of requests: cut anywhere they mean the same, and what is accepted keeps
 * its promises. */
#include "io/http/form.h"
#include "io/http/parse1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void chunked(Str in)
{
        struct parse1_chunked whole = {0}, cut = {0};
        struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16);
        size_t n = parse1_chunked_add(&whole, in, &a), m = 0;
        while (m < in.n && !cut.status && cut.state != PARSE1_BODY_END) {
                size_t used = parse1_chunked_add(&cut, str_sub(in, m, m + 1), &b);
                if (!used && !cut.status)
                        bug("no progress");
                m += used;
        }
        if (whole.status != cut.status || whole.state != cut.state)
                bug("cutting changes the meaning: %d %d, %d %d", whole.status, whole.state, cut.status, cut.state);
        if (!whole.status && (n != m || !str_eq(buf_str(&a), buf_str(&b))))
                bug("cutting changes the body");
        buf_done(&a);
        buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = {(const char *)data, size};
        size_t seen = 0, at_once = 0, n = parse1_head_bytes(in, &at_once), step = 0;
        for (size_t i = 0; i <= size && !step; i++)
                step = parse1_head_bytes(str_sub(in, 0, i), &seen);
        if (n != step)
                bug("the head ends at %zu or %zu", n, step);
        if (!n) {
                chunked(in);
                return 0;
        }
        struct arena a;
        arena_init(&a, 64 << 20);
        struct parse1_head h;
        Str path;
        struct parse1_fault f = parse1_head(str_sub(in, 0, n), &a, &h);
        if (!f.status) {
                if (h.chunked && (h.has_length || h.version < 11))
                        bug("two lengths");
                for (size_t i = 0; i < h.n_headers; i++)
                        if (!h.headers[i].name.n || str_find(h.headers[i].value, '\n') >= 0 ||
                            str_find(h.headers[i].value, '\r') >= 0)
                                bug("a header that is none");
                error_ignore(url_unescape(h.raw_path, URL_PATH, &a, &path), "may be bad");
                if (h.chunked)
                        chunked(str_skip(in, n));
        }
        arena_done(&a);
        return 0;
}
