# SPDX-License-Identifier: Apache-2.0
"""Debian's prometheus (2.42) and ours over the same data: it opens our directory, we open its, both give the same answers.

Ranges of 2.42 are closed on both sides, ours are open on the left as 3.x has it: queries are asked at times that hit no sample."""
import glob
import json
import os
import shutil
import time

from harness.core import check, check_eq, wait_for
from harness.target import Target, config

QUERIES = ["m", "sum by (g) (m)", "rate(c_total[10s])", "sum(rate(c_total[10s])) by (i)", "count(m)", "max_over_time(m[5s])", "m{i=~\"1.*\"}",
           "topk(3, m)", "histogram_quantile(0.9, sum by (le) (rate(h_bucket[10s])))", "m / on(i) group_left c_total", "absent(nothing)",
           "quantile_over_time(0.5, m[7s])", "delta(m[8s])", "avg_over_time(sum(m)[6s:2s])", "stddev(m)", "m offset 3s", "m and on(i) c_total > 2",
           "label_replace(m, \"x\", \"$1\", \"i\", \"(.).*\")", "deriv(m[9s])", "holt_winters(m[9s], 0.5, 0.5)", "count_values(\"v\", m)", "changes(m[9s])"]
OURS = {"holt_winters(m[9s], 0.5, 0.5)": None}        # 3.x has it under another name, behind a feature flag


def workload(t):
    state = {"n": 0}

    def body(_headers):
        state["n"] += 1
        n = state["n"]
        out = ["# TYPE m gauge\n"]
        for i in range(30):
            out.append(f'm{{i="{i}",g="{i % 3}"}} {(n * 7 + i * 13) % 101 / 4}\n')
        out.append("# TYPE c_total counter\n")
        for i in range(30):             # far from zero, where the versions extrapolate differently; every seventh with resets
            out.append(f'c_total{{i="{i}"}} {1_000_000 + (n % 11 if i % 7 == 0 else n * (i + 1))}\n')
        out.append("# TYPE h histogram\n")
        for le in ("0.1", "1", "10", "+Inf"):
            out.append(f'h_bucket{{le="{le}"}} {10_000 + n * {"0.1": 1, "1": 3, "10": 4, "+Inf": 5}[le]}\n')
        out.append(f"h_sum {n * 2.5}\nh_count {10_000 + n * 5}\n")
        out.append('odd{v="nan"} NaN\nodd{v="inf"} +Inf\nodd{v="utf-é"} -0\nodd{v="tiny"} 5e-324\nodd{v="big"} 1.7976931348623157e308\n')
        if n % 5:
            out.append("sometimes 1\n")
        return "".join(out)
    return Target(t, body)


def answers(p, start, end):
    out = {}
    for q in QUERIES + ["odd", "sometimes", "count_over_time(sometimes[5s])", "up", "scrape_samples_scraped"]:
        if q in OURS:
            continue
        r = p.query_range(q, f"{start:.3f}", f"{end:.3f}", "1.7")
        out[q] = {json.dumps(s["metric"], sort_keys=True): s["values"] for s in r}
    out["series"] = sorted(json.dumps(s, sort_keys=True) for s in p.api("series", **{"match[]": '{__name__=~".+"}', "start": f"{start - 5:.3f}", "end": f"{end:.3f}"}))
    out["labels"] = p.api("labels", start=f"{start - 5:.3f}", end=f"{end:.3f}")
    out["values"] = p.api("label/i/values", start=f"{start - 5:.3f}", end=f"{end:.3f}")
    return out


def close(a, b):
    x, y = float(a), float(b)
    return a == b or (x != x and y != y) or abs(x - y) <= 1e-12 * max(abs(x), abs(y))


def compare(got, want, who):
    for q, w in want.items():
        g = got[q]
        if isinstance(w, list):
            check_eq(g, w, f"{who}: {q}")
            continue
        check_eq(sorted(g), sorted(w), f"{who}: series of {q}")
        for key, values in w.items():
            check_eq([v[0] for v in g[key]], [v[0] for v in values], f"{who}: steps of {q} {key}")
            for (ts, a), (_, b) in zip(g[key], values):
                check(close(a, b), f"{who}: {q} {key} at {ts}: {a}, want {b}")


def writes_then_reads(t, writer, reader, flags, seconds, crash):
    """Samples by one system, read by both from the same files."""
    target = workload(t)
    p = t.prometheus(config([target], interval="500ms"), *flags, binary=writer)
    wait_for("samples", lambda: p.query("m"))
    time.sleep(seconds)
    if crash:
        p.kill9()
    else:
        check_eq(p.stop(), 0, "exit code")
    target.close()
    end = time.time() - 0.7713
    start = end - seconds + 1
    shutil.copytree(t.path("data"), t.path("copy"))
    blocks = glob.glob(t.path("data/*/meta.json"))
    again = t.prometheus(config([]), *flags, binary=writer)
    want = answers(again, start, end)
    check(len(want["m"]) == 30 and len(want["series"]) > 70, f"the writer itself does not give its data: {len(want['m'])} {len(want['series'])}")
    check(any(want["rate(c_total[10s])"].values()), "no rates")
    other = t.prometheus(config([]), *flags, data="copy", binary=reader)
    compare(answers(other, start, end), want, f"reader {reader or 'ours'}")
    for p in (again, other):
        bad = [line for line in p.log.splitlines() if "level=error" in line.lower() or "corrupt" in line.lower()]
        check(not bad, f"the log complains: {bad[:3]}")
    return len(blocks), other


SNAPSHOT = ("--enable-feature=memory-snapshot-on-shutdown",)       # ours writes one anyway


def test_debian_starts_from_our_snapshot(t):
    _, debian = writes_then_reads(t, None, t.peer("prometheus"), SNAPSHOT, 8, crash=False)
    check("chunk snapshot loaded" in debian.log, f"no snapshot was loaded:\n{debian.tail(40)}")


def test_we_start_from_debians_snapshot(t):
    _, ours = writes_then_reads(t, t.peer("prometheus"), None, SNAPSHOT, 8, crash=False)
    check("chunk snapshot loaded" in ours.log, f"no snapshot was loaded:\n{ours.tail(40)}")


CUT = ("--storage.tsdb.min-block-duration=3s", "--storage.tsdb.max-block-duration=9s")


def test_debian_opens_our_log_and_head(t):
    writes_then_reads(t, None, t.peer("prometheus"), (), 12, crash=False)


def test_debian_opens_what_a_crash_left(t):
    writes_then_reads(t, None, t.peer("prometheus"), (), 10, crash=True)


def test_debian_opens_our_blocks(t):
    n, _ = writes_then_reads(t, None, t.peer("prometheus"), CUT, 16, crash=False)
    check(n > 0, "no block was cut")


def test_we_open_debians_log_and_head(t):
    writes_then_reads(t, t.peer("prometheus"), None, (), 12, crash=False)


def test_we_open_what_a_crash_of_debians_left(t):
    writes_then_reads(t, t.peer("prometheus"), None, (), 10, crash=True)


def test_we_open_debians_blocks(t):
    n, ours = writes_then_reads(t, t.peer("prometheus"), None, CUT, 16, crash=False)
    check(n > 0, "no block was cut")
    check_eq(ours.stop(), 0)


def test_we_go_on_in_debians_directory_and_it_goes_on_in_ours(t):
    """The same directory, in turns."""
    debian, target = t.peer("prometheus"), workload(t)
    cfg, seen = config([target], interval="300ms"), []
    for binary in (debian, None, debian, None):
        p = t.prometheus(cfg, binary=binary)
        since = time.time()
        wait_for("samples", lambda p=p, since=since: p.query(f"timestamp(m) > {since:f}"))
        time.sleep(1.5)
        values = [s for s in p.query('m{i="7"}[10m]')][0]["values"]
        have = {tuple(v) for v in values}
        check(all(tuple(v) in have for v in seen), f"samples were lost on the way to {binary or 'ours'}")
        seen = values
        check_eq(p.stop(), 0)
    check(len(seen) > 15, "hardly any sample")


def test_debian_reads_us_over_remote_read(t):
    target = workload(t)
    ours = t.prometheus(config([target], interval="300ms"))
    wait_for("samples", lambda: ours.query("m"))
    time.sleep(4)
    end = time.time() - 0.7713
    theirs = t.prometheus(f"global: {{}}\nremote_read:\n- {{url: 'http://127.0.0.1:{ours.port}/api/v1/read', read_recent: true}}\n",
                          data="empty", binary=t.peer("prometheus"))
    for q in ("m", "sum by (g) (m)", "rate(c_total[3s])", 'odd{v!="nan"}'):
        key = lambda r: {json.dumps(s["metric"], sort_keys=True): s["values"] for s in r}  # noqa: E731
        got, want = key(theirs.query_range(q, end - 3, end, "0.7")), key(ours.query_range(q, end - 3, end, "0.7"))
        check(want, f"{q}: ours gives nothing")
        compare({q: got}, {q: want}, "remote read")


def test_debian_federates_from_us(t):
    target = workload(t)
    ours = t.prometheus(config([target], interval="300ms"))
    wait_for("samples", lambda: ours.query("m"))
    theirs = t.prometheus(config([f"127.0.0.1:{ours.port}"], metrics_path="/federate", honor_labels="true", params="{'match[]': ['{job=\"t\"}']}"),
                          data="other", binary=t.peer("prometheus"))
    wait_for("federated series", lambda: theirs.value("count(m)") == 30)
    check(os.path.isdir(t.path("other")), "its own directory")
