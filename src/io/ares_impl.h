/* SPDX-License-Identifier: Apache-2.0 */
/* ares_impl.h — what resolver.c and dns.c share: the library's start, a channel as the system is configured, error texts. Any thread. */
#ifndef IO_ARES_IMPL_H
#define IO_ARES_IMPL_H

#include <ares.h>

#include "base/error.h"
#include "base/str.h"

/* options: fields beyond resolv.conf, with their bits in mask. */
struct error *ares_channel_new(struct ares_options *options, int mask, ares_channel *ret) MUST_CHECK;
/* "lookup x on 10.0.0.2:53: no such host": ERROR_NOT_FOUND; i/o timeout: ERROR_TIMEOUT; others as Go's "server misbehaving". */
struct error *ares_error(ares_channel ch, int status, Str name) MUST_CHECK;

#endif
