/* SPDX-License-Identifier: Apache-2.0 */
/* crc32c_impl.h — the table form of crc32c(), for its test.  Any thread. */
#ifndef CODEC_CRC32C_IMPL_H
#define CODEC_CRC32C_IMPL_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
