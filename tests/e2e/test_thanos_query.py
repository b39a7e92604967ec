# SPDX-License-Identifier: Apache-2.0
"""`coeus thanos query`: over `coeus thanos store` on the recorded buckets it gives the recorded answers; over stores that fail it gives the rest."""
import glob
import json
import math
import os
import subprocess
import urllib.parse

from e2e.test_thanos_store import metric, shared, store
from harness.core import ROOT, Proc, check, check_eq, coeus_bin, free_port, wait_for
from harness.dns import SRV, Dns
from harness.venv import certificates, venv_python

# Asks the recorded requests of a querier over gRPC. Those that the recorded sidecar answered are left out.
CLIENT = r'''
import json, os, struct, sys
import grpc
sys.path.insert(0, sys.argv[3])
from e2e.pb_fields import fields

port, folder, tls = int(sys.argv[1]), sys.argv[2], sys.argv[4:]


def series(frames):
    """Chunks by labels, in the order of the labels; a series may come in several frames."""
    out = {}
    for f in frames:
        for k, v in fields(f):
            if k == 1:
                labels = b"".join(x for n, x in fields(v) if n == 1)
                out.setdefault(labels, []).extend(x for n, x in fields(v) if n == 2)
    return [(k, sorted(v)) for k, v in out.items()]


def names(frames):
    return [v for f in frames for k, v in fields(f) if k == 1]


def channel():
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}")
    read = lambda p: open(p, "rb").read()
    return grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(read(tls[0]), read(tls[2]), read(tls[1])))


def sample(b):
    """Values up to the order of additions."""
    return [(k, f"{struct.unpack('<d', v)[0]:.12g}" if k == 1 else v) for k, v in fields(b)]


def results(frames):
    return [[(k, [(n, sample(x) if n == 2 else x) for n, x in fields(v)] if k == 2 else v) for k, v in fields(f)] for f in frames]


views = {"Series": series, "LabelNames": names, "LabelValues": names, "Query": results, "QueryRange": results}
done, wrong = {}, []
with channel() as ch:
    for x in json.load(open(os.path.join(folder, "index.json"))):
        method = x["method"].rsplit("/", 1)[1]
        if x["server"] != "query-0.36" or method not in views or "histogram" in x["name"]:
            continue
        request = open(os.path.join(folder, x["request_file"]), "rb").read()
        want = [open(os.path.join(folder, r["file"]), "rb").read() for r in x["responses"]]
        call = ch.unary_unary if method.startswith("Label") else ch.unary_stream
        try:
            got, status = call(x["method"])(request, timeout=30), "OK"
            got = [got] if method.startswith("Label") else list(got)
        except grpc.RpcError as e:
            got, status = [], e.code().name
            if x.get("message") and e.details() != x["message"]:
                wrong.append(f"{x['name']}: {e.details()!r}, want {x['message']!r}")
        done[method] = done.get(method, 0) + 1
        if status != x["status"]:
            wrong.append(f"{x['name']}: {status}, want {x['status']}")
        elif status == "OK" and views[method](got) != views[method](want):
            wrong.append(f"{x['name']}: another answer: {views[method](got)!r:.700}, want {views[method](want)!r:.700}")
print(done)
assert set(done) == set(views), done
assert not wrong, "\n".join(wrong)
'''


def querier(t, endpoints, *flags, ready=True, env=None):
    """A querier that knows all of its endpoints already."""
    port, grpc_port = free_port(), free_port()
    p = Proc(t, [coeus_bin(), "thanos", "query", f"--http-address=127.0.0.1:{port}", f"--grpc-address=127.0.0.1:{grpc_port}",
                 "--query.replica-label=replica", *[f"--endpoint={e}" for e in endpoints], *flags], port=port, env=env)
    p.grpc_port = grpc_port
    p.wait_ready()
    if ready and endpoints:
        wait_for("all endpoints", lambda: sum(len(v) for v in p.api("stores").values()) == len(endpoints), 60)
    return p


def ask(p, path, params):
    r = p.get(path + ("?" + urllib.parse.urlencode(params, doseq=True) if params else ""), timeout_s=60)
    return r.status, r.json if r.headers.get("content-type") == "application/json" else r.text


def by_labels(reply):
    """Results sorted by labels, as the recording has them."""
    data = reply.get("data") if isinstance(reply, dict) else None
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        data["result"].sort(key=lambda s: json.dumps(s["metric"], sort_keys=True))
    return reply


def same(a, b):
    """Equal; sample values up to the order of additions."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b:
        try:
            return math.isclose(float(a), float(b), rel_tol=1e-12)
        except ValueError:
            return False
    return a == b and type(a) is type(b)


def check_recorded(p, paths):
    n, wrong = 0, []
    for path in paths:
        with open(path) as f:
            cases = json.load(f)
        for x in cases:
            status, got = ask(p, x["path"], x["params"])
            want = x["reply"]
            n += 1
            if isinstance(want, dict) and isinstance(want.get("data"), dict) and "result" in want["data"] and "analysis" not in want["data"]:
                check_eq(got.get("data", {}).pop("analysis", None), {}, f"analysis of {x}")        # left out of the recording
            if status != x.get("status", 200) or not same(by_labels(got), by_labels(want)):
                wrong.append(f"{os.path.basename(path)} {x['params']}: {status}\n  got  {json.dumps(got)[:1500]}\n  want {json.dumps(want)[:1500]}")
    check(not wrong, f"{len(wrong)} of {n} differ:\n" + "\n".join(wrong[:5]))
    return n


def test_gives_the_recorded_results_at_each_resolution(t):
    s = store(t)
    p = querier(t, [f"127.0.0.1:{s.grpc_port}"])
    check_eq(check_recorded(p, sorted(glob.glob(os.path.join(shared(t, "thanos", "queries"), "q[0-9]*.json")))), 384, "queries")
    with open(os.path.join(shared(t, "thanos", "queries"), "stores.json")) as f:
        want = json.load(f)["store"][0]
    got = p.api("stores")["store"][0]
    for key in ("lastError", "labelSets", "minTime", "maxTime"):
        check_eq(got[key], want[key], key)
    # Another querier behind this one: the same answers once more through gRPC.
    front = querier(t, [f"127.0.0.1:{p.grpc_port}"])
    check_eq(list(front.api("stores")), ["query"])
    check_eq(check_recorded(front, [os.path.join(shared(t, "thanos", "queries"), "q02.json")]), 24, "queries through two queriers")
    check_eq(front.stop(), 0)
    check_eq(p.stop(), 0, "exit code after SIGTERM")


def test_answers_the_recorded_requests_over_grpc(t):
    ca, cert, key = certificates(t)
    s = store(t, "--grpc-server-tls-cert=" + cert, "--grpc-server-tls-key=" + key, "--grpc-server-tls-client-ca=" + ca)
    p = querier(t, [f"127.0.0.1:{s.grpc_port}"], "--grpc-client-tls-secure", "--grpc-client-tls-ca=" + ca, "--grpc-client-tls-cert=" + cert,
                "--grpc-client-tls-key=" + key, "--grpc-client-server-name=localhost", "--grpc-compression=snappy")
    r = subprocess.run([venv_python(t), t.write("client.py", CLIENT), str(p.grpc_port), shared(t, "grpc"), os.path.join(ROOT, "tests")],
                       capture_output=True, text=True, timeout=120, check=False)
    check(r.returncode == 0, r.stdout + r.stderr[-6000:])


def test_gives_the_recorded_results_of_deduplicated_buckets(t):
    for name in ("onetoone", "penalty"):
        s = store(t, bucket=shared(t, "thanos", f"bucket-{name}"), data=name)
        p = querier(t, [f"127.0.0.1:{s.grpc_port}"])
        check_eq(check_recorded(p, [os.path.join(shared(t, "thanos", "queries"), f"bucket-{name}.json")]), 54, "queries")
        check_eq(p.stop(), 0)
        check_eq(s.stop(), 0)


def test_a_store_that_went_away_is_missed_by_a_warning(t):
    s = store(t)
    p = querier(t, [f"127.0.0.1:{s.grpc_port}"], "--endpoint.info-timeout=1s")
    params = {"query": "count(http_requests_total)", "time": 1699750800}
    status, got = ask(p, "/api/v1/query", params)
    check_eq((status, got["data"]["result"][0]["value"][1], got.get("warnings")), (200, "2", None))
    s.kill9()
    wait_for("the querier to notice", lambda: p.api("stores")["store"][0]["lastError"], 60)
    status, got = ask(p, "/api/v1/query", params)
    check_eq((status, got["data"]["result"]), (200, []))
    check(len(got["warnings"]) == 1 and f"127.0.0.1:{s.grpc_port}" in got["warnings"][0] and "not asked, since it fails" in got["warnings"][0], got)
    status, got = ask(p, "/api/v1/labels", {"start": 1699750800})
    check(status == 200 and "not asked, since it fails" in got["warnings"][0], got)
    status, got = ask(p, "/api/v1/query", {**params, "time": 1})
    check_eq((status, got.get("warnings")), (200, None), "a time of which it has nothing")


def test_a_missing_store_is_a_matter_of_the_wish(t):
    s = store(t)
    gone = free_port()
    p = querier(t, [f"127.0.0.1:{s.grpc_port}"], f"--endpoint-strict=127.0.0.1:{gone}")
    params = {"query": "count(http_requests_total)", "time": 1699750800}
    status, got = ask(p, "/api/v1/query", params)
    check_eq((status, got["data"]["result"][0]["value"][1]), (200, "2"))
    check(len(got["warnings"]) == 1 and f"127.0.0.1:{gone}" in got["warnings"][0], got)
    r = p.get("/api/v1/query?" + urllib.parse.urlencode(params))
    check_eq(r.headers.get("cache-control"), "no-store")
    status, got = ask(p, "/api/v1/query", {**params, "partial_response": "false"})
    check_eq((status, got["errorType"]), (422, "execution"))
    status, got = ask(p, "/api/v1/query", {**params, "storeMatch[]": f'{{__address__!="127.0.0.1:{gone}"}}'})
    check("warnings" not in got, got)
    check(metric(p, "thanos_query_range_requested_timespan_duration_seconds_count") is not None, "metrics")


def test_follows_dns(t):
    s = store(t)
    dns = Dns(t)
    dns.set_a("a.store.test", "127.0.0.1")
    dns.set_srv("_grpc._tcp.store.test", [("a.store.test", s.grpc_port)])
    p = querier(t, ["dnssrv+_grpc._tcp.store.test"], "--store.sd-dns-interval=100ms", "--endpoint.info-timeout=1s", env=dns.env)
    check_eq([x["name"] for x in p.api("stores")["store"]], [f"127.0.0.1:{s.grpc_port}"])
    check_eq(p.value("count(http_requests_total)", time=1699750800), 2.0)
    dns.fail = True
    asked = len(dns.asked)
    wait_for("more questions", lambda: len(dns.asked) > asked + 4, 60)
    check_eq(p.value("count(http_requests_total)", time=1699750800), 2.0, "with the addresses that were known")
    dns.fail = False
    dns.remove("_grpc._tcp.store.test")
    wait_for("the store to go", lambda: p.api("stores") == {}, 60)
    dns.set_srv("_grpc._tcp.store.test", [("a.store.test", s.grpc_port)])
    wait_for("the store to come back", lambda: len(p.api("stores").get("store", [])) == 1, 60)
    check(("_grpc._tcp.store.test", SRV) in dns.asked, dns.asked[:5])
    check(metric(p, "thanos_query_store_apis_dns_lookups_total") > 4, "dns lookups")
    check(metric(p, "thanos_query_store_apis_dns_failures_total") > 0, "dns failures")


def fake(t, mode):
    port = free_port()
    p = Proc(t, [venv_python(t), os.path.join(ROOT, "tests", "e2e", "fake_store.py"), str(port), shared(t, "grpc"), mode])
    wait_for(f"the {mode} store", lambda: "serving" in p.log, 60)
    return f"127.0.0.1:{port}"


def test_stores_that_misbehave_cost_their_own_part(t):
    s = store(t)
    modes = ("cut", "garbage", "bad_chunk", "flood", "hang", "hang")
    bad = [fake(t, m) for m in modes]
    good = f"127.0.0.1:{s.grpc_port}"
    p = querier(t, [good, *bad], "--store.response-timeout=4s")
    query = {"query": "http_requests_total", "start": 1699743600, "end": 1699761600, "step": 600}
    _, want = ask(p, "/api/v1/query_range", {**query, "storeMatch[]": f'{{__address__="{good}"}}'})
    check("warnings" not in want and len(want["data"]["result"]) == 2, want)
    status, got = ask(p, "/api/v1/query_range", query)
    check_eq(status, 200)
    check_eq(by_labels(got)["data"], by_labels(want)["data"], "the answer of the store that works")
    for mode, address in zip(modes, bad):
        check(mode == "flood" or any(address in w for w in got["warnings"]), f"no warning for {mode} at {address}: {str(got['warnings'])[:3000]}")
    status, got = ask(p, "/api/v1/query_range", {**query, "partial_response": "false"})
    check_eq((status, got["errorType"]), (422, "execution"))
    check(p.rss_anon_kib() < 400 << 10, f"{p.rss_anon_kib()} KiB after stores that send without end")
    check_eq(p.stop(), 0)


def test_two_stores_with_the_same_data_are_one(t):
    s, other = store(t), store(t, data="other")
    p = querier(t, [f"127.0.0.1:{s.grpc_port}", f"127.0.0.1:{other.grpc_port}"])
    for name in ("q00", "q05"):
        check_recorded(p, [os.path.join(shared(t, "thanos", "queries"), f"{name}.json")])


def test_finds_stores_by_files_and_by_the_old_info(t):
    s, old = store(t), fake(t, "old")
    address = f"127.0.0.1:{s.grpc_port}"
    path = t.write("sd/a.json", "[]")
    p = querier(t, [old], f"--store.sd-files={t.path('sd')}/*", "--endpoint.info-timeout=1s")
    check_eq(p.api("stores")["sidecar"][0]["labelSets"], [{"cluster": "c1", "replica": "r0"}])
    t.write("sd/b.yml", f"- targets: ['{address}']\n- targets: ['{address}']\n")
    wait_for("the store of a file", lambda: [x["name"] for x in p.api("stores").get("store", [])] == [address], 60)
    os.rename(path, path + ".old")
    t.write("sd/b.yml", "- targets: [")
    wait_for("a word about the file that is none", lambda: "b.yml" in p.log, 60)
    check_eq([x["name"] for x in p.api("stores")["store"]], [address], "what was known stays")
    os.remove(t.path("sd", "b.yml"))
    wait_for("the store to go", lambda: "store" not in p.api("stores"), 60)


def test_asks_only_the_stores_that_the_selector_keeps(t):
    s = store(t)
    config = t.write("selector.yml", "- {action: keep, source_labels: [replica], regex: r1}\n")
    p = querier(t, [], f"--endpoint-group=127.0.0.1:{s.grpc_port}", f"--selector.relabel-config-file={config}")
    wait_for("the store", lambda: p.api("stores"), 60)
    got = p.query("http_requests_total", time=1699750800, dedup="false")
    check_eq({x["metric"]["replica"] for x in got}, {"r1"})
    check_eq(p.api("label/replica/values"), ["r1"])


def test_keeps_tenants_apart_and_says_what_is_wrong(t):
    s = store(t)
    p = querier(t, [f"127.0.0.1:{s.grpc_port}"], "--query.enforce-tenancy", "--query.tenant-label-name=replica", "--query.tenant-header=X-Who",
                "--query.default-tenant-id=r0")
    params = urllib.parse.urlencode({"query": "count(http_requests_total) + on() count(http_requests_total{replica=\"r0\"})", "time": 1699653600, "dedup": "false"})
    for headers, want in (({}, "4"), ({"X-Who": "r1"}, "4"), ({"X-Who": "nobody"}, None)):
        got = p.get(f"/api/v1/query?{params}", headers=headers).json["data"]["result"]
        check_eq(got[0]["value"][1] if got else None, want, f"for {headers}")
    names = p.get("/api/v1/label/replica/values", headers={"X-Who": "r1"}).json["data"]
    check_eq(names, ["r1"])
    check_eq(p.get(f"/api/v1/query?{params}", headers={"X-Who": "../x"}).status, 400)
    check_eq(p.stop(), 0)
    for flags, text in ((["--endpoint=x:1", "--endpoint=x:1"], "duplicated"), (["--endpoint-strict=dns+x:1"], "not permitted under strict mode"),
                        (["--query.mode=distributed"], "--query.mode=distributed is not supported yet"),
                        (["--query.tenant-certificate-field=organization"], "--query.tenant-certificate-field is not supported yet"),
                        (["--selector-label=a"], "unrecognized label"), (["--endpoint=x"], "missing port in address")):
        code, log = t.run("thanos", "query", *flags)
        check(code == 1 and text in log, f"{flags}: {code} {log}")
