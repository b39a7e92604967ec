# SPDX-License-Identifier: Apache-2.0
"""What a query may cost: memory of one and of all, an end when its client leaves; and that large answers are whole."""
import re
import socket
import urllib.parse

from harness.core import check, check_eq, wait_for


def fails(p, expr, *words):
    """The query must fail as execution, and tell; the next one works."""
    r = p.get("/api/v1/query?" + urllib.parse.urlencode({"query": expr}))
    check_eq(r.status, 422, r.text[:300])
    check_eq(r.json["errorType"], "execution")
    for w in words:
        check(w in r.json["error"], f"no {w!r} in {r.json['error']!r}")
    check_eq(p.value("vector(1) + 1"), 2)
    check(p.alive(), "one query must not end the server")


# 3.6 million steps of a subquery: 29 MB at least.
LARGE = "max_over_time(vector(time())[1000h:1s])"


def test_memory_of_one_query(t):
    p = t.prometheus("global: {}\n", "--query.max-memory=20MB")
    fails(p, LARGE, "more than the", "bytes of memory that one query may use")


def test_memory_of_all_queries(t):
    p = t.prometheus("global: {}\n", "--query.max-total-memory=20MB")
    fails(p, LARGE, "all queries together need more than the", "was the largest of them")


def running(p):
    return int(re.search(r"^prometheus_engine_queries (\d+)$", p.get("/metrics").text, re.M).group(1))


def test_ends_when_the_client_leaves(t):
    """Left alone it would run for minutes: each of its 11,000 windows has a million samples to sort."""
    p = t.prometheus("global: {}\n")
    q = urllib.parse.urlencode({"query": "quantile_over_time(0.5, (vector(time()))[100000s:100ms])", "start": 0, "end": 11000, "step": 1})
    with socket.create_connection(("127.0.0.1", p.port)) as s:
        s.sendall(f"GET /api/v1/query_range?{q} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for("the query to run", lambda: running(p) == 1)
    wait_for("the query to end", lambda: running(p) == 0)


def test_large_answers_are_whole(t):
    """Enough points that they are printed in pieces, and steps that are no whole seconds."""
    p = t.prometheus("global: {}\n")
    expr = "vector(time() / 7)" + "".join(f' or label_replace(vector(time() / {d}), "d", "{d}", "", "")' for d in (3, 11, 13))
    series = p.query_range(expr, 1000, 3500, 0.25)
    check_eq([s["metric"] for s in series], [{}, {"d": "11"}, {"d": "13"}, {"d": "3"}])
    for s in series:
        d = int(s["metric"].get("d", 7))
        check_eq(len(s["values"]), 10001)
        for k, (at, v) in enumerate(s["values"]):
            check(at == 1000 + k * 0.25 and float(v) == at / d and v == repr(at / d).removesuffix(".0"), f"step {k} of {d}: {at} {v}")
