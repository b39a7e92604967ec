/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void buf_put_base64(struct buf *b, Str s)
{
        for (; s.n > 0; s = str_skip(s, MIN(s.n, (size_t)3))) {
                const unsigned char *p = (const unsigned char *)s.p;
                uint32_t v = (uint32_t)p[0] << 16 | (s.n > 1 ? (uint32_t)p[1] << 8 : 0) | (s.n > 2 ? p[2] : 0);
                char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
                if (s.n < 2)
                        four[2] = '=';
                if (s.n < 3)
                        four[3] = '=';
                buf_append(b, four, sizeof four);
        }
}

static int value_of(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(Str s, struct buf *out)
{
        size_t before = out->n;
        uint32_t v = 0;
        int have = 0, padding = 0;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (c == '\n' || c == '\r')
                        continue;
                int d = value_of(c);
                if (c == '=' && have >= 2 && have + padding < 4) {
                        padding++;
                        continue;
                }
                if (d < 0 || padding > 0)
                        goto bad;
                v = v << 6 | (uint32_t)d;
                if (++have == 4) {
                        char three[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
                        buf_append(out, three, sizeof three);
                        v = 0;
                        have = 0;
                }
        }
        if (have == 0 && padding == 0)
                return true;
        if (have + padding != 4)
                goto bad;
        v <<= 6 * padding;
        char rest[2] = {(char)(v >> 16), (char)(v >> 8)};
        buf_append(out, rest, (size_t)have - 1);
        return true;
bad:
        out->n = before;
        return false;
}
