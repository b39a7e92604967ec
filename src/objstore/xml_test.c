/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/xml.h"

#include "base/test.h"
#include "objstore/s3_list.h"

static void tokens_case(const char *text, const char *want)
{
        struct arena a;
        struct xml x;
        struct xml_token t;
        struct error *e;
        struct buf got = BUF_INIT(4096);
        arena_init(&a, 1 << 20);
        xml_init(&x, str_from(text), &a);
        while (!(e = xml_next(&x, &t)) && t.type != XML_END) {
                buf_printf(&got, t.type == XML_OPEN ? "<" STR_FMT ">" : STR_FMT,
                           STR_ARG(t.type == XML_OPEN ? t.name : t.text));
                if (t.type == XML_CLOSE)
                        buf_printf(&got, "</" STR_FMT ">", STR_ARG(t.name));
        }
        if (e)
                buf_printf(&got, "!%s", error_str(e));
        CHECK_STR(buf_str(&got), want);
        error_free(e);
        buf_done(&got);
        arena_done(&a);
}

TEST(xml_next, gives_elements_and_their_text)
{
        tokens_case("<?xml version=\"1.0\"?>\n<a><b>x</b><c/> <d e='>' f=\"/\"></d></a>\n",
                    "<a><b>x</b><c></c><d></d></a>");
        tokens_case("<s3:a xmlns:s3='u'><s3:b>1</s3:b ></s3:a>", "<a><b>1</b></a>");
        tokens_case("<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x20ac;&#x1F600;</a>",
                    "<a>&<>\"'A\xe2\x82\xac\xf0\x9f\x98\x80</a>");
        tokens_case("<a>x<!-- <b> -->y<![CDATA[<&>]]>z</a>", "<a>xy<&>z</a>");
        tokens_case("\xef\xbb\xbf<a> x </a>", "<a> x </a>");
}

TEST(xml_next, refuses_what_is_broken)
{
        tokens_case("", "!broken XML at byte 0: it ends too early");
        tokens_case("<a>", "<a>!broken XML at byte 3: it ends too early");
        tokens_case("<a", "!broken XML at byte 2: a tag without end");
        tokens_case("<a></b>", "<a>!broken XML at byte 6: a closing tag that matches none");
        tokens_case("</a>", "!broken XML at byte 3: a closing tag that matches none");
        tokens_case("<a/><b/>", "<a></a>!broken XML at byte 6: a second root");
        tokens_case("x<a/>", "!broken XML at byte 0: text outside of the root");
        tokens_case("<a>&nope;</a>", "<a>!broken XML at byte 3: unknown entity");
        tokens_case("<a>&#xd800;</a>", "<a>!broken XML at byte 3: unknown entity");
        tokens_case("<a>&#0;</a>", "<a>!broken XML at byte 3: unknown entity");
        tokens_case("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "!broken XML at byte 1: a DOCTYPE is not taken");
        tokens_case("<a><!-- ", "<a>!broken XML at byte 7: a comment without end");
        tokens_case("<a><![CDATA[x", "<a>!broken XML at byte 4: a CDATA section without end");
        tokens_case("<a <b></a>", "!broken XML at byte 2: < inside a tag");
        tokens_case("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
                    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>!XML is nested deeper than 16");
}

static void list_case(bool v1, const char *prefix, const char *body, const char *want)
{
        struct arena a;
        struct s3_list l;
        struct buf xml = BUF_INIT(1 << 20), got = BUF_INIT(4096);
        buf_printf(&xml, "<ListBucketResult>%s</ListBucketResult>", body);
        arena_init(&a, 1 << 20);
        struct error *e = s3_list_parse(buf_str(&xml), v1, str_from(prefix), &a, &l);
        for (size_t i = 0; !e && i < l.n; i++)
                buf_printf(&got, STR_FMT " %llu %lld%s|", STR_ARG(l.v[i].name), (unsigned long long)l.v[i].size_bytes,
                           (long long)l.v[i].modified_ms, l.v[i].is_dir ? " dir" : "");
        if (!e && l.is_truncated)
                buf_printf(&got, "next " STR_FMT, STR_ARG(l.next));
        buf_puts(&got, error_str(e));
        CHECK_STR(buf_str(&got), want);
        error_free(e);
        buf_done(&xml);
        buf_done(&got);
        arena_done(&a);
}

#define OBJECT(key)                                                                                                    \
        "<Contents><Key>" key "</Key><LastModified>2013-09-17T18:07:53.120Z</LastModified><Size>7</"                   \
                              "Size><Owner><ID>x</ID></Owner></Contents>"

TEST(s3_list_parse, joins_objects_and_prefixes_in_order)
{
        list_case(false, "",
                  "<IsTruncated>false</IsTruncated>" OBJECT("b")
                          OBJECT("a-b") "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
                  "a-b 7 1379441273120|a/ 0 0 dir|b 7 1379441273120|");
        list_case(false, "", "", "");
        list_case(false, "x/",
                  "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t+%2F==</"
                  "NextContinuationToken>" OBJECT("x/a+%2B%C3%A4"),
                  "x/a +\xc3\xa4 7 1379441273120|next t+%2F==");
        list_case(false, "x/", OBJECT("x/a+%2B"), "x/a+%2B 7 1379441273120|");
        list_case(true, "", "<IsTruncated>true</IsTruncated>" OBJECT("a") OBJECT("b"),
                  "a 7 1379441273120|b 7 1379441273120|next b");
        list_case(true, "",
                  "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextMarker>a%20/</NextMarker>",
                  "next a /");
}

TEST(s3_list_parse, refuses_what_was_not_asked_for)
{
        list_case(false, "x/", OBJECT("y/a"), "broken list: a name that was not asked for");
        list_case(false, "", OBJECT(""), "broken list: a name that was not asked for");
        list_case(false, "", "<EncodingType>url</EncodingType>" OBJECT("a%00b"),
                  "broken list: a name that was not asked for");
        list_case(false, "", "<EncodingType>url</EncodingType>" OBJECT("a%0"), "broken list: a name with a bad escape");
        list_case(false, "a/", "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>",
                  "broken list: a name that was not asked for");
        list_case(false, "", "<CommonPrefixes><Prefix>a</Prefix></CommonPrefixes>",
                  "broken list: a name that was not asked for");
        list_case(false, "", "<IsTruncated>true</IsTruncated>", "broken list: it goes on and does not say where");
        list_case(false, "", "<Contents><Key>a</Key><Size>x</Size></Contents>", "broken list: Size is no number");
        list_case(false, "", "<Contents><Key>a</Key><LastModified>yesterday</LastModified></Contents>",
                  "broken list: LastModified is no date");
}

TEST(s3_parse_date, takes_the_two_forms)
{
        TimeMs t = 0;
        CHECK(s3_parse_http_date(STR("Tue, 17 Sep 2013 18:07:53 GMT"), &t));
        CHECK_I64(t, 1379441273000);
        CHECK(s3_parse_iso_date(STR("2013-09-17T18:07:53Z"), &t));
        CHECK_I64(t, 1379441273000);
        CHECK(s3_parse_iso_date(STR("2013-09-17T18:07:53.123456789Z"), &t));
        CHECK_I64(t, 1379441273123);
        CHECK(!s3_parse_iso_date(STR("2013-09-17"), &t));
        CHECK(!s3_parse_iso_date(STR("2013-09-17T18:07:53"), &t));
        CHECK(!s3_parse_http_date(STR("Tue, 17 Sep 2013 18:07:53 GMTx"), &t));
        CHECK(!s3_parse_http_date(STR(""), &t));
}
