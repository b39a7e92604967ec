# SPDX-License-Identifier: Apache-2.0
"""coeus promtool: recorded command lines of the original with exit status and output."""
import json
import os
import shutil
import subprocess
import time

from harness import write
from harness.core import ROOT, Failed, check, check_eq, coeus_bin

SHARED = os.path.join(os.environ.get("COEUS_SHARED", os.path.join(ROOT, "..", "shared")), "conformance", "promtool")
# Sub-commands that are there: their recorded cases must all hold. Others are refused by name.
DONE = (("promql",), ("check", "rules"), ("check", "config"), ("test", "rules"), ("nosuch",))
# Of those: coloured differences of alerts that a test did not expect, and discovery that is not there.
LATER = (["test", "rules", "--diff", "failing.yml"], ["prometheus-aws-sd-empty-region.good.yml"])


def promtool(*args, cwd=None, stdin=None):
    p = subprocess.run([coeus_bin(), "promtool", *args], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120)
    return p.returncode, p.stdout, p.stderr


def words(case):
    """The sub-command of a recorded line, without global flags."""
    return tuple(a for a in case["args"] if not a.startswith("-"))


def test_recorded_cases(t):
    path = os.path.join(SHARED, "cases.json")
    if not os.path.exists(path):
        t.skip("promtool/cases.json is not there (../shared/conformance or $COEUS_SHARED)")
    with open(path) as f:
        cases = json.load(f)
    wrong, same = [], 0
    for c in cases:
        if not any(words(c)[:len(d)] == d for d in DONE) or any(c["args"][-len(a):] == a for a in LATER):
            continue
        got = promtool(*c["args"], cwd=os.path.join(SHARED, "testdata"), stdin=c["stdin"])
        if got == (c["exit"], c["stdout"], c["stderr"]):
            same += 1
        else:
            wrong.append(f"{c['args']}\n  got  {got}\n  want {(c['exit'], c['stdout'], c['stderr'])}")
    if wrong:
        raise Failed(f"{len(wrong)} of {len(wrong) + same} differ:\n" + "\n".join(wrong[:10]))
    check(same >= 9, f"only {same} cases were run")


def sections(text):
    """Of analyze: the lists with equals in some order, and which of the least are shown left out, for the original has no order there."""
    out = []
    for part in text.split("\n\n"):
        lines = part.split("\n")
        rows = [x.split(" ", 1) for x in lines[1:] if x and x[0].isdigit()]
        least = min((int(n) for n, _ in rows), default=0)
        out.append([lines[0], sorted((int(n), name if int(n) > least else "") for n, name in rows)] if rows and lines[0].endswith(":") else lines)
    return out


def test_tsdb(t):
    """Recorded lines over tsdb/killed, which stays as it was."""
    folder = os.path.join(os.path.dirname(SHARED), "tsdb")
    if not os.path.exists(os.path.join(folder, "promtool.json")):
        t.skip("tsdb/promtool.json is not there (../shared/conformance or $COEUS_SHARED)")
    with open(os.path.join(folder, "promtool.json")) as f:
        cases = json.load(f)
    data = t.path("data")
    shutil.copytree(os.path.join(folder, "killed", "data"), data)
    for at, _, files in os.walk(data):
        os.chmod(at, 0o755)
        for name in files:
            os.chmod(os.path.join(at, name), 0o644)

    def content():
        out = {}
        for at, _, files in os.walk(data):
            for name in files:
                with open(os.path.join(at, name), "rb") as f:
                    out[os.path.join(at, name)] = f.read()
        return out
    before = content()
    for c in cases:
        code, out, err = promtool(*[data if a == "DATA" else a for a in c["args"]])
        check_eq((code, err), (c["exit"], c["stderr"]), str(c["args"]))
        canonical = sections if "analyze" in c["args"] else str
        check_eq(canonical(out), canonical(c["stdout"]), str(c["args"]))
    check(content() == before, "the directory is another")
    check(len(cases) >= 8, f"only {len(cases)} cases were run")
    code, out, err = promtool("tsdb", "dump", "--format=seriesjson", '--match={code="500",instance="a"}', data)
    check_eq((code, out, err), (0, '{"__name__":"requests_total","code":"500","instance":"a","job":"api"}\n', ""))


def test_command_line(t):
    code, out, _ = promtool("--help")
    check_eq(code, 0)
    check("query range [<flags>] <server> <expr>\n    Run range query.\n" in out, out)
    check_eq(promtool("--version")[0], 0)
    check_eq(promtool("query"), (1, "", "promtool: error: must select a subcommand of 'query', try --help\n"))
    check_eq(promtool("check", "rules", "nosuch.yml"), (1, "", "promtool: error: path 'nosuch.yml' does not exist, try --help\n"))
    check_eq(promtool("debug", "pprof", "x"), (1, "", "promtool: error: debug pprof is not supported yet\n"))
    check_eq(promtool("promql", "format", "a"), (1, "", "This command is experimental and requires the --experimental flag to be set.\n"))
    check_eq(promtool("--experimental", "promql", "label-matchers", "set", "-t", "=~", "rate(a{b='c'}[5m]) / on(x) max_over_time(b[1h:] offset 5m)", "b", "d.*")[1],
             'rate(a{b=~"d.*"}[5m]) / on (x) max_over_time(b{b=~"d.*"}[1h:] offset 5m)\n')


def test_query(t):
    p = t.prometheus("", "--web.enable-remote-write-receiver")
    server = f"http://127.0.0.1:{p.port}"
    now = int(time.time()) // 60 * 60
    write.write(p.port, [write.series({"__name__": "a", "x": "1"}, [(now * 1000, 1e-7), (now * 1000 + 500, 2.0)]),
                         write.series({"__name__": "my.name", "a.b": "<"}, [(now * 1000, 3.0)]),
                         write.series({"__name__": "h"}, (), [(now * 1000, {"schema": 0, "count": 3, "sum": 4.5, "buckets": [1, 2]})])])

    def query(kind, *args):
        code, out, err = promtool("query", kind, *args)
        check_eq((code, err), (0, ""), args)
        return out

    at = f"--time={now}"
    check_eq(query("instant", at, server, "1+1.5"), f"scalar: 2.5 @[{now}]\n")
    check_eq(query("instant", at, server, '{__name__=~"a|my.name"}'), f'a{{x="1"}} => 0.0000001 @[{now}]\nmy.name{{a.b="<"}} => 3 @[{now}]\n')
    check_eq(query("instant", at, server, "h"), f"h => Count: 3.000000, Sum: 4.500000, Buckets: [(0.5,1]:1 (1,2]:2] @[{now}]\n")
    check_eq(query("instant", f"--time={now}.5", server, "a[1m]"), f'a{{x="1"}} =>\n0.0000001 @[{now}]\n2 @[{now}.5]\n')
    check_eq(query("instant", at, "-o", "json", server, "a"), f'[{{"metric":{{"__name__":"a","x":"1"}},"value":[{now},"0.0000001"]}}]\n')
    check_eq(query("range", f"--start={now}", f"--end={now + 60}", "--step=30s", server, 'h or {__name__="my.name"} < bool 5'),
             f'{{a.b="<"}} =>\n1 @[{now}]\n1 @[{now + 30}]\n1 @[{now + 60}]\nh =>\n' +
             "".join(f"Count: 3.000000, Sum: 4.500000, Buckets: [(0.5,1]:1 (1,2]:2] @[{now + i}]\n" for i in (0, 30, 60)))
    check_eq(query("series", "--match=a", server), '{__name__="a", x="1"}\n')
    check_eq(query("labels", server, "__name__"), "a\nh\nmy.name\n")
    check_eq(query("labels", "--format=json", "--match=a", server, "x"), '["1"]\n')
    bad = [(("instant", server, "sum("), 'query error: bad_data: invalid parameter "query": 1:5: parse error: unclosed left parenthesis\n'),
           (("instant", server + "/x", "1"), "query error: client_error: client error: 404 (detail: 404 page not found)\n"),
           (("range", "--start=5", "--end=4", server, "1"), "start time is not before end time\n"),
           (("instant", "--time=abc", server, "1"), 'error parsing evaluation time: cannot parse "abc" to a valid timestamp\n')]
    for args, text in bad:
        check_eq(promtool("query", *args), (1, "", text), args)


def test_link_with_the_name_of_the_role(t):
    link = t.path("promtool")
    os.symlink(coeus_bin(), link)
    p = subprocess.run([link, "--experimental", "promql", "format", "1+1"], capture_output=True, text=True, timeout=60)
    check_eq((p.returncode, p.stdout), (0, "1 + 1\n"))
