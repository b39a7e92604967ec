# SPDX-License-Identifier: Apache-2.0
"""Debian's Alertmanager (0.25) takes our alerts: it shows them with labels, annotations and times, and lets them go when they are resolved."""
import os
import shutil

from harness.core import PEERS, Proc, check, check_eq, free_port, http_request, wait_for
from harness.target import Target, config

RULES = """groups:
- name: g
  interval: 200ms
  rules:
  - alert: High
    expr: m > 5
    labels: {severity: page}
    annotations: {summary: '{{ $labels.job }} is at {{ $value }}, "quoted" & <more>'}
"""
TEMPLATES = b"/usr/share/prometheus/alertmanager"


def unpacked(t):
    """Debian's program looks for its templates where the package would put them: a copy looks at a path of the same length in the test's folder."""
    binary = t.peer("prometheus-alertmanager")
    path = t.path("x").encode().ljust(len(TEMPLATES), b"x")
    if len(path) != len(TEMPLATES):
        t.skip("the path of the temporary folder is too long")
    with open(binary, "rb") as f:
        program = f.read()
    if TEMPLATES in program:
        t.write("am-bin", program.replace(TEMPLATES, path))
        shutil.copytree(os.path.join(PEERS, "..", "..", *TEMPLATES.decode().split("/")), path.decode())
        binary = t.path("am-bin")
        os.chmod(binary, 0o755)
    return binary


def test_alerts_arrive_and_are_resolved(t):
    binary, port, level = unpacked(t), free_port(), [9]
    cfg = t.write("am.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    am = Proc(t, [binary, f"--config.file={cfg}", f"--storage.path={t.path('am')}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], port=port).wait_ready(60)
    target = Target(t, lambda _h: f"m {level[0]}\n")
    t.write("r.yml", RULES)
    extra = f"  external_labels: {{dc: eu}}\nrule_files: ['{t.path('r.yml')}']\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]}}\n"
    p = t.prometheus(config([target], interval="500ms", extra=extra))

    def alerts():
        return http_request(am.port, "GET", "/api/v2/alerts").json
    a = wait_for("the alert at the Alertmanager", alerts, 60)[0]
    check_eq(a["labels"], {"alertname": "High", "severity": "page", "job": "t", "instance": target.address, "dc": "eu"}, "labels")
    check_eq(a["annotations"], {"summary": 't is at 9, "quoted" & <more>'}, "annotations")
    check_eq(a["status"]["state"], "active", "state")
    check("/graph?g0.expr=m+%3E+5&g0.tab=1" in a["generatorURL"], a["generatorURL"])
    level[0] = 1
    wait_for("its end", lambda: alerts() == [], 60)
    check_eq(p.stop(), 0, "clean stop")
