/* SPDX-License-Identifier: Apache-2.0 */
/* json.h — reading JSON into a tree in an arena, and writing it as Go's encoding/json does.
 *
 *   const struct json *root;  e = json_parse(text, &arena, &root);
 *   Str name = json_str(json_get(root, STR("name")));       every getter takes NULL and other types: empty, 0, false
 *   JSON_EACH(m, json_get(root, STR("items"))) use(m->key, m->value);
 *
 *   json_put_str(&b, s);                                    "…" with Go's escapes: < > & as \u003c …, bad UTF-8 as \ufffd
 *
 * Depth is limited (JSON_DEPTH_MAX). Texts are borrowed from the input where they hold no escapes. Threads: pure; a tree is constant. */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { JSON_DEPTH_MAX = 512 };
enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
struct json_member;
struct json {
        enum json_type type;
        bool boolean;
        Str text;                       /* JSON_STRING: its value; JSON_NUMBER: as written */
        const struct json_member *members;      /* JSON_OBJECT, JSON_ARRAY (keys empty), in order */
        size_t n;
        Str raw;                        /* the bytes of this value in the input */
};
struct json_member {
        Str key;
        struct json value;
};
#define JSON_EACH(m, j) \
        for (const struct json *m##_of = (j), *m##_once = m##_of; m##_once; m##_once = NULL) \
                for (const struct json_member *m = m##_of->members; m && m < m##_of->members + m##_of->n; m++)

/* ERROR_INVALID with encoding/json's text ("invalid character '}' looking for beginning of value"); ERROR_LIMIT past the arena's budget. Nothing but
 * white space may follow the value. Bytes that are no UTF-8, and lone surrogates, are read as U+FFFD. */
struct error *json_parse(Str text, struct arena *a, const struct json **ret) MUST_CHECK;
const struct json *json_get(const struct json *object, Str key);        /* the last of that name; NULL: none, or no object */
const struct json *json_at(const struct json *array, size_t i);
Str json_str(const struct json *j);
double json_f64(const struct json *j);
int64_t json_i64(const struct json *j);
bool json_bool(const struct json *j);

/* "…" in the three ways of the originals. encoding/json: files and most APIs. */
void json_put_str(struct buf *b, Str s);
/* json-iterator, which Prometheus' HTTP API uses: as above, but \u0008 and \u000c. */
void json_put_api_str(struct buf *b, Str s);
/* Its WriteString: label names and values in results. < > & and bytes that are no UTF-8 stay as they are. */
void json_put_label_str(struct buf *b, Str s);
void json_put_key(struct buf *b, const char *key);                      /* "key": without a comma in front */

#endif
