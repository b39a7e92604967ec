# SPDX-License-Identifier: Apache-2.0
"""`coeus up`: no configuration, one process."""
import json
import os
import re
import time

from harness.core import check, check_eq, wait_for

HOST_METRICS = ["node_cpu_seconds_total", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes", "node_load1", "node_filesystem_size_bytes",
                "node_filesystem_avail_bytes", "node_network_receive_bytes_total", "node_uname_info", "node_time_seconds",
                "node_boot_time_seconds", "node_context_switches_total", "node_vmstat_pgfault"]


def test_starts_scrapes_and_stops(t):
    p = t.up()
    check(f"127.0.0.1:{p.port}" in p.log, "it prints where to look")
    wait_for("itself and the host to be up", lambda: len(p.query("up == 1")) >= 2, limit_s=40)
    names = set(p.api("label/__name__/values"))
    missing = [m for m in HOST_METRICS if m not in names]
    check(not missing, f"host metrics that are missing: {missing}")
    check("prometheus_tsdb_head_series" in names, "our own metrics")
    page = p.get("/", headers={"Accept-Encoding": "gzip"})
    for _ in range(3):
        if page.status in (301, 302, 307):
            page = p.get(page.headers["location"])
    check_eq(page.status, 200, "/")
    check(page.headers["content-type"].startswith("text/html"), "/ is a page")
    check_eq(p.get("/-/healthy").status, 200)
    check_eq(p.stop(), 0, "exit code after SIGTERM")


def test_continues_after_a_restart(t):
    p = t.up()
    wait_for("the first samples", lambda: p.query("node_time_seconds"), limit_s=40)
    first = p.query("node_time_seconds[5m]")[0]["values"]
    check_eq(p.stop(), 0)
    q = t.up()
    now = q.query("node_time_seconds[10m]")
    check(now and now[0]["values"][:len(first)] == first, f"the samples of before: {first[:3]}, now {str(now)[:300]}")


def test_idles_below_40_mib(t):
    p = t.up()
    wait_for("itself and the host to be up", lambda: len(p.query("up == 1")) >= 2, limit_s=40)
    time.sleep(5)
    check(p.rss_anon_kib() < 40 * 1024, f"{p.rss_anon_kib()} KiB of anonymous memory")


def test_a_port_of_the_systems_choice(t):
    p = t.up("--scrape-interval=1s", port=0, ready=False)
    address = wait_for("the address", lambda: re.search(r"http://(127\.0\.0\.1:\d+)", p.log))[1]
    p.port = int(address.rsplit(":", 1)[1])
    wait_for("itself and the host to be up", lambda: len(p.query(f'up{{instance="{address}"}} == 1')) == 2)


def test_keeps_the_data_dir_to_itself(t):
    t.up()
    second = t.up(ready=False)
    code = second.wait_exit()
    check(code != 0, "a second process on the data directory ended with 0")
    check("lock" in second.log.lower(), second.log[-800:])


def test_says_what_it_is(t):
    code, out = t.run("--version")
    check(code == 0 and "coeus" in out, out)
    code, out = t.run("help")
    check(code == 0 and "up" in out and "prometheus" in out, out)
    for name in ("up", "prometheus"):
        code, out = t.run(name, "--help")
        check(code == 0 and "--web.listen-address" in out, f"{name} --help: {code} {out[:300]}")
    code, out = t.run("nothing-of-that-name")
    check(code != 0 and "nothing-of-that-name" in out, out)


SHORT_BLOCKS = ("--scrape-interval=200ms", "--storage.tsdb.min-block-duration=3s", "--storage.tsdb.max-block-duration=3s", "--storage.tsdb.block-reload-interval=500ms",
                "--retention.time=6s", "--bucket.sync-interval=300ms", "--log.level=info")


def samples(p, **params):
    """The timestamps of one series, all of the past."""
    r = p.query("node_time_seconds[1h]", **params)
    check(len(r) == 1, f"{len(r)} series: {str(r)[:300]}")
    return [t for t, _ in r[0]["values"]]


def test_the_bucket_has_the_past_that_is_not_here_any_more(t):
    p = t.up(*SHORT_BLOCKS)
    wait_for("the first sample", lambda: p.query("node_time_seconds"), limit_s=60)
    first = samples(p)[0]
    wait_for("local data that does not reach back to it", lambda: first + 6 < p.value("prometheus_tsdb_lowest_timestamp_seconds") < first + 1e6, limit_s=120)
    before = samples(p)
    check_eq(before[0], first, "the oldest sample")
    check(len(set(before)) == len(before), "a sample is there twice")
    blocks = p.api("blocks")["blocks"]
    check(len(blocks) >= 2 and all(b["thanos"]["labels"] == {"coeus": "up"} for b in blocks), str(blocks)[:1000])
    ends = sorted((b["minTime"], b["maxTime"]) for b in blocks)
    check(all(b[0] >= a[1] and b[1] % 3000 == 0 for a, b in zip(ends, ends[1:])), f"blocks overlap, or do not end at ranges: {ends}")
    check_eq([x for x in p.query("count by (__name__) ({coeus='up'})")], [], "external labels in the series")
    check("node_time_seconds" in p.api("label/__name__/values", start=first - 1, end=first + 1), "names of the past")
    code, out = t.run("doctor", "--json", f"--prometheus=127.0.0.1:{p.port}")
    late = ("the next is overdue", "no block covers")    # may be true of a process that gets no CPU
    wrong = [x for x in json.loads(out)["checks"] if x["level"] != "ok" and x["check"] != "targets" and not any(w in x["text"] for w in late)]
    check_eq(wrong, [], f"doctor, which ended with {code}")

    p.kill9()
    p = t.up(*SHORT_BLOCKS, port=p.port)
    after = samples(p)
    check_eq(after[:len(before)], before, "the samples of before kill -9")
    check(len(set(after)) == len(after), "a sample is there twice after kill -9")

    damaged = min(p.api("blocks")["blocks"], key=lambda b: b["minTime"])["ulid"]
    os.truncate(t.path("data", "bucket", damaged, "chunks", "000001"), 10)
    r = p.get("/api/v1/query?query=node_time_seconds[1h]").json
    check(r["status"] == "success" and any("are missing" in w and damaged in w for w in r.get("warnings", [])), str(r)[:500])
    r = p.get("/api/v1/query?query=node_time_seconds[1h]&partial_response=false")
    check(r.status != 200 and damaged in r.text, f"{r.status} {r.text[:300]}")
    check_eq(p.stop(), 0)


def test_the_bucket_is_thinned_out_where_its_retention_says(t):
    p = t.up(*SHORT_BLOCKS, "--bucket.retention.time=8s", "--bucket.view-interval=500ms")
    wait_for("the first block", lambda: p.api("blocks")["blocks"], limit_s=60)
    first = min(b["ulid"] for b in p.api("blocks")["blocks"])
    wait_for("it to go", lambda: first not in [b["ulid"] for b in p.api("blocks")["blocks"]], limit_s=120)
    check(not os.path.exists(t.path("data", "bucket", first)) and p.api("blocks")["blocks"], "what is left of it")
    got = samples(p)
    check(len(set(got)) == len(got), "a sample is there twice")
    check_eq(p.stop(), 0)


def test_a_bucket_of_others_needs_a_label(t):
    conf = f"--objstore.config={{type: FILESYSTEM, config: {{directory: {t.path('others')}}}}}"
    code, out = t.run("up", conf)
    check(code == 1 and "--label=NAME=VALUE" in out, f"{code} {out}")
    code, out = t.run("up", conf, "--label=x")
    check(code == 1 and "--label=x: NAME=VALUE is wanted" in out, f"{code} {out}")
    p = t.up("--no-bucket")
    check(not os.path.exists(t.path("data", "bucket-cache")), "traces of a bucket")
    check_eq(p.get("/api/v1/blocks").status, 404)
