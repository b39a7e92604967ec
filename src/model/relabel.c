/* SPDX-License-Identifier: Apache-2.0 */
#include "model/relabel.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "codec/md5.h"
#include "codec/quote.h"

static const char *const action_names[] = {
        [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",           [RELABEL_DROP] = "drop",
        [RELABEL_KEEPEQUAL] = "keepequal", [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
        [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop", [RELABEL_LABELKEEP] = "labelkeep",
        [RELABEL_LOWERCASE] = "lowercase", [RELABEL_UPPERCASE] = "uppercase",
};

bool relabel_action_parse(Str s, enum relabel_action *ret)
{
        for (size_t i = 0; i < ARRAY_LEN(action_names); i++) {
                if (!str_eq_nocase(s, str_from(action_names[i])))
                        continue;
                *ret = (enum relabel_action)i;
                return true;
        }
        return false;
}

const char *relabel_action_name(enum relabel_action a)
{
        return action_names[a];
}

static bool has_variable(Str template)
{
        return str_find(template, '$') >= 0;
}

static bool is_word(char c)
{
        return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t word_length(Str s, size_t at)
{
        size_t n = 0;
        while (at + n < s.n && is_word(s.p[at + n]))
                n++;
        return n;
}

/* A legacy label name in which $name and ${name} may stand for parts. */
static bool is_legacy_template(Str s)
{
        if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
                return false;
        for (size_t i = 0; i < s.n;) {
                if (is_word(s.p[i])) {
                        i++;
                        continue;
                }
                if (s.p[i++] != '$')
                        return false;
                bool braces = i < s.n && s.p[i] == '{';
                i += braces;
                size_t n = word_length(s, i);
                i += n;
                if (n == 0 || (braces && !(i < s.n && s.p[i] == '}')))
                        return false;
                i += braces;
        }
        return true;
}

static bool name_is_valid(const struct relabel_rule *r, Str name)
{
        return r->utf8_names ? label_name_is_valid_utf8(name) : label_name_is_legacy(name);
}

static bool template_is_valid(const struct relabel_rule *r, Str s)
{
        return r->utf8_names ? label_name_is_valid_utf8(s) : is_legacy_template(s);
}

static struct error *invalid_name(const struct relabel_rule *r, Str name, const char *field)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put_go_quoted(&b, name);
        struct error *e = error_new(ERROR_INVALID, "%s is invalid '%s' for %s action", buf_cstr(&b), field,
                                    action_names[r->action]);
        buf_done(&b);
        return e;
}

/* The order of the checks decides which text is told: it is upstream's. */
static struct error *check(const struct relabel_rule *r)
{
        enum relabel_action a = r->action;
        const char *name = action_names[a];
        bool changes_case = a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE,
             compares = a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
        bool default_separator = str_eq(r->separator, STR(";")),
             default_replacement = str_eq(r->replacement, STR("$1"));
        if (r->modulus == 0 && a == RELABEL_HASHMOD)
                return error_new(ERROR_INVALID, "relabel configuration for hashmod requires non-zero modulus");
        if ((a == RELABEL_REPLACE || a == RELABEL_HASHMOD || changes_case || compares) && r->target_label.n == 0)
                return error_new(ERROR_INVALID, "relabel configuration for %s action requires 'target_label' value",
                                 name);
        if (a == RELABEL_REPLACE && !has_variable(r->target_label) && !name_is_valid(r, r->target_label))
                return invalid_name(r, r->target_label, "target_label");
        if (a == RELABEL_REPLACE && has_variable(r->target_label) && !template_is_valid(r, r->target_label))
                return invalid_name(r, r->target_label, "target_label");
        if ((changes_case || compares) && !name_is_valid(r, r->target_label))
                return invalid_name(r, r->target_label, "target_label");
        if ((changes_case || compares) && !default_replacement)
                return error_new(ERROR_INVALID, "'replacement' can not be set for %s action", name);
        if (a == RELABEL_LABELMAP && !template_is_valid(r, r->replacement))
                return invalid_name(r, r->replacement, "replacement");
        if (a == RELABEL_HASHMOD && !name_is_valid(r, r->target_label))
                return invalid_name(r, r->target_label, "target_label");
        if (compares && (r->has_regex || r->modulus != 0 || !default_separator))
                return error_new(ERROR_INVALID,
                                 "%s action requires only 'source_labels' and `target_label`, and no other fields",
                                 name);
        if ((a == RELABEL_LABELDROP || a == RELABEL_LABELKEEP) &&
            (r->source_labels || r->n_source || r->target_label.n || r->modulus != 0 || !default_separator ||
             !default_replacement))
                return error_new(ERROR_INVALID, "%s action requires only 'regex', and no other fields", name);
        return NULL;
}

struct error *relabel_rule_check(struct relabel_rule *r)
{
        if (!r->has_separator)
                r->separator = STR(";");
        if (!r->has_regex)
                r->regex = STR("(.*)");
        if (!r->has_replacement)
                r->replacement = STR("$1");
        struct error *e = check(r);
        if (e)
                return e;
        regex_free(r->re);
        r->re = NULL;
        return regex_new(r->regex, &r->re);
}

void relabel_rule_done(struct relabel_rule *r)
{
        regex_free(r->re);
        r->re = NULL;
}

/* Character classes of Unicode whatever the process' locale is; NULL (only ASCII changes) where the C library has none.
 */
static locale_t utf8_locale;
static pthread_once_t utf8_locale_once = PTHREAD_ONCE_INIT;

static void utf8_locale_make(void)
{
        utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void buf_put_case(struct buf *b, Str s, bool upper)
{
        pthread_once(&utf8_locale_once, utf8_locale_make);
        while (s.n > 0) {
                uint32_t r;
                size_t n = utf8_decode(s, &r);
                if (n == 0) {
                        n = 1;
                        r = 0xfffd;
                }
                if (r < 0x80) {
                        if (upper ? r >= 'a' && r <= 'z' : r >= 'A' && r <= 'Z')
                                r ^= 0x20;
                } else if (utf8_locale) {
                        r = (uint32_t)(upper ? towupper_l((wint_t)r, utf8_locale) : towlower_l((wint_t)r, utf8_locale));
                }
                char bytes[4];
                buf_append(b, bytes, utf8_encode(r, bytes));
                s = str_skip(s, n);
        }
}

/* Moves the text into the arena; false past its budget. */
static bool keep_text(const struct buf *b, struct arena *a, Str *ret)
{
        if (buf_is_over(b))
                return false;
        char *p = arena_try_alloc(a, b->n);
        if (!p)
                return false;
        if (b->n)
                memcpy(p, b->p, b->n);
        *ret = (Str){p, b->n};
        return true;
}

/* The source values, joined. One value is not copied. */
static bool join_source(const struct relabel_rule *r, const struct labels_builder *b, struct arena *a, Str *ret)
{
        if (r->n_source <= 1) {
                *ret = r->n_source ? labels_builder_get(b, r->source_labels[0]) : (Str){"", 0};
                return true;
        }
        size_t need = r->separator.n * (r->n_source - 1);
        for (size_t i = 0; i < r->n_source; i++)
                need += labels_builder_get(b, r->source_labels[i]).n;
        char *p = arena_try_alloc(a, need), *at = p;
        if (!p)
                return false;
        for (size_t i = 0; i < r->n_source; i++) {
                Str v = labels_builder_get(b, r->source_labels[i]);
                if (i > 0 && r->separator.n) {
                        memcpy(at, r->separator.p, r->separator.n);
                        at += r->separator.n;
                }
                if (v.n)
                        memcpy(at, v.p, v.n);
                at += v.n;
        }
        *ret = (Str){p, need};
        return true;
}

static bool replace(const struct relabel_rule *r, struct labels_builder *b, struct arena *a, Str value)
{
        bool fixed_target = !has_variable(r->target_label), fixed_replacement = !has_variable(r->replacement);
        if (fixed_target && fixed_replacement) {
                if (!r->has_regex || regex_matches(r->re, value))
                        labels_builder_set(b, r->target_label, r->replacement);
                return true;
        }
        bool ok = true;
        struct buf text = BUF_INIT(a->limit_bytes);
        Str target = r->target_label, result;
        if (!fixed_target) {
                if (!regex_expand(r->re, value, r->target_label, &text) || !name_is_valid(r, buf_str(&text)))
                        goto out;
                ok = keep_text(&text, a, &target);
                if (!ok)
                        goto out;
                buf_clear(&text);
        }
        if (!regex_expand(r->re, value, r->replacement, &text))
                goto out;
        ok = keep_text(&text, a, &result);
        if (ok)
                labels_builder_set(b, target, result);
out:
        buf_done(&text);
        return ok;
}

static bool label_map_one(const struct relabel_rule *r, struct labels_builder *b, struct arena *a, Label l)
{
        if (l.value.n == 0)
                return true;
        struct buf text = BUF_INIT(a->limit_bytes);
        bool ok = true;
        Str name;
        if (regex_expand(r->re, l.name, r->replacement, &text)) {
                ok = keep_text(&text, a, &name);
                if (ok)
                        labels_builder_set(b, name, l.value);
        }
        buf_done(&text);
        return ok;
}

/* What was there before the first change decides: maps of maps do not happen. */
static bool label_map(const struct relabel_rule *r, struct labels_builder *b, struct arena *a)
{
        size_t n = b->set.n;
        Label *before = arena_try_alloc(a, arena_array_bytes(n, sizeof(Label)));
        if (!before)
                return false;
        if (n)
                memcpy(before, b->set.p, n * sizeof *before);
        for (size_t i = 0; i < b->base.n; i++) {
                bool overridden = false;
                for (size_t k = 0; k < n && !overridden; k++)
                        overridden = str_eq(before[k].name, b->base.v[i].name);
                if (!overridden && !label_map_one(r, b, a, b->base.v[i]))
                        return false;
        }
        for (size_t i = 0; i < n; i++)
                if (!label_map_one(r, b, a, before[i]))
                        return false;
        return true;
}

static void label_filter(const struct relabel_rule *r, struct labels_builder *b, bool keep_matching)
{
        for (size_t i = 0; i < b->set.n; i++)
                if (b->set.p[i].value.n > 0 && regex_matches(r->re, b->set.p[i].name) != keep_matching)
                        b->set.p[i].value = (Str){NULL, 0};
        for (size_t i = 0; i < b->base.n; i++)
                if (regex_matches(r->re, b->base.v[i].name) != keep_matching)
                        labels_builder_del(b, b->base.v[i].name);
}

static bool hash_mod(const struct relabel_rule *r, struct labels_builder *b, struct arena *a, Str value)
{
        uint8_t sum[16];
        uint64_t low = 0;
        md5(value, sum);
        for (int i = 8; i < 16; i++) /* the last eight bytes, as the first versions of the original did */
                low = low << 8 | sum[i];
        char digits[20];
        size_t n = 0;
        for (low %= r->modulus; n == 0 || low > 0; low /= 10)
                digits[n++] = (char)('0' + low % 10);
        char *p = arena_try_alloc(a, n);
        if (!p)
                return false;
        for (size_t i = 0; i < n; i++)
                p[i] = digits[n - 1 - i];
        labels_builder_set(b, r->target_label, (Str){p, n});
        return true;
}

static bool apply(const struct relabel_rule *r, struct labels_builder *b, struct arena *a)
{
        Str value;
        if (!join_source(r, b, a, &value))
                return false;
        switch (r->action) {
        case RELABEL_DROP:
                return !regex_matches(r->re, value);
        case RELABEL_KEEP:
                return regex_matches(r->re, value);
        case RELABEL_DROPEQUAL:
                return !str_eq(labels_builder_get(b, r->target_label), value);
        case RELABEL_KEEPEQUAL:
                return str_eq(labels_builder_get(b, r->target_label), value);
        case RELABEL_REPLACE:
                return replace(r, b, a, value);
        case RELABEL_LOWERCASE:
        case RELABEL_UPPERCASE: {
                struct buf text = BUF_INIT(a->limit_bytes);
                Str result;
                buf_put_case(&text, value, r->action == RELABEL_UPPERCASE);
                bool ok = keep_text(&text, a, &result);
                buf_done(&text);
                if (ok)
                        labels_builder_set(b, r->target_label, result);
                return ok;
        }
        case RELABEL_HASHMOD:
                return hash_mod(r, b, a, value);
        case RELABEL_LABELMAP:
                return label_map(r, b, a);
        case RELABEL_LABELDROP:
                label_filter(r, b, /* keep_matching= */ false);
                return true;
        case RELABEL_LABELKEEP:
                label_filter(r, b, /* keep_matching= */ true);
                return true;
        }
        bug("relabel action %d", (int)r->action);
}

bool relabel_process(const struct relabel_rule *rules, size_t n, struct labels_builder *b, struct arena *a)
{
        for (size_t i = 0; i < n; i++)
                if (!apply(&rules[i], b, a))
                        return false;
        return true;
}
