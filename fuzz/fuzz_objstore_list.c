/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_objstore_list.c — any bytes as an answer of an object store: refused, or a sorted list of names below the
 * prefix. First byte: how. */
#include "objstore/s3_list.h"
#include "objstore/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1)
                return 0;
        Str text = {(const char *)data + 1, size - 1}, prefix = data[0] & 2 ? STR("a/") : STR(""), unused;
        struct arena a;
        struct s3_list l = {0};
        arena_init(&a, 16 << 20);
        struct error *e = s3_list_parse(text, data[0] & 1, prefix, &a, &l);
        for (size_t i = 0; !e && i < l.n; i++) {
                bool good = l.v[i].name.n && str_has_prefix(l.v[i].name, prefix) &&
                            (i == 0 || str_cmp(l.v[i - 1].name, l.v[i].name) <= 0);
                if (!good)
                        bug("entry %zu", i);
        }
        if (!e && l.is_truncated && !l.next.n)
                bug("goes on nowhere");
        error_free(e);
        error_free(xml_child(text, &a, STR("Error"), STR("Code"), &unused));
        arena_done(&a);
        return 0;
}
