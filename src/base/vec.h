/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h — a growing array of any type.
 *
 *   VEC(Str) names = VEC_INIT;
 *   vec_push(&names, STR("a"));
 *   for (size_t i = 0; i < names.n; i++) use(names.p[i]);
 *   vec_done(&names);
 *
 * To pass one between functions, name the type: typedef VEC(Str) StrVec; Elements are moved by memcpy. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stdint.h>

#include "base/alloc.h"

#define VEC(T)             \
        struct {           \
                T *p;      \
                size_t n;  \
                size_t cap; \
        }
#define VEC_INIT {NULL, 0, 0}

#define vec_reserve(v, more)                                                                                         \
        ((v)->cap - (v)->n >= (more)                                                                                 \
                 ? (void)0                                                                                           \
                 : (void)((v)->p = vec_grow((v)->p, (v)->n, &(v)->cap, (more), sizeof *(v)->p)))
#define vec_push(v, ...) (vec_reserve((v), 1), (v)->p[(v)->n++] = (__VA_ARGS__), (void)0)
#define vec_pop(v) ((v)->p[--(v)->n])
#define vec_clear(v) ((void)((v)->n = 0))
#define vec_done(v) (free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0, (void)0)

static inline void *vec_grow(void *take_p, size_t n, size_t *cap, size_t more, size_t size)
{
        size_t want = *cap < 4 ? 8 : *cap + *cap / 2 + 1;
        if (want - n < more || want < n)
                want = n + more;
        *cap = want;
        return mem_realloc_array(take_p, want, size);
}

#endif
