/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/regex_shim.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <string>

struct regex_shim {
        RE2 re;
        regex_shim(const re2::StringPiece &pattern, const RE2::Options &o) : re(pattern, o) {}
};

static const char *reason_of(RE2::ErrorCode code)
{
        switch (code) {
        case RE2::ErrorBadEscape:
                return "invalid escape sequence";
        case RE2::ErrorBadCharClass:
                return "invalid character class";
        case RE2::ErrorBadCharRange:
                return "invalid character class range";
        case RE2::ErrorMissingBracket:
                return "missing closing ]";
        case RE2::ErrorMissingParen:
                return "missing closing )";
        case RE2::ErrorUnexpectedParen:
                return "unexpected )";
        case RE2::ErrorTrailingBackslash:
                return "trailing backslash at end of expression";
        case RE2::ErrorRepeatArgument:
                return "missing argument to repetition operator";
        case RE2::ErrorRepeatSize:
                return "invalid repeat count";
        case RE2::ErrorRepeatOp:
                return "invalid nested repetition operator";
        case RE2::ErrorBadPerlOp:
                return "invalid or unsupported Perl syntax";
        case RE2::ErrorBadUTF8:
                return "invalid UTF-8";
        case RE2::ErrorBadNamedCapture:
                return "invalid named capture";
        case RE2::ErrorPatternTooLarge:
                return "expression too large";
        default:
                return "regexp/syntax: internal error";
        }
}

struct regex_shim *regex_shim_new(const char *p, size_t n, bool dot_nl, const char **ret_reason, char *arg, size_t arg_cap, size_t *ret_arg_n)
{
        RE2::Options o;
        o.set_log_errors(false);
        o.set_dot_nl(dot_nl);
        o.set_max_mem(64 << 20);
        auto *shim = new regex_shim(re2::StringPiece(p, n), o);
        if (shim->re.ok())
                return shim;
        *ret_reason = reason_of(shim->re.error_code());
        const std::string &about = shim->re.error_arg();
        *ret_arg_n = std::min(about.size(), arg_cap);
        memcpy(arg, about.data(), *ret_arg_n);
        delete shim;
        return nullptr;
}

void regex_shim_free(struct regex_shim *re)
{
        delete re;
}

bool regex_shim_matches(const struct regex_shim *re, const char *p, size_t n)
{
        return re->re.Match(re2::StringPiece(p, n), 0, n, RE2::ANCHOR_BOTH, nullptr, 0);
}

int regex_shim_groups(const struct regex_shim *re)
{
        return re->re.NumberOfCapturingGroups();
}

int regex_shim_group_index(const struct regex_shim *re, const char *name, size_t n)
{
        const auto &names = re->re.NamedCapturingGroups();
        auto at = names.find(std::string(name, n));
        return at == names.end() ? -1 : at->second;
}

static bool match(const struct regex_shim *re, const char *p, size_t n, size_t from, RE2::Anchor anchor, struct regex_shim_group *group, int n_group)
{
        enum { MANY = 32 };
        re2::StringPiece few[MANY], *sub = n_group <= MANY ? few : new re2::StringPiece[(size_t)n_group];
        bool ok = re->re.Match(re2::StringPiece(p, n), from, n, anchor, sub, std::min(n_group, re->re.NumberOfCapturingGroups() + 1));
        for (int i = 0; ok && i < n_group; i++) {
                group[i].p = sub[i].data();
                group[i].n = sub[i].size();
        }
        if (sub != few)
                delete[] sub;
        return ok;
}

bool regex_shim_match_groups(const struct regex_shim *re, const char *p, size_t n, struct regex_shim_group *group, int n_group)
{
        return match(re, p, n, 0, RE2::ANCHOR_BOTH, group, n_group);
}

bool regex_shim_find(const struct regex_shim *re, const char *p, size_t n, size_t from, struct regex_shim_group *group, int n_group)
{
        return match(re, p, n, from, RE2::UNANCHORED, group, n_group);
}
