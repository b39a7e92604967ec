/* SPDX-License-Identifier: Apache-2.0 */
/* conn_h2.c — HTTP/2 on a connection of the server: not there yet, its preface is refused. */
#include "io/http/server_impl.h"

const Str h2_preface = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

struct error *h2_start(struct conn *c)
{
        (void)c;
        return error_new(ERROR_UNSUPPORTED, "HTTP/2 is not supported");
}
size_t h2_input(struct conn *c, Str in)
{
        (void)c;
        return in.n;
}
void h2_pump(struct exchange *x)
{
        (void)x;
}
void h2_flush(struct conn *c)
{
        (void)c;
}
void h2_close(struct conn *c, bool timed_out)
{
        (void)c;
        (void)timed_out;
}
void h2_cancel_all(struct conn *c)
{
        (void)c;
}
void h2_goaway(struct conn *c)
{
        (void)c;
}
bool h2_is_idle(const struct conn *c)
{
        (void)c;
        return true;
}
