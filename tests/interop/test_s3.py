# SPDX-License-Identifier: Apache-2.0
"""The bucket suite against moto's S3 server with authentication on: signatures, listings, ranges and parts as another implementation understands them.

Without moto in build/venv, or without the sanitizer build's conformance_objstore, the tests are skipped."""
import json
import os
import ssl
import subprocess
import urllib.request

from harness.core import ROOT, Proc, check, free_port, wait_for
from harness.venv import venv_program, venv_python


def program(t):
    path = os.path.join(ROOT, "build", "asan", "tests", "conformance_objstore")
    if not os.access(path, os.X_OK):
        t.skip("build/asan/tests/conformance_objstore is not built (./run test builds it)")
    return path


class S3:
    """A server, a bucket, a user who may do all with S3, and one who may nothing. From then on each request must be signed by them."""

    def __init__(self, t, tls=None, bucket="test-bucket", region="us-east-1"):
        self.t, self.port, self.bucket = t, free_port(), bucket
        argv = [venv_program(t, "moto_server"), "-H", "127.0.0.1", "-p", str(self.port), *(["-c", f"{tls}/server.pem", "-k", f"{tls}/server.key"] if tls else [])]
        self.scheme, self.tls = "https" if tls else "http", tls
        self.server = Proc(t, argv, port=self.port, env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
        wait_for("moto", lambda: self.ask("GET", "/moto-api/data.json") == 200, limit_s=60)
        self.setup(f"""
s3 = boto3.client("s3", endpoint_url=url, region_name={region!r}, aws_access_key_id="x", aws_secret_access_key="x")
s3.create_bucket(Bucket={bucket!r}{"" if region == "us-east-1" else f", CreateBucketConfiguration=dict(LocationConstraint={region!r})"})
iam = boto3.client("iam", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
keys = {{}}
for name in "may", "may_not":
    iam.create_user(UserName=name)
    if name == "may":
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(dict(Version="2012-10-17", Statement=[dict(Effect="Allow", Action="s3:*", Resource="*")])))
    k = iam.create_access_key(UserName=name)["AccessKey"]
    keys[name] = (k["AccessKeyId"], k["SecretAccessKey"])
print(json.dumps(keys))
""")
        check(self.ask("POST", "/moto-api/reset-auth", b"0") == 200, "authentication could not be turned on")

    def ask(self, method, path, body=None):
        context = ssl.create_default_context(cafile=f"{self.tls}/ca.pem") if self.tls else None
        r = urllib.request.Request(f"{self.scheme}://127.0.0.1:{self.port}{path}", method=method, data=body, headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(r, timeout=5, context=context) as answer:
            return answer.status

    def setup(self, code):
        r = subprocess.run([venv_python(self.t), "-c", f"import boto3, json\nurl = '{self.scheme}://127.0.0.1:{self.port}'\n{code}"], capture_output=True, text=True, timeout=60,
                           env={**os.environ, **({"AWS_CA_BUNDLE": f"{self.tls}/ca.pem"} if self.tls else {})})
        check(r.returncode == 0, r.stderr[-2000:])
        self.keys = json.loads(r.stdout)

    def config(self, user="may", **over):
        key, secret = self.keys[user]
        conf = {"bucket": self.bucket, "endpoint": f"127.0.0.1:{self.port}", "insecure": True, "region": "us-east-1", "access_key": key, "secret_key": secret,
                "part_size": 5242880, **over}
        return self.t.write(f"objstore-{len(self.t.procs)}.yml", json.dumps({"type": "S3", "config": {k: v for k, v in conf.items() if v is not None}}))

    def run(self, path, expect=None, env=None, limit_s=240):
        p = Proc(self.t, [program(self.t)], env={"COEUS_OBJSTORE_CONFIG": path, **({"COEUS_OBJSTORE_EXPECT": expect} if expect else {}), **(env or {})})
        code = p.wait_exit(limit_s)
        check(code == 0 and "[  PASSED  ]" in p.log, p.log[-3000:])
        return p.log


def test_suite_over_moto(t):
    program(t)
    s3 = S3(t)
    log = s3.run(s3.config())
    check("PASSED  ] 3 test(s)" in log, log[-2000:])


def test_suite_over_moto_old_listings_and_region_asked_for(t):
    program(t)
    s3 = S3(t, region="eu-west-3")
    s3.run(s3.config(region=None, list_objects_version="v1", send_content_md5=False, put_user_metadata={"X-Amz-Storage-Class": "STANDARD_IA", "owner": "me"}))


def test_suite_over_moto_as_amazon(t):
    """Amazon's host names, the bucket in front, by way of a proxy that is moto itself: nothing leaves the machine."""
    program(t)
    s3 = S3(t)
    proxy = {"http_proxy": f"http://127.0.0.1:{s3.port}", "no_proxy": "", "NO_PROXY": ""}
    s3.run(s3.config(endpoint="s3.amazonaws.com", disable_dualstack=True), env=proxy)
    check(f"http://{s3.bucket}.s3.us-east-1.amazonaws.com/" in s3.server.log, s3.server.tail(5))


def test_wrong_keys_are_refused(t):
    program(t)
    s3 = S3(t)
    s3.run(s3.config(secret_key="wrong"), expect="SignatureDoesNotMatch")
    s3.run(s3.config(access_key="AKIAWRONG"), expect="InvalidAccessKeyId")
    s3.run(s3.config(user="may_not"), expect="AccessDenied")
    s3.run(s3.config(bucket="no-such-bucket"), expect="NoSuchBucket")


def certificates(t):
    d = t.path("tls")
    os.mkdir(d)

    def openssl(*args):
        r = subprocess.run(["openssl", *args], cwd=d, capture_output=True, text=True)
        check(r.returncode == 0, r.stderr)
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    t.write("tls/server.ext", "subjectAltName=DNS:localhost,DNS:test-bucket.localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "server.ext", "-out", "server.pem")
    return d


def test_suite_over_moto_with_tls(t):
    program(t)
    d = certificates(t)
    s3 = S3(t, tls=d)
    s3.run(s3.config(insecure=False, http_config={"tls_config": {"ca_file": f"{d}/ca.pem"}}))
    s3.run(s3.config(insecure=False, http_config={"tls_config": {"ca_file": f"{d}/ca.pem"}}, secret_key="wrong"), expect="SignatureDoesNotMatch")
    s3.run(s3.config(insecure=False), expect="certificate signed by unknown authority")
