/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/vec.h"

static VEC(struct CMUnitTest) tests;
static char skip_reason[512];
static PathVec dirs;

/* --- the watchdog: a run ends with the name of the test that hangs --- */

enum {
        HANG_S = 120, /* a test this old that computes nothing hangs */
        IDLE_S = 30,  /* nothing: not one second of CPU in so long; a slow sanitizer on a busy machine gets more */
        LONG_S = 400, /* whatever it does */
};
static const char *_Atomic running;
static _Atomic int64_t running_since_s;

static int64_t seconds(clockid_t clock)
{
        struct timespec ts;
        clock_gettime(clock, &ts);
        return ts.tv_sec;
}

static void *watch(void *arg)
{
        const int64_t hang_s = *(const int64_t *)arg, idle_s = MIN((int64_t)IDLE_S, hang_s);
        int64_t cpu_s = 0, moved_s = seconds(CLOCK_MONOTONIC);
        for (;;) {
                sleep(1);
                int64_t now = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
                if (cpu != cpu_s)
                        moved_s = now;
                cpu_s = cpu;
                const char *name = running;
                int64_t age = now - running_since_s;
                if (!name || age < hang_s || (now - moved_s < idle_s && age < LONG_S))
                        continue;
                dprintf(STDOUT_FILENO, "\nFAIL %s: has not ended after %lld s\n", name, (long long)age);
                abort();
        }
        return NULL;
}

/* COEUS_TEST_HANG_S: other seconds than HANG_S; 0 for a debugger. */
static void watch_start(void)
{
        static int64_t hang_s = HANG_S;
        const char *text = getenv("COEUS_TEST_HANG_S");
        pthread_t t;
        if (text && !str_to_i64(str_from(text), &hang_s))
                bug("COEUS_TEST_HANG_S=%s is no number", text);
        if (hang_s > 0 && pthread_create(&t, NULL, watch, &hang_s) == 0)
                pthread_detach(t);
}

static int begin_test(void **state)
{
        running_since_s = seconds(CLOCK_MONOTONIC);
        running = *state;
        return 0;
}

void test_register(const char *name, void (*fn)(void **state))
{
        vec_push(&tests, (struct CMUnitTest){.name = name, .test_func = fn, .setup_func = begin_test,
                                             .initial_state = (void *)name});
}

void check_fail_at(const char *file, int line, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        vprint_error(fmt, ap);
        va_end(ap);
        print_error("\n");
        _fail(file, line);
        abort();                /* _fail jumps out */
}

void check_str_at(Str got, Str want, const char *file, int line)
{
        if (!str_eq(got, want))
                check_fail_at(file, line, "got  \"" STR_FMT "\"\nwant \"" STR_FMT "\"", STR_ARG(got), STR_ARG(want));
}

void check_i64_at(int64_t got, int64_t want, const char *file, int line)
{
        if (got != want)
                check_fail_at(file, line, "got %" PRId64 ", want %" PRId64, got, want);
}

void check_u64_at(uint64_t got, uint64_t want, const char *file, int line)
{
        if (got != want)
                check_fail_at(file, line, "got %" PRIu64 ", want %" PRIu64, got, want);
}

void check_f64_at(double got, double want, const char *file, int line)
{
        if (memcmp(&got, &want, sizeof got) != 0 && !(isnan(got) && isnan(want)))
                check_fail_at(file, line, "got %.17g, want %.17g", got, want);
}

void check_ok_at(struct error *take_e, const char *file, int line)
{
        if (take_e)
                check_fail_at(file, line, "error: %s", error_str(take_e));
}

void check_error_at(struct error *take_e, const char *text, const char *file, int line)
{
        if (!take_e)
                check_fail_at(file, line, "no error, want \"%s\"", text);
        if (*text && strcmp(error_str(take_e), text) != 0)
                check_fail_at(file, line, "got  error \"%s\"\nwant error \"%s\"", error_str(take_e), text);
        error_free(take_e);
}

void test_skip(const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(skip_reason, sizeof skip_reason, fmt, ap);
        va_end(ap);
        printf("SKIP %s\n", skip_reason);
        fflush(stdout);
        skip();
        abort();                /* skip jumps out */
}

const char *test_dir(void)
{
        const char *tmp = getenv("TMPDIR");
        char *path = path_join(tmp ? tmp : "/tmp", "coeus-test-XXXXXX");
        if (!mkdtemp(path))
                check_fail_at(__FILE__, __LINE__, "mkdtemp %s failed", path);
        vec_push(&dirs, path);
        return path;
}

const char *conformance_dir(void)
{
        static char *found;
        const char *shared = getenv("COEUS_SHARED");
        if (found)
                return found;
        char *dir = path_join(shared ? shared : COEUS_SOURCE_DIR "/../shared", "conformance");
        if (file_exists(dir))
                found = dir;
        else
                free(dir);
        return found;
}

char *conformance_path(const char *sub)
{
        const char *dir = conformance_dir();
        if (!dir)
                test_skip("%s: shared conformance data is not beside the checkout", sub);
        char *path = path_join(dir, sub);
        if (!file_exists(path))
                test_skip("%s: not in the shared conformance data", sub);
        return path;
}

void conformance_need(const char *sub)
{
        free(conformance_path(sub));
}

int main(int argc, char **argv)
{
        signal(SIGPIPE, SIG_IGN);
        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc > 1)           /* a pattern: ./test_base 'str*' */
                cmocka_set_test_filter(argv[1]);
        watch_start();
        int rc = tests.n ? _cmocka_run_group_tests("tests", tests.p, tests.n, NULL, NULL) : 0;
        running = NULL;
        for (size_t i = 0; i < dirs.n; i++)
                error_ignore(dir_remove_all(dirs.p[i]), "scratch of a test that is over");
        path_vec_done(&dirs);
        vec_done(&tests);
        return rc ? 1 : 0;
}
