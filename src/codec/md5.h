/* SPDX-License-Identifier: Apache-2.0 */
/* md5.h — MD5, for the hash of relabelling's hashmod and nothing that needs a secure one.  Any thread.  Format: RFC
 * 1321. */
#ifndef CODEC_MD5_H
#define CODEC_MD5_H

#include "base/str.h"

void md5(Str s, uint8_t ret[16]);

#endif
