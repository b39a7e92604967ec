/* SPDX-License-Identifier: Apache-2.0 */
#include "config/objstore_conf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/test.h"

static void refused_case(const char *text, const char *want)
{
        struct bucket *b = NULL;
        struct error *e = objstore_conf_open(str_from(text), NULL, &b);
        CHECK_MSG(e, "accepted: %s", text);
        CHECK_ERROR(e, want);
}

static void taken_case(const char *text, const char *provider, const char *name)
{
        struct bucket *b = NULL;
        CHECK_OK(objstore_conf_open(str_from(text), NULL, &b));
        CHECK_STR(str_from(bucket_provider(b)), provider);
        CHECK_STR(str_from(bucket_name(b)), name);
        bucket_free(b);
}

#define S3 "type: S3\nconfig:\n  bucket: b\n  endpoint: e:9000\n  access_key: k\n  secret_key: s\n"

TEST(objstore_conf_open, makes_the_bucket_that_the_text_asks_for)
{
        taken_case(S3, "S3", "b");
        taken_case("type: s3\nconfig: {bucket: b, endpoint: e, access_key: k, secret_key: s, insecure: true, region: "
                   "x, session_token: t, disable_dualstack: true,\n"
                   " aws_sdk_auth: false, signature_version2: false, put_user_metadata: {X-Amz-Storage-Class: COLD, a: "
                   "b}, list_objects_version: v1,\n"
                   " bucket_lookup_type: path, send_content_md5: false, disable_multipart: true, part_size: 6000000, "
                   "max_retries: 3, sse_config: {type: ''}, sts_endpoint: '',\n"
                   " trace: {enable: true}, http_config: {idle_conn_timeout: 1m30s, response_header_timeout: 2m, "
                   "insecure_skip_verify: true, tls_handshake_timeout: 10s,\n"
                   " expect_continue_timeout: 1s, max_idle_conns: 100, max_idle_conns_per_host: 100, "
                   "max_conns_per_host: 7, tls_config: {ca_file: '', cert_file: '',\n"
                   " key_file: '', server_name: x, insecure_skip_verify: false}, disable_compression: true}}\nprefix: "
                   "/a/b/\n",
                   "S3", "b");
        taken_case("type: FILESYSTEM\nconfig:\n  directory: /tmp/x\nprefix: ''\n", "FILESYSTEM", "fs: /tmp/x");
        taken_case("type: filesystem\nconfig:\n  directory: /tmp/x\nprefix: p\n", "FILESYSTEM", "fs: /tmp/x");
}

TEST(objstore_conf_open, names_what_it_does_not_know)
{
        refused_case("type: S3\nconfigg: {}\n", "parsing config YAML file: yaml: unmarshal errors:\n  line 2: field "
                                                "configg not found in type client.BucketConfig");
        refused_case(S3 "  buckett: x\n",
                     "create S3 client: yaml: unmarshal errors:\n  line 7: field buckett not found in type s3.Config");
        refused_case(
                S3 "  http_config: {x: 1}\n",
                "create S3 client: yaml: unmarshal errors:\n  line 7: field x not found in type exthttp.HTTPConfig");
        refused_case(S3 "  insecure: maybe\n",
                     "create S3 client: yaml: unmarshal errors:\n  line 7: cannot unmarshal !!str `maybe` into bool");
        refused_case("type: FTP\n", "bucket with type FTP is not supported");
        refused_case("", "bucket with type  is not supported");
        refused_case("type: FILESYSTEM\n", "create FILESYSTEM client: missing directory for filesystem bucket");
        refused_case("type: FILESYSTEM\nconfig: {dir: x}\n", "create FILESYSTEM client: yaml: unmarshal errors:\n  "
                                                             "line 2: field dir not found in type filesystem.Config");
        refused_case("type: S3\nconfig: {bucket: b}\n", "create S3 client: no s3 endpoint in config file");
        refused_case(S3 "  list_objects_version: v3\n",
                     "create S3 client: Initialize s3 client list objects version: Unsupported version \"v3\" was "
                     "provided. Supported values are v1, v2");
        refused_case(S3 "  bucket_lookup_type: dns\n", "create S3 client: unsupported bucket lookup type: dns");
}

TEST(objstore_conf_open, names_what_is_not_supported_yet)
{
        refused_case("type: gcs\nconfig: {bucket: b}\n", "bucket with type gcs is not supported yet");
        refused_case(S3 "  sse_config: {type: SSE-S3}\n",
                     "create S3 client: sse_config: line 7: type is not supported yet");
        refused_case(S3 "  sse_config:\n    kms_key_id: x\n",
                     "create S3 client: sse_config: line 8: kms_key_id is not supported yet");
        refused_case(S3 "  signature_version2: true\n",
                     "create S3 client: line 7: signature_version2 is not supported yet");
        refused_case(S3 "  aws_sdk_auth: true\n", "create S3 client: line 7: aws_sdk_auth is not supported yet");
        refused_case(S3 "  sts_endpoint: https://x\n", "create S3 client: line 7: sts_endpoint is not supported yet");
}

TEST(objstore_conf_open, puts_the_environment_in)
{
        setenv("COEUS_TEST_DIR", "/tmp/env", 1);
        unsetenv("COEUS_TEST_NONE");
        taken_case("type: FILESYSTEM\nconfig:\n  directory: $(COEUS_TEST_DIR)/a\n", "FILESYSTEM", "fs: /tmp/env/a");
        refused_case("type: FILESYSTEM\nconfig:\n  directory: $(COEUS_TEST_NONE)\n",
                     "found reference to unset environment variable \"COEUS_TEST_NONE\"");
        struct buf got = BUF_INIT(100);
        CHECK_OK(objstore_conf_expand(STR("$ $( $() $(a b) $$(COEUS_TEST_DIR) $COEUS_TEST_DIR $("), &got));
        CHECK_STR(buf_str(&got), "$ $( $() $(a b) $/tmp/env $COEUS_TEST_DIR $(");
        buf_done(&got);
}

TEST(objstore_conf_open, takes_credentials_from_the_environment_or_the_shared_file)
{
        static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SECRET_KEY", "AWS_PROFILE"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                unsetenv(names[i]);
        setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
        refused_case("type: S3\nconfig: {bucket: b, endpoint: e}\n",
                     "create S3 client: no s3 credentials: neither access_key and secret_key, nor AWS_ACCESS_KEY_ID "
                     "and AWS_SECRET_ACCESS_KEY, nor a shared credentials file "
                     "with them (roles of instances and web identity are not supported yet)");
        setenv("AWS_ACCESS_KEY_ID", "k", 1);
        setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
        taken_case("type: S3\nconfig: {bucket: b, endpoint: e}\n", "S3", "b");
        unsetenv("AWS_ACCESS_KEY_ID");
        char path[4096];
        snprintf(path, sizeof path, "%s/credentials", test_dir());
        FILE *f = fopen(path, "w");
        CHECK(f &&
              fputs("[other]\naws_access_key_id = no\n[default]\n# x\naws_access_key_id = "
                    "k\naws_secret_access_key=s/=\n",
                    f) >= 0 &&
              fclose(f) == 0);
        setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
        taken_case("type: S3\nconfig: {bucket: b, endpoint: e}\n", "S3", "b");
        setenv("AWS_PROFILE", "other", 1);
        struct bucket *b;
        CHECK_ERROR(objstore_conf_open(STR("type: S3\nconfig: {bucket: b, endpoint: e}\n"), NULL, &b), "");
        unsetenv("AWS_PROFILE");
        unsetenv("AWS_SHARED_CREDENTIALS_FILE");
        unsetenv("AWS_SECRET_ACCESS_KEY");
}
