/* SPDX-License-Identifier: Apache-2.0 */
/* Annotations about native histograms, with upstream's texts.  Upstream: util/annotations */
#include "codec/quote.h"
#include "promql/eval.h"

enum name_style { NAME_NONE, NAME_QUOTED, NAME_OPTIONAL };
static const struct {
        uint32_t note;
        enum annotation_kind kind;
        enum name_style name; /* optional: told if there is one */
        const char *text;
} texts[] = {
        {NOTE_MIXED_FLOATS, ANNOTATION_WARNING, NAME_QUOTED,
         "PromQL warning: encountered a mix of histograms and floats for metric name"},
        {NOTE_NOT_COUNTER, ANNOTATION_WARNING, NAME_QUOTED,
         "PromQL warning: this native histogram metric is not a counter:"},
        {NOTE_NOT_GAUGE, ANNOTATION_WARNING, NAME_QUOTED,
         "PromQL warning: this native histogram metric is not a gauge:"},
        {NOTE_MIXED_SCHEMAS, ANNOTATION_WARNING, NAME_QUOTED,
         "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric "
         "name"},
        {NOTE_BOUNDS_ADD, ANNOTATION_INFO, NAME_NONE,
         "PromQL info: mismatched custom buckets were reconciled during addition"},
        {NOTE_BOUNDS_SUB, ANNOTATION_INFO, NAME_NONE,
         "PromQL info: mismatched custom buckets were reconciled during subtraction"},
        {NOTE_BOUNDS_AGG, ANNOTATION_INFO, NAME_NONE,
         "PromQL info: mismatched custom buckets were reconciled during aggregation"},
        {NOTE_COLLISION_ADD, ANNOTATION_WARNING, NAME_NONE,
         "PromQL warning: conflicting counter resets during histogram addition"},
        {NOTE_COLLISION_SUB, ANNOTATION_WARNING, NAME_NONE,
         "PromQL warning: conflicting counter resets during histogram subtraction"},
        {NOTE_COLLISION_AGG, ANNOTATION_WARNING, NAME_NONE,
         "PromQL warning: conflicting counter resets during histogram aggregation"},
        {NOTE_IGNORED_IN_RANGE, ANNOTATION_INFO, NAME_QUOTED,
         "PromQL info: ignored histograms in a range containing both floats and histograms for metric name"},
        {NOTE_MIXED_AGG, ANNOTATION_WARNING, NAME_NONE,
         "PromQL warning: encountered a mix of histograms and floats for aggregation"},
        {NOTE_QUANTILE_NAN, ANNOTATION_INFO, NAME_OPTIONAL,
         "PromQL info: input to histogram_quantile has NaN observations, result is NaN"},
        {NOTE_QUANTILE_SKEWED, ANNOTATION_INFO, NAME_OPTIONAL,
         "PromQL info: input to histogram_quantile has NaN observations, result is skewed higher"},
        {NOTE_FRACTION_NAN, ANNOTATION_INFO, NAME_OPTIONAL,
         "PromQL info: input to histogram_fraction has NaN observations, which are excluded from all fractions"},
        {NOTE_MIXED_CLASSIC, ANNOTATION_WARNING, NAME_OPTIONAL,
         "PromQL warning: vector contains a mix of classic and native histograms"},
};

void note_histograms(struct exec *q, uint32_t notes, Str metric_name, struct pos_range pos)
{
        for (size_t i = 0; notes && i < ARRAY_LEN(texts); i++) {
                if (!(notes & texts[i].note))
                        continue;
                struct buf b = BUF_INIT(1 << 20);
                buf_puts(&b, texts[i].text);
                if (texts[i].name == NAME_OPTIONAL && metric_name.n)
                        buf_puts(&b, " for metric name");
                if (texts[i].name == NAME_QUOTED || (texts[i].name == NAME_OPTIONAL && metric_name.n)) {
                        buf_putc(&b, ' ');
                        buf_put_go_quoted(&b, metric_name);
                }
                annotations_add(&q->notes, texts[i].kind, pos, STR_FMT, STR_ARG(buf_str(&b)));
                buf_done(&b);
        }
}

void note_overlaps(struct exec *q, size_t windows, Str metric_name, struct pos_range pos)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric ");
        buf_put_go_quoted(&b, metric_name);
        annotations_add_counted(&q->notes, ANNOTATION_WARNING, pos, windows, buf_str(&b));
        buf_done(&b);
}

void note_ignored(struct exec *q, const char *aggregation, struct pos_range pos)
{
        annotations_add(&q->notes, ANNOTATION_INFO, pos, "PromQL info: ignored histogram in %s aggregation",
                        aggregation);
}

void note_binop_types(struct exec *q, enum binary_op op, bool left_histogram, bool right_histogram,
                      struct pos_range pos)
{
        annotations_add(&q->notes, ANNOTATION_INFO, pos,
                        "PromQL info: incompatible sample types encountered for binary operator \"%s\": %s %s %s",
                        binary_op_text(op), left_histogram ? "histogram" : "float", binary_op_text(op),
                        right_histogram ? "histogram" : "float");
}
