# SPDX-License-Identifier: Apache-2.0
"""Rules and alerts of a running server: from pending over firing to resolved at an Alertmanager, over restarts, reloads and kill -9."""
import datetime
import signal
import time

from harness.alertmanager import FakeAlertmanager
from harness.core import Proc, check, check_eq, free_port, wait_for
from harness.target import Target, config

RULES = """groups:
- name: g
  interval: 200ms
  labels: {team: x}
  rules:
  - {record: 'job:m:sum', expr: 'sum by (job) (m)', labels: {from: rule}}
  - alert: High
    expr: m > 5
    for: 2s
    labels: {severity: '{{ if gt $value 7.0 }}page{{ else }}warn{{ end }}'}
    annotations: {summary: '{{ $labels.job }} is at {{ $value }} of {{ $externalLabels.dc }}'}
"""


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def server(t, target, rules, alertmanagers="", flags=(), **kw):
    t.write("r.yml", rules)
    extra = f"  external_labels: {{dc: eu}}\nrule_files: ['{t.path('r*.yml')}']\n{alertmanagers}"
    return t.prometheus(config([target], interval="500ms", extra=extra), *flags, **kw)


def to(*addresses, more=""):
    return "alerting:\n  alertmanagers:\n  - static_configs: [{targets: [%s]}]\n%s" % (", ".join(f"'{a}'" for a in addresses), more)


def state(p):
    return [a["state"] for a in p.api("alerts")["alerts"]]


def test_an_alert_is_pending_fires_and_resolves(t):
    level = [1]
    target, am = Target(t, lambda _h: f"m {level[0]}\n"), FakeAlertmanager(t)
    p = server(t, target, RULES, to(am.address, "127.0.0.1:1", more="    path_prefix: /am\n    alert_relabel_configs: [{regex: team, action: labeldrop}]\n"))
    wait_for("the recorded series", lambda: p.value('job:m:sum{from="rule",team="x",job="t"}') == 1, 60)
    # Series of alerts are written once their state was restored, behind the second evaluation.
    wait_for("the second evaluation", lambda: "prometheus_rule_group_last_restore_duration_seconds{" in p.get("/metrics").text, 60)
    check_eq(state(p), [], "no alert yet")
    level[0] = 8
    wait_for("a firing alert", lambda: state(p) == ["firing"], 60)
    check(p.query('count_over_time(ALERTS{alertstate="pending",alertname="High"}[10m])'), "it was pending before")
    first = wait_for("the alert at the Alertmanager", lambda: am.alerts(alertname="High"), 60)[0]
    check_eq(first["labels"], {"alertname": "High", "severity": "page", "job": "t", "instance": target.address, "dc": "eu"}, "external labels are there, team is dropped")
    check_eq(first["annotations"], {"summary": "t is at 8 of eu"}, "annotations")
    check(first["generatorURL"].endswith("/graph?g0.expr=m+%3E+5&g0.tab=1"), first["generatorURL"])
    path, headers, _ = am.requests[0]
    check_eq((path, headers["content-type"]), ("/am/api/v2/alerts", "application/json"), "request")
    check(headers["user-agent"].startswith("Prometheus/"), headers["user-agent"])
    check_eq(p.api("alertmanagers"), {"activeAlertmanagers": [{"url": f"http://{a}/am/api/v2/alerts"} for a in (am.address, "127.0.0.1:1")], "droppedAlertmanagers": []}, "alertmanagers")
    level[0] = 2
    # While it fires its end lies four minutes ahead.
    last = wait_for("the resolved alert", lambda: [a for a in am.alerts(alertname="High") if seconds(a["endsAt"]) < time.time() + 30], 60)[-1]
    check(seconds(last["endsAt"]) > seconds(last["startsAt"]), f"{last}")
    check(any(a["startsAt"] == last["startsAt"] and seconds(a["endsAt"]) > seconds(last["endsAt"]) for a in am.alerts(alertname="High")), "it was sent while it fired")
    wait_for("no more alerts", lambda: state(p) == [], 60)
    wait_for("the end of its series", lambda: p.query("ALERTS") == [], 60)
    url = f"http://{am.address}/am/api/v2/alerts"
    metrics = p.get("/metrics").text
    check(f'prometheus_notifications_sent_total{{alertmanager="{url}"}}' in metrics and "prometheus_notifications_alertmanagers_discovered 2" in metrics, "metrics of notifications")
    check(f'prometheus_rule_group_rules{{rule_group="{t.path("r.yml")};g"}} 2' in metrics, "metrics of rules")
    check_eq(p.stop(), 0, "clean stop")


def test_a_restart_goes_on_with_how_long_alerts_were_pending(t):
    """What the last server wrote of an alert that had been pending for 2000 s of an hour comes from the target here: nothing depends on how quick we are."""
    since = time.time() - 2000
    target, port = Target(t, f'm 8\nALERTS_FOR_STATE{{alertname="Slow",value="8"}} {since:.0f}\n'), free_port()
    rules = "groups:\n- name: g\n  interval: 200ms\n  rules:\n  - {alert: Slow, expr: 'm > 5', for: 1h, labels: {value: '{{ $value }}'}}\n"
    p = server(t, target, "groups: []\n", port=port)
    wait_for("what is to be restored", lambda: p.query("ALERTS_FOR_STATE") and p.query("m"), 60)
    p.kill9()
    target.body = "m 8\n"
    for end in (Proc.kill9, Proc.stop):
        p = server(t, target, rules, port=port)

        def restored():
            a = p.api("alerts")["alerts"]
            return a and a[0]["state"] == "pending" and seconds(a[0]["activeAt"]) < since + 1000 and seconds(a[0]["activeAt"])
        active = wait_for("the restored alert", restored, 60)
        check(active >= since - 2, f"active at {active}, before the restart at {since}")
        wait_for("its series", lambda: abs(p.value('ALERTS_FOR_STATE{alertname="Slow"}') - active) < 1.5, 60)
        end(p)


def test_reload_keeps_alerts_and_refuses_broken_files(t):
    target, am = Target(t, "m 8\n"), FakeAlertmanager(t)
    steady = RULES.replace("expr: m > 5", "expr: vector(8) > 5")     # whatever becomes of scrapes
    p = server(t, target, steady, to(am.address))
    wait_for("a firing alert", lambda: state(p) == ["firing"], 60)
    active = p.api("alerts")["alerts"][0]["activeAt"]
    t.write("r2.yml", "groups:\n- name: more\n  interval: 200ms\n  rules: [{record: r2, expr: '1'}]\n")
    t.write("r.yml", steady + "  - {record: 'job:m:max', expr: 'max by (job) (m)'}\n")
    p.signal(signal.SIGHUP)
    wait_for("the new rules", lambda: p.query("r2") and p.query("job:m:max"), 60)
    check_eq(p.api("alerts")["alerts"][0]["activeAt"], active, "the alert goes on")
    t.write("r.yml", "groups:\n- name: g\n  rules: [{record: x, expr: 'sum('}]\n")
    p.signal(signal.SIGHUP)
    wait_for("the refusal", lambda: "prometheus_config_last_reload_successful 0" in p.get("/metrics").text, 60)
    check("error loading rules, previous rule set restored" in p.log and "could not parse expression" in p.log, p.tail())
    check_eq([g["name"] for g in p.api("rules")["groups"]], ["g", "more"], "the old rules stay")
    t.write("r.yml", steady)
    t.write("r2.yml", "groups: []\n")
    p.signal(signal.SIGHUP)
    wait_for("the end of series of a removed group", lambda: p.query("r2") == [] and p.query("job:m:max") == [], 60)
    check_eq(p.stop(), 0, "clean stop")


def test_broken_rule_files_stop_a_start(t):
    t.write("r.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {s: '{{ $label }}'}\n")
    p = t.prometheus(f"rule_files: ['{t.path('r.yml')}']\n", ready=False)
    check_eq(p.wait_exit(60), 2, "exit code")
    check("Error loading rule file patterns from config" in p.log and 'undefined variable \\"$label\\"' in p.log, p.tail())


def test_queues_drain_and_give_up(t):
    target, am = Target(t, "".join(f'm{{i="{i}"}} 8\n' for i in range(30))), FakeAlertmanager(t)
    am.status = 500
    p = server(t, target, RULES, to(am.address), ["--rules.alert.resend-delay=200ms", "--alertmanager.notification-batch-size=7", "--alertmanager.notification-queue-capacity=20"])
    url = f"http://{am.address}/api/v2/alerts"

    def counter(name):
        for line in p.get("/metrics").text.splitlines():
            if line.startswith(f'prometheus_notifications_{name}_total{{alertmanager="{url}"}} '):
                return float(line.rsplit(" ", 1)[1])
        return 0
    wait_for("failed and dropped alerts", lambda: counter("errors") >= 20 and counter("dropped") >= 30, 60)
    check("bad response status 500 Internal Server Error" in p.log, p.tail())
    check(all(len(alerts) <= 7 for _, _, alerts in am.requests), "batches have at most 7 alerts")
    am.status = 200
    wait_for("alerts that arrive", lambda: counter("sent") >= 20, 60)
    check_eq(p.stop(), 0, "clean stop")
