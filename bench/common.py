# SPDX-License-Identifier: Apache-2.0
"""common.py — starting a system under load and reading its own accounting."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")
END_S = 1_767_225_600                           # 2026-01-01 00:00, a block boundary


def systems():
    """(name, command prefix) of ours and of each peer given: PEER_PROMETHEUS=path, PEER_VICTORIAMETRICS=path (only queries)."""
    out = [("coeus", [os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")), "prometheus"])]
    peer = os.environ.get("PEER_PROMETHEUS")
    if peer:
        out.append(("prometheus", [peer]))
    if os.environ.get("PEER_VICTORIAMETRICS"):
        out.append(("victoria", [os.environ["PEER_VICTORIAMETRICS"]]))
    if os.environ.get("ONLY"):
        out = [s for s in out if s[0] == os.environ["ONLY"]]
    return out


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path, timeout_s=120):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


class System:
    params = {}                                 # of each query
    ready_path = "/-/ready"

    def __init__(self, prefix, data, config, *flags):
        self.port = free_port()
        self.data = data
        cfg = data + ".yml"
        with open(cfg, "w") as f:
            f.write(config)
        self.argv = [*prefix, f"--config.file={cfg}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        self.start()

    def start(self):
        """Starts the process; seconds until it is ready."""
        self.log = open(self.data + ".log", "ab")
        begin = time.monotonic()
        self.p = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        while True:
            if self.p.poll() is not None:
                raise SystemExit(f"{self.argv[0]} ended with {self.p.returncode}:\n{open(self.data + '.log', errors='replace').read()[-2000:]}")
            try:
                if get(self.port, self.ready_path)[0] == 200:
                    self.ready_s = time.monotonic() - begin
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.01)

    def cpu_s(self):
        with open(f"/proc/{self.p.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_ms(self):
        """Of the threads that are there, finer than the ticks of cpu_s(); servers' threads stay."""
        total, tasks = 0, f"/proc/{self.p.pid}/task"
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError), open(f"{tasks}/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        return total / 1e6

    def anon_bytes(self):
        with open(f"/proc/{self.p.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("RssAnon:"))

    def peak_bytes(self):
        with open(f"/proc/{self.p.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))

    def api(self, path):
        status, body = get(self.port, "/api/v1/" + path)
        doc = json.loads(body)
        if status != 200:
            raise SystemExit(f"{self.argv[0]}: {path}: {doc}")
        return doc["data"]

    def kill9(self):
        self.p.send_signal(signal.SIGKILL)
        self.p.wait()
        self.log.close()

    def stop(self):
        self.p.terminate()
        try:
            self.p.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()


class Victoria(System):
    """VictoriaMetrics: no cache of results, as neither of the others has one."""
    params = {"nocache": 1}
    ready_path = "/health"

    def __init__(self, prefix, data):
        self.port = free_port()
        self.data = data
        self.argv = [*prefix, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y", "-selfScrapeInterval=0",
                     "-search.maxUniqueTimeseries=2000000", "-search.maxMemoryPerQuery=0", "-search.maxQueryDuration=10m"]
        self.start()

    def load(self, lines):
        """The file in requests of whole lines; then all is in parts that can be searched."""
        with open(lines, "rb") as f:
            while True:
                piece = f.readlines(32 << 20)
                if not piece:
                    break
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
                c.request("POST", "/api/v1/import", body=b"".join(piece))
                r = c.getresponse()
                if r.status != 204:
                    raise SystemExit(f"import: {r.status} {r.read()[:300]}")
                c.close()
        for path in ("/internal/force_flush", "/internal/force_merge"):
            get(self.port, path, timeout_s=600)
        while sum(float(line.split()[1]) for line in get(self.port, "/metrics")[1].decode().splitlines() if line.startswith("vm_active_merges")):
            time.sleep(0.2)


def open_copy(name, prefix, source, scratch):
    """The system on its own copy of the blocks; VictoriaMetrics gets their samples by its import."""
    data = os.path.join(scratch, name)
    if name != "victoria":
        shutil.copytree(source, data)
        return System(prefix, data, "global: {}\n", "--storage.tsdb.retention.time=100y")
    lines = source + ".jsonl"
    if not os.path.exists(lines):
        generator = os.path.join(ROOT, "build", "release", "bench", "gen_blocks")
        subprocess.run([generator, source + ".tmp.jsonl", *open(source + ".args").read().split()], check=True)
        os.rename(source + ".tmp.jsonl", lines)
    s = Victoria(prefix, data)
    s.load(lines)
    s.stop()                                    # what it was for is over: memory and caches of the import
    s.start()
    return s


def disk_bytes(path):
    return int(subprocess.check_output(["du", "-sk", path]).split()[0]) * 1024


class Scratch:
    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="coeus-bench-", dir=os.environ.get("BENCH_DIR"))
        return self.dir

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)


def openmetrics(path, series):
    """The same samples as bench/gen_blocks.c makes, as text for `promtool tsdb create-blocks-from openmetrics`."""
    with open(path, "w") as f:
        for i in range(series):
            kind, pod = i % 10, i // 10
            base = f'namespace="team-{pod % 20:02d}",pod="app-{pod:04d}"'
            if kind < 3:
                name, step = f'bench_requests_total{{{base},code="{(200, 404, 500)[kind]}"}}', 3 + pod % 17 + kind
            elif kind < 5:
                name, step = f'bench_{("errors", "bytes")[kind - 3]}_total{{{base},kind="{("error", "byte")[kind - 3]}"}}', 1 + pod % 5 + 1000 * (kind - 3)
            elif kind < 6:
                name, step = f"bench_memory_bytes{{{base}}}", 0
            else:
                name, step = f'bench_latency_seconds_bucket{{{base},le="{("0.1", "0.5", "1", "+Inf")[kind - 6]}"}}', (kind - 5) * (1 + pod % 7)
            value, state = 1000 * pod, 12345 + i
            out = []
            for k in range(6 * 240):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                if step:
                    value += step * (state >> 16) % (2 * step + 1)
                else:
                    value = 200_000_000 + pod * 1000 + (state >> 8) % 1_000_000
                out.append(f"{name} {value} {END_S - 6 * 3600 + 15 * k}\n")
            f.writelines(out)
        f.write("# EOF\n")


def blocks(series, hours, step=15, shift_s=0):
    """The folder of the prebuilt blocks, made once: by our generator if it is built, else by $PEER_PROMTOOL. shift_s: all
    times are later."""
    out = os.path.join(ROOT, "build", "bench", f"blocks-{series}" + (f"-{hours}h-{step}s" if (hours, step) != (6, 15) else "") + (f"-shift{shift_s}" if shift_s else ""))
    if os.path.isdir(out) and os.path.exists(out + ".args"):
        return out
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    tmp = out + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(tmp)
    generator = os.path.join(ROOT, "build", "release", "bench", "gen_blocks")
    if os.access(generator, os.X_OK):
        subprocess.run([generator, tmp, str(series), str(END_S - hours * 3600 + shift_s), str(hours), str(step)], check=True)
    elif os.environ.get("PEER_PROMTOOL") and (hours, step, shift_s) == (6, 15, 0):
        text = tmp + ".om"
        openmetrics(text, series)
        subprocess.run([os.environ["PEER_PROMTOOL"], "tsdb", "create-blocks-from", "openmetrics", "--quiet", text, tmp], check=True)
        os.unlink(text)
    else:
        raise SystemExit("no generator of blocks: build/release/bench/gen_blocks, or PEER_PROMTOOL=path")
    with open(out + ".args", "w") as f:  # what the generator was told
        f.write(f"{series} {END_S - hours * 3600 + shift_s} {hours} {step}")
    os.rename(tmp, out)
    return out


def median(values):
    return statistics.median(values)


def table(rows, results, goals):
    """rows: (key, title, format); results: system -> key -> median. Prints values and the ratio of ours to the peer."""
    names = list(results)
    print(f"\n{'':44}" + "".join(f"{n:>14}" for n in names) + (f"{'ratio':>9}{'goal':>9}" if len(names) == 2 else ""))
    for key, title, fmt in rows:
        values = [results[n][key] for n in names]
        line = f"{title:44}" + "".join(f"{fmt.format(v):>14}" for v in values)
        if len(values) == 2 and values[1]:
            goal = goals.get(key)
            line += f"{values[0] / values[1]:>9.3f}" + (f"{'<= ' + format(goal, '.3f'):>9}" + ("" if values[0] / values[1] <= goal else "  MISSED") if goal else "")
        print(line)
    if len(names) == 1:
        print("no peer measured: give PEER_PROMETHEUS=path for ratios")
