/* SPDX-License-Identifier: Apache-2.0 */
/* RE2 behind three adapters ((?<n>…), \C, bad UTF-8), and in front of it what the shape of the pattern decides alone:
 * sets of literals, prefixes, suffixes, contained literals. Most matchers never reach the automaton, and those made of
 * literals and gaps never build it. */
#include "codec/regex.h"

#include "base/alloc.h"
#include "base/map.h"
#include "codec/quote.h"
#include "codec/regex_shape.h"
#include "codec/regex_shim.h"

enum {
        MAX_PATTERN_BYTES = 1 << 20,
        MAX_LINEAR_SET = 8, /* up to here comparing beats hashing */
        MAX_SEQUENCES = 8,  /* more alternatives with gaps are the automaton's */
};

struct regex {
        struct arena arena; /* pattern, shape, set */
        Str pattern;
        struct regex_shape shape;
        bool by_shape;      /* the shape decides, shim is only there for groups */
        bool is_any_group;  /* (.*) */
        Str prefix, suffix; /* every match has them */
        Str *set;           /* sorted and unique, or NULL */
        size_t set_n;
        struct map set_map;      /* of set, when it is long */
        struct regex_shim *shim; /* NULL: not needed */
};

/* (?<name> becomes (?P<name>. \C is not Go's: *ret_bad. Text within \Q…\E and classes stays. */
static void rewrite_for_re2(Str pattern, struct buf *out, bool *ret_bad)
{
        bool quoted = false, class = false;
        *ret_bad = false;
        for (size_t i = 0; i < pattern.n; i++) {
                char c = pattern.p[i];
                Str rest = str_skip(pattern, i);
                if (c == '\\' && rest.n > 1) {
                        char next = rest.p[1];
                        if (quoted ? next == 'E' : !class && next == 'Q')
                                quoted = !quoted;
                        else if (!quoted && !class && next == 'C')
                                *ret_bad = true;
                        if (!quoted || next == 'Q') {
                                buf_append(out, rest.p, 2);
                                i++;
                                continue;
                        }
                } else if (!quoted && !class && c == '[') {
                        class = true;
                        /* A ] that comes first is a member. */
                        size_t n = 1;
                        n += rest.n > n && rest.p[n] == '^';
                        n += rest.n > n && rest.p[n] == ']';
                        buf_append(out, rest.p, n);
                        i += n - 1;
                        continue;
                } else if (class && c == '[' && rest.n > 1 && rest.p[1] == ':') {
                        ptrdiff_t end = str_find_str(rest, STR(":]"));
                        if (end > 0) {
                                buf_append(out, rest.p, (size_t)end + 2);
                                i += (size_t)end + 1;
                                continue;
                        }
                } else if (class && c == ']') {
                        class = false;
                } else if (!quoted && !class && str_has_prefix(rest, STR("(?<"))) {
                        buf_puts(out, "(?P<");
                        i += 2;
                        continue;
                }
                buf_putc(out, c);
        }
}

static struct error *compile(Str pattern, bool dot_nl, struct regex_shim **ret)
{
        struct buf text = BUF_INIT(BUF_NO_LIMIT);
        bool bad;
        rewrite_for_re2(pattern, &text, &bad);
        const char *reason = "invalid escape sequence";
        char arg[1024] = "\\C";
        size_t arg_n = 2;
        struct regex_shim *shim =
                bad ? NULL : regex_shim_new(text.p ? text.p : "", text.n, dot_nl, &reason, arg, sizeof arg, &arg_n);
        if (shim) {
                *ret = shim;
                buf_done(&text);
                return NULL;
        }
        Str about = {arg, arg_n};
        if (arg_n ==
            0) { /* for bad UTF-8 Go shows the rest from there, RE2 nothing; for a trailing backslash both nothing */
                about = pattern;
                uint32_t r;
                for (size_t n; (n = utf8_decode(about, &r)) > 0;)
                        about = str_skip(about, n);
        }
        if (text.n <= sizeof arg && str_eq(about, buf_str(&text)))
                about = pattern;
        struct error *e =
                str_has_prefix(about, STR("(?P<")) && str_find_str(pattern, STR("(?P<")) < 0
                        ? error_new(ERROR_INVALID, "error parsing regexp: %s: `(?<" STR_FMT "`", reason,
                                    STR_ARG(str_skip(about, 4)))
                        : error_new(ERROR_INVALID, "error parsing regexp: %s: `" STR_FMT "`", reason, STR_ARG(about));
        buf_done(&text);
        return e;
}

static bool seq_is_literal(const struct regex_seq *q)
{
        return q->n == 0 || (q->n == 1 && q->part[0].kind == PART_LITERAL);
}

static Str seq_edge(const struct regex_seq *q, bool last)
{
        const struct regex_part *part = q->n ? &q->part[last ? q->n - 1 : 0] : NULL;
        return part && part->kind == PART_LITERAL ? part->text : STR("");
}

static void find_edges(struct regex *re)
{
        Str prefix = seq_edge(&re->shape.seq[0], false), suffix = seq_edge(&re->shape.seq[0], true);
        for (size_t i = 1; i < re->shape.n; i++) {
                Str p = seq_edge(&re->shape.seq[i], false), s = seq_edge(&re->shape.seq[i], true);
                size_t n = 0;
                while (n < prefix.n && n < p.n && prefix.p[n] == p.p[n])
                        n++;
                prefix.n = n;
                n = 0;
                while (n < suffix.n && n < s.n && suffix.p[suffix.n - 1 - n] == s.p[s.n - 1 - n])
                        n++;
                suffix = str_skip(suffix, suffix.n - n);
        }
        re->prefix = prefix;
        re->suffix = suffix;
}

static bool make_set(struct regex *re)
{
        for (size_t i = 0; i < re->shape.n; i++)
                if (!seq_is_literal(&re->shape.seq[i]))
                        return false;
        Str *set = arena_try_alloc(&re->arena, arena_array_bytes(re->shape.n, sizeof *set));
        if (!set)
                return false;
        for (size_t i = 0; i < re->shape.n; i++)
                set[i] = seq_edge(&re->shape.seq[i], false);
        qsort(set, re->shape.n, sizeof *set, str_cmp_qsort);
        size_t n = 0;
        for (size_t i = 0; i < re->shape.n; i++)
                if (n == 0 || !str_eq(set[n - 1], set[i]))
                        set[n++] = set[i];
        re->set = set;
        re->set_n = n;
        for (size_t i = 0; n > MAX_LINEAR_SET && i < n; i++)
                map_set(&re->set_map, set[i], &set[i]);
        return true;
}

static struct error *regex_make(Str pattern, bool anchored, struct regex **ret)
{
        if (pattern.n > MAX_PATTERN_BYTES)
                return error_new(ERROR_LIMIT,
                                 "error parsing regexp: expression too large: %zu bytes, at most %d are allowed",
                                 pattern.n, MAX_PATTERN_BYTES);
        struct regex *re = mem_new(struct regex);
        arena_init(&re->arena, (64 << 10) + 512 * (pattern.n + 1));
        re->pattern = arena_str(&re->arena, pattern);
        re->is_any_group = str_eq(pattern, STR("(.*)"));
        if (regex_shape_of(re->pattern, &re->arena, &re->shape)) {
                find_edges(re);
                re->by_shape = make_set(re) || (!re->shape.has_opaque && re->shape.n <= MAX_SEQUENCES);
        } else {
                re->shape = (struct regex_shape){.has_groups = true};
        }
        if (re->by_shape && (re->is_any_group || !re->shape.has_groups)) {
                *ret = re;
                return NULL;
        }
        struct error *e = compile(pattern, /* dot_nl= */ true, &re->shim);
        if (anchored && (e || str_contains(pattern, STR("\\Q")))) { /* an open \Q would swallow the anchor */
                struct buf whole = BUF_INIT(BUF_NO_LIMIT);
                buf_puts(&whole, "^(?s:");
                buf_put(&whole, pattern);
                buf_puts(&whole, ")$");
                error_ignore(e, "the text of the whole expression decides");
                regex_shim_free(re->shim);
                re->shim = NULL;
                e = compile(buf_str(&whole), /* dot_nl= */ true, &re->shim);
                buf_done(&whole);
        }
        if (e) {
                regex_free(re);
                return e;
        }
        *ret = re;
        return NULL;
}

struct error *regex_new(Str pattern, struct regex **ret)
{
        return regex_make(pattern, /* anchored= */ false, ret);
}

struct error *regex_new_anchored(Str pattern, struct regex **ret)
{
        return regex_make(pattern, /* anchored= */ true, ret);
}

void regex_free(struct regex *re)
{
        if (!re)
                return;
        regex_shim_free(re->shim);
        map_done(&re->set_map);
        arena_done(&re->arena);
        free(re);
}

Str regex_pattern(const struct regex *re)
{
        return re->pattern;
}

bool regex_set_matches(const struct regex *re, const Str **ret, size_t *ret_n)
{
        if (!re->set)
                return false;
        *ret = re->set;
        *ret_n = re->set_n;
        return true;
}

Str regex_prefix(const struct regex *re)
{
        return re->prefix;
}

/* s with U+FFFD for each bad byte, as Go's matcher sees it. */
static void put_repaired(struct buf *b, Str s)
{
        while (s.n > 0) {
                uint32_t r;
                size_t n = utf8_decode(s, &r);
                if (n == 0)
                        buf_puts(b, "\xef\xbf\xbd");
                else
                        buf_append(b, s.p, n);
                s = str_skip(s, n ? n : 1);
        }
}

/* Where byte `at` of the repaired text stands in s. */
static size_t unrepaired(Str s, size_t at)
{
        size_t i = 0;
        for (size_t k = 0; k < at && i < s.n;) {
                uint32_t r;
                size_t n = utf8_decode(str_skip(s, i), &r);
                k += n ? n : 3;
                i += n ? n : 1;
        }
        return i;
}

static bool shim_matches(const struct regex *re, Str s)
{
        if (LIKELY(utf8_is_valid(s)))
                return regex_shim_matches(re->shim, s.n ? s.p : "", s.n);
        struct buf text = BUF_INIT(BUF_NO_LIMIT);
        put_repaired(&text, s);
        bool ok = regex_shim_matches(re->shim, text.p, text.n);
        buf_done(&text);
        return ok;
}

bool regex_matches(const struct regex *re, Str s)
{
        if (re->set_n > MAX_LINEAR_SET)
                return map_get(&re->set_map, s) != NULL;
        if (re->set) {
                for (size_t i = 0; i < re->set_n; i++)
                        if (str_eq(re->set[i], s))
                                return true;
                return false;
        }
        if (re->by_shape) {
                for (size_t i = 0; i < re->shape.n; i++)
                        if (regex_seq_matches(&re->shape.seq[i], s))
                                return true;
                return false;
        }
        return str_has_prefix(s, re->prefix) && str_has_suffix(s, re->suffix) && shim_matches(re, s);
}

int regex_groups(const struct regex *re)
{
        return re->shim ? regex_shim_groups(re->shim) : re->is_any_group;
}

int regex_group_index(const struct regex *re, Str name)
{
        return re->shim ? regex_shim_group_index(re->shim, name.p ? name.p : "", name.n) : -1;
}

bool regex_match_groups(const struct regex *re, Str s, Str *ret_group, int n_group)
{
        for (int i = 0; i < n_group; i++)
                ret_group[i] = (Str){NULL, 0};
        if (n_group <= 0 || re->set || !re->shim) {
                if (!regex_matches(re, s))
                        return false;
                if (!s.p)
                        s.p = "";
                if (n_group > 0)
                        ret_group[0] = s;
                if (n_group > 1 && re->is_any_group)
                        ret_group[1] = s;
                if (n_group <= 1 || !re->shim)
                        return true;
        }
        if (!str_has_prefix(s, re->prefix) || !str_has_suffix(s, re->suffix))
                return false;
        struct regex_shim_group few[16],
                *group = n_group <= (int)ARRAY_LEN(few) ? few : mem_alloc((size_t)n_group * sizeof *group);
        struct buf text = BUF_INIT(BUF_NO_LIMIT);
        bool repaired = !utf8_is_valid(s);
        if (repaired)
                put_repaired(&text, s);
        Str subject = repaired ? buf_str(&text) : s.p ? s : STR("");
        bool ok = regex_shim_match_groups(re->shim, subject.p, subject.n, group, n_group);
        for (int i = 0; ok && i < n_group; i++) {
                if (!group[i].p)
                        continue;
                if (!repaired) {
                        ret_group[i] = (Str){group[i].p, group[i].n};
                        continue;
                }
                size_t from = unrepaired(s, (size_t)(group[i].p - subject.p));
                ret_group[i] = str_sub(s, from, unrepaired(s, (size_t)(group[i].p - subject.p) + group[i].n));
        }
        buf_done(&text);
        if (group != few)
                free(group);
        return ok;
}

/* At "$": the name after it and how much of the text it takes. False: a dollar that stands for itself. */
static bool template_name(Str t, Str *ret_name, size_t *ret_taken)
{
        bool brace = t.n > 1 && t.p[1] == '{';
        size_t from = brace ? 2 : 1, to = from;
        while (to < t.n && (t.p[to] == '_' || (t.p[to] >= '0' && t.p[to] <= '9') ||
                            ((t.p[to] | 0x20) >= 'a' && (t.p[to] | 0x20) <= 'z')))
                to++;
        if (to == from || (brace && (to >= t.n || t.p[to] != '}')))
                return false;
        *ret_name = str_sub(t, from, to);
        *ret_taken = to + brace;
        return true;
}

/* A number without leading zeros below 10^8 is an index, all else a name. */
static int template_group(const struct regex_shim *shim, Str name)
{
        uint64_t n;
        if (name.n <= 8 && str_to_u64(name, &n) && !(name.p[0] == '0' && name.n > 1))
                return (int)n;
        return shim ? regex_shim_group_index(shim, name.p, name.n) : -1;
}

static void put_expanded(struct buf *ret, Str template, const struct regex_shim *shim, const Str *group, int n)
{
        while (template.n > 0) {
                ptrdiff_t at = str_find(template, '$');
                if (at < 0) {
                        buf_put(ret, template);
                        break;
                }
                buf_append(ret, template.p, (size_t)at);
                template = str_skip(template, (size_t)at);
                Str name;
                size_t taken = 1;
                if (template.n > 1 && template.p[1] == '$') {
                        buf_putc(ret, '$');
                        taken = 2;
                } else if (template_name(template, &name, &taken)) {
                        int i = template_group(shim, name);
                        if (i >= 0 && i < n)
                                buf_put(ret, group[i]);
                } else {
                        buf_putc(ret, '$');
                }
                template = str_skip(template, taken);
        }
}

bool regex_expand(const struct regex *re, Str s, Str template, struct buf *ret)
{
        int n = regex_groups(re) + 1;
        Str few[16], *group = n <= (int)ARRAY_LEN(few) ? few : mem_alloc((size_t)n * sizeof *group);
        bool ok = regex_match_groups(re, s, group, n);
        if (ok)
                put_expanded(ret, template, re->shim, group, n);
        if (group != few)
                free(group);
        return ok;
}

/* ---- unanchored ---- */

struct regex_search {
        struct regex_shim *shim;
};

struct error *regex_search_new(Str pattern, struct regex_search **ret)
{
        struct regex_shim *shim;
        if (pattern.n > MAX_PATTERN_BYTES)
                return error_new(ERROR_LIMIT, "error parsing regexp: expression too large: %zu bytes, at most %d are allowed", pattern.n, MAX_PATTERN_BYTES);
        struct error *e = compile(pattern, /* dot_nl= */ false, &shim);
        if (e)
                return e;
        *ret = mem_new(struct regex_search);
        (*ret)->shim = shim;
        return NULL;
}

void regex_search_free(struct regex_search *re)
{
        if (!re)
                return;
        regex_shim_free(re->shim);
        free(re);
}

bool regex_search_matches(const struct regex_search *re, Str s)
{
        return regex_shim_find(re->shim, s.n ? s.p : "", s.n, 0, NULL, 0);
}

void regex_search_replace_all(const struct regex_search *re, Str s, Str template, struct buf *ret)
{
        int n = regex_shim_groups(re->shim) + 1;
        struct regex_shim_group *found = mem_alloc((size_t)n * sizeof *found);
        Str *group = mem_alloc((size_t)n * sizeof *group);
        const char *p = s.n ? s.p : "";
        size_t last = 0, at = 0;
        while (at <= s.n && !buf_is_over(ret) && regex_shim_find(re->shim, p, s.n, at, found, n)) {
                size_t from = (size_t)(found[0].p - p), to = from + found[0].n;
                buf_append(ret, p + last, from - last);
                /* An empty match right behind the last one does not count. */
                if (to > last || from == 0) {
                        for (int i = 0; i < n; i++)
                                group[i] = (Str){found[i].p, found[i].p ? found[i].n : 0};
                        put_expanded(ret, template, re->shim, group, n);
                }
                last = to;
                uint32_t r;
                size_t width = at < s.n ? utf8_decode(str_skip(s, at), &r) : 1;
                at = at + (width ? width : 1) > to ? at + (width ? width : 1) : to;
        }
        if (last < s.n)
                buf_append(ret, p + last, s.n - last);
        free(found);
        free(group);
}
