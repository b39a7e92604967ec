/* SPDX-License-Identifier: Apache-2.0 */
#include "app/flags.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "codec/float_text.h"
#include "model/duration.h"

static struct flag_value *value_of(const struct flags *f, const char *name)
{
        for (size_t i = 0; i < f->spec->n; i++) {
                if (strcmp(f->spec->table[i].name, name) == 0)
                        return &f->v[i];
        }
        bug("no flag is called %s", name);
}

void flags_init(struct flags *f, const struct flag_spec *spec)
{
        f->spec = spec;
        f->v = mem_zalloc(spec->n * sizeof *f->v);
}

void flags_done(struct flags *f)
{
        for (size_t i = 0; f->v && i < f->spec->n; i++) {
                for (size_t k = 0; k < f->v[i].list.n; k++)
                        free(f->v[i].list.p[k]);
                vec_done(&f->v[i].list);
                free(f->v[i].text);
        }
        free(f->v);
        f->v = NULL;
}

static bool is_choice(const char *choices, Str s)
{
        Str rest = str_from(choices), one;
        while (str_next(&rest, ',', &one)) {
                if (str_eq(one, s))
                        return true;
        }
        return false;
}

/* Go's strconv.ParseInt error text, which kingpin hands on. */
static struct error *int_parse(Str s, int64_t *ret)
{
        if (str_to_i64(s, ret))
                return NULL;
        double d;
        bool range = false;
        if (float_parse(s, &d, &range) && !range && d == floor(d) && fabs(d) < 9e18) {
                *ret = (int64_t)d;
                return NULL;
        }
        return error_new(ERROR_INVALID, "strconv.ParseFloat: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(s));
}

/* Go's time.ParseDuration: signed decimal numbers, each with a unit; "0" is fine without. */
static struct error *go_duration_parse(Str s, int64_t *ret_ns)
{
        static const struct {
                const char *name;
                double ns;
        } units[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
        Str rest = s;
        double total = 0;
        bool negative = false;
        if (rest.n && (rest.p[0] == '-' || rest.p[0] == '+')) {
                negative = rest.p[0] == '-';
                rest = str_skip(rest, 1);
        }
        if (str_eq(rest, STR("0"))) {
                *ret_ns = 0;
                return NULL;
        }
        if (rest.n == 0)
                goto bad;
        while (rest.n) {
                size_t n = 0;
                while (n < rest.n && ((rest.p[n] >= '0' && rest.p[n] <= '9') || rest.p[n] == '.'))
                        n++;
                size_t u = n;
                while (u < rest.n && !((rest.p[u] >= '0' && rest.p[u] <= '9') || rest.p[u] == '.'))
                        u++;
                double number, unit = 0;
                if (n == 0 || !float_parse_fast(str_sub(rest, 0, n), &number))
                        goto bad;
                for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                        if (str_eq(str_sub(rest, n, u), str_from(units[i].name)))
                                unit = units[i].ns;
                }
                if (u == n)
                        return error_new(ERROR_INVALID, "time: missing unit in duration \"" STR_FMT "\"", STR_ARG(s));
                if (unit == 0)
                        return error_new(ERROR_INVALID, "time: unknown unit \"" STR_FMT "\" in duration \"" STR_FMT "\"", STR_ARG(str_sub(rest, n, u)), STR_ARG(s));
                total += number * unit;
                rest = str_skip(rest, u);
        }
        if (total > 9.2e18)
                goto bad;
        *ret_ns = (int64_t)(negative ? -total : total);
        return NULL;
bad:
        return error_new(ERROR_INVALID, "time: invalid duration \"" STR_FMT "\"", STR_ARG(s));
}

/* text is what the user or the table says; the first value of a list given by the user replaces the default. */
static struct error *value_set(const struct flag *row, struct flag_value *v, const char *text)
{
        Str s = str_from(text);
        struct error *e = NULL;
        uint64_t bytes;
        bool range;
        switch (row->type) {
        case FLAG_STRING:
                break;
        case FLAG_STRINGS:
                vec_push(&v->list, mem_strdup(text));
                break;
        case FLAG_BOOL:
                v->i = strcmp(text, "true") == 0;
                break;
        case FLAG_INT:
                e = int_parse(s, &v->i);
                break;
        case FLAG_FLOAT:
                if (!float_parse(s, &v->d, &range))
                        e = error_new(ERROR_INVALID, "strconv.ParseFloat: parsing \"%s\": invalid syntax", text);
                break;
        case FLAG_DURATION:
                e = duration_parse(s, &v->i);
                break;
        case FLAG_GO_DURATION:
                e = go_duration_parse(s, &v->i);
                break;
        case FLAG_BYTES:
                e = size_parse(s, &bytes);
                if (!e)
                        v->i = (int64_t)bytes;
                break;
        case FLAG_ENUM:
                if (!is_choice(row->choices, s))
                        e = error_new(ERROR_INVALID, "enum value must be one of %s, got '%s'", row->choices, text);
                break;
        }
        if (e)
                return e;
        free(v->text);
        v->text = mem_strdup(text);
        return NULL;
}

struct given {
        size_t row;
        const char *text;
};
typedef VEC(struct given) GivenVec;

static ptrdiff_t row_find(const struct flags *f, Str name)
{
        for (size_t i = 0; i < f->spec->n; i++) {
                if (str_eq(str_from(f->spec->table[i].name), name))
                        return (ptrdiff_t)i;
        }
        return -1;
}

enum outcome { OUTCOME_FLAGS, OUTCOME_HELP, OUTCOME_VERSION };

/* What is said, in order, without judging values: unknown names and stray arguments come before all else. */
static struct error *tokens_read(const struct flags *f, int argc, char **argv, GivenVec *out, enum outcome *ret)
{
        *ret = OUTCOME_FLAGS;
        bool only_args = false;
        for (int i = 1; i < argc; i++) {
                const char *arg = argv[i];
                if (!only_args && strcmp(arg, "--") == 0) {
                        only_args = true;
                        continue;
                }
                if (!only_args && (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)) {
                        *ret = OUTCOME_HELP;
                        return NULL;
                }
                if (!only_args && strcmp(arg, "--version") == 0) {
                        *ret = OUTCOME_VERSION;
                        return NULL;
                }
                if (only_args || arg[0] != '-' || arg[1] == '\0')
                        return error_new(ERROR_INVALID, "unexpected %s", arg);
                if (arg[1] != '-')
                        return error_new(ERROR_INVALID, "unknown short flag '-%c'", arg[1]);
                Str name = str_from(arg + 2), head, tail;
                const char *value = NULL;
                if (str_cut(name, '=', &head, &tail)) {
                        name = head;
                        value = tail.p;
                }
                ptrdiff_t row = row_find(f, name);
                bool negated = false;
                if (row < 0 && str_has_prefix(name, STR("no-"))) {
                        row = row_find(f, str_skip(name, 3));
                        negated = true;
                }
                bool is_bool = row >= 0 && f->spec->table[row].type == FLAG_BOOL;
                if (row < 0 || (negated && !is_bool))
                        return error_new(ERROR_INVALID, "unknown long flag '--" STR_FMT "'", STR_ARG(name));
                if (is_bool) {
                        if (value)
                                return error_new(ERROR_INVALID, "unexpected %s", value);
                        value = negated ? "false" : "true";
                } else if (!value) {
                        if (i + 1 >= argc || (argv[i + 1][0] == '-' && argv[i + 1][1]))
                                return error_new(ERROR_INVALID, "expected argument for flag '--" STR_FMT "'", STR_ARG(name));
                        value = argv[++i];
                }
                vec_push(out, (struct given){(size_t)row, value});
        }
        return NULL;
}

struct error *flags_take(struct flags *f, size_t i, const char *text)
{
        const struct flag *row = &f->spec->table[i];
        struct flag_value *v = &f->v[i];
        if (v->set && row->type != FLAG_STRINGS)
                return error_new(ERROR_INVALID, "flag '%s' cannot be repeated", row->name);
        v->set = true;
        return value_set(row, v, text);
}

struct error *flags_defaults(struct flags *f)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && i < f->spec->n; i++) {
                if (!f->v[i].set && f->spec->table[i].fallback)
                        e = value_set(&f->spec->table[i], &f->v[i], f->spec->table[i].fallback);
        }
        return e;
}

bool flags_parse(struct flags *f, int argc, char **argv, int *ret_code)
{
        const struct flag_spec *spec = f->spec;
        GivenVec given = VEC_INIT;
        enum outcome what;
        bool ok = false;
        struct error *e = tokens_read(f, argc, argv, &given, &what);
        if (e) {
                fprintf(stderr, "Error parsing command line arguments: %s\n%s: error: %s\n", error_str(e), spec->name, error_str(e));
                *ret_code = 1;
                goto out;
        }
        struct buf text = BUF_INIT(1 << 20);
        if (what != OUTCOME_FLAGS) {
                if (what == OUTCOME_HELP)
                        flags_print_help(f, &text);
                else
                        buf_printf(&text, "%s\n", spec->version);
                fputs(buf_cstr(&text), stdout);
                buf_done(&text);
                *ret_code = 0;
                goto out;
        }
        for (size_t i = 0; !e && i < given.n; i++)
                e = flags_take(f, given.p[i].row, given.p[i].text);
        if (!e)
                e = flags_defaults(f);
        if (e) {
                flags_print_help(f, &text);
                fprintf(stderr, "Error parsing command line arguments: %s\n", error_str(e));
                fputs(buf_cstr(&text), stdout);
                buf_done(&text);
                *ret_code = 2;
                goto out;
        }
        ok = true;
out:
        error_free(e);
        vec_done(&given);
        return ok;
}

const char *flags_str(const struct flags *f, const char *name)
{
        const struct flag_value *v = value_of(f, name);
        return v->text ? v->text : "";
}

bool flags_bool(const struct flags *f, const char *name)
{
        return value_of(f, name)->i != 0;
}

int64_t flags_int(const struct flags *f, const char *name)
{
        return value_of(f, name)->i;
}

double flags_float(const struct flags *f, const char *name)
{
        return value_of(f, name)->d;
}

const char *const *flags_list(const struct flags *f, const char *name, size_t *ret_n)
{
        const struct flag_value *v = value_of(f, name);
        *ret_n = v->list.n;
        return (const char *const *)v->list.p;
}

bool flags_is_set(const struct flags *f, const char *name)
{
        return value_of(f, name)->set;
}

void flags_put_value(const struct flags *f, size_t row, struct buf *b)
{
        const struct flag_value *v = &f->v[row];
        switch (f->spec->table[row].type) {
        case FLAG_STRING:
        case FLAG_ENUM:
                buf_puts(b, v->text ? v->text : "");
                break;
        case FLAG_STRINGS:
                for (size_t i = 0; i < v->list.n; i++) {
                        if (i)
                                buf_putc(b, ',');
                        buf_puts(b, v->list.p[i]);
                }
                break;
        case FLAG_BOOL:
                buf_puts(b, v->i ? "true" : "false");
                break;
        case FLAG_INT:
                buf_put_i64(b, v->i);
                break;
        case FLAG_FLOAT:
                buf_put_float(b, v->d, 'g');
                break;
        case FLAG_DURATION:
                buf_put_duration(b, v->i);
                break;
        case FLAG_GO_DURATION:
                buf_put_go_duration(b, v->i);
                break;
        case FLAG_BYTES:
                buf_put_size(b, (uint64_t)v->i);
                break;
        }
}

/* Words of text in lines of at most width, the following ones indented. */
void flags_print_wrapped(struct buf *b, Str text, size_t width, size_t indent)
{
        size_t at = 0;
        Str word;
        while (str_next(&text, ' ', &word)) {
                if (word.n == 0)
                        continue;
                if (at && at + 1 + word.n > width) {
                        buf_printf(b, "\n%*s", (int)indent, "");
                        at = 0;
                }
                if (at) {
                        buf_putc(b, ' ');
                        at++;
                }
                buf_put(b, word);
                at += word.n;
        }
        buf_putc(b, '\n');
}

void flags_print_two_columns(struct buf *b, const char *left, const char *help, size_t column)
{
        enum { LINE_WIDTH = 80 };
        buf_printf(b, "  %-*s  ", (int)column, left);
        if (strlen(left) >= 30)
                buf_printf(b, "\n%*s", (int)column + 4, "");
        flags_print_wrapped(b, str_from(help), LINE_WIDTH - column - 4, column + 4);
}

static void flag_left(const struct flag *row, struct buf *b)
{
        buf_clear(b);
        if (row->letter)
                buf_printf(b, "-%c, ", row->letter);
        else
                buf_puts(b, "    ");
        buf_printf(b, "--%s%s", row->type == FLAG_BOOL ? "[no-]" : "", row->name);
        if (row->type != FLAG_BOOL) {
                if (row->placeholder) {
                        buf_printf(b, "=%s", row->placeholder);
                } else if (row->fallback) {
                        buf_printf(b, row->type == FLAG_STRING ? "=\"%s\"" : "=%s", row->fallback);
                } else {
                        buf_putc(b, '=');
                        for (const char *p = row->name; *p; p++)
                                buf_putc(b, (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p));
                }
        }
        if (row->type == FLAG_STRINGS)
                buf_puts(b, " ...");
}

void flags_print_rows(const struct flag *rows, size_t n, struct buf *b)
{
        static const char help_left[] = "-h, --[no-]help", version_left[] = "    --[no-]version";
        size_t column = sizeof version_left - 1;
        struct buf left = BUF_INIT(4096);
        for (size_t i = 0; i < n; i++) {
                flag_left(&rows[i], &left);
                if (!(rows[i].bits & FLAG_HIDDEN) && left.n < 30)
                        column = MAX(column, left.n);
        }
        flags_print_two_columns(b, help_left, "Show context-sensitive help (also try --help-long and --help-man).", column);
        flags_print_two_columns(b, version_left, "Show application version.", column);
        for (size_t i = 0; i < n; i++) {
                const struct flag *row = &rows[i];
                if (row->bits & FLAG_HIDDEN)
                        continue;
                flag_left(row, &left);
                struct buf help = BUF_INIT(1 << 16);
                buf_puts(&help, row->help);
                if (row->bits & FLAG_SERVER_ONLY)
                        buf_puts(&help, " Use with server mode only.");
                if (row->bits & FLAG_AGENT_ONLY)
                        buf_puts(&help, " Use with agent mode only.");
                flags_print_two_columns(b, buf_cstr(&left), buf_cstr(&help), column);
                buf_done(&help);
        }
        buf_done(&left);
}

void flags_print_help(const struct flags *f, struct buf *b)
{
        buf_printf(b, "usage: %s [<flags>]\n\n%s\n\n\nFlags:\n", f->spec->name, f->spec->what);
        flags_print_rows(f->spec->table, f->spec->n, b);
}
