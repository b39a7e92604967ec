/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/s3_list.h"

#include <time.h>

#include "base/vec.h"
#include "objstore/bucket_impl.h"
#include "objstore/xml.h"

enum { ENTRIES_MAX = 100000 };

static bool parse_date(Str s, const char *format, TimeMs *ret, Str *ret_rest)
{
        char text[64];
        struct tm tm = {0};
        if (s.n >= sizeof text || !s.n || memchr(s.p, 0, s.n))
                return false;
        memcpy(text, s.p, s.n);
        text[s.n] = 0;
        const char *end = strptime(text, format, &tm);
        if (!end)
                return false;
        *ret = (TimeMs)timegm(&tm) * 1000;
        *ret_rest = str_skip(s, (size_t)(end - text));
        return true;
}

bool s3_parse_http_date(Str s, TimeMs *ret)
{
        Str rest;
        return parse_date(str_trim(s), "%a, %d %b %Y %H:%M:%S GMT", ret, &rest) && !rest.n;
}

bool s3_parse_iso_date(Str s, TimeMs *ret)
{
        Str rest;
        if (!parse_date(str_trim(s), "%Y-%m-%dT%H:%M:%S", ret, &rest))
                return false;
        int ms = 0, unit = 100;
        if (rest.n && rest.p[0] == '.') {
                size_t i = 1;
                for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9'; i++, unit /= 10)
                        ms += (rest.p[i] - '0') * unit;
                rest = str_skip(rest, i);
        }
        *ret += ms;
        return str_eq(rest, STR("Z")) || str_eq(rest, STR("+00:00"));
}

static int hex_digit(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

/* As in a query: + is a space. */
static bool url_decode(Str s, struct arena *a, Str *ret)
{
        char *p = arena_try_alloc(a, s.n + 1);
        size_t n = 0;
        for (size_t i = 0; p && i < s.n; i++) {
                if (s.p[i] != '%') {
                        p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
                        continue;
                }
                int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1, lo = hi >= 0 ? hex_digit(s.p[i + 2]) : -1;
                if (lo < 0)
                        return false;
                p[n++] = (char)(hi * 16 + lo);
                i += 2;
        }
        *ret = (Str){p, n};
        return p != NULL;
}

struct parse {
        struct s3_list list;
        VEC(struct bucket_entry) v;
        struct bucket_entry one;
        bool is_url_encoded, has_next;
};

static struct error *leaf(struct parse *p, Str parent, const struct xml_token *t)
{
        bool object = str_eq(parent, STR("Contents"));
        if (t->depth == 2 && str_eq(t->name, STR("IsTruncated"))) {
                p->list.is_truncated = str_eq(str_trim(t->text), STR("true"));
        } else if (t->depth == 2 &&
                   (str_eq(t->name, STR("NextContinuationToken")) || str_eq(t->name, STR("NextMarker")))) {
                p->list.next = t->text;
                p->has_next = true;
        } else if (t->depth == 2 && str_eq(t->name, STR("EncodingType"))) {
                p->is_url_encoded = str_eq(str_trim(t->text), STR("url"));
        } else if (t->depth == 3 &&
                   (object ? str_eq(t->name, STR("Key"))
                           : str_eq(parent, STR("CommonPrefixes")) && str_eq(t->name, STR("Prefix")))) {
                p->one.name = t->text;
                p->one.is_dir = !object;
        } else if (t->depth == 3 && object && str_eq(t->name, STR("Size"))) {
                if (!str_to_u64(str_trim(t->text), &p->one.size_bytes))
                        return error_new(ERROR_CORRUPT, "broken list: Size is no number");
        } else if (t->depth == 3 && object && str_eq(t->name, STR("LastModified"))) {
                if (!s3_parse_iso_date(t->text, &p->one.modified_ms))
                        return error_new(ERROR_CORRUPT, "broken list: LastModified is no date");
        }
        return NULL;
}

static struct error *parse(struct parse *p, Str xml, struct arena *a)
{
        struct xml x;
        struct xml_token t;
        struct error *e;
        xml_init(&x, xml, a);
        while (!(e = xml_next(&x, &t)) && t.type != XML_END) {
                if (t.depth == 1 && !str_eq(t.name, STR("ListBucketResult")))
                        return error_new(ERROR_CORRUPT, "broken list: the root is %.*s", (int)MIN(t.name.n, (size_t)40),
                                         t.name.p);
                if (t.type == XML_OPEN && t.depth == 2)
                        p->one = (struct bucket_entry){0};
                if (t.type != XML_CLOSE)
                        continue;
                e = leaf(p, t.depth == 3 ? x.stack[1] : STR(""), &t);
                if (e)
                        return e;
                if (t.depth == 2 && (str_eq(t.name, STR("Contents")) || str_eq(t.name, STR("CommonPrefixes")))) {
                        if (p->v.n == ENTRIES_MAX)
                                return error_new(ERROR_LIMIT, "a page of the list has more than %d entries",
                                                 ENTRIES_MAX);
                        vec_push(&p->v, p->one);
                }
        }
        return e;
}

static int by_name(const void *a, const void *b)
{
        return str_cmp(((const struct bucket_entry *)a)->name, ((const struct bucket_entry *)b)->name);
}

/* Decodes and checks the names. */
static struct error *finish(struct parse *p, bool v1, Str prefix, struct arena *a)
{
        for (size_t i = 0; i < p->v.n; i++) {
                struct bucket_entry *one = &p->v.p[i];
                if (p->is_url_encoded && !url_decode(one->name, a, &one->name))
                        return error_new(ERROR_CORRUPT, "broken list: a name with a bad escape");
                bool fits = one->name.n && one->name.n <= BUCKET_NAME_MAX && str_find(one->name, 0) < 0 &&
                            str_has_prefix(one->name, prefix);
                if (!fits || (one->is_dir && (one->name.p[one->name.n - 1] != '/' || one->name.n == prefix.n)))
                        return error_new(ERROR_CORRUPT, "broken list: a name that was not asked for");
        }
        if (v1 && p->has_next && p->is_url_encoded && !url_decode(p->list.next, a, &p->list.next))
                return error_new(ERROR_CORRUPT, "broken list: NextMarker with a bad escape");
        if (p->v.n) {
                qsort(p->v.p, p->v.n, sizeof *p->v.p, by_name);
                p->list.v = arena_try_alloc(a, arena_array_bytes(p->v.n, sizeof *p->v.p));
                if (!p->list.v)
                        return error_new(ERROR_LIMIT, "the list is too large");
                memcpy(p->list.v, p->v.p, p->v.n * sizeof *p->v.p);
                p->list.n = p->v.n;
        }
        if (v1 && p->list.is_truncated && !p->has_next && p->v.n)
                p->list.next = p->v.p[p->v.n - 1].name;
        if (p->list.is_truncated && !p->list.next.n)
                return error_new(ERROR_CORRUPT, "broken list: it goes on and does not say where");
        return NULL;
}

struct error *s3_list_parse(Str xml, bool v1, Str prefix, struct arena *a, struct s3_list *ret)
{
        struct parse p = {0};
        struct error *e = parse(&p, xml, a);
        if (!e)
                e = finish(&p, v1, prefix, a);
        vec_done(&p.v);
        if (!e)
                *ret = p.list;
        return e;
}
