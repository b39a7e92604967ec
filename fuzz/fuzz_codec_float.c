/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_float.c — text: both readers and strtod agree; eight bytes as a number: its text reads back to the same
 * bits. */
#include <math.h>
#include <stdlib.h>

#include "codec/float_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(double a, double b)
{
        return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void reads_back(double v)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        for (const char *fmt = "efg"; *fmt; fmt++) {
                double again, fast;
                Str s = {text, float_print(v, *fmt, text)};
                if (!float_parse(s, &again, NULL) || !same(again, v) || !float_parse_fast(s, &fast) || !same(fast, v))
                        bug("%a printed as %c is " STR_FMT, v, *fmt, STR_ARG(s));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str s = {(const char *)data, size};
        double v, fast;
        if (size >= 8) {
                memcpy(&v, data, 8);
                reads_back(v);
        }
        bool range = false, ok = float_parse(s, &v, &range);
        bool fast_ok = float_parse_fast(s, &fast);
        if (fast_ok && (!ok || range || !same(v, fast)))
                bug("only the fast reader takes " STR_FMT, STR_ARG(s));
        if (ok && !fast_ok && !range && str_find(s, '_') < 0 && str_find(s, 'x') < 0 && str_find(s, 'X') < 0)
                bug("only the slow reader takes " STR_FMT, STR_ARG(s));
        if (ok && str_find(s, '_') < 0) {
                char *copy = str_dup(s), *end;
                double want = strtod(copy, &end);
                if (*end || !same(want, v))
                        bug("%s reads as %a, strtod says %a", copy, v, want);
                free(copy);
        }
        return 0;
}
