# SPDX-License-Identifier: Apache-2.0
"""Blocks of a Prometheus on their way into a bucket by `coeus thanos sidecar`: each exactly once, whatever happens on the way."""
import glob
import http.client
import http.server
import json
import os
import shutil
import subprocess
import threading

from e2e.test_thanos_sidecar import ask, labels_of, matcher, metric, series_request, shared, sidecar
from harness.core import check, check_eq, wait_for
from harness.fake_prometheus import FakePrometheus, fields
from harness.target import Target, config
from harness.venv import venv_python
from interop.test_s3 import S3


class Blocks:
    """Two-hour blocks of one producer as a Prometheus would have them, and what the original's upload made of them."""

    def __init__(self, t, n):
        self.t, self.source, self.metas = t, shared(t, "thanos", "bucket-raw"), {}
        for name in sorted(os.listdir(self.source)):
            with open(os.path.join(self.source, name, "meta.json")) as f:
                text = f.read()
            if json.loads(text)["thanos"]["labels"]["replica"] == "r0":
                self.metas[name] = text.replace('"source": "bucket.upload"', '"source": "sidecar"')
        self.names = sorted(self.metas, key=lambda n: json.loads(self.metas[n])["minTime"])[:n]
        os.makedirs(t.path("data", "wal"), exist_ok=True)

    def cut(self, name):
        """The block appears in the data directory at once, as the database makes it appear."""
        tmp, final = self.t.path("data", name + ".tmp-for-creation"), self.t.path("data", name)
        shutil.copytree(os.path.join(self.source, name), tmp, copy_function=shutil.copyfile)
        subprocess.run(["chmod", "-R", "u+w", tmp], check=True)
        meta = json.loads(self.metas[name])
        del meta["thanos"]
        with open(os.path.join(tmp, "meta.json"), "w") as f:
            json.dump(meta, f, indent="\t")
        os.rename(tmp, final)

    def files(self, name):
        """Path in the bucket: content."""
        out = {f"{name}/meta.json": self.metas[name].encode()}
        for path in ["index", *(f"chunks/{c}" for c in os.listdir(os.path.join(self.source, name, "chunks")))]:
            with open(os.path.join(self.source, name, path), "rb") as f:
                out[f"{name}/{path}"] = f.read()
        return out


def filesystem(t):
    os.makedirs(t.path("bucket"), exist_ok=True)
    return f"--objstore.config={{type: FILESYSTEM, config: {{directory: {t.path('bucket')}}}}}"


def tree(path):
    out = {}
    for top, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(top, name), "rb") as f:
                out[os.path.relpath(os.path.join(top, name), path)] = f.read()
    return out


def listed(t, name="thanos.shipper.json"):
    with open(t.path("data", name)) as f:
        return json.load(f)["uploaded"] or []


def test_each_block_goes_once_over_kill9_and_restart(t):
    blocks, prometheus = Blocks(t, 12), FakePrometheus(t)
    seen = {}

    def look():
        for name in blocks.names:
            path = t.path("bucket", name, "meta.json")
            if os.path.exists(path):
                s = os.stat(path)
                check_eq(seen.setdefault(name, (s.st_ino, s.st_mtime_ns)), (s.st_ino, s.st_mtime_ns), f"{name} was uploaded again")
        return len(seen)
    for round_ in range(3):
        p = sidecar(t, prometheus.port, filesystem(t))
        for name in blocks.names[round_ * 3:round_ * 3 + 3]:
            blocks.cut(name)
        wait_for("the first blocks", lambda: look() > round_ * 3, 60)
        p.kill9()
        look()
    p = sidecar(t, prometheus.port, filesystem(t), "--shipper.meta-file-name=thanos.shipper.json")
    for name in blocks.names[9:]:
        blocks.cut(name)
    wait_for("all blocks", lambda: look() == len(blocks.names) and listed(t) == blocks.names, 60)
    want = {k: v for name in blocks.names for k, v in blocks.files(name).items()}
    got = {k: v for k, v in tree(t.path("bucket")).items() if "/.coeus-upload-" not in k}       # what a killed upload leaves is no object
    check_eq(sorted(got), sorted(want))
    for name, content in want.items():
        check_eq(got[name], content, name)
    check(not os.listdir(t.path("data", "thanos", "upload")), "links are left")
    oldest = json.loads(blocks.metas[blocks.names[0]])["minTime"]
    status, _, (info,) = ask(t, p, ("/thanos.info.Info/Info", b""))[0]
    check_eq((status, dict(fields(dict(fields(info))[3]))[1]), ("OK", oldest), "the oldest block is the begin that is told")
    check_eq(metric(p, "thanos_shipper_upload_failures_total"), 0.0)
    check_eq(p.stop(), 0)


class Way:
    """What stands between the sidecar and moto: remembers requests, can hold one up, and can be away."""

    def __init__(self, t, to):
        self.requests, self.hold, self.held, self.release, self.away = [], None, threading.Event(), threading.Event(), False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.hold and self.command == "PUT" and outer.hold in self.path:
                    outer.held.set()
                    outer.release.wait(60)
                if outer.away:
                    status, headers, answer = 503, [], b"<Error><Code>SlowDown</Code><Message>away</Message></Error>"
                else:
                    c = http.client.HTTPConnection("127.0.0.1", to, timeout=60)
                    c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for k, v in self.headers.items():
                        c.putheader(k, v)
                    c.endheaders(body)
                    r = c.getresponse()
                    status, headers, answer = r.status, r.getheaders(), r.read()
                    c.close()
                outer.requests.append((self.command, self.path.split("?")[0], status))
                try:
                    self.send_response(status)
                    for k, v in headers:
                        if k.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                            self.send_header(k, v)
                    length = next((v for k, v in headers if k.lower() == "content-length"), len(answer)) if self.command == "HEAD" else len(answer)
                    self.send_header("Content-Length", str(length))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(answer)
                except OSError:
                    pass
            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        t.cleanup(lambda: (self.release.set(), self.server.shutdown(), self.server.server_close()))

    def puts(self, end):
        return [path for method, path, status in self.requests if method == "PUT" and status == 200 and path.endswith(end)]


def objects(t, s3):
    key, secret = s3.keys["may"]
    r = subprocess.run([venv_python(t), "-c", f"""
import boto3, json
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:{s3.port}", region_name="us-east-1", aws_access_key_id={key!r}, aws_secret_access_key={secret!r})
found = s3.list_objects_v2(Bucket={s3.bucket!r}).get("Contents", [])
print(json.dumps({{o["Key"]: s3.get_object(Bucket={s3.bucket!r}, Key=o["Key"])["Body"].read().hex() for o in found}}))
"""], capture_output=True, text=True, timeout=60, check=False)
    check(r.returncode == 0, r.stderr[-2000:])
    return {k: bytes.fromhex(v) for k, v in json.loads(r.stdout).items()}


def again(t):
    """Something changes in the data directory: the sidecar looks at once, not after half a minute."""
    os.mkdir(t.path("data", "change"))
    os.rmdir(t.path("data", "change"))


def test_s3_with_signatures_a_crash_half_way_and_a_bucket_that_is_away(t):
    blocks, prometheus, s3 = Blocks(t, 4), FakePrometheus(t), S3(t)
    way = Way(t, s3.port)
    conf = "--objstore.config-file=" + s3.config(endpoint=f"127.0.0.1:{way.port}", max_retries=1)
    for name in blocks.names[:3]:
        blocks.cut(name)
    second = blocks.names[1]
    way.hold = second + "/index"
    p = sidecar(t, prometheus.port, conf)
    check(way.held.wait(60), f"the index of {second} was not sent:\n{p.tail()}")
    p.kill9()
    way.hold = None
    way.release.set()
    wait_for("the request that was held up", lambda: any(second + "/index" in path for path in way.puts("/index")), 60)
    check_eq(sorted(k for k in objects(t, s3) if k.endswith("meta.json")), [blocks.names[0] + "/meta.json"], "blocks that count")
    p = sidecar(t, prometheus.port, conf)
    wait_for("three blocks", lambda: listed(t) == blocks.names[:3], 60)
    way.away = True
    blocks.cut(blocks.names[3])
    wait_for("a word about the bucket", lambda: "uploading blocks failed" in p.log and "503" in p.log, 60)
    check_eq(p.get("/-/ready").status, 200, "it serves while the bucket is away")
    way.away = False
    again(t)
    wait_for("the fourth block", lambda: listed(t) == blocks.names, 60)
    want = {k: v for name in blocks.names for k, v in blocks.files(name).items()}
    got = objects(t, s3)
    check_eq(sorted(got), sorted(want))
    check(got == want, "an object differs from its file")
    check_eq(sorted(way.puts("/meta.json")), sorted(f"/{s3.bucket}/{name}/meta.json" for name in blocks.names), "uploads of meta.json")
    check(metric(p, "thanos_shipper_upload_failures_total") == 0.0 and metric(p, "thanos_shipper_dir_sync_failures_total") >= 1.0, p.get("/metrics").text)
    check_eq(metric(p, 'thanos_objstore_bucket_last_successful_upload_time{bucket="' + s3.bucket + '"}') > 0, True)
    check_eq(p.stop(), 0)


def test_a_wrong_key_is_told_and_the_api_goes_on(t):
    blocks, prometheus, s3 = Blocks(t, 1), FakePrometheus(t), S3(t)
    blocks.cut(blocks.names[0])
    p = sidecar(t, prometheus.port, "--objstore.config-file=" + s3.config("may_not"))
    wait_for("the refusal", lambda: "uploading blocks failed" in p.log and "403" in p.log, 60)
    check_eq(p.get("/-/ready").status, 200)
    check(s3.keys["may_not"][1] not in p.log, "a secret in the log")
    check_eq(objects(t, s3), {})
    check_eq(p.stop(), 0)


def test_compaction_in_prometheus_stops_uploads(t):
    blocks, prometheus = Blocks(t, 1), FakePrometheus(t)
    blocks.cut(blocks.names[0])
    flags = prometheus.answers["status/flags"] = {"storage.tsdb.min-block-duration": "2h", "storage.tsdb.max-block-duration": "1d12h"}
    text = "found that TSDB Max time is 1d12h and Min time is 2h. Compaction needs to be disabled (storage.tsdb.min-block-duration = storage.tsdb.max-block-duration)"
    p = sidecar(t, prometheus.port, filesystem(t), ready=False)
    wait_for("the reason", lambda: text in p.log and "failed to validate prometheus flags. Is Prometheus running? Retrying" in p.log, 60)
    check_eq((p.get("/-/ready").status, os.listdir(t.path("bucket"))), (503, []))
    check_eq(p.stop(), 0)
    p = sidecar(t, prometheus.port, filesystem(t), "--shipper.ignore-unequal-block-size")
    wait_for("the block", lambda: listed(t) == blocks.names, 60)
    check("flag to ignore Prometheus min/max block duration flags differing is being used" in p.log, p.log)
    check_eq(p.stop(), 0)
    # Prometheus 3.9 compacts what is in the list of what was uploaded: fine, if it is the same file.
    flags["storage.tsdb.delay-compact-file.path"] = "/elsewhere/thanos.shipper.json"
    p = sidecar(t, prometheus.port, filesystem(t), ready=False)
    wait_for("the other path", lambda: "Prometheus and Thanos use different paths for tracking block uploads" in p.log, 60)
    check_eq(p.stop(), 0)
    flags["storage.tsdb.delay-compact-file.path"] = t.path("data") + "//thanos.shipper.json"
    check_eq(sidecar(t, prometheus.port, filesystem(t)).stop(), 0)


def test_says_what_is_wrong(t):
    def fails(code, text, *args):
        got, log = t.run("thanos", "sidecar", "--http-address=127.0.0.1:0", "--grpc-address=127.0.0.1:0", *args)
        check_eq(got, code, log[-500:])
        check(text in log, f"{text!r} is not in {log[-800:]}")
    fails(1, "--reloader.config-file is not supported yet", "--reloader.config-file=x")
    fails(1, "--reloader.rule-dir is not supported yet", "--reloader.rule-dir=x")
    fails(1, "both objstore.config-file and objstore.config flags set.", "--objstore.config=a", "--objstore.config-file=b")
    fails(1, "at most one of bearer_token & bearer_token_file must be configured", "--prometheus.http-client={bearer_token: a, bearer_token_file: b}")
    fails(1, "failed to parse time or duration: \\\"soon\\\"", "--min-time=soon")
    fails(1, "unsupported protocol scheme", "--prometheus.url=ftp://x")
    fails(2, "MD5", "--hash-func=MD5")
    prometheus = FakePrometheus(t)
    prometheus.down = True
    os.makedirs(t.path("data", "wal"))
    fails(1, "aborting as no external labels found after waiting 1s", f"--prometheus.url=http://127.0.0.1:{prometheus.port}", "--prometheus.ready_timeout=1s",
          f"--tsdb.path={t.path('data')}", filesystem(t))


CUT = ("--storage.tsdb.min-block-duration=2s", "--storage.tsdb.max-block-duration=2s")


def beside(t, binary):
    """A Prometheus that cuts blocks of two seconds, its sidecar, a bucket: blocks arrive one block range apart, and the series are what it has."""
    target = Target(t, 'm{i="1"} 1\nm{i="1",zz="1"} 2\nm{a="1"} 3\n')
    prometheus = t.prometheus(config([target], interval="500ms").replace("global:", "global:\n  external_labels: {cluster: c1, replica: r0}", 1), *CUT, binary=binary)
    p = sidecar(t, prometheus.port, filesystem(t))

    def metas():
        out = []
        for path in glob.glob(t.path("bucket", "*", "meta.json")):
            with open(path) as f:
                out.append(json.load(f))
        return sorted(out, key=lambda m: m["minTime"])
    wait_for("two blocks", lambda: len(metas()) >= 2, 60)
    wait_for("all three series", lambda: len(prometheus.query("m")) == 3, 60)
    status, message, frames = ask(t, p, ("/thanos.Store/Series", series_request(matcher("__name__", "m"))))[0]
    names = [labels_of(f).split(",instance")[0] for f in frames]
    check_eq((status, message, list(dict.fromkeys(names))), ("OK", "", ["__name__=m,a=1,cluster=c1", "__name__=m,cluster=c1,i=1"]))
    order = [labels_of(f) for f in frames]
    check_eq(sorted(set(order), key=lambda s: [x.split("=", 1) for x in s.split(",")]), list(dict.fromkeys(order)), "order")
    check_eq(p.stop(), 0)
    got = metas()
    for m in got:
        check_eq((m["thanos"]["labels"], m["thanos"]["source"], m["compaction"]["level"]), ({"cluster": "c1", "replica": "r0"}, "sidecar", 1))
        local = t.path("data", m["ulid"])
        if os.path.exists(local):
            check(tree(t.path("bucket", m["ulid"]))["index"] == tree(local)["index"], "index differs")
    starts = [m["minTime"] // 2000 for m in got]
    check_eq(starts, list(range(starts[0], starts[0] + len(starts))), "block ranges in the bucket")
    check_eq(prometheus.stop(), 0)


def test_beside_our_prometheus(t):
    beside(t, None)


def test_beside_debians_prometheus(t):
    beside(t, t.peer("prometheus"))
