/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/quote.h"

#include "codec/printable.h"

size_t utf8_decode(Str s, uint32_t *ret_rune)
{
        const unsigned char *p = (const unsigned char *)s.p;
        if (s.n == 0)
                return 0;
        if (p[0] < 0x80) {
                *ret_rune = p[0];
                return 1;
        }
        size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (p[0] < 0xc2 || p[0] > 0xf4 || s.n < n)
                return 0;
        uint32_t r = p[0] & (0xffu >> (n + 1));
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                r = r << 6 | (p[i] & 0x3f);
        }
        if (r < least[n] || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
                return 0;
        *ret_rune = r;
        return n;
}

size_t utf8_encode(uint32_t rune, char to[4])
{
        if (rune >= 0xd800 && rune < 0xe000)
                rune = 0xfffd;
        if (rune < 0x80) {
                to[0] = (char)rune;
                return 1;
        }
        size_t n = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--, rune >>= 6)
                to[i] = (char)(0x80 | (rune & 0x3f));
        to[0] = (char)((0xf00u >> n & 0xf0) | rune);
        return n;
}

bool utf8_is_valid(Str s)
{
        size_t i = 0;
        while (i < s.n) {
                uint64_t eight;
                if (s.n - i >= 8) { /* ASCII, eight bytes at a time */
                        memcpy(&eight, s.p + i, 8);
                        if (!(eight & UINT64_C(0x8080808080808080))) {
                                i += 8;
                                continue;
                        }
                }
                uint32_t r;
                size_t n = utf8_decode(str_skip(s, i), &r);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

void buf_put_go_quoted(struct buf *b, Str s)
{
        buf_putc(b, '"');
        while (s.n > 0) {
                size_t plain = 0;
                while (plain < s.n && s.p[plain] >= 0x20 && s.p[plain] < 0x7f && s.p[plain] != '"' &&
                       s.p[plain] != '\\')
                        plain++;
                buf_append(b, s.p, plain);
                s = str_skip(s, plain);
                if (s.n == 0)
                        break;
                uint32_t r;
                size_t n = utf8_decode(s, &r);
                if (n == 0) {
                        buf_printf(b, "\\x%02x", (unsigned char)s.p[0]);
                        s = str_skip(s, 1);
                        continue;
                }
                static const char *const named = "\a\b\f\n\r\t\v", *const letters = "abfnrtv";
                const char *at = r && r < 0x20 ? strchr(named, (int)r) : NULL;
                if (r == '"' || r == '\\') {
                        buf_putc(b, '\\');
                        buf_putc(b, (char)r);
                } else if (at) {
                        buf_putc(b, '\\');
                        buf_putc(b, letters[at - named]);
                } else if (rune_is_printable(r)) {
                        buf_append(b, s.p, n);
                } else if (r < 0x20 || r == 0x7f) {
                        buf_printf(b, "\\x%02x", r);
                } else if (r < 0x10000) {
                        buf_printf(b, "\\u%04x", r);
                } else {
                        buf_printf(b, "\\U%08x", r);
                }
                s = str_skip(s, n);
        }
        buf_putc(b, '"');
}
