/* SPDX-License-Identifier: Apache-2.0 */
/* text.c — writing exposition, reading fields. */
#include "codec/float_text.h"
#include "collect/host/parse.h"

void host_family(struct buf *out, const char *name, const char *type, const char *help)
{
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void host_put_label_value(struct buf *out, Str v)
{
        for (size_t i = 0; i < v.n; i++) {
                if (v.p[i] == '\\' || v.p[i] == '"')
                        buf_putc(out, '\\');
                if (v.p[i] == '\n')
                        buf_puts(out, "\\n");
                else
                        buf_putc(out, v.p[i]);
        }
}

void host_sample(struct buf *out, const char *name, const char *label, Str label_value, double v)
{
        buf_puts(out, name);
        if (label) {
                buf_printf(out, "{%s=\"", label);
                host_put_label_value(out, label_value);
                buf_puts(out, "\"}");
        }
        buf_putc(out, ' ');
        buf_put_float(out, v, 'g');
        buf_putc(out, '\n');
}

bool host_field(Str *rest, Str *ret)
{
        size_t i = 0;
        while (i < rest->n && (rest->p[i] == ' ' || rest->p[i] == '\t'))
                i++;
        size_t from = i;
        while (i < rest->n && rest->p[i] != ' ' && rest->p[i] != '\t')
                i++;
        if (from == i)
                return false;
        *ret = str_sub(*rest, from, i);
        *rest = str_skip(*rest, i);
        return true;
}

bool host_number(Str s, double *ret)
{
        bool range;
        return float_parse(s, ret, &range);
}

bool host_is_word(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
                        return false;
        }
        return s.n > 0;
}
