/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/parse.h"

#include "model/expo/grammar.h"
#include "model/expo/nhcb.h"
#include "model/expo/protobuf.h"

struct error *expo_parser_init(struct expo_parser *p, enum expo_format f, Str body)
{
        *p = (struct expo_parser){.format = f, .start = body.n ? body.p : "", .n = body.n, .state = LEX_INIT};
        if (f == EXPO_PROTOBUF)
                p->n = 0; /* no lines: nothing for expo_peek */
        buf_init(&p->help, BUF_NO_LIMIT); /* a help text is no longer than the body */
        if (f == EXPO_PROTOBUF)
                p->proto = expo_proto_new(body);
        return NULL;
}

void expo_parser_histograms(struct expo_parser *p, struct expo_histograms h)
{
        if (p->proto)
                expo_proto_histograms(p->proto, h);
        else if (h.to_custom && !p->nhcb)
                p->nhcb = expo_nhcb_new(h.keep_classic);
}

void expo_parser_done(struct expo_parser *p)
{
        expo_proto_free(p->proto);
        expo_nhcb_free(p->nhcb);
        buf_done(&p->help);
}

struct lexer grammar_lexer(const struct expo_parser *p)
{
        return (struct lexer){
                .p = p->start,
                .n = p->n + (p->format == EXPO_TEXT),
                .real_n = p->n,
                .start = p->at,
                .i = p->at,
                .line = p->at,
                .state = (enum lex_state)p->state,
        };
}

void grammar_take_position(struct expo_parser *p, const struct lexer *l)
{
        p->at = l->i;
        p->state = (int)l->state;
}

bool metric_type_parse(Str s, enum expo_format f, enum metric_type *ret)
{
        static const struct {
                Str name;
                enum metric_type type;
                bool text, openmetrics;
        } types[] = {
                {STR_INIT("counter"), METRIC_COUNTER, true, true},
                {STR_INIT("gauge"), METRIC_GAUGE, true, true},
                {STR_INIT("histogram"), METRIC_HISTOGRAM, true, true},
                {STR_INIT("summary"), METRIC_SUMMARY, true, true},
                {STR_INIT("untyped"), METRIC_UNKNOWN, true, false},
                {STR_INIT("unknown"), METRIC_UNKNOWN, false, true},
                {STR_INIT("gaugehistogram"), METRIC_GAUGE_HISTOGRAM, false, true},
                {STR_INIT("info"), METRIC_INFO, false, true},
                {STR_INIT("stateset"), METRIC_STATESET, false, true},
        };
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
                if (!str_eq(types[i].name, s) || !(f == EXPO_TEXT ? types[i].text : types[i].openmetrics))
                        continue;
                *ret = types[i].type;
                return true;
        }
        return false;
}

size_t grammar_unescape(Str s, bool quotes, char *ret)
{
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i], after = i + 1 < s.n ? s.p[i + 1] : 0;
                if (c == '\\' && (after == '\\' || after == 'n' || (quotes && after == '"'))) {
                        c = after == 'n' ? '\n' : after;
                        i++;
                }
                ret[n++] = c;
        }
        return n;
}

Str grammar_help_text(struct expo_parser *p, Str raw)
{
        if (str_find(raw, '\\') < 0)
                return raw;
        buf_clear(&p->help);
        char *at = buf_reserve(&p->help, raw.n);
        if (!at)
                bug("help text of %zu bytes", raw.n);
        p->help.n = grammar_unescape(raw, /* quotes= */ p->format == EXPO_OPENMETRICS, at);
        return buf_str(&p->help);
}

/* counter_created and the like: the time when a series began, told as a series. */
bool grammar_is_created(const struct expo_parser *p, Str series)
{
        if (p->metric_type != METRIC_COUNTER && p->metric_type != METRIC_SUMMARY && p->metric_type != METRIC_HISTOGRAM)
                return false;
        struct series_walk w = {.s = series, .at = 0};
        Str name, value;
        for (;;) {
                enum series_part part = series_walk_next(&w, &name, &value);
                if (part == SERIES_END)
                        return false;
                if (part == SERIES_NAME)
                        return str_has_suffix(name, STR("_created"));
        }
}

struct error *expo_next(struct expo_parser *p, struct expo_entry *ret)
{
        ret->has_t = ret->has_exemplar = ret->has_labels = false;
        ret->n_exemplars = 0;
        ret->start_t = 0;
        if (p->proto)
                return expo_proto_next(p->proto, ret);
        return p->nhcb ? expo_nhcb_next(p->nhcb, p, ret) : expo_next_line(p, ret);
}

struct error *expo_next_line(struct expo_parser *p, struct expo_entry *ret)
{
        for (;;) {
                if (p->exact_only || !fast_next(p, ret)) {
                        struct error *e = p->format == EXPO_TEXT ? grammar_text(p, ret) : grammar_openmetrics(p, ret);
                        if (e)
                                return e;
                }
                bool skip = p->skip_created && p->format == EXPO_OPENMETRICS && ret->type == EXPO_SERIES &&
                            grammar_is_created(p, ret->series);
                if (!skip)
                        return NULL;
        }
}
