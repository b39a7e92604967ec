/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include "base/rand.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

Ulid ulid_new(TimeMs now_ms)
{
        Ulid u;
        rand_system(u.b + 6, 10);
        for (int i = 0; i < 6; i++)
                u.b[i] = (uint8_t)((uint64_t)now_ms >> (40 - 8 * i));
        return u;
}

TimeMs ulid_time_ms(Ulid u)
{
        uint64_t t = 0;
        for (int i = 0; i < 6; i++)
                t = t << 8 | u.b[i];
        return (TimeMs)t;
}

/* 26 characters hold 130 bits: the value sits at the low end, two zero bits in front. */
void ulid_print(Ulid u, char ret[ULID_TEXT_BYTES + 1])
{
        for (int i = 0; i < ULID_TEXT_BYTES; i++) {
                unsigned v = 0;
                for (int bit = 0; bit < 5; bit++) {
                        int at = i * 5 + bit - 2;
                        v = v << 1 | (at < 0 ? 0 : (u.b[at / 8] >> (7 - at % 8)) & 1u);
                }
                ret[i] = alphabet[v];
        }
        ret[ULID_TEXT_BYTES] = '\0';
}

bool ulid_parse(Str s, Ulid *ret)
{
        Ulid u = {{0}};
        if (s.n != ULID_TEXT_BYTES)
                return false;
        for (int i = 0; i < ULID_TEXT_BYTES; i++) {
                char c = s.p[i];
                if (c >= 'a' && c <= 'z')
                        c = (char)(c - 32);
                const char *at = c ? strchr(alphabet, c) : NULL;
                if (!at)
                        return false;
                unsigned v = (unsigned)(at - alphabet);
                for (int bit = 0; bit < 5; bit++) {
                        int to = i * 5 + bit - 2;
                        unsigned set = (v >> (4 - bit)) & 1u;
                        if (to < 0 && set)
                                return false;   /* more than 128 bits */
                        if (set)
                                u.b[to / 8] = (uint8_t)(u.b[to / 8] | 1u << (7 - to % 8));
                }
        }
        *ret = u;
        return true;
}

int ulid_cmp(Ulid a, Ulid b)
{
        return memcmp(a.b, b.b, sizeof a.b);
}
