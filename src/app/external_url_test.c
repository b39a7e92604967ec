/* SPDX-License-Identifier: Apache-2.0 */
#include "app/external_url.h"

#include <stdlib.h>

#include "base/test.h"

static void prefix_case(const char *flag, const char *url, const char *want)
{
        char *got = route_prefix_of(flag, url);
        CHECK_STR(str_from(got), want);
        free(got);
}

TEST(route_prefix_of, is_the_path_of_the_external_url_unless_told)
{
        prefix_case("", "http://h:9090", "/");
        prefix_case("", "https://h/a/b", "/a/b");
        prefix_case("/", "https://h/a/b", "/");
        prefix_case("x/", "https://h/a/b", "/x");
}

static void url_case(const char *url, const char *want, const char *want_error)
{
        char *got = NULL;
        struct error *e = external_url_compute(url, "0.0.0.0:9090", &got);
        if (want_error) {
                CHECK_ERROR(e, want_error);
                return;
        }
        CHECK_OK(e);
        CHECK_STR(str_from(got), want);
        free(got);
}

TEST(external_url_compute, drops_the_final_slash)
{
        url_case("http://h/x/", "http://h/x", NULL);
        url_case("http://h", "http://h", NULL);
        url_case("\"http://h\"", NULL, "URL must not begin or end with quotes");
        char *got;
        CHECK_OK(external_url_compute("", ":9999", &got));
        CHECK(str_has_suffix(str_from(got), STR(":9999")));
        free(got);
        CHECK_ERROR(external_url_compute("", "nonsense", &got), "address nonsense: missing port in address");
}
