/* SPDX-License-Identifier: Apache-2.0 */
/* node.h — the parsed form of a template. Private to template/. */
#ifndef ALERT_TEMPLATE_NODE_H
#define ALERT_TEMPLATE_NODE_H

#include "alert/template/tmpl.h"
#include "base/map.h"
#include "base/vec.h"

enum token_type {                       /* the order matters: keywords are behind TOKEN_KEYWORD */
        TOKEN_ERROR, TOKEN_BOOL, TOKEN_CHAR, TOKEN_CHAR_CONSTANT, TOKEN_COMPLEX, TOKEN_ASSIGN, TOKEN_DECLARE, TOKEN_EOF, TOKEN_FIELD, TOKEN_IDENTIFIER,
        TOKEN_LEFT_DELIM, TOKEN_LEFT_PAREN, TOKEN_NUMBER, TOKEN_PIPE, TOKEN_RAW_STRING, TOKEN_RIGHT_DELIM, TOKEN_RIGHT_PAREN, TOKEN_SPACE, TOKEN_STRING,
        TOKEN_TEXT, TOKEN_VARIABLE,
        TOKEN_KEYWORD, TOKEN_BLOCK, TOKEN_BREAK, TOKEN_CONTINUE, TOKEN_DOT, TOKEN_DEFINE, TOKEN_ELSE, TOKEN_END, TOKEN_IF, TOKEN_NIL, TOKEN_RANGE,
        TOKEN_TEMPLATE, TOKEN_WITH,
};
struct token {
        enum token_type type;
        size_t pos;
        Str text;
        int line;                       /* where it begins, from 1 */
};
typedef VEC(struct token) TokenVec;
/* All tokens up to the end or an error, whose text is the message; texts in the arena or borrowed. */
void tmpl_lex(Str text, struct arena *a, TokenVec *ret);

enum node_type {
        NODE_TEXT, NODE_ACTION, NODE_BOOL, NODE_CHAIN, NODE_COMMAND, NODE_DOT, NODE_ELSE, NODE_END, NODE_FIELD, NODE_IDENTIFIER, NODE_IF, NODE_LIST,
        NODE_NIL, NODE_NUMBER, NODE_PIPE, NODE_RANGE, NODE_STRING, NODE_TEMPLATE, NODE_VARIABLE, NODE_WITH, NODE_BREAK, NODE_CONTINUE,
};
struct node;
typedef VEC(struct node *) NodeVec;     /* while parsing */
struct nodes {
        struct node **v;
        size_t n;
};
struct strs {
        Str *v;
        size_t n;
};
struct node {
        enum node_type type;
        size_t pos;
        const struct tree *tree;        /* whose text pos counts in */
        union {
                Str text;               /* NODE_TEXT, NODE_IDENTIFIER: name; NODE_BREAK … */
                bool truth;             /* NODE_BOOL */
                struct {
                        Str quoted, text;       /* NODE_STRING */
                } string;
                struct {
                        Str text;
                        bool is_int, is_uint, is_float;
                        int64_t i;
                        uint64_t u;
                        double f;
                } number;
                struct strs ident;      /* NODE_FIELD, NODE_VARIABLE */
                struct {
                        struct node *node;
                        struct strs fields;
                } chain;
                struct nodes list;      /* NODE_LIST; NODE_COMMAND: arguments */
                struct {
                        bool is_assign;
                        struct nodes decl;      /* variables */
                        struct nodes cmds;
                } pipe;
                struct {
                        struct node *pipe;      /* NODE_ACTION, NODE_IF, NODE_RANGE, NODE_WITH, NODE_TEMPLATE (may be NULL) */
                        struct node *list, *else_list;
                        Str name;               /* NODE_TEMPLATE */
                } control;
        };
};
struct tree {
        Str name, parse_name, text;
        struct node *root;
};
struct tmpl {
        struct arena arena;
        Str name;
        const struct tmpl_funcs *funcs;
        enum tmpl_missing missing;
        struct map trees;               /* by name: struct tree */
};
void node_print(struct buf *b, const struct node *n);
bool node_is_empty(const struct node *n);

extern const struct tfunc tmpl_builtins[];
const struct tfunc *tmpl_find_func(const struct tmpl *t, Str name, bool *ret_builtin);
/* Go's unquoting of "…", `…` and '…': false: invalid syntax. */
bool go_unquote(Str s, struct buf *ret);
/* Go's ParseInt and ParseUint with base 0; false: syntax or range. */
bool go_parse_int(Str s, int64_t *ret);
bool go_parse_uint(Str s, uint64_t *ret);

#endif
