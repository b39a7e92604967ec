/* SPDX-License-Identifier: Apache-2.0 */
/* list.h — intrusive doubly linked list.
 *
 *   struct conn { struct list link; ... };
 *   struct list conns = LIST_INIT(conns);
 *   list_push_back(&conns, &c->link);
 *   LIST_EACH(l, &conns) { struct conn *c = CONTAINER_OF(l, struct conn, link); ... }
 *
 * LIST_EACH allows removing the current element. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/compiler.h"

struct list {
        struct list *prev, *next;
};
#define LIST_INIT(name) {&(name), &(name)}
#define LIST_EACH(it, head) for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

static inline void list_init(struct list *l)
{
        l->prev = l->next = l;
}

static inline bool list_is_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_push_back(struct list *head, struct list *l)
{
        l->prev = head->prev;
        l->next = head;
        head->prev->next = l;
        head->prev = l;
}

static inline void list_push_front(struct list *head, struct list *l)
{
        list_push_back(head->next, l);
}

/* Takes l out; it becomes a list of its own, so removing twice is harmless. */
static inline void list_remove(struct list *l)
{
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}

#endif
