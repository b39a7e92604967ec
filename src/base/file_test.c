/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"

TEST(file_replace, puts_the_whole_content_under_the_name)
{
        char *path = path_join(test_dir(), "f"), *got = NULL;
        size_t n = 0;
        CHECK_OK(file_replace(path, STR("one")));
        CHECK_OK(file_replace(path, STR("second\0half")));
        CHECK_OK(file_read(path, 100, &got, &n));
        CHECK_STRS(((Str){got, n}), STR("second\0half"));
        CHECK_U64((unsigned char)got[n], 0);
        free(got);
        char *dir = str_dup(path_dir(str_from(path)));
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(dir, &names));
        CHECK_U64(names.n, 1);                  /* no .tmp is left */
        path_vec_done(&names);
        free(dir);
        free(path);
}

TEST(file_read, refuses_what_is_larger_than_its_limit_and_names_the_path)
{
        char *path = path_join(test_dir(), "f"), *got = NULL;
        size_t n = 0;
        CHECK_OK(file_replace(path, STR("12345")));
        struct error *e = file_read(path, 4, &got, &n);
        CHECK(error_is(e, ERROR_LIMIT));
        CHECK(str_contains(str_from(error_str(e)), str_from(path)));
        error_free(e);
        CHECK_OK(file_read(path, 5, &got, &n));
        free(got);
        e = file_read("/nonexistent/x", 4, &got, &n);
        CHECK(error_is(e, ERROR_NOT_FOUND));
        CHECK(str_contains(str_from(error_str(e)), STR("/nonexistent/x")));
        error_free(e);
        free(path);
}

TEST(dir_remove_all, does_not_follow_links)
{
        const char *root = test_dir();
        char *keep = path_join(root, "keep"), *inner = path_join(keep, "file"), *gone = path_join(root, "gone/a/b"), *link_path = path_join(gone, "link");
        CHECK_OK(dir_make_all(keep));
        CHECK_OK(dir_make_all(gone));
        CHECK_OK(dir_make_all(gone));           /* again is fine */
        CHECK_OK(file_replace(inner, STR("x")));
        CHECK(symlink(keep, link_path) == 0);
        char *top = path_join(root, "gone");
        CHECK_OK(dir_remove_all(top));
        CHECK(!file_exists(top));
        CHECK(file_exists(inner));
        CHECK_OK(dir_remove_all(top));          /* a missing one is fine */
        CHECK_U64(dir_size_bytes(root), 1);
        free(top);
        free(keep);
        free(inner);
        free(gone);
        free(link_path);
}

TEST(dir_list, is_sorted)
{
        const char *root = test_dir();
        static const char *const names[] = {"b", "a", "000010", "000002"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                char *p = path_join(root, names[i]);
                CHECK_OK(file_replace(p, STR("")));
                free(p);
        }
        PathVec got = VEC_INIT;
        CHECK_OK(dir_list(root, &got));
        CHECK_U64(got.n, 4);
        CHECK_STR(str_from(got.p[0]), "000002");
        CHECK_STR(str_from(got.p[3]), "b");
        path_vec_done(&got);
}

TEST(file_map, shows_the_file_and_an_empty_one_as_nothing)
{
        char *path = path_join(test_dir(), "f");
        struct file_map m = {0};
        CHECK_OK(file_replace(path, STR("mapped")));
        CHECK_OK(file_map_open(path, &m));
        CHECK_STR(((Str){(const char *)m.p, m.n}), "mapped");
        file_map_close(&m);
        CHECK_OK(file_replace(path, STR("")));
        CHECK_OK(file_map_open(path, &m));
        CHECK_U64(m.n, 0);
        file_map_close(&m);
        struct error *e = file_map_open("/nonexistent/m", &m);
        CHECK(error_is(e, ERROR_NOT_FOUND));
        error_free(e);
        free(path);
}

TEST(path, takes_directories_apart)
{
        CHECK_STR(path_dir(STR("/a/b")), "/a");
        CHECK_STR(path_dir(STR("b")), ".");
        CHECK_STR(path_base(STR("/a/b")), "b");
        CHECK_STR(path_base(STR("b")), "b");
}
