/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.c — our gRPC server or client as a process, for tests against other implementations.
 *
 *   grpc_peer serve [tls=CERT,KEY[,CLIENT_CA]]                prints "port N", serves until its input ends
 *   grpc_peer call TARGET PATH REQUEST [timeout=MS] [compression=snappy|gzip] [tls=CA[,CERT,KEY]] [metadata=NAME:VALUE]
 *                                                             prints "message LENGTH CRC32C" for each, then "status
 * CODE TEXT"
 *
 * /peer.Test/Echo gives each message of the request back; /peer.Test/Count (request: decimal "N" or "N BYTES") N
 * messages; /peer.Test/Fail ABORTED with text; /peer.Test/Hang waits for the end; /peer.Test/Metadata the value of
 * "x-test". */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "codec/crc32c.h"
#include "io/grpc/client.h"
#include "io/grpc/server.h"

static void echo(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m = {NULL, 0};
        struct error *e;
        for (;;) {
                e = grpc_recv(st, &m);
                if (!e && m.p)
                        e = grpc_send(st, m);
                if (e || !m.p)
                        break;
        }
        grpc_fail_error(st, e);
}

static void count(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m, times, size;
        uint64_t n = 0, bytes = 100;
        struct error *e = grpc_recv_only(st, &m);
        if (!e && str_cut(m, ' ', &times, &size)) {
                str_to_u64(size, &bytes);
                m = times;
        }
        if (!e && (!str_to_u64(m, &n) || bytes > 64 << 20))
                e = error_new(ERROR_INVALID, "no number: %.*s", STR_ARG(m));
        char *p = e ? NULL : mem_zalloc(bytes + 1);
        for (uint64_t i = 0; !e && i < n; i++) {
                for (uint64_t k = 0; k < bytes && k < 8; k++)
                        p[k] = (char)(i >> (8 * k));
                e = grpc_send(st, (Str){p, bytes});
        }
        free(p);
        grpc_fail_error(st, e);
}

static void abort_call(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        grpc_fail_error(st, grpc_recv_only(st, &m));
        grpc_fail(st, GRPC_ABORTED, "no: é 100%%");
}

static void hang(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        while (!e && !grpc_is_gone(st))
                usleep(5000);
        printf("gone\n");
        fflush(stdout);
        if (e)
                grpc_fail_error(st, e);
        else /* the client's clock and ours may say so in either order */
                grpc_fail(st, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

static void metadata(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        grpc_fail_error(st, e ? e : grpc_send(st, grpc_metadata(st, STR("x-test"))));
}

static void die_on(struct error *e)
{
        if (!e)
                return;
        fprintf(stderr, "%s\n", error_str(e));
        exit(1);
}

/* The value of "name=…" among the arguments; NULL: not there. Owned, never freed: the process is short. */
static char *option(int argc, char **argv, const char *name)
{
        size_t n = strlen(name);
        for (int i = 2; i < argc; i++)
                if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
                        return mem_strdup(argv[i] + n + 1);
        return NULL;
}

static int split(char *s, char *ret[3])
{
        int n = 0;
        char *rest = s;
        for (char *p; n < 3 && (p = strsep(&rest, ","));)
                ret[n++] = p;
        return n;
}

static int serve(int argc, char **argv)
{
        char *tls = option(argc, argv, "tls"), *part[3] = {NULL};
        int n = tls ? split(tls, part) : 0;
        struct http_tls_opts t = {
                .cert_file = part[0], .key_file = part[1], .client_ca_file = part[2], .client_required = n == 3};
        struct grpc_server *s = NULL;
        die_on(grpc_server_new(&(struct grpc_server_opts){.loops = 1, .tls = tls ? &t : NULL}, &s));
        grpc_server_handle(s, "/peer.Test/Echo", echo, NULL);
        grpc_server_handle(s, "/peer.Test/Count", count, NULL);
        grpc_server_handle(s, "/peer.Test/Fail", abort_call, NULL);
        grpc_server_handle(s, "/peer.Test/Hang", hang, NULL);
        grpc_server_handle(s, "/peer.Test/Metadata", metadata, NULL);
        grpc_server_set_serving(s, true);
        die_on(grpc_server_listen(s, "127.0.0.1:0"));
        die_on(grpc_server_start(s));
        printf("port %d\n", grpc_server_port(s));
        fflush(stdout);
        char c;
        while (read(0, &c, 1) > 0) {}
        grpc_server_stop(s, 2000);
        grpc_server_free(s);
        free(tls);
        return 0;
}

static int call(int argc, char **argv)
{
        char *tls = option(argc, argv, "tls"), *part[3] = {NULL};
        char *timeout = option(argc, argv, "timeout"), *compression = option(argc, argv, "compression");
        char *md = option(argc, argv, "metadata");
        if (tls)
                split(tls, part);
        struct tls_client_opts t = {.ca_file = part[0], .cert_file = part[1], .key_file = part[2]};
        struct grpc_channel_opts o = {.tls = tls ? &t : NULL};
        if (compression && !grpc_encoding_parse(str_from(compression), &o.compression))
                return 2;
        struct grpc_pair pair = {0};
        if (md)
                str_cut(str_from(md), ':', &pair.name, &pair.value);
        struct grpc_client *cl = NULL;
        struct grpc_channel *ch = NULL;
        die_on(grpc_client_new("peer", &cl));
        die_on(grpc_channel_new(cl, argv[2], &o, &ch));
        struct grpc_call_opts co = {
                .timeout_ms = timeout ? atoi(timeout) : 0, .metadata = &pair, .n_metadata = md ? 1 : 0};
        struct grpc_call *c = grpc_call_start(ch, argv[3], &co, str_from(argv[4]));
        Str m;
        while (grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE)
                printf("message %zu %08x\n", m.n, crc32c(0, m.p, m.n));
        const struct grpc_status *st = grpc_call_get_status(c);
        printf("status %d %s\n", st->code, st->message ? st->message : "");
        grpc_call_free(c);
        grpc_channel_free(ch);
        grpc_client_free(cl);
        free(tls);
        free(timeout);
        free(compression);
        free(md);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc >= 2 && strcmp(argv[1], "serve") == 0)
                return serve(argc, argv);
        if (argc >= 5 && strcmp(argv[1], "call") == 0)
                return call(argc, argv);
        fprintf(stderr, "usage: see the head of grpc_peer.c\n");
        return 2;
}
