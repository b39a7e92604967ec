# SPDX-License-Identifier: Apache-2.0
"""`coeus thanos sidecar`: the recorded requests over our prometheus with the recorded data, uploads to a directory and to S3, and a Prometheus that
answers rubbish."""
import json
import os
import shutil
import subprocess
import threading

from harness.core import Proc, ROOT, check, check_eq, coeus_bin, free_port, wait_for
from harness.fake_prometheus import FakePrometheus, chunked_series, field, fields, frame
from harness.venv import certificates, venv_python

CLIENT = r'''
import json, os, sys
import grpc
sys.path.insert(0, sys.argv[4])
from e2e.pb_fields import fields

port, folder, what, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[5:]
METHODS = {"store": ("/thanos.Store/", "/thanos.info.Info/"), "api": ("/thanos.Rules/", "/thanos.Targets/", "/thanos.Metadata/", "/thanos.Exemplars/")}[what]
# What is never the same twice, by message and field: times of evaluations and scrapes, durations.
MOVES = {("group", 5), ("group", 6), ("recording", 6), ("recording", 7), ("alert", 10), ("alert", 11), ("instance", 4), ("active", 7), ("active", 8)}
KINDS = {("rules", 1): "group", ("group", 3): "rule", ("rule", 1): "recording", ("rule", 2): "alert", ("alert", 7): "instance",
         ("targets", 1): "discovery", ("discovery", 1): "active"}


def still(kind, b):
    out = []
    for k, v in fields(b):
        if (kind, k) in MOVES:
            continue
        out.append((k, still(KINDS[kind, k], v) if (kind, k) in KINDS else v))
    return out


def series(frames):
    return [v for f in frames for k, v in fields(f) if k == 1]


def view(method, frames):
    if method.endswith("/Series"):
        return series(frames)
    if method.endswith("/Rules"):
        return [still("rules", f) for f in frames]
    if method.endswith("/Targets"):
        return [still("targets", f) for f in frames]
    if method.endswith("/MetricMetadata"):
        return [sorted(fields(v)) for f in frames for k, v in fields(f)]
    return [list(fields(f)) for f in frames]


def channel():
    options = [("grpc.max_receive_message_length", -1)]
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    read = lambda p: open(p, "rb").read()
    cred = grpc.ssl_channel_credentials(read(tls[0]), *([read(tls[2]), read(tls[1])] if len(tls) > 1 else []))
    return grpc.secure_channel(f"localhost:{port}", cred, options=options)


def ask(ch, method, request):
    if method.endswith(("/LabelNames", "/LabelValues", "/Info")):
        return [ch.unary_unary(method)(request, timeout=60)]
    return list(ch.unary_stream(method)(request, timeout=60))


done, wrong = 0, []
with channel() as ch:
    for x in json.load(open(os.path.join(folder, "index.json"))):
        if x["server"] != "sidecar-0.36" or not x["method"].startswith(METHODS):
            continue
        request = open(os.path.join(folder, x["request_file"]), "rb").read()
        want = [open(os.path.join(folder, r["file"]), "rb").read() for r in x["responses"]]
        text = x.get("message", "")
        try:
            got, status, said = ask(ch, x["method"], request), "OK", ""
        except grpc.RpcError as e:
            got, status, said = [], e.code().name, e.details()
        done += 1
        if status != x["status"] or said != text:
            wrong.append(f"{x['name']}: {status} {said}, want {x['status']} {text}")
        elif status == "OK" and view(x["method"], got) != view(x["method"], want):
            wrong.append(f"{x['name']}: another answer: {view(x['method'], got)!r:.600}, want {view(x['method'], want)!r:.600}")
print(f"{done} requests")
assert done >= {"store": 24, "api": 14}[what], done
assert not wrong, "\n".join(wrong)
'''

EXTERNAL = "global: {external_labels: {cluster: c1, replica: r0}}\n"
TWO_HOURS = ("--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h", "--storage.tsdb.retention.time=100y")


def shared(t, *parts):
    path = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(os.path.dirname(ROOT), "shared")), "conformance", *parts)
    if not os.path.exists(path):
        t.skip("no ../shared/conformance")
    return path


def sidecar(t, prometheus_port, *flags, ready=True, tsdb="data"):
    port, grpc_port = free_port(), free_port()
    p = Proc(t, [coeus_bin(), "thanos", "sidecar", f"--prometheus.url=http://127.0.0.1:{prometheus_port}/", f"--tsdb.path={t.path(tsdb)}",
                 f"--http-address=127.0.0.1:{port}", f"--grpc-address=127.0.0.1:{grpc_port}", *flags], port=port)
    p.grpc_port = grpc_port
    return p.wait_ready(60) if ready else p


def ask_recorded(t, p, what, *tls):
    r = subprocess.run([venv_python(t), t.write("client.py", CLIENT), str(p.grpc_port), shared(t, "grpc"), what, os.path.join(ROOT, "tests"), *tls], capture_output=True, text=True, timeout=120, check=False)
    check(r.returncode == 0, r.stdout + r.stderr[-6000:])


def metric(p, name):
    for line in p.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def recorded_prometheus(t, binary=None):
    shutil.copytree(shared(t, "tsdb", "killed", "data"), t.path("data"))
    subprocess.run(["chmod", "-R", "u+w", t.path("data")], check=True)
    return t.prometheus(EXTERNAL, *TWO_HOURS, binary=binary)


def test_answers_the_recorded_requests(t):
    prometheus = recorded_prometheus(t)
    p = sidecar(t, prometheus.port)
    ask_recorded(t, p, "store")
    check_eq(p.get("/-/healthy").text, "OK")
    check_eq(metric(p, "thanos_sidecar_prometheus_up"), 1.0)
    check_eq(metric(p, 'grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Series",grpc_service="thanos.Store",grpc_type="server_stream"}'), 3.0)
    check_eq(p.get("/").status, 404)
    check_eq(p.stop(), 0, "exit code after SIGTERM")


def test_answers_them_over_mtls(t):
    prometheus = recorded_prometheus(t)
    ca, cert, key = certificates(t)
    p = sidecar(t, prometheus.port, "--grpc-server-tls-cert=" + cert, "--grpc-server-tls-key=" + key, "--grpc-server-tls-client-ca=" + ca)
    ask_recorded(t, p, "store", ca, cert, key)
    check_eq(p.stop(), 0)


# --- any requests ---

ASKER = r'''
import json, sys
import grpc
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1], options=[("grpc.max_receive_message_length", -1)]) as ch:
    for line in sys.stdin:
        out = []
        for method, request, timeout in json.loads(line):
            try:
                fn = ch.unary_unary if method.endswith(("/LabelNames", "/LabelValues", "/Info")) else ch.unary_stream
                got = fn(method)(bytes.fromhex(request), timeout=timeout)
                out.append(["OK", "", [m.hex() for m in ([got] if isinstance(got, bytes) else got)]])
            except grpc.RpcError as e:
                out.append([e.code().name, e.details(), []])
        print(json.dumps(out), flush=True)
'''


def ask(t, p, *calls):
    """(status, message, [bytes]) of each (method, request) or (method, request, timeout). One client lives as long as the test."""
    if not hasattr(p, "asker"):
        p.asker = subprocess.Popen([venv_python(t), t.write("asker.py", ASKER), str(p.grpc_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.cleanup(lambda: (p.asker.kill(), p.asker.wait()))
    p.asker.stdin.write(json.dumps([(c[0], c[1].hex(), c[2] if len(c) > 2 else 60) for c in calls]) + "\n")
    p.asker.stdin.flush()
    line = p.asker.stdout.readline()
    check(line, "the client ended")
    return [(status, message, [bytes.fromhex(m) for m in frames]) for status, message, frames in json.loads(line)]


def matcher(name, value, kind=0):
    return field(1, kind) + field(2, name) + field(3, value)


def series_request(*matchers, start=0, end=1 << 60, more=b""):
    return field(1, start) + field(2, end) + b"".join(field(3, m) for m in matchers) + more


def labels_of(message):
    """The labels of a SeriesResponse, as text."""
    series = dict(fields(message))[1]
    pairs = [dict(fields(v)) for k, v in fields(series) if k == 1]
    return ",".join(f"{x[1].decode()}={x[2].decode()}" for x in pairs)


SERIES, INFO = "/thanos.Store/Series", "/thanos.info.Info/Info"
UP = matcher("__name__", "up")


def test_rules_targets_metadata_and_exemplars_have_the_external_labels(t):
    """What Prometheus 3.14 gave when the answers of the original sidecar were recorded."""
    prometheus = FakePrometheus(t)
    at = "2026-11-22T15:25:55.903381461Z"
    recording = {"name": "job:demo:sum", "query": "sum by (job) (demo_total)", "labels": {"team": "x"}, "health": "ok", "evaluationTime": 0.1, "lastEvaluation": at, "type": "recording"}
    always = {"state": "firing", "name": "Always", "query": "vector(1)", "duration": 0, "keepFiringFor": 0, "labels": {"severity": "page"}, "annotations": {"summary": "v={{ $value }}"},
              "alerts": [{"labels": {"alertname": "Always", "severity": "page"}, "annotations": {"summary": "v=1"}, "state": "firing", "activeAt": at, "value": "1e+00"}],
              "health": "ok", "evaluationTime": 0.1, "lastEvaluation": at, "type": "alerting"}
    pending = {"state": "inactive", "name": "Pending", "query": "temp > 1", "duration": 3600, "keepFiringFor": 300, "labels": {}, "annotations": {}, "alerts": [], "health": "ok",
               "evaluationTime": 0.1, "lastEvaluation": at, "type": "alerting"}

    def rules(params):
        kind = params.get("type", [""])[0]
        if sum(path.endswith("/rules") for path, _ in prometheus.requests) == 4:        # the series came between the third and the fourth recording
            pending["state"] = "pending"
            pending["alerts"] = [{"labels": {"alertname": "Pending", "instance": "127.0.0.1:41875", "job": "demo", "zone": "z1"}, "annotations": {}, "state": "pending", "activeAt": at,
                                  "value": "3e+00"}]
        keep = [r for r in (recording, always, pending) if not kind or r["type"].startswith(kind)]
        return {"groups": [{"name": "g1", "file": "rules.yml", "rules": keep, "interval": 1, "limit": 0, "evaluationTime": 0.1, "lastEvaluation": at}]}

    def discovered(address, job, **more):
        return {"__address__": address, "__always_scrape_classic_histograms__": "false", "__convert_classic_histograms_to_nhcb__": "false", "__metrics_path__": "/metrics", "__scheme__": "http",
                "__scrape_interval__": "1s", "__scrape_native_histograms__": "false", "__scrape_timeout__": "1s", "job": job, **more}

    def active(port, job, health, error, **more):
        return {"discoveredLabels": discovered(f"127.0.0.1:{port}", job, **more), "labels": {"instance": f"127.0.0.1:{port}", "job": job, **more}, "scrapePool": job,
                "scrapeUrl": f"http://127.0.0.1:{port}/metrics", "globalUrl": f"http://h0:{port}/metrics", "lastError": error, "lastScrape": at, "lastScrapeDuration": 0.1, "health": health}

    def targets(params):
        state = params.get("state", ["any"])[0]
        refused = 'Get "http://127.0.0.1:1/metrics": dial tcp 127.0.0.1:1: connect: connection refused'
        out = {"activeTargets": [], "droppedTargets": []}
        if state != "dropped":
            out["activeTargets"] = [active(41875, "demo", "up", "", zone="z1"), active(1, "down", "down", refused)]
        if state != "active":
            out["droppedTargets"] = [{"discoveredLabels": discovered("127.0.0.1:2", "dropped")}]
        return out

    def metadata(params):
        known = {"demo": [{"type": "counter", "help": "A counter.", "unit": ""}], "temp": [{"type": "gauge", "help": "Gauge.", "unit": ""}]}
        name, limit = params.get("metric", [""])[0], int(params.get("limit", ["-1"])[0])
        found = [(k, v) for k, v in known.items() if not name or k == name]
        return dict(found[:limit] if limit >= 0 else found)

    def exemplars(params):
        if params["query"] != ["demo_total"]:
            return []
        check_eq((params["start"], params["end"]), (["1795361096.938"], ["1795361216.938"]), "times of the exemplars")
        return [{"seriesLabels": {"__name__": "demo_total", "a": "1", "instance": "127.0.0.1:41875", "job": "demo", "zone": "z1"},
                 "exemplars": [{"labels": {"trace_id": "abc"}, "value": "1", "timestamp": 1795361156.271}]}]

    prometheus.answers.update({"rules": rules, "targets": targets, "metadata": metadata, "query_exemplars": exemplars})
    p = sidecar(t, prometheus.port)
    ask_recorded(t, p, "api")
    prometheus.answers["rules"] = (503, "busy")
    prometheus.answers["targets"] = (200, '{"status":"error","error":"no","errorType":"bad_data"}')
    prometheus.answers["metadata"] = (200, "rubbish")
    prometheus.answers["query_exemplars"] = (404, "gone")
    got = ask(t, p, ("/thanos.Rules/Rules", b""), ("/thanos.Targets/Targets", b""), ("/thanos.Metadata/MetricMetadata", b""), ("/thanos.Exemplars/Exemplars", b""))
    check_eq([(s, m) for s, m, _ in got], [("UNAVAILABLE", "expected 2xx response, got 503. Body: busy"), ("INTERNAL", "no"),
                                           ("INTERNAL", "invalid character 'r' looking for beginning of value"), ("NOT_FOUND", "expected 2xx response, got 404. Body: gone")])
    check_eq(p.stop(), 0)


def test_follows_its_prometheus(t):
    """It waits for one that is not there yet, is not ready while it is away, and takes labels that change."""
    prometheus = FakePrometheus(t, external="")
    p = sidecar(t, prometheus.port, "--prometheus.get_config_interval=100ms", ready=False)
    check_eq(p.wait_exit(60), 1, "exit code without external labels")
    check("no external labels configured on Prometheus server, uniquely identifying external labels must be configured" in p.log, p.log)
    prometheus.down = True
    p = sidecar(t, prometheus.port, "--prometheus.get_config_interval=100ms", ready=False)
    wait_for("a word about it", lambda: "failed to fetch prometheus version. Is Prometheus running? Retrying" in p.log, 60)
    check_eq((p.get("/-/ready").status, p.get("/-/ready").text, p.get("/-/healthy").status), (503, "NOT OK", 200))
    prometheus.set_external("zone: z")
    prometheus.down = False
    p.wait_ready(60)
    status, _, (info,) = ask(t, p, (INFO, b""))[0]
    check(status == "OK" and b"zone" in info, f"{status} {info}")
    prometheus.set_external("zone: other")
    wait_for("the new label", lambda: b"other" in ask(t, p, (INFO, b""))[0][2][0], 60)
    check_eq(metric(p, "thanos_sidecar_prometheus_up"), 1.0)
    prometheus.down = True
    wait_for("it to be missed", lambda: p.get("/-/ready").status == 503 and metric(p, "thanos_sidecar_prometheus_up") == 0.0, 60)
    check_eq(ask(t, p, (INFO, b""))[0][:2], ("UNKNOWN", "Not ready"))
    prometheus.down = False
    p.wait_ready(60)
    check_eq(metric(p, "thanos_sidecar_prometheus_up"), 1.0)
    check_eq(p.stop(), 0)


XOR = bytes.fromhex("000180d095ffbc313ff8000000000000")      # one sample


def test_series_go_out_in_the_order_of_all_labels(t):
    prometheus = FakePrometheus(t)
    p = sidecar(t, prometheus.port)

    def answer(*sets):
        ext = {"cluster": "c1", "replica": "r0"}
        prometheus.read = b"".join(frame(chunked_series(dict(sorted({**ext, **s}.items())), [(1, 2, 1, XOR)])) for s in sets)
    # "up" alone sorts behind "up{a}" once it has "cluster", and before "up{z}".
    answer({"__name__": "up"}, {"__name__": "up", "a": "1"}, {"__name__": "up", "a": "1", "d": "2"}, {"__name__": "up", "z": "1"})
    status, _, frames = ask(t, p, (SERIES, series_request(UP)))[0]
    check_eq((status, [labels_of(f) for f in frames]),
             ("OK", ["__name__=up,a=1,cluster=c1,d=2,replica=r0", "__name__=up,a=1,cluster=c1,replica=r0", "__name__=up,cluster=c1,replica=r0", "__name__=up,cluster=c1,replica=r0,z=1"]))
    status, _, frames = ask(t, p, (SERIES, series_request(UP, more=field(14, "replica"))))[0]
    check_eq((status, [labels_of(f) for f in frames]), ("OK", ["__name__=up,a=1,cluster=c1", "__name__=up,a=1,cluster=c1,d=2", "__name__=up,cluster=c1", "__name__=up,cluster=c1,z=1"]))
    # A label of a series with an external name comes by surprise: refused once where it breaks the order, then sorted.
    answer({"__name__": "up", "cluster": "a", "i": "2"}, {"__name__": "up", "cluster": "b", "i": "1"})
    first, second = ask(t, p, (SERIES, series_request(UP)), (SERIES, series_request(UP)))
    check_eq(first[0], "UNKNOWN")
    check("ask again" in first[1], first[1])
    check_eq((second[0], [labels_of(f) for f in second[2]]), ("OK", ["__name__=up,cluster=c1,i=1,replica=r0", "__name__=up,cluster=c1,i=2,replica=r0"]))
    check_eq(p.stop(), 0)


def test_limits_of_one_call(t):
    prometheus = FakePrometheus(t)
    prometheus.read = b"".join(frame(chunked_series({"__name__": "up", "i": str(i)}, [(1, 2, 1, XOR)] * 2)) for i in range(5))
    p = sidecar(t, prometheus.port, "--store.limits.request-series=4")
    check_eq(ask(t, p, (SERIES, series_request(UP)))[0][:2], ("RESOURCE_EXHAUSTED", "failed to send series: limit 4 violated (got 5)"))
    check_eq(metric(p, 'thanos_store_selects_dropped_total{reason="series"}'), 1.0)
    check_eq(p.stop(), 0)
    p = sidecar(t, prometheus.port, "--store.limits.request-samples=1000")
    check_eq(ask(t, p, (SERIES, series_request(UP)))[0][:2], ("RESOURCE_EXHAUSTED", "failed to send samples: limit 1000 violated (got 1200)"))
    check_eq(p.stop(), 0)


def test_rubbish_from_prometheus_costs_one_call(t):
    prometheus = FakePrometheus(t)
    p = sidecar(t, prometheus.port)
    good = frame(chunked_series({"__name__": "up"}, [(1, 2, 1, XOR)]))
    stop = threading.Event()
    t.cleanup(stop.set)

    def hang(f):
        f.write(good)
        f.flush()
        stop.wait(60)

    def endless(f):
        while not stop.is_set():
            f.write(frame(b"\x12\x00") * 1000 + b"\xff" * 3)
    cases = [
        ("not supported remote read content type: text/html", b"<html>", "text/html"),
        ("next proto: unexpected EOF", good[:-3], None),
        ("next proto: unexpected EOF", good + b"\x05", None),
        ("next proto: chunkedReader: corrupted frame; checksum mismatch", good[:5] + b"\0" + good[6:], None),
        ("next proto: chunkedReader: message size exceeded the limit 50000000 bytes; got: 4294967295 bytes", b"\xff\xff\xff\xff\x0f" + b"\0" * 9, None),
        ("next proto: chunkedReader: the length of a frame is no number", b"\xff" * 20, None),
        ("malformed", frame(b"\x0a\xff"), None),
        ("malformed", frame(b"\x0a\x03\x12\xff\x01"), None),
        ("chunk with unknown encoding 99", frame(chunked_series({"__name__": "up"}, [(1, 2, 99, XOR)])), None),
        ("series with label a twice", frame(field(1, field(1, field(1, "a") + field(2, "1")) * 2 + field(2, field(3, 1) + field(4, XOR)))), None),
        ("decompress response", b"\xff\xff\xff", "application/x-protobuf"),
        ("", endless, None),
    ]
    for text, body, kind in cases:
        prometheus.read, prometheus.read_type = body, kind or FakePrometheus.STREAMED
        status, message, _ = ask(t, p, (SERIES, series_request(UP)))[0]
        check(status not in ("OK", "DEADLINE_EXCEEDED", "UNAVAILABLE") and text in message, f"{text!r}: {status} {message}")
    prometheus.read, prometheus.read_type = hang, FakePrometheus.STREAMED
    check_eq(ask(t, p, (SERIES, series_request(UP), 1))[0][0], "DEADLINE_EXCEEDED")
    prometheus.read, prometheus.read_status = b"overloaded", 503
    check_eq(ask(t, p, (SERIES, series_request(UP)))[0][:2], ("UNKNOWN", "query Prometheus: request failed with code 503 Service Unavailable; msg overloaded"))
    prometheus.read, prometheus.read_status = good, 200
    check_eq(ask(t, p, (SERIES, series_request(UP)))[0][0], "OK")
    check(p.rss_anon_kib() < 200_000 or "asan" in coeus_bin(), f"{p.rss_anon_kib()} KiB")
    check_eq(p.stop(), 0)


def test_samples_where_chunks_are_not_known(t):
    """An old Prometheus answers with samples, in no order: they become chunks of 120, sorted."""
    prometheus = FakePrometheus(t)

    def time_series(i, n):
        double = bytes.fromhex("000000000000f03f")
        return field(1, field(1, field(1, "__name__") + field(2, "up")) + field(1, field(1, "i") + field(2, i)) +
                     b"".join(field(2, b"\x09" + double + field(2, 1000 + k)) for k in range(n)))
    body = field(1, time_series("2", 121) + time_series("1", 3) + time_series("0", 0))
    prometheus.read_type = "application/x-protobuf"
    literal = b"".join(b"\xf0" + bytes([len(body[at:at + 256]) - 1]) + body[at:at + 256] for at in range(0, len(body), 256))
    n, head = len(body), bytearray()
    while n > 127:
        head.append(n & 127 | 128)
        n >>= 7
    prometheus.read = bytes(head) + bytes([n]) + literal
    p = sidecar(t, prometheus.port)
    status, message, frames = ask(t, p, (SERIES, series_request(UP)))[0]
    check_eq((status, message, [labels_of(f) for f in frames]), ("OK", "", ["__name__=up,cluster=c1,i=1,replica=r0", "__name__=up,cluster=c1,i=2,replica=r0"]))
    chunks = [[dict(fields(v)) for k, v in fields(dict(fields(f))[1]) if k == 2] for f in frames]
    check_eq([[(c[1], c[2]) for c in x] for x in chunks], [[(1000, 1002)], [(1000, 1119), (1120, 1120)]])
    check_eq(p.stop(), 0)
