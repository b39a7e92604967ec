/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/client_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "io/resolver.h"

struct error *client_url_parse(Str text, struct client_url *ret)
{
        struct client_url u = {0};
        for (size_t i = 0; i < text.n; i++)
                if ((unsigned char)text.p[i] <= 0x20 || text.p[i] == 0x7f)
                        return error_new(ERROR_INVALID, "net/url: invalid control character in URL");
        ptrdiff_t at = str_find_str(text, STR("://"));
        Str scheme = at < 0 ? STR("") : str_sub(text, 0, (size_t)at);
        if (str_eq_nocase(scheme, STR("https")))
                u.https = true;
        else if (!str_eq_nocase(scheme, STR("http")))
                return error_new(ERROR_INVALID, "unsupported protocol scheme \"" STR_FMT "\"", STR_ARG(scheme));
        Str rest = str_skip(text, (size_t)at + 3);
        size_t n = 0;
        while (n < rest.n && !strchr("/?#", rest.p[n]))
                n++;
        u.authority = str_sub(rest, 0, n);
        u.rest = str_skip(rest, n);
        ptrdiff_t hash = str_find(u.rest, '#');
        if (hash >= 0)
                u.rest.n = (size_t)hash;
        ptrdiff_t user = str_rfind(u.authority, '@');
        if (user >= 0) {
                u.user = str_sub(u.authority, 0, (size_t)user);
                u.authority = str_skip(u.authority, (size_t)user + 1);
        }
        u.host = u.authority;
        u.port = u.https ? 443 : 80;
        Str port = STR("");
        if (u.host.n && u.host.p[0] == '[') {
                ptrdiff_t end = str_find(u.host, ']');
                if (end < 0)
                        return error_new(ERROR_INVALID, "missing ']' in host");
                port = str_skip(u.host, (size_t)end + 1);
                u.host = str_sub(u.host, 1, (size_t)end);
                if (port.n && port.p[0] != ':')
                        return error_new(ERROR_INVALID, "invalid port \"" STR_FMT "\" after host", STR_ARG(port));
        } else {
                ptrdiff_t colon = str_find(u.host, ':');
                if (colon >= 0) {
                        port = str_skip(u.host, (size_t)colon);
                        u.host = str_sub(u.host, 0, (size_t)colon);
                }
        }
        if (!u.host.n)
                return error_new(ERROR_INVALID, "http: no Host in request URL");
        for (size_t i = 0; i < u.host.n; i++)
                if (strchr("%\"<>\\^`{|}", u.host.p[i]))
                        return error_new(ERROR_INVALID, "invalid character \"%c\" in host name", u.host.p[i]);
        if (port.n > 1) {
                uint64_t v;
                if (!str_to_u64(str_skip(port, 1), &v))
                        return error_new(ERROR_INVALID, "invalid port \"" STR_FMT "\" after host", STR_ARG(port));
                if (v > 65535)
                        return error_new(ERROR_INVALID, "dial tcp: address " STR_FMT ": invalid port",
                                         STR_ARG(str_skip(port, 1)));
                u.port = (uint16_t)v;
        }
        *ret = u;
        return NULL;
}

struct error *client_url_join(const char *base, Str location, char **ret)
{
        struct error *e = NULL;
        CURLU *u = curl_url();
        char *to = str_dup(location), *all = NULL;
        CURLUcode rc =
                u ? curl_url_set(u, CURLUPART_URL, base, CURLU_PATH_AS_IS | CURLU_URLENCODE) : CURLUE_OUT_OF_MEMORY;
        if (!rc)
                rc = curl_url_set(u, CURLUPART_URL, to, CURLU_PATH_AS_IS | CURLU_URLENCODE);
        if (!rc)
                rc = curl_url_get(u, CURLUPART_URL, &all, 0);
        if (rc)
                e = error_new(ERROR_INVALID, "failed to parse Location header \"%s\": %s", to, curl_url_strerror(rc));
        else
                *ret = mem_strdup(all);
        curl_free(all);
        curl_url_cleanup(u);
        free(to);
        return e;
}

/* One entry of no_proxy: "*", "10.0.0.0/8", ".example.com", "example.com", each with an optional port. */
static bool bypasses(Str entry, const struct client_url *u)
{
        if (str_eq(entry, STR("*")))
                return true;
        struct sockaddr_storage a, b;
        Str net, bits_text;
        if (str_cut(entry, '/', &net, &bits_text)) {
                uint64_t bits;
                if (!resolver_literal(net, &a) || !resolver_literal(u->host, &b) || a.ss_family != b.ss_family ||
                    !str_to_u64(bits_text, &bits))
                        return false;
                const uint8_t *x, *y;
                if (a.ss_family == AF_INET) {
                        x = (uint8_t *)&((struct sockaddr_in *)&a)->sin_addr;
                        y = (uint8_t *)&((struct sockaddr_in *)&b)->sin_addr;
                } else {
                        x = ((struct sockaddr_in6 *)&a)->sin6_addr.s6_addr;
                        y = ((struct sockaddr_in6 *)&b)->sin6_addr.s6_addr;
                }
                if (bits > (a.ss_family == AF_INET ? 32 : 128))
                        return false;
                for (uint64_t i = 0; i < bits; i++)
                        if ((x[i / 8] ^ y[i / 8]) >> (7 - i % 8) & 1)
                                return false;
                return true;
        }
        Str name, port;
        uint64_t p;
        ptrdiff_t colon = str_rfind(entry, ':');
        if (colon >= 0 && str_find(entry, ':') == colon) {
                name = str_sub(entry, 0, (size_t)colon);
                port = str_skip(entry, (size_t)colon + 1);
                if (!str_to_u64(port, &p) || p != u->port)
                        return false;
                entry = name;
        }
        if (entry.n && entry.p[0] == '*')
                entry = str_skip(entry, 1);
        if (!entry.n)
                return false;
        Str bare = entry.p[0] == '.' ? str_skip(entry, 1) : entry;
        if (entry.p[0] != '.' && str_eq_nocase(u->host, bare))
                return true;
        return u->host.n > bare.n + 1 && u->host.p[u->host.n - bare.n - 1] == '.' &&
               str_eq_nocase(str_skip(u->host, u->host.n - bare.n), bare);
}

static const char *env_either(const char *upper, const char *lower)
{
        const char *v = getenv(upper);
        if (!v || !*v)
                v = getenv(lower);
        return v ? v : "";
}

const char *client_proxy_for(const struct http_client_conf *conf, const struct client_url *u)
{
        const char *proxy = conf->proxy_url ? conf->proxy_url : "", *no = conf->no_proxy ? conf->no_proxy : "";
        if (conf->proxy_from_environment) {
                proxy = u->https ? env_either("HTTPS_PROXY", "https_proxy") : env_either("HTTP_PROXY", "http_proxy");
                no = env_either("NO_PROXY", "no_proxy");
                struct sockaddr_storage a;
                /* As Go: loopback never goes through a proxy that the environment names. */
                if (str_eq_nocase(u->host, STR("localhost")))
                        return "";
                if (resolver_literal(u->host, &a)) {
                        if (a.ss_family == AF_INET && ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127)
                                return "";
                        if (a.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&a)->sin6_addr))
                                return "";
                }
        }
        if (!*proxy)
                return "";
        Str list = str_from(no), one;
        while (str_next(&list, ',', &one))
                if (bypasses(str_trim(one), u))
                        return "";
        return proxy;
}
