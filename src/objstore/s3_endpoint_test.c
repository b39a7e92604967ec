/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "objstore/s3_impl.h"

static void target_case(struct s3_opts o, const char *want)
{
        struct s3 s = {.o = o};
        struct buf host = BUF_INIT(1000), path = BUF_INIT(1000), got = BUF_INIT(1000);
        CHECK_OK(s3_find_endpoint(&s));
        s3_put_target(&s, s.region, STR("a/b c"), &host, &path);
        buf_printf(&got, STR_FMT STR_FMT " %s", STR_ARG(buf_str(&host)), STR_ARG(buf_str(&path)),
                   s.region[0] ? s.region : "?");
        CHECK_STR(buf_str(&got), want);
        buf_done(&host);
        buf_done(&path);
        buf_done(&got);
}

TEST(s3_find_endpoint, tells_host_path_and_region)
{
        target_case((struct s3_opts){.bucket = "b", .endpoint = "minio:9000"}, "minio:9000/b/a/b%20c ?");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "minio:443", .region = "r"}, "minio/b/a/b%20c r");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "minio:80", .region = "r", .insecure = true},
                    "minio/b/a/b%20c r");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "minio:9000", .lookup = S3_LOOKUP_VIRTUAL_HOST},
                    "b.minio:9000/a/b%20c ?");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "[::1]:9000"}, "[::1]:9000/b/a/b%20c ?");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "storage.googleapis.com"},
                    "b.storage.googleapis.com/a/b%20c ?");
}

TEST(s3_find_endpoint, knows_the_hosts_of_amazon)
{
        target_case((struct s3_opts){.bucket = "b", .endpoint = "s3.amazonaws.com"}, "b.s3.amazonaws.com/a/b%20c ?");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "s3.amazonaws.com", .region = "eu-west-1"},
                    "b.s3.dualstack.eu-west-1.amazonaws.com/a/b%20c eu-west-1");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "s3.eu-west-1.amazonaws.com"},
                    "b.s3.dualstack.eu-west-1.amazonaws.com/a/b%20c eu-west-1");
        target_case(
                (struct s3_opts){.bucket = "b", .endpoint = "s3-eu-west-1.amazonaws.com", .disable_dualstack = true},
                "b.s3.eu-west-1.amazonaws.com/a/b%20c eu-west-1");
        target_case((struct s3_opts){.bucket = "b", .endpoint = "s3.dualstack.eu-west-1.amazonaws.com"},
                    "b.s3.dualstack.eu-west-1.amazonaws.com/a/b%20c eu-west-1");
        target_case((struct s3_opts){.bucket = "b",
                                     .endpoint = "s3.cn-north-1.amazonaws.com.cn",
                                     .disable_dualstack = true},
                    "b.s3.cn-north-1.amazonaws.com.cn/a/b%20c cn-north-1");
        target_case(
                (struct s3_opts){.bucket = "b.c", .endpoint = "s3.eu-west-1.amazonaws.com", .disable_dualstack = true},
                "s3.eu-west-1.amazonaws.com/b.c/a/b%20c eu-west-1");
        target_case((struct s3_opts){.bucket = "b",
                                     .endpoint = "s3.eu-west-1.amazonaws.com",
                                     .lookup = S3_LOOKUP_PATH,
                                     .disable_dualstack = true},
                    "s3.eu-west-1.amazonaws.com/b/a/b%20c eu-west-1");
        target_case(
                (struct s3_opts){.bucket = "b", .endpoint = "s3-fips.us-east-1.amazonaws.com", .region = "us-east-1"},
                "b.s3-fips.us-east-1.amazonaws.com/a/b%20c us-east-1");
}
