/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"
#include "codec/quote.h"

enum style { STYLE_STD, STYLE_API, STYLE_LABEL };

static inline bool is_plain(unsigned char c, enum style style)
{
        if (c < 0x20 || c == '"' || c == '\\')
                return false;
        if (style == STYLE_LABEL)
                return true;
        return c < 0x80 && c != '<' && c != '>' && c != '&';
}

static void put_escape(struct buf *b, unsigned char c, enum style style)
{
        static const char hex[] = "0123456789abcdef";
        char two[2] = {'\\', 0};
        switch (c) {
        case '"':
        case '\\':
                two[1] = (char)c;
                break;
        case '\n':
                two[1] = 'n';
                break;
        case '\r':
                two[1] = 'r';
                break;
        case '\t':
                two[1] = 't';
                break;
        case '\b':
        case '\f':
                if (style == STYLE_STD)
                        two[1] = c == '\b' ? 'b' : 'f';
                break;
        default:
                break;
        }
        if (two[1]) {
                buf_append(b, two, 2);
                return;
        }
        char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_append(b, six, 6);
}

static inline void put(struct buf *b, Str s, enum style style)
{
        buf_putc(b, '"');
        for (size_t i = 0; i < s.n;) {
                size_t from = i;
                while (i < s.n && is_plain((unsigned char)s.p[i], style))
                        i++;
                buf_append(b, s.p + from, i - from);
                if (i == s.n)
                        break;
                if ((unsigned char)s.p[i] < 0x80) {
                        put_escape(b, (unsigned char)s.p[i++], style);
                        continue;
                }
                uint32_t r;
                size_t n = utf8_decode(str_skip(s, i), &r);
                if (n == 0)
                        buf_puts(b, "\\ufffd");
                else if (r == 0x2028 || r == 0x2029) /* no JavaScript */
                        buf_puts(b, r == 0x2028 ? "\\u2028" : "\\u2029");
                else
                        buf_append(b, s.p + i, n);
                i += n ? n : 1;
        }
        buf_putc(b, '"');
}

void json_put_str(struct buf *b, Str s)
{
        put(b, s, STYLE_STD);
}

void json_put_api_str(struct buf *b, Str s)
{
        put(b, s, STYLE_API);
}

void json_put_label_str(struct buf *b, Str s)
{
        put(b, s, STYLE_LABEL);
}

void json_put_key(struct buf *b, const char *key)
{
        json_put_str(b, str_from(key));
        buf_putc(b, ':');
}
