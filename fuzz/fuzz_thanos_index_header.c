/* SPDX-License-Identifier: Apache-2.0 */
/* An index-header from any bytes: what loads can be asked everything. */
#include "thanos/block/index_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct index_header *h;
        struct error *e = index_header_of_bytes((Str){(const char *)data, size}, &h);
        if (e) {
                error_free(e);
                return 0;
        }
        const struct index_reader *ix = index_header_index(h);
        for (size_t i = 0; i < index_name_count(ix); i++) {
                struct index_values it = index_values_from(ix, i, (Str){0});
                Str v;
                while (index_values_next(&it, &v)) {
                        uint64_t bytes;
                        (void)index_header_list_range(h, it.list, &it, &bytes);
                }
                it = index_values_from(ix, i, STR("m"));
                (void)index_values_next(&it, &v);
        }
        for (uint32_t i = 0; i < index_symbol_count(ix) + 2; i++) {
                Str s;
                error_free(index_symbol(ix, i, &s));
        }
        struct arena a;
        arena_init(&a, 1 << 20);
        Labels l;
        struct index_chunk *c;
        size_t n;
        error_free(index_series_of_bytes(ix, (Str){(const char *)data, size}, &a, NULL, &l, &c, &n));
        arena_done(&a);
        index_header_close(h);
        return 0;
}
