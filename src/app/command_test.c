/* SPDX-License-Identifier: Apache-2.0 */
#include "app/command.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/test.h"

static char said[256];
static int leaf_run(const struct flags *f)
{
        size_t n;
        const char *const *files = flags_list(f, "files", &n);
        snprintf(said, sizeof said, "verbose=%d format=%s limit=%lld first=%s n=%zu last=%s", flags_bool(f, "verbose"), flags_str(f, "format"),
                 (long long)flags_int(f, "limit"), flags_str(f, "first"), n, n ? files[n - 1] : "");
        return 7;
}

static const struct flag globals[] = {{"verbose", "Say more.", FLAG_BOOL}};
static const struct flag group_flags[] = {{"format", "Form.", FLAG_ENUM, "a", .choices = "a,b", .letter = 'o'}};
static const struct flag leaf_flags[] = {{"limit", "How many.", FLAG_INT, "3"}, {"must", "Must be there.", FLAG_STRING, .bits = FLAG_REQUIRED}};
static const struct flag leaf_args[] = {{"first", "First.", FLAG_STRING, .bits = FLAG_REQUIRED}, {"files", "Others.", FLAG_STRINGS}};
static const struct command table[] = {
        {"group", "A group.", COMMAND_ROWS(group_flags), {NULL, 0}, NULL},
        {"group leaf", "A leaf.", COMMAND_ROWS(leaf_flags), COMMAND_ROWS(leaf_args), leaf_run},
        {"group later", "To come.", {NULL, 0}, {NULL, 0}, NULL},
};
static const struct command_app app = {"prog", "A program.", "prog 1\n", COMMAND_ROWS(globals), table, ARRAY_LEN(table)};

/* Runs with standard output and error in a file; returns the code. */
static int run(const char *line, Str *ret_output)
{
        static char text[8192];
        char *argv[16] = {"prog"}, copy[256], path[512];
        int argc = 1;
        said[0] = '\0';
        snprintf(copy, sizeof copy, "%s", line);
        for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
                argv[argc++] = word;
        snprintf(path, sizeof path, "%s/out", test_dir());
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), out, err;
        CHECK(fd >= 0);
        fflush(stdout);
        out = dup(1);
        err = dup(2);
        dup2(fd, 1);
        dup2(fd, 2);
        int code = command_main(&app, argc, argv);
        fflush(stdout);
        dup2(out, 1);
        dup2(err, 2);
        close(out);
        close(err);
        ssize_t n = pread(fd, text, sizeof text, 0);
        close(fd);
        *ret_output = (Str){text, n > 0 ? (size_t)n : 0};
        return code;
}

static void check_runs(const char *line, const char *want)
{
        Str out;
        CHECK_I64(run(line, &out), 7);
        CHECK_STR(str_from(said), want);
}

TEST(command, gives_flags_of_all_levels_and_arguments)
{
        check_runs("group leaf --must=x one", "verbose=0 format=a limit=3 first=one n=0 last=");
        check_runs("--verbose group -o b leaf one two --must x --limit=5 three", "verbose=1 format=b limit=5 first=one n=2 last=three");
        check_runs("group leaf -ob --no-verbose --must=x -- --one -2", "verbose=0 format=b limit=3 first=--one n=1 last=-2");
}

static void check_error(const char *line, const char *want)
{
        Str out;
        CHECK_I64(run(line, &out), 1);
        CHECK_STR(str_trim(out), want);
        CHECK_STR(str_from(said), "");
}

TEST(command, says_what_is_wrong)
{
        check_error("nosuch", "prog: error: expected command but got \"nosuch\", try --help");
        check_error("group", "prog: error: must select a subcommand of 'group', try --help");
        check_error("group leaf one", "prog: error: required flag(s) '--must' not provided, try --help");
        check_error("group leaf --must=x", "prog: error: required argument 'first' not provided, try --help");
        check_error("--limit=3 group leaf", "prog: error: unknown long flag '--limit', try --help");
        check_error("group -x leaf", "prog: error: unknown short flag '-x', try --help");
        check_error("group --format=c leaf --must=x one", "prog: error: enum value must be one of a,b, got 'c', try --help");
        check_error("group leaf --must", "prog: error: expected argument for flag '--must', try --help");
        check_error("group leaf --must=x --must=y one", "prog: error: flag 'must' cannot be repeated, try --help");
        check_error("group later one", "prog: error: unexpected one, try --help");
        check_error("group later", "prog: error: group later is not supported yet");
}

TEST(command, prints_help_of_where_it_stands)
{
        Str out;
        CHECK_I64(run("", &out), 0);
        CHECK(str_has_prefix(out, STR("usage: prog [<flags>] <command> [<args> ...]\n\nA program.\n\n\nFlags:\n")));
        CHECK(str_contains(out, STR("group leaf --must=MUST [<flags>] <first> [<files>...]\n    A leaf.\n")));
        CHECK_I64(run("group leaf --help", &out), 0);
        CHECK(str_has_prefix(out, STR("usage: prog group leaf --must=MUST [<flags>] <first> [<files>...]\n\nA leaf.\n")));
        CHECK(str_contains(out, STR("  -o, --format=a      Form.\n")));
        CHECK(str_contains(out, STR("Args:\n  <first>    First.\n  [<files>]  Others.\n")));
        CHECK_I64(run("--version", &out), 0);
        CHECK_STR(out, "prog 1\n");
}
