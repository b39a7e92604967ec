/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/regex.h"
#include "model/duration.h"
#include "promql/promqltest.h"

bool test_lines_next(struct test_lines *l, Str *ret)
{
        if (l->has_ahead) {
                l->has_ahead = false;
                l->line++;
                *ret = l->ahead;
                return true;
        }
        Str line;
        if (!str_next(&l->rest, '\n', &line))
                return false;
        l->line++;
        line = str_trim(line);
        *ret = line.n > 0 && line.p[0] == '#' ? STR("") : line;
        return true;
}

void test_lines_back(struct test_lines *l, Str line)
{
        l->ahead = line;
        l->has_ahead = true;
        l->line--;
}

static bool next_word(Str *rest, Str *ret)
{
        *rest = str_trim(*rest);
        size_t n = 0;
        while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
                n++;
        *ret = str_sub(*rest, 0, n);
        *rest = str_trim(str_skip(*rest, n));
        return n > 0;
}

/* A word that must be the given one, then a duration. */
static struct error *named_duration(Str *rest, const char *name, int64_t *ret_ms)
{
        Str word, text;
        if (!next_word(rest, &word) || !str_eq(word, str_from(name)) || !next_word(rest, &text))
                return error_new(ERROR_INVALID, "\"%s\" and a duration are missing", name);
        return duration_parse(text, ret_ms);
}

static struct error *read_times(Str *rest, bool with_to, TimeMs *ret_start, TimeMs *ret_end, int64_t *ret_step)
{
        struct error *e = named_duration(rest, with_to ? "from" : "at", ret_start);
        *ret_end = *ret_start;
        if (!e && with_to)
                e = named_duration(rest, "to", ret_end);
        if (!e && with_to)
                e = named_duration(rest, "step", ret_step);
        return e;
}

/* Found anywhere in the text: regex.h matches whole texts. */
static struct error *search_regex(Str pattern, struct regex **ret)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_printf(&b, ".*(?-s:" STR_FMT ").*", STR_ARG(pattern));
        struct error *e = regex_new(buf_str(&b), ret);
        buf_done(&b);
        return e;
}

static struct error *read_expect(Str rest, struct test_eval *ev)
{
        static const struct {
                const char *word;
                enum expect_kind kind;
        } kinds[] = {{"ordered", EXPECT_ORDERED}, {"fail", EXPECT_FAIL}, {"warn", EXPECT_WARN},
                     {"no_warn", EXPECT_NO_WARN}, {"info", EXPECT_INFO}, {"no_info", EXPECT_NO_INFO}};
        Str word;
        next_word(&rest, &word);
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                if (!str_eq(word, str_from(kinds[i].word)))
                        continue;
                struct expectation x = {.kind = kinds[i].kind};
                struct error *e = NULL;
                if (str_has_prefix(rest, STR("msg:")))
                        x.message = str_trim(str_skip(rest, 4));
                else if (str_has_prefix(rest, STR("regex:")))
                        e = search_regex(str_trim(str_skip(rest, 6)), &x.re);
                else if (rest.n > 0)
                        e = error_new(ERROR_INVALID, "expect: " STR_FMT, STR_ARG(rest));
                if (!e)
                        vec_push(&ev->expectations, x);
                return e;
        }
        return error_new(ERROR_INVALID, "expect: " STR_FMT, STR_ARG(word));
}

static struct error *read_string(Str quoted, struct arena *a, Str *ret)
{
        static const struct promql_parse_opts none = {0};
        struct promql_tree t = PROMQL_TREE_INIT;
        struct error *e = promql_parse(&none, quoted, a, &t);
        if (e)
                return e;
        if (t.root->type == EXPR_STRING)
                *ret = t.root->string.s;
        else
                e = error_new(ERROR_INVALID, "expect string: not a string");
        promql_tree_done(&t);
        return e;
}

static bool read_number(Str text, struct arena *a, double *ret)
{
        static const struct promql_parse_opts none = {0};
        struct promql_tree t = PROMQL_TREE_INIT;
        struct error *e = promql_parse(&none, text, a, &t);
        bool ok = !e && t.root->type == EXPR_NUMBER && !t.root->number.is_duration;
        if (ok)
                *ret = t.root->number.v;
        error_free(e);
        promql_tree_done(&t);
        return ok;
}

static struct error *read_series(Str line, struct arena *a, struct test_eval *ev)
{
        struct promql_series_line s = {0};
        struct error *e = promql_parse_series_line(line, a, &s);
        if (!e)
                vec_push(&ev->series, (struct expected_series){s.labels, s.values, s.n});
        return e;
}

static void push_simple(struct test_eval *ev, enum expect_kind kind, Str message, struct regex *re)
{
        vec_push(&ev->expectations, (struct expectation){.kind = kind, .message = message, .re = re});
}

/* One line of the block; *ret_end: it ends the block. */
static struct error *read_line(Str line, struct arena *a, struct test_eval *ev, bool *ret_end)
{
        Str rest = line, word;
        next_word(&rest, &word);
        if (str_eq(word, STR("expected_fail_message"))) {
                ev->expectations.p[0].message = rest;
                *ret_end = true;
                return NULL;
        }
        if (str_eq(word, STR("expected_fail_regexp"))) {
                *ret_end = true;
                return search_regex(rest, &ev->expectations.p[0].re);
        }
        if (str_has_prefix(line, STR("expect range vector"))) {
                ev->has_range_vector = true;
                rest = str_skip(line, strlen("expect range vector"));
                return read_times(&rest, true, &ev->start_ms, &ev->end_ms, &ev->step_ms);
        }
        if (str_has_prefix(line, STR("expect string "))) {
                ev->has_string = true;
                return read_string(str_skip(line, strlen("expect string ")), a, &ev->string);
        }
        if (str_eq(word, STR("expect")))
                return read_expect(rest, ev);
        if (read_number(line, a, &ev->scalar)) {
                ev->has_scalar = *ret_end = true;
                return NULL;
        }
        return read_series(line, a, ev);
}

struct error *test_eval_read(struct test_lines *l, Str head, struct arena *a, struct test_eval *ret)
{
        Str word, mode;
        next_word(&head, &word);
        *ret = (struct test_eval){.line = l->line};
        if (!next_word(&head, &mode) || (!str_eq(mode, STR("instant")) && !str_eq(mode, STR("range"))))
                return error_new(ERROR_INVALID, "neither instant nor range");
        ret->is_range = str_eq(mode, STR("range"));
        struct error *e = read_times(&head, ret->is_range, &ret->start_ms, &ret->end_ms, &ret->step_ms);
        if (e)
                return e;
        ret->text = head;
        if (str_eq(word, STR("eval_fail")))
                push_simple(ret, EXPECT_FAIL, (Str){NULL, 0}, NULL);
        else if (str_eq(word, STR("eval_ordered")))
                push_simple(ret, EXPECT_ORDERED, (Str){NULL, 0}, NULL);
        ret->any_warn = str_eq(word, STR("eval_warn"));
        ret->any_info = str_eq(word, STR("eval_info"));
        Str line;
        bool end = false;
        while (!e && !end && test_lines_next(l, &line)) {
                if (line.n == 0)
                        break;
                e = read_line(line, a, ret, &end);
        }
        return e;
}

void test_eval_done(struct test_eval *ev)
{
        for (size_t i = 0; i < ev->expectations.n; i++)
                regex_free(ev->expectations.p[i].re);
        vec_done(&ev->expectations);
        vec_done(&ev->series);
}

bool expectation_matches(const struct expectation *x, Str text)
{
        if (x->re)
                return regex_matches(x->re, text);
        return !x->message.p || str_eq(x->message, text);
}

static size_t metric_end(Str line)
{
        size_t i = 0;
        char quote = 0;
        bool in_braces = false;
        for (; i < line.n; i++) {
                char c = line.p[i];
                if (quote) {
                        if (c == '\\' && quote != '`')
                                i++;
                        else if (c == quote)
                                quote = 0;
                } else if (c == '"' || c == '\'' || c == '`') {
                        quote = c;
                } else if (c == '{' || c == '}') {
                        in_braces = c == '{';
                } else if (!in_braces && (c == ' ' || c == '\t')) {
                        break;
                }
        }
        return MIN(i, line.n);
}

struct error *test_metric_of(Str line, struct arena *a, Labels *ret, bool *ret_is_start_times)
{
        Str metric = str_sub(line, 0, metric_end(line));
        *ret_is_start_times = str_has_suffix(metric, STR("@st"));
        return promql_parse_metric(str_trim_suffix(metric, STR("@st")), a, ret);
}

/* A duration, maybe with a sign, as far as a sign or an x; taken off the front. */
static struct error *signed_duration(Str *rest, int64_t *ret)
{
        bool negative = rest->n > 0 && rest->p[0] == '-';
        if (rest->n > 0 && (rest->p[0] == '-' || rest->p[0] == '+'))
                *rest = str_skip(*rest, 1);
        size_t n = 0;
        while (n < rest->n && !memchr("+-x", rest->p[n], 3))
                n++;
        struct error *e = duration_parse(str_sub(*rest, 0, n), ret);
        if (negative && !e)
                *ret = -*ret;
        *rest = str_skip(*rest, n);
        return e;
}

/* "_x3", "-30s", "0x2", "-1m-1mx2" */
static struct error *start_item(Str item, int64_t *ret_first, int64_t *ret_step, uint64_t *ret_n)
{
        bool omitted = item.p[0] == '_';
        Str rest = omitted ? str_skip(item, 1) : item;
        struct error *e = NULL;
        *ret_first = omitted ? START_OMITTED : 0;
        *ret_step = 0;
        *ret_n = 1;
        if (!omitted)
                e = signed_duration(&rest, ret_first);
        if (!e && !omitted && rest.n > 0 && rest.p[0] != 'x')
                e = signed_duration(&rest, ret_step);
        if (e || rest.n == 0)
                return e;
        if (rest.p[0] != 'x' || !str_to_u64(str_skip(rest, 1), ret_n) || *ret_n > 100000)
                return error_new(ERROR_INVALID, "\"" STR_FMT "\" is no start time", STR_ARG(item));
        *ret_n += !omitted;
        return NULL;
}

struct error *test_start_times_read(Str line, struct arena *a, struct start_times *ret)
{
        bool is_start_times;
        struct error *e = test_metric_of(line, a, &ret->labels, &is_start_times);
        Str rest = str_skip(line, metric_end(line)), item;
        VEC(int64_t) all = VEC_INIT;
        while (!e && next_word(&rest, &item)) {
                int64_t first, step;
                uint64_t n;
                e = start_item(item, &first, &step, &n);
                for (uint64_t i = 0; !e && i < n; i++)
                        vec_push(&all, first == START_OMITTED ? first : first + (int64_t)i * step);
        }
        ret->n = all.n;
        ret->offsets_ms = arena_array(a, int64_t, all.n + 1);
        if (all.n)
                memcpy(ret->offsets_ms, all.p, all.n * sizeof *all.p);
        vec_done(&all);
        return e;
}
