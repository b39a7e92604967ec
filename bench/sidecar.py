# SPDX-License-Identifier: Apache-2.0
"""The sidecar: CPU of uploading a block of two hours with 100,000 series (at 15 s) to a directory and to S3 (moto over plain HTTP), and CPU and memory of
passing on a Series answer with all of 6 h of 10,000 series. PEER_THANOS=path measures the original in turns. Needs build/venv (./run test makes it)."""
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time

from common import ROOT, Scratch, System, blocks, free_port, median, table

SERIES = int(os.environ.get("SERIES", "100000"))
RUNS = int(os.environ.get("RUNS", "3"))
PYTHON = os.path.join(ROOT, "build", "venv", "bin", "python")
CLIENT = r"""
import sys, grpc
def field(n, v):
    size = lambda k: bytes([k & 127 | 128]) + size(k >> 7) if k > 127 else bytes([k])
    return size(n << 3 | 2) + size(len(v)) + v if isinstance(v, bytes) else size(n << 3) + size(v)
request = field(1, 1) + field(2, 1 << 60) + field(3, field(1, 2) + field(2, b"__name__") + field(3, b"bench_.*"))
n = total = 0
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1], options=[("grpc.max_receive_message_length", -1)]) as ch:
    for m in ch.unary_stream("/thanos.Store/Series")(request, timeout=300):
        n += 1
        total += len(m)
print(n, total)
"""


class Prometheus(http.server.BaseHTTPRequestHandler):
    """As much of it as a sidecar asks for that uploads."""
    protocol_version = "HTTP/1.1"
    data = {"status/config": {"yaml": "global:\n  external_labels: {cluster: c1, replica: r0}\n"}, "status/buildinfo": {"version": "3.14.0"},
            "status/flags": {"storage.tsdb.min-block-duration": "2h", "storage.tsdb.max-block-duration": "2h", "storage.tsdb.retention": "15d", "storage.tsdb.path": "data",
                             "web.enable-admin-api": "false", "web.enable-lifecycle": "false"}, "labels": ["__name__"]}

    def do_GET(self):
        body = json.dumps({"status": "success", "data": self.data.get(self.path.split("?")[0].removeprefix("/api/v1/"), {})}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Sidecar(System):
    def __init__(self, prefix, data, prometheus_port, *flags):
        self.port, self.grpc_port, self.data = free_port(), free_port(), data
        self.argv = [*prefix, "sidecar", f"--prometheus.url=http://127.0.0.1:{prometheus_port}", f"--tsdb.path={data}", f"--http-address=127.0.0.1:{self.port}",
                     f"--grpc-address=127.0.0.1:{self.grpc_port}", *flags]
        self.start()


def sidecars():
    out = [("coeus", [os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")), "thanos"])]
    if os.environ.get("PEER_THANOS"):
        out.append(("thanos", [os.environ["PEER_THANOS"]]))
    return [s for s in out if s[0] == os.environ.get("ONLY", s[0])]


def upload(prefix, scratch, source, port, conf):
    """CPU seconds of bringing one block into the bucket, above those of a start that finds nothing."""
    cpu = []
    for has_block in (False, True):
        data = os.path.join(scratch, "data")
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(os.path.join(data, "wal"))
        if has_block:
            shutil.copytree(source, os.path.join(data, os.path.basename(source)))
            with open(os.path.join(source, "meta.json")) as f:
                want = json.load(f)["ulid"]
        s = Sidecar(prefix, data, port, "--objstore.config=" + conf)
        deadline, listed = time.monotonic() + 120, os.path.join(data, "thanos.shipper.json")
        while not os.path.exists(listed) or (has_block and want not in open(listed).read()):
            if time.monotonic() > deadline:
                raise SystemExit(f"{prefix}: no upload:\n" + open(s.data + ".log", errors="replace").read()[-2000:])
            time.sleep(0.02)
        time.sleep(0.5)
        cpu.append((s.cpu_s(), s.peak_bytes()))
        s.stop()
    return cpu[1][0] - cpu[0][0], cpu[1][1]


def series(prefix, scratch, port):
    """CPU seconds and peak memory of one Series call over all of a Prometheus' data, and what came."""
    data = os.path.join(scratch, "none")
    os.makedirs(data, exist_ok=True)
    s = Sidecar(prefix, data, port)
    begin = s.cpu_s()
    r = subprocess.run([PYTHON, "-c", CLIENT, str(s.grpc_port)], capture_output=True, text=True, check=False)
    if r.returncode:
        raise SystemExit(r.stderr[-2000:])
    out = s.cpu_s() - begin, s.peak_bytes(), r.stdout
    s.stop()
    return out


def main():
    every = blocks(SERIES, 2)
    source = next(os.path.join(every, n) for n in os.listdir(every) if os.path.isdir(os.path.join(every, n)))
    fake = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=fake.serve_forever, daemon=True).start()
    found = {name: {} for name, _ in sidecars()}
    with Scratch() as scratch:
        moto_port = free_port()
        moto = subprocess.Popen([os.path.join(ROOT, "build", "venv", "bin", "moto_server"), "-H", "127.0.0.1", "-p", str(moto_port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            subprocess.run([PYTHON, "-c", f"""
import boto3, time
for i in range(200):
    try:
        s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:{moto_port}", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for i in range({2 * RUNS}):
            s3.create_bucket(Bucket=f"bench-{{i}}")
        break
    except Exception as e:
        if i == 199:
            raise
        time.sleep(0.1)
"""], check=True)
            bucket = 0
            for run in range(RUNS):
                for name, prefix in sidecars():
                    shutil.rmtree(os.path.join(scratch, "bucket"), ignore_errors=True)
                    os.makedirs(os.path.join(scratch, "bucket"))
                    conf = f"{{type: FILESYSTEM, config: {{directory: {scratch}/bucket}}}}"
                    cpu, peak = upload(prefix, scratch, source, fake.server_port, conf)
                    found[name].setdefault("dir", []).append(cpu)
                    found[name].setdefault("dir_peak", []).append(peak / 2 ** 20)
                    conf = f"{{type: S3, config: {{bucket: bench-{bucket}, endpoint: '127.0.0.1:{moto_port}', insecure: true, region: us-east-1, access_key: x, secret_key: x}}}}"
                    bucket += 1
                    cpu, peak = upload(prefix, scratch, source, fake.server_port, conf)
                    found[name].setdefault("s3", []).append(cpu)
                    found[name].setdefault("s3_peak", []).append(peak / 2 ** 20)
        finally:
            moto.kill()
            moto.wait()
        data = os.path.join(scratch, "tsdb")
        shutil.copytree(blocks(10000, 6), data)
        config = "global: {external_labels: {cluster: c1, replica: r0}}\n"
        p = System([os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")), "prometheus"], data, config, "--storage.tsdb.retention.time=100y",
                   "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h")
        answers = set()
        for run in range(RUNS):
            for name, prefix in sidecars():
                cpu, peak, text = series(prefix, scratch, p.port)
                found[name].setdefault("series", []).append(cpu)
                found[name].setdefault("series_peak", []).append(peak / 2 ** 20)
                answers.add(text.split()[0])
        p.stop()
    size = sum(os.path.getsize(os.path.join(top, f)) for top, _, names in os.walk(source) for f in names) / 2 ** 20
    print(f"block: {SERIES} series, {size:.0f} MiB; frames of the Series answers: {', '.join(sorted(answers))}")
    rows = [("dir", "upload to a directory, CPU s", "{:.3f}"), ("dir_peak", "peak resident MiB", "{:.1f}"), ("s3", "upload to S3, CPU s", "{:.3f}"), ("s3_peak", "peak resident MiB", "{:.1f}"),
            ("series", "Series of all, CPU s", "{:.3f}"), ("series_peak", "peak resident MiB", "{:.1f}")]
    table(rows, {name: {k: median(v) for k, v in values.items()} for name, values in found.items()},
          {"dir": 1 / 3, "s3": 1 / 3, "dir_peak": 1 / 4, "s3_peak": 1 / 4, "series_peak": 1 / 4})


if __name__ == "__main__":
    sys.exit(main())
