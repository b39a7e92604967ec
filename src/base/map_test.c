/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdio.h>

#include "base/list.h"
#include "base/rand.h"
#include "base/test.h"
#include "base/vec.h"

TEST(map, agrees_with_a_plain_array_over_random_steps)
{
        static char keys[500][8];
        static intptr_t model[500];
        struct map m = MAP_INIT;
        struct rand r = {.s = 7};
        for (int i = 0; i < 500; i++)
                snprintf(keys[i], sizeof keys[i], "k%d", i);
        for (int step = 0; step < 20000; step++) {
                size_t i = rand_below(&r, 500);
                Str k = str_from(keys[i]);
                if (rand_below(&r, 3)) {
                        intptr_t v = step + 1;
                        CHECK_I64((intptr_t)map_set(&m, k, (void *)v), model[i]);
                        model[i] = v;
                } else {
                        CHECK_I64((intptr_t)map_remove(&m, k), model[i]);
                        model[i] = 0;
                }
                size_t j = rand_below(&r, 500);
                CHECK_I64((intptr_t)map_get(&m, str_from(keys[j])), model[j]);
        }
        size_t n = 0, seen = 0;
        for (int i = 0; i < 500; i++)
                n += model[i] != 0;
        CHECK_U64(m.n, n);
        MAP_EACH(e, &m)
                seen++;
        CHECK_U64(seen, n);
        map_clear(&m);
        CHECK(!map_get(&m, STR("k1")));
        map_done(&m);
}

TEST(map, knows_the_empty_key_and_keys_with_nul)
{
        struct map m = MAP_INIT;
        int a, b;
        CHECK(!map_get(&m, STR("")));
        map_set(&m, STR(""), &a);
        map_set(&m, STR("x\0y"), &b);
        CHECK(map_get(&m, STR("")) == &a);
        CHECK(map_get(&m, STR("x\0y")) == &b);
        CHECK(!map_get(&m, STR("x")));
        map_done(&m);
}

TEST(vec, grows_and_keeps_its_elements)
{
        VEC(int) v = VEC_INIT;
        for (int i = 0; i < 10000; i++)
                vec_push(&v, i);
        for (int i = 0; i < 10000; i++)
                CHECK_I64(v.p[i], i);
        CHECK_I64(vec_pop(&v), 9999);
        vec_reserve(&v, 100000);
        CHECK(v.cap - v.n >= 100000);
        vec_done(&v);
        CHECK_U64(v.n, 0);
}

struct item {
        int id;
        struct list link;
};

TEST(list, allows_removing_the_current_element)
{
        struct list head = LIST_INIT(head);
        struct item items[5];
        for (int i = 0; i < 5; i++) {
                items[i].id = i;
                list_push_back(&head, &items[i].link);
        }
        LIST_EACH(l, &head) {
                struct item *it = CONTAINER_OF(l, struct item, link);
                if (it->id % 2)
                        list_remove(l);
        }
        list_remove(&items[1].link);            /* twice is harmless */
        int sum = 0;
        LIST_EACH(l, &head)
                sum = sum * 10 + CONTAINER_OF(l, struct item, link)->id;
        CHECK_I64(sum, 24);                     /* 0, 2, 4 in order */
        list_push_front(&head, &items[3].link);
        CHECK(head.next == &items[3].link);
}
