/* SPDX-License-Identifier: Apache-2.0 */
/* net.h — addresses of TCP as Go writes them, and listening.
 *
 *   e = net_listen("127.0.0.1:9090", &fd, &port);           listen tcp 127.0.0.1:9090: bind: address already in use
 *
 * Any thread; names are resolved, which may block. */
#ifndef IO_NET_H
#define IO_NET_H

#include <sys/socket.h>

#include "base/error.h"
#include "base/str.h"

/* "host:port", "[v6]:port", ":port". The error is Go's: address x: missing port in address. */
struct error *net_split_host_port(Str address, Str *ret_host, Str *ret_port) MUST_CHECK;
struct error *net_listen(const char *address, int *ret_fd, int *ret_port) MUST_CHECK;
/* OpenSSL writes by write(2), which has no MSG_NOSIGNAL. A handler that the program chose stays. */
void net_ignore_sigpipe(void);
void net_address_text(const struct sockaddr *sa, char ret[64]); /* "127.0.0.1:80", "[::1]:80" */

#endif
