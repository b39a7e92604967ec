/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_io_grpc.c — message frames in pieces as the first bytes say, in each encoding; timeouts and messages of headers.
 */
#include "io/grpc/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frames(Str in, enum grpc_encoding e, size_t step)
{
        struct grpc_reader r;
        grpc_reader_init(&r, 64 << 10);
        r.encoding = e;
        for (size_t at = 0; at < in.n; at += step) {
                struct grpc_status bad = {0};
                Str m;
                int got;
                grpc_reader_compact(&r);
                buf_put(&r.in, str_sub(in, at, MIN(at + step, in.n)));
                while ((got = grpc_reader_next(&r, &m, &bad)) == 1)
                        if (m.n > r.message_bytes_max)
                                bug("a message of %zu bytes", m.n);
                grpc_status_done(&bad);
                if (got < 0)
                        break;
        }
        grpc_reader_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = {(const char *)data, size};
        if (!size)
                return 0;
        read_frames(str_skip(in, 1), (enum grpc_encoding)(data[0] % GRPC_N_ENCODINGS), (size_t)(data[0] / 8) + 1);
        int64_t ms = 0;
        if (grpc_timeout_parse(in, &ms) && ms < 0)
                bug("a negative timeout");
        struct buf plain = BUF_INIT(BUF_NO_LIMIT), escaped = BUF_INIT(BUF_NO_LIMIT);
        grpc_message_unescape(&plain, in);
        buf_clear(&plain);
        grpc_message_escape(&escaped, in);
        grpc_message_unescape(&plain, buf_str(&escaped));
        if (!str_eq(buf_str(&plain), in))
                bug("a message changed on its way");
        buf_done(&plain);
        buf_done(&escaped);
        return 0;
}
