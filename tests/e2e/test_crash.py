# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments: what a query has shown is there afterwards."""
import json
import random
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


def soak_kill_9(t):
    crash_loop(t, 40, ("--storage.tsdb.min-block-duration=4s", "--storage.tsdb.max-block-duration=20s"), seed=int(time.time()), run_s=(0.2, 6.0))
