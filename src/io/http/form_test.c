/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/form.h"

#include "base/test.h"

static void form_case(const char *query, const char *want, const char *error)
{
        struct arena a;
        arena_init(&a, 1 << 22);
        struct http_form f = {0};
        struct error *e = form_parse(str_from(query), &a, &f);
        if (error)
                CHECK_ERROR(e, error);
        else
                CHECK_OK(e);
        struct buf b = BUF_INIT(1000);
        for (size_t i = 0; i < f.n; i++)
                buf_printf(&b, "%.*s=%.*s|", STR_ARG(f.v[i].name), STR_ARG(f.v[i].value));
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        arena_done(&a);
}
TEST(form_parse, reads_as_Go_does)
{
        form_case("", "", NULL);
        form_case("a=1&b=2&a=3", "a=1|b=2|a=3|", NULL);
        form_case("a&=x&&b=", "a=|=x|b=|", NULL);
        form_case("a=b=c", "a=b=c|", NULL);
        form_case("match%5B%5D=up%7Ba%3D%22b%22%7D+x", "match[]=up{a=\"b\"} x|", NULL);
        form_case("a=%zz&b=1", "b=1|", "invalid URL escape \"%zz\"");
        form_case("a=%2&%q=1&c=1", "c=1|", "invalid URL escape \"%2\"");
        form_case("a=%", "", "invalid URL escape \"%\"");
        form_case("a=1;b=2&c=3", "c=3|", "invalid semicolon separator in query");
        form_case("a=%zz&b;c", "", "invalid semicolon separator in query");
        form_case("a=\xff%ff", "a=\xff\xff|", NULL);
}
TEST(form_parse, bounds_the_number_of_parameters)
{
        struct arena a;
        arena_init(&a, 1 << 24);
        struct http_form f = {0};
        char many[FORM_PARAMS_MAX + 2];
        memset(many, '&', sizeof many);
        CHECK_ERROR(form_parse((Str){many, FORM_PARAMS_MAX}, &a, &f), "number of URL query parameters exceeded limit");
        CHECK_OK(form_parse((Str){many, FORM_PARAMS_MAX - 1}, &a, &f));
        CHECK_U64(f.n, 0);
        arena_done(&a);
}
TEST(url_escape, turns_into_what_unescape_reads)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct buf b = BUF_INIT(1000);
        Str back;
        url_escape(STR("a b+c/\xe4?&=~"), URL_QUERY, &b);
        CHECK_STR(buf_str(&b), "a+b%2Bc%2F%E4%3F%26%3D~");
        CHECK_OK(url_unescape(buf_str(&b), URL_QUERY, &a, &back));
        CHECK_STR(back, "a b+c/\xe4?&=~");
        CHECK_OK(url_unescape(STR("a+b%20"), URL_PATH, &a, &back));
        CHECK_STR(back, "a+b ");
        buf_done(&b);
        arena_done(&a);
}
