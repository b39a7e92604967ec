/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h — RFC 4648 base64 in the standard alphabet, padded.  Any thread. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/buf.h"

void buf_put_base64(struct buf *b, Str s);
/* Appends to out; false when s is not whole base64 (as Go's StdEncoding: line breaks are skipped), out is then as it
 * was. */
bool base64_decode(Str s, struct buf *out);

#endif
