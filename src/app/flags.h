/* SPDX-License-Identifier: Apache-2.0 */
/* flags.h — command lines as the originals parse them (kingpin): a table of flags, --x=v, --x v, --x, --no-x, repeated lists, -h.
 *
 *   static const struct flag table[] = {{.name = "config.file", .help = "…", .type = FLAG_STRING, .fallback = "prometheus.yml", .at = …}, …};
 *   struct flags f;
 *   flags_init(&f, &spec);
 *   int code;
 *   if (!flags_parse(&f, argc, argv, &code)) return code;           help, version, errors: printed already
 *   opts.config_file = flags_str(&f, "config.file");
 *
 * Values are kept by the flag's index; getters name the flag, and an unknown name is a bug. Unknown flags and stray arguments end with exit
 * code 1, values that do not parse with 2, as kingpin in the original ends. Threads: one owner, then constant.
 * Upstream: github.com/alecthomas/kingpin v2, cmd/prometheus/main.go */
#ifndef APP_FLAGS_H
#define APP_FLAGS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"

enum flag_type {
        FLAG_STRING,
        FLAG_STRINGS,           /* repeated */
        FLAG_BOOL,
        FLAG_INT,               /* 64 bits; what Go's ParseFloat makes a whole number of is taken too (5e7) */
        FLAG_FLOAT,
        FLAG_DURATION,          /* Prometheus': 1d2h */
        FLAG_GO_DURATION,       /* Go's: 1h30m, 2.5ms */
        FLAG_BYTES,             /* 512MB, powers of two */
        FLAG_ENUM,
};
enum flag_bits {
        FLAG_HIDDEN = 1,
        FLAG_SERVER_ONLY = 2,   /* Prometheus: refused with --agent */
        FLAG_AGENT_ONLY = 4,
        /* of command.h's sub-commands: */
        FLAG_REQUIRED = 8,
        FLAG_FILE = 16,         /* names a file that must exist */
        FLAG_URL = 32,
        FLAG_MAP = 64,          /* FLAG_STRINGS of KEY=VALUE */
};
struct flag {
        const char *name, *help;
        enum flag_type type;
        const char *fallback;           /* default as text; NULL: none (empty, 0, false) */
        const char *placeholder;        /* NULL: the default, quoted, as kingpin shows it */
        const char *choices;            /* FLAG_ENUM: "debug,info" */
        unsigned bits;
        char letter;                    /* -x; 0: none */
};
struct flag_spec {
        const char *name;               /* of the program in messages: "prometheus" */
        const char *what;               /* one line under the usage */
        const char *version;            /* text of --version */
        const struct flag *table;
        size_t n;
};
struct flag_value {
        bool set;                       /* given on the command line */
        char *text;                     /* owned; last value as written */
        int64_t i;                      /* bool, int, duration in ms, Go duration in ns, bytes */
        double d;
        VEC(char *) list;
};
struct flags {
        const struct flag_spec *spec;
        struct flag_value *v;           /* one for each row */
};

void flags_init(struct flags *f, const struct flag_spec *spec);
void flags_done(struct flags *f);
/* False: the caller returns *ret_code. */
bool flags_parse(struct flags *f, int argc, char **argv, int *ret_code);
const char *flags_str(const struct flags *f, const char *name);                /* "" when there is none */
bool flags_bool(const struct flags *f, const char *name);
int64_t flags_int(const struct flags *f, const char *name);                    /* also durations and bytes, in the units above */
double flags_float(const struct flags *f, const char *name);
const char *const *flags_list(const struct flags *f, const char *name, size_t *ret_n);
bool flags_is_set(const struct flags *f, const char *name);
/* The value as /api/v1/status/flags shows it. */
void flags_put_value(const struct flags *f, size_t row, struct buf *b);
void flags_print_help(const struct flags *f, struct buf *b);

/* For command.c: takes one value and judges it; fills in the defaults of those that were not given; rows of a help page with the given
 * heading rows for help and version. */
struct error *flags_take(struct flags *f, size_t row, const char *text) MUST_CHECK;
struct error *flags_defaults(struct flags *f) MUST_CHECK;
void flags_print_rows(const struct flag *rows, size_t n, struct buf *b);
void flags_print_two_columns(struct buf *b, const char *left, const char *help, size_t column);
void flags_print_wrapped(struct buf *b, Str text, size_t width, size_t indent);

#endif
