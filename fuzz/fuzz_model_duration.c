/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_model_duration.c — durations, sizes and times that are read, printed and read again are the same. */
#include <inttypes.h>
#include <stdint.h>

#include "model/duration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str s = {(const char *)data, size};
        int64_t ms, again;
        struct buf b = BUF_INIT(1 << 12);
        struct error *e = duration_parse(s, &ms);
        if (!e) {
                buf_put_duration(&b, ms);
                struct error *e2 = duration_parse(buf_str(&b), &again);
                if (e2 || again != ms)
                        bug("%" PRId64 " ms came back as %" PRId64, ms, again);
        }
        error_ignore(e, "an error is an answer");
        uint64_t bytes, bytes_again;
        buf_clear(&b);
        e = size_parse(s, &bytes);
        if (!e && bytes < UINT64_C(1) << 53) { /* the sum is a float's */
                buf_put_size(&b, bytes);
                struct error *e2 = size_parse(buf_str(&b), &bytes_again);
                if (e2 || bytes_again != bytes)
                        bug("%" PRIu64 " bytes came back as %" PRIu64, bytes, bytes_again);
        }
        error_ignore(e, "an error is an answer");
        buf_clear(&b);
        if (time_parse_rfc3339(s, &ms)) {
                buf_put_rfc3339(&b, ms);
                /* Years -1 and 10000 are reached by an offset, and cannot be written so that they are read. */
                if (ms >= -62167219200000 && ms < 253402300800000 &&
                    (!time_parse_rfc3339(buf_str(&b), &again) || again != ms))
                        bug("time %" PRId64 " came back as %" PRId64, ms, again);
        }
        (void)time_parse(s, &ms);
        if (size >= 8) {
                memcpy(&ms, data, 8);
                buf_put_go_duration(&b, ms);
                buf_put_duration(&b, ms);
        }
        buf_done(&b);
        return 0;
}
