/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c.h — the Castagnoli checksum of the log, chunks, index and snappy frames.  Any thread. */
#ifndef CODEC_CRC32C_H
#define CODEC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);         /* crc: 0, or the value over what came before */

#endif
