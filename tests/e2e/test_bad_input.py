# SPDX-License-Identifier: Apache-2.0
"""Wrong input of every kind: a clear error that says what and where, nothing stored is lost, and the process lives on where it can."""
import glob
import os
import re
import shutil
import socket
import subprocess
import time

from harness.core import Proc, check, check_eq, free_port, is_sanitized, role, wait_for
from harness.target import Target, config

SCRAPE = "scrape_configs:\n- job_name: a\n"


def refused(t, text, *words):
    """prometheus with that configuration must end with 2 and name each of the words."""
    cfg = t.write("bad.yml", text)
    p = Proc(t, [*role(None, "prometheus"), f"--config.file={cfg}", f"--storage.tsdb.path={t.path('data-bad')}", f"--web.listen-address=127.0.0.1:{free_port()}"])
    check_eq(p.wait_exit(), 2, f"exit code for {text!r}: {p.tail(5)}")
    log = p.log.replace('\\"', '"').replace("\\\\", "\\")
    for w in words:
        check(w in log, f"{text!r}: no {w!r} in\n{p.tail(5)}")


def test_refuses_wrong_configuration(t):
    refused(t, "global:\n  scrape_intervall: 1s\n", "bad.yml", "line 2", "scrape_intervall")
    refused(t, "globl: {}\n", "bad.yml", "globl")
    refused(t, "global:\n  scrape_interval: 1s\n  scrape_interval: 2s\n", "bad.yml", "line 3", "scrape_interval", "already")
    refused(t, "global:\n  scrape_interval: 1x\n", "bad.yml", "1x")
    refused(t, "global:\n  scrape_interval: 1s\n  scrape_timeout: 2s\n", "timeout")
    refused(t, SCRAPE + "  relabel_configs:\n  - {source_labels: [x], regex: '(', target_label: y}\n", "bad.yml", "missing closing )")
    refused(t, SCRAPE + "  relabel_configs:\n  - {action: nothing}\n", "nothing")
    refused(t, SCRAPE + "- job_name: a\n", "a", "multiple")
    refused(t, "scrape_configs:\n- scheme: http\n", "job_name")
    refused(t, "a: [\n", "bad.yml", "yaml")
    refused(t, "global:\n\tx: 1\n", "bad.yml", "line 2")
    refused(t, SCRAPE + "  basic_auth: {username: u, password: p, password_file: f}\n", "password")
    refused(t, SCRAPE + "  static_configs: [{targets: ['http://x/y']}]\n", "http://x/y")
    refused(t, SCRAPE + "  dns_sd_configs: [{names: [x], type: NOPE}]\n", "NOPE")


def test_names_missing_files(t):
    port = free_port()
    p = Proc(t, [*role(None, "prometheus"), "--config.file=/nonexistent/p.yml", f"--web.listen-address=127.0.0.1:{port}"])
    check_eq(p.wait_exit(), 2)
    check("/nonexistent/p.yml" in p.log and "no such file" in p.log, p.tail())
    target = Target(t, "m 1\n")
    q = t.prometheus(config([target], basic_auth="{username: u, password_file: /nonexistent/pw}"))
    wait_for("the scrape's error", lambda: "/nonexistent/pw" in q.api("targets")["activeTargets"][0]["lastError"])
    check(q.alive(), "a missing password file fails the scrape, not the process")


def test_port_in_use(t):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        p = t.prometheus(config([]), port=port, ready=False)
        check_eq(p.wait_exit(), 1, p.tail(5))
        check(str(port) in p.log and "address already in use" in p.log, p.tail(5))


def test_second_process_on_the_data_directory(t):
    first = t.prometheus(config([]))
    second = t.prometheus(config([]), ready=False)
    check_eq(second.wait_exit(), 1, second.tail(5))
    check("lock" in second.log, second.tail(5))
    check_eq(first.get("/-/ready").status, 200)
    check_eq(first.stop(), 0)


def test_data_directory_that_cannot_be_written(t):
    t.write("file", "not a directory")
    p = t.prometheus(config([]), data="file", ready=False)
    check(p.wait_exit() != 0, "started on a file")
    check(t.path("file") in p.log, p.tail(5))


BODIES = {
    "garbage": bytes(range(1, 256)) * 40,
    "html": b"<html><body>hello</body></html>\n",
    "half a line": b'a 1\nb{x="1',
    "no value": b"a 1\nb\n",
    "bad number": b"a 1\nb 1.2.3\n",
    "bad escape": b'a{x="\\',
    "invalid UTF-8": b'a{x="\xff\xfe"} 1\n',
    "zero bytes": b"a\x00b 1\n",
    "ten MB in one line": b'a{x="' + b"y" * (10 << 20),
    "huge timestamp": b"a 1 99999999999999999999999\n",
    "empty label set twice": b'a{x="1",x="2"} 1\n',
    "not gzip": b"\x1f\x8b\x08\x00garbage",
}


def test_bodies_that_are_no_metrics(t):
    good = Target(t, "good 1\n")
    bad = {name: Target(t, body) for name, body in BODIES.items()}
    p = t.prometheus(config([good, *bad.values()], interval="1s"))
    wait_for("the good target", lambda: p.value(f'up{{instance="{good.address}"}}') == 1)
    for name, target in bad.items():
        wait_for(f"{name} to be down", lambda target=target: p.value(f'up{{instance="{target.address}"}}') == 0)
    states = {x["scrapeUrl"]: x for x in p.api("targets")["activeTargets"]}
    for name, target in bad.items():
        check(states[f"http://{target.address}/metrics"]["lastError"], f"{name}: no lastError")
    check_eq(p.query("a"), [], "nothing of a broken body is stored")
    check(p.value("good") == 1, "the good target goes on")


def test_bodies_without_end(t):
    def endless(out):
        out.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n")
        line = b"".join(b"a{i=\"%d\"} 1\n" % i for i in range(2000))
        for _ in range(100_000):
            out.write(line)

    def silent(out):
        out.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: 1000\r\n\r\na 1\n")
        out.flush()
        time.sleep(6)

    def garbage(out):
        out.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")

    def headers(out):
        out.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(200_000):
            out.write(b"X-%d: y\r\n" % i)
    good, targets = Target(t, "good 1\n"), []
    for raw in (endless, silent, garbage, headers):
        targets.append(Target(t, ""))
        targets[-1].raw = raw
    p = t.prometheus(config([good, *targets], interval="1s", body_size_limit="20MB"))
    for target in targets:
        wait_for(f"{target.address} to be down", lambda target=target: p.value(f'up{{instance="{target.address}"}}') == 0)
    check(p.value(f'up{{instance="{good.address}"}}') == 1, "the good target goes on")
    time.sleep(2)
    check(is_sanitized() or p.rss_anon_kib() < 400 * 1024, f"{p.rss_anon_kib()} KiB after endless bodies")
    check_eq(p.stop(), 0)


def test_requests_that_are_no_http(t):
    p = t.prometheus(config([]))
    for data in (b"\x00" * 4096, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * (4 << 20) + b" HTTP/1.1\r\n\r\n", b"POST /api/v1/query HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000, b"POST /api/v1/query HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999):
        with socket.create_connection(("127.0.0.1", p.port), timeout=5) as s:
            try:
                s.sendall(data)
                s.settimeout(3)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    check(p.alive() and p.get("/-/ready").status == 200, p.tail())


def filled(t, flags=(), seconds=0.0, series=300):
    """A data directory with samples of 300 series; (configuration, the values of the sum then, the target)."""
    target = Target(t, "".join(f'm{{i="{i}"}} {i}\n' for i in range(series)))
    cfg = config([target], interval="100ms")
    p = t.prometheus(cfg, *flags)
    wait_for("the samples", lambda: p.value("count(m)") == series)
    time.sleep(1 + seconds)
    p.kill9()
    return cfg, target


def flip(path, at, n=1):
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ 0x5A for b in old))


def test_torn_wal(t):
    cfg, _ = filled(t)
    p = t.prometheus(cfg)
    before = p.value("count(count_over_time(m[10m]))")
    p.kill9()
    segment = sorted(s for s in glob.glob(t.path("data/wal/0*")) if os.path.getsize(s) > 1000)[-1]
    os.truncate(segment, os.path.getsize(segment) - 700)
    q = t.prometheus(cfg)
    check_eq(q.value("count(count_over_time(m[10m]))"), before, "series after a torn end of the log")
    q.kill9()
    with open(segment, "ab") as f:
        f.write(b"\x01\x02garbage" * 300)
    r = t.prometheus(cfg)
    check_eq(r.value("count(count_over_time(m[10m]))"), before, "series after garbage at the end of a segment")


def test_bit_flips_in_the_wal(t):
    cfg, _ = filled(t)
    shutil.copytree(t.path("data"), t.path("clean"))
    segment = sorted(s for s in glob.glob(t.path("data/wal/0*")) if os.path.getsize(s) > 1000)[0]
    size = os.path.getsize(segment)
    for at in (5, size // 3, size // 2, size - 40):
        shutil.rmtree(t.path("data"))
        shutil.copytree(t.path("clean"), t.path("data"))
        flip(segment, at)
        p = t.prometheus(cfg, ready=False)
        p.wait_ready()
        check(re.search("corrupt|checksum|invalid|repair", p.log, re.I), f"a flip at {at} of {size} is not told:\n{p.tail()}")
        check(os.path.basename(segment) in p.log or "segment" in p.log, f"the log does not say where:\n{p.tail()}")
        wait_for("new samples", lambda p=p: p.value("count(m)") == 300)
        p.kill9()


BLOCK_FLAGS = ("--storage.tsdb.min-block-duration=2s", "--storage.tsdb.max-block-duration=8s")


def with_blocks(t):
    cfg, target = filled(t, BLOCK_FLAGS, seconds=8)
    blocks = sorted(os.path.dirname(x) for x in glob.glob(t.path("data/*/meta.json")))
    check(blocks, "no block was cut: " + str(os.listdir(t.path("data"))))
    return cfg, blocks


def lives_or_says(t, cfg, name, block, flags=BLOCK_FLAGS):
    """Either it serves, telling of the damage now or when the block is read, or it ends at start with the reason. The block stays."""
    p = t.prometheus(cfg, *flags, ready=False)
    try:
        p.wait_ready()
    except AssertionError:
        check(p.p.poll() not in (None, 0), f"{name}: neither ready nor ended\n{p.tail()}")
    if p.alive():
        r = p.get("/api/v1/query?query=sum(count_over_time(m[10m]))")
        told = r.status != 200 or os.path.basename(block) in p.log or b"infos" in r.body or b"warnings" in r.body
        check(told, f"{name}: {r.status} {r.text[:200]} and nothing in the log about {block}\n{p.tail()}")
        check(p.alive(), f"{name}: a query ended the process")
    else:
        check(os.path.basename(block) in p.log, f"{name}: the log does not name the block\n{p.tail()}")
    check(not re.search("AddressSanitizer|runtime error:|BUG:|SIGSEGV|panic", p.log), p.tail(40))
    check(os.path.isdir(block), f"{name}: the block is gone")
    p.kill9()


def test_damaged_block_files(t):
    cfg, blocks = with_blocks(t)
    block = blocks[0]
    shutil.copytree(t.path("data"), t.path("clean"))
    index, chunks, meta = (os.path.join(block, f) for f in ("index", "chunks/000001", "meta.json"))
    size = os.path.getsize(index)

    def damage(name, fn):
        shutil.rmtree(t.path("data"))
        shutil.copytree(t.path("clean"), t.path("data"))
        fn()
        lives_or_says(t, cfg, name, block)
    damage("index cut short", lambda: os.truncate(index, size // 2))
    damage("index empty", lambda: os.truncate(index, 0))
    damage("index header flipped", lambda: flip(index, 1))
    damage("index table of contents flipped", lambda: flip(index, size - 20))
    damage("chunks cut short", lambda: os.truncate(chunks, os.path.getsize(chunks) // 3))
    damage("chunks header flipped", lambda: flip(chunks, 0))
    damage("chunk data flipped", lambda: flip(chunks, 12, os.path.getsize(chunks) - 12))
    damage("meta.json is no JSON", lambda: open(meta, "w").close())
    damage("meta.json flipped", lambda: flip(meta, 2))


def test_damaged_head_chunks(t):
    cfg, _ = filled(t, ("--storage.tsdb.samples-per-chunk=10",), seconds=2)
    files = [f for f in sorted(glob.glob(t.path("data/chunks_head/0*"))) if os.path.getsize(f) > 100]
    if not files and os.path.basename(role(None, "prometheus")[0]).startswith("prometheus"):
        t.skip("the original maps full chunks once a minute only")
    check(files, "no head chunk file")
    flip(files[-1], 30, 20)
    p = t.prometheus(cfg, "--storage.tsdb.samples-per-chunk=10")
    wait_for("all series", lambda: p.value("count(m)") == 300)
    check(re.search("chunk", p.log), p.tail())
    # the damaged file may be gone: its samples come from the log, full chunks go to a new one
    files = wait_for("a head chunk file", lambda: [f for f in sorted(glob.glob(t.path("data/chunks_head/0*"))) if os.path.getsize(f) > 100])
    p.kill9()
    with open(files[-1], "r+b") as f:
        f.truncate(50)
    q = t.prometheus(cfg)
    wait_for("all series", lambda: q.value("count(m)") == 300)


def test_strange_things_in_the_data_directory(t):
    cfg, _ = filled(t)
    t.write("data/lost+found/x", "")
    t.write("data/01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp-for-creation/index", "half")
    t.write("data/notes.txt", "mine")
    t.write("data/wal/readme", "x")
    p = t.prometheus(cfg)
    wait_for("all series", lambda: p.value("count(m)") == 300)
    check(os.path.exists(t.path("data/notes.txt")), "a file of the user was removed")
    check(not os.path.exists(t.path("data/01ARZ3NDEKTSV4RRFFQ69G5FAV.tmp-for-creation")), "a half-written block is left")


def test_full_disk(t):
    if os.geteuid() != 0:
        t.skip("mounting a small tmpfs wants root")
    data = t.path("data")
    os.mkdir(data)
    m = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", data], capture_output=True, text=True)
    if m.returncode:
        t.skip(f"no tmpfs can be mounted here: {m.stderr.strip()}")
    t.cleanup(lambda: subprocess.run(["umount", "-l", data], check=False))
    target = Target(t, "".join(f'm{{i="{i}"}} {i}\n' for i in range(200)))
    cfg = config([target], interval="200ms")
    p = t.prometheus(cfg)
    wait_for("samples", lambda: p.value("count(m)") == 200)
    known = {s["metric"]["i"]: s["values"] for s in p.query("m[5m]")}
    ballast = os.path.join(data, "ballast")
    with open(ballast, "wb") as f:
        try:
            while True:
                f.write(b"\0" * 65536)
                f.flush()
        except OSError:
            pass
    wait_for("the full disk in the log", lambda: "no space left" in p.log.lower(), limit_s=60)
    check(p.alive(), "the process ended")
    now = {s["metric"]["i"]: s["values"] for s in p.query("m[5m]")}
    check(all(now[i][:len(v)] == v for i, v in known.items()), "samples of before are gone")
    os.unlink(ballast)
    since = time.time()
    wait_for("new samples once there is space", lambda: p.query(f"timestamp(m) > {since + 1:f}"), limit_s=60)
    p.kill9()
    q = t.prometheus(cfg)
    after = {s["metric"]["i"]: {tuple(x) for x in s["values"]} for s in q.query("m[10m]")}
    check(all(tuple(x) in after[i] for i, v in known.items() for x in v), "samples were lost over the full disk and a crash")
    check_eq(q.stop(), 0)


def test_web_configuration_files(t):
    """Operators always pass one, mostly empty: that is taken. What is not supported is refused by name."""
    p = t.prometheus(config([]), f"--web.config.file={t.write('web-empty.yml', '')}")
    check_eq(p.stop(), 0)
    if "coeus" not in role(None, "prometheus")[0]:
        t.skip("the original knows what we refuse")
    for name, text, words in (("web-tls.yml", "tls_server_config: {}\n", ("web-tls.yml", "not supported")), ("web-broken.yml", "a: [\n", ("web-broken.yml", "yaml"))):
        q = t.prometheus(config([]), f"--web.config.file={t.write(name, text)}", ready=False)
        check_eq(q.wait_exit(), 1, q.tail(5))
        check(all(w in q.log for w in words), q.tail(5))
    q = t.prometheus(config([]), "--web.config.file=/nonexistent/web.yml", ready=False)
    check(q.wait_exit() != 0 and "/nonexistent/web.yml" in q.log, q.tail(5))


def test_requests_with_wrong_parameters(t):
    p = t.prometheus(config([]))
    api = "/api/v1/"
    for path, status, text in (
            ("query?query=up&time=abc", 400, "cannot parse"), ("query?query=up&timeout=0", 400, "context deadline exceeded"), ("query?query=sum(", 400, "parse error"),
            ("query?query=up&limit=99999999999999999999", 400, "value out of range"), ("query?query=%zz", 400, "no expression found"),
            ("query_range?query=up&start=0&end=30&step=0.0001", 400, "maximum resolution"), ("query_range?query=up&start=0&end=30&step=0", 400, "zero or negative"),
            ("query_range?query=up&start=2&end=1&step=1", 400, "end timestamp"), ("series", 400, "no match[]"), ("series?match[]={}", 400, "non-empty matcher"),
            ("labels?limit=%zz", 400, "invalid URL escape"), ("label/a/values?limit=-2", 400, "non-negative"), ("rules?group_next_token=x", 400, "group_next_token"),
            ("targets/metadata?limit=x", 400, "limit"), ("status/tsdb?limit=0", 400, "positive"), ("nope", 404, "not found")):
        r = p.get(api + path)
        check(r.status == status and text in r.text, f"{path}: {r.status} {r.text[:300]}")
    r = p.get("//api/v1/./query?query=up")
    check_eq((r.status, r.headers.get("location")), (307, "/api/v1/query?query=up"), "a slash too many")
    r = p.get("/%2e%2e/x")
    check_eq(r.status, 404, "escaped dots are a name like any other")
    check_eq(p.get("/federate?match[]={}").status, 200, "{} selects nothing")
    check(p.alive(), p.tail())
