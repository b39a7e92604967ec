/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h — the exposition formats, one entry a call; texts are read in place.
 *
 *   struct expo_parser p;
 *   e = expo_parser_init(&p, EXPO_TEXT, body);
 *   for (;;) { struct expo_entry x; e = expo_next(&p, &x); if (e || x.type == EXPO_END) break; … }
 *   expo_parser_done(&p);
 *
 * A sample's bytes before its value (x.series) are what the scrape cache compares: with them known, expo_labels need
 * not be called. expo_next_known(): the cache's fast path. All strings are borrowed from the body. Errors are
 * upstream's texts, word for word; after one the parser must not be asked again.
 *
 * Well-formed lines of the usual shape are read by a scanner in parse_fast.c; every other line is read again from its
 * start by the tokenizers of lex.c and the two grammars, which know all that upstream takes and the text of each
 * refusal. Protobuf (protobuf.c) gives the same entries as if it were text, and native histograms; so does the conversion
 * of classic histograms (nhcb.c), whatever the format. Threads: one owner.
 * Upstream: model/textparse/{promparse,openmetricsparse,protobufparse,nhcbparse}.go; formats: exposition_formats.md,
 * OpenMetrics 1.0, io/prometheus/client/metrics.proto. */
#ifndef MODEL_EXPO_PARSE_H
#define MODEL_EXPO_PARSE_H

#include "base/clock.h"
#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metric_type.h"

enum expo_format { EXPO_TEXT, EXPO_OPENMETRICS, EXPO_PROTOBUF };
enum expo_entry_type { EXPO_END, EXPO_SERIES, EXPO_HISTOGRAM, EXPO_HELP, EXPO_TYPE, EXPO_UNIT, EXPO_COMMENT };
struct expo_exemplar {
        Labels labels;
        double value;
        TimeMs t;
        bool has_t;
};
struct expo_entry {
        enum expo_entry_type type;
        /* EXPO_SERIES, EXPO_HISTOGRAM */
        bool has_t, has_exemplar, has_labels;
        Str series;   /* bytes of name and labels as written; of protobuf: any that are the series' own */
        double value; /* a NaN has NORMAL_NAN_BITS; not of EXPO_HISTOGRAM */
        TimeMs t;     /* explicit timestamp, if has_t */
        struct histogram_sample histogram;     /* EXPO_HISTOGRAM: valid until the next call, the caller may change it */
        Labels labels;                         /* has_labels: what expo_labels gives; valid until the next call */
        struct expo_exemplar *exemplars;       /* those that came as values: protobuf, converted histograms */
        size_t n_exemplars;
        TimeMs start_t; /* when counting began, of protobuf; 0: not told */
        /* EXPO_HELP, EXPO_TYPE, EXPO_UNIT */
        Str family; /* name as written, without quotes */
        Str text;   /* help (unescaped: in the parser's own scratch, valid until the next call), unit, comment */
        enum metric_type metric_type; /* EXPO_TYPE */
        /* has_exemplar */
        Str exemplar; /* its labels as written, from { to } */
        double exemplar_value;
        TimeMs exemplar_t;
        bool exemplar_has_t;
};
struct expo_proto;
struct expo_nhcb;
/* What becomes of histograms. All false: native ones are given, and no classic series beside them. */
struct expo_histograms {
        bool no_native;    /* native parts are not looked at (the default of a scrape) */
        bool keep_classic; /* classic series too, where there is a native histogram or one is made of them */
        bool to_custom;    /* classic ones become native ones with custom buckets */
};
struct expo_parser {
        enum expo_format format;
        struct expo_proto *proto; /* EXPO_PROTOBUF */
        struct expo_nhcb *nhcb;   /* text with to_custom */
        bool skip_created; /* OpenMetrics: lines of _created are read and not given; set it after init */
        bool exact_only;   /* for tests: never the fast scanner */
        const char *start; /* the body */
        size_t n, at;      /* its length; where the next line begins (n + 1 behind a text's missing last line break) */
        int state;         /* of the tokenizer, enum lex_state */
        enum metric_type metric_type; /* of the last TYPE: floats in le and quantile are rewritten by it */
        struct buf help;              /* scratch for an unescaped help text */
};
struct error *expo_parser_init(struct expo_parser *p, enum expo_format f, Str body) MUST_CHECK;
/* Before the first expo_next; without it no_native alone is set. */
void expo_parser_histograms(struct expo_parser *p, struct expo_histograms h);
void expo_parser_done(struct expo_parser *p);
struct error *expo_next(struct expo_parser *p, struct expo_entry *ret) MUST_CHECK;
/* If the next bytes are exactly `series` followed by white space and a value (and all of the line is well-formed):
 * parses only that value and timestamp, true. Else false and nothing consumed. Only the fields of EXPO_SERIES (and of
 * an exemplar) are written. */
bool expo_next_known(struct expo_parser *p, Str series, struct expo_entry *ret);
/* The next n bytes of the body if white space follows them, else nothing: for who knows a series by the hash of its text
 * only and asks expo_next_known() for these bytes themselves. */
Str expo_peek(const struct expo_parser *p, size_t n);
/* The labels of the entry's series bytes (with __name__), sorted; unescaped values are in the arena. Empty values and
 * duplicate names are kept: honor_labels must see the first, the caller refuses the second. le of histograms and
 * quantile of summaries are written as OpenMetrics wants them: 1 becomes 1.0. ERROR_LIMIT past the arena's budget. Call
 * it before the next expo_next. */
struct error *expo_labels(const struct expo_parser *p, const struct expo_entry *x, struct arena *a,
                          Labels *ret) MUST_CHECK;
/* The labels of the entry's exemplar, sorted, not unescaped (as upstream). */
struct error *expo_exemplar_labels(const struct expo_entry *x, struct arena *a, Labels *ret) MUST_CHECK;
/* From a Content-Type header and the target's fallback_scrape_protocol (its media type, as "text/plain"; empty: none).
 * An error when no format is left. *ret_warning: what upstream logs when
 * the fallback had to be used, else NULL; owned. */
struct error *expo_format_of(Str content_type, Str fallback_media_type, enum expo_format *ret,
                             struct error **ret_warning) MUST_CHECK;

#endif
