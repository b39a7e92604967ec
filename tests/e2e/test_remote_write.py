# SPDX-License-Identifier: Apache-2.0
"""The remote write receiver: recorded requests to the original's, its answers, and what was stored."""
import json
import os
import time

from harness import write
from harness.core import ROOT, Failed, check_eq, http_request

SHARED = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(ROOT, "..", "shared")), "conformance", "remote")
HEADERS = ("X-Content-Type-Options", "X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written",
           "X-Prometheus-Remote-Write-Exemplars-Written")


def test_recorded_requests(t):
    path = os.path.join(SHARED, "receive.json")
    if not os.path.exists(path):
        t.skip("remote/receive.json is not there (../shared/conformance or $COEUS_SHARED)")
    with open(path) as f:
        recorded = json.load(f)
    p = t.prometheus("", "--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage", "--storage.tsdb.retention.time=100y")
    wrong = []
    for c in recorded["requests"]:
        if c["name"] == "v1_future":
            continue        # of the day of the recording: see below
        with open(os.path.join(SHARED, c["file"]), "rb") as f:
            body = f.read()
        r = http_request(p.port, "POST", "/api/v1/write", body=body, headers={k: v for k, v in c["headers"].items() if v})
        want = {k: v for k, v in c["reply_headers"].items() if k in HEADERS}
        got = {k: r.headers[k.lower()] for k in HEADERS if k.lower() in r.headers}
        if (r.status, r.body.decode(), got) != (c["status"], c["reply"], want):
            wrong.append(f"{c['name']}\n  got  {r.status} {r.body} {got}\n  want {c['status']} {c['reply']!r} {want}")
    if wrong:
        raise Failed(f"{len(wrong)} of {len(recorded['requests'])} differ:\n" + "\n".join(wrong))
    r = http_request(p.port, "GET", '/api/v1/query?query={__name__=~".%2B"}[1h]&time=1700007000')
    got = [{k: v for k, v in s.items()} for s in r.json["data"]["result"] if s["metric"].get("job") != "prometheus"]
    key = lambda s: json.dumps(s["metric"], sort_keys=True)  # noqa: E731
    check_eq(sorted(got, key=key), sorted(recorded["stored_afterwards"], key=key))


def test_samples_of_the_future_are_refused(t):
    p = t.prometheus("", "--web.enable-remote-write-receiver")
    now = int(time.time() * 1000)
    body = write.snappy(write.request([write.series({"__name__": "a"}, [(now, 1.0)]), write.series({"__name__": "b"}, [(now + 3600000, 1.0)])]))
    r = http_request(p.port, "POST", "/api/v1/write", body=body, headers=write.HEADERS)
    check_eq((r.status, r.body), (400, b'out of bounds: timestamp is too far in the future for series {__name__="b"}\n'))
    check_eq(r.headers["x-prometheus-remote-write-samples-written"], "1")
    check_eq(p.value("a"), 1.0)


def test_receiver_is_off_without_its_flag(t):
    p = t.prometheus("")
    r = http_request(p.port, "POST", "/api/v1/write", body=b"")
    check_eq((r.status, r.body), (404, b"remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n"))
    check_eq(http_request(p.port, "OPTIONS", "/api/v1/write").status, 204)
    check_eq(http_request(p.port, "OPTIONS", "/api/v1/read").status, 204)
