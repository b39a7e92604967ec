/* SPDX-License-Identifier: Apache-2.0 */
#include "io/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct error *bad_address(Str address, const char *why)
{
        return error_new(ERROR_INVALID, "address " STR_FMT ": %s", STR_ARG(address), why);
}

void net_ignore_sigpipe(void)
{
        struct sigaction now;
        if (!sigaction(SIGPIPE, NULL, &now) && now.sa_handler == SIG_DFL)
                signal(SIGPIPE, SIG_IGN);
}

/* Upstream: Go's net.SplitHostPort. */
struct error *net_split_host_port(Str address, Str *ret_host, Str *ret_port)
{
        ptrdiff_t colon = str_rfind(address, ':');
        if (colon < 0)
                return bad_address(address, "missing port in address");
        Str host = str_sub(address, 0, (size_t)colon), port = str_skip(address, (size_t)colon + 1);
        if (host.n && host.p[0] == '[') {
                ptrdiff_t end = str_find(address, ']');
                if (end < 0)
                        return bad_address(address, "missing ']' in address");
                if (end + 1 == (ptrdiff_t)address.n)
                        return bad_address(address, "missing port in address");
                if (end + 1 != colon)
                        return bad_address(address, address.p[end + 1] == ':' ? "too many colons in address"
                                                                              : "missing port in address");
                host = str_sub(address, 1, (size_t)end);
        } else if (str_find(host, ':') >= 0) {
                return bad_address(address, "too many colons in address");
        }
        *ret_host = host;
        *ret_port = port;
        return NULL;
}

void net_address_text(const struct sockaddr *sa, char ret[64])
{
        char host[INET6_ADDRSTRLEN];
        if (sa->sa_family == AF_INET) {
                const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
                inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
                snprintf(ret, 64, "%s:%d", host, ntohs(v4->sin_port));
        } else if (sa->sa_family == AF_INET6) {
                const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
                if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
                        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
                        snprintf(ret, 64, "%s:%d", host, ntohs(v6->sin6_port));
                } else {
                        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
                        snprintf(ret, 64, "[%s]:%d", host, ntohs(v6->sin6_port));
                }
        } else {
                snprintf(ret, 64, "?");
        }
}

static struct error *listen_at(const char *address, const struct sockaddr *sa, socklen_t n, int *ret_fd, int *ret_port)
{
        struct error *e = NULL;
        struct sockaddr_storage bound = {0};
        socklen_t n_bound = sizeof bound;
        int one = 1, zero = 0;
        int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_errno(errno, "listen tcp %s: socket", address);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (sa->sa_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
        if (bind(fd, sa, n))
                e = error_errno(errno, "listen tcp %s: bind", address);
        else if (listen(fd, SOMAXCONN))
                e = error_errno(errno, "listen tcp %s: listen", address);
        else if (getsockname(fd, (struct sockaddr *)&bound, &n_bound))
                e = error_errno(errno, "listen tcp %s: getsockname", address);
        if (e) {
                close(fd);
                return e;
        }
        *ret_fd = fd;
        *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                      : ((struct sockaddr_in *)&bound)->sin_port);
        return NULL;
}

struct error *net_listen(const char *address, int *ret_fd, int *ret_port)
{
        Str host, port_text;
        uint64_t port = 0;
        struct error *e = net_split_host_port(str_from(address), &host, &port_text);
        if (e)
                return error_wrap(e, "listen tcp");
        if (port_text.n && !str_to_u64(port_text, &port))
                return error_new(ERROR_INVALID, "listen tcp: lookup tcp/" STR_FMT ": unknown port", STR_ARG(port_text));
        if (port > 65535)
                return error_new(ERROR_INVALID, "listen tcp: address " STR_FMT ": invalid port", STR_ARG(port_text));
        struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        if (!host.n) {
                /* Both families on one socket; where IPv6 is switched off, the old one alone. */
                e = listen_at(address, (struct sockaddr *)&any6, sizeof any6, ret_fd, ret_port);
                if (!e || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
                        return e;
                error_free(e);
                return listen_at(address, (struct sockaddr *)&any4, sizeof any4, ret_fd, ret_port);
        }
        char *name = str_dup(host);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
        int rc = getaddrinfo(name, NULL, &hints, &found);
        free(name);
        if (rc)
                return error_new(ERROR_NOT_FOUND, "listen tcp: lookup " STR_FMT ": no such host", STR_ARG(host));
        const struct addrinfo *best = found; /* IPv4 first, as Go chooses for listening */
        for (const struct addrinfo *a = found; a; a = a->ai_next)
                if (a->ai_family == AF_INET) {
                        best = a;
                        break;
                }
        struct sockaddr_storage sa = {0};
        memcpy(&sa, best->ai_addr, best->ai_addrlen);
        socklen_t n = best->ai_addrlen;
        freeaddrinfo(found);
        if (sa.ss_family == AF_INET6)
                ((struct sockaddr_in6 *)&sa)->sin6_port = htons((uint16_t)port);
        else
                ((struct sockaddr_in *)&sa)->sin_port = htons((uint16_t)port);
        return listen_at(address, (struct sockaddr *)&sa, n, ret_fd, ret_port);
}
