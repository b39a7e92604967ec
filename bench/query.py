# SPDX-License-Identifier: Apache-2.0
"""Queries: 6 h at 15 s of 10,000 series in prebuilt blocks that each system opens; ten range queries, step 60 s; medians."""
import json
import math
import os
import statistics
import time
import urllib.parse

from common import END_S, Scratch, blocks, get, open_copy, systems

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


def main():
    series, runs = int(os.environ.get("SERIES", 10_000)), int(os.environ.get("RUNS", 3))
    source = blocks(series, HOURS)
    print(f"queries: {HOURS} h at 15 s of {series} series, step 60 s, medians of {runs} after one cold pass")
    times, answers, memory, cpus = {}, {}, {}, {}
    with Scratch() as scratch:
        for name, prefix in systems():
            s = open_copy(name, prefix, source, scratch)
            try:
                cpu0 = s.cpu_s()
                for title, q in QUERIES:
                    path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": q, "start": END_S - HOURS * 3600 + 600, "end": END_S - 60, "step": 60, **s.params})
                    took = []
                    for i in range(runs + 1):
                        if i == 1:
                            cpu_begin = s.cpu_ms()
                        begin = time.perf_counter()
                        status, body = get(s.port, path)
                        if i:
                            took.append(time.perf_counter() - begin)
                        if status != 200:
                            raise SystemExit(f"{name}: {q}: {status} {body[:300]}")
                    cpus[name, title] = (s.cpu_ms() - cpu_begin) / runs
                    times[name, title] = statistics.median(took)
                    answers[name, title] = body if name != "victoria" else b""
                memory[name] = (s.peak_bytes(), s.cpu_s() - cpu0)
            finally:
                s.stop()
    names = [n for n, _ in systems()]
    peers = [n for n in names[1:]] if names[0] == "coeus" else []
    print(f"\n{'milliseconds':34}" + "".join(f"{n:>14}" for n in names) + "".join(f"{'to ' + n:>16}" for n in peers))
    ratios = {n: [] for n in peers}
    for title, _ in QUERIES:
        line = f"{title:34}" + "".join(f"{times[n, title] * 1000:>14.1f}" for n in names)
        for n in peers:
            ratios[n].append(times[names[0], title] / times[n, title])
            line += f"{ratios[n][-1]:>16.3f}"
        if "prometheus" in peers and not same(answers[names[0], title], answers["prometheus", title]):
            line += "  ANSWERS DIFFER"
        print(line)
    print(f"\n{'CPU, milliseconds a query':34}" + "".join(f"{n:>14}" for n in names) + "".join(f"{'to ' + n:>16}" for n in peers))
    for title, _ in QUERIES:
        print(f"{title:34}" + "".join(f"{cpus[n, title]:>14.1f}" for n in names) + "".join(f"{cpus[names[0], title] / cpus[n, title]:>16.3f}" for n in peers))
    for n in peers:
        mean = math.exp(sum(math.log(cpus[names[0], title] / cpus[n, title]) for title, _ in QUERIES) / len(QUERIES))
        print(f"geometric mean of the ratios of CPU to {n}: {mean:.3f}")
    for n in peers:
        mean = math.exp(sum(map(math.log, ratios[n])) / len(ratios[n]))
        goal = {"prometheus": 1 / 20, "victoria": 1 / 6}[n]
        print(f"geometric mean of the ratios to {n}: {mean:.3f}  goal <= {goal:.3f}{'' if mean <= goal else '  MISSED'}")
    if not peers:
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


if __name__ == "__main__":
    main()
