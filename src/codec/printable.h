/* SPDX-License-Identifier: Apache-2.0 */
/* printable.h — which code points Go's strconv and unicode.IsPrint count as printable.  Any thread. */
#ifndef CODEC_PRINTABLE_H
#define CODEC_PRINTABLE_H

#include <stdbool.h>
#include <stdint.h>

bool rune_is_printable(uint32_t rune);

#endif
