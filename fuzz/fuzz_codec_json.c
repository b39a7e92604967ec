/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_json.c — what was read and written again reads as the same. */
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_tree(struct buf *b, const struct json *j)
{
        switch (j->type) {
        case JSON_NULL:
                buf_puts(b, "null");
                break;
        case JSON_BOOL:
                buf_puts(b, j->boolean ? "true" : "false");
                break;
        case JSON_NUMBER:
                buf_put(b, j->text);
                break;
        case JSON_STRING:
                json_put_str(b, j->text);
                break;
        case JSON_ARRAY:
        case JSON_OBJECT:
                buf_putc(b, j->type == JSON_ARRAY ? '[' : '{');
                for (size_t i = 0; i < j->n; i++) {
                        if (i)
                                buf_putc(b, ',');
                        if (j->type == JSON_OBJECT) {
                                json_put_str(b, j->members[i].key);
                                buf_putc(b, ':');
                        }
                        put_tree(b, &j->members[i].value);
                }
                buf_putc(b, j->type == JSON_ARRAY ? ']' : '}');
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        const struct json *j;
        struct error *e = json_parse((Str){(const char *)data, size}, &a, &j);
        if (!e) {
                struct buf once = BUF_INIT(BUF_NO_LIMIT), twice = BUF_INIT(BUF_NO_LIMIT);
                put_tree(&once, j);
                json_f64(j);
                json_i64(j);
                const struct json *again;
                e = json_parse(buf_str(&once), &a, &again);
                if (e)
                        bug("own text is refused: %s", error_str(e));
                put_tree(&twice, again);
                if (!str_eq(buf_str(&once), buf_str(&twice)))
                        bug("own text changed: " STR_FMT " to " STR_FMT, STR_ARG(buf_str(&once)),
                            STR_ARG(buf_str(&twice)));
                buf_done(&once);
                buf_done(&twice);
        }
        error_free(e);
        arena_done(&a);
        return 0;
}
