/* SPDX-License-Identifier: Apache-2.0 */
/* test_certs.h — certificates made for tests: a CA and one certificate of it with its key, in files. Only tests include
 * this. */
#ifndef IO_TEST_CERTS_H
#define IO_TEST_CERTS_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/test.h"

struct authority {
        EVP_PKEY *key;
        X509 *cert;
        char dir[300], ca[350], cert_file[350], key_file[350];
};

static inline void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
        FILE *f = fopen(path, "we");
        CHECK(f != NULL);
        if (cert)
                CHECK(PEM_write_X509(f, cert));
        if (key)
                CHECK(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
        fclose(f);
}
static inline X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *alt,
                              long from_s, long to_s)
{
        static long serial = 1;
        X509 *x = X509_new();
        X509_set_version(x, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
        X509_gmtime_adj(X509_getm_notBefore(x), from_s);
        X509_gmtime_adj(X509_getm_notAfter(x), to_s);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                   0);
        X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
        X509_set_pubkey(x, key);
        X509V3_CTX ctx;
        X509V3_set_ctx_nodb(&ctx);
        X509V3_set_ctx(&ctx, issuer ? issuer : x, x, NULL, NULL, 0);
        int nid[] = {NID_basic_constraints, NID_subject_alt_name};
        const char *value[] = {issuer ? "CA:FALSE" : "critical,CA:TRUE", alt};
        for (int i = 0; i < 2; i++) {
                if (!value[i])
                        continue;
                X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid[i], value[i]);
                CHECK(e && X509_add_ext(x, e, -1));
                X509_EXTENSION_free(e);
        }
        CHECK(X509_sign(x, issuer_key ? issuer_key : key, EVP_sha256()));
        return x;
}
/* A CA and one certificate of it with its key, all in files. */
static inline void authority_init(struct authority *a, const char *alt, long from_s, long to_s)
{
        snprintf(a->dir, sizeof a->dir, "%s", test_dir());
        snprintf(a->ca, sizeof a->ca, "%s/ca.pem", a->dir);
        snprintf(a->cert_file, sizeof a->cert_file, "%s/cert.pem", a->dir);
        snprintf(a->key_file, sizeof a->key_file, "%s/key.pem", a->dir);
        a->key = EVP_EC_gen("P-256");
        a->cert = make_cert("test CA", a->key, NULL, NULL, NULL, -3600, 3600);
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *leaf = make_cert("leaf", key, a->cert, a->key, alt, from_s, to_s);
        write_pem(a->ca, a->cert, NULL);
        write_pem(a->cert_file, leaf, NULL);
        write_pem(a->key_file, NULL, key);
        X509_free(leaf);
        EVP_PKEY_free(key);
}
static inline void authority_done(struct authority *a)
{
        X509_free(a->cert);
        EVP_PKEY_free(a->key);
}

#endif
