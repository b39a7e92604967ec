/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static struct error *error_take_text(enum error_kind k, char *take_text)
{
        struct error *e = mem_new(struct error);
        e->kind = k;
        e->text = take_text;
        return e;
}

static char *format(const char *fmt, va_list ap)
{
        char *text = NULL;
        if (vasprintf(&text, fmt, ap) < 0)
                text = mem_strdup("out of memory while formatting an error");
        return text;
}

/* "a" + sep + "b" */
static char *join_text(const char *a, const char *sep, const char *b)
{
        size_t na = strlen(a), ns = strlen(sep), nb = strlen(b);
        char *text = mem_alloc(na + ns + nb + 1);
        memcpy(text, a, na);
        memcpy(text + na, sep, ns);
        memcpy(text + na + ns, b, nb + 1);
        return text;
}

struct error *error_new(enum error_kind k, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *text = format(fmt, ap);
        va_end(ap);
        return error_take_text(k, text);
}

struct error *error_errno(int errno_value, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *what = format(fmt, ap);
        va_end(ap);
        char why[128], buf[128];
        snprintf(why, sizeof why, "%s", strerror_r(errno_value, buf, sizeof buf));
        why[0] = (char)tolower((unsigned char)why[0]);          /* as Go words them: "no such file or directory" */
        char *text = join_text(what, ": ", why);
        free(what);
        enum error_kind k = errno_value == ENOENT ? ERROR_NOT_FOUND : errno_value == EEXIST ? ERROR_EXISTS : ERROR_IO;
        return error_take_text(k, text);
}

struct error *error_wrap(struct error *take_cause, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        char *what = format(fmt, ap);
        va_end(ap);
        char *text = join_text(what, ": ", error_str(take_cause));
        free(what);
        struct error *e = error_take_text(take_cause->kind, text);
        error_free(take_cause);
        return e;
}

struct error *error_join(struct error *take_a, struct error *take_b)
{
        if (!take_a || !take_b)
                return take_a ? take_a : take_b;
        struct error *e = error_take_text(take_a->kind, join_text(take_a->text, "; ", take_b->text));
        error_free(take_a);
        error_free(take_b);
        return e;
}

bool error_is(const struct error *e, enum error_kind k)
{
        return e && e->kind == k;
}

enum error_kind error_get_kind(const struct error *e)
{
        return e ? e->kind : ERROR_INTERNAL;
}

const char *error_str(const struct error *e)
{
        return e ? e->text : "";
}

struct error *error_dup(const struct error *e)
{
        return e ? error_take_text(e->kind, mem_strdup(e->text)) : NULL;
}

void error_free(struct error *e)
{
        if (!e || e->is_static)
                return;
        free((char *)e->text);
        free(e);
}

void error_ignore(struct error *take_e, const char *why)
{
        (void)why;
        error_free(take_e);
}
