# SPDX-License-Identifier: Apache-2.0
"""PromQL over HTTP: the files of the test language, loaded by remote write and asked of a server."""
import concurrent.futures
import decimal
import glob
import math
import os
import random
import re
import urllib.parse

from harness import promql_random, reference, write
from harness.core import ROOT, Failed, check, http_request
from harness.promqltest import STALE, Eval, almost_equal, duration, sections

OWN = os.path.join(ROOT, "tests", "conformance", "promql")
SHARED = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(ROOT, "..", "shared")), "conformance", "promqltest")
FEATURES = "promql-experimental-functions,promql-delayed-name-removal,promql-extended-range-selectors,promql-binop-fill-modifiers,use-start-timestamps"
POSITION = re.compile(r" \(\d+:\d+\)$|^\d+:\d+: ")


def ask(port, ev):
    params = {"query": ev.query}
    if ev.kind == "instant":
        path, params["time"] = "/api/v1/query", f"{ev.start / 1000:.3f}"
    else:
        path = "/api/v1/query_range"
        params.update(start=f"{ev.start / 1000:.3f}", end=f"{ev.end / 1000:.3f}", step=f"{ev.step / 1000:.3f}")
    return http_request(port, "GET", path + "?" + urllib.parse.urlencode(params), timeout_s=60).json


def key(labels):
    return tuple(sorted(labels.items()))


def same_histogram(want, got):
    """Count, sum and the populated buckets' counts; their bounds are the unit tests' business."""
    zero = want.get("z_bucket", 0)
    zero = zero if zero > 0 else 0      # else the API says nothing of it
    counts = [x for x in want.get("n_buckets", [])[::-1] + [zero] + want.get("buckets", []) if x]
    have = [float(b[3]) for b in got.get("buckets", [])]
    return (almost_equal(want.get("count", 0), float(got["count"])) and almost_equal(want.get("sum", 0), float(got["sum"])) and
            len(counts) == len(have) and all(almost_equal(a, b) for a, b in zip(counts, have)))


def same_value(want, point, is_histogram):
    if isinstance(want, dict):
        return is_histogram and same_histogram(want, point)
    return not is_histogram and (want is STALE or almost_equal(want, float(point)))


def points_of(series):
    return {round(t * 1000): (v, h) for name, h in (("values", False), ("histograms", True)) for t, v in series.get(name, [])}


def check_matrix(ev, start, step, result):
    if [key(s["metric"]) for s in result] != sorted(key(s["metric"]) for s in result):
        return "not sorted"
    got = {key(s["metric"]): points_of(s) for s in result}
    want = {key(labels): {start + i * step: v for i, v in enumerate(values) if v is not None} for labels, values in ev.series}
    if set(got) != set(want):
        return f"series {sorted(set(got) ^ set(want))}"
    for labels, points in want.items():
        if set(points) != set(got[labels]):
            return f"points of {labels}"
        for t, v in points.items():
            if not same_value(v, *got[labels][t]):
                return f"{labels} at {t}: {got[labels][t]}, want {v}"
    return None


def check_vector(ev, result):
    got = [(key(s["metric"]), *((s["histogram"][1], True) if "histogram" in s else (s["value"][1], False))) for s in result]
    want = [(key(labels), values[0]) for labels, values in ev.series]
    if {g[0] for g in got} != {w[0] for w in want}:
        return f"series {sorted({g[0] for g in got} ^ {w[0] for w in want})}"
    if "ordered" in ev.expect and [g[0] for g in got] != [w[0] for w in want]:
        return "order"
    for labels, point, is_histogram in got:
        if not same_value(dict(want)[labels], point, is_histogram):
            return f"{labels}: {point}, want {dict(want)[labels]}"
    return None


def check_texts(ev, kind, texts):
    """expect warn|info [msg: …|regex: …], expect no_warn|no_info"""
    if f"no_{kind}" in ev.expect and texts:
        return f"unexpected {kind}: {texts}"
    lines = [x for x in ev.expect if x == kind or x.startswith(kind + " ")]
    matches = []
    for x in lines:
        rest = x[len(kind):].strip()
        test = ((lambda t, r=rest[4:].strip(): t == r) if rest.startswith("msg:") else
                (lambda t, r=re.compile(rest[6:].strip()): bool(r.search(t))) if rest.startswith("regex:") else (lambda t: True))
        matches.append(test)
        if not any(test(t) for t in texts):
            return f"{x}: got {texts}"
    for t in texts:
        if matches and not any(m(t) for m in matches):
            return f"{kind} that is not expected: {t}"
    return None


def wrong(ev, reply):
    fails = [x for x in ev.expect if x == "fail" or x.startswith(("fail ", "expected_fail"))]
    if fails:
        if reply["status"] != "error":
            return "it should fail"
        text = POSITION.sub("", reply["error"])
        for x in fails:
            m = re.match(r"(?:fail |expected_fail_)(msg:|message|regex:|regexp)\s*(.*)", x)
            if m and not (text == m[2] if m[1] in ("msg:", "message") else re.search(m[2], text)):
                return f"error {text!r}, want {x}"
        return None
    if reply["status"] != "success":
        return reply["error"]
    data, series_range = reply["data"], [x for x in ev.expect if x.startswith("range vector")]
    fault = check_texts(ev, "warn", reply.get("warnings", [])) or check_texts(ev, "info", reply.get("infos", []))
    if fault or data["resultType"] == "string":
        return fault
    if data["resultType"] == "scalar":
        return None if ev.scalar is not None and almost_equal(ev.scalar, float(data["result"][1])) else f"scalar {data['result'][1]}"
    if ev.kind == "range":
        return check_matrix(ev, ev.start, ev.step, data["result"])
    if series_range:
        start, _, step = (duration(x) for x in re.match(r"range vector from (\S+) to (\S+) step (\S+)", series_range[0]).groups())
        return check_matrix(ev, start, step, data["result"])
    return check_vector(ev, data["result"])


def run_section(t, name, number, section):
    p = t.prometheus("global: {evaluation_interval: 1m}\n", "--web.enable-remote-write-receiver", f"--enable-feature={FEATURES}",
                     "--storage.tsdb.min-block-duration=24h", "--storage.tsdb.max-block-duration=24h", "--storage.tsdb.retention.time=200y",
                     data=f"data-{name}-{number}")
    evals, out = 0, []
    for step in section.steps:
        if not isinstance(step, Eval):
            write.write(p.port, step)
            continue
        evals += 1
        fault = wrong(step, ask(p.port, step))
        if fault:
            out.append(f"{name}:{step.line} {step.query}: {fault}")
    p.kill9()
    t.procs.remove(p)   # there are too many to keep
    p.log_file.close()
    return evals, out


def run_files(t, paths):
    """Sections whose data need what the head does not keep yet are left out: start times, and custom buckets made on loading."""
    jobs = []
    for path in paths:
        name = os.path.basename(path)[:-5]
        with open(path) as f:
            for i, section in enumerate(sections(f.read())):
                if not section.classic and not section.starts:
                    jobs.append((name, i, section))
    evals, faults = 0, []
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        for n, out in pool.map(lambda j: run_section(t, *j), jobs):
            evals += n
            faults += out
    if faults:
        raise Failed(f"{len(faults)} of {evals} differ:\n" + "\n".join(faults[:20]))
    return evals


def test_our_own_files(t):
    check(run_files(t, sorted(glob.glob(OWN + "/*.test"))) > 100, "too few evals")


def test_the_originals_files(t):
    paths = sorted(glob.glob(SHARED + "/*.test"))
    if not paths:
        t.skip("promqltest is not there (../shared/conformance or $COEUS_SHARED)")
    check(run_files(t, paths) > 1500, "too few evals")


def test_queries_that_are_built_to_hurt(t):
    """Each is answered, in bounded memory, by a result or by an error that says why; and the server goes on."""
    p = t.prometheus("", "--web.enable-remote-write-receiver", "--query.max-memory=256MB")
    write.write(p.port, [write.series({"__name__": "g", "i": str(i)}, [(k * 15000, float(k % 7)) for k in range(100)]) for i in range(20)])
    deep = "expression is nested more than 2000 levels deep"
    memory = "bytes of memory that one query may use"
    cases = [
        ("+".join(["1"] * 500000), 400, deep), ("or ".join(["g "] * 250000), 400, deep), ("(" * 10000 + "g" + ")" * 10000, 400, deep),
        ("-" * 10000 + "g", 400, deep), ("abs(" * 10000 + "g" + ")" * 10000, 400, deep), ("max_over_time(" * 5000 + "g" + "[1m:15s])" * 5000, 400, deep),
        ("(" * 1900 + "g" + ")" * 1900, 200, None), ("abs(" * 1900 + "g" + ")" * 1900, 200, None), ("g" + " + g" * 1500, 200, None),
        ("max_over_time(" * 300 + "g" + "[1m:15s])" * 300, 200, None), ("a" * 1000000, 200, None), ('"' + "\\x41" * 200000 + '"', 200, None),
        ("sum_over_time(g[1y:1ms])", 422, memory), ("sum_over_time(g[1y:100ms])", 422, memory), ("rate(g[1000y])", 400, "duration out of range"),
        ("g offset 290y", 200, None), ("topk(1e18, g)", 200, None), ("1" * 100000, 400, "value out of range"), ("a\0b", 400, "unexpected character"),
        ('{__name__=~"(a*)*b"}', 200, None), ('{__name__=~"((a{1,1000}){1,1000})"}', 400, "invalid repeat count"), ('{__name__=~"' + "(x+x+)+" * 500 + 'y"}', 200, None),
        ('{__name__=~"(?i)' + "[a-z]" * 2000 + '"}', 200, None), ('label_replace(g, "d", "$1", "i", "(((((.*)*)*)*)*)*x")', 200, None),
        ("label_replace(" * 40 + "g" + ', "i", "$1$1", "i", "(.*)")' * 40, 422, "label value that is too long|" + memory),
        ("sum by (" + ",".join(f"l{i}" for i in range(100000)) + ") (g)", 200, None), ("g{" + ",".join(f'l{i}=""' for i in range(50000)) + "}", 200, None),
    ]
    for query, status, text in cases:
        body = urllib.parse.urlencode({"query": query, "time": "1000"})
        r = http_request(p.port, "POST", "/api/v1/query", body=body, headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout_s=120)
        check(r.status == status, f"{query[:60]}… ({len(query)} bytes): {r.status} {r.text[:300]}")
        check(text is None or re.search(text, r.json["error"]), f"{query[:60]}…: {r.text[-300:]}")
    for params, text in [({"start": 0, "end": 31536000, "step": 0.001}, "exceeded maximum resolution"), ({"start": 0, "end": 10, "step": -1}, "zero or negative")]:
        r = http_request(p.port, "GET", "/api/v1/query_range?" + urllib.parse.urlencode({"query": "sum(g)", **params}))
        check(r.status == 400 and text in r.json["error"], r.text[:300])
    check(p.rss_anon_kib() < 1 << 20, f"{p.rss_anon_kib()} KiB are held afterwards")
    check(p.value("count(g)", time=1000) == 20, "it goes on")


def answers_differ(ref, tree, times, data):
    """Step by step; an error of the server has to be one of the reference at some step."""
    got = {}
    if data["resultType"] == "scalar":
        got[()] = {times[0]: float(data["result"][1])}
    for s in data["result"] if data["resultType"] != "scalar" else ():
        pairs = s["values"] if "values" in s else [s["value"]]
        got[key(s["metric"])] = {round(t * 1000): float(v) for t, v in pairs}
    for t in times:
        want = ref.at(tree, t)
        want = {(): want} if isinstance(want, float) else {tuple((n, str(v) if isinstance(v, str) else label_value(v)) for n, v in k): x for k, x in want.items()}
        have = {labels: points[t] for labels, points in got.items() if t in points}
        if set(have) != set(want):
            return f"at {t}: series {sorted(set(have) ^ set(want))[:4]}"
        for labels, v in want.items():
            if not almost_equal(v, have[labels]) and not (abs(v - have[labels]) < 1e-9):
                return f"at {t}: {labels} is {have[labels]}, want {v}"
    return None


def label_value(v):
    """As count_values writes a number."""
    if math.isnan(v) or math.isinf(v):
        return "NaN" if math.isnan(v) else "+Inf" if v > 0 else "-Inf"
    text = format(decimal.Decimal(repr(v)), "f")
    return text[:-2] if text.endswith(".0") else text


def test_random_expressions_against_the_reference(t):
    rnd, asked, failed = random.Random(int(os.environ.get("PROMQL_SEED", "4711"))), 0, 0
    p = t.prometheus("global: {evaluation_interval: 1m}\n", "--web.enable-remote-write-receiver", "--storage.tsdb.min-block-duration=24h",
                     "--storage.tsdb.max-block-duration=24h", "--storage.tsdb.retention.time=200y")
    loads = promql_random.data(rnd)
    for load in loads:
        write.write(p.port, load)
    series = loads.plain
    for _ in range(250):
        query = promql_random.vector(rnd, rnd.randrange(1, 4))
        start, steps = rnd.randrange(0, 1500) * 1000, rnd.choice((1, 1, 4))
        step = rnd.choice((15, 30, 60, 7)) * 1000
        times = [start + i * step for i in range(steps)]
        tree = p.get("/api/v1/parse_query?" + urllib.parse.urlencode({"query": query})).json
        check(tree["status"] == "success", f"{query}: {tree}")
        tree = tree["data"]
        params = {"query": query, "time": start / 1000} if steps == 1 else {"query": query, "start": start / 1000, "end": times[-1] / 1000, "step": step / 1000}
        r = p.get(("/api/v1/query?" if steps == 1 else "/api/v1/query_range?") + urllib.parse.urlencode(params)).json
        ref = reference.Reference(series, times[0], times[-1])
        asked += 1
        try:
            if r["status"] == "success":
                fault = answers_differ(ref, tree, times, r["data"])
                check(not fault, f"{params}: {fault}")
            else:
                failed += 1
                for at in times:
                    ref.at(tree, at)
                raise Failed(f"{params}: {r['error']}, and the reference finds nothing wrong")
        except reference.PromqlError as e:
            check(r["status"] == "error", f"{params}: no error, the reference says: {e}")
    check(failed < asked / 4, f"{failed} of {asked} fail: they show little")
