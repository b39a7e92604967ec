/* SPDX-License-Identifier: Apache-2.0 */
#include "app/command.h"

#include <stdio.h>
#include <sys/stat.h>

struct parse {
        const struct command_app *app;
        const struct command *at;       /* selected so far, NULL: none */
        VEC(struct flag) rows;          /* flags that hold here, then the arguments of at */
        size_t n_flags;
        struct given {
                size_t row;
                const char *text;
        } *given;
        size_t n_given;
        bool wants_help, wants_version;
};

static bool is_below(const char *path, const char *group)
{
        size_t n = strlen(group);
        return strncmp(path, group, n) == 0 && path[n] == ' ';
}

static bool is_group(const struct command_app *app, const struct command *c)
{
        for (size_t i = 0; i < app->n; i++) {
                if (is_below(app->commands[i].path, c->path))
                        return true;
        }
        return false;
}

static const struct command *child_find(const struct command_app *app, const struct command *at, const char *name)
{
        for (size_t i = 0; i < app->n; i++) {
                const char *path = app->commands[i].path;
                if (at && !is_below(path, at->path))
                        continue;
                if (strcmp(at ? path + strlen(at->path) + 1 : path, name) == 0)
                        return &app->commands[i];
        }
        return NULL;
}

static void command_enter(struct parse *p, const struct command *c)
{
        p->at = c;
        for (size_t i = 0; i < c->flags.n; i++)
                vec_push(&p->rows, c->flags.v[i]);
        p->n_flags = p->rows.n;
        if (!is_group(p->app, c)) {
                for (size_t i = 0; i < c->args.n; i++)
                        vec_push(&p->rows, c->args.v[i]);
        }
}

static void give(struct parse *p, size_t row, const char *text)
{
        p->given[p->n_given++] = (struct given){row, text};
}

/* One flag that starts at argv[*i]; takes its value from the next word if it needs one. */
static struct error *flag_take(struct parse *p, int argc, char **argv, int *i)
{
        const char *arg = argv[*i], *value = NULL;
        bool is_long = arg[1] == '-', negated = false;
        Str name = str_from(arg + (is_long ? 2 : 1)), head, tail;
        size_t row = p->n_flags;
        if (is_long) {
                if (str_cut(name, '=', &head, &tail)) {
                        name = head;
                        value = tail.p;
                }
                for (int pass = 0; pass < 2 && row == p->n_flags; pass++) {
                        negated = pass == 1;
                        if (negated && !str_has_prefix(name, STR("no-")))
                                break;
                        Str want = negated ? str_skip(name, 3) : name;
                        for (row = 0; row < p->n_flags; row++) {
                                if (str_eq(str_from(p->rows.p[row].name), want))
                                        break;
                        }
                }
        } else {
                for (row = 0; row < p->n_flags && p->rows.p[row].letter != arg[1]; row++)
                        ;
                if (arg[2])
                        value = arg + 2;
        }
        bool is_bool = row < p->n_flags && p->rows.p[row].type == FLAG_BOOL;
        if (row == p->n_flags || (negated && !is_bool))
                return is_long ? error_new(ERROR_INVALID, "unknown long flag '--" STR_FMT "'", STR_ARG(name))
                               : error_new(ERROR_INVALID, "unknown short flag '-%c'", arg[1]);
        if (is_bool) {
                if (value)
                        return error_new(ERROR_INVALID, "unexpected %s", value);
                give(p, row, negated ? "false" : "true");
                return NULL;
        }
        if (!value) {
                if (*i + 1 >= argc || (argv[*i + 1][0] == '-' && argv[*i + 1][1]))
                        return error_new(ERROR_INVALID, "expected argument for flag '%s'", arg);
                value = argv[++*i];
        }
        give(p, row, value);
        return NULL;
}

static struct error *words_read(struct parse *p, int argc, char **argv)
{
        bool only_args = false;
        size_t next_arg = 0;
        for (int i = 1; i < argc; i++) {
                const char *arg = argv[i];
                if (!only_args && strcmp(arg, "--") == 0) {
                        only_args = true;
                } else if (!only_args && (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)) {
                        p->wants_help = true;
                } else if (!only_args && strcmp(arg, "--version") == 0) {
                        p->wants_version = true;
                } else if (!only_args && arg[0] == '-' && arg[1]) {
                        struct error *e = flag_take(p, argc, argv, &i);
                        if (e)
                                return e;
                } else if (!p->at && strcmp(arg, "help") == 0) {
                        p->wants_help = true;
                } else if (!p->at || is_group(p->app, p->at)) {
                        const struct command *c = child_find(p->app, p->at, arg);
                        if (!c)
                                return error_new(ERROR_INVALID, "expected command but got \"%s\"", arg);
                        command_enter(p, c);
                } else {
                        if (next_arg == p->at->args.n)
                                return error_new(ERROR_INVALID, "unexpected %s", arg);
                        give(p, p->n_flags + next_arg, arg);
                        if (p->at->args.v[next_arg].type != FLAG_STRINGS)
                                next_arg++;
                }
        }
        return NULL;
}

static struct error *value_check(const struct flag *row, const char *text)
{
        if (row->bits & FLAG_FILE) {
                struct stat st;
                if (stat(text, &st) != 0)
                        return error_new(ERROR_INVALID, "path '%s' does not exist", text);
                if (S_ISDIR(st.st_mode))
                        return error_new(ERROR_INVALID, "'%s' is a directory", text);
        }
        if ((row->bits & FLAG_URL) && text[0] == ':')
                return error_new(ERROR_INVALID, "invalid URL: parse \"%s\": missing protocol scheme", text);
        if ((row->bits & FLAG_MAP) && !strpbrk(text, "=:"))
                return error_new(ERROR_INVALID, "expected KEY=VALUE got '%s'", text);
        return NULL;
}

static struct error *values_take(struct parse *p, struct flags *f)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && i < p->n_given; i++) {
                e = value_check(&p->rows.p[p->given[i].row], p->given[i].text);
                if (!e)
                        e = flags_take(f, p->given[i].row, p->given[i].text);
        }
        return e ? e : flags_defaults(f);
}

static struct error *required_check(const struct parse *p, const struct flags *f)
{
        struct buf missing = BUF_INIT(1 << 16);
        struct error *e = NULL;
        for (size_t i = 0; i < p->n_flags; i++) {
                if ((p->rows.p[i].bits & FLAG_REQUIRED) && !f->v[i].set)
                        buf_printf(&missing, "%s'--%s'", missing.n ? ", " : "", p->rows.p[i].name);
        }
        if (missing.n)
                e = error_new(ERROR_INVALID, "required flag(s) %s not provided", buf_cstr(&missing));
        for (size_t i = p->n_flags; !e && i < p->rows.n; i++) {
                if ((p->rows.p[i].bits & FLAG_REQUIRED) && !f->v[i].set)
                        e = error_new(ERROR_INVALID, "required argument '%s' not provided", p->rows.p[i].name);
        }
        buf_done(&missing);
        return e;
}

/* " --match=MATCH [<flags>] <server>" */
static void summary_put(struct buf *b, const struct command *c)
{
        bool optional = false;
        for (size_t i = 0; i < c->flags.n; i++) {
                const struct flag *row = &c->flags.v[i];
                optional = optional || !(row->bits & FLAG_REQUIRED);
                if (!(row->bits & FLAG_REQUIRED))
                        continue;
                buf_printf(b, " --%s=", row->name);
                for (const char *q = row->name; *q; q++)
                        buf_putc(b, (char)(*q >= 'a' && *q <= 'z' ? *q - 32 : *q));
        }
        if (optional)
                buf_puts(b, " [<flags>]");
        for (size_t i = 0; i < c->args.n; i++) {
                const struct flag *row = &c->args.v[i];
                bool required = row->bits & FLAG_REQUIRED;
                buf_printf(b, " %s<%s>%s%s", required ? "" : "[", row->name, row->type == FLAG_STRINGS ? "..." : "", required ? "" : "]");
        }
}

static void help_print(const struct parse *p, struct buf *b)
{
        enum { WIDTH = 80 };
        const struct command_app *app = p->app;
        const struct command *c = p->at;
        bool group = !c || is_group(app, c);
        buf_printf(b, "usage: %s", app->name);
        if (c) {
                buf_printf(b, " %s", c->path);
                summary_put(b, c);
        } else {
                buf_puts(b, " [<flags>]");
        }
        buf_puts(b, group ? " <command> [<args> ...]\n\n" : "\n\n");
        flags_print_wrapped(b, str_from(c ? c->what : app->what), WIDTH, 0);
        buf_puts(b, "\n\nFlags:\n");
        flags_print_rows(p->rows.p, p->n_flags, b);
        buf_puts(b, "\n");
        if (c && !group && c->args.n) {
                size_t column = 0;
                struct buf left = BUF_INIT(4096);
                buf_puts(b, "Args:\n");
                for (int pass = 0; pass < 2; pass++) {
                        for (size_t i = 0; i < c->args.n; i++) {
                                bool required = c->args.v[i].bits & FLAG_REQUIRED;
                                buf_clear(&left);
                                buf_printf(&left, required ? "<%s>" : "[<%s>]", c->args.v[i].name);
                                if (pass == 0)
                                        column = MAX(column, left.n);
                                else
                                        flags_print_two_columns(b, buf_cstr(&left), c->args.v[i].help, column);
                        }
                }
                buf_puts(b, "\n");
                buf_done(&left);
        }
        if (!group)
                return;
        buf_puts(b, c ? "Subcommands:\n" : "Commands:\n");
        if (!c)
                buf_puts(b, "help [<command>...]\n    Show help.\n\n");
        for (size_t i = 0; i < app->n; i++) {
                const struct command *sub = &app->commands[i];
                if ((c && !is_below(sub->path, c->path)) || is_group(app, sub))
                        continue;
                buf_puts(b, sub->path);
                summary_put(b, sub);
                buf_puts(b, "\n    ");
                flags_print_wrapped(b, str_from(sub->what), WIDTH - 4, 4);
                buf_puts(b, "\n");
        }
        buf_puts(b, "\n");
}

int command_main(const struct command_app *app, int argc, char **argv)
{
        struct parse p = {.app = app, .given = mem_zalloc(((size_t)argc + 1) * sizeof(struct given))};
        int code = 0;
        struct flags f = {0};
        struct flag_spec spec;
        for (size_t i = 0; i < app->flags.n; i++)
                vec_push(&p.rows, app->flags.v[i]);
        p.n_flags = p.rows.n;
        struct error *e = words_read(&p, argc, argv);
        if (e)
                goto out;
        struct buf text = BUF_INIT(1 << 20);
        if (p.wants_version || p.wants_help || !p.at) {
                if (p.wants_version)
                        buf_puts(&text, app->version);
                else
                        help_print(&p, &text);
                fputs(buf_cstr(&text), stdout);
                buf_done(&text);
                goto out;
        }
        spec = (struct flag_spec){app->name, app->what, app->version, p.rows.p, p.rows.n};
        flags_init(&f, &spec);
        e = values_take(&p, &f);
        if (!e && is_group(app, p.at))
                e = error_new(ERROR_INVALID, "must select a subcommand of '%s'", p.at->path);
        if (!e)
                e = required_check(&p, &f);
        if (!e && p.at->run)
                code = p.at->run(&f);
        else if (!e) {
                fprintf(stderr, "%s: error: %s is not supported yet\n", app->name, p.at->path);
                code = 1;
        }
out:
        if (e) {
                fprintf(stderr, "%s: error: %s, try --help\n", app->name, error_str(e));
                code = 1;
        }
        error_free(e);
        if (f.v)
                flags_done(&f);
        vec_done(&p.rows);
        free(p.given);
        return code;
}
