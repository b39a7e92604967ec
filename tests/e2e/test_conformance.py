# SPDX-License-Identifier: Apache-2.0
"""Recorded answers of the original over its own data directory: our server opens the same directory and must answer the same."""
import hashlib
import json
import os
import shutil
import urllib.parse

from harness.core import ROOT, Failed, check, check_eq, http_request

SHARED = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(ROOT, "..", "shared")), "conformance")
# What a later issue brings: a reply (or query) that holds one of these is passed over, and counted by what it needs.
LATER = {}
PATHS_LATER = {"/api/v1/otlp/v1/metrics": "OTLP",
               "/api/v1/write": "the remote-write receiver"}

# As the recorded server had them.
RULES = """groups:
- name: g1
  interval: 1h
  labels: {team: x}
  rules:
  - {record: 'job:r:sum', expr: 'sum by (job) (requests_total)', labels: {l: v}}
  - {alert: A1, expr: vector(1), for: 1h, keep_firing_for: 5m, labels: {severity: page}, annotations: {summary: 'v={{ $value }}'}}
- name: g2
  interval: 1h
  rules:
  - {alert: A2, expr: vector(0) > 1}
"""


def shared(t, name):
    path = os.path.join(SHARED, name)
    if not os.path.exists(path):
        t.skip(f"{name} is not there (../shared/conformance or $COEUS_SHARED)")
    return path


def server(t, *flags):
    """Over a copy of tsdb/killed, as the recordings were made, but without what comes later."""
    shutil.copytree(os.path.join(shared(t, "tsdb/killed"), "data"), t.path("data"))
    for folder, _, files in os.walk(t.path("data")):
        os.chmod(folder, 0o755)
        for f in files:
            os.chmod(os.path.join(folder, f), 0o644)
    t.write("r.yml", RULES)
    return t.prometheus("global: {external_labels: {cluster: c1}}\nrule_files: [r.yml]\nstorage: {tsdb: {out_of_order_time_window: 1h}, exemplars: {max_exemplars: 1000}}\n", "--storage.tsdb.retention.time=100y", "--enable-feature=exemplar-storage", "--web.enable-admin-api", "--web.enable-lifecycle", *flags)


def needs(case):
    text = json.dumps(case)
    if case["path"] in PATHS_LATER and case["status"] == 200:
        return PATHS_LATER[case["path"]]
    for word, what in LATER.items():
        if word in text:
            return what
    return None


def canonical_rules(reply, folder):
    """Times are blanked as in the recording; the recorded server was started beside its rule file."""
    reply = json.loads(json.dumps(reply))
    for g in reply["data"]["groups"]:
        g["file"], g["lastEvaluation"], g["evaluationTime"] = os.path.relpath(g["file"], folder) if g["file"].startswith("/") else g["file"], "time", 0
        for r in g["rules"]:
            r["lastEvaluation"], r["evaluationTime"] = "time", 0
    if "groupNextToken" in reply["data"]:
        check(reply["data"]["groupNextToken"] in [hashlib.sha256(f"{f};g2".encode()).hexdigest() for f in ("r.yml", os.path.join(folder, "r.yml"))], "the token of g2")
        reply["data"]["groupNextToken"] = "g2"
    return reply


def canonical(path, reply, folder):
    if path.endswith("/rules") and isinstance(reply, dict) and "data" in reply:
        return canonical_rules(reply, folder)
    if path.endswith("/status/config") and isinstance(reply, dict):
        yaml = reply["data"]["yaml"].replace(f"{folder}/r.yml", "r.yml")    # the window is of this test
        return {**reply, "data": {"yaml": yaml.replace("outofordertimewindow: 3600000\n    out_of_order_time_window: 1h\n", "outofordertimewindow: 0\n")}}
    """Lists whose order says nothing, sorted. In the top lists of /status/tsdb the order of equals, and which of the least are shown, is chance."""
    if isinstance(reply, dict) and path.endswith("/status/tsdb") and isinstance(reply.get("data"), dict):
        reply = json.loads(json.dumps(reply))
        for key, top in reply["data"].items():
            if isinstance(top, list) and top:
                least = min(x["value"] for x in top)
                reply["data"][key] = sorted([x["value"], x["name"] if x["value"] > least else ""] for x in top)
    if isinstance(reply, dict) and path.endswith("/query") and isinstance(reply.get("data"), dict) and reply["data"].get("resultType") == "vector":
        reply = json.loads(json.dumps(reply))
        reply["data"]["result"].sort(key=lambda s: json.dumps(s, sort_keys=True))
    if isinstance(reply, dict) and path.endswith("/series") and isinstance(reply.get("data"), list):
        reply = {**reply, "data": sorted(reply["data"], key=lambda s: json.dumps(s, sort_keys=True))}
    return reply


def test_api_replies(t):
    with open(shared(t, "api/replies.json")) as f:
        cases = json.load(f)
    p, same, wrong, skipped = server(t), 0, [], {}
    for c in cases:
        what = needs(c)
        if what:
            skipped[what] = skipped.get(what, 0) + 1
            continue
        query = urllib.parse.urlencode([tuple(x) for x in c["params"]])
        post = c["method"] in ("POST", "PUT")
        path = c["path"] + (f"?{query}" if query and not post else "")
        headers = dict(c.get("headers") or {})
        if post:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        r = http_request(p.port, c["method"], path, body=query if post else None, headers=headers)
        got, want = r.text, c["reply"]
        if isinstance(want, (dict, list)):
            try:
                got = r.json
            except Failed:
                pass
        got, want = canonical(c["path"], got, t.dir), canonical(c["path"], want, t.dir)
        if r.status != c["status"] or (want is not None and got != want):
            wrong.append(f"{c['method']} {path} {c['params']}\n    got  {r.status} {json.dumps(got)[:600]}\n    want {c['status']} {json.dumps(want)[:600]}")
        else:
            same += 1
    print("SKIP conformance/api: " + ", ".join(f"{n} replies for {what}" for what, n in sorted(skipped.items())), flush=True)
    check(not wrong, f"{same} the same, {len(wrong)} differ:\n" + "\n".join(wrong))
    check(same > 60, f"only {same} replies compared")


def test_what_the_directory_holds(t):
    """Series of tsdb/killed, sample by sample, as the original serves them: floats and native histograms."""
    with open(os.path.join(shared(t, "tsdb/killed"), "holds.json")) as f:
        holds = json.load(f)
    p, n, n_histograms = server(t), 0, 0
    end = max(v[0] for s in holds["matrix"] for v in s.get("values", []) + s.get("histograms", []))
    for s in holds["matrix"]:
        selector = "{" + ",".join(f"{json.dumps(k)}={json.dumps(v, ensure_ascii=False)}" for k, v in s["metric"].items()) + "}"
        r = p.query(selector + "[12h]", time=end)
        check_eq(len(r), 1, selector)
        got, want = ({v[0]: v[1] for key in ("values", "histograms") for v in x.get(key, [])} for x in (r[0], s))
        n_histograms += "histograms" in s
        check_eq(sorted(got), sorted(want), f"{selector}: times")
        for x in got:
            check_eq(got[x], want[x], f"{selector} at {x}")
        n += 1
    check(n >= 8 and n_histograms >= 4, f"only {n} series compared, {n_histograms} with histograms")
