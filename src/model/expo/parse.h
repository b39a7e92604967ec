/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h — the text exposition formats, read in place, one entry a call.
 *
 *   struct expo_parser p;
 *   e = expo_parser_init(&p, EXPO_TEXT, body);
 *   for (;;) { struct expo_entry x; e = expo_next(&p, &x); if (e || x.type == EXPO_END) break; … }
 *   expo_parser_done(&p);
 *
 * A sample's bytes before its value (x.series) are what the scrape cache compares: with them known, expo_labels need not be called.
 * expo_next_known(): the cache's fast path. All strings are borrowed from the body. Errors are upstream's texts, word for word.
 * Threads: one owner.  Upstream: model/textparse/{promparse,openmetricsparse}.go; formats: exposition_formats.md, OpenMetrics 1.0. */
#ifndef MODEL_EXPO_PARSE_H
#define MODEL_EXPO_PARSE_H

#include "base/clock.h"
#include "base/error.h"
#include "model/labels.h"
#include "model/metric_type.h"

enum expo_format { EXPO_TEXT, EXPO_OPENMETRICS };
enum expo_entry_type { EXPO_END, EXPO_SERIES, EXPO_HELP, EXPO_TYPE, EXPO_UNIT, EXPO_COMMENT };
struct expo_entry {
        enum expo_entry_type type;
        Str series;                     /* EXPO_SERIES: bytes of name and labels as written */
        double value;
        TimeMs t;                       /* explicit timestamp, if has_t */
        bool has_t, has_exemplar;
        Str family, text;               /* EXPO_HELP (unescaped: in the parser's own scratch, valid until the next call), EXPO_UNIT */
        enum metric_type metric_type;   /* EXPO_TYPE */
};
struct expo_parser {
        enum expo_format format;
        const char *at, *end, *start;
        void *state;                    /* of the format; see the .c files */
};
struct error *expo_parser_init(struct expo_parser *p, enum expo_format f, Str body) MUST_CHECK;
void expo_parser_done(struct expo_parser *p);
struct error *expo_next(struct expo_parser *p, struct expo_entry *ret) MUST_CHECK;
/* If the next bytes are exactly `series` followed by white space and a value (and all of the line is well-formed): parses only that
 * value and timestamp, true. Else false and nothing consumed. */
bool expo_next_known(struct expo_parser *p, Str series, struct expo_entry *ret);
/* The labels of the entry's series bytes (with __name__), sorted; unescaped values are in the arena. Empty values
 * and duplicate names are kept: honor_labels must see the first, the caller refuses the second. */
struct error *expo_labels(const struct expo_parser *p, const struct expo_entry *x, struct arena *a, Labels *ret) MUST_CHECK;
/* From a Content-Type header: false when it names no text format that we read (protobuf, html, …); *ret_error text as upstream. */
struct error *expo_format_of(Str content_type, Str fallback_protocol, enum expo_format *ret) MUST_CHECK;

#endif
