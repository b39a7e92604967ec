# SPDX-License-Identifier: Apache-2.0
"""common.py — starting a system under load and reading its own accounting."""
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


def systems():
    """(name, command prefix) of ours and of each peer given: PEER_PROMETHEUS=path."""
    out = [("coeus", [os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")), "prometheus"])]
    peer = os.environ.get("PEER_PROMETHEUS")
    if peer:
        out.append(("prometheus", [peer]))
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
                if get(self.port, "/-/ready")[0] == 200:
                    self.ready_s = time.monotonic() - begin
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.01)

    def cpu_s(self):
        with open(f"/proc/{self.p.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

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


def disk_bytes(path):
    return int(subprocess.check_output(["du", "-sk", path]).split()[0]) * 1024


class Scratch:
    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="coeus-bench-", dir=os.environ.get("BENCH_DIR"))
        return self.dir

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)


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
