/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_yaml.c — documents are read or refused; any text printed as a scalar reads back as that text. */
#include "base/buf.h"
#include "codec/quote.h"
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str all = {(const char *)data, size};
        struct arena a;
        arena_init(&a, 64 << 20);
        struct yaml *y = NULL;
        error_free(yaml_parse(all, &a, &y));
        error_free(yaml_parse_with_duplicates(all, &a, &y));
        static const char *const before[] = {"key: ", "in:\n  key: ", "- - key: ", "- "};
        for (size_t i = 0; i < ARRAY_LEN(before) && size < 100000; i++) {
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                buf_puts(&b, before[i]);
                yaml_put_scalar(&b, all);
                buf_putc(&b, '\n');
                struct error *e = yaml_parse(buf_str(&b), &a, &y);
                if (error_is(e, ERROR_LIMIT)) {
                        error_free(e);
                        buf_done(&b);
                        break;
                }
                if (e)
                        bug("own text is refused: %s in <" STR_FMT ">", error_str(e), STR_ARG(buf_str(&b)));
                const struct yaml *at = y;
                while (at->type != YAML_SCALAR)
                        at = at->items[0];
                if (utf8_is_valid(all) && !str_eq(at->text, all))
                        bug("<" STR_FMT "> reads as <" STR_FMT ">", STR_ARG(buf_str(&b)), STR_ARG(at->text));
                buf_done(&b);
        }
        arena_done(&a);
        return 0;
}
