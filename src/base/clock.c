/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
        struct timespec ts;
        clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

TimeMs time_now_ms(void)
{
        return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t time_mono_ns(void)
{
        return read_ns(CLOCK_MONOTONIC);
}

int64_t time_mono_ms(void)
{
        return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t time_thread_cpu_ns(void)
{
        return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static TimeMs system_now_ms(const struct clock *c)
{
        (void)c;
        return time_now_ms();
}

static int64_t system_mono_ns(const struct clock *c)
{
        (void)c;
        return time_mono_ns();
}

const struct clock clock_system = {system_now_ms, system_mono_ns};

static TimeMs fake_now_ms(const struct clock *c)
{
        return ((const struct clock_fake *)c)->at_ms;
}

static int64_t fake_mono_ns(const struct clock *c)
{
        return ((const struct clock_fake *)c)->at_ms * 1000000;
}

void clock_fake_init(struct clock_fake *f, TimeMs at_ms)
{
        *f = (struct clock_fake){.clock = {fake_now_ms, fake_mono_ns}, .at_ms = at_ms};
}
