# SPDX-License-Identifier: Apache-2.0
"""Queries: 6 h at 15 s of 10,000 series in prebuilt blocks that each system opens; ten range queries, step 60 s; medians."""
import json
import math
import os
import shutil
import statistics
import subprocess
import time
import urllib.parse

from common import ROOT, Scratch, System, get, systems

END_S = 1_767_225_600                           # 2026-01-01 00:00, a block boundary
HOURS = 6
QUERIES = [
    ("sum by", "sum by (namespace) (bench_memory_bytes)"),
    ("rate of one metric", "rate(bench_requests_total[5m])"),
    ("rate over a regex of names", 'sum by (code) (rate({__name__=~"bench_(requests|errors|bytes)_total"}[5m]))'),
    ("quantile of rates", "histogram_quantile(0.99, sum by (le, namespace) (rate(bench_latency_seconds_bucket[5m])))"),
    ("max of avg_over_time", "max by (namespace) (avg_over_time(bench_memory_bytes[10m]))"),
    ("ratio with on()", "sum by (pod) (rate(bench_errors_total[5m])) / on(pod) sum by (pod) (rate(bench_requests_total[5m]))"),
    ("topk", "topk(5, sum by (pod) (rate(bench_requests_total[5m])))"),
    ("count over a regex selector", 'count(bench_requests_total{pod=~"app-.*[02468]",code!="500"})'),
    ("subquery of a rate", "max_over_time(sum by (namespace) (rate(bench_requests_total[5m]))[30m:1m])"),
    ("raw selection", "bench_memory_bytes"),
]


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
            for k in range(HOURS * 240):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                if step:
                    value += step * (state >> 16) % (2 * step + 1)
                else:
                    value = 200_000_000 + pod * 1000 + (state >> 8) % 1_000_000
                out.append(f"{name} {value} {END_S - HOURS * 3600 + 15 * k}\n")
            f.writelines(out)
        f.write("# EOF\n")


def blocks(series):
    """The folder of the prebuilt blocks, made once: by our generator if it is built, else by $PEER_PROMTOOL."""
    out = os.path.join(ROOT, "build", "bench", f"blocks-{series}")
    if os.path.isdir(out):
        return out
    os.makedirs(os.path.dirname(out), exist_ok=True)
    tmp = out + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(tmp)
    generator = os.path.join(ROOT, "build", "release", "bench", "gen_blocks")
    if os.access(generator, os.X_OK):
        subprocess.run([generator, tmp, str(series), str(END_S - HOURS * 3600), str(HOURS)], check=True)
    elif os.environ.get("PEER_PROMTOOL"):
        text = tmp + ".om"
        openmetrics(text, series)
        subprocess.run([os.environ["PEER_PROMTOOL"], "tsdb", "create-blocks-from", "openmetrics", "--quiet", text, tmp], check=True)
        os.unlink(text)
    else:
        raise SystemExit("no generator of blocks: build/release/bench/gen_blocks, or PEER_PROMTOOL=path")
    os.rename(tmp, out)
    return out


def main():
    series, runs = int(os.environ.get("SERIES", 10_000)), int(os.environ.get("RUNS", 3))
    source = blocks(series)
    print(f"queries: {HOURS} h at 15 s of {series} series, step 60 s, medians of {runs} after one cold pass")
    times, answers, memory = {}, {}, {}
    with Scratch() as scratch:
        for name, prefix in systems():
            data = os.path.join(scratch, name)
            shutil.copytree(source, data)
            s = System(prefix, data, "global: {}\n", "--storage.tsdb.retention.time=100y")
            try:
                cpu0 = s.cpu_s()
                for title, q in QUERIES:
                    path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": q, "start": END_S - HOURS * 3600 + 600, "end": END_S - 60, "step": 60})
                    took = []
                    for i in range(runs + 1):
                        begin = time.perf_counter()
                        status, body = get(s.port, path)
                        if i:
                            took.append(time.perf_counter() - begin)
                        if status != 200:
                            raise SystemExit(f"{name}: {q}: {status} {body[:300]}")
                    times[name, title] = statistics.median(took)
                    answers[name, title] = body
                memory[name] = (s.peak_bytes(), s.cpu_s() - cpu0)
            finally:
                s.stop()
    names = [n for n, _ in systems()]
    print(f"\n{'milliseconds':34}" + "".join(f"{n:>14}" for n in names) + (f"{'ratio':>9}" if len(names) == 2 else ""))
    ratios = []
    for title, _ in QUERIES:
        line = f"{title:34}" + "".join(f"{times[n, title] * 1000:>14.1f}" for n in names)
        if len(names) == 2:
            ratios.append(times[names[0], title] / times[names[1], title])
            line += f"{ratios[-1]:>9.3f}" + ("" if same(answers[names[0], title], answers[names[1], title]) else "  ANSWERS DIFFER")
        print(line)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{'geometric mean of the ratios':34}{'':28}{mean:>9.3f}  goal <= 0.125{'' if mean <= 0.125 else '  MISSED'}")
    else:
        print("no peer measured: give PEER_PROMETHEUS=path for ratios")
    for n in names:
        print(f"{n}: peak resident {memory[n][0] / 2**20:.0f} MiB, CPU of all queries {memory[n][1]:.1f} s")


def same(a, b):
    """Equal series and steps, values within 1e-9 (sums may run in another order)."""
    def index(body):
        return {json.dumps(s["metric"], sort_keys=True): s["values"] for s in json.loads(body)["data"]["result"]}
    x, y = index(a), index(b)
    if x.keys() != y.keys() or not x:
        return False
    for k, values in x.items():
        if len(values) != len(y[k]):
            return False
        for (t, v), (u, w) in zip(values, y[k]):
            if t != u or (v != w and abs(float(v) - float(w)) > 1e-9 * max(abs(float(v)), abs(float(w)))):
                return False
    return True


main()
