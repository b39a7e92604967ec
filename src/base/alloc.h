/* SPDX-License-Identifier: Apache-2.0 */
/* alloc.h — heap memory that aborts when it is out, and the try_ forms for sizes that input controls.
 *
 *   struct foo *f = mem_new(struct foo);   ...   free(f);
 *
 * Any thread. Memory is released by plain free(). */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdlib.h>

#include "base/compiler.h"

void *mem_alloc(size_t n);                              /* uninitialised; aborts when out of memory; n = 0 is fine */
void *mem_zalloc(size_t n);                             /* zeroed */
void *mem_realloc(void *take_p, size_t n);
void *mem_realloc_array(void *take_p, size_t n, size_t size); /* aborts on overflow of n * size */
void *mem_try_alloc(size_t n) MUST_CHECK;               /* NULL when out of memory */
char *mem_strdup(const char *s);
void *mem_memdup(const void *p, size_t n);

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

#endif
