/* SPDX-License-Identifier: Apache-2.0 */
/* list.c — thanos.shipper.json: {"version": 1, "uploaded": ["01…", …]}, as Go's encoder with a tab writes it. */
#include <inttypes.h>

#include "base/file.h"
#include "codec/json.h"
#include "thanos/shipper/shipper_impl.h"

enum { LIST_MAX_BYTES = 16 << 20, ARENA_MAX_BYTES = 256 << 20 };

static struct error *list_parse(Str text, struct arena *a, UlidVec *ret)
{
        const struct json *root = NULL;
        struct error *e = json_parse(text, a, &root);
        if (e)
                return error_wrap(e, "parse as JSON");
        if (json_i64(json_get(root, STR("version"))) != 1)
                return error_new(ERROR_CORRUPT, "unexpected meta file version %" PRId64,
                                 json_i64(json_get(root, STR("version"))));
        JSON_EACH(x, json_get(root, STR("uploaded")))
        {
                Ulid id;
                Str s = json_str(&x->value);
                if (!ulid_parse(s, &id))
                        return error_new(ERROR_CORRUPT, "\"" STR_FMT "\" is not a ULID", STR_ARG(s));
                vec_push(ret, id);
        }
        return NULL;
}

struct error *shipper_list_read(const char *path, UlidVec *ret)
{
        char *text = NULL;
        size_t n;
        struct error *e = file_read(path, LIST_MAX_BYTES, &text, &n);
        if (!e) {
                struct arena a;
                arena_init(&a, ARENA_MAX_BYTES);
                e = list_parse((Str){text, n}, &a, ret);
                arena_done(&a);
                if (e) {
                        vec_clear(ret);
                        e = error_wrap(e, "read %s", path);
                }
        }
        free(text);
        return e;
}

void shipper_list_print(struct buf *b, const UlidVec *v)
{
        buf_puts(b, "{\n\t\"version\": 1,\n\t\"uploaded\": ");
        buf_puts(b, v->n ? "[" : "null");
        for (size_t i = 0; i < v->n; i++) {
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(v->p[i], id);
                buf_printf(b, "%s\n\t\t\"%s\"", i ? "," : "", id);
        }
        buf_puts(b, v->n ? "\n\t]\n}\n" : "\n}\n");
}

struct error *shipper_list_write(const char *path, const UlidVec *v)
{
        struct buf b = BUF_INIT(LIST_MAX_BYTES);
        shipper_list_print(&b, v);
        struct error *e =
                buf_is_over(&b) ? error_new(ERROR_LIMIT, "%s: too many blocks", path) : file_replace(path, buf_str(&b));
        buf_done(&b);
        return e;
}
