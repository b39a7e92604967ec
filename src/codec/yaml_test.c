/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/yaml.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/test.h"

/* What go-yaml v2.4 says, strictly; NULL: it is fine. */
static const struct {
        const char *text, *error;
} verdicts[] = {
        /* clang-format off */
{"a: 1\nb: [1, 2", "yaml: line 2: did not find expected ',' or ']'"},
{"a: b: c", "yaml: mapping values are not allowed in this context"},
{"a:\n\tb: 1", "yaml: line 2: found character that cannot start any token"},
{"- a\nb: 1", "yaml: line 1: did not find expected '-' indicator"},
{"a: 'x", "yaml: found unexpected end of stream"},
{"a: \"x\\q\"", "yaml: found unknown escape character"},
{"{a: 1", "yaml: line 1: did not find expected ',' or '}'"},
{"a: 1\n b: 2", "yaml: line 2: mapping values are not allowed in this context"},
{"key: [a, b]]", "yaml: did not find expected key"},
{"&a", NULL},
{"a: *b", "yaml: unknown anchor 'b' referenced"},
{"a: *a", "yaml: unknown anchor 'a' referenced"},
{"a: &x [*x]", "yaml: anchor 'x' value contains itself"},
{"a: 1\nb: 2\na: 3", "yaml: unmarshal errors:\n  line 3: key \"a\" already set in map"},
{"a: {b: 1, b: 2}\n", "yaml: unmarshal errors:\n  line 1: key \"b\" already set in map"},
{"a: \001", "yaml: control characters are not allowed"},
{"a: \377", "yaml: invalid leading UTF-8 octet"},
{"%YAML 2.0\n---\na", "yaml: found incompatible YAML document"},
{"--- a\n--- b", NULL},
{"a: |\n  x\n y", "yaml: line 2: did not find expected key"},
{"@x", "yaml: found character that cannot start any token"},
{"`x", "yaml: found character that cannot start any token"},
{"a: %x", "yaml: found character that cannot start any token"},
{"a: &a b\nc: *a\n", NULL},
{"x: &m {a: 1, b: 2}\ny:\n  <<: *m\n  c: 3\n", NULL},
{"y:\n  <<: 1\n", "yaml: map merge requires map or sequence of maps as the value"},
{"y:\n  <<: [1]\n", "yaml: map merge requires map or sequence of maps as the value"},
{"", NULL},
{"# only\n", NULL},
{"\? a\n: b\n", NULL},
{"[a, b: c]", NULL},
{"a:\n  - b\n - c\n", "yaml: line 2: did not find expected key"},
{"a: b\n  c: d\n", "yaml: line 2: mapping values are not allowed in this context"},
{"!!str a: !!int 5", NULL},
{"\"a\":b", NULL},
{"a: >x\n  b", "yaml: did not find expected comment or line break"},
{"- - - a", NULL},
{"a: 'it''s'\nb: \"\\u00e9\\n\"", NULL},
{"a: {\nb: 1\n", "yaml: line 2: did not find expected ',' or '}'"},
{"a: [1,\n2\nb: 3", "yaml: line 2: did not find expected ',' or ']'"},
{"x: y: z\n", "yaml: mapping values are not allowed in this context"},
{"a\nb: c\n", "yaml: line 2: mapping values are not allowed in this context"},
{"a: b\nc\n", "yaml: line 3: could not find expected ':'"},
{"a: \"b\nc: d\n", "yaml: line 3: found unexpected end of stream"},
{"\ta: b", "yaml: found character that cannot start any token"},
{"a: - b", "yaml: block sequence entries are not allowed in this context"},
{"- a: 1\n   b: 2", "yaml: line 2: mapping values are not allowed in this context"},
{"a: !<x y", "yaml: did not find the expected '>'"},
{"a: &", "yaml: did not find expected alphabetic or numeric character"},
{"key: value\n  - x\n", NULL},
{"a: *unknown\n", "yaml: unknown anchor 'unknown' referenced"},
{"a: 1\n---\nb: [", NULL},
{"a:\n- b\n-c\n", "yaml: line 4: could not find expected ':'"},
{"a: ,\n", "yaml: did not find expected node content"},
{"}", "yaml: did not find expected node content"},
{"a: ]\n", "yaml: did not find expected node content"},
{"{a, b: c}", NULL},
{"a: |9\n  x", "yaml: line 1: did not find expected key"},
{"a: |0\n x", "yaml: found an indentation indicator equal to 0"},
{"a: \"\\xZZ\"", "yaml: did not find expected hexdecimal number"},
{"%FOO\n---\na: b", "yaml: found unknown directive name"},
{"%\n---\n", "yaml: could not find expected directive name"},
{"a: b: c: d\n", "yaml: mapping values are not allowed in this context"},
{"a:\n b: 1\n  c: 2\n", "yaml: line 3: mapping values are not allowed in this context"},
{"a: !!x!!y z", NULL},
        /* clang-format on */
};

TEST(yaml_parse, accepts_and_refuses_with_go_yamls_texts)
{
        int wrong = 0;
        for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
                struct arena a;
                arena_init(&a, 1 << 20);
                struct yaml *y;
                struct error *e = yaml_parse(str_from(verdicts[i].text), &a, &y);
                if (strcmp(error_str(e), verdicts[i].error ? verdicts[i].error : "") != 0) {
                        fprintf(stderr, "%s: got \"%s\", want \"%s\"\n", verdicts[i].text, error_str(e),
                                verdicts[i].error);
                        wrong++;
                }
                error_free(e);
                arena_done(&a);
        }
        CHECK_I64(wrong, 0);
}

/* What go-yaml v2.4 writes after "key: ", after "key: " one mapping deeper, after "- key: ", and after "- ". */
static const struct {
        const char *text, *out[4];
} scalars[] = {
        /* clang-format off */
{"", {"\"\"\n", "\"\"\n", "\"\"\n", "\"\"\n"}},
{"a", {"a\n", "a\n", "a\n", "a\n"}},
{"true", {"\"true\"\n", "\"true\"\n", "\"true\"\n", "\"true\"\n"}},
{"y", {"\"y\"\n", "\"y\"\n", "\"y\"\n", "\"y\"\n"}},
{"Yes", {"\"Yes\"\n", "\"Yes\"\n", "\"Yes\"\n", "\"Yes\"\n"}},
{"null", {"\"null\"\n", "\"null\"\n", "\"null\"\n", "\"null\"\n"}},
{"~", {"\"~\"\n", "\"~\"\n", "\"~\"\n", "\"~\"\n"}},
{"1", {"\"1\"\n", "\"1\"\n", "\"1\"\n", "\"1\"\n"}},
{"1.5", {"\"1.5\"\n", "\"1.5\"\n", "\"1.5\"\n", "\"1.5\"\n"}},
{"1e3", {"\"1e3\"\n", "\"1e3\"\n", "\"1e3\"\n", "\"1e3\"\n"}},
{"-1", {"\"-1\"\n", "\"-1\"\n", "\"-1\"\n", "\"-1\"\n"}},
{"0x1f", {"\"0x1f\"\n", "\"0x1f\"\n", "\"0x1f\"\n", "\"0x1f\"\n"}},
{"0b1", {"\"0b1\"\n", "\"0b1\"\n", "\"0b1\"\n", "\"0b1\"\n"}},
{"08", {"\"08\"\n", "\"08\"\n", "\"08\"\n", "\"08\"\n"}},
{"1_000", {"\"1_000\"\n", "\"1_000\"\n", "\"1_000\"\n", "\"1_000\"\n"}},
{"1:20", {"\"1:20\"\n", "\"1:20\"\n", "\"1:20\"\n", "\"1:20\"\n"}},
{"1:20:30.5", {"\"1:20:30.5\"\n", "\"1:20:30.5\"\n", "\"1:20:30.5\"\n", "\"1:20:30.5\"\n"}},
{"1m", {"1m\n", "1m\n", "1m\n", "1m\n"}},
{"5m30s", {"5m30s\n", "5m30s\n", "5m30s\n", "5m30s\n"}},
{"2020-01-01", {"\"2020-01-01\"\n", "\"2020-01-01\"\n", "\"2020-01-01\"\n", "\"2020-01-01\"\n"}},
{"2020-13-01", {"2020-13-01\n", "2020-13-01\n", "2020-13-01\n", "2020-13-01\n"}},
{"2001-12-14T21:59:43Z", {"\"2001-12-14T21:59:43Z\"\n", "\"2001-12-14T21:59:43Z\"\n", "\"2001-12-14T21:59:43Z\"\n", "\"2001-12-14T21:59:43Z\"\n"}},
{"2001-12-14 21:59:43", {"\"2001-12-14 21:59:43\"\n", "\"2001-12-14 21:59:43\"\n", "\"2001-12-14 21:59:43\"\n", "\"2001-12-14 21:59:43\"\n"}},
{"2001-12-14 21:59:43.1", {"\"2001-12-14 21:59:43.1\"\n", "\"2001-12-14 21:59:43.1\"\n", "\"2001-12-14 21:59:43.1\"\n", "\"2001-12-14 21:59:43.1\"\n"}},
{".inf", {"\".inf\"\n", "\".inf\"\n", "\".inf\"\n", "\".inf\"\n"}},
{"-.inf", {"\"-.inf\"\n", "\"-.inf\"\n", "\"-.inf\"\n", "\"-.inf\"\n"}},
{".5", {"\".5\"\n", "\".5\"\n", "\".5\"\n", "\".5\"\n"}},
{".nan", {"\".nan\"\n", "\".nan\"\n", "\".nan\"\n", "\".nan\"\n"}},
{"<<", {"<<\n", "<<\n", "<<\n", "<<\n"}},
{"=", {"=\n", "=\n", "=\n", "=\n"}},
{"foo: bar", {"'foo: bar'\n", "'foo: bar'\n", "'foo: bar'\n", "'foo: bar'\n"}},
{"foo #bar", {"'foo #bar'\n", "'foo #bar'\n", "'foo #bar'\n", "'foo #bar'\n"}},
{"#x", {"'#x'\n", "'#x'\n", "'#x'\n", "'#x'\n"}},
{"- a", {"'- a'\n", "'- a'\n", "'- a'\n", "'- a'\n"}},
{"-", {"'-'\n", "'-'\n", "'-'\n", "'-'\n"}},
{"-a", {"-a\n", "-a\n", "-a\n", "-a\n"}},
{"\?x", {"\?x\n", "\?x\n", "\?x\n", "\?x\n"}},
{"\? x", {"'\? x'\n", "'\? x'\n", "'\? x'\n", "'\? x'\n"}},
{":x", {":x\n", ":x\n", ":x\n", ":x\n"}},
{"a:", {"'a:'\n", "'a:'\n", "'a:'\n", "'a:'\n"}},
{"a: b", {"'a: b'\n", "'a: b'\n", "'a: b'\n", "'a: b'\n"}},
{"[a]", {"'[a]'\n", "'[a]'\n", "'[a]'\n", "'[a]'\n"}},
{"{a}", {"'{a}'\n", "'{a}'\n", "'{a}'\n", "'{a}'\n"}},
{"a,b", {"a,b\n", "a,b\n", "a,b\n", "a,b\n"}},
{"&a", {"'&a'\n", "'&a'\n", "'&a'\n", "'&a'\n"}},
{"*a", {"'*a'\n", "'*a'\n", "'*a'\n", "'*a'\n"}},
{"!a", {"'!a'\n", "'!a'\n", "'!a'\n", "'!a'\n"}},
{"|", {"'|'\n", "'|'\n", "'|'\n", "'|'\n"}},
{"> x", {"'> x'\n", "'> x'\n", "'> x'\n", "'> x'\n"}},
{"'q'", {"'''q'''\n", "'''q'''\n", "'''q'''\n", "'''q'''\n"}},
{"\"q\"", {"'\"q\"'\n", "'\"q\"'\n", "'\"q\"'\n", "'\"q\"'\n"}},
{"%x", {"'%x'\n", "'%x'\n", "'%x'\n", "'%x'\n"}},
{"@x", {"'@x'\n", "'@x'\n", "'@x'\n", "'@x'\n"}},
{"`x`", {"'`x`'\n", "'`x`'\n", "'`x`'\n", "'`x`'\n"}},
{" lead", {"' lead'\n", "' lead'\n", "' lead'\n", "' lead'\n"}},
{"trail ", {"'trail '\n", "'trail '\n", "'trail '\n", "'trail '\n"}},
{"a\tb", {"\"a\\tb\"\n", "\"a\\tb\"\n", "\"a\\tb\"\n", "\"a\\tb\"\n"}},
{"a\nb", {"|-\n  a\n  b\n", "|-\n    a\n    b\n", "|-\n    a\n    b\n", "|-\n  a\n  b\n"}},
{"a\nb\n", {"|\n  a\n  b\n", "|\n    a\n    b\n", "|\n    a\n    b\n", "|\n  a\n  b\n"}},
{"a\n\n", {"|+\n  a\n\n", "|+\n    a\n\n", "|+\n    a\n\n", "|+\n  a\n\n"}},
{"\n", {"|2+\n\n", "|2+\n\n", "|2+\n\n", "|2+\n\n"}},
{"\na", {"|2-\n\n  a\n", "|2-\n\n    a\n", "|2-\n\n    a\n", "|2-\n\n  a\n"}},
{" a\nb", {"|2-\n   a\n  b\n", "|2-\n     a\n    b\n", "|2-\n     a\n    b\n", "|2-\n   a\n  b\n"}},
{"\303\251\344\270\226\360\237\230\200", {"\"\303\251\344\270\226\\U0001F600\"\n", "\"\303\251\344\270\226\\U0001F600\"\n", "\"\303\251\344\270\226\\U0001F600\"\n", "\"\303\251\344\270\226\\U0001F600\"\n"}},
{"\001", {"\"\\x01\"\n", "\"\\x01\"\n", "\"\\x01\"\n", "\"\\x01\"\n"}},
{"\302\240", {"\302\240\n", "\302\240\n", "\302\240\n", "\302\240\n"}},
{"\342\200\250x", {"'\342\200\250  x'\n", "'\342\200\250    x'\n", "'\342\200\250    x'\n", "'\342\200\250  x'\n"}},
{"\357\273\277", {"\"\\uFEFF\"\n", "\"\\uFEFF\"\n", "\"\\uFEFF\"\n", "\"\\uFEFF\"\n"}},
{"a\\b", {"a\\b\n", "a\\b\n", "a\\b\n", "a\\b\n"}},
{"it's", {"it's\n", "it's\n", "it's\n", "it's\n"}},
{"--- a", {"'--- a'\n", "'--- a'\n", "'--- a'\n", "'--- a'\n"}},
{"---", {"'---'\n", "'---'\n", "'---'\n", "'---'\n"}},
{"...", {"'...'\n", "'...'\n", "'...'\n", "'...'\n"}},
{"...x", {"'...x'\n", "'...x'\n", "'...x'\n", "'...x'\n"}},
{"http://x:80/path", {"http://x:80/path\n", "http://x:80/path\n", "http://x:80/path\n", "http://x:80/path\n"}},
{"$1", {"$1\n", "$1\n", "$1\n", "$1\n"}},
{"(.*);(.+)", {"(.*);(.+)\n", "(.*);(.+)\n", "(.*);(.+)\n", "(.*);(.+)\n"}},
{"^(\?:a|b)$", {"^(\?:a|b)$\n", "^(\?:a|b)$\n", "^(\?:a|b)$\n", "^(\?:a|b)$\n"}},
{"__name__", {"__name__\n", "__name__\n", "__name__\n", "__name__\n"}},
{"[a-z]+", {"'[a-z]+'\n", "'[a-z]+'\n", "'[a-z]+'\n", "'[a-z]+'\n"}},
{"a b", {"a b\n", "a b\n", "a b\n", "a b\n"}},
{"0", {"\"0\"\n", "\"0\"\n", "\"0\"\n", "\"0\"\n"}},
{"+1", {"\"+1\"\n", "\"+1\"\n", "\"+1\"\n", "\"+1\"\n"}},
{"-0", {"\"-0\"\n", "\"-0\"\n", "\"-0\"\n", "\"-0\"\n"}},
{"+", {"+\n", "+\n", "+\n", "+\n"}},
{"1e", {"1e\n", "1e\n", "1e\n", "1e\n"}},
{"0x", {"0x\n", "0x\n", "0x\n", "0x\n"}},
{"1.", {"\"1.\"\n", "\"1.\"\n", "\"1.\"\n", "\"1.\"\n"}},
{"1.e1", {"\"1.e1\"\n", "\"1.e1\"\n", "\"1.e1\"\n", "\"1.e1\"\n"}},
{"9223372036854775808", {"\"9223372036854775808\"\n", "\"9223372036854775808\"\n", "\"9223372036854775808\"\n", "\"9223372036854775808\"\n"}},
{"99999999999999999999", {"\"99999999999999999999\"\n", "\"99999999999999999999\"\n", "\"99999999999999999999\"\n", "\"99999999999999999999\"\n"}},
{"1__0", {"\"1__0\"\n", "\"1__0\"\n", "\"1__0\"\n", "\"1__0\"\n"}},
{"0o7", {"\"0o7\"\n", "\"0o7\"\n", "\"0o7\"\n", "\"0o7\"\n"}},
{"0o8", {"0o8\n", "0o8\n", "0o8\n", "0o8\n"}},
{"-0b11", {"\"-0b11\"\n", "\"-0b11\"\n", "\"-0b11\"\n", "\"-0b11\"\n"}},
{"off", {"\"off\"\n", "\"off\"\n", "\"off\"\n", "\"off\"\n"}},
{"n", {"\"n\"\n", "\"n\"\n", "\"n\"\n", "\"n\"\n"}},
{"None", {"None\n", "None\n", "None\n", "None\n"}},
{"nULL", {"nULL\n", "nULL\n", "nULL\n", "nULL\n"}},
{"a\015b", {"\"a\\rb\"\n", "\"a\\rb\"\n", "\"a\\rb\"\n", "\"a\\rb\"\n"}},
{"\\d", {"\\d\n", "\\d\n", "\\d\n", "\\d\n"}},
{"a: ", {"'a: '\n", "'a: '\n", "'a: '\n", "'a: '\n"}},
{"key:", {"'key:'\n", "'key:'\n", "'key:'\n", "'key:'\n"}},
{"12:30", {"\"12:30\"\n", "\"12:30\"\n", "\"12:30\"\n", "\"12:30\"\n"}},
{"x\177y", {"\"x\\x7Fy\"\n", "\"x\\x7Fy\"\n", "\"x\\x7Fy\"\n", "\"x\\x7Fy\"\n"}},
{"a'b\"c", {"a'b\"c\n", "a'b\"c\n", "a'b\"c\n", "a'b\"c\n"}},
{"a\302\205b", {"\"a\\Nb\"\n", "\"a\\Nb\"\n", "\"a\\Nb\"\n", "\"a\\Nb\"\n"}},
{"\377\376", {"!!binary //4=\n", "!!binary //4=\n", "!!binary //4=\n", "!!binary //4=\n"}},
{"100%", {"100%\n", "100%\n", "100%\n", "100%\n"}},
{"1s", {"1s\n", "1s\n", "1s\n", "1s\n"}},
{"<no value>", {"<no value>\n", "<no value>\n", "<no value>\n", "<no value>\n"}},
{"{{ $x }}", {"'{{ $x }}'\n", "'{{ $x }}'\n", "'{{ $x }}'\n", "'{{ $x }}'\n"}},
{"{{x}}", {"'{{x}}'\n", "'{{x}}'\n", "'{{x}}'\n", "'{{x}}'\n"}},
{"a # b", {"'a # b'\n", "'a # b'\n", "'a # b'\n", "'a # b'\n"}},
{"a#b", {"a#b\n", "a#b\n", "a#b\n", "a#b\n"}},
{"- ", {"'- '\n", "'- '\n", "'- '\n", "'- '\n"}},
{"\?", {"'\?'\n", "'\?'\n", "'\?'\n", "'\?'\n"}},
{"-.5", {"\"-.5\"\n", "\"-.5\"\n", "\"-.5\"\n", "\"-.5\"\n"}},
{"infinity", {"infinity\n", "infinity\n", "infinity\n", "infinity\n"}},
{"nan", {"nan\n", "nan\n", "nan\n", "nan\n"}},
{"NaN", {"NaN\n", "NaN\n", "NaN\n", "NaN\n"}},
{"+.inf", {"\"+.inf\"\n", "\"+.inf\"\n", "\"+.inf\"\n", "\"+.inf\"\n"}},
{"1e400", {"1e400\n", "1e400\n", "1e400\n", "1e400\n"}},
{"0b2", {"0b2\n", "0b2\n", "0b2\n", "0b2\n"}},
{"0x1p4", {"0x1p4\n", "0x1p4\n", "0x1p4\n", "0x1p4\n"}},
{"1_", {"\"1_\"\n", "\"1_\"\n", "\"1_\"\n", "\"1_\"\n"}},
{"_1", {"_1\n", "_1\n", "_1\n", "_1\n"}},
{"1,2", {"1,2\n", "1,2\n", "1,2\n", "1,2\n"}},
{"word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word ", {"'word word word word word word word word word word word word word word word word\n  word word word word word word word word word word word word word word word word\n  word word word word word word word word '\n", "'word word word word word word word word word word word word word word word\n    word word word word word word word word word word word word word word word word\n    word word word word word word word word word '\n", "'word word word word word word word word word word word word word word word\n    word word word word word word word word word word word word word word word word\n    word word word word word word word word word '\n", "'word word word word word word word word word word word word word word word word\n  word word word word word word word word word word word word word word word word\n  word word word word word word word word '\n"}},
{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"}},
{"x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: ", {"'x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x\n  y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x\n  y: x y: x y: x y: x y: x y: x y: x y: x y: '\n", "'x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n    x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n    x y: x y: x y: x y: x y: x y: x y: x y: x y: '\n", "'x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n    x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n    x y: x y: x y: x y: x y: x y: x y: x y: x y: '\n", "'x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n  x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y: x y:\n  x y: x y: x y: x y: x y: x y: x y: x y: '\n"}},
{"a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b a\"b \t", {"\"a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n  a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n  a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b \\t\"\n", "\"a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n    a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n    a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b \\t\"\n", "\"a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n    a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n    a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b \\t\"\n", "\"a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n  a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b\n  a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b a\\\"b \\t\"\n"}},
{"true long line of words long line of words long line of words long line of words long line of words long line of words long line of words long line of words long line of words long line of words long line of words long line of words ", {"'true long line of words long line of words long line of words long line of words\n  long line of words long line of words long line of words long line of words long\n  line of words long line of words long line of words long line of words '\n", "'true long line of words long line of words long line of words long line of\n    words long line of words long line of words long line of words long line of words\n    long line of words long line of words long line of words long line of words '\n", "'true long line of words long line of words long line of words long line of\n    words long line of words long line of words long line of words long line of words\n    long line of words long line of words long line of words long line of words '\n", "'true long line of words long line of words long line of words long line of words\n  long line of words long line of words long line of words long line of words long\n  line of words long line of words long line of words long line of words '\n"}},
{"' single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's single quoted words it's ", {"''' single quoted words it''s single quoted words it''s single quoted words it''s\n  single quoted words it''s single quoted words it''s single quoted words it''s single\n  quoted words it''s single quoted words it''s single quoted words it''s single quoted\n  words it''s single quoted words it''s single quoted words it''s '\n", "''' single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s '\n", "''' single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s single quoted words it''s single quoted words it''s single quoted words\n    it''s '\n", "''' single quoted words it''s single quoted words it''s single quoted words it''s\n  single quoted words it''s single quoted words it''s single quoted words it''s single\n  quoted words it''s single quoted words it''s single quoted words it''s single quoted\n  words it''s single quoted words it''s single quoted words it''s '\n"}},
{"(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c) tail tail tail tail tail tail tail tail tail tail ", {"'(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)\n  tail tail tail tail tail tail tail tail tail tail '\n", "'(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)\n    tail tail tail tail tail tail tail tail tail tail '\n", "'(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)\n    tail tail tail tail tail tail tail tail tail tail '\n", "'(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)(a|b|c)\n  tail tail tail tail tail tail tail tail tail tail '\n"}},
{"  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two", {"'  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two'\n", "'  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two'\n", "'  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two'\n", "'  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two  two'\n"}},
{"#\303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 ", {"'#\303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n  \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n  \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 '\n", "'#\303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n    \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n    \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 '\n", "'#\303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n    \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n    \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 '\n", "'#\303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n  \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226\n  \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 \303\251\344\270\226 '\n"}},
{"\377abcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefghabcdefgh", {"!!binary |\n  /2FiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2\n  RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaA==\n", "!!binary |\n    /2FiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2\n    RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaA==\n", "!!binary |\n    /2FiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2\n    RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaA==\n", "!!binary |\n  /2FiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2\n  RlZmdoYWJjZGVmZ2hhYmNkZWZnaGFiY2RlZmdoYWJjZGVmZ2hhYmNkZWZnaA==\n"}},
{"long\nlines x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x \nend", {"\"long\\nlines x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x \\nend\"\n", "\"long\\nlines x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n    x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n    x x x x x x x x x x \\nend\"\n", "\"long\\nlines x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n    x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n    x x x x x x x x x x \\nend\"\n", "\"long\\nlines x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x \\nend\"\n"}},
        /* clang-format on */
};

TEST(yaml_put_scalar, writes_what_go_yaml_writes_at_the_same_place)
{
        static const char *const before[] = {"key: ", "in:\n  key: ", "l:\n- key: ", "l:\n- "};
        int wrong = 0;
        for (size_t i = 0; i < ARRAY_LEN(scalars); i++)
                for (size_t k = 0; k < ARRAY_LEN(before); k++) {
                        struct buf b = BUF_INIT(1 << 20);
                        buf_puts(&b, before[k]);
                        yaml_put_scalar(&b, str_from(scalars[i].text));
                        buf_putc(&b, '\n');
                        Str got = str_skip(buf_str(&b), strlen(before[k]));
                        if (!str_eq(got, str_from(scalars[i].out[k]))) {
                                fprintf(stderr, "%s [%zu]: got <" STR_FMT ">, want <%s>\n", scalars[i].text, k,
                                        STR_ARG(got), scalars[i].out[k]);
                                wrong++;
                        }
                        buf_done(&b);
                }
        CHECK_I64(wrong, 0);
}

static void put_tree(struct buf *b, const struct yaml *y)
{
        if (y->type == YAML_SCALAR) {
                buf_put(b, y->text);
                return;
        }
        buf_putc(b, y->type == YAML_MAP ? '{' : '[');
        for (size_t i = 0; i < y->n; i++) {
                if (i)
                        buf_puts(b, ", ");
                if (y->type == YAML_MAP) {
                        put_tree(b, y->keys[i]);
                        buf_puts(b, ": ");
                }
                put_tree(b, y->items[i]);
        }
        buf_putc(b, y->type == YAML_MAP ? '}' : ']');
}

static void reads(const char *text, const char *want)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct yaml *y = NULL;
        struct buf b = BUF_INIT(1 << 16);
        CHECK_OK(yaml_parse(str_from(text), &a, &y));
        if (y)
                put_tree(&b, y);
        else
                buf_puts(&b, "nothing");
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        arena_done(&a);
}

TEST(yaml_parse, resolves_aliases_and_merges)
{
        reads("", "nothing");
        reads("# a comment\n", "nothing");
        reads("a: &x [1, 2]\nb: *x\n", "{a: [1, 2], b: [1, 2]}");
        reads("x: &m {a: 1, b: 2}\ny:\n  <<: *m\n  b: 3\n", "{x: {a: 1, b: 2}, y: {a: 1, b: 3}}");
        reads("y:\n  <<: [{a: 1}, {a: 2, b: 3}]\n", "{y: {a: 1, b: 3}}");
        reads("\"<<\": {a: 1}", "{<<: {a: 1}}");
        reads("a: &x 1\nb: &x 2\nc: *x", "{a: 1, b: 2, c: 2}");
        reads("--- 1\n--- 2\n", "1");
        reads("a: 'it''s'\nb: \"\\u00e9\"\nc: |\n  x\n  y\nd: >-\n  x\n  y\n",
              "{a: it's, b: \xc3\xa9, c: x\ny\n, d: x y}");
}

TEST(yaml_parse, nodes_know_their_place_and_style)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct yaml *y;
        CHECK_OK(yaml_parse(STR("a:\n  - x\n  - 'null'\n  - null\n  - !!str null\n  -\n  - yes\n  - 'yes'\n"), &a, &y));
        const struct yaml *list = yaml_get(y, STR("a"));
        CHECK(list && list->type == YAML_SEQ && list->n == 7);
        CHECK_I64(list->line, 2);
        CHECK_I64(list->items[1]->line, 3);
        CHECK_I64(list->items[1]->column, 5);
        CHECK(!yaml_is_null(list->items[1]) && yaml_is_null(list->items[2]) && !yaml_is_null(list->items[3]) &&
              yaml_is_null(list->items[4]));
        CHECK_STR(list->items[3]->tag, "tag:yaml.org,2002:str");
        bool flag = false;
        CHECK(yaml_to_bool(list->items[5], &flag) && flag && !yaml_to_bool(list->items[6], &flag) &&
              !yaml_to_bool(list, &flag));
        CHECK(yaml_is_null(NULL) && !yaml_get(list, STR("a")) && !yaml_get(NULL, STR("a")) && !yaml_get(y, STR("b")));
        arena_done(&a);
}

TEST(yaml_parse_with_duplicates, keeps_them_in_order)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct yaml *y;
        CHECK_OK(yaml_parse_with_duplicates(STR("a: 1\nb: 2\na: 3\n"), &a, &y));
        CHECK_U64(y->n, 3);
        CHECK_STR(y->items[2]->text, "3");
        CHECK_I64(y->keys[2]->line, 3);
        arena_done(&a);
}

TEST(yaml_parse, many_keys_are_checked_too)
{
        struct buf b = BUF_INIT(1 << 20);
        for (int i = 0; i < 5000; i++)
                buf_printf(&b, "k%d: %d\n", i, i);
        struct arena a;
        arena_init(&a, 16 << 20);
        struct yaml *y;
        CHECK_OK(yaml_parse(buf_str(&b), &a, &y));
        CHECK_U64(y->n, 5000);
        buf_puts(&b, "k1234: again\n");
        CHECK_ERROR(yaml_parse(buf_str(&b), &a, &y),
                    "yaml: unmarshal errors:\n  line 5001: key \"k1234\" already set in map");
        buf_done(&b);
        arena_done(&a);
}

TEST(yaml_parse, bombs_depth_and_memory_are_bounded)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for (int i = 1; i < 30; i++)
                buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                           i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        struct arena a;
        arena_init(&a, 1 << 20);
        struct yaml *y;
        CHECK_ERROR(yaml_parse(buf_str(&b), &a, &y), "yaml: document contains excessive aliasing");
        buf_clear(&b);
        for (int i = 0; i < 20000; i++)
                buf_putc(&b, '[');
        CHECK_ERROR(yaml_parse(buf_str(&b), &a, &y), "");
        buf_clear(&b);
        for (int i = 0; i < 60000; i++)
                buf_puts(&b, "- x\n");
        struct error *e = yaml_parse(buf_str(&b), &a, &y);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        buf_done(&b);
        arena_done(&a);
}
