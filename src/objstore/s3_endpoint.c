/* SPDX-License-Identifier: Apache-2.0 */
/* s3_endpoint.c — where requests go and who sends them: hosts and regions of endpoints, credentials.
 * Upstream: minio-go api.go makeTargetURL, s3-endpoints.go, pkg/s3utils, pkg/credentials */
#include <stdio.h>

#include "base/file.h"
#include "objstore/s3_impl.h"

/* --- credentials --- */

static const char *env(const char *name, const char *older)
{
        const char *v = getenv(name);
        if ((!v || !*v) && older)
                v = getenv(older);
        return v && *v ? v : NULL;
}

/* [profile] sections of key = value lines. */
static void read_profile(Str text, Str profile, struct arena *a, struct s3_key *ret)
{
        Str rest = text, line, name, value;
        bool inside = false;
        while (str_next(&rest, '\n', &line)) {
                line = str_trim(line);
                if (line.n > 1 && line.p[0] == '[') {
                        inside = str_eq(str_trim(str_sub(line, 1, line.n - 1)), profile) && line.p[line.n - 1] == ']';
                        continue;
                }
                if (!inside || !line.n || line.p[0] == '#' || line.p[0] == ';' || !str_cut(line, '=', &name, &value))
                        continue;
                name = str_trim(name);
                const char **to = str_eq(name, STR("aws_access_key_id"))       ? &ret->access_key
                                  : str_eq(name, STR("aws_secret_access_key")) ? &ret->secret_key
                                  : str_eq(name, STR("aws_session_token"))     ? &ret->session_token
                                                                               : NULL;
                if (to)
                        *to = arena_str(a, str_trim(value)).p;
        }
}

static struct error *from_file(struct arena *a, struct s3_key *ret)
{
        struct buf path = BUF_INIT(64 << 10);
        const char *given = env("AWS_SHARED_CREDENTIALS_FILE", NULL), *home = getenv("HOME"),
                   *profile = env("AWS_PROFILE", NULL);
        if (given)
                buf_puts(&path, given);
        else
                buf_printf(&path, "%s/.aws/credentials", home ? home : "");
        char *text;
        size_t n;
        struct error *e = file_read(buf_cstr(&path), 1 << 20, &text, &n);
        buf_done(&path);
        if (!given && error_is(e, ERROR_NOT_FOUND)) {
                error_free(e);
                return NULL;
        }
        if (e)
                return error_wrap(e, "read s3 credentials");
        read_profile((Str){text, n}, profile ? str_from(profile) : STR("default"), a, ret);
        free(text);
        return NULL;
}

struct error *s3_find_key(const struct s3_opts *o, struct arena *a, struct s3_key *ret)
{
        struct s3_key k = {o->access_key, o->secret_key, o->session_token};
        struct error *e = NULL;
        if (!k.access_key || !*k.access_key) {
                k = (struct s3_key){env("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
                                    env("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"), env("AWS_SESSION_TOKEN", NULL)};
                if (!k.access_key || !k.secret_key) {
                        k = (struct s3_key){0};
                        e = from_file(a, &k);
                }
        }
        if (!e && (!k.access_key || !*k.access_key || !k.secret_key || !*k.secret_key))
                e = error_new(ERROR_INVALID,
                              "no s3 credentials: neither access_key and secret_key, nor AWS_ACCESS_KEY_ID and "
                              "AWS_SECRET_ACCESS_KEY, nor a shared "
                              "credentials file with them (roles of instances and web identity are not supported yet)");
        if (e)
                return e;
        ret->access_key = arena_strdup(a, k.access_key);
        ret->secret_key = arena_strdup(a, k.secret_key);
        ret->session_token = k.session_token && *k.session_token ? arena_strdup(a, k.session_token) : NULL;
        return NULL;
}

/* --- endpoints --- */

static Str without_port(Str host)
{
        ptrdiff_t colon = str_rfind(host, ':');
        return colon >= 0 && str_find(host, ']') < colon ? str_sub(host, 0, (size_t)colon) : host;
}

/* The region in s3.REGION.amazonaws.com, s3-REGION.…, s3.dualstack.REGION.…; empty: the name has none. */
static Str region_in(Str host)
{
        Str rest = str_trim_suffix(str_trim_suffix(host, STR(".cn")), STR(".amazonaws.com")), region = STR("");
        if (str_has_prefix(rest, STR("s3.dualstack.")))
                region = str_skip(rest, 13);
        else if (str_has_prefix(rest, STR("s3.")) || str_has_prefix(rest, STR("s3-")))
                region = str_skip(rest, 3);
        bool ok = region.n && region.n < 64 && str_find(region, '.') < 0 && !str_eq(region, STR("accelerate")) &&
                  !str_has_prefix(region, STR("fips"));
        return !ok ? STR("") : str_eq(region, STR("external-1")) ? STR("us-east-1") : region;
}

static bool is_plain_host(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == ':' || c == '[' || c == ']';
                if (!ok)
                        return false;
        }
        return s.n > 0;
}

struct error *s3_find_endpoint(struct s3 *s)
{
        Str host = str_from(s->o.endpoint), bucket = str_from(s->o.bucket);
        if (!is_plain_host(host))
                return error_new(
                        ERROR_INVALID,
                        "initialize s3 client: Endpoint: %s does not follow ip address or domain name standards.",
                        s->o.endpoint);
        s->host = str_trim_suffix(host, s->o.insecure ? STR(":80") : STR(":443"));
        Str name = without_port(s->host);
        s->is_amazon =
                (str_has_suffix(name, STR(".amazonaws.com")) || str_has_suffix(name, STR(".amazonaws.com.cn"))) &&
                str_has_prefix(name, STR("s3"));
        bool is_known = s->is_amazon || str_eq(name, STR("storage.googleapis.com")) ||
                        str_has_suffix(name, STR(".aliyuncs.com"));
        /* A wildcard certificate does not cover a bucket with dots. */
        bool dots = str_find(bucket, '.') >= 0 && !s->o.insecure;
        s->is_virtual_host =
                s->o.lookup == S3_LOOKUP_VIRTUAL_HOST || (s->o.lookup == S3_LOOKUP_AUTO && is_known && !dots);
        Str region = s->o.region && *s->o.region ? str_from(s->o.region) : s->is_amazon ? region_in(name) : STR("");
        if (region.n >= sizeof s->region)
                return error_new(ERROR_INVALID, "initialize s3 client: the region's name is too long");
        memcpy(s->region, region.p ? region.p : "", region.n);
        if (s->is_virtual_host && !is_plain_host(bucket))
                return error_new(ERROR_INVALID, "initialize s3 client: bucket \"%s\" cannot be part of a host name",
                                 s->o.bucket);
        return NULL;
}

static void put_host(const struct s3 *s, const char *region, struct buf *ret)
{
        Str name = without_port(s->host);
        bool moves = s->is_amazon && *region && !str_contains(name, STR("fips")) &&
                     !str_contains(name, STR("accelerate")) && !str_contains(name, STR("vpce"));
        if (!moves)
                buf_put(ret, s->host);
        else
                buf_printf(ret, "s3.%s%s.amazonaws.com%s", s->o.disable_dualstack ? "" : "dualstack.", region,
                           str_has_prefix(str_from(region), STR("cn-")) ? ".cn" : "");
}

void s3_put_target(const struct s3 *s, const char *region, Str key, struct buf *ret_host, struct buf *ret_path)
{
        if (s->is_virtual_host)
                buf_printf(ret_host, "%s.", s->o.bucket);
        put_host(s, region, ret_host);
        buf_putc(ret_path, '/');
        if (!s->is_virtual_host) {
                sigv4_escape(ret_path, str_from(s->o.bucket), false);
                buf_putc(ret_path, '/');
        }
        sigv4_escape(ret_path, key, true);
}
