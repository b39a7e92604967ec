/* SPDX-License-Identifier: Apache-2.0 */
/* series.c — the labels of a sample, from the bytes that a grammar has accepted. */
#include <math.h>

#include "model/expo/grammar.h"

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == 0;
}

/* At an opening quote: what is inside, and *at behind the closing one. Null bytes behind it belong to a value's token,
 * whose last byte is then taken for the quote: upstream's oddity. A null byte between \ and what it escapes counts for
 * nothing. */
static Str quoted(const struct series_walk *w, size_t *at, bool value)
{
        size_t from = *at + 1, i = from;
        const char *close = memchr(w->s.p + from, '"', w->s.n - from);
        if (close && !memchr(w->s.p + from, '\\', (size_t)(close - w->s.p) - from))
                i = (size_t)(close - w->s.p);
        while (i < w->s.n && w->s.p[i] != '"') {
                if (w->s.p[i] == '\\')
                        do
                                i++;
                        while (i < w->s.n && w->s.p[i] == 0);
                i++;
        }
        if (i > w->s.n)
                i = w->s.n;
        size_t end = i < w->s.n ? i + 1 : i;
        while (value && end < w->s.n && w->s.p[end] == 0)
                end++;
        *at = end;
        return str_sub(w->s, from, end > from ? end - 1 : from);
}

enum series_part series_walk_next(struct series_walk *w, Str *ret_name, Str *ret_value)
{
        Str s = w->s;
        size_t i = w->at;
        if (i == 0) {
                while (i < s.n && is_blank(s.p[i]))
                        i++;
                if (i < s.n && s.p[i] != '{') {
                        while (i < s.n && expo_is(s.p[i], METRIC_REST))
                                i++;
                        *ret_name = str_sub(s, 0, i); /* with the blanks before it, as upstream */
                        w->at = i;
                        if (i == 0)
                                w->at = s.n; /* not a series that a grammar gives: nothing to walk */
                        return i ? SERIES_NAME : SERIES_END;
                }
        }
        while (i < s.n && (is_blank(s.p[i]) || s.p[i] == ',' || s.p[i] == '{'))
                i++;
        if (i >= s.n || s.p[i] == '}') {
                w->at = s.n;
                return SERIES_END;
        }
        if (s.p[i] == '"') {
                *ret_name = quoted(w, &i, /* value= */ false);
        } else {
                size_t from = i;
                while (i < s.n && expo_is(s.p[i], METRIC_REST))
                        i++;
                *ret_name = str_sub(s, from, i);
        }
        while (i < s.n && is_blank(s.p[i]))
                i++;
        if (i >= s.n || s.p[i] != '=') {
                w->at = i > w->at ? i : s.n;
                return SERIES_NAME;
        }
        i++;
        while (i < s.n && is_blank(s.p[i]))
                i++;
        *ret_value = i < s.n ? quoted(w, &i, /* value= */ true) : (Str){NULL, 0};
        w->at = i;
        return SERIES_LABEL;
}

static struct error *over(void)
{
        return error_new(ERROR_LIMIT, "labels of a scraped series do not fit the scrape's memory");
}

/* s without its escapes: s itself, or a text in the arena. */
static bool unescape(Str s, struct arena *a, Str *ret)
{
        *ret = s;
        if (s.n == 0 || !memchr(s.p, '\\', s.n))
                return true;
        char *p = arena_try_alloc(a, s.n);
        if (!p)
                return false;
        *ret = (Str){p, grammar_unescape(s, /* quotes= */ true, p)};
        return true;
}

/* A point, 1 to 6 digits before it and some behind, none in vain: what printing would give again. */
static bool is_normal(Str s)
{
        const char *point = s.n <= 15 ? memchr(s.p, '.', s.n) : NULL;
        if (!point)
                return str_eq(s, STR("+Inf"));
        size_t whole = (size_t)(point - s.p), part = s.n - whole - 1;
        for (size_t i = 0; i < s.n; i++)
                if (i != whole && !expo_is(s.p[i], DIGIT))
                        return false;
        if (whole == 0 || whole > 6 || part == 0 || (s.p[0] == '0' && whole > 1))
                return false;
        if (s.p[0] == '0' && part >= 4 && memcmp(point + 1, "0000", 4) == 0)
                return false;
        return part == 1 || s.p[s.n - 1] != '0';
}

size_t expo_number(double v, char ret[EXPO_NUMBER_MAX_BYTES])
{
        size_t n = float_print(v == 0 ? 0 : v, 'g', ret); /* no -0 */
        if (!isnan(v) && !isinf(v) && !memchr(ret, '.', n) && !memchr(ret, 'e', n)) {
                ret[n++] = '.';
                ret[n++] = '0';
        }
        return n;
}

static bool normalize(Str s, struct arena *a, Str *ret)
{
        double v;
        bool range = false;
        *ret = s;
        if (is_normal(s) || !float_parse(s, &v, &range) || range)
                return true;
        char text[EXPO_NUMBER_MAX_BYTES];
        size_t n = expo_number(v, text);
        if (n == s.n && memcmp(text, s.p, n) == 0)
                return true;
        char *p = arena_try_alloc(a, n);
        if (!p)
                return false;
        memcpy(p, text, n);
        *ret = (Str){p, n};
        return true;
}

struct error *expo_labels(const struct expo_parser *p, const struct expo_entry *x, struct arena *a, Labels *ret)
{
        if (x->has_labels) {
                *ret = x->labels;
                return NULL;
        }
        Str float_label = p->metric_type == METRIC_SUMMARY     ? STR("quantile")
                          : p->metric_type == METRIC_HISTOGRAM ? STR("le")
                                                               : (Str){NULL, 0};
        Label few[32], *v = few;
        size_t n = 0, cap = ARRAY_LEN(few);
        struct series_walk w = {.s = x->series, .at = 0};
        for (;;) {
                Str name, value;
                enum series_part part = series_walk_next(&w, &name, &value);
                if (part == SERIES_END)
                        break;
                Label l = {.name = STR(METRIC_NAME)};
                if (part == SERIES_NAME ? !unescape(name, a, &l.value)
                                        : !unescape(name, a, &l.name) || !unescape(value, a, &l.value))
                        return over();
                if (part == SERIES_LABEL && float_label.n && str_eq(l.name, float_label) &&
                    !normalize(l.value, a, &l.value))
                        return over();
                if (n == cap) {
                        Label *more = arena_try_alloc(a, 2 * cap * sizeof *v);
                        if (!more)
                                return over();
                        memcpy(more, v, n * sizeof *v);
                        v = more;
                        cap *= 2;
                }
                v[n++] = l;
        }
        labels_sort(v, n);
        if (v == few) {
                v = arena_try_alloc(a, n * sizeof *v);
                if (!v)
                        return over();
                if (n)
                        memcpy(v, few, n * sizeof *v);
        }
        *ret = (Labels){v, n};
        return NULL;
}

struct error *expo_exemplar_labels(const struct expo_entry *x, struct arena *a, Labels *ret)
{
        size_t cap = 0, n = 0;
        for (size_t i = 0; i < x->exemplar.n; i++)
                cap += x->exemplar.p[i] == '='; /* at least as many as there are labels */
        Label *v = arena_try_alloc(a, arena_array_bytes(cap, sizeof *v));
        if (!v)
                return over();
        struct series_walk w = {.s = x->exemplar, .at = 0};
        Str name, value;
        while (n < cap && series_walk_next(&w, &name, &value) == SERIES_LABEL)
                v[n++] = (Label){name, value};
        labels_sort(v, n);
        *ret = (Labels){v, n};
        return NULL;
}
