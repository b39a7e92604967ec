/* SPDX-License-Identifier: Apache-2.0 */
#include "app/external_url.h"

#include <unistd.h>

#include "base/buf.h"

struct error *external_url_compute(const char *url, const char *listen_address, char **ret)
{
        struct buf b = BUF_INIT(1 << 16);
        Str u = str_from(url), port;
        if (u.n == 0) {
                char host[256] = "localhost";
                gethostname(host, sizeof host - 1);
                ptrdiff_t colon = str_rfind(str_from(listen_address), ':');
                if (colon < 0)
                        return error_new(ERROR_INVALID, "address %s: missing port in address", listen_address);
                port = str_from(listen_address + colon + 1);
                buf_printf(&b, "http://%s:" STR_FMT, host, STR_ARG(port));
                *ret = buf_take(&b);
                return NULL;
        }
        if (strchr("\"'", u.p[0]) || strchr("\"'", u.p[u.n - 1]))
                return error_new(ERROR_INVALID, "URL must not begin or end with quotes");
        for (size_t i = 0; i < u.n; i++) {
                if ((unsigned char)u.p[i] <= ' ' || u.p[i] == 0x7f)
                        return error_new(ERROR_INVALID, "parse \"%s\": net/url: invalid control character in URL", url);
        }
        if (!str_contains(u, STR("://")) && u.p[0] != '/') {
                ptrdiff_t colon = str_find(u, ':');
                if (colon == 0)
                        return error_new(ERROR_INVALID, "parse \"%s\": missing protocol scheme", url);
        }
        while (u.n && u.p[u.n - 1] == '/' && !str_has_suffix(u, STR("://")))
                u.n--;
        buf_put(&b, u);
        *ret = buf_take(&b);
        return NULL;
}

char *route_prefix_of(const char *flag, const char *external_url)
{
        Str path = str_from(flag);
        if (path.n == 0) {
                path = str_from(external_url);
                ptrdiff_t scheme = str_find_str(path, STR("://"));
                if (scheme >= 0)
                        path = str_skip(path, (size_t)scheme + 3);
                ptrdiff_t slash = str_find(path, '/');
                path = slash < 0 ? STR("") : str_skip(path, (size_t)slash);
        }
        while (path.n && path.p[0] == '/')
                path = str_skip(path, 1);
        while (path.n && path.p[path.n - 1] == '/')
                path.n--;
        struct buf b = BUF_INIT(1 << 16);
        buf_putc(&b, '/');
        buf_put(&b, path);
        return buf_take(&b);
}
