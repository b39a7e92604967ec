/* SPDX-License-Identifier: Apache-2.0 */
/* The four examples that AWS publishes for the Authorization header (GET object, PUT object, GET lifecycle, list), of
 * 24 May 2013. */
#include "objstore/sigv4.h"

#include "base/test.h"

static const struct sigv4_key key = {STR_INIT("AKIAIOSFODNN7EXAMPLE"),
                                     STR_INIT("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), STR_INIT("us-east-1")};
#define AT         1369353600000
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST       {STR_INIT("Host"), STR_INIT("examplebucket.s3.amazonaws.com")}
#define DATE       {STR_INIT("x-amz-date"), STR_INIT("20130524T000000Z")}
#define EMPTY      {STR_INIT("x-amz-content-sha256"), STR_INIT(EMPTY_HASH)}

static void sign_case(const struct sigv4_request *r, const char *signed_headers, const char *signature)
{
        struct buf got = BUF_INIT(1000), want = BUF_INIT(1000);
        sigv4_sign(&key, r, &got);
        buf_printf(&want,
                   "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                   "SignedHeaders=%s, Signature=%s",
                   signed_headers, signature);
        CHECK_STR(buf_str(&got), buf_cstr(&want));
        buf_done(&got);
        buf_done(&want);
}

TEST(sigv4_sign, gives_the_published_signatures)
{
        static const struct http_header get[] = {HOST, {STR_INIT("Range"), STR_INIT("bytes=0-9")}, EMPTY, DATE};
        sign_case(&(struct sigv4_request){"GET", STR("/test.txt"), STR(""), get, ARRAY_LEN(get), STR(EMPTY_HASH), AT},
                  "host;range;x-amz-content-sha256;x-amz-date",
                  "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        char hash[65];
        sha256_hex(STR("Welcome to Amazon S3."), hash);
        CHECK_STR(str_from(hash), "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
        const struct http_header put[] = {DATE,
                                          {STR("X-Amz-Storage-Class"), STR("REDUCED_REDUNDANCY")},
                                          HOST,
                                          {STR("Date"), STR("  Fri,  24 May 2013 00:00:00   GMT ")},
                                          {STR("x-amz-content-sha256"), str_from(hash)}};
        struct buf path = BUF_INIT(100);
        sigv4_escape(&path, STR("/test$file.text"), true);
        CHECK_STR(buf_str(&path), "/test%24file.text");
        sign_case(&(struct sigv4_request){"PUT", buf_str(&path), STR(""), put, ARRAY_LEN(put), str_from(hash), AT},
                  "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                  "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
        buf_done(&path);
        static const struct http_header plain[] = {HOST, EMPTY, DATE};
        sign_case(&(struct sigv4_request){"GET", STR("/"), STR("lifecycle="), plain, ARRAY_LEN(plain), STR(EMPTY_HASH),
                                          AT},
                  "host;x-amz-content-sha256;x-amz-date",
                  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
        sign_case(&(struct sigv4_request){"GET", STR("/"), STR("max-keys=2&prefix=J"), plain, ARRAY_LEN(plain),
                                          STR(EMPTY_HASH), AT},
                  "host;x-amz-content-sha256;x-amz-date",
                  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(sigv4_canonical, is_the_published_text)
{
        static const struct http_header plain[] = {DATE, HOST, EMPTY};
        struct buf got = BUF_INIT(1000);
        sigv4_canonical(&(struct sigv4_request){"GET", STR("/"), STR("lifecycle="), plain, ARRAY_LEN(plain),
                                                STR(EMPTY_HASH), AT},
                        &got);
        CHECK_STR(buf_str(&got),
                  "GET\n/\nlifecycle=\nhost:examplebucket.s3.amazonaws.com\nx-amz-content-sha256:" EMPTY_HASH
                  "\nx-amz-date:20130524T000000Z\n\nhost;x-amz-content-sha256;x-amz-date\n" EMPTY_HASH);
        buf_done(&got);
}

TEST(sigv4_escape, leaves_only_the_unreserved)
{
        struct buf b = BUF_INIT(1000);
        sigv4_escape(&b, STR("a/B-._~9 +=&%\xc3\xa4*'"), false);
        CHECK_STR(buf_str(&b), "a%2FB-._~9%20%2B%3D%26%25%C3%A4%2A%27");
        buf_done(&b);
        char date[17];
        sigv4_date(AT, date);
        CHECK_STR(str_from(date), "20130524T000000Z");
}
