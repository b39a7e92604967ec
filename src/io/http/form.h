/* SPDX-License-Identifier: Apache-2.0 */
/* form.h — URL escapes and url-encoded forms as Go's net/url reads them.
 *
 *   e = url_unescape(STR("a%20b+c"), URL_QUERY, &arena, &s);        "a b c"
 *   e = form_parse(STR("a=1&b=2"), &arena, &form);                  appends; a bad part is left out and the first fault
 * is returned at the end
 *
 * Any thread. Results live in the arena or in the input.  Upstream: net/url/url.go (unescape, parseQuery). */
#ifndef IO_HTTP_FORM_H
#define IO_HTTP_FORM_H

#include "io/http/server.h"

enum { FORM_PARAMS_MAX = 10000 }; /* as Go's default of urlmaxqueryparams */
enum url_part { URL_PATH, URL_QUERY /* + is a space */ };
struct error *url_unescape(Str s, enum url_part part, struct arena *a, Str *ret) MUST_CHECK;
struct error *form_parse(Str query, struct arena *a, struct http_form *form) MUST_CHECK;
void url_escape(Str s, enum url_part part, struct buf *out); /* as QueryEscape; for URL_PATH as PathEscape */

#endif
