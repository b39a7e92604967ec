/* SPDX-License-Identifier: Apache-2.0 */
/* report.c — the report as text for people and as JSON for programs. */
#include "codec/json.h"
#include "thanos/doctor/doctor.h"

void doctor_report_done(struct doctor_report *r)
{
        vec_done(&r->lines);
}

static size_t count(const struct doctor_report *r, enum doctor_level level)
{
        size_t n = 0;
        for (size_t i = 0; i < r->lines.n; i++)
                n += r->lines.p[i].level == level;
        return n;
}

int doctor_exit_code(const struct doctor_report *r)
{
        return count(r, DOCTOR_UNKNOWN) ? 2 : count(r, DOCTOR_FINDING) ? 1 : 0;
}

/* Terminals must not be steered by what a server said of itself. */
static void put_plain(struct buf *b, Str s)
{
        for (size_t i = 0; i < s.n; i++)
                buf_putc(b, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i]);
}

void doctor_print(const struct doctor_report *r, struct buf *b)
{
        static const char *const marks[] = {[DOCTOR_OK] = "ok     ", [DOCTOR_FINDING] = "PROBLEM", [DOCTOR_UNKNOWN] = "UNKNOWN"};
        Str subject = STR("");
        for (size_t i = 0; i < r->lines.n; i++) {
                const struct doctor_line *l = &r->lines.p[i];
                if (!str_eq(subject, l->subject)) {
                        put_plain(b, l->subject);
                        buf_putc(b, '\n');
                        subject = l->subject;
                }
                buf_printf(b, "  %s  %-9s ", marks[l->level], l->check);
                put_plain(b, l->text);
                buf_putc(b, '\n');
                if (l->advice.n) {
                        buf_puts(b, "                     -> ");
                        put_plain(b, l->advice);
                        buf_putc(b, '\n');
                }
        }
        size_t findings = count(r, DOCTOR_FINDING), unknown = count(r, DOCTOR_UNKNOWN);
        if (!findings && !unknown)
                buf_puts(b, "All is well, there is nothing to do.\n");
        if (findings)
                buf_printf(b, "%zu problem%s: do what the arrows say, then run this again.\n", findings, findings == 1 ? "" : "s");
        if (unknown)
                buf_printf(b, "%zu part%s could not be checked: see there why.\n", unknown, unknown == 1 ? "" : "s");
}

void doctor_print_json(const struct doctor_report *r, struct buf *b)
{
        static const char *const levels[] = {[DOCTOR_OK] = "ok", [DOCTOR_FINDING] = "finding", [DOCTOR_UNKNOWN] = "unknown"},
                                 *const results[] = {"ok", "findings", "incomplete"};
        buf_printf(b, "{\"result\":\"%s\",\"checks\":[", results[doctor_exit_code(r)]);
        for (size_t i = 0; i < r->lines.n; i++) {
                const struct doctor_line *l = &r->lines.p[i];
                buf_printf(b, "%s\n{\"level\":\"%s\",\"check\":\"%s\",\"subject\":", i ? "," : "", levels[l->level], l->check);
                json_put_str(b, l->subject);
                buf_puts(b, ",\"text\":");
                json_put_str(b, l->text);
                buf_puts(b, ",\"advice\":");
                json_put_str(b, l->advice);
                buf_putc(b, '}');
        }
        buf_puts(b, "\n]}\n");
}
