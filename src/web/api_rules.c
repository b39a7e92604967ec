/* SPDX-License-Identifier: Apache-2.0 */
/* api_rules.c — rules, alerts, alertmanagers, notifications: what they say while the server evaluates no rules. Parameters are judged all the same. */
#include "codec/quote.h"
#include "web/serve.h"

static void empty(struct api *a, const char *data)
{
        api_begin(a);
        buf_puts(&a->out, data);
        api_end(a, NULL, 0, NULL, 0);
}

static bool is_go_bool(Str s)
{
        static const char *const words[] = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                if (str_eq(s, str_from(words[i])))
                        return true;
        }
        return false;
}

static struct error *quoted(const char *before, Str s, const char *after)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "%s%s%s", before, buf_cstr(&b), after);
        buf_done(&b);
        return e;
}

static void rules(struct api *a)
{
        MatcherSets sets = VEC_INIT;
        struct error *e = matcher_sets_parse(&a->form, true, a->r->arena, &sets);
        matcher_sets_done(&sets);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                return;
        }
        Str type = api_param(a, "type"), exclude = api_param(a, "exclude_alerts"), limit = api_param(a, "group_limit"), token = api_param(a, "group_next_token");
        int64_t n = 0;
        if (type.n && !str_eq_nocase(type, STR("alert")) && !str_eq_nocase(type, STR("record")))
                api_fail_param(a, "type", quoted("not supported value ", type, ""));
        else if (exclude.n && !is_go_bool(exclude))
                api_fail_param(a, "exclude_alerts", quoted("error converting exclude_alerts: strconv.ParseBool: parsing ", exclude, ": invalid syntax"));
        else if (limit.n && !str_to_i64(limit, &n))
                api_fail_param(a, "group_limit", quoted("group_limit needs to be a valid number: strconv.ParseInt: parsing ", limit, ": invalid syntax"));
        else if (limit.n && n <= 0)
                api_fail_param(a, "group_limit", error_new(ERROR_INVALID, "group_limit needs to be greater than 0"));
        else if (token.n && !limit.n)
                api_fail_param(a, "group_next_token", error_new(ERROR_INVALID, "group_limit needs to be present in order to paginate over the groups"));
        else if (token.n)
                api_fail_param(a, "group_next_token", error_new(ERROR_INVALID, "invalid group_next_token '" STR_FMT "'. were rule groups changed?", STR_ARG(token)));
        else
                empty(a, "{\"groups\":[]}");
}

static void alerts(struct api *a)
{
        empty(a, "{\"alerts\":[]}");
}

static void alertmanagers(struct api *a)
{
        empty(a, "{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}");
}

static void notifications(struct api *a)
{
        empty(a, "[]");
}

void api_rules_register(struct web *w)
{
        api_handle(w, "rules", HTTP_GET, 0, rules);
        api_handle(w, "alerts", HTTP_GET, 0, alerts);
        api_handle(w, "alertmanagers", HTTP_GET, 0, alertmanagers);
        api_handle(w, "notifications", HTTP_GET, 0, notifications);
}
