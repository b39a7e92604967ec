/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_regex.c — the first line is a pattern, the next a template, the rest a subject: the shortcuts never change
 * an answer. */
#include "codec/quote.h"
#include "codec/regex.h"
#include "codec/regex_shim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str pattern = {(const char *)data, MIN(size, (size_t)200)}, subject = STR("ab"), template = STR("$1");
        if (str_cut(pattern, '\n', &pattern, &subject))
                str_cut(subject, '\n', &template, &subject);
        struct regex *re;
        struct error *e = regex_new(pattern, &re);
        if (e) {
                error_free(e);
                return 0;
        }
        bool got = regex_matches(re, subject);
        const char *reason;
        char arg[100];
        size_t arg_n;
        struct regex_shim *shim = utf8_is_valid(subject) ? regex_shim_new(pattern.n ? pattern.p : "", pattern.n, true,
                                                                          &reason, arg, sizeof arg, &arg_n)
                                                         : NULL;
        if (shim && regex_shim_matches(shim, subject.n ? subject.p : "", subject.n) != got)
                bug("/" STR_FMT "/ on \"" STR_FMT "\" must be %d", STR_ARG(pattern), STR_ARG(subject), !got);
        regex_shim_free(shim);
        Str prefix = regex_prefix(re);
        if (got && !str_has_prefix(subject, prefix))
                bug("/" STR_FMT "/ matches without its prefix", STR_ARG(pattern));
        const Str *set;
        size_t n;
        if (regex_set_matches(re, &set, &n))
                for (size_t i = 0; i < n; i++)
                        if (!regex_matches(re, set[i]))
                                bug("/" STR_FMT "/ does not match what it lists", STR_ARG(pattern));
        struct buf out = BUF_INIT(1 << 20);
        if (regex_expand(re, subject, template, &out) != got)
                bug("/" STR_FMT "/ matches with groups and without differently", STR_ARG(pattern));
        buf_done(&out);
        regex_free(re);
        return 0;
}
