/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum { LINE_MAX_BYTES = 64 << 10 };

/* Set before threads start, read freely after. */
static enum log_level min_level = LOG_INFO;
static enum log_format format = LOG_LOGFMT;
static int out_fd = 2;

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

bool log_set_level(Str name)
{
        for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
                if (str_eq_nocase(name, str_from(level_names[i]))) {
                        min_level = (enum log_level)i;
                        return true;
                }
        return false;
}

bool log_set_format(Str name)
{
        bool json = str_eq(name, STR("json"));
        if (!json && !str_eq(name, STR("logfmt")))
                return false;
        format = json ? LOG_JSON : LOG_LOGFMT;
        return true;
}

void log_set_fd(int fd)
{
        out_fd = fd;
}

bool log_is_on(enum log_level level)
{
        return level >= min_level;
}

static bool needs_quotes(Str s)
{
        if (s.n == 0)
                return true;
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
                        return true;
        }
        return false;
}

static void put_quoted(struct buf *b, Str s)
{
        buf_putc(b, '"');
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if (c == '"' || c == '\\')
                        buf_printf(b, "\\%c", c);
                else if (c == '\n')
                        buf_puts(b, "\\n");
                else if (c == '\t')
                        buf_puts(b, "\\t");
                else if (c < ' ' || c == 0x7f)
                        buf_printf(b, "\\u%04x", c);
                else
                        buf_putc(b, (char)c);
        }
        buf_putc(b, '"');
}

static void put_key(struct buf *b, const char *key)
{
        if (format == LOG_JSON)
                buf_printf(b, "%s\"%s\":", b->n == 0 ? "{" : ",", key);
        else
                buf_printf(b, "%s%s=", b->n == 0 ? "" : " ", key);
}

static void put_str(struct buf *b, Str s)
{
        if (format == LOG_JSON || needs_quotes(s))
                put_quoted(b, s);
        else
                buf_put(b, s);
}

static void put_duration(struct buf *b, int64_t ms)
{
        char text[48];
        double s = (double)ms / 1000;
        if (ms < 1000 && ms > -1000)
                snprintf(text, sizeof text, "%lldms", (long long)ms);
        else if (ms < 60000)
                snprintf(text, sizeof text, "%.10gs", s);
        else if (ms < 3600000)
                snprintf(text, sizeof text, "%lldm%.10gs", (long long)(ms / 60000), fmod(s, 60));
        else
                snprintf(text, sizeof text, "%lldh%lldm%.10gs", (long long)(ms / 3600000), (long long)(ms / 60000 % 60), fmod(s, 60));
        put_str(b, str_from(text));
}

static void put_value(struct buf *b, const struct log_kv *kv)
{
        switch (kv->type) {
        case LOG_KV_STR:
                put_str(b, kv->s);
                break;
        case LOG_KV_INT:
                buf_put_i64(b, kv->i);
                break;
        case LOG_KV_FLOAT:
                if (isfinite(kv->f))
                        buf_printf(b, "%.10g", kv->f);
                else
                        put_str(b, isnan(kv->f) ? STR("NaN") : kv->f > 0 ? STR("+Inf") : STR("-Inf"));
                break;
        case LOG_KV_DURATION_MS:
                put_duration(b, kv->i);
                break;
        }
}

void log_write(enum log_level level, const char *file, int line, const char *component, const char *msg, const struct log_kv *kv)
{
        struct buf b = BUF_INIT(LINE_MAX_BYTES);
        struct timespec now;
        struct tm tm;
        char when[40], source[128];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(when + n, sizeof when - n, ".%03ldZ", now.tv_nsec / 1000000);
        const char *slash = strrchr(file, '/');
        snprintf(source, sizeof source, "%s:%d", slash ? slash + 1 : file, line);

        put_key(&b, "time");
        put_str(&b, str_from(when));
        put_key(&b, "level");
        put_str(&b, str_from(level_names[level]));
        put_key(&b, "source");
        put_str(&b, str_from(source));
        put_key(&b, "msg");
        put_str(&b, str_from(msg));
        if (component && *component) {
                put_key(&b, "component");
                put_str(&b, str_from(component));
        }
        for (; kv && kv->key; kv++) {
                put_key(&b, kv->key);
                put_value(&b, kv);
        }
        if (buf_is_over(&b)) {          /* cut, but still one line */
                b.over = false;
                b.n = MIN(b.n, (size_t)LINE_MAX_BYTES - 4);
        }
        buf_puts(&b, format == LOG_JSON ? "}\n" : "\n");
        ssize_t ignored = write(out_fd, b.p, b.n);      /* nowhere to report a full stderr */
        (void)ignored;
        buf_done(&b);
}
