/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as prometheus.yml: refused with a text, or taken and printed. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config *c = NULL;
        struct error *e = config_parse((Str){(const char *)data, size}, ".", NULL, &c);
        if (e) {
                if (!*error_str(e))
                        __builtin_trap();
                error_free(e);
                return 0;
        }
        struct buf b = BUF_INIT(16 << 20);
        config_print(&b, c);
        if (b.n == 0)
                __builtin_trap();
        buf_done(&b);
        config_unref(c);
        return 0;
}
