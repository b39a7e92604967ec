# SPDX-License-Identifier: Apache-2.0
"""One query over the newest samples of SERIES (1,000,000) series: a block of two hours, a sample every five minutes; medians after a cold pass."""
import json
import os
import statistics
import time
import urllib.parse

from common import END_S, Scratch, blocks, get, open_copy, systems

QUERY = 'sum by (namespace) ({__name__=~"bench_.+"})'


def main():
    series, runs = int(os.environ.get("SERIES", 1_000_000)), int(os.environ.get("RUNS", 3))
    source = blocks(series, 2, 300)
    times, answers = {}, {}
    with Scratch() as scratch:
        for name, prefix in systems():
            s = open_copy(name, prefix, source, scratch)
            try:
                path = "/api/v1/query?" + urllib.parse.urlencode({"query": QUERY, "time": END_S - 300, **s.params})
                before, took, cpu0 = s.anon_bytes(), [], s.cpu_s()
                for i in range(runs + 1):
                    begin = time.perf_counter()
                    status, body = get(s.port, path)
                    if i:
                        took.append(time.perf_counter() - begin)
                    if status != 200:
                        raise SystemExit(f"{name}: {status} {body[:300]}")
                times[name] = statistics.median(took)
                answers[name] = sorted((r["metric"]["namespace"], float(r["value"][1])) for r in json.loads(body)["data"]["result"])
                print(f"{name}: {times[name] * 1000:.0f} ms, CPU {(s.cpu_s() - cpu0) / (runs + 1):.2f} s a query, "
                      f"peak resident {s.peak_bytes() / 2**20:.0f} MiB ({before / 2**20:.0f} anonymous before)", flush=True)
            finally:
                s.stop()
    for name in times:
        if name != "coeus" and "coeus" in times:
            same = answers[name] == answers["coeus"]
            print(f"ratio to {name}: {times['coeus'] / times[name]:.3f}{'  goal <= 0.125' if name == 'prometheus' else ''}{'' if same else '  ANSWERS DIFFER'}")


main()
