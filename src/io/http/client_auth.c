/* SPDX-License-Identifier: Apache-2.0 */
/* client_auth.c — the headers that a request carries: its own, the configured ones, credentials. Files are read at each
 * request. Upstream: prometheus/common config/http_config.go (the round trippers), config/headers.go */
#include <strings.h>

#include "base/alloc.h"
#include "base/file.h"
#include "codec/base64.h"
#include "io/http/client_impl.h"
#include "io/http/form.h"

enum { SECRET_BYTES_MAX = 1 << 20 };

static struct error *read_secret(const char *path, char **ret)
{
        char *text = NULL;
        size_t n = 0;
        struct error *e = file_read(path, SECRET_BYTES_MAX, &text, &n);
        if (e)
                return e;
        *ret = str_dup(str_trim((Str){text, n}));
        free(text);
        return NULL;
}

static bool is_safe(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
                        return false;
        return true;
}

static struct error *add(struct curl_slist **list, Str name, Str value)
{
        if (!name.n || !is_safe(name) || !is_safe(value))
                return error_new(ERROR_INVALID, "net/http: invalid header field value for \"" STR_FMT "\"",
                                 STR_ARG(name));
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put(&b, name);
        buf_puts(&b, value.n ? ": " : ";"); /* libcurl's way to send an empty one */
        buf_put(&b, value);
        struct curl_slist *more = curl_slist_append(*list, buf_cstr(&b));
        buf_done(&b);
        if (!more)
                return error_new(ERROR_LIMIT, "out of memory");
        *list = more;
        return NULL;
}

static void note(struct op *o, Str name)
{
        o->has_accept = o->has_accept || str_eq_nocase(name, STR("Accept"));
        o->has_authorization = o->has_authorization || str_eq_nocase(name, STR("Authorization"));
        o->has_host = o->has_host || str_eq_nocase(name, STR("Host"));
}

struct error *client_collect_headers(struct op *o, const struct http_client_request *r)
{
        struct error *e = NULL;
        bool has_type = false;
        for (size_t i = 0; i < r->n_headers && !e; i++) {
                note(o, r->headers[i].name);
                has_type = has_type || str_eq_nocase(r->headers[i].name, STR("Content-Type"));
                e = add(&o->user_headers, r->headers[i].name, r->headers[i].value);
        }
        for (size_t i = 0; i < o->conf->n_headers && !e; i++) {
                const struct http_client_header *h = &o->conf->headers[i];
                char *from_file = NULL;
                if (!h->value && h->file) {
                        e = read_secret(h->file, &from_file);
                        if (e)
                                return error_wrap(e, "unable to read headers file %s", h->file);
                }
                note(o, str_from(h->name));
                e = add(&o->user_headers, str_from(h->name), str_from(h->value ? h->value : from_file));
                free(from_file);
        }
        if (!e && r->inflate)
                e = add(&o->user_headers, STR("Accept-Encoding"), STR("gzip"));
        /* What libcurl would add by itself and Go does not send. */
        const char *drop[] = {"Expect:", o->has_accept ? NULL : "Accept:", has_type ? NULL : "Content-Type:"};
        for (size_t i = 0; i < ARRAY_LEN(drop) && !e; i++)
                if (drop[i])
                        o->user_headers = curl_slist_append(o->user_headers, drop[i]);
        return e;
}

static struct error *secret(const char *text, const char *file, const char *what, char **ret)
{
        if (!file) {
                *ret = mem_strdup(text ? text : "");
                return NULL;
        }
        struct error *e = read_secret(file, ret);
        if (e)
                return error_wrap(error_wrap(e, "unable to read file %s", file), "unable to read %s", what);
        return NULL;
}

static struct error *add_basic(struct op *o, Str user, Str password)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT), value = BUF_INIT(BUF_NO_LIMIT);
        buf_put(&b, user);
        buf_putc(&b, ':');
        buf_put(&b, password);
        buf_puts(&value, "Basic ");
        buf_put_base64(&value, buf_str(&b));
        struct error *e = add(&o->headers, STR("Authorization"), buf_str(&value));
        buf_done(&b);
        buf_done(&value);
        return e;
}

static struct error *add_credentials(struct op *o)
{
        const struct http_client_conf *c = o->conf;
        struct error *e = NULL;
        char *user = NULL, *password = NULL;
        if (c->basic_username || c->basic_username_file || c->basic_password || c->basic_password_file) {
                e = secret(c->basic_username, c->basic_username_file, "basic auth username", &user);
                if (!e)
                        e = secret(c->basic_password, c->basic_password_file, "basic auth password", &password);
                if (!e)
                        e = add_basic(o, str_from(user), str_from(password));
        } else if (c->auth_credentials || c->auth_credentials_file) {
                e = secret(c->auth_credentials, c->auth_credentials_file, "authorization credentials", &password);
                if (!e) {
                        struct buf b = BUF_INIT(BUF_NO_LIMIT);
                        buf_printf(&b, "%s %s", c->auth_type && *c->auth_type ? c->auth_type : "Bearer", password);
                        e = add(&o->headers, STR("Authorization"), buf_str(&b));
                        buf_done(&b);
                }
        } else if (o->parts.user.n) {
                Str name = o->parts.user, word = STR("");
                str_cut(name, ':', &name, &word);
                struct arena a;
                arena_init(&a, 1 << 20);
                e = url_unescape(name, URL_PATH, &a, &name);
                if (!e)
                        e = url_unescape(word, URL_PATH, &a, &word);
                if (!e)
                        e = add_basic(o, name, word);
                arena_done(&a);
        }
        free(user);
        free(password);
        return e;
}

struct error *client_transfer_headers(struct op *o)
{
        curl_slist_free_all(o->headers);
        o->headers = NULL;
        struct error *e = NULL;
        for (const struct curl_slist *h = o->user_headers; h; h = h->next) {
                /* To another host go neither credentials nor a name that is not its own. */
                if (o->cross_host && (!strncasecmp(h->data, "authorization:", 14) ||
                                      !strncasecmp(h->data, "host:", 5) || !strncasecmp(h->data, "cookie:", 7)))
                        continue;
                struct curl_slist *more = curl_slist_append(o->headers, h->data);
                if (!more)
                        return error_new(ERROR_LIMIT, "out of memory");
                o->headers = more;
        }
        if (!o->has_authorization && !o->cross_host)
                e = add_credentials(o);
        /* A server_name is put into the URL, so that libcurl asks for it and checks it: the Host header stays the
         * target's. */
        if (!e && o->conf->tls.server_name && o->parts.https && !o->has_host)
                e = add(&o->headers, STR("Host"), o->parts.authority);
        return e;
}
