# SPDX-License-Identifier: Apache-2.0
"""The bucket suite against moto's S3 server with authentication on: signatures, listings, ranges and parts as another implementation understands them.

moto is installed from PyPI into build/venv when it is not there; without it, or without the sanitizer build's conformance_objstore, the tests are skipped."""
import json
import os
import subprocess
import sys
import threading

from harness.core import ROOT, Proc, check, free_port, http_request, wait_for

VENV = os.path.join(ROOT, "build", "venv")
_install_mu = threading.Lock()


def moto(t):
    path = os.path.join(VENV, "bin", "moto_server")
    with _install_mu:
        if not os.access(path, os.X_OK) and not os.environ.get("NO_INSTALL"):
            subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True)
            subprocess.run([os.path.join(VENV, "bin", "pip"), "install", "-q", "moto[server]"], capture_output=True)
    if not os.access(path, os.X_OK):
        t.skip("moto[server] is not in build/venv and could not be installed")
    return path


def program(t):
    path = os.path.join(ROOT, "build", "asan", "tests", "conformance_objstore")
    if not os.access(path, os.X_OK):
        t.skip("build/asan/tests/conformance_objstore is not built (./run test builds it)")
    return path


class S3:
    """A server, a bucket, a user who may do all with S3, and one who may nothing. From then on each request must be signed by them."""

    def __init__(self, t, tls=None, bucket="test-bucket", region="us-east-1"):
        self.t, self.port, self.bucket = t, free_port(), bucket
        argv = [moto(t), "-H", "127.0.0.1", "-p", str(self.port)]
        self.server = Proc(t, argv, port=self.port, env={"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
        wait_for("moto", lambda: http_request(self.port, "GET", "/moto-api/data.json", timeout_s=5).status == 200, limit_s=60)
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
        r = http_request(self.port, "POST", "/moto-api/reset-auth", body="0")
        check(r.status == 200, f"authentication could not be turned on: {r.status} {r.text[:300]}")

    def setup(self, code):
        r = subprocess.run([os.path.join(VENV, "bin", "python"), "-c", f"import boto3, json\nurl = 'http://127.0.0.1:{self.port}'\n{code}"], capture_output=True, text=True, timeout=60)
        check(r.returncode == 0, r.stderr[-2000:])
        self.keys = json.loads(r.stdout)

    def config(self, user="may", **over):
        key, secret = self.keys[user]
        conf = {"bucket": self.bucket, "endpoint": f"127.0.0.1:{self.port}", "insecure": True, "region": "us-east-1", "access_key": key, "secret_key": secret,
                "part_size": 5242880, **over}
        return self.t.write(f"objstore-{len(self.t.procs)}.yml", json.dumps({"type": "S3", "config": {k: v for k, v in conf.items() if v is not None}}))

    def run(self, path, expect=None, limit_s=240):
        p = Proc(self.t, [program(self.t)], env={"COEUS_OBJSTORE_CONFIG": path, **({"COEUS_OBJSTORE_EXPECT": expect} if expect else {})})
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


def test_wrong_keys_are_refused(t):
    program(t)
    s3 = S3(t)
    s3.run(s3.config(secret_key="wrong"), expect="SignatureDoesNotMatch")
    s3.run(s3.config(access_key="AKIAWRONG"), expect="InvalidAccessKeyId")
    s3.run(s3.config(user="may_not"), expect="AccessDenied")
    s3.run(s3.config(bucket="no-such-bucket"), expect="NoSuchBucket")
