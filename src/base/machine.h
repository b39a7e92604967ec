/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h — how much of the machine this process may have.  Any thread. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stddef.h>

/* Memory in bytes: what is built in, or what the control group (v2) allows, if that is less. */
size_t machine_memory_bytes(void);

#endif
