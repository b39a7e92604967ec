# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: what a query has shown is there afterwards."""
import json
import os
import random
import signal
import threading
import time

from harness.core import Failed, check, free_port, wait_for
from harness.target import Target, config


def snapshot(p, window):
    out = {}
    for s in p.query(f"m[{window}]"):
        out[(s["metric"]["instance"], s["metric"]["i"])] = [tuple(v) for v in s["values"]]
    return out


def crash_loop(t, rounds, flags, seed, window="10m", run_s=(0.5, 3.0)):
    rnd, mu, n = random.Random(seed), threading.Lock(), [0]

    def body(_headers):
        with mu:
            n[0] += 1
            return "".join(f'm{{i="{i}"}} {n[0] * 1000 + i}\n' for i in range(40))
    targets = [Target(t, body) for _ in range(5)]
    cfg, port, known = config(targets, interval="100ms"), free_port(), {}
    for i in range(rounds):
        p = t.prometheus(cfg, *flags, port=port)
        found = snapshot(p, window)
        for key, values in known.items():
            have = set(found.get(key, []))
            missing = [v for v in values if v not in have]
            if missing:
                raise Failed(f"round {i}: {key} lost {len(missing)} of {len(values)} samples, the first {missing[0]}, the last {missing[-1]}; "
                             f"now {len(have)}, seed {seed}\n{p.tail(40)}")
        started = time.time()
        wait_for("new samples", lambda: p.query("timestamp(m) > %f" % started))
        time.sleep(rnd.uniform(*run_s))
        known = snapshot(p, window)
        p.kill9()
    check(sum(len(v) for v in known.values()) > 200, "hardly any sample was stored")
    p = t.prometheus(cfg, *flags, port=port)
    check(p.stop() == 0, "clean stop at the end")


def test_kill_9_loses_nothing_that_was_shown(t):
    crash_loop(t, 5, (), seed=1)


def test_kill_9_while_blocks_are_cut(t):
    crash_loop(t, 5, ("--storage.tsdb.min-block-duration=4s", "--storage.tsdb.max-block-duration=20s"), seed=2, run_s=(2.0, 5.0))


def test_kill_9_while_starting(t):
    target = Target(t, "".join(f'm{{i="{i}"}} {i}\n' for i in range(2000)))
    cfg = config([target], interval="100ms")
    p = t.prometheus(cfg)
    wait_for("2000 series", lambda: p.value("count(m)") == 2000)
    before = json.dumps(sorted(snapshot(p, "10m").items()))
    p.kill9()
    rnd = random.Random(3)
    for _ in range(5):
        q = t.prometheus(cfg, ready=False)
        time.sleep(rnd.uniform(0.0, 0.4))
        q.kill9()
    p = t.prometheus(cfg)
    after = snapshot(p, "10m")
    for key, values in json.loads(before):
        have = set(after[tuple(key)])
        check(all(tuple(v) in have for v in values), f"{key} lost samples")


def snapshots(t):
    return sorted(n for n in os.listdir(t.path("data")) if n.startswith("chunk_snapshot."))


def test_a_clean_stop_leaves_a_snapshot_that_the_next_start_reads(t):
    """Started from it, killed after that, started from it and the log behind it, started without it: always the same samples."""
    target = Target(t, "".join(f'm{{i="{i}"}} {i}\n' for i in range(500)))
    cfg = config([target], interval="200ms")
    p = t.prometheus(cfg)
    wait_for("500 series", lambda: p.value("count(count_over_time(m[10m]) > 3)") == 500, limit_s=60)
    known = snapshot(p, "10m")
    check(p.stop() == 0, "clean stop")
    left = snapshots(t)
    check(len(left) == 1 and not left[0].endswith(".tmp"), f"snapshots: {left}")

    def has_all(p):
        found = snapshot(p, "10m")
        for key, values in known.items():
            have = set(found.get(key, []))
            check(all(v in have for v in values), f"{key} lost samples\n{p.tail(40)}")
    p = t.prometheus(cfg)
    check("chunk snapshot loaded" in p.log, f"it was not read:\n{p.tail(40)}")
    check("\nprometheus_tsdb_snapshot_replay_error_total 0\n" in p.get("/metrics").text, "errors")
    has_all(p)
    started = time.time()
    wait_for("new samples", lambda: p.query("timestamp(m) > %f" % started))
    known = snapshot(p, "10m")
    p.kill9()
    p = t.prometheus(cfg)
    check("chunk snapshot loaded" in p.log, f"it was not read again:\n{p.tail(40)}")
    has_all(p)
    p.kill9()
    path = os.path.join(t.path("data"), snapshots(t)[0], "00000000")
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2 + 1)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))
    p = t.prometheus(cfg)
    check("Failed to load chunk snapshot" in p.log, f"damage was not seen:\n{p.tail(40)}")
    check("\nprometheus_tsdb_snapshot_replay_error_total 1\n" in p.get("/metrics").text, "the error is not counted")
    check(not snapshots(t), "the damaged one is there still")
    has_all(p)
    check(p.stop() == 0, "clean stop at the end")


def test_kill_9_while_the_snapshot_is_written(t):
    target = Target(t, "".join(f'm{{i="{i}"}} {i}\n' for i in range(20000)))
    cfg = config([target], interval="1s")
    p = t.prometheus(cfg)
    wait_for("20000 series", lambda: p.value("count(m)") == 20000, limit_s=60)
    known = p.query("sort(m)")
    caught, rnd = 0, random.Random(4)
    for _ in range(4):
        p.signal(signal.SIGTERM)
        wait_for("the snapshot to begin, or the end", lambda: not p.alive() or any(n.endswith(".tmp") for n in snapshots(t)), limit_s=60, pause_s=0.001)
        time.sleep(rnd.uniform(0.0, 0.01))
        p.kill9()
        caught += any(n.endswith(".tmp") for n in snapshots(t))
        p = t.prometheus(cfg)
        check(not any(n.endswith(".tmp") for n in snapshots(t)), f"a half one is there still: {snapshots(t)}")
        check("Failed to load chunk snapshot" not in p.log, f"a half one was taken for a whole one:\n{p.tail(40)}")
        ts = max(float(s["value"][0]) for s in known)
        again = {s["metric"]["i"]: s["value"][1] for s in p.api("query", query="m", time=f"{ts:.3f}")["result"]}
        check(len(again) == 20000, f"{20000 - len(again)} series are gone\n{p.tail(40)}")
        check(all(again[s["metric"]["i"]] == s["value"][1] for s in known), "other values")
    print(f"killed inside the snapshot {caught} times of 4")


def soak_kill_9(t):
    crash_loop(t, 40, ("--storage.tsdb.min-block-duration=4s", "--storage.tsdb.max-block-duration=20s"), seed=int(time.time()), run_s=(0.2, 6.0))
