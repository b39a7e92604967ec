/* SPDX-License-Identifier: Apache-2.0 */
/* quote.h — strings between double quotes as Go's strconv.Quote writes them: \" \\ \n \t …, \x for bytes that are no UTF-8, \u and \U for what does
 * not print. Label values in texts that users compare are written so.  Any thread. */
#ifndef CODEC_QUOTE_H
#define CODEC_QUOTE_H

#include "base/buf.h"

void buf_put_go_quoted(struct buf *b, Str s);
/* One code point at s.p: its length in bytes, or 0 when the bytes are no UTF-8 (or s is empty). */
size_t utf8_decode(Str s, uint32_t *ret_rune);
/* The bytes of a code point, which is at most 0x10ffff; what is no character (surrogates) becomes U+FFFD. Their number: 1 to 4. */
size_t utf8_encode(uint32_t rune, char to[4]);
bool utf8_is_valid(Str s);

#endif
