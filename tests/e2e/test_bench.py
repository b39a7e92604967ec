# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, small: so that they do not rot. No figure is judged here."""
import os
import subprocess
import sys

from harness.core import ROOT, check, coeus_bin


def run_bench(t, name, needs, **env):
    program = os.path.join(ROOT, "build", "release", "bench", needs)
    if not os.access(program, os.X_OK):
        t.skip(f"{program} is not built (./run test builds it)")
    if os.path.basename(coeus_bin()).startswith("prometheus"):
        t.skip("measures ours")
    r = subprocess.run([sys.executable, os.path.join(ROOT, "bench", name + ".py")], capture_output=True, text=True, timeout=120,
                       env={**os.environ, "COEUS_BIN": coeus_bin(), "BENCH_DIR": t.dir, "PEER_PROMETHEUS": "", **env})
    check(r.returncode == 0, f"{name}: {r.returncode}\n{r.stdout[-1500:]}\n{r.stderr[-1500:]}")
    check("no peer measured" in r.stdout, r.stdout[-1500:])
    return r.stdout


def test_ingest_runs(t):
    out = run_bench(t, "ingest", "bench_target", SERIES="1000", TARGETS="2", INTERVAL="1", SECONDS="3", RUNS="1")
    check("CPU seconds per million samples" in out and "stored only" not in out, out)


def test_query_runs(t):
    out = run_bench(t, "query", "gen_blocks", SERIES="100", RUNS="1")
    check("subquery of a rate" in out, out)


def test_thanos_runs(t):
    out = run_bench(t, "thanos", "gen_blocks", SERIES="110", RUNS="1", PEER_THANOS="")     # not the blocks of the other: both make theirs once
    check("subquery of a rate" in out and "peak resident MiB, query" in out, out)
