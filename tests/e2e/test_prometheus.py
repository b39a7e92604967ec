# SPDX-License-Identifier: Apache-2.0
"""`coeus prometheus` as one process: scraping, reloading, the API, stopping."""
import json
import os
import re
import signal
import socket
import time
import urllib.parse

from harness.core import Proc, check, check_eq, free_port, role, wait_for
from harness.target import Target, config


def wait_value(p, expr, want, limit_s=15):
    def is_there():
        r = p.query(expr)
        return len(r) == 1 and float(r[0]["value"][1]) == want
    wait_for(f"{expr} == {want}", is_there, limit_s)


def test_scrapes_the_node_exporter_of_debian(t):
    exporter, port = t.peer("prometheus-node-exporter"), free_port()
    node = Proc(t, [exporter, f"--web.listen-address=127.0.0.1:{port}"], port=port)
    body = wait_for("the exporter", lambda: node.get("/metrics")).text
    p = t.prometheus(config([f"127.0.0.1:{port}"], interval="500ms", job="node"))
    wait_value(p, 'up{job="node"}', 1)
    samples = [line for line in body.splitlines() if line and not line.startswith("#")]
    scraped = p.value('scrape_samples_scraped{job="node"}')
    check(abs(scraped - len(samples)) <= 60, f"scraped {scraped} samples, the exporter shows {len(samples)}")
    names = {re.split(r"[{ ]", line)[0] for line in samples}
    ours = set(p.api("label/__name__/values"))
    missing = {n for n in names - ours if not n.startswith(("promhttp_", "go_memstats"))}
    check(not missing, f"metrics that were not stored: {sorted(missing)[:20]}")
    check_eq(float(p.value("node_uname_info")), 1.0, "node_uname_info")
    check(p.value('count(node_cpu_seconds_total{mode="idle"})') == os.cpu_count(), "one idle counter a core")


def test_stores_exactly_what_the_target_says(t):
    body = ("# HELP a_total Help \\\\ with \\n newline.\n# TYPE a_total counter\n"
            'a_total{x="1",esc="q\\"b\\\\s\\nn"} 1.5\n'
            "b -Inf\nc +Inf\nd NaN\ne 1e-310\nf 9007199254740993\n"
            'utf{v="é✓"} 3\nspaces   4\nstamped 5 1000\n'
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n")
    target = Target(t, body)
    p = t.prometheus(config([target], interval="2s"))       # the time-out too: on a busy machine a late scrape would mark all stale
    wait_value(p, "up", 1)
    r = p.query("a_total")
    check_eq(len(r), 1, "a_total")
    check_eq(r[0]["metric"], {"__name__": "a_total", "x": "1", "esc": 'q"b\\s\nn', "instance": target.address, "job": "t"})
    for name, want in {"a_total": "1.5", "b": "-Inf", "c": "+Inf", "d": "NaN", "e": "1e-310", "f": "9007199254740992", "utf": "3",
                       "spaces": "4", "h_sum": "3"}.items():
        check_eq(p.query(name)[0]["value"][1], want, name)
    check_eq(p.query("stamped"), [], "a sample of 1970 is not in the last 5 minutes")
    check_eq(sorted(x["metric"]["le"] for x in p.query("h_bucket")), ["+Inf", "1.0"] if p.query('h_bucket{le="1.0"}') else ["+Inf", "1"])
    meta = p.api("metadata", metric="a_total")
    check_eq(meta["a_total"][0]["type"], "counter")
    check_eq(meta["a_total"][0]["help"], "Help \\ with \n newline.")
    sent = {k.lower(): v for k, v in target.requests[0][1].items()}
    check("gzip" in sent["accept-encoding"], f"Accept-Encoding: {sent['accept-encoding']}")
    check("application/openmetrics-text" in sent["accept"] and "text/plain" in sent["accept"], f"Accept: {sent['accept']}")
    check("x-prometheus-scrape-timeout-seconds" in sent, "no X-Prometheus-Scrape-Timeout-Seconds")


def test_scrapes_openmetrics(t):
    om = ("# TYPE http_requests counter\n# UNIT lat_seconds seconds\n# TYPE lat_seconds gauge\n"
          'http_requests_total{code="200"} 7 # {trace_id="abc"} 1 1520879607.789\nhttp_requests_created{code="200"} 1520872607.123\nlat_seconds 0.5\n# EOF\n')
    target = Target(t, om, content_type="application/openmetrics-text; version=1.0.0; charset=utf-8")
    broken = Target(t, om.replace("# EOF\n", ""), content_type="application/openmetrics-text; version=1.0.0; charset=utf-8")
    p = t.prometheus(config([target, broken]), "--enable-feature=exemplar-storage")
    wait_value(p, f'up{{instance="{target.address}"}}', 1)
    wait_value(p, f'up{{instance="{broken.address}"}}', 0)
    check_eq(p.query("http_requests_total")[0]["value"][1], "7")
    check_eq(p.query("lat_seconds")[0]["value"][1], "0.5")
    found = [s for s in p.api("query_exemplars", query="rate(http_requests_total[5m])") if s["seriesLabels"]["instance"] == target.address]
    check_eq([s["exemplars"] for s in found], [[{"labels": {"trace_id": "abc"}, "value": "1", "timestamp": 1520879607.789}]])
    check_eq(p.api("query_exemplars", query="lat_seconds"), [])


def test_marks_series_stale_that_are_gone(t):
    target = Target(t, "stays 1\ngoes 2\n")
    p = t.prometheus(config([target]))
    wait_value(p, "goes", 2)
    target.body = "stays 1\n"
    wait_for("goes to be stale", lambda: p.query("goes") == [])
    wait_value(p, "stays", 1)
    target.close()
    wait_value(p, "up", 0)
    check_eq(p.query("stays"), [], "all series of a dead target are stale")


def test_relabels_targets_and_samples(t):
    target = Target(t, 'm{a="1",drop_me="x"} 1\nm{a="2",drop_me="x"} 2\nother 3\n')
    cfg = config([target]) + """        labels: {tier: front}
    relabel_configs:
      - {source_labels: [__address__], regex: '(.*):(.*)', target_label: port, replacement: '$2'}
      - {source_labels: [tier], target_label: level, action: uppercase}
    metric_relabel_configs:
      - {source_labels: [__name__, a], regex: 'm;2', action: drop}
      - {regex: drop_me, action: labeldrop}
"""
    p = t.prometheus(cfg)
    wait_value(p, "up", 1)
    check_eq([x["metric"] for x in p.query("m")], [{"__name__": "m", "a": "1", "tier": "front", "level": "FRONT", "port": str(target.port),
                                                    "instance": target.address, "job": "t"}])
    check_eq(p.value("scrape_samples_post_metric_relabeling"), 2.0)
    check_eq(p.value("scrape_samples_scraped"), 3.0)


def test_honors_labels_timestamps_and_limits(t):
    now = int(time.time() * 1000) - 30_000
    a = Target(t, f'm{{instance="mine",job="j"}} 1 {now}\n')
    b = Target(t, "".join(f"many_{i} 1\n" for i in range(20)))
    cfg = f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - {{job_name: honor, honor_labels: true, static_configs: [{{targets: ['{a.address}']}}]}}
  - {{job_name: rename, honor_timestamps: false, static_configs: [{{targets: ['{a.address}']}}]}}
  - {{job_name: limited, sample_limit: 10, static_configs: [{{targets: ['{b.address}']}}]}}
  - {{job_name: small, body_size_limit: 20B, static_configs: [{{targets: ['{b.address}']}}]}}
"""
    p = t.prometheus(cfg)
    wait_value(p, 'm{job="j",instance="mine"}', 1)
    wait_value(p, 'm{job="rename",exported_job="j",exported_instance="mine"}', 1)
    check_eq(round(p.value('timestamp(m{job="j"})') * 1000), now, "honor_timestamps")
    check(p.value('timestamp(m{job="rename"})') * 1000 > now + 20_000, "honor_timestamps: false takes the time of the scrape")
    wait_value(p, 'up{job="limited"}', 0)
    wait_value(p, 'up{job="small"}', 0)
    check_eq(p.query("many_3"), [], "nothing of a scrape over its limit is stored")
    errors = {x["labels"]["job"]: x["lastError"] for x in p.api("targets")["activeTargets"]}
    check("sample limit exceeded" in errors["limited"], errors["limited"])
    check("body size limit exceeded" in errors["small"], errors["small"])


def test_follows_file_sd(t):
    a, b = Target(t, "m 1\n"), Target(t, "m 2\n")
    sd = t.write("sd/one.json", json.dumps([{"targets": [a.address], "labels": {"from": "file"}}]))
    p = t.prometheus(f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: files
    file_sd_configs: [{{files: ['{t.path("sd")}/*.json', '{t.path("sd")}/*.yml'], refresh_interval: 1s}}]
""")
    wait_value(p, 'm{from="file"}', 1)
    with open(sd + ".tmp", "w") as f:
        json.dump([{"targets": [b.address]}], f)
    os.rename(sd + ".tmp", sd)
    wait_value(p, "m", 2)
    t.write("sd/two.yml", f"- targets: ['{a.address}']\n  labels: {{from: yaml}}\n")
    wait_value(p, 'm{from="yaml"}', 1)
    with open(sd, "w") as f:
        f.write("not json")
    time.sleep(1.5)
    wait_value(p, 'm{from=""}', 2)


def test_reloads_on_sighup_and_keeps_the_old_on_errors(t):
    a, b = Target(t, "m 1\n"), Target(t, "m 2\n")
    p = t.prometheus(config([a]))
    wait_value(p, "m", 1)
    t.write(os.path.basename(p.config_path), config([b], job="second", extra="  external_labels: {dc: x}\n"))
    p.signal(signal.SIGHUP)
    wait_value(p, 'm{job="second"}', 2)
    wait_for("the targets of before to be gone", lambda: [x["labels"]["job"] for x in p.api("targets")["activeTargets"]] == ["second"])
    check("dc: x" in p.api("status/config")["yaml"], "the new configuration is shown")
    t.write(os.path.basename(p.config_path), "global: {scrape_intervall: 1s}\n")
    before = p.log
    p.signal(signal.SIGHUP)
    wait_for("the error in the log", lambda: "scrape_intervall" in p.log[len(before):])
    check(p.alive(), "a bad configuration on reload ends nothing")
    wait_value(p, 'm{job="second"}', 2)
    metrics = p.get("/metrics").text
    check(re.search(r"^prometheus_config_last_reload_successful 0$", metrics, re.M), "prometheus_config_last_reload_successful is 0")


def test_lifecycle_api_is_off_unless_asked_for(t):
    p = t.prometheus(config([]))
    check_eq(p.post("/-/reload").status, 403)
    check_eq(p.post("/-/quit").status, 403)
    q = t.prometheus(config([]), "--web.enable-lifecycle", data="data2")
    check_eq(q.post("/-/reload").status, 200)
    t.write(os.path.basename(q.config_path), "nonsense: 1\n")
    r = q.post("/-/reload")
    check_eq(r.status, 500)
    check("nonsense" in r.text, r.text)
    check_eq(q.post("/-/quit").status, 200)
    check_eq(q.wait_exit(), 0, "exit code after /-/quit")


def test_stops_in_order_and_starts_where_it_was(t):
    target = Target(t, "m 41\n")
    cfg = config([target])
    p = t.prometheus(cfg)
    wait_value(p, "m", 41)
    before = p.query("m[1m]")[0]["values"]
    check_eq(p.stop(), 0, "exit code after SIGTERM")
    check("See you next time!" in p.log or "level=INFO" in p.log, "the stop is told")
    target.body = "m 42\n"
    q = t.prometheus(cfg)
    wait_value(q, "m", 42)
    after = q.query("m[5m]")[0]["values"]
    check_eq(after[:len(before)], before, "the samples of before the stop")


def test_a_second_signal_ends_at_once(t):
    if "coeus" not in role(None, "prometheus")[0]:
        t.skip("an addition of ours")
    p = t.prometheus(config([]))
    with socket.create_connection(("127.0.0.1", p.port)) as s:        # a query in work: the stop waits for it
        q = urllib.parse.quote("count_over_time(vector(1)[2000d:1s])")
        s.sendall(f"GET /api/v1/query?query={q} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_for("the query to run", lambda: "prometheus_engine_queries 1\n" in p.get("/metrics").text)
        p.signal(signal.SIGTERM)
        p.signal(signal.SIGTERM)        # at the heels of the first, as timeout(1) does: one wish
        time.sleep(0.5)
        if p.alive():
            p.signal(signal.SIGTERM)
        p.wait_exit(limit_s=3)


def test_two_signals_at_once_are_one(t):
    target = Target(t, "m 1\n")
    p = t.prometheus(config([target]))
    p.signal(signal.SIGTERM)
    p.signal(signal.SIGINT)
    check_eq(p.wait_exit(limit_s=20), 0, p.tail())
    check("See you next time!" in p.log, p.tail())


def test_answers_the_api(t):
    target = Target(t, 'm{a="1"} 1\nm{a="2"} 2\n# TYPE m gauge\n')
    p = t.prometheus(config([target], extra="  external_labels: {dc: x}\n"))
    wait_value(p, "sum(m)", 3)
    now = time.time()
    r = p.get(f"/api/v1/query?query=sum(m)&time={now}").json
    check_eq((r["status"], r["data"]["resultType"], r["data"]["result"][0]["value"][1]), ("success", "vector", "3"))
    check_eq(p.post("/api/v1/query", "query=1%2B1", headers={"Content-Type": "application/x-www-form-urlencoded"}).json["data"]["result"][1], "2")
    m = p.query_range("m", now - 2, now, "1")
    check_eq(len(m), 2, "range query")
    check_eq(sorted(x["a"] for x in p.api("series", **{"match[]": "m"})), ["1", "2"])
    check("a" in p.api("labels"), "labels")
    check_eq(p.api("label/a/values"), ["1", "2"])
    check_eq(p.api("label/a/values", **{"match[]": 'm{a!="1"}'}), ["2"])
    check_eq(p.api("targets")["activeTargets"][0]["health"], "up")
    check_eq(p.api("rules"), {"groups": []})
    check_eq(p.api("alerts"), {"alerts": []})
    check_eq(p.api("alertmanagers"), {"activeAlertmanagers": [], "droppedAlertmanagers": []})
    check_eq(p.api("format_query", query="sum( m )by(a)"), "sum by (a) (m)")
    check_eq(p.api("parse_query", query="m")["type"], "vectorSelector")
    check_eq(p.api("query_exemplars", query="m", start=now - 5, end=now), [])
    for what in ("buildinfo", "runtimeinfo", "flags", "config", "tsdb", "walreplay"):
        check(p.api(f"status/{what}"), f"status/{what}")
    check_eq(p.api("status/flags")["web.listen-address"], f"127.0.0.1:{p.port}")
    for path, status, kind in (("query?query=sum(", 400, "bad_data"), ("query?query=", 400, "bad_data"), ("query?query=m&time=x", 400, "bad_data"),
                               ("query_range?query=m&start=2&end=1&step=1", 400, "bad_data"), ("query_range?query=m&start=1&end=2&step=0", 400, "bad_data"),
                               ("query_range?query=m&start=0&end=100000&step=1", 400, "bad_data"), ("series", 400, "bad_data"),
                               ("label/%20%ff/values", 400, "bad_data"), ("query?query=m%20*%20on()%20m", 422, "execution")):
        r = p.get("/api/v1/" + path)
        check_eq((r.status, r.json["status"], r.json["errorType"]), (status, "error", kind), path)
        check(r.json["error"], path)
    check_eq(p.get("/api/v1/nothing").status, 404)
    check_eq(p.get("/-/healthy").status, 200)
    gz = p.get("/api/v1/label/__name__/values", headers={"Accept-Encoding": "gzip"})
    check(gz.headers.get("content-encoding") in (None, "gzip"), "content-encoding")


def test_federates(t):
    target = Target(t, 'm{a="1"} 1\nm{a="2"} 2\n')
    p = t.prometheus(config([target], extra="  external_labels: {dc: x}\n"))
    wait_value(p, "sum(m)", 3)
    text = p.get("/federate?match[]=m").text
    lines = sorted(line.rsplit(" ", 1)[0] for line in text.splitlines() if line.startswith("m{"))
    check_eq(lines, [f'm{{a="{i}",instance="{target.address}",job="t",dc="x"}} {i}' if f'a="{i}",instance' in text and 'job="t",dc' in text
                     else f'm{{a="{i}",dc="x",instance="{target.address}",job="t"}} {i}' for i in (1, 2)])
    second = t.prometheus(config([f"127.0.0.1:{p.port}"], metrics_path="/federate", params="{'match[]': ['{job=\"t\"}']}", honor_labels="true"), data="data2")
    wait_value(second, 'm{a="2",dc="x",job="t"}', 2)


def test_serves_its_own_metrics(t):
    target = Target(t, "m 1\n")
    p = t.prometheus(config([target]))
    wait_value(p, "m", 1)
    wait_for("a second scrape", lambda: p.value("count_over_time(m[1m])") >= 3)
    text = p.get("/metrics").text
    for name in ("prometheus_tsdb_head_series", "prometheus_tsdb_head_samples_appended_total", "prometheus_build_info",
                 "prometheus_http_requests_total", "prometheus_engine_queries", "prometheus_target_interval_length_seconds",
                 "prometheus_config_last_reload_successful", "process_resident_memory_bytes", "prometheus_tsdb_wal_segment_current"):
        check(re.search(rf"^{name}[ {{_]", text, re.M), f"/metrics has no {name}")
    q = t.prometheus(config([f"127.0.0.1:{p.port}"]), data="data2")
    wait_value(q, "up", 1)
    check(q.value("prometheus_tsdb_head_series") >= 6, "the scrape of ourselves is stored")


def test_flags_are_parsed_as_the_original_does(t):
    for args, code in ((["--help"], 0), (["--version"], 0), (["--no-such-flag"], 1), (["stray"], 1),
                       (["--query.timeout=abc"], 2), (["--query.max-samples=x"], 2), (["--config.file=/nonexistent/p.yml"], 2)):
        p = Proc(t, [*role(None, "prometheus"), *args])
        check_eq(p.wait_exit(), code, f"exit code of {args}: {p.log[-500:]}")
        check(p.log.strip(), f"{args} says nothing")


def test_basic_auth_and_bearer_towards_targets(t):
    target = Target(t, "m 1\n")
    pw = t.write("token", "s3cret\n")
    p = t.prometheus(f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - {{job_name: basic, metrics_path: /basic, basic_auth: {{username: u, password: p}}, static_configs: [{{targets: ['{target.address}']}}]}}
  - {{job_name: bearer, metrics_path: /bearer, authorization: {{credentials_file: '{pw}'}}, static_configs: [{{targets: ['{target.address}']}}]}}
  - {{job_name: param, metrics_path: /param, params: {{a: [b, 'c d']}}, static_configs: [{{targets: ['{target.address}']}}]}}
""")
    wait_for("all three", lambda: len({path.split("?")[0] for path, _ in target.requests}) == 3)
    seen = {path: {k.lower(): v for k, v in h.items()} for path, h in target.requests}
    check_eq(seen["/basic"]["authorization"], "Basic dTpw")
    check_eq(seen["/bearer"]["authorization"], "Bearer s3cret")
    check("/param?a=b&a=c+d" in seen, str(list(seen)))
    yaml = p.api("status/config")["yaml"]
    check("<secret>" in yaml and "password: p\n" not in yaml, "secrets are not shown")
