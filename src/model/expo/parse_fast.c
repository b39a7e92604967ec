/* SPDX-License-Identifier: Apache-2.0 */
/* parse_fast.c — lines of the usual shape, scanned by hand.
 *
 * Invariant: what is taken here, the grammar would take with the same result; all else (control characters, several
 * blanks in OpenMetrics, hex floats, null bytes, every error) is left to it by answering false with nothing consumed.
 * The fuzz target checks that. Bytes per line are few and known only at run time, so we read 16 at a time where strings
 * are long (label values) and bytes elsewhere. */
#include <emmintrin.h>

#include "codec/float_text.h"
#include "codec/quote.h"
#include "model/expo/grammar.h"

#define LETTER (LABEL_START | LABEL_REST | METRIC_START | METRIC_REST)
const unsigned char expo_classes[256] = {
        ['a' ... 'z'] = LETTER,
        ['A' ... 'Z'] = LETTER,
        ['_'] = LETTER,
        [':'] = METRIC_START | METRIC_REST,
        ['0' ... '9'] = LABEL_REST | METRIC_REST | DIGIT,
};

/* From behind an opening quote to behind the closing one; NULL: leave it to the grammar. */
static const char *scan_quoted(const char *q, const char *end, bool check_utf8)
{
        const char *from = q;
        bool ascii = true;
        for (;;) {
                while (end - q >= 16) {
                        __m128i v = _mm_loadu_si128((const __m128i *)q);
                        /* Signed: below blank are the control characters and all that is not ASCII. */
                        __m128i stop = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
                                                    _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                                                 _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
                        int mask = _mm_movemask_epi8(stop);
                        if (mask) {
                                q += __builtin_ctz((unsigned)mask);
                                break;
                        }
                        q += 16;
                }
                if (q >= end)
                        return NULL;
                char c = *q++;
                if (c == '"')
                        break;
                if (c == '\\') {
                        if (q >= end || (unsigned char)*q < ' ')
                                return NULL;
                        ascii = ascii && (unsigned char)*q < 0x80;
                        q++;
                } else if ((unsigned char)c >= 0x80) {
                        ascii = false;
                } else if (c < ' ') {
                        return NULL;
                }
        }
        if (!ascii && check_utf8 && !utf8_is_valid((Str){from, (size_t)(q - 1 - from)}))
                return NULL;
        return q;
}

/* From behind { to behind }. */
static const char *scan_labels(const char *q, const char *end, bool named)
{
        for (;;) {
                if (q >= end)
                        return NULL;
                if (*q == '}')
                        return named ? q + 1 : NULL;
                if (*q == '"') {
                        q = scan_quoted(q + 1, end, /* check_utf8= */ false);
                        if (!q || q >= end)
                                return NULL;
                        if (*q == ',' || *q == '}') {
                                if (named)
                                        return NULL;
                                named = true;
                                q += *q == ',';
                                continue;
                        }
                } else {
                        if (!expo_is(*q, LABEL_START))
                                return NULL;
                        do
                                q++;
                        while (q < end && expo_is(*q, LABEL_REST));
                }
                if (end - q < 2 || q[0] != '=' || q[1] != '"')
                        return NULL;
                q = scan_quoted(q + 2, end, /* check_utf8= */ true);
                if (!q || q >= end)
                        return NULL;
                if (*q == ',')
                        q++;
                else if (*q != '}')
                        return NULL;
        }
}

/* From the first byte of a line to behind name and labels. */
static const char *scan_series(const char *q, const char *end)
{
        if (*q == '{')
                return scan_labels(q + 1, end, /* named= */ false);
        do
                q++;
        while (q < end && expo_is(*q, METRIC_REST));
        if (q < end && *q == '{')
                return scan_labels(q + 1, end, /* named= */ true);
        return q;
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool ends_field(const char *q, const char *end)
{
        return q == end || *q == '\n' || *q == ' ' || *q == '\t';
}

static const char *scan_other_float(const char *q, const char *end, double *ret)
{
        const char *from = q;
        while (!ends_field(q, end))
                q++;
        return float_parse_fast((Str){from, (size_t)(q - from)}, ret) ? q : NULL;
}

/* A number up to a blank, a line break or the end. A mantissa below 2^53 times a power of ten up to 22 is exact in one
 * rounding (Clinger). */
static inline const char *scan_float(const char *q, const char *end, double *ret)
{
        const char *from = q;
        bool negative = q < end && *q == '-';
        q += negative;
        const char *digits = q;
        uint64_t mantissa = 0;
        unsigned d;
        while (q < end && (d = (unsigned)(unsigned char)*q - '0') < 10) {
                mantissa = mantissa * 10 + d;
                q++;
        }
        ptrdiff_t n_digits = q - digits;
        int exponent = 0;
        if (!ends_field(q, end)) {
                if (*q == '.') {
                        const char *fraction = ++q;
                        while (q < end && (d = (unsigned)(unsigned char)*q - '0') < 10) {
                                mantissa = mantissa * 10 + d;
                                q++;
                        }
                        exponent = (int)MIN(fraction - q, 0);
                        n_digits += q - fraction;
                        if (n_digits > 18)
                                return scan_other_float(from, end, ret);
                }
                if (end - q >= 3 && (*q | 0x20) == 'e' && (q[1] == '+' || q[1] == '-') && expo_is(q[2], DIGIT)) {
                        bool down = q[1] == '-';
                        int e = 0;
                        for (q += 2; q < end && expo_is(*q, DIGIT) && e < 1000; q++)
                                e = e * 10 + (*q - '0');
                        exponent += down ? -e : e;
                }
                if (!ends_field(q, end))
                        return scan_other_float(from, end, ret);
        }
        if (n_digits == 0 || n_digits > 18 || mantissa >> 53 || exponent < -22 || exponent > 22)
                return scan_other_float(from, end, ret);
        double v = (double)mantissa;
        if (exponent)
                v = exponent < 0 ? v / powers[-exponent] : v * powers[exponent];
        *ret = negative ? -v : v;
        return q;
}

static inline const char *skip_blanks(const char *q, const char *end)
{
        while (q < end && (*q == ' ' || *q == '\t'))
                q++;
        return q;
}

/* From behind the series to behind the line break. At a text's end the line break may be missing: then *ret_over. */
static inline const char *scan_end_text(const char *q, const char *end, struct expo_entry *x, bool *ret_over)
{
        if (q >= end || (*q != ' ' && *q != '\t'))
                return NULL;
        double v;
        q = scan_float(skip_blanks(q + 1, end), end, &v);
        if (!q)
                return NULL;
        bool has_t = false;
        uint64_t t = 0;
        if (q < end && *q != '\n') {
                q = skip_blanks(q, end);
                const char *digits = q;
                unsigned d;
                while (q < end && (d = (unsigned)(unsigned char)*q - '0') < 10 && q - digits < 19) {
                        t = t * 10 + d;
                        q++;
                }
                has_t = q != digits;
                if (q - digits > 18)
                        return NULL;
                q = skip_blanks(q, end);
                if (q < end && *q != '\n')
                        return NULL;
        }
        x->value = v;
        x->has_t = has_t;
        x->t = (TimeMs)t;
        *ret_over = q == end;
        return q + !*ret_over;
}

static inline const char *scan_end_openmetrics(const char *q, const char *end, struct expo_entry *x)
{
        if (end - q < 2 || *q != ' ')
                return NULL;
        double v, seconds = 0;
        q = scan_float(q + 1, end, &v);
        if (!q || q >= end)
                return NULL;
        bool has_t = *q == ' ';
        if (has_t) {
                q = scan_float(q + 1, end, &seconds);
                if (!q || q >= end)
                        return NULL;
        }
        if (*q != '\n' || seconds - seconds != 0) /* NaN and Inf are refused by the grammar */
                return NULL;
        x->value = v;
        x->has_t = has_t;
        x->t = has_t ? lex_float_to_ms(seconds) : 0;
        return q + 1;
}

static inline bool scan_end(struct expo_parser *p, const char *q, Str series, struct expo_entry *x)
{
        const char *end = p->start + p->n;
        bool over = false;
        q = p->format == EXPO_TEXT ? scan_end_text(q, end, x, &over) : scan_end_openmetrics(q, end, x);
        if (!q)
                return false;
        x->type = EXPO_SERIES;
        x->series = series;
        x->has_exemplar = false;
        p->at = (size_t)(q - p->start) + over;
        return true;
}

Str expo_peek(const struct expo_parser *p, size_t n)
{
        if (p->at >= p->n || p->n - p->at <= n || p->nhcb)
                return (Str){NULL, 0};
        const char *line = p->start + p->at;
        return line[n] == ' ' || line[n] == '\t' ? (Str){line, n} : (Str){NULL, 0};
}

bool expo_next_known(struct expo_parser *p, Str series, struct expo_entry *ret)
{
        if (UNLIKELY(p->state != LEX_INIT || p->at >= p->n || p->n - p->at <= series.n || series.n == 0 || p->nhcb))
                return false;
        const char *line = p->start + p->at;
        if (series.p != line && memcmp(line, series.p, series.n) != 0)
                return false;
        char after = line[series.n];
        if (after != ' ' && (after != '\t' || p->format != EXPO_TEXT))
                return false;
        if (UNLIKELY(p->skip_created && p->format == EXPO_OPENMETRICS && grammar_is_created(p, series)))
                return false;
        if (LIKELY(scan_end(p, line + series.n, (Str){line, series.n}, ret)))
                return true;
        return p->format == EXPO_OPENMETRICS && grammar_openmetrics_end(p, p->at + series.n, ret);
}

/* # HELP name text, # TYPE name type. */
static bool fast_meta(struct expo_parser *p, struct expo_entry *x)
{
        const char *q = p->start + p->at, *end = p->start + p->n;
        if (end - q < 10 || (memcmp(q, "# HELP ", 7) != 0 && memcmp(q, "# TYPE ", 7) != 0))
                return false;
        bool help = q[2] == 'H';
        q += 7;
        const char *name = q;
        if (!expo_is(*q, METRIC_START))
                return false;
        while (q < end && expo_is(*q, METRIC_REST))
                q++;
        Str family = {name, (size_t)(q - name)};
        /* Then exactly one blank and a text: the grammar knows what becomes of more blanks and of null bytes. */
        if (end - q < 3 || q[0] != ' ' || (unsigned char)q[1] <= ' ')
                return false;
        const char *text = q + 1, *line_end = memchr(text, '\n', (size_t)(end - text));
        /* Null bytes that begin the next line still belong to OpenMetrics' text token. */
        if (!line_end || (line_end + 1 < end && line_end[1] == 0))
                return false;
        Str s = {text, (size_t)(line_end - text)};
        enum metric_type type = METRIC_UNKNOWN;
        if (help ? !utf8_is_valid(s) || memchr(s.p, 0, s.n) : !metric_type_parse(s, p->format, &type))
                return false;
        x->type = help ? EXPO_HELP : EXPO_TYPE;
        x->family = family;
        x->metric_type = type;
        x->text = help ? grammar_help_text(p, s) : (Str){NULL, 0};
        if (!help)
                p->metric_type = type;
        p->at = (size_t)(line_end + 1 - p->start);
        return true;
}

bool fast_next(struct expo_parser *p, struct expo_entry *x)
{
        if (p->state != LEX_INIT || p->at >= p->n)
                return false;
        const char *line = p->start + p->at;
        if (*line == '#')
                return fast_meta(p, x);
        if (*line != '{' && !expo_is(*line, METRIC_START))
                return false;
        const char *q = scan_series(line, p->start + p->n);
        return q && scan_end(p, q, (Str){line, (size_t)(q - line)}, x);
}
