/* SPDX-License-Identifier: Apache-2.0 */
/* Random workloads against a simple model: samples in and out of order, restarts, compactions, reloads, snapshots.
 * Whatever was acknowledged is there, and nothing else. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "base/rand.h"
#include "base/test.h"
#include "storage/decode.h"
#include "tsdb/db/db.h"

enum { N_SERIES = 5, N_SLOTS = 6000, STEP_MS = 15000, WINDOW_SLOTS = 300 };
#define T0 INT64_C(1700006400000)

/* The value of a sample follows from its series and time, so that which of two equal times wins does not matter. */
struct model {
        bool has[N_SERIES][N_SLOTS];
        int at; /* slot of the newest time */
        struct rand rand;
        uint64_t accepted, refused, late;
};

static Labels labels_of(int i)
{
        static char text[16];
        static Label l[2];
        snprintf(text, sizeof text, "%d", i);
        l[0] = (Label){STR("__name__"), STR("m")};
        l[1] = (Label){STR("i"), str_from(text)};
        return (Labels){l, 2};
}

static double value_of(int i, int slot)
{
        return i * 100000 + slot;
}

static void write_some(struct model *m, struct db *db)
{
        struct appender *a;
        struct {
                int i, slot;
        } put[64];
        size_t n = 0;
        CHECK_OK(storage_appender(db_storage(db), &a));
        int samples = 1 + (int)rand_below(&m->rand, 50);
        for (int k = 0; k < samples; k++) {
                int i = (int)rand_below(&m->rand, N_SERIES), slot = m->at;
                if (rand_below(&m->rand, 3) == 0)
                        slot -= (int)rand_below(&m->rand, WINDOW_SLOTS * 5 / 4);
                else if (rand_below(&m->rand, 2) == 0)
                        slot = ++m->at;
                if (slot < 0 || slot >= N_SLOTS)
                        continue;
                SeriesRef ref;
                struct error *e = appender_append(a, 0, labels_of(i), T0 + (TimeMs)slot * STEP_MS, value_of(i, slot), &ref);
                if (e) {
                        CHECK_MSG(e == &error_too_old_sample, "%s", error_str(e));
                        CHECK(slot < m->at - WINDOW_SLOTS * 3 / 4);
                        m->refused++;
                        continue;
                }
                put[n].i = i;
                put[n++].slot = slot;
        }
        if (rand_below(&m->rand, 20) == 0) {
                appender_rollback(a);
                return;
        }
        CHECK_OK(appender_commit(a));
        for (size_t k = 0; k < n; k++) {
                m->has[put[k].i][put[k].slot] = true;
                m->accepted++;
                m->late += put[k].slot < m->at - 1;
        }
}

static void compare(struct model *m, struct db *db, int from, int to)
{
        struct arena arena;
        struct querier *q;
        struct series_set *set;
        struct samples s = SAMPLES_INIT;
        TimeMs mint = T0 + (TimeMs)from * STEP_MS, maxt = T0 + (TimeMs)to * STEP_MS;
        arena_init(&arena, SIZE_MAX);
        CHECK_OK(storage_querier(db_storage(db), mint, maxt, &arena, &q));
        CHECK_OK(querier_select(q, &(struct select_hints){.start_ms = mint, .end_ms = maxt, .sorted = true}, NULL, 0, &set));
        int next = 0;
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                int i = more ? x.labels.v[1].value.p[0] - '0' : N_SERIES;
                if (more && x.labels.v[0].name.p[0] == 'i')
                        i = x.labels.v[0].value.p[0] - '0';
                for (; next < i; next++)
                        for (int slot = from; slot <= to && slot < N_SLOTS; slot++)
                                CHECK_MSG(!m->has[next][slot], "series %d is missing, with slot %d", next, slot);
                if (!more)
                        break;
                next = i + 1;
                CHECK_OK(series_decode(&x, mint, maxt, &s));
                size_t k = 0;
                for (int slot = from; slot <= to && slot < N_SLOTS; slot++) {
                        if (!m->has[i][slot])
                                continue;
                        CHECK_MSG(k < s.n && s.t[k] == T0 + (TimeMs)slot * STEP_MS, "series %d lacks slot %d of %d", i, slot, m->at);
                        CHECK_F64(s.v[k], value_of(i, slot));
                        k++;
                }
                CHECK_MSG(k == s.n, "series %d has more than was written: %zu, not %zu", i, s.n, k);
        }
        samples_done(&s);
        querier_close(q);
        arena_done(&arena);
}

static struct db *open_model_db(const char *dir)
{
        struct db_opts o = DB_OPTS_INIT;
        struct db *db;
        o.dir = dir;
        o.no_compact = true;
        o.wal_segment_bytes = 1 << 16;
        o.out_of_order_window_ms = (int64_t)WINDOW_SLOTS * STEP_MS;
        log_set_level(STR("error"));
        CHECK_OK(db_open(&o, &db));
        return db;
}

static void run(uint64_t seed, struct model *m)
{
        const char *dir = test_dir();
        *m = (struct model){.at = 100, .rand = {seed}};
        struct db *db = open_model_db(dir);
        while (m->at < N_SLOTS - 200) {
                switch (rand_below(&m->rand, 60)) {
                case 0:
                        CHECK_OK(db_close(db));
                        db = open_model_db(dir);
                        compare(m, db, 0, N_SLOTS);
                        break;
                case 1:
                case 2:
                        CHECK_OK(db_compact(db));
                        compare(m, db, 0, N_SLOTS);
                        break;
                case 3:
                        CHECK_OK(db_reload(db));
                        break;
                case 4: {
                        int from = (int)rand_below(&m->rand, (uint64_t)m->at);
                        compare(m, db, from, from + (int)rand_below(&m->rand, 500));
                        break;
                }
                case 5:
                        m->at += (int)rand_below(&m->rand, 200);
                        break;
                default:
                        write_some(m, db);
                }
        }
        compare(m, db, 0, N_SLOTS);
        CHECK_OK(db_compact(db));
        compare(m, db, 0, N_SLOTS);
        BlockVec blocks = VEC_INIT;
        db_blocks(db, &blocks);
        CHECK(blocks.n >= 2);
        db_blocks_done(&blocks);
        CHECK_OK(db_close(db));
}

TEST(db_model, random_workloads_keep_what_was_acknowledged)
{
        static struct model m;
        uint64_t accepted = 0, late = 0, refused = 0;
        for (uint64_t seed = 1; seed <= 6; seed++) {
                run(seed, &m);
                accepted += m.accepted;
                late += m.late;
                refused += m.refused;
        }
        printf("db_model: 6 runs, %llu samples, %llu of them out of order, %llu refused\n", (unsigned long long)accepted,
               (unsigned long long)late, (unsigned long long)refused);
        CHECK(accepted > 10000 && late > 2000 && refused > 100);
}
