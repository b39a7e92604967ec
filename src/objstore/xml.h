/* SPDX-License-Identifier: Apache-2.0 */
/* xml.h — the little XML that S3 speaks, token by token: elements, text, entities. Attributes and comments are passed over; a DOCTYPE is refused.
 *
 *   struct xml x;  xml_init(&x, text, &arena);
 *   while (!(e = xml_next(&x, &t)) && t.type != XML_END) …
 *
 * Depth and size are bounded, tags must match. Texts live in the arena or in the input. Pure; any thread. */
#ifndef OBJSTORE_XML_H
#define OBJSTORE_XML_H

#include "base/arena.h"
#include "base/error.h"

enum xml_type { XML_END, XML_OPEN, XML_CLOSE };
enum { XML_DEPTH_MAX = 16 };
struct xml {
        Str rest, whole;
        struct arena *arena;
        Str stack[XML_DEPTH_MAX];       /* names without prefix, of what is open */
        int depth;
        bool is_self_closed, is_root_done;
};
struct xml_token {
        enum xml_type type;
        Str name;                       /* without namespace prefix */
        Str text;                       /* XML_CLOSE of an element without children: its text; else empty */
        int depth;                      /* of the element: 1 is the root */
};
void xml_init(struct xml *x, Str text, struct arena *a);
struct error *xml_next(struct xml *x, struct xml_token *ret) MUST_CHECK;        /* ERROR_CORRUPT, ERROR_LIMIT */
/* The text of root's first child of that name; empty when there is none. ERROR_CORRUPT also when the root has another name. */
struct error *xml_child(Str text, struct arena *a, Str root, Str child, Str *ret) MUST_CHECK;

#endif
