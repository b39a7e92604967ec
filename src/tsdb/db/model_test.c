/* SPDX-License-Identifier: Apache-2.0 */
/* Random workloads against a simple model: samples in and out of order, restarts, compactions, reloads; on a disk that works,
 * on one that fails and dies, and on one that loses its power. Whatever was acknowledged is there, and nothing else. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/rand.h"
#include "base/test.h"
#include "storage/decode.h"
#include "tsdb/db/db.h"
#include "tsdb/db/fault_disk.h"

enum { N_SERIES = 5, N_SLOTS = 6000, STEP_MS = 15000, WINDOW_SLOTS = 300 };
#define T0 INT64_C(1700006400000)

/* The value of a sample follows from its series and time, so that which of two equal times wins does not matter. */
struct model {
        enum { NO, MAYBE, YES } has[N_SERIES][N_SLOTS]; /* maybe: a commit failed, or the power did */
        int at; /* slot of the newest time */
        struct rand rand;
        uint64_t seed;
        struct fault_disk *disk; /* NULL: one that works */
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

/* False: the disk refused. */
static bool write_some(struct model *m, struct db *db)
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
                return true;
        }
        struct error *e = appender_commit(a);
        if (e) {
                CHECK_MSG(error_is(e, ERROR_IO) && m->disk, "%s", error_str(e));
                error_free(e);
        }
        for (size_t k = 0; k < n; k++) {
                if (e) {
                        if (m->has[put[k].i][put[k].slot] == NO)
                                m->has[put[k].i][put[k].slot] = MAYBE;
                        continue;
                }
                m->has[put[k].i][put[k].slot] = YES;
                m->accepted++;
                m->late += put[k].slot < m->at - 1;
        }
        return !e;
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
                                CHECK_MSG(m->has[next][slot] != YES, "series %d is missing, with slot %d", next, slot);
                if (!more)
                        break;
                next = i + 1;
                CHECK_OK(series_decode(&x, mint, maxt, &s));
                size_t k = 0;
                for (int slot = from; slot <= to && slot < N_SLOTS; slot++) {
                        bool is_there = k < s.n && s.t[k] == T0 + (TimeMs)slot * STEP_MS;
                        CHECK_MSG(is_there || m->has[i][slot] != YES, "seed %llu: series %d lacks slot %d of %d", (unsigned long long)m->seed, i, slot, m->at);
                        CHECK_MSG(!is_there || m->has[i][slot] != NO, "series %d has slot %d, which nobody wrote", i, slot);
                        if (is_there)
                                CHECK_F64(s.v[k++], value_of(i, slot));
                }
                CHECK_MSG(k == s.n, "series %d has more than was written: %zu, not %zu", i, s.n, k);
        }
        samples_done(&s);
        querier_close(q);
        arena_done(&arena);
}

static struct error *try_open(const struct model *m, const char *dir, struct db **ret)
{
        struct db_opts o = DB_OPTS_INIT;
        o.dir = dir;
        o.no_compact = true;
        o.wal_segment_bytes = 1 << 16;
        o.out_of_order_window_ms = (int64_t)WINDOW_SLOTS * STEP_MS;
        o.snapshot_on_close = m->seed % 2;
        o.disk = m->disk ? &m->disk->d : NULL;
        log_set_level(STR("none"));
        return db_open(&o, ret);
}

static struct db *open_model_db(const struct model *m, const char *dir)
{
        struct db *db;
        CHECK_OK(try_open(m, dir, &db));
        return db;
}

static void run(uint64_t seed, struct model *m)
{
        const char *dir = test_dir();
        *m = (struct model){.at = 100, .rand = {seed}, .seed = seed};
        struct db *db = open_model_db(m, dir);
        while (m->at < N_SLOTS - 200) {
                switch (rand_below(&m->rand, 60)) {
                case 0:
                        CHECK_OK(db_close(db));
                        db = open_model_db(m, dir);
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

/* ---- a disk that fails ---- */

/* Faults may make it fail; without them it must open. */
static struct db *open_failing(struct model *m, const char *dir)
{
        struct db *db;
        for (int i = 0; i < 3; i++) {
                struct error *e = try_open(m, dir, &db);
                if (!e)
                        return db;
                CHECK_MSG(error_is(e, ERROR_IO), "seed %llu: %s", (unsigned long long)m->seed, error_str(e));
                error_free(e);
        }
        uint64_t rate = m->disk->rate;
        m->disk->rate = 0;
        db = open_model_db(m, dir);
        m->disk->rate = rate;
        return db;
}

/* The time before which everything is in blocks. */
static TimeMs in_blocks_until(struct db *db)
{
        BlockVec blocks = VEC_INIT;
        TimeMs end = TIME_MS_MIN;
        db_blocks(db, &blocks);
        for (size_t i = 0; i < blocks.n; i++)
                if (!block_get_meta(blocks.p[i])->hints)
                        end = MAX(end, block_get_meta(blocks.p[i])->maxt_ms);
        db_blocks_done(&blocks);
        end = MIN(end, head_ooo_min_ms(db_head(db)));
        return MIN(end, head_min_ms(db_head(db)));
}

/* What the log had not synced may be gone; what is in blocks may not. */
static void forget_unsynced(struct model *m, TimeMs sure)
{
        for (int i = 0; i < N_SERIES; i++)
                for (int slot = 0; slot < N_SLOTS; slot++)
                        if (m->has[i][slot] == YES && T0 + (TimeMs)slot * STEP_MS >= sure)
                                m->has[i][slot] = MAYBE;
}

static void run_failing(uint64_t seed, struct model *m, bool has_power_cuts)
{
        const char *dir = test_dir();
        static struct fault_disk disk;
        fault_disk_init(&disk, seed * 977);
        disk.rate = 80;
        *m = (struct model){.at = 100, .rand = {seed}, .seed = seed, .disk = &disk};
        struct db *db = open_failing(m, dir);
        while (m->at < N_SLOTS - 300) {
                uint64_t what = rand_below(&m->rand, 60);
                if (what == 0) {
                        fault_disk_die_after(&disk, 1 + (int64_t)rand_below(&m->rand, 40));
                } else if (what <= 2) {
                        error_free(db_compact(db));
                } else if (what == 3) {
                        error_free(db_reload(db));
                } else if (what == 4) {
                        m->at += (int)rand_below(&m->rand, 200);
                } else {
                        write_some(m, db);
                }
                if (!disk.is_dead)
                        continue;
                TimeMs sure = in_blocks_until(db);
                error_free(db_close(db));
                bool cut = has_power_cuts && rand_below(&m->rand, 2);
                if (cut)
                        fault_disk_power_cut(&disk);
                fault_disk_revive(&disk);
                db = open_failing(m, dir);
                if (cut)
                        forget_unsynced(m, sure);
                compare(m, db, 0, N_SLOTS);
        }
        disk.rate = 0;
        fault_disk_revive(&disk);
        CHECK_OK(db_compact(db));
        compare(m, db, 0, N_SLOTS);
        CHECK_OK(db_close(db));
        db = open_model_db(m, dir);
        compare(m, db, 0, N_SLOTS);
        CHECK_OK(db_close(db));
}

/* More of them: MODEL_RUNS=1000. */
static void run_all_failing(const char *name, bool has_power_cuts, uint64_t seed)
{
        uint64_t n = 6;
        if (getenv("MODEL_RUNS"))
                CHECK(str_to_u64(str_from(getenv("MODEL_RUNS")), &n));
        static struct model m;
        struct {
                uint64_t accepted, late, calls, faults, deaths, cuts, bytes_lost, renames_lost;
        } sum = {0};
        for (uint64_t i = 0; i < n; i++) {
                run_failing(seed + i, &m, has_power_cuts);
                sum.accepted += m.accepted;
                sum.late += m.late;
                sum.calls += m.disk->calls;
                sum.faults += m.disk->faults;
                sum.deaths += m.disk->deaths;
                sum.cuts += m.disk->cuts;
                sum.bytes_lost += m.disk->bytes_lost;
                sum.renames_lost += m.disk->renames_lost;
                fault_disk_done(m.disk);
        }
        log_set_level(STR("info"));
        printf("db_model: %s: %d runs, %d samples acknowledged, %d of them out of order; %d disk calls, %d faults, %d deaths, %d power cuts with "
               "%d bytes and %d renames lost\n",
               name, (int)n, (int)sum.accepted, (int)sum.late, (int)sum.calls, (int)sum.faults, (int)sum.deaths, (int)sum.cuts, (int)sum.bytes_lost,
               (int)sum.renames_lost);
        CHECK(sum.accepted > 5000 && sum.faults > 20 && sum.deaths > 20);
        CHECK(!has_power_cuts || (sum.cuts > 5 && sum.bytes_lost > 0));
}

TEST(db_model, a_failing_disk_loses_nothing_that_was_acknowledged)
{
        run_all_failing("failing disk", /* has_power_cuts= */ false, 10000);
}

TEST(db_model, a_power_cut_loses_nothing_that_is_in_blocks)
{
        run_all_failing("power cuts", /* has_power_cuts= */ true, 20000);
}
