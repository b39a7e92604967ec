# SPDX-License-Identifier: Apache-2.0
"""Scraping over TLS, targets found by DNS, a thousand targets."""
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness.core import check, check_eq, role, wait_for
from harness.target import Target, config


def certificates(t):
    """A CA, a server certificate for test.example and a client certificate: the folder."""
    d = t.path("tls")
    os.mkdir(d)

    def openssl(*args):
        r = subprocess.run(["openssl", *args], cwd=d, capture_output=True, text=True)
        check(r.returncode == 0, r.stderr)
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=other CA", "-keyout", "other.key", "-out", "other.pem")
    for name, ext in (("server", "subjectAltName=DNS:test.example,IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        t.write(f"tls/{name}.ext", ext + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return d


def over_tls(target, d, client_ca=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(os.path.join(d, "server.pem"), os.path.join(d, "server.key"))
    if client_ca:
        c.load_verify_locations(os.path.join(d, "ca.pem"))
        c.verify_mode = ssl.CERT_REQUIRED
    target.server.socket = c.wrap_socket(target.server.socket, server_side=True, do_handshake_on_connect=False)
    return target


def test_scrapes_over_tls(t):
    d = certificates(t)
    plain, mutual = over_tls(Target(t, "m 1\n"), d), over_tls(Target(t, "m 2\n"), d, client_ca=True)
    jobs = {"good": (plain, f"ca_file: {d}/ca.pem"), "named": (plain, f"ca_file: {d}/ca.pem, server_name: test.example"),
            "wrong_ca": (plain, f"ca_file: {d}/other.pem"), "wrong_name": (plain, f"ca_file: {d}/ca.pem, server_name: wrong.example"),
            "no_ca": (plain, "min_version: TLS12"), "careless": (plain, "insecure_skip_verify: true"),
            "mutual": (mutual, f"ca_file: {d}/ca.pem, cert_file: {d}/client.pem, key_file: {d}/client.key"), "no_client": (mutual, f"ca_file: {d}/ca.pem")}
    p = t.prometheus("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(
        f"- {{job_name: {name}, scheme: https, tls_config: {{{tls}}}, static_configs: [{{targets: ['{target.address}']}}]}}\n" for name, (target, tls) in jobs.items()))
    want = {"good": 1, "named": 1, "wrong_ca": 0, "wrong_name": 0, "no_ca": 0, "careless": 1, "mutual": 1, "no_client": 0}

    def seen():
        return {s["metric"]["job"]: int(s["value"][1]) for s in p.query("up")}
    wait_for("all jobs to be scraped", lambda: len(seen()) == len(want), limit_s=20)
    time.sleep(1.2)
    check_eq(seen(), want)
    errors = {x["labels"]["job"]: x["lastError"] for x in p.api("targets")["activeTargets"]}
    check(all(errors[j] for j, up in want.items() if not up), f"down without a reason: {errors}")
    check("certificate" in errors["wrong_ca"] and "certificate" in errors["wrong_name"], f"{errors['wrong_ca']} / {errors['wrong_name']}")


class Dns:
    """Answers A and SRV for names of a table, on UDP; more than 400 bytes are truncated and given over TCP."""

    def __init__(self, t, address):
        self.names, self.asked = {}, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, 53))
        self.tcp.listen(8)
        t.cleanup(self.udp.close)
        t.cleanup(self.tcp.close)
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    @staticmethod
    def name(s):
        return b"".join(bytes([len(x)]) + x.encode() for x in s.rstrip(".").split(".")) + b"\0"

    def answer(self, q, limit):
        at, labels = 12, []
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode())
            at += 1 + q[at]
        question, name, kind = q[12:at + 5], ".".join(labels).lower(), struct.unpack(">H", q[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        records = self.names.get((name, kind))
        rcode = 0 if any(n == name for n, _ in self.names) else 3
        rcode = 2 if records == "SERVFAIL" else rcode
        body, n = b"", 0
        for r in records if isinstance(records, list) else []:
            data = socket.inet_aton(r) if kind == 1 else struct.pack(">HHH", 0, 0, r[1]) + self.name(r[0])
            body += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data
            n += 1
        cut = len(body) > limit
        return q[:2] + struct.pack(">HHHHH", 0x8180 | (0x0200 if cut else 0) | rcode, 1, 0 if cut else n, 0, 0) + question + (b"" if cut else body)

    def serve_udp(self):
        while True:
            try:
                q, peer = self.udp.recvfrom(4096)
                self.udp.sendto(self.answer(q, 400), peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                c, _ = self.tcp.accept()
                with c:
                    c.settimeout(2)
                    n = struct.unpack(">H", c.recv(2))[0]
                    r = self.answer(c.recv(n), 1 << 16)
                    c.sendall(struct.pack(">H", len(r)) + r)
            except socket.timeout:
                continue
            except OSError:
                return


def test_finds_targets_by_dns(t):
    if os.geteuid() != 0:
        t.skip("a name server on port 53 and an own /etc/resolv.conf want root")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        t.skip("no mount namespace can be made here")
    dns = Dns(t, "127.0.0.153")
    target = Target(t, "m 1\n")
    dns.names[("a.test.example", 1)] = ["127.0.0.1"]
    dns.names[("_m._tcp.test.example", 33)] = [("a.test.example", target.port)]
    dns.names[("many.test.example", 1)] = [f"127.9.{i // 250}.{i % 250 + 1}" for i in range(100)]
    dns.names[("broken.test.example", 1)] = "SERVFAIL"
    resolv = t.write("resolv.conf", "nameserver 127.0.0.153\nsearch test.example\noptions timeout:1\n")
    wrapper = t.write("prometheus-in-namespace", f"#!/bin/sh\nexec unshare -m sh -c 'mount --bind {resolv} /etc/resolv.conf && exec \"$@\"' sh " +
                      " ".join(role(None, "prometheus")) + ' "$@"\n')
    os.chmod(wrapper, 0o755)
    port = target.port
    p = t.prometheus(f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - {{job_name: srv, dns_sd_configs: [{{names: [_m._tcp.test.example], refresh_interval: 1s}}]}}
  - {{job_name: a, dns_sd_configs: [{{names: [a.test.example], type: A, port: {port}, refresh_interval: 1s}}]}}
  - {{job_name: search, dns_sd_configs: [{{names: [a], type: A, port: {port}, refresh_interval: 1s}}]}}
  - {{job_name: many, dns_sd_configs: [{{names: [many.test.example], type: A, port: 1, refresh_interval: 1s}}]}}
  - {{job_name: broken, dns_sd_configs: [{{names: [broken.test.example], type: A, port: 1, refresh_interval: 1s}}]}}
""", binary=wrapper)

    def jobs():
        out = {}
        for x in p.api("targets")["activeTargets"]:
            out.setdefault(x["labels"]["job"], []).append(x["labels"]["instance"])
        return out
    want = {"srv": [f"a.test.example:{port}"], "a": [f"127.0.0.1:{port}"], "search": [f"127.0.0.1:{port}"]}
    try:
        wait_for("the targets", lambda: {j: v for j, v in jobs().items() if j != "many"} == want and len(jobs().get("many", [])) == 100, limit_s=25)
    except AssertionError:
        raise AssertionError(f"got { {j: v[:3] for j, v in jobs().items()} }, want {want} and 100 of many; asked {dns.asked[-20:]}") from None
    wait_for("the scrape by address", lambda: p.value('up{job="a"}') == 1)
    discovered = {x["labels"]["job"]: x["discoveredLabels"] for x in p.api("targets")["activeTargets"]}
    check_eq(discovered["srv"]["__meta_dns_name"], "_m._tcp.test.example")
    check_eq(discovered["srv"]["__meta_dns_srv_record_port"], str(port))
    dns.names[("a.test.example", 1)] = "SERVFAIL"
    time.sleep(2.5)
    check_eq(jobs().get("a"), want["a"], "a failing answer keeps the targets")
    dns.names[("a.test.example", 1)] = ["127.0.0.1", "127.0.0.2"]
    wait_for("the second address", lambda: len(jobs().get("a", [])) == 2, limit_s=25)


def test_scrapes_a_thousand_targets(t):
    target = Target(t, "m 1\n")
    target.compress = False
    t.write("sd.json", json.dumps([{"targets": [target.address], "labels": {"n": str(i), "__metrics_path__": f"/t/{i}"}} for i in range(1000)]))
    p = t.prometheus(f"global: {{scrape_interval: 5s, scrape_timeout: 4s}}\nscrape_configs:\n- {{job_name: many, file_sd_configs: [{{files: ['{t.path('sd.json')}']}}]}}\n")
    wait_for("all to be up", lambda: p.value("sum(up)") == 1000, limit_s=40)
    begin, n = time.monotonic(), len(target.requests)
    time.sleep(5)
    rate = (len(target.requests) - n) / (time.monotonic() - begin)
    check(100 <= rate <= 400, f"{rate:.0f} scrapes a second, about 200 wanted")
    seconds = {}
    for path, _ in target.requests[n:n + 900]:
        seconds.setdefault(path, 0)
    check(len(seconds) > 850, "the scrapes are not spread over the targets")
    check_eq(p.stop(), 0)


def test_runs_without_any_target(t):
    p = t.prometheus(config([]))
    check_eq(p.query("up"), [])
    check_eq(p.api("targets")["activeTargets"], [])
