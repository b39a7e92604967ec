/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_collect_scrape.c — two bodies in a row through a scrape cache. What the second gives must not depend on what the
 * cache remembers of the first: same error, same counts, and, unless types change what le and quantile look like, the
 * same samples. First byte: format; the bodies are parted by a zero byte. */
#include <stdint.h>

#include "collect/scrape/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { T1 = 1000, T2 = 2000, NOW = 3000 };

struct outcome {
        struct scrape_result r;
        struct buf error, samples;
};

static Str content_type(uint8_t kind)
{
        return kind & 1 ? STR("application/openmetrics-text; version=1.0.0") : STR("text/plain; version=0.0.4");
}

/* Lines of the dump that are samples of T2. */
static void samples_at_t2(struct fixture *f, struct buf *out)
{
        struct buf all = BUF_INIT(64 << 20);
        fixture_dump(f, &all);
        Str rest = buf_str(&all), line;
        while (str_next(&rest, '\n', &line)) {
                Str sample = str_skip(line, (size_t)str_rfind(line, '}'));
                if (str_has_prefix(sample, STR("} 2000 ")) && !str_has_suffix(sample, STR(" stale"))) {
                        buf_put(out, line);
                        buf_putc(out, '\n');
                }
        }
        buf_done(&all);
}

static struct outcome run(Str first, Str second, uint8_t kind)
{
        struct fixture f;
        fixture_init(&f);
        f.conf.honor_timestamps = false;
        f.conf.honor_labels = kind & 2;
        if (first.p)
                fixture_scrape(&f, first, content_type(kind), T1, NOW);
        fixture_scrape(&f, second, content_type(kind), T2, NOW);
        struct outcome o = {.r = f.r, .error = f.error, .samples = BUF_INIT(64 << 20)};
        f.error = (struct buf)BUF_INIT(BUF_NO_LIMIT);
        samples_at_t2(&f, &o.samples);
        fixture_done(&f);
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2 || size > 1 << 16)
                return 0;
        Str text = {(const char *)data + 1, size - 1}, first, second;
        if (!str_cut(text, '\0', &first, &second))
                first = second = text;
        struct outcome warm = run(first, second, data[0]), fresh = run((Str){NULL, 0}, second, data[0]);
        if (!str_eq(buf_str(&warm.error), buf_str(&fresh.error)))
                bug("error with a cache: " STR_FMT "; without: " STR_FMT, STR_ARG(buf_str(&warm.error)),
                    STR_ARG(buf_str(&fresh.error)));
        if (warm.r.scraped != fresh.r.scraped || warm.r.added != fresh.r.added)
                bug("counts differ: %llu %llu, %llu %llu", (unsigned long long)warm.r.scraped,
                    (unsigned long long)warm.r.added, (unsigned long long)fresh.r.scraped,
                    (unsigned long long)fresh.r.added);
        if (!str_contains(text, STR("TYPE")) && !str_eq(buf_str(&warm.samples), buf_str(&fresh.samples)))
                bug("samples differ: " STR_FMT " and " STR_FMT, STR_ARG(buf_str(&warm.samples)),
                    STR_ARG(buf_str(&fresh.samples)));
        buf_done(&warm.error);
        buf_done(&fresh.error);
        buf_done(&warm.samples);
        buf_done(&fresh.samples);
        return 0;
}
