/* SPDX-License-Identifier: Apache-2.0 */
/* From libyaml's events to a tree. What go-yaml does in its decoder, which knows the target's type, happens here
 * without it: merges, aliases, duplicates. Positions in messages follow go-yaml, which prints libyaml's zero-based
 * lines as they are, one more for the scanner's. */
#include "codec/yaml.h"

#include <yaml.h>

#include "base/map.h"
#include "base/vec.h"
#include "codec/quote.h"

enum { MAX_DEPTH = 500, HASH_FROM_KEYS = 24 };

struct node {
        struct yaml y;
        uint64_t weight; /* nodes below and including it, aliases expanded; saturates far beyond what is allowed */
        bool open;       /* still being read: an alias to it would be a cycle */
};

struct pair {
        struct yaml *key, *item;
        bool merged;
};

struct reader {
        yaml_parser_t parser;
        yaml_event_t event; /* the one at hand, of type YAML_NO_EVENT if none */
        struct arena *a;
        struct map anchors;       /* name -> struct node */
        VEC(struct yaml *) items; /* of the sequences that are open */
        VEC(struct pair) pairs;   /* of the mappings that are open */
        VEC(char *) complaints;   /* unmarshal errors */
        uint64_t fresh;           /* nodes written out */
        int depth;
        bool keep_duplicates;
        struct error *error;
};

static bool fail_parser(struct reader *r)
{
        const yaml_parser_t *p = &r->parser;
        size_t line =
                p->problem_mark.line ? p->problem_mark.line + (p->error == YAML_SCANNER_ERROR) : p->context_mark.line;
        const char *problem = p->error == YAML_MEMORY_ERROR ? "out of memory"
                              : p->problem                  ? p->problem
                                                            : "unknown problem parsing YAML content";
        if (line)
                r->error = error_new(ERROR_INVALID, "yaml: line %zu: %s", line, problem);
        else
                r->error = error_new(ERROR_INVALID, "yaml: %s", problem);
        return false;
}

static bool next_event(struct reader *r)
{
        yaml_event_delete(&r->event);
        return yaml_parser_parse(&r->parser, &r->event) || fail_parser(r);
}

static void *take(struct reader *r, size_t n)
{
        void *p = arena_try_alloc(r->a, n);
        if (p)
                memset(p, 0, n);
        else if (!r->error)
                r->error = error_new(ERROR_LIMIT, "yaml: document needs more memory than it is granted");
        return p;
}

static bool copy_str(struct reader *r, const void *p, size_t n, Str *ret)
{
        char *to = take(r, n + 1);
        if (!to)
                return false;
        memcpy(to, p, n);
        *ret = (Str){to, n};
        return true;
}

static bool set_anchor(struct reader *r, const yaml_char_t *anchor, struct node *n)
{
        Str name;
        if (!anchor)
                return true;
        if (!copy_str(r, anchor, strlen((const char *)anchor), &name))
                return false;
        map_set(&r->anchors, name, n);
        return true;
}

static struct node *node_new(struct reader *r, enum yaml_type type, const yaml_char_t *anchor, const yaml_char_t *tag)
{
        struct node *n = take(r, sizeof *n);
        if (!n || !set_anchor(r, anchor, n))
                return NULL;
        n->y.type = type;
        n->y.line = (int)r->event.start_mark.line + 1;
        n->y.column = (int)r->event.start_mark.column + 1;
        n->weight = 1;
        r->fresh++;
        return tag && !copy_str(r, tag, strlen((const char *)tag), &n->y.tag) ? NULL : n;
}

static void add_weight(struct node *to, const struct yaml *y)
{
        uint64_t w = CONTAINER_OF((struct yaml *)y, struct node, y)->weight;
        to->weight = to->weight + w < UINT64_C(1) << 60 ? to->weight + w : UINT64_C(1) << 60;
}

static struct yaml *read_node(struct reader *r);

static struct yaml *read_alias(struct reader *r)
{
        Str name = str_from((const char *)r->event.data.alias.anchor);
        struct node *n = map_get(&r->anchors, name);
        r->fresh++;
        if (!n)
                r->error = error_new(ERROR_INVALID, "yaml: unknown anchor '" STR_FMT "' referenced", STR_ARG(name));
        else if (n->open)
                r->error = error_new(ERROR_INVALID, "yaml: anchor '" STR_FMT "' value contains itself", STR_ARG(name));
        return r->error ? NULL : &n->y;
}

static struct yaml *read_scalar(struct reader *r)
{
        const __typeof__(r->event.data.scalar) *s = &r->event.data.scalar;
        struct node *n = node_new(r, YAML_SCALAR, s->anchor, s->tag);
        if (!n || !copy_str(r, s->value, s->length, &n->y.text))
                return NULL;
        Str tag = str_trim_prefix(n->y.tag, STR("tag:yaml.org,2002:"));
        n->y.plain = n->y.tag.n == 0 ? s->style == YAML_PLAIN_SCALAR_STYLE && s->plain_implicit
                                     : str_eq(tag, STR("null")) || str_eq(tag, STR("bool")) ||
                                               str_eq(tag, STR("int")) || str_eq(tag, STR("float"));
        return &n->y;
}

static struct yaml *read_seq(struct reader *r)
{
        struct node *n = node_new(r, YAML_SEQ, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag);
        if (!n)
                return NULL;
        size_t base = r->items.n;
        for (n->open = true;;) {
                if (!next_event(r))
                        return NULL;
                if (r->event.type == YAML_SEQUENCE_END_EVENT)
                        break;
                struct yaml *item = read_node(r);
                if (!item)
                        return NULL;
                vec_push(&r->items, item);
                add_weight(n, item);
        }
        n->open = false;
        n->y.n = r->items.n - base;
        n->y.items = take(r, arena_array_bytes(n->y.n + 1, sizeof *n->y.items));
        if (!n->y.items)
                return NULL;
        if (n->y.n > 0)
                memcpy(n->y.items, r->items.p + base, n->y.n * sizeof *n->y.items);
        r->items.n = base;
        return &n->y;
}

/* The pairs of one mapping that is being read: the end of the reader's stack, hashed by key when they are many. */
struct members {
        size_t base;
        struct map by_key; /* index from base, plus one, as a pointer */
};

static struct pair *find_pair(struct reader *r, struct members *m, Str key)
{
        size_t n = r->pairs.n - m->base;
        if (n == 0)
                return NULL;
        struct pair *p = r->pairs.p + m->base;
        if (n < HASH_FROM_KEYS) {
                for (size_t i = 0; i < n; i++)
                        if (str_eq(p[i].key->text, key))
                                return &p[i];
                return NULL;
        }
        for (size_t i = m->by_key.n ? n - 1 : 0; i < n; i++) /* the newest, or all of them at the first time */
                if (!map_get(&m->by_key, p[i].key->text))
                        map_set(&m->by_key, p[i].key->text, (void *)(uintptr_t)(i + 1));
        uintptr_t at = (uintptr_t)map_get(&m->by_key, key);
        return at ? &p[at - 1] : NULL;
}

static void complain(struct reader *r, int line, const char *what, Str about)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_printf(&b, "line %d: ", line);
        if (about.p) {
                buf_puts(&b, "key ");
                buf_put_go_quoted(&b, about);
        }
        buf_puts(&b, what);
        if (r->complaints.n < 100)
                vec_push(&r->complaints, buf_take(&b));
        buf_done(&b);
}

static bool merge_one(struct reader *r, struct members *m, const struct yaml *from)
{
        if (from->type != YAML_MAP) {
                r->error = error_new(ERROR_INVALID, "yaml: map merge requires map or sequence of maps as the value");
                return false;
        }
        for (size_t i = 0; i < from->n; i++) {
                struct pair *old = find_pair(r, m, from->keys[i]->text);
                if (old)
                        old->item = from->items[i];
                else
                        vec_push(&r->pairs, (struct pair){from->keys[i], from->items[i], /* merged= */ true});
                if (r->pairs.n > 1 << 22) {
                        r->error = error_new(ERROR_LIMIT, "yaml: document contains excessive aliasing");
                        return false;
                }
        }
        return true;
}

/* In a list, earlier maps take precedence. */
static bool merge(struct reader *r, struct members *m, const struct yaml *from)
{
        if (from->type != YAML_SEQ)
                return merge_one(r, m, from);
        for (size_t i = from->n; i-- > 0;)
                if (!merge_one(r, m, from->items[i]))
                        return false;
        return true;
}

static bool is_merge(const struct yaml *key)
{
        return key->type == YAML_SCALAR && str_eq(key->text, STR("<<")) &&
               (key->plain || str_eq(key->tag, STR("tag:yaml.org,2002:merge")));
}

static bool read_pair(struct reader *r, struct members *m, struct node *n)
{
        struct yaml *key = read_node(r), *item = key && next_event(r) ? read_node(r) : NULL;
        if (!item)
                return false;
        add_weight(n, key);
        add_weight(n, item);
        if (is_merge(key))
                return merge(r, m, item);
        if (key->type != YAML_SCALAR) {
                complain(r, key->line,
                         key->type == YAML_MAP ? "cannot unmarshal !!map into string"
                                               : "cannot unmarshal !!seq into string",
                         (Str){NULL, 0});
                return true;
        }
        struct pair *old = find_pair(r, m, key->text);
        if (!old || (!old->merged && r->keep_duplicates))
                vec_push(&r->pairs, (struct pair){key, item, /* merged= */ false});
        else if (old->merged)
                *old = (struct pair){key, item, /* merged= */ false};
        else
                complain(r, item->line, " already set in map", key->text);
        return true;
}

static struct yaml *read_map(struct reader *r)
{
        struct node *n = node_new(r, YAML_MAP, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag);
        if (!n)
                return NULL;
        struct members m = {.base = r->pairs.n, .by_key = MAP_INIT};
        bool ok = true;
        n->open = true;
        while ((ok = next_event(r)) && r->event.type != YAML_MAPPING_END_EVENT && (ok = read_pair(r, &m, n)))
                ;
        map_done(&m.by_key);
        if (!ok)
                return NULL;
        n->open = false;
        n->y.n = r->pairs.n - m.base;
        n->y.keys = take(r, arena_array_bytes(2 * n->y.n + 1, sizeof *n->y.keys));
        if (!n->y.keys)
                return NULL;
        n->y.items = n->y.keys + n->y.n;
        for (size_t i = 0; i < n->y.n; i++) {
                n->y.keys[i] = r->pairs.p[m.base + i].key;
                n->y.items[i] = r->pairs.p[m.base + i].item;
        }
        r->pairs.n = m.base;
        return &n->y;
}

/* The event at hand begins the node. */
static struct yaml *read_node(struct reader *r)
{
        if (r->event.type == YAML_ALIAS_EVENT)
                return read_alias(r);
        if (r->event.type == YAML_SCALAR_EVENT)
                return read_scalar(r);
        if (++r->depth > MAX_DEPTH) {
                r->error = error_new(ERROR_INVALID, "yaml: exceeded max depth of %d", MAX_DEPTH);
                return NULL;
        }
        struct yaml *y = r->event.type == YAML_SEQUENCE_START_EVENT ? read_seq(r) : read_map(r);
        r->depth--;
        return y;
}

/* go-yaml's bound: the larger a document, the less of it may come from aliases. */
static bool is_bomb(const struct reader *r, const struct yaml *root)
{
        double all = (double)CONTAINER_OF((struct yaml *)root, struct node, y)->weight,
               aliased = all - (double)r->fresh;
        double share = all <= 400000 ? 0.99 : all >= 4000000 ? 0.10 : 0.99 - 0.89 * ((all - 400000) / 3600000);
        return aliased > 100 && all > 1000 && aliased / all > share;
}

static struct yaml *read_document(struct reader *r)
{
        if (!next_event(r) || !next_event(r) || r->event.type == YAML_STREAM_END_EVENT)
                return NULL;
        struct yaml *root = next_event(r) ? read_node(r) : NULL;
        if (!root || !next_event(r)) /* what ends the document may be wrong too */
                return NULL;
        if (is_bomb(r, root)) {
                r->error = error_new(ERROR_LIMIT, "yaml: document contains excessive aliasing");
                return NULL;
        }
        return root;
}

static struct error *parse(Str text, struct arena *a, bool keep_duplicates, struct yaml **ret)
{
        struct reader r = {.a = a, .keep_duplicates = keep_duplicates};
        if (!yaml_parser_initialize(&r.parser))
                return error_new(ERROR_LIMIT, "yaml: out of memory");
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : "\n"), text.n ? text.n : 1);
        struct yaml *root = read_document(&r);
        if (!r.error && r.complaints.n > 0) {
                struct buf b = BUF_INIT(1 << 20);
                buf_puts(&b, "yaml: unmarshal errors:");
                for (size_t i = 0; i < r.complaints.n; i++)
                        buf_printf(&b, "\n  %s", r.complaints.p[i]);
                r.error = error_new(ERROR_INVALID, STR_FMT, STR_ARG(buf_str(&b)));
                buf_done(&b);
        }
        for (size_t i = 0; i < r.complaints.n; i++)
                free(r.complaints.p[i]);
        vec_done(&r.complaints);
        vec_done(&r.items);
        vec_done(&r.pairs);
        map_done(&r.anchors);
        yaml_event_delete(&r.event);
        yaml_parser_delete(&r.parser);
        if (!r.error)
                *ret = root;
        return r.error;
}

struct error *yaml_parse(Str text, struct arena *a, struct yaml **ret)
{
        return parse(text, a, /* keep_duplicates= */ false, ret);
}

struct error *yaml_parse_with_duplicates(Str text, struct arena *a, struct yaml **ret)
{
        return parse(text, a, /* keep_duplicates= */ true, ret);
}

const struct yaml *yaml_get(const struct yaml *map, Str key)
{
        if (!map || map->type != YAML_MAP)
                return NULL;
        for (size_t i = 0; i < map->n; i++)
                if (str_eq(map->keys[i]->text, key))
                        return map->items[i];
        return NULL;
}

static bool is_one_of(Str s, const char *const *words)
{
        for (; *words; words++)
                if (str_eq(s, str_from(*words)))
                        return true;
        return false;
}

bool yaml_is_null(const struct yaml *y)
{
        static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
        return !y || (y->type == YAML_SCALAR && y->plain && is_one_of(y->text, words));
}

bool yaml_to_bool(const struct yaml *y, bool *ret)
{
        static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                          "True", "TRUE", "on",  "On",  "ON",  NULL};
        static const char *const no[] = {"n",     "N",     "no",  "No",  "NO",  "false",
                                         "False", "FALSE", "off", "Off", "OFF", NULL};
        if (!y || y->type != YAML_SCALAR || !y->plain)
                return false;
        bool is_yes = is_one_of(y->text, yes);
        if (!is_yes && !is_one_of(y->text, no))
                return false;
        *ret = is_yes;
        return true;
}
