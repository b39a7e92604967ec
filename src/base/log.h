/* SPDX-License-Identifier: Apache-2.0 */
/* log.h — the process' log on standard error, in logfmt or JSON, with the keys of Go's slog: time level source msg component ….
 *
 *   log_info("tsdb", "WAL segment loaded", KV_I("segment", i), KV_S("dir", dir), KV_E(e));
 *
 * Libraries return errors; only app/ and long-lived loops log them, once. Any thread; a line is one write(2). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_kv {
        const char *key;        /* NULL ends the list */
        enum { LOG_KV_STR, LOG_KV_INT, LOG_KV_FLOAT, LOG_KV_DURATION_MS } type;
        Str s;
        int64_t i;
        double f;
};
#define KV_S(k, cstr) ((struct log_kv){.key = (k), .type = LOG_KV_STR, .s = str_from(cstr)})
#define KV_STR(k, str) ((struct log_kv){.key = (k), .type = LOG_KV_STR, .s = (str)})
#define KV_I(k, v) ((struct log_kv){.key = (k), .type = LOG_KV_INT, .i = (int64_t)(v)})
#define KV_F(k, v) ((struct log_kv){.key = (k), .type = LOG_KV_FLOAT, .f = (v)})
#define KV_MS(k, v) ((struct log_kv){.key = (k), .type = LOG_KV_DURATION_MS, .i = (int64_t)(v)}) /* printed as Go's 1.5s */
#define KV_E(err) KV_S("err", error_str(err))

/* Set once before threads start; debug, info, warn, error / logfmt, json. False: unknown name. */
bool log_set_level(Str name);
bool log_set_format(Str name);
void log_set_fd(int fd);                                /* for tests; the default is 2 */
bool log_is_on(enum log_level level);
void log_write(enum log_level level, const char *file, int line, const char *component, const char *msg, const struct log_kv *kv);

#define log_at(level, component, msg, ...)                                                           \
        do {                                                                                         \
                if (log_is_on(level))                                                                \
                        log_write((level), __FILE__, __LINE__, (component), (msg),                   \
                                  (const struct log_kv[]){__VA_ARGS__ __VA_OPT__(, ) {.key = NULL}}); \
        } while (0)
#define log_debug(component, ...) log_at(LOG_DEBUG, component, __VA_ARGS__)
#define log_info(component, ...) log_at(LOG_INFO, component, __VA_ARGS__)
#define log_warn(component, ...) log_at(LOG_WARN, component, __VA_ARGS__)
#define log_error(component, ...) log_at(LOG_ERROR, component, __VA_ARGS__)

#endif
