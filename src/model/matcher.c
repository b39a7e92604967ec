/* SPDX-License-Identifier: Apache-2.0 */
#include "model/matcher.h"

#include <stdlib.h>

#include "codec/quote.h"
#include "codec/regex.h"

struct error *matcher_new(enum matcher_type type, Str name, Str value, struct matcher **ret)
{
        struct regex *re = NULL;
        if (type == MATCH_RE || type == MATCH_NRE) {
                struct error *e = regex_new(value, &re);
                if (e)
                        return e;
        }
        struct matcher *m = mem_alloc(sizeof *m + name.n + value.n + 2);
        char *p = (char *)(m + 1);
        *m = (struct matcher){.type = type, .name = {p, name.n}, .value = {p + name.n + 1, value.n}, .re = re};
        if (name.n)
                memcpy(p, name.p, name.n);
        p[name.n] = 0;
        p += name.n + 1;
        if (value.n)
                memcpy(p, value.p, value.n);
        p[value.n] = 0;
        *ret = m;
        return NULL;
}

struct matcher *matcher_dup(const struct matcher *m)
{
        struct matcher *copy;
        struct error *e = matcher_new(m->type, m->name, m->value, &copy);
        if (e)
                bug("a matcher that was made cannot be made again: %s", error_str(e));
        return copy;
}

void matcher_free(struct matcher *m)
{
        if (!m)
                return;
        regex_free(m->re);
        free(m);
}

bool matcher_matches(const struct matcher *m, Str value)
{
        switch (m->type) {
        case MATCH_EQ:
                return str_eq(m->value, value);
        case MATCH_NE:
                return !str_eq(m->value, value);
        case MATCH_RE:
                return regex_matches(m->re, value);
        case MATCH_NRE:
                return !regex_matches(m->re, value);
        }
        bug("matcher type %d", (int)m->type);
}

bool matcher_matches_empty(const struct matcher *m)
{
        return matcher_matches(m, (Str){"", 0});
}

bool matcher_set_matches(const struct matcher *m, const Str **ret, size_t *ret_n)
{
        if (m->type == MATCH_EQ) {
                *ret = &m->value;
                *ret_n = 1;
                return true;
        }
        return m->type == MATCH_RE && regex_set_matches(m->re, ret, ret_n);
}

Str matcher_prefix(const struct matcher *m)
{
        if (m->type == MATCH_EQ)
                return m->value;
        return m->type == MATCH_RE ? regex_prefix(m->re) : (Str){"", 0};
}

bool matchers_match(const struct matcher *const *m, size_t n, Labels ls)
{
        for (size_t i = 0; i < n; i++)
                if (!matcher_matches(m[i], labels_get(ls, m[i]->name)))
                        return false;
        return true;
}

void matcher_print(struct buf *b, const struct matcher *m)
{
        static const char *const operators[] = {
                [MATCH_EQ] = "=", [MATCH_NE] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"};
        if (label_name_is_legacy(m->name))
                buf_put(b, m->name);
        else
                buf_put_go_quoted(b, m->name);
        buf_puts(b, operators[m->type]);
        buf_put_go_quoted(b, m->value);
}

void matcher_vec_done(MatcherVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                matcher_free(v->p[i]);
        vec_done(v);
}
