/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "thanos/query/core.h"

static void reaches(int64_t own_s, int64_t resolution_s, int64_t want_s)
{
        struct query_core c = {.lookback_ms = own_s * 1000, .has_dynamic_lookback = true};
        struct query_wish w = {.max_resolution_ms = resolution_s * 1000};
        int64_t got = query_lookback_ms(&c, &w);
        CHECK_MSG(got == want_s * 1000, "lookback %lld s, resolution %lld s: %lld ms", (long long)own_s,
                  (long long)resolution_s, (long long)got);
}

TEST(query_core, the_lookback_grows_with_the_resolution)
{
        reaches(0, 0, 300);
        reaches(0, 60, 300);
        reaches(0, 300, 300);
        reaches(0, 301, 3600);
        reaches(0, 3600, 3600);
        reaches(120, 60, 120);
        reaches(120, 300, 300);
        reaches(600, 300, 600);
        reaches(600, 600, 600);
        reaches(600, 3600, 3600);
        reaches(7200, 3600, 7200);
}

TEST(query_core, the_request_says_the_lookback_or_the_flag_keeps_it)
{
        struct query_core c = {.lookback_ms = 60000};
        struct query_wish w = {.max_resolution_ms = 3600000};
        CHECK(query_lookback_ms(&c, &w) == 60000);
        w.lookback_ms = 1000;
        CHECK(query_lookback_ms(&c, &w) == 1000);
}

TEST(query_core, a_view_has_the_labels_of_the_flag_or_of_the_request)
{
        const Str flag[] = {STR_INIT("replica")}, own[] = {STR_INIT("a"), STR_INIT("b")};
        struct query_core c = {.replica_labels = flag, .n_replica_labels = 1, .timeout_ms = 120000};
        struct query_wish w = {.dedup = true};
        struct query_view v;
        query_view_init(&v, &c, &w, NULL);
        CHECK(v.proxy.o.n_replica_labels == 1 && v.proxy.o.replica_labels == flag);
        CHECK(v.proxy.o.timeout_ms == 110000); /* a store that hangs leaves time to answer without it */
        w.replica_labels = own;
        w.n_replica_labels = 2;
        w.timeout_ms = 1000;
        query_view_init(&v, &c, &w, NULL);
        CHECK(v.proxy.o.n_replica_labels == 2 && v.proxy.o.timeout_ms == 800);
        w.dedup = false;
        query_view_init(&v, &c, &w, NULL);
        CHECK(v.proxy.o.n_replica_labels == 0);
}
