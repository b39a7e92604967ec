# SPDX-License-Identifier: Apache-2.0
"""`coeus thanos store` over the recorded bucket, asked by Python's grpcio with the recorded requests."""
import json
import os
import shutil
import subprocess

from harness.core import Proc, ROOT, check, check_eq, coeus_bin, free_port, wait_for
from harness.venv import certificates, venv_python
from interop.test_s3 import S3

CLIENT = r'''
import json, os, sys
import grpc

port, folder, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


def fields(b):
    """(number, value) of each field; bytes of a message or string, else the number."""
    at = 0

    def varint():
        nonlocal at
        v = shift = 0
        while True:
            x = b[at]
            at += 1
            v |= (x & 127) << shift
            shift += 7
            if x < 128:
                return v
    while at < len(b):
        key = varint()
        if key & 7 == 2:
            n = varint()
            yield key >> 3, b[at:at + n]
            at += n
        else:
            assert key & 7 == 0, key
            yield key >> 3, varint()


def series(frames):
    return [v for f in frames for k, v in fields(f) if k == 1]


def names(frames):
    return [v for f in frames for k, v in fields(f) if k == 1]


def info(frames):
    """All but tsdb_infos: 0.36 forgets some."""
    out = []
    for k, v in fields(frames[0]):
        out.append((k, [(n, x) for n, x in fields(v) if n != 6] if k == 3 else v))
    return out


def channel():
    options = [("grpc.max_receive_message_length", -1)]
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    read = lambda p: open(p, "rb").read()
    cred = grpc.ssl_channel_credentials(read(tls[0]), *([read(tls[2]), read(tls[1])] if len(tls) > 1 else []))
    return grpc.secure_channel(f"localhost:{port}", cred, options=options)


def ask(ch, method, request):
    if method.endswith("/Series"):
        return list(ch.unary_stream(method)(request, timeout=30))
    return [ch.unary_unary(method)(request, timeout=30)]


done, wrong = 0, []
with channel() as ch:
    for x in json.load(open(os.path.join(folder, "index.json"))):
        if x["server"] != "store-0.36":
            continue
        request = open(os.path.join(folder, x["request_file"]), "rb").read()
        want = [open(os.path.join(folder, r["file"]), "rb").read() for r in x["responses"]]
        try:
            got, status = ask(ch, x["method"], request), "OK"
        except grpc.RpcError as e:
            got, status = [], e.code().name
        done += 1
        if status != x["status"]:
            wrong.append(f"{x['name']}: {status}, want {x['status']}")
        elif status == "OK":
            view = series if x["method"].endswith("/Series") else info if x["method"].endswith("/Info") else names
            if view(got) != view(want):
                wrong.append(f"{x['name']}: another answer: {got!r:.300}, want {want!r:.300}")
print(f"{done} requests")
assert done >= 25, done
assert not wrong, "\n".join(wrong)
'''


def shared(t, *parts):
    path = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(os.path.dirname(ROOT), "shared")), "conformance", *parts)
    if not os.path.exists(path):
        t.skip("no ../shared/conformance")
    return path


def store(t, *flags, bucket=None, config=None, ready=True, data="data"):
    bucket = bucket or shared(t, "thanos", "bucket-compacted")
    port, grpc_port = free_port(), free_port()
    cfg = config or t.write("bucket.yml", f"type: FILESYSTEM\nconfig:\n  directory: {bucket}\n")
    p = Proc(t, [coeus_bin(), "thanos", "store", f"--objstore.config-file={cfg}", f"--data-dir={t.path(data)}", f"--http-address=127.0.0.1:{port}",
                 f"--grpc-address=127.0.0.1:{grpc_port}", "--ignore-deletion-marks-delay=0s", *flags], port=port)
    p.grpc_port = grpc_port
    return p.wait_ready() if ready else p


def ask_recorded(t, p, *tls):
    r = subprocess.run([venv_python(t), t.write("client.py", CLIENT), str(p.grpc_port), shared(t, "grpc"), *tls], capture_output=True, text=True, timeout=120, check=False)
    check(r.returncode == 0, r.stdout + r.stderr[-4000:])


def metric(p, name):
    for line in p.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def test_answers_the_recorded_requests(t):
    p = store(t)
    ask_recorded(t, p)
    check_eq(metric(p, "thanos_bucket_store_blocks_loaded"), 10.0)
    check_eq(metric(p, 'grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Series",grpc_service="thanos.Store",grpc_type="server_stream"}'), 1.0)
    check_eq(p.get("/-/healthy").text, "OK")
    blocks = p.api("blocks", view="loaded")
    check_eq((len(blocks["blocks"]), blocks["label"], blocks["err"]), (10, "", None))
    with open(shared(t, "thanos", "bucket-compacted", "01M81XDKX825AKP4JST5RQ3W17", "meta.json")) as f:
        check(json.load(f) in blocks["blocks"], "the meta of a block")
    check_eq(p.stop(), 0, "exit code after SIGTERM")


def test_answers_them_over_mtls_with_lazy_headers_after_kill9(t):
    ca, cert, key = certificates(t)
    flags = ("--grpc-server-tls-cert=" + cert, "--grpc-server-tls-key=" + key, "--grpc-server-tls-client-ca=" + ca, "--store.enable-index-header-lazy-reader",
             "--store.index-header-lazy-reader-idle-timeout=1s", "--store.index-header-lazy-download-strategy=lazy", "--block-discovery-strategy=recursive",
             "--debug.series-batch-size=1")
    p = store(t, *flags)
    ask_recorded(t, p, ca, cert, key)
    p.kill9()
    header = t.path("data", "01M81XDKX825AKP4JST5RQ3W17", "index-header")
    with open(header, "rb") as f:
        original = f.read()
    with open(shared(t, "thanos", "index-headers", "01M81XDKX825AKP4JST5RQ3W17", "index-header"), "rb") as f:
        check_eq(original, f.read(), "index-header")
    os.truncate(header, 100)
    p = store(t, *flags)
    ask_recorded(t, p, ca, cert, key)
    with open(header, "rb") as f:
        check_eq(f.read(), original, "the index-header is whole again")
    check_eq(p.stop(), 0)


def test_answers_them_from_s3_with_signatures_and_refuses_a_wrong_key(t):
    source = shared(t, "thanos", "bucket-compacted")
    s3 = S3(t)
    key, secret = s3.keys["may"]
    s3.setup(f"""
import os
s3 = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id={key!r}, aws_secret_access_key={secret!r})
for top, _, files in os.walk({source!r}):
    for f in files:
        path = os.path.join(top, f)
        s3.upload_file(path, {s3.bucket!r}, os.path.relpath(path, {source!r}))
print(json.dumps({s3.keys!r}))
""")
    p = store(t, config=s3.config())
    ask_recorded(t, p)
    check(metric(p, "thanos_bucket_store_blocks_loaded") == 10.0, p.tail())
    check_eq(p.stop(), 0)
    p = store(t, config=s3.config("may_not"), ready=False, data="other")
    wait_for("the refusal", lambda: "ccess" in p.log and "enied" in p.log)
    check(p.get("/-/ready").status == 503, "it is ready without its bucket")
    check(secret not in p.log, "a secret in the log")
    check_eq(p.stop(), 0)


def test_blocks_come_and_go(t):
    bucket = t.path("bucket")
    os.mkdir(bucket)
    p = store(t, "--sync-block-duration=200ms", bucket=bucket)
    check_eq(metric(p, "thanos_bucket_store_blocks_loaded"), 0.0)
    source = shared(t, "thanos", "bucket-compacted")
    one, two = "01M81XDKX825AKP4JST5RQ3W17", "01M81XDKT37HRPKJXQRV6BKJ7Y"
    shutil.copytree(os.path.join(source, one), os.path.join(bucket, one))
    os.makedirs(os.path.join(bucket, two, "chunks"))                    # still being uploaded: no meta.json
    shutil.copy(os.path.join(source, two, "index"), os.path.join(bucket, two, "index"))
    wait_for("the whole block", lambda: metric(p, "thanos_bucket_store_blocks_loaded") == 1.0)
    check_eq(metric(p, 'thanos_blocks_meta_synced{state="no-meta-json"}'), 1.0)
    os.chmod(os.path.join(bucket, one), 0o755)
    os.remove(os.path.join(bucket, one, "meta.json"))
    wait_for("it to go", lambda: metric(p, "thanos_bucket_store_blocks_loaded") == 0.0)
    check(not os.path.exists(t.path("data", one)), "its index-header is still there")
    check_eq(p.stop(), 0)


def test_chooses_blocks_by_time_and_labels(t):
    rules = "- action: keep\n  source_labels: [replica]\n  regex: r0\n"
    p = store(t, "--min-time=2023-11-22T18:00:00Z", "--max-time=2023-11-23T11:59:59Z", "--selector.relabel-config=" + rules)
    check_eq(metric(p, 'thanos_blocks_meta_synced{state="label-excluded"}'), 1.0)
    check_eq(metric(p, 'thanos_blocks_meta_synced{state="time-excluded"}'), 10.0)
    check_eq(metric(p, 'thanos_blocks_meta_synced{state="loaded"}'), 1.0)
    check_eq(p.stop(), 0)


def test_says_what_is_wrong(t):
    def fails(code, text, *args):
        got, log = t.run("thanos", "store", "--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0", f"--data-dir={t.path('d')}", *args)
        check_eq(got, code, log[-500:])
        check(text in log, f"{text!r} is not in {log[-800:]}")
    config = "--objstore.config={type: FILESYSTEM, config: {directory: /nowhere}}"
    fails(1, "flag objstore.config-file or objstore.config is required for running this command and content cannot be empty.")
    fails(1, "both objstore.config-file and objstore.config flags set.", config, "--objstore.config-file=x")
    fails(1, "unknown long flag '--nonsense'", "--nonsense=1")
    fails(1, "--tracing.config is not supported yet", config, "--tracing.config=type: JAEGER")
    fails(1, "--store.caching-bucket.config is not supported yet", config, "--store.caching-bucket.config=type: IN-MEMORY")
    fails(1, "index cache with type REDIS is not supported", config, "--index-cache.config={type: REDIS, config: {}}")
    fails(1, "unsupported relabel action: replace", config, "--selector.relabel-config=[{action: replace, target_label: x}]")
    fails(1, "can't be greater than --max-time", config, "--min-time=-1d", "--max-time=-2d")
    fails(1, "both server key and certificate must be provided", config, "--grpc-server-tls-cert=x")
    code, log = t.run("thanos", "nonsense")
    check_eq(code, 1)
    check('expected command but got "nonsense"' in log, log)
