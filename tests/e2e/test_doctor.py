# SPDX-License-Identifier: Apache-2.0
"""`coeus doctor`: exit codes and words over servers that run. The judgement itself: src/thanos/doctor/doctor_test.c."""
import json

from harness.core import check, check_eq, wait_for
from harness.target import Target, config


def doctor(t, *args):
    code, out = t.run("doctor", "--json", *args)
    r = json.loads(out)
    return code, r["result"], [(x["level"], x["check"], x["text"], x["advice"]) for x in r["checks"]]


def test_targets_and_replicas(t):
    targets = [Target(t, "m 1\n") for _ in range(3)]
    labels = "  external_labels: {{cluster: c, replica: {}}}\n"
    a, b = (t.prometheus(config(targets, interval="1s", extra=labels.format(r)), data=r) for r in "ab")
    for p in (a, b):
        wait_for("three targets to be up", lambda p=p: p.value("sum(up)") == 3, limit_s=60)
    both = [f"--prometheus=http://127.0.0.1:{p.port}" for p in (a, b)]

    def is_well():                              # a scrape may come too late on a busy machine
        code, result, lines = doctor(t, *both)
        check_eq((code, result, [x for x in lines if x[0] != "ok"]), (0, "ok", []))
        check_eq([x[2] for x in lines if x[1] == "targets"], ["job t (3/3 up)"] * 2)
        check([x for x in lines if x[1] == "replicas"], f"no word about replicas: {lines}")
        return True
    wait_for("doctor to find all well", is_well, limit_s=60)

    def says_so():
        code, out = t.run("doctor", *both)
        check(code == 0 and "job t (3/3 up)" in out and "there is nothing to do" in out, f"{code} {out}")
        return True
    wait_for("doctor to say so", says_so, limit_s=60)

    targets[1].close()
    for p in (a, b):
        wait_for("one target to be down", lambda p=p: p.value("sum(up)") == 2, limit_s=60)

    def is_told():
        code, result, lines = doctor(t, *both)
        found = [x for x in lines if x[0] == "finding" and x[1] == "targets"]
        check(code == 1 and result == "findings" and len(found) == 2, f"{code} {lines}")
        check(all("job t (2/3 up): http://" in text and "connection refused" in text and advice for _, _, text, advice in found), str(found))
        return True
    wait_for("doctor to find the target", is_told, limit_s=60)

    check_eq(b.stop(), 0)
    code, result, lines = doctor(t, *both)
    check(code == 2 and result == "incomplete" and any(x[0] == "unknown" and "connection refused" in x[2] for x in lines), f"{code} {lines}")


def test_bucket(t):
    bucket = t.path("bucket")
    code, _, lines = doctor(t, f"--objstore.config={{type: FILESYSTEM, config: {{directory: {bucket}}}}}")
    check(code == 1 and any("there is no block in it" in x[2] for x in lines), f"{code} {lines}")
    code, out = t.run("doctor", "--objstore.config={type: NONSENSE}")
    check(code == 2 and "NONSENSE" in out, f"{code} {out}")
    code, out = t.run("doctor", "--nonsense")
    check(code == 2 and "nonsense" in out, f"{code} {out}")
