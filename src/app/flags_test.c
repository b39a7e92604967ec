/* SPDX-License-Identifier: Apache-2.0 */
#include "app/flags.h"

#include <stdio.h>
#include <unistd.h>

#include "base/test.h"

static const struct flag table[] = {
        {"config.file", "The file.", FLAG_STRING, "prometheus.yml"},
        {"web.listen-address", "Addresses.", FLAG_STRINGS, "0.0.0.0:9090"},
        {"web.enable-lifecycle", "Lifecycle.", FLAG_BOOL, "false"},
        {"query.timeout", "Time.", FLAG_DURATION, "2m"},
        {"query.max-samples", "Samples.", FLAG_INT, "5e7"},
        {"scrape.timestamp-tolerance", "Tolerance.", FLAG_GO_DURATION, "2ms", .bits = FLAG_HIDDEN},
        {"storage.tsdb.retention.size", "Size.", FLAG_BYTES, NULL},
        {"log.level", "Level.", FLAG_ENUM, "info", .choices = "debug,info"},
};
static const struct flag_spec spec = {.name = "prog", .what = "A program.", .version = "prog 1", .table = table, .n = ARRAY_LEN(table)};

/* Parses with standard streams sent away: what is printed is checked end to end. */
static bool parse(struct flags *f, int *code, const char *const *args)
{
        char *argv[8] = {"prog"};
        int argc = 1;
        for (; args[argc - 1]; argc++)
                argv[argc] = (char *)args[argc - 1];
        flags_init(f, &spec);
        fflush(stdout);
        fflush(stderr);
        int out = dup(1), err = dup(2);
        CHECK(freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr));
        bool ok = flags_parse(f, argc, argv, code);
        fflush(stdout);
        fflush(stderr);
        dup2(out, 1);
        dup2(err, 2);
        close(out);
        close(err);
        return ok;
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void code_case(int want, const char *const *args)
{
        struct flags f;
        int code = -1;
        CHECK_MSG(!parse(&f, &code, args), "taken: %s", args[0]);
        CHECK_I64(code, want);
        flags_done(&f);
}

TEST(flags_parse, ends_as_kingpin_does)
{
        code_case(1, ARGS("--nope"));
        code_case(1, ARGS("stray"));
        code_case(1, ARGS("--web.enable-lifecycle=true"));
        code_case(1, ARGS("--no-config.file"));
        code_case(1, ARGS("--config.file"));
        code_case(1, ARGS("-x"));
        code_case(2, ARGS("--query.timeout=abc"));
        code_case(2, ARGS("--query.max-samples=1.5"));
        code_case(2, ARGS("--log.level=loud"));
        code_case(2, ARGS("--config.file=a", "--config.file=b"));
        code_case(0, ARGS("--help"));
        code_case(0, ARGS("-h"));
        code_case(0, ARGS("--version"));
}

TEST(flags_parse, takes_values_in_every_form)
{
        struct flags f;
        int code;
        CHECK(parse(&f, &code, ARGS("--config.file", "x.yml", "--web.listen-address=:1", "--web.listen-address=:2", "--web.enable-lifecycle", "--storage.tsdb.retention.size=1GB")));
        CHECK_STR(str_from(flags_str(&f, "config.file")), "x.yml");
        size_t n;
        const char *const *l = flags_list(&f, "web.listen-address", &n);
        CHECK_U64(n, 2);
        CHECK_STR(str_from(l[1]), ":2");
        CHECK(flags_bool(&f, "web.enable-lifecycle"));
        CHECK_I64(flags_int(&f, "query.timeout"), 120000);
        CHECK_I64(flags_int(&f, "query.max-samples"), 50000000);
        CHECK_I64(flags_int(&f, "scrape.timestamp-tolerance"), 2000000);
        CHECK_I64(flags_int(&f, "storage.tsdb.retention.size"), 1 << 30);
        flags_done(&f);
        CHECK(parse(&f, &code, ARGS("--no-web.enable-lifecycle")));
        CHECK(!flags_bool(&f, "web.enable-lifecycle") && flags_is_set(&f, "web.enable-lifecycle"));
        CHECK(!flags_is_set(&f, "config.file"));
        flags_done(&f);
}

static void value_case(const struct flags *f, size_t row, const char *want)
{
        struct buf b = BUF_INIT(1024);
        flags_put_value(f, row, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(flags_put_value, shows_what_the_api_shows)
{
        struct flags f;
        int code;
        CHECK(parse(&f, &code, ARGS("--query.timeout=90s")));
        value_case(&f, 1, "0.0.0.0:9090");
        value_case(&f, 2, "false");
        value_case(&f, 3, "1m30s");
        value_case(&f, 4, "50000000");
        value_case(&f, 5, "2ms");
        value_case(&f, 6, "0B");
        flags_done(&f);
}

TEST(flags_print_help, has_two_columns_and_hides_what_is_hidden)
{
        struct flags f;
        flags_init(&f, &spec);
        struct buf b = BUF_INIT(1 << 16);
        flags_print_help(&f, &b);
        CHECK(str_contains(buf_str(&b), STR("usage: prog [<flags>]\n\nA program.\n\n\nFlags:\n  -h, --[no-]help")));
        CHECK(str_contains(buf_str(&b), STR("      --config.file=\"prometheus.yml\"  \n")));
        CHECK(str_contains(buf_str(&b), STR("      --log.level=info")));
        CHECK(!str_contains(buf_str(&b), STR("timestamp-tolerance")));
        buf_done(&b);
        flags_done(&f);
}
