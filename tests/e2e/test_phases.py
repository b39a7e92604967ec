# SPDX-License-Identifier: Apache-2.0
"""The way of an install through its three phases, as separate processes: Prometheus alone; blocks in a bucket; queriers over all of it. Two
Prometheus replicas with a sidecar each, S3 that checks signatures, two store gateways, two queriers that find them by SRV records and speak
gRPC over TLS with certificates of both sides.

Nothing here depends on how quick a process is: what is compared is what the Prometheus servers themselves have said, sample by sample."""
import http.client
import json
import signal
import threading

from harness.core import Failed, Proc, check, check_eq, coeus_bin, free_port, wait_for
from harness.dns import Dns
from harness.target import Target, config
from harness.venv import certificates
from interop.test_s3 import S3

RANGE_MS = 4000                         # of a block
SKIP_S = 6                              # of the penalty algorithm at a change of replicas, and a little
LIMIT_S = 120


class Part:
    """A process that can be killed and started again as it was."""

    def __init__(self, t, name, argv, port, env=None):
        self.t, self.name, self.argv, self.port, self.env = t, name, argv, port, env
        self.p = None

    def start(self, ready=True):
        def is_up():
            self.p = Proc(self.t, self.argv, port=self.port, env=self.env)
            try:
                if ready:
                    self.p.wait_ready(LIMIT_S)
            except Failed:
                if "address already in use" not in self.p.log:
                    raise SystemError(f"{self.name} does not start:\n{self.p.tail()}") from None
                return False            # while it was dead another run of tests took its port
            return True
        wait_for(f"{self.name} to have its port", is_up, LIMIT_S, pause_s=1)
        return self.p


class Cluster:
    def __init__(self, t):
        self.t = t
        self.n_targets = [0] * 3
        self.targets = [Target(t, lambda _, i=i: self.body(i)) for i in range(3)]
        self.ca, self.cert, self.key = certificates(t)
        self.dns = Dns(t)
        self.dns.set_a("parts.test", "127.0.0.1")
        self.srv = {}
        self.prometheus = {r: self.prometheus_part(r) for r in "ab"}
        for p in self.prometheus.values():
            p.start(ready=False)
        self.s3 = S3(t)                 # it takes some seconds: the first samples come meanwhile
        self.objstore = self.s3.config()
        self.sidecar = {r: self.sidecar_part(r) for r in "ab"}
        self.store = {i: self.store_part(i) for i in "12"}
        self.querier = {i: self.querier_part(f"querier-{i}", "sidecar", "store") for i in "12"}

    def body(self, i):
        self.n_targets[i] += 1
        return f"m {self.n_targets[i]}\n"

    def prometheus_part(self, r, range_ms=RANGE_MS, port=None):
        port = port or free_port()
        self.configure(r, "1h")
        return Part(self.t, f"prometheus-{r}",
                    [coeus_bin(), "prometheus", f"--config.file={self.t.path(f'{r}.yml')}", f"--storage.tsdb.path={self.t.path(r)}",
                     f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.min-block-duration={range_ms}ms",
                     f"--storage.tsdb.max-block-duration={range_ms}ms", "--storage.tsdb.block-reload-interval=500ms"], port)

    def configure(self, r, retention):
        extra = f"  external_labels: {{cluster: c, replica: {r}}}\nstorage: {{tsdb: {{retention: {{time: {retention}}}}}}}\n"
        self.t.write(f"{r}.yml", config(self.targets, interval="500ms", extra=extra))

    def tls_server(self):
        return [f"--grpc-server-tls-cert={self.cert}", f"--grpc-server-tls-key={self.key}", f"--grpc-server-tls-client-ca={self.ca}"]

    def grpc_part(self, name, kind, role, *flags):
        port, grpc_port = free_port(), free_port()
        self.srv.setdefault(kind, []).append(("parts.test", grpc_port))
        self.dns.set_srv(f"_grpc._tcp.{kind}.test", self.srv[kind])
        return Part(self.t, name, [coeus_bin(), "thanos", role, f"--http-address=127.0.0.1:{port}", f"--grpc-address=127.0.0.1:{grpc_port}",
                                   *self.tls_server(), *flags], port)

    def sidecar_part(self, r):
        return self.grpc_part(f"sidecar-{r}", "sidecar", "sidecar", f"--prometheus.url=http://127.0.0.1:{self.prometheus[r].port}",
                              f"--tsdb.path={self.t.path(r)}", f"--objstore.config-file={self.objstore}", "--prometheus.get_config_interval=1s")

    def store_part(self, i):
        return self.grpc_part(f"store-{i}", "store", "store", f"--data-dir={self.t.path('store-' + i)}", f"--objstore.config-file={self.objstore}",
                              "--sync-block-duration=1s")

    def querier_part(self, name, *kinds):
        port = free_port()
        return Part(self.t, name, [coeus_bin(), "thanos", "query", f"--http-address=127.0.0.1:{port}", "--grpc-address=127.0.0.1:0",
                                   *[f"--endpoint=dnssrv+_grpc._tcp.{k}.test" for k in kinds], "--store.sd-dns-interval=1s", "--query.replica-label=replica",
                                   "--grpc-client-tls-secure", f"--grpc-client-tls-ca={self.ca}", f"--grpc-client-tls-cert={self.cert}",
                                   f"--grpc-client-tls-key={self.key}", "--grpc-client-server-name=localhost"], port, env=self.dns.env)

    def doctor(self, *args):
        """Exit code and lines (level, check, text); what only says that this machine is slow is left out."""
        code, out = self.t.run("doctor", "--json", "--timeout=60s", *args, limit_s=LIMIT_S)
        late = ("the next is overdue", "no block covers", "no store covers", "not scraped yet")
        return code, [(x["level"], x["check"], x["text"]) for x in json.loads(out)["checks"] if not any(w in x["text"] for w in late)]

    def blocks(self, r):
        """(begin, end, ULID) of the blocks of a replica that a store gateway has loaded, in milliseconds, ascending."""
        metas = self.store["1"].p.api("blocks")["blocks"]
        return sorted((m["minTime"], m["maxTime"], m["ulid"]) for m in metas if m["thanos"]["labels"]["replica"] == r)

    def are_all_known(self, q):
        stores = q.p.api("stores")
        return sorted((k, len(v)) for k, v in stores.items()) == [("sidecar", 2), ("store", 2)] and not any(s["lastError"] for v in stores.values() for s in v)


class Truth:
    """What the Prometheus servers have said: of each replica and target, time and value of all samples."""

    def __init__(self, cluster):
        self.c, self.seen, self.mu = cluster, {r: {x.address: {} for x in cluster.targets} for r in "ab"}, threading.Lock()

    def poll(self):
        for r, part in self.c.prometheus.items():
            for s in part.p.query("m[1h]", timeout="60s"):
                with self.mu:
                    mine = self.seen[r][s["metric"]["instance"]]
                    for ts, v in s["values"]:
                        check(mine.setdefault(ts, v) == v, f"replica {r}: sample {ts} changed from {mine[ts]} to {v}")

    def first(self):
        return min(min(x) for r in self.seen.values() for x in r.values())

    def last(self):
        return max(max(x) for r in self.seen.values() for x in r.values() if x)

    def union(self, instance):
        return sorted(set(self.seen["a"][instance]) | set(self.seen["b"][instance]))


def matrix(p, **params):
    """{(instance, replica or None): [(time, value)]}, warnings"""
    q = "&".join(f"{k}={v}" for k, v in params.items())
    r = p.get(f"/api/v1/query?query=m[1h]&timeout=60s&{q}", timeout_s=60)
    check(r.status == 200, f"{r.status} {r.text[:500]}")
    out = {}
    for s in r.json["data"]["result"]:
        key = (s["metric"]["instance"], s["metric"].get("replica"))
        check(key not in out, f"series {key} is there twice")
        out[key] = [(ts, v) for ts, v in s["values"]]
    return out, r.json.get("warnings", [])


def check_each_sample(q, truth):
    """Of each replica the querier has what its Prometheus has said: nothing is lost, nothing doubled, nothing invented."""
    truth.poll()
    got, warnings = matrix(q.p, dedup="false")
    truth.poll()
    check_eq(warnings, [], f"warnings of {q.name}")
    check_eq(sorted(got), sorted((x, r) for r, seen in truth.seen.items() for x in seen), "series of " + q.name)
    for (instance, r), values in got.items():
        times = [ts for ts, _ in values]
        check(all(a < b for a, b in zip(times, times[1:])), f"{q.name}, replica {r}: times that do not ascend")
        want = truth.seen[r][instance]
        wrong = [x for x in values if want.get(x[0]) != x[1]]
        check(not wrong, f"{q.name}, replica {r}: samples that Prometheus does not have: {wrong[:5]}")
        lost = [ts for ts in want if ts not in set(times) and ts <= times[-1]]
        check(not lost, f"{q.name}, replica {r}: lost {len(lost)} samples of {len(want)}: {lost[:5]}")


def wait_until_whole(c, truth):
    """A part that was away is asked again after a while only: until then answers lack it, and say so."""
    for q in c.querier.values():
        def is_whole(q=q):
            check(c.are_all_known(q), f"{q.name} does not know all")
            check_each_sample(q, truth)
            check_deduplicated(q, truth)
            return True
        wait_for(f"whole answers of {q.name}", is_whole, LIMIT_S, pause_s=0.3)


def hole(times, union):
    """The first stretch that the replicas together have and the answer has not."""
    for a, b in zip(times, times[1:]):
        between = [a] + [x for x in union if a < x < b] + [b]
        if b - a > SKIP_S + 2 * max(y - x for x, y in zip(between, between[1:])):
            return a, b
    return None


def check_deduplicated(q, truth):
    got, warnings = matrix(q.p)
    check_eq(warnings, [], f"warnings of {q.name}")
    check_eq(sorted(got), sorted((x.address, None) for x in truth.c.targets), "each series once, without the replica label")
    truth.poll()
    for (instance, _), values in got.items():
        times, union = [ts for ts, _ in values], truth.union(instance)
        check(times[0] <= union[0] + SKIP_S and hole(times, union) is None, f"{q.name}: begins at {times[0]}, the data at {union[0]}; hole {hole(times, union)}")


class Load(threading.Thread):
    """Asks both queriers all the time, and keeps the answers with what was known before each question."""

    def __init__(self, cluster, truth):
        super().__init__(daemon=True)
        self.c, self.truth, self.stop, self.answers, self.refused = cluster, truth, threading.Event(), [], 0

    def run(self):
        while not self.stop.is_set():
            for q in self.c.querier.values():
                known = {x.address: self.known(x.address) for x in self.c.targets}
                try:
                    self.answers.append((q.name, known, *matrix(q.p)))
                except (OSError, http.client.HTTPException):
                    self.refused += 1           # it is dead, or dies
                except Failed as e:
                    self.answers.append((q.name, known, str(e), []))
            self.stop.wait(0.1)

    def known(self, instance):
        with self.truth.mu:
            return max(max(self.truth.seen[r][instance], default=0) for r in "ab")

    def verdict(self):
        """All that was answered with a gap and without a warning."""
        for name, known, got, warnings in self.answers:
            check(isinstance(got, dict), f"{name}: {got}")
            if warnings:
                continue
            for x in self.c.targets:
                times = [ts for ts, _ in got.get((x.address, None), [])]
                check(times, f"{name}: no answer for {x.address}, and no warning")
                union = self.truth.union(x.address)
                check(times[0] <= union[0] + SKIP_S, f"{name}: begins at {times[0]} without a warning, the data at {union[0]}")
                check(hole(times, union) is None, f"{name}: hole {hole(times, union)} without a warning")
                check(times[-1] >= known[x.address] - SKIP_S, f"{name}: ends at {times[-1]} without a warning, {known[x.address]} was known before")


def phase_one(c, truth):
    for p in c.prometheus.values():
        p.p.wait_ready(LIMIT_S)
        wait_for("all targets to be up", lambda p=p: p.p.value("sum(up)") == 3, LIMIT_S)
    urls = [f"--prometheus=127.0.0.1:{p.port}" for p in c.prometheus.values()]

    def is_well():
        code, lines = c.doctor(*urls)
        check_eq([x for x in lines if x[1] in ("targets", "replicas") and x[0] != "ok"], [], f"doctor, which ended with {code}")
        return [x[2] for x in lines if x[1] == "targets"] == ["job t (3/3 up)"] * 2
    wait_for("doctor to find all up", is_well, LIMIT_S)         # a scrape may come too late on a busy machine
    truth.poll()
    for part in c.prometheus.values():
        check_eq(part.p.stop(LIMIT_S), 0)
        part.start()
    before = {r: {i: dict(v) for i, v in x.items()} for r, x in truth.seen.items()}
    for r, part in c.prometheus.items():
        now = {s["metric"]["instance"]: dict(map(tuple, s["values"])) for s in part.p.query("m[1h]")}
        for i, values in before[r].items():
            check(values.items() <= now[i].items(), f"replica {r}: data of before the stop is gone")


def check_ranges(blocks, range_ms, least):
    """Blocks end at ranges, do not overlap, and so many follow each other one range apart."""
    check(all(end % range_ms == 0 for _, end, _ in blocks), f"ends: {blocks}")
    check(all(b[0] >= a[1] for a, b in zip(blocks, blocks[1:])), f"overlaps: {blocks}")
    return sum(b[1] - a[1] == range_ms for a, b in zip(blocks, blocks[1:])) >= least


def phase_two(c, truth):
    for p in (*c.sidecar.values(), *c.store.values()):
        p.start(ready=False)
    for p in (*c.sidecar.values(), *c.store.values()):
        p.p.wait_ready(LIMIT_S)
    for q in c.querier.values():
        q.start(ready=False)
    for r in "ab":
        wait_for(f"blocks of {r} in the bucket, one range apart", lambda r=r: check_ranges(c.blocks(r), RANGE_MS, 2), LIMIT_S)
    truth.poll()
    # Now that the bucket has them Prometheus keeps its retention only: what goes is in the bucket, by so many seconds.
    first = truth.first()
    for r, part in c.prometheus.items():
        spare_ms = c.blocks(r)[-1][1] - int(first * 1000) - RANGE_MS
        c.configure(r, f"{max(spare_ms, RANGE_MS)}ms")
        part.p.signal(signal.SIGHUP)

        def is_cut(part=part):
            truth.poll()
            return oldest_of(part) > first + 1
        wait_for(f"{part.name} to keep its retention only", is_cut, LIMIT_S)
        c.configure(r, "1h")
        part.p.signal(signal.SIGHUP)
        wait_for("the longer retention", lambda part=part: part.p.api("status/runtimeinfo")["storageRetention"] == "1h", LIMIT_S)
    truth.poll()


def oldest_of(part):
    return min(float(s["values"][0][0]) for s in part.p.query("m[1h]"))


def phase_three(c, truth):
    for q in c.querier.values():
        q.p.wait_ready(LIMIT_S)
    wait_until_whole(c, truth)
    everything = [*[f"--prometheus=127.0.0.1:{p.port}" for p in c.prometheus.values()], *[f"--sidecar=127.0.0.1:{p.port}" for p in c.sidecar.values()],
                  f"--objstore.config-file={c.objstore}"]

    def is_well():
        code, lines = c.doctor(*everything, f"--querier=127.0.0.1:{c.querier['1'].port}")
        check_eq([x for x in lines if x[0] != "ok"], [], f"doctor, which ended with {code}")
        return any(x[1] == "coverage" and x[2].startswith("sees ") and x[2].endswith(" to now") for x in lines)
    wait_for("doctor to find nothing", is_well, LIMIT_S)
    # A querier that was given store gateways only.
    blind = c.querier_part("querier-blind", "store")
    blind.start()
    wait_for("both store gateways", lambda: len(blind.p.api("stores").get("store", [])) == 2, LIMIT_S)
    truth.poll()
    last, (got, _) = truth.last(), matrix(blind.p)
    newest = max(c.blocks(r)[-1][1] for r in "ab") / 1000
    check(all(values[-1][0] <= newest for values in got.values()) and newest < last, f"blocks end at {newest}, Prometheus has {last}")
    for part in c.prometheus.values():
        check(oldest_of(part) > truth.first() + 1, f"{part.name} has the past")
    code, lines = c.doctor(*everything, f"--querier=127.0.0.1:{blind.port}")
    check(code == 1 and any(x[0] == "finding" and x[2].startswith("the newest hours are missing: no sidecar endpoint is configured") for x in lines), f"{code} {lines}")
    check_eq(blind.p.stop(LIMIT_S), 0)


def kill_all_in_turn(c, truth):
    load = Load(c, truth)
    load.start()
    try:
        for r, i in ("a1", "b2"):               # never both of a pair: the other one is known again before
            for part in (c.prometheus[r], c.store[i], c.querier[i], c.sidecar[r]):
                truth.poll()
                part.p.kill9()
                n = len(load.answers) + load.refused
                wait_for("answers while it is dead", lambda n=n: len(load.answers) + load.refused >= n + 3, LIMIT_S)
                part.start()
            wait_until_whole(c, truth)
    finally:
        load.stop.set()
        load.join(timeout=LIMIT_S)
    truth.poll()
    check(len(load.answers) >= 18, f"{len(load.answers)} answers only")
    load.verdict()


def half_the_range(c, truth):
    ends = {r: c.blocks(r)[-1][1] for r in "ab"}
    for r in "ab":
        part = c.prometheus[r]
        check_eq(part.p.stop(LIMIT_S), 0)
        c.prometheus[r] = c.prometheus_part(r, RANGE_MS // 2, part.port)
        c.prometheus[r].start()
    for r in "ab":
        wait_for(f"blocks of {r}, half a range apart", lambda r=r: check_ranges([b for b in c.blocks(r) if b[1] > ends[r]], RANGE_MS // 2, 2), LIMIT_S)
    wait_until_whole(c, truth)


def test_an_install_goes_through_its_phases(t):
    c = Cluster(t)
    truth = Truth(c)
    for phase in (phase_one, phase_two, phase_three, kill_all_in_turn, half_the_range):
        try:
            phase(c, truth)
        except AssertionError as e:
            raise Failed(f"{phase.__name__}: {e}") from e
    for part in (*c.querier.values(), *c.store.values(), *c.sidecar.values(), *c.prometheus.values()):
        check_eq(part.p.stop(LIMIT_S), 0, f"exit code of {part.name}")
