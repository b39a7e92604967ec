/* SPDX-License-Identifier: Apache-2.0 */
/* meta.json of a bucket from any bytes: what is read, printed and read again prints the same. */
#include "thanos/block/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct thanos_meta *m, *again;
        struct deletion_mark mark;
        struct error *e = deletion_mark_parse((Str){(const char *)data, size}, &mark);
        if (!e)
                deletion_mark_done(&mark);
        error_free(e);
        e = thanos_meta_parse((Str){(const char *)data, size}, &m);
        if (e) {
                error_free(e);
                return 0;
        }
        struct buf x = BUF_INIT(64 << 20), y = BUF_INIT(64 << 20);
        thanos_meta_print(&x, m);
        e = thanos_meta_parse(buf_str(&x), &again);
        if (e)
                abort();
        thanos_meta_print(&y, again);
        if (!str_eq(buf_str(&x), buf_str(&y)))
                abort();
        buf_done(&x);
        buf_done(&y);
        thanos_meta_unref(m);
        thanos_meta_unref(again);
        return 0;
}
