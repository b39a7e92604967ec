# SPDX-License-Identifier: Apache-2.0
"""`coeus up`: no configuration, one process."""
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
