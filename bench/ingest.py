# SPDX-License-Identifier: Apache-2.0
"""Ingest: SERIES series on TARGETS targets, every INTERVAL seconds, for SECONDS; RUNS runs a system, medians."""
import json
import os
import re
import subprocess
import sys
import time

from common import ROOT, Scratch, System, disk_bytes, get, median, systems, table


def env(name, default):
    return int(os.environ.get(name, default))


def one_run(prefix, target_bin, targets, series, interval, seconds):
    with Scratch() as scratch:
        fleet = subprocess.Popen([target_bin, str(targets), str(series // targets)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            ports = []
            for line in fleet.stdout:
                if line.startswith("port"):
                    ports.append(int(line.split()[1]))
                else:
                    break

            def scrapes():
                return json.loads(get(ports[0], "/stats")[1])["scrapes"]
            addresses = ", ".join(f"'127.0.0.1:{p}'" for p in ports)
            s = System(prefix, os.path.join(scratch, "data"),
                       f"global: {{scrape_interval: {interval}s}}\nscrape_configs:\n- job_name: bench\n  static_configs:\n  - targets: [{addresses}]\n")
            begin = time.monotonic()
            while scrapes() < 2 * targets:
                time.sleep(0.2)
                if time.monotonic() - begin > 60:
                    raise SystemExit(f"{prefix[0]}: only {scrapes()} scrapes in a minute")
            cpu0, n0, t0 = s.cpu_s(), scrapes(), time.monotonic()
            time.sleep(seconds)
            cpu, n, took = s.cpu_s() - cpu0, scrapes() - n0, time.monotonic() - t0
            anon, peak = s.anon_bytes(), s.peak_bytes()
            metrics = get(s.port, "/metrics")[1].decode()
            stored = sum(float(x) for x in re.findall(r"^prometheus_tsdb_head_samples_appended_total(?:{[^}]*})? (\S+)$", metrics, re.M))
            wanted = scrapes() * (series // targets)
            if stored < wanted - series * 1.2:
                print(f"  {prefix[0]} stored only {stored:.0f} of {wanted} samples", file=sys.stderr)
            size = disk_bytes(s.data)
            s.kill9()
            s.start()
            restart = s.ready_s
            s.stop()
            samples = n * (series // targets)
            return {"cpu": cpu / samples * 1e6, "anon": anon / series, "peak": peak / series, "disk": size / stored, "restart": restart, "rate": samples / took}
        finally:
            fleet.stdin.close()
            fleet.wait(timeout=10)


def main():
    targets, series, interval, seconds, runs = env("TARGETS", 10), env("SERIES", 100_000), env("INTERVAL", 5), env("SECONDS", 120), env("RUNS", 3)
    target_bin = os.path.join(ROOT, "build", "release", "bench", "bench_target")
    print(f"ingest: {series} series on {targets} targets every {interval} s for {seconds} s, {runs} runs, medians")
    results, all_runs = {}, {name: [] for name, _ in systems()}
    for i in range(runs):                       # in turns, so that a noisy minute does not hit one system only
        for name, prefix in systems():
            r = one_run(prefix, target_bin, targets, series, interval, seconds)
            all_runs[name].append(r)
            print(f"  run {i + 1} {name}: " + ", ".join(f"{k} {v:.3f}" for k, v in r.items()), flush=True)
    for name, rs in all_runs.items():
        results[name] = {k: median([r[k] for r in rs]) for k in rs[0]}
    table([("rate", "samples per second", "{:.0f}"), ("cpu", "CPU seconds per million samples", "{:.3f}"), ("anon", "anonymous bytes per series", "{:.0f}"),
           ("peak", "peak resident bytes per series", "{:.0f}"), ("disk", "disk bytes per sample", "{:.2f}"), ("restart", "seconds from kill -9 to ready", "{:.2f}")],
          results, {"cpu": 1 / 5, "anon": 1 / 3, "restart": 1 / 4})


main()
