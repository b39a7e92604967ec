# SPDX-License-Identifier: Apache-2.0
"""core.py — what a test of whole processes uses: a scratch folder, free ports, processes that are always ended, waiting with a limit.

A test is a function test_*(t) in tests/e2e/ or tests/interop/; t is a Case. It fails by raising, skips by t.skip("why")."""
import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(ROOT, "build", "peers", "usr", "bin")
# Below the range that the kernel takes for outgoing connections (32768 …): nobody gets one of ours between our look and the server's bind. Runs of
# several processes begin at different places.
PORTS = range(20000, 32000)
_port_next = [PORTS.start + (os.getpid() * 97) % len(PORTS)]
_ports_mu = threading.Lock()
_proc_numbers = itertools.count()       # a case may start processes from several threads


class Skip(Exception):
    pass


class Failed(AssertionError):
    pass


def check(cond, text):
    if not cond:
        raise Failed(text)


def check_eq(got, want, what=""):
    if got != want:
        raise Failed(f"{what}\n  got  {got!r}\n  want {want!r}")


def wait_for(what, fn, limit_s=20, pause_s=0.05):
    """Calls fn until it gives something true and returns that; its last exception or answer is told when the time is over."""
    end, last = time.monotonic() + limit_s, None
    while True:
        try:
            last = fn()
            if last:
                return last
        except (OSError, http.client.HTTPException, Failed, KeyError, IndexError, ValueError) as e:
            last = e
        if time.monotonic() > end:
            raise Failed(f"waited {limit_s} s for {what}; last: {str(last)[:2000]}")
        time.sleep(pause_s)


def free_port():
    with _ports_mu:
        for _ in PORTS:
            port = _port_next[0]
            _port_next[0] = port + 1 if port + 1 < PORTS.stop else PORTS.start
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
    raise Failed("no free port on 127.0.0.1")


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise Failed(f"not JSON ({e}): {self.text[:300]!r}") from None


def http_request(port, method, path, body=None, headers=None, timeout_s=20):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        c.request(method, path, body=body, headers=headers or {})
        r = c.getresponse()
        return Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
    finally:
        c.close()


class Proc:
    """A process with its log in a file. Ended with the test, whatever happens."""

    def __init__(self, case, argv, port=None, env=None, cwd=None):
        self.case, self.argv, self.port = case, argv, port
        self.log_path = os.path.join(case.dir, f"log-{next(_proc_numbers)}-{os.path.basename(argv[0])}.txt")
        self.log_file = open(self.log_path, "wb")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=subprocess.STDOUT, cwd=cwd or case.dir,
                                  env={**os.environ, **(env or {})}, start_new_session=True)
        case.procs.append(self)

    @property
    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def tail(self, n=25):
        return "\n".join(self.log.splitlines()[-n:])

    def alive(self):
        return self.p.poll() is None

    def wait_ready(self, limit_s=30):
        def ready():
            if not self.alive():
                raise SystemError
            return http_request(self.port, "GET", "/-/ready", timeout_s=5).status == 200
        try:
            wait_for(f"{self.argv[0]} to be ready on port {self.port}", ready, limit_s)
        except SystemError:
            raise Failed(f"{' '.join(self.argv)} ended with {self.p.returncode} before it was ready:\n{self.tail()}") from None
        except Failed as e:
            raise Failed(f"{e}\n{self.tail()}") from None
        return self

    def wait_exit(self, limit_s=20):
        try:
            return self.p.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(self.argv)} still runs after {limit_s} s:\n{self.tail()}") from None

    def signal(self, sig):
        self.p.send_signal(sig)

    def stop(self, limit_s=30):
        """SIGTERM; returns the exit code."""
        if self.alive():
            self.signal(signal.SIGTERM)
        return self.wait_exit(limit_s)

    def kill9(self):
        if self.alive():
            self.p.kill()
        return self.p.wait(timeout=20)

    def get(self, path, **kw):
        return http_request(self.port, "GET", path, **kw)

    def post(self, path, body=None, **kw):
        return http_request(self.port, "POST", path, body=body, **kw)

    def api(self, path, **params):
        """GET /api/v1/PATH; its data, or a failure with the error text."""
        q = urllib.parse.urlencode(params, doseq=True)
        r = self.get(f"/api/v1/{path}" + (f"?{q}" if q else ""))
        check(r.status == 200 and r.json.get("status") == "success", f"/api/v1/{path}?{q}: {r.status} {r.text[:500]}")
        return r.json["data"]

    def query(self, expr, **params):
        return self.api("query", query=expr, **params)["result"]

    def query_range(self, expr, start, end, step):
        return self.api("query_range", query=expr, start=start, end=end, step=step)["result"]

    def value(self, expr, **params):
        """The one value of an instant query, as a float; a failure if there are none or several."""
        r = self.query(expr, **params)
        check(len(r) == 1, f"{expr}: {len(r)} series: {json.dumps(r)[:500]}")
        return float(r[0]["value"][1])

    def rss_anon_kib(self):
        with open(f"/proc/{self.p.pid}/status") as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
        return 0

    def end(self):
        with contextlib.suppress(OSError):
            self.p.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.p.wait(timeout=10)
        with contextlib.suppress(OSError):
            os.killpg(self.p.pid, signal.SIGKILL)
        self.log_file.close()


class Case:
    def __init__(self, name):
        self.name, self.procs, self.cleanups = name, [], []
        self.dir = tempfile.mkdtemp(prefix="coeus-e2e-")

    def skip(self, why):
        raise Skip(why)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        return path

    def cleanup(self, fn):
        self.cleanups.append(fn)

    def run(self, *args, limit_s=30, env=None):
        """coeus with these arguments to its end: (exit code, output)."""
        p = Proc(self, [coeus_bin(), *args], env=env)
        return p.wait_exit(limit_s), p.log

    def prometheus(self, config, *flags, data="data", port=None, ready=True, binary=None):
        """`coeus prometheus` on a free port with that configuration text, ready to serve."""
        port = port or free_port()
        cfg = self.write(f"prometheus-{port}.yml", config)
        p = Proc(self, [*role(binary, "prometheus"), f"--config.file={cfg}", f"--storage.tsdb.path={self.path(data)}",
                        f"--web.listen-address=127.0.0.1:{port}", *flags], port=port)
        p.config_path = cfg
        return p.wait_ready() if ready else p

    def peer(self, name):
        """Debian's prometheus or prometheus-node-exporter, unpacked by ./run test; the test is skipped without it."""
        path = os.path.join(PEERS, name)
        if not os.access(path, os.X_OK):
            raise Skip(f"{name} of Debian is not in build/peers (./run test fetches it)")
        return path

    def up(self, *flags, data="data", port=None, ready=True):
        port = free_port() if port is None else port
        p = Proc(self, [coeus_bin(), "up", "--data", self.path(data), f"--web.listen-address=127.0.0.1:{port}", *flags], port=port)
        return p.wait_ready() if ready else p

    def done(self):
        for p in reversed(self.procs):
            p.end()
        for fn in reversed(self.cleanups):
            with contextlib.suppress(Exception):
                fn()
        shutil.rmtree(self.dir, ignore_errors=True)


def check_sanitizers(case):
    """No process of the case may have said that memory or behaviour was broken."""
    for p in case.procs:
        for sign in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "BUG:", "panic:"):
            if sign in p.log:
                raise Failed(f"{sign} in the log of {' '.join(p.argv)}:\n{p.log[p.log.index(sign):][:4000]}")


def is_sanitized():
    return "/asan/" in coeus_bin() or "/tsan/" in coeus_bin()


def coeus_bin():
    return os.path.abspath(os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")))


def role(binary, name):
    """Command prefix of a role. A binary that bears the role's name (the original) takes no role argument."""
    binary = binary or coeus_bin()
    return [binary] if os.path.basename(binary).startswith(name) else [binary, name]
