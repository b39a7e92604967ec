/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h — time of day and monotonic time, behind a seam so that tests can move time.
 *
 * TimeMs is milliseconds since the epoch, the unit of every sample. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef int64_t TimeMs;
#define TIME_MS_MIN INT64_MIN
#define TIME_MS_MAX INT64_MAX

struct clock {
        TimeMs (*now_ms)(const struct clock *c);        /* wall clock */
        int64_t (*mono_ns)(const struct clock *c);      /* never goes back */
};
extern const struct clock clock_system;

/* A clock that stands until it is moved; embed it in a test. */
struct clock_fake {
        struct clock clock;
        TimeMs at_ms;
};
void clock_fake_init(struct clock_fake *f, TimeMs at_ms);

static inline TimeMs clock_now_ms(const struct clock *c)
{
        return c->now_ms(c);
}

static inline int64_t clock_mono_ns(const struct clock *c)
{
        return c->mono_ns(c);
}

TimeMs time_now_ms(void);               /* the system's, for code with no need of the seam */
int64_t time_mono_ns(void);
int64_t time_mono_ms(void);
int64_t time_thread_cpu_ns(void);       /* CPU time of this thread */

#endif
