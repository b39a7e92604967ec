/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_io_form.c — forms: any bytes are read within bounds; what was escaped comes back. */
#include "io/http/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = {(const char *)data, size}, back = {0};
        struct arena a;
        arena_init(&a, 64 << 20);
        struct http_form f = {0};
        error_ignore(form_parse(in, &a, &f), "may be bad");
        if (f.n > size + 1)
                bug("more parameters than bytes");
        for (size_t i = 0; i < f.n; i++)
                if (f.v[i].name.n + f.v[i].value.n > size)
                        bug("longer than it was");
        for (int part = URL_PATH; part <= URL_QUERY; part++) {
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                url_escape(in, (enum url_part)part, &b);
                struct error *e = url_unescape(buf_str(&b), (enum url_part)part, &a, &back);
                if (e || !str_eq(back, in))
                        bug("escaped and not the same again");
                buf_done(&b);
        }
        arena_done(&a);
        return 0;
}
