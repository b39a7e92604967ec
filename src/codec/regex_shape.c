/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes suffice here: a literal is valid UTF-8, so it can only begin where a decoder of the text also begins a
 * character. U+FFFD in a pattern would match bad bytes too, hence such patterns are left to the automaton. */
#include "codec/regex_shape.h"

#include "codec/quote.h"

enum { MAX_DEPTH = 100, MAX_PRODUCT = 256, MAX_PARTS = 64 };

struct parser {
        const char *p, *end;
        struct arena *a;
        int depth;
        bool failed;
        bool groups;
};

static void *take(struct parser *x, size_t n, size_t size)
{
        void *p = arena_try_alloc(x->a, arena_array_bytes(n ? n : 1, size));
        if (!p)
                x->failed = true;
        return p;
}

static struct regex_shape shape_one(struct parser *x, enum regex_part_kind kind, Str text)
{
        struct regex_shape s = {.seq = take(x, 1, sizeof *s.seq), .n = 1, .has_opaque = kind == PART_OPAQUE};
        struct regex_part *part = take(x, 1, sizeof *part);
        if (x->failed)
                return s;
        *part = (struct regex_part){kind, text};
        s.seq[0] = (struct regex_seq){part, kind == PART_LITERAL && text.n == 0 ? 0 : 1};
        return s;
}

static Str join(struct parser *x, Str a, Str b)
{
        if (a.p + a.n == b.p)
                return (Str){a.p, a.n + b.n};
        char *p = take(x, a.n + b.n, 1);
        if (!p)
                return a;
        memcpy(p, a.p, a.n);
        memcpy(p + a.n, b.p, b.n);
        return (Str){p, a.n + b.n};
}

static struct regex_seq seq_concat(struct parser *x, const struct regex_seq *a, const struct regex_seq *b)
{
        if (a->n == 0)
                return *b;
        if (b->n == 0)
                return *a;
        struct regex_seq q = {take(x, a->n + b->n, sizeof *q.part), a->n};
        if (x->failed)
                return *a;
        memcpy(q.part, a->part, a->n * sizeof *q.part);
        for (size_t i = 0; i < b->n; i++) {
                struct regex_part *last = &q.part[q.n - 1];
                const struct regex_part *next = &b->part[i];
                if (last->kind == PART_LITERAL && next->kind == PART_LITERAL)
                        last->text = join(x, last->text, next->text);
                else if (last->kind == PART_OPAQUE && next->kind != PART_LITERAL)
                        ;
                else if (last->kind != PART_LITERAL && next->kind == PART_OPAQUE)
                        last->kind = PART_OPAQUE;
                else if (last->kind == PART_PLUS && next->kind == PART_PLUS)
                        last->kind = PART_OPAQUE; /* two characters, which bytes cannot count */
                else if (last->kind != PART_LITERAL && next->kind != PART_LITERAL)
                        last->kind = last->kind == PART_PLUS || next->kind == PART_PLUS ? PART_PLUS : PART_STAR;
                else
                        q.part[q.n++] = *next;
        }
        return q;
}

static void note_opaque(struct regex_shape *s)
{
        s->has_opaque = false;
        for (size_t i = 0; i < s->n; i++)
                for (size_t k = 0; k < s->seq[i].n; k++)
                        s->has_opaque |= s->seq[i].part[k].kind == PART_OPAQUE;
}

static struct regex_shape shape_concat(struct parser *x, struct regex_shape a, struct regex_shape b)
{
        if (x->failed)
                return a;
        struct regex_shape opaque;
        if (a.n * b.n > MAX_PRODUCT) {
                opaque = shape_one(x, PART_OPAQUE, STR(""));
                if (a.n > 1)
                        return opaque;
                b = opaque;
        }
        struct regex_shape s = {.seq = take(x, a.n * b.n, sizeof *s.seq), .n = a.n * b.n};
        for (size_t i = 0; i < a.n && !x->failed; i++)
                for (size_t k = 0; k < b.n && !x->failed; k++) {
                        s.seq[i * b.n + k] = seq_concat(x, &a.seq[i], &b.seq[k]);
                        if (s.seq[i * b.n + k].n > MAX_PARTS)
                                x->failed = true;
                }
        if (!x->failed)
                note_opaque(&s);
        return s;
}

static struct regex_shape parse_alternation(struct parser *x);

static bool is_punct(char c)
{
        return c > 0x20 && c < 0x7f && !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

/* At the character after a backslash: a literal, a class without text of ours, or failure. */
static bool parse_escape(struct parser *x, Str *ret_literal, bool *ret_opaque)
{
        if (x->p >= x->end)
                return false;
        char c = *x->p;
        *ret_opaque = memchr("dDwWsSbBAz", c, 10) != NULL;
        if (!*ret_opaque && (!is_punct(c) || c == '_'))
                return false;
        *ret_literal = (Str){x->p++, 1};
        return true;
}

static struct regex_shape parse_class(struct parser *x)
{
        bool opaque = x->p < x->end && *x->p == '^';
        x->p += opaque;
        bool member[128] = {false};
        size_t n = 0;
        for (bool first = true;; first = false) {
                if (x->p >= x->end)
                        goto fail;
                char lo = *x->p++;
                if (lo == ']' && !first)
                        break;
                if (lo == '[' || (unsigned char)lo >= 0x80 || (lo == '-' && !first && (x->p >= x->end || *x->p != ']')))
                        goto fail;
                if (lo == '\\') {
                        Str c;
                        bool class;
                        if (!parse_escape(x, &c, &class) || (class && memchr("bBAz", c.p[0], 4)))
                                goto fail;
                        if (class) {
                                opaque = true;
                                continue;
                        }
                        lo = c.p[0];
                }
                char hi = lo;
                if (x->end - x->p >= 2 && x->p[0] == '-' && x->p[1] != ']') {
                        hi = x->p[1];
                        if (hi == '\\' || hi == '[' || (unsigned char)hi >= 0x80 || hi < lo)
                                goto fail;
                        x->p += 2;
                }
                for (int c = lo; c <= hi; c++)
                        member[c] = true;
        }
        if (opaque)
                return shape_one(x, PART_OPAQUE, STR(""));
        for (int c = 0; c < 128; c++)
                n += member[c];
        struct regex_shape s = {.seq = take(x, n, sizeof *s.seq), .n = 0};
        for (int c = 0; c < 128 && !x->failed; c++) {
                if (!member[c])
                        continue;
                char *text = take(x, 1, 1);
                if (x->failed)
                        break;
                *text = (char)c;
                struct regex_shape one = shape_one(x, PART_LITERAL, (Str){text, 1});
                if (!x->failed)
                        s.seq[s.n++] = one.seq[0];
        }
        return s;
fail:
        x->failed = true;
        return (struct regex_shape){0};
}

/* After "(". Flags other than s, and names that Go may refuse, are not ours to judge. */
static struct regex_shape parse_group(struct parser *x)
{
        if (x->p < x->end && *x->p == '?') {
                Str rest = {x->p, (size_t)(x->end - x->p)};
                if (str_has_prefix(rest, STR("?:")))
                        x->p += 2;
                else if (str_has_prefix(rest, STR("?s:")))
                        x->p += 3;
                else
                        x->failed = true;
        } else {
                x->groups = true;
        }
        if (x->failed || ++x->depth > MAX_DEPTH) {
                x->failed = true;
                return (struct regex_shape){0};
        }
        struct regex_shape s = parse_alternation(x);
        x->depth--;
        if (x->failed || x->p >= x->end || *x->p != ')')
                x->failed = true;
        else
                x->p++;
        return s;
}

static bool at_repeat(const struct parser *x)
{
        return x->p < x->end && (*x->p == '*' || *x->p == '+' || *x->p == '?' || *x->p == '{');
}

static struct regex_shape parse_atom(struct parser *x, bool *ret_is_dot)
{
        *ret_is_dot = false;
        char c = *x->p++;
        switch (c) {
        case '(':
                return parse_group(x);
        case '[':
                return parse_class(x);
        case '.':
                *ret_is_dot = true;
                return shape_one(x, PART_OPAQUE, STR(""));
        case '^':
        case '$':
                return shape_one(x, PART_OPAQUE, STR(""));
        case '\\': {
                Str literal;
                bool opaque;
                if (!parse_escape(x, &literal, &opaque))
                        break;
                return opaque ? shape_one(x, PART_OPAQUE, STR("")) : shape_one(x, PART_LITERAL, literal);
        }
        case '*':
        case '+':
        case '?':
        case '{':
                break;
        default: {
                uint32_t rune;
                size_t n = utf8_decode((Str){x->p - 1, (size_t)(x->end - x->p + 1)}, &rune);
                if (n == 0 || rune == 0xfffd)
                        break;
                Str literal = {x->p - 1, n};
                x->p += n - 1;
                return shape_one(x, PART_LITERAL, literal);
        }
        }
        x->failed = true;
        return (struct regex_shape){0};
}

static struct regex_shape parse_concat(struct parser *x)
{
        struct regex_shape s = shape_one(x, PART_LITERAL, STR(""));
        while (!x->failed && x->p < x->end && *x->p != '|' && *x->p != ')') {
                /* A run of plain letters at once. */
                const char *from = x->p;
                while (x->p < x->end && (unsigned char)*x->p < 0x80 && !memchr("\\.+*?()|[]{}^$", *x->p, 14))
                        x->p++;
                if (at_repeat(x) && x->p > from)
                        x->p--;
                if (x->p > from) {
                        s = shape_concat(x, s, shape_one(x, PART_LITERAL, (Str){from, (size_t)(x->p - from)}));
                        continue;
                }
                bool is_dot;
                struct regex_shape atom = parse_atom(x, &is_dot);
                if (!x->failed && at_repeat(x)) {
                        char op = *x->p;
                        if (op == '{') { /* a count, or plain text: RE2 knows */
                                x->failed = true;
                                break;
                        }
                        x->p++;
                        if (x->p < x->end && *x->p == '?')
                                x->p++;
                        if (at_repeat(x))
                                x->failed = true;
                        atom = shape_one(x,
                                         !is_dot || op == '?' ? PART_OPAQUE
                                         : op == '*'          ? PART_STAR
                                                              : PART_PLUS,
                                         STR(""));
                }
                s = shape_concat(x, s, atom);
        }
        return s;
}

static struct regex_shape parse_alternation(struct parser *x)
{
        struct regex_shape s = parse_concat(x);
        size_t cap = s.n;
        while (!x->failed && x->p < x->end && *x->p == '|') {
                x->p++;
                struct regex_shape more = parse_concat(x);
                if (x->failed)
                        break;
                if (s.n + more.n > cap) {
                        cap = (s.n + more.n) * 2;
                        struct regex_seq *seq = take(x, cap, sizeof *seq);
                        if (x->failed)
                                break;
                        memcpy(seq, s.seq, s.n * sizeof *seq);
                        s.seq = seq;
                }
                memcpy(s.seq + s.n, more.seq, more.n * sizeof *s.seq);
                s.n += more.n;
                s.has_opaque |= more.has_opaque;
        }
        return s;
}

/* ^ and $ around the whole say nothing, unless an alternative takes them: ^a|b$. */
static Str strip_anchors(Str pattern)
{
        if (str_find(pattern, '|') >= 0 &&
            !(str_has_suffix(pattern, STR(")$")) && (str_has_prefix(pattern, STR("^(")))))
                return pattern;
        Str s = pattern;
        if (str_has_prefix(s, STR("^")))
                s = str_skip(s, 1);
        if (str_has_suffix(s, STR("$"))) {
                size_t back = 0;
                while (back + 1 < s.n && s.p[s.n - 2 - back] == '\\')
                        back++;
                if (back % 2 == 0)
                        s.n--;
        }
        if (s.n && memchr("*+?{", s.p[0], 4))
                return pattern;
        if (str_find(pattern, '|') < 0)
                return s;
        /* ^(…)$ with bars: only if that first group closes at the very end. */
        int depth = 0;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '\\' || s.p[i] == '[')
                        return pattern;
                depth += s.p[i] == '(' ? 1 : s.p[i] == ')' ? -1 : 0;
                if (depth == 0 && i + 1 < s.n)
                        return pattern;
        }
        return s;
}

bool regex_shape_of(Str pattern, struct arena *a, struct regex_shape *ret)
{
        Str s = strip_anchors(pattern);
        struct parser x = {.p = s.p, .end = s.p + s.n, .a = a};
        struct regex_shape shape = parse_alternation(&x);
        if (x.failed || x.p < x.end)
                return false;
        *ret = shape;
        ret->has_groups = x.groups;
        return true;
}

bool regex_seq_matches(const struct regex_seq *q, Str s)
{
        size_t from = 0, to = q->n;
        if (from < to && q->part[from].kind == PART_LITERAL) {
                if (to == 1)
                        return str_eq(s, q->part[0].text);
                if (!str_has_prefix(s, q->part[0].text))
                        return false;
                s = str_skip(s, q->part[0].text.n);
                from++;
        }
        if (from < to && q->part[to - 1].kind == PART_LITERAL) {
                if (!str_has_suffix(s, q->part[to - 1].text))
                        return false;
                s.n -= q->part[--to].text.n;
        }
        if (from == to)
                return s.n == 0;
        /* Gaps and literals take turns, a gap at both ends; the leftmost place of each literal leaves most to the
         * others. */
        for (;; from += 2) {
                size_t least = q->part[from].kind == PART_PLUS;
                if (s.n < least)
                        return false;
                if (from + 1 == to)
                        return true;
                Str after = str_skip(s, least);
                ptrdiff_t at = str_find_str(after, q->part[from + 1].text);
                if (at < 0)
                        return false;
                s = str_skip(after, (size_t)at + q->part[from + 1].text.n);
        }
}
