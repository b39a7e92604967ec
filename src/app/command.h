/* SPDX-License-Identifier: Apache-2.0 */
/* command.h — a program with sub-commands, as the originals' kingpin parses them: flags and arguments of each, in tables.
 *
 *   static const struct command table[] = {{"query", "…", COMMAND_ROWS(query_flags), {NULL, 0}, NULL},
 *                                          {"query instant", "…", COMMAND_ROWS(instant_flags), COMMAND_ROWS(instant_args), instant_run}, …};
 *   return command_main(&(struct command_app){"promtool", "…", version, COMMAND_ROWS(flags), table, ARRAY_LEN(table)}, argc, argv);
 *
 * A path that others go on from is a group: its flags hold for all of them. run() reads flags and arguments by name from one struct flags
 * (flags_str(f, "time"), flags_list(f, "rule-files", &n)) and returns the exit code. What the command line does wrong ends with code 1 and
 * "promtool: error: …, try --help".  Threads: one.  Upstream: github.com/alecthomas/kingpin v2 */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "app/flags.h"

struct command_rows {
        const struct flag *v;
        size_t n;
};
#define COMMAND_ROWS(table) {(table), ARRAY_LEN(table)}
struct command {
        const char *path;               /* "tsdb create-blocks-from rules" */
        const char *what;
        struct command_rows flags;
        struct command_rows args;       /* in order; FLAG_REQUIRED or not; FLAG_STRINGS takes all that are left */
        int (*run)(const struct flags *f);      /* NULL in a group; else NULL: refused, "… is not supported yet" */
};
struct command_app {
        const char *name, *what, *version;
        struct command_rows flags;
        const struct command *commands; /* groups before what they hold */
        size_t n;
};
int command_main(const struct command_app *app, int argc, char **argv);

#endif
