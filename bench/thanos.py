# SPDX-License-Identifier: Apache-2.0
"""Queries through store gateway and querier: the blocks of bench/query.py from two replicas (the second 7 s later) in a bucket on disk; the ten
range queries with deduplication; medians. The peer is an original Thanos: PEER_THANOS=path."""
import json
import math
import os
import shutil
import statistics
import time
import urllib.parse

from common import END_S, ROOT, Scratch, System, blocks, free_port, get
from query import HOURS, QUERIES, same


def systems():
    out = [("coeus", [os.environ.get("COEUS_BIN", os.path.join(ROOT, "build", "coeus")), "thanos"])]
    if os.environ.get("PEER_THANOS"):
        out.append(("thanos", [os.environ["PEER_THANOS"]]))
    return [s for s in out if s[0] == os.environ.get("ONLY", s[0])]


def bucket(path, series):
    for replica, shift_s in (("r0", 0), ("r1", 7)):
        source = blocks(series, HOURS, shift_s=shift_s)
        for ulid in sorted(os.listdir(source)):
            if not os.path.exists(os.path.join(source, ulid, "meta.json")):
                continue
            name = ulid[:-1] + str(int(replica[1]))                     # the generator gives both the same
            to = os.path.join(path, name)
            shutil.copytree(os.path.join(source, ulid), to)
            with open(os.path.join(to, "meta.json")) as f:
                meta = json.load(f)
            meta["ulid"] = name
            meta["compaction"]["sources"] = [name]
            meta["thanos"] = {"labels": {"cluster": "bench", "replica": replica}, "downsample": {"resolution": 0}, "source": "sidecar", "version": 1}
            with open(os.path.join(to, "meta.json"), "w") as f:
                json.dump(meta, f)


class Role(System):
    """thanos store or thanos query; its HTTP port is `port`."""

    def __init__(self, prefix, name, data, *flags):
        self.port, self.grpc_port, self.data = free_port(), free_port(), data + "." + name
        self.argv = [*prefix, name, f"--http-address=127.0.0.1:{self.port}", f"--grpc-address=127.0.0.1:{self.grpc_port}", *flags]
        self.start()


def start(prefix, data, config):
    store = Role(prefix, "store", data, f"--objstore.config-file={config}", f"--data-dir={data}.headers", "--ignore-deletion-marks-delay=0s")
    query = Role(prefix, "query", data, "--query.replica-label=replica", f"--endpoint=127.0.0.1:{store.grpc_port}")
    end = time.monotonic() + 60
    while not query.api("stores"):
        if time.monotonic() > end:
            raise SystemExit("the querier does not find the store")
        time.sleep(0.1)
    return {"store": store, "query": query}


def main():
    series, runs = int(os.environ.get("SERIES", 10_000)), int(os.environ.get("RUNS", 3))
    print(f"thanos: {HOURS} h at 15 s of {series} series of two replicas, step 60 s, medians of {runs} after one cold pass")
    times, answers, memory = {}, {}, {}
    with Scratch() as scratch:
        bucket(os.path.join(scratch, "bucket"), series)
        config = os.path.join(scratch, "bucket.yml")
        with open(config, "w") as f:
            f.write(f"type: FILESYSTEM\nconfig: {{directory: {scratch}/bucket}}\n")
        stacks = {}
        try:
            for name, prefix in systems():
                stacks[name] = start(prefix, os.path.join(scratch, name), config)
            for title, q in QUERIES:
                path = "/api/v1/query_range?" + urllib.parse.urlencode({"query": q, "start": END_S - HOURS * 3600 + 600, "end": END_S - 60, "step": 60})
                took = {name: [] for name in stacks}
                for i in range(runs + 1):
                    for name, roles in stacks.items():                  # in turns: what else the machine does is the same for both
                        begin = time.perf_counter()
                        status, body = get(roles["query"].port, path)
                        if i:
                            took[name].append(time.perf_counter() - begin)
                        if status != 200 or any(not w.startswith("PromQL ") for w in json.loads(body).get("warnings", [])):
                            raise SystemExit(f"{name}: {q}: {status} {body[:300]} {body[-300:]}")
                        answers[name, title] = body
                for name, values in took.items():
                    times[name, title] = statistics.median(values)
            for name, roles in stacks.items():
                memory[name] = {r: (p.peak_bytes(), p.cpu_s()) for r, p in roles.items()}
        finally:
            for roles in stacks.values():
                for p in roles.values():
                    p.stop()
    names = [n for n, _ in systems()]
    two = len(names) == 2
    print(f"\n{'milliseconds':34}" + "".join(f"{n:>14}" for n in names) + (f"{'ratio':>9}" if two else ""))
    ratios = []
    for title, _ in QUERIES:
        line = f"{title:34}" + "".join(f"{times[n, title] * 1000:>14.1f}" for n in names)
        if two:
            ratios.append(times[names[0], title] / times[names[1], title])
            line += f"{ratios[-1]:>9.3f}" + ("" if same(answers[names[0], title], answers[names[1], title]) else "  ANSWERS DIFFER")
        print(line)
    if two:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{'geometric mean of the ratios':34}{'':28}{mean:>9.3f}  goal <= 0.200{'' if mean <= 0.2 else '  MISSED'}")
    for r in ("store", "query"):
        line = f"{'peak resident MiB, ' + r:34}" + "".join(f"{memory[n][r][0] / 2**20:>14.0f}" for n in names)
        if two:
            ratio = memory[names[0]][r][0] / memory[names[1]][r][0]
            line += f"{ratio:>9.3f}  goal <= 0.250{'' if ratio <= 0.25 else '  MISSED'}"
        print(line)
        print(f"{'CPU seconds, ' + r:34}" + "".join(f"{memory[n][r][1]:>14.1f}" for n in names))
    if not two:
        print("no peer measured: give PEER_THANOS=path for ratios")


if __name__ == "__main__":
    main()
