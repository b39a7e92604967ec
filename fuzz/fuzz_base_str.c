/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_base_str.c — numbers against the C library's reading of them, and that cutting loses no byte. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void number_agrees(Str s)
{
        char text[64];
        if (s.n == 0 || s.n >= sizeof text)
                return;
        bool digits = true;
        for (size_t i = 0; i < s.n; i++)
                digits = digits && s.p[i] >= '0' && s.p[i] <= '9';
        memcpy(text, s.p, s.n);
        text[s.n] = 0;
        errno = 0;
        uint64_t want = strtoull(text, NULL, 10), got = 0;
        bool ok = str_to_u64(s, &got);
        if (ok != (digits && errno == 0) || (ok && got != want))
                bug("str_to_u64 of \"%s\": %d %" PRIu64 ", want %" PRIu64, text, ok, got, want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str all = {(const char *)data, size}, head, tail, field;
        if (str_cut(all, ',', &head, &tail) && head.n + 1 + tail.n != all.n)
                bug("str_cut lost bytes");
        size_t n = 0, fields = 0;
        for (Str rest = all; str_next(&rest, ',', &field); fields++) {
                n += field.n;
                number_agrees(field);
        }
        if (size && n + fields - 1 != size && n + fields != size)
                bug("str_next lost bytes: %zu in %zu fields of %zu", n, fields, size);
        Str t = str_trim(all);
        if (t.n > size)
                bug("str_trim grew");
        return 0;
}
