/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_collect_host.c — the parsers of /proc on arbitrary text; what they write must be exposition that our own parser
 * takes. First byte: which. */
#include <stdint.h>

#include "collect/host/parse.h"
#include "model/expo/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_mount(void *ctx, const struct host_mount *m)
{
        buf_put(ctx, STR("m{d=\""));
        host_put_label_value(ctx, m->device);
        host_put_label_value(ctx, m->point);
        host_put_label_value(ctx, m->fs_type);
        buf_put(ctx, STR("\"} 1\n"));
}

static void parse(uint8_t which, Str s, struct buf *out)
{
        switch (which % 11) {
        case 0:
                host_stat(out, s);
                break;
        case 1:
                host_loadavg(out, s);
                break;
        case 2:
                host_meminfo(out, s);
                break;
        case 3:
                host_vmstat(out, s);
                break;
        case 4:
                host_filefd(out, s);
                break;
        case 5:
                host_pressure(out, s, s, s);
                break;
        case 6:
                host_diskstats(out, s);
                break;
        case 7:
                host_netdev(out, s);
                break;
        case 8:
                host_netstat(out, s, s, s);
                break;
        case 9:
                host_sockstat(out, s, s, 4096);
                break;
        default:
                host_mounts(s, on_mount, out);
        }
}

/* Names of devices and fields are the kernel's: garbage in them may make lines that are no exposition. Only ASCII words
 * must come out well. */
static bool is_tame(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ' ||
                            c == '\n' || c == ':' || c == '_' || c == '/' || c == '(' || c == ')';
                if (!word)
                        return false;
        }
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 1 || size > 1 << 14)
                return 0;
        Str s = {(const char *)data + 1, size - 1};
        struct buf out = BUF_INIT(64 << 20);
        parse(data[0], s, &out);
        struct expo_parser p;
        struct error *e = expo_parser_init(&p, EXPO_TEXT, buf_str(&out));
        for (struct expo_entry x; !e;) {
                e = expo_next(&p, &x);
                if (!e && x.type == EXPO_END)
                        break;
        }
        if (e && is_tame(s))
                bug("%s in\n" STR_FMT, error_str(e), STR_ARG(buf_str(&out)));
        error_free(e);
        expo_parser_done(&p);
        buf_done(&out);
        return 0;
}
