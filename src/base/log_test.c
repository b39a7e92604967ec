/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"

/* What one log call writes, in that format. */
static char *logged(const char *format, void (*call)(void))
{
        char *path = path_join(test_dir(), "log"), *text = NULL;
        size_t n = 0;
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CHECK(fd >= 0);
        log_set_fd(fd);
        CHECK(log_set_format(str_from(format)));
        call();
        log_set_fd(2);
        CHECK(log_set_format(STR("logfmt")));
        close(fd);
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        free(path);
        return text;
}

static void call_info(void)
{
        log_info("tsdb", "two words", KV_I("segment", -3), KV_S("dir", "a \"b\"\n"), KV_MS("took", 1500), KV_S("empty", ""));
        log_debug("tsdb", "not at this level");
}

TEST(log, writes_logfmt_with_the_keys_of_slog)
{
        char *t = logged("logfmt", call_info);
        Str s = str_from(t);
        CHECK_MSG(str_has_prefix(s, STR("time=20")), "%s", t);
        CHECK_MSG(str_contains(s, STR(" level=INFO source=")), "%s", t);
        CHECK_MSG(str_contains(s, STR("log_test.c:")), "%s", t);
        CHECK_MSG(str_contains(s, STR(" msg=\"two words\" component=tsdb segment=-3 dir=\"a \\\"b\\\"\\n\" took=1.5s empty=\"\"\n")), "%s", t);
        CHECK_I64(str_find(s, '\n'), (int64_t)s.n - 1);         /* one line, and no debug */
        free(t);
}

TEST(log, writes_json_that_escapes)
{
        char *t = logged("json", call_info);
        Str s = str_from(t);
        CHECK_MSG(str_has_prefix(s, STR("{\"time\":\"20")), "%s", t);
        CHECK_MSG(str_contains(s, STR("\"level\":\"INFO\"")), "%s", t);
        CHECK_MSG(str_contains(s, STR("\"msg\":\"two words\"")), "%s", t);
        CHECK_MSG(str_contains(s, STR("\"segment\":-3")), "%s", t);
        CHECK_MSG(str_contains(s, STR("\"dir\":\"a \\\"b\\\"\\n\"")), "%s", t);
        CHECK_MSG(str_has_suffix(s, STR("}\n")), "%s", t);
        free(t);
}

TEST(log, refuses_unknown_levels_and_formats)
{
        CHECK(!log_set_level(STR("loud")));
        CHECK(!log_set_format(STR("xml")));
        CHECK(log_set_level(STR("error")));
        CHECK(!log_is_on(LOG_WARN) && log_is_on(LOG_ERROR));
        CHECK(log_set_level(STR("info")));
        CHECK(log_is_on(LOG_INFO) && !log_is_on(LOG_DEBUG));
}
