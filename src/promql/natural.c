/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/natural.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* The next run of digits or of others. */
static Str next_chunk(Str *s)
{
        size_t n = 1;
        while (n < s->n && is_digit(s->p[n]) == is_digit(s->p[0]))
                n++;
        Str chunk = {s->p, n};
        *s = str_skip(*s, n);
        return chunk;
}

bool natural_less(Str a, Str b)
{
        while (a.n) {
                if (!b.n)
                        return false;
                Str x = next_chunk(&a), y = next_chunk(&b);
                int64_t i, k;
                bool numbers = is_digit(x.p[0]) && is_digit(y.p[0]) && str_to_i64(x, &i) && str_to_i64(y, &k);
                if (numbers ? i != k : !str_eq(x, y))
                        return numbers ? i < k : str_cmp(x, y) < 0;
                if (!a.n)
                        return true;
                if (!b.n)
                        return false;
        }
        return false;
}
