/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_thanos_storeapi.c — any bytes as each message: an error, or a struct that is written and read back the same. */
#include "thanos/storeapi/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct pb_message *const all[] = {
                &pb_info_response,        &pb_series_request,       &pb_series_response,       &pb_label_names_request,
                &pb_label_names_response, &pb_label_values_request, &pb_label_values_response, &pb_rules_request,
                &pb_rules_response,       &pb_targets_request,      &pb_targets_response,      &pb_metadata_request,
                &pb_metadata_response,    &pb_exemplars_request,    &pb_exemplars_response,    &pb_query_request,
                &pb_query_range_request,  &pb_query_response,       &pb_request_hints,         &pb_response_hints,
        };
        struct arena a;
        arena_init(&a, 1 << 20);
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
                _Alignas(16) char v[1024], w[1024];
                if (all[i]->size > sizeof v)
                        bug("%s has %zu bytes", all[i]->name, all[i]->size);
                struct error *e = pb_decode(all[i], (Str){(const char *)data, size}, &a, v);
                if (!e) {
                        struct buf first = BUF_INIT(BUF_NO_LIMIT), second = BUF_INIT(BUF_NO_LIMIT);
                        struct arena b;
                        arena_init(&b, 64 << 20);
                        pb_encode(all[i], v, &first);
                        e = pb_decode(all[i], buf_str(&first), &b, w);
                        if (e)
                                bug("own %s is refused: %s", all[i]->name, error_str(e));
                        pb_encode(all[i], w, &second);
                        if (!str_eq(buf_str(&first), buf_str(&second)))
                                bug("%s changed", all[i]->name);
                        buf_done(&first);
                        buf_done(&second);
                        arena_done(&b);
                }
                error_free(e);
                arena_clear(&a);
        }
        arena_done(&a);
        return 0;
}
