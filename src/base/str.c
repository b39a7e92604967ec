/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/alloc.h"

bool str_has_prefix(Str s, Str prefix)
{
        return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_has_suffix(Str s, Str suffix)
{
        return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static char lower(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(Str a, Str b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (lower(a.p[i]) != lower(b.p[i]))
                        return false;
        return true;
}

bool str_contains(Str s, Str needle)
{
        return str_find_str(s, needle) >= 0;
}

ptrdiff_t str_find(Str s, char c)
{
        const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
        return at ? at - s.p : -1;
}

ptrdiff_t str_find_str(Str s, Str needle)
{
        if (needle.n == 0)
                return 0;
        const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
        return at ? at - s.p : -1;
}

ptrdiff_t str_rfind(Str s, char c)
{
        const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;
        return at ? at - s.p : -1;
}

bool str_cut(Str s, char sep, Str *ret_head, Str *ret_tail)
{
        ptrdiff_t at = str_find(s, sep);
        if (at < 0)
                return false;
        *ret_head = str_sub(s, 0, (size_t)at);
        *ret_tail = str_skip(s, (size_t)at + 1);
        return true;
}

bool str_next(Str *rest, char sep, Str *ret_field)
{
        if (!rest->p)
                return false;
        if (str_cut(*rest, sep, ret_field, rest))
                return true;
        *ret_field = *rest;
        bool any = rest->n > 0;
        *rest = (Str){NULL, 0};
        return any;
}

static bool is_space(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

Str str_trim(Str s)
{
        while (s.n && is_space(s.p[0]))
                s = str_skip(s, 1);
        while (s.n && is_space(s.p[s.n - 1]))
                s.n--;
        return s;
}

Str str_trim_prefix(Str s, Str prefix)
{
        return str_has_prefix(s, prefix) ? str_skip(s, prefix.n) : s;
}

Str str_trim_suffix(Str s, Str suffix)
{
        return str_has_suffix(s, suffix) ? str_sub(s, 0, s.n - suffix.n) : s;
}

bool str_to_u64(Str s, uint64_t *ret)
{
        uint64_t v = 0;
        if (s.n == 0)
                return false;
        for (size_t i = 0; i < s.n; i++) {
                unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
                if (d > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, d, &v))
                        return false;
        }
        *ret = v;
        return true;
}

bool str_to_i64(Str s, int64_t *ret)
{
        bool neg = s.n && s.p[0] == '-';
        if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
                s = str_skip(s, 1);
        uint64_t v;
        if (!str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + (neg ? 1 : 0))
                return false;
        *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
        return true;
}

char *str_dup(Str s)
{
        char *d = mem_alloc(s.n + 1);
        if (s.n)
                memcpy(d, s.p, s.n);
        d[s.n] = '\0';
        return d;
}

int str_cmp_qsort(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}
