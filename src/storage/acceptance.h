/* SPDX-License-Identifier: Apache-2.0 */
/* acceptance.h — what every struct storage must do, as one set of checks: for the tests of memory, head and database.
 *
 *   struct storage_maker m = {.open = my_open, .close = my_close};
 *   storage_acceptance(&m);                         fails the running test on the first difference
 *
 * Times lie within an hour of 1 000 000 s. Only *_test.c files include this; the code is linked from
 * storage/acceptance.c. */
#ifndef STORAGE_ACCEPTANCE_H
#define STORAGE_ACCEPTANCE_H

#include "storage/storage.h"

struct storage_maker {
        struct storage *(*open)(void *ctx); /* an empty one */
        void (*close)(void *ctx, struct storage *s);
        void *ctx;
};
void storage_acceptance(const struct storage_maker *m);

#endif
