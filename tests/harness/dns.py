# SPDX-License-Identifier: Apache-2.0
"""dns.py — a name server on loopback, inside the test's own process: A, AAAA and SRV of names that the test sets.

    dns = Dns(t)                                        ended with the test
    dns.set_a("store.test", "127.0.0.1")
    dns.set_srv("_grpc._tcp.store.test", [("store.test", 10901)])
    Proc(t, argv, env=dns.env)                          the program under test asks it
    dns.fail = True                                     SERVFAIL for everything; dns.silent = True: no answer at all
    dns.asked                                           [(name, type), …] so far

Names are compared in small letters, with or without the last dot. Unknown names: NXDOMAIN. Records may be changed at any time."""
import contextlib
import ipaddress
import socket
import struct
import threading

from harness.core import Failed, free_port

A, AAAA, SRV = 1, 28, 33


def _put_name(name):
    out = b""
    for part in name.rstrip(".").split("."):
        out += bytes([len(part)]) + part.encode()
    return out + b"\0"


def _take_question(m):
    at, parts = 12, []
    while m[at]:
        parts.append(m[at + 1:at + 1 + m[at]].decode("latin-1"))
        at += 1 + m[at]
    kind, = struct.unpack_from(">H", m, at + 1)
    return ".".join(parts).lower(), kind, m[12:at + 5]


class Dns:
    def __init__(self, case):
        self.records = {}                       # (name, type) -> [bytes]
        self.fail = self.silent = False
        self.asked = []
        self._stop = threading.Event()
        for _ in range(50):                     # one port for both: clients come again by TCP when an answer is long
            self.port = free_port()
            self.udp, self.tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
            try:
                self.udp.bind(("127.0.0.1", self.port))
                self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        else:
            raise Failed("no port for a name server")
        self.tcp.listen(16)
        self.udp.settimeout(0.2)
        self.tcp.settimeout(0.2)
        self.conf = case.write("resolv.conf", f"nameserver 127.0.0.1:{self.port}\n")
        self.env = {"COEUS_RESOLV_CONF": self.conf}
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._serve_udp, self._serve_tcp)]
        for th in self._threads:
            th.start()
        case.cleanup(self.end)

    # --- what it answers ---

    def _set(self, name, kind, values):
        self.records[(name.rstrip(".").lower(), kind)] = values

    def set_a(self, name, *addresses):
        self._set(name, A, [ipaddress.ip_address(a).packed for a in addresses])

    def set_aaaa(self, name, *addresses):
        self._set(name, AAAA, [ipaddress.ip_address(a).packed for a in addresses])

    def set_srv(self, name, targets):
        """targets: [(host, port), …]"""
        self._set(name, SRV, [struct.pack(">HHH", 10, 10, port) + _put_name(host) for host, port in targets])

    def remove(self, name):
        for key in [k for k in self.records if k[0] == name.rstrip(".").lower()]:
            del self.records[key]

    def _answer(self, m, limit):
        if len(m) < 17 or self.silent:
            return None
        name, kind, question = _take_question(m)
        self.asked.append((name, kind))
        values = self.records.get((name, kind), [])
        known = any(k[0] == name for k in list(self.records))
        code = 2 if self.fail else 0 if known else 3
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(v)) + v for v in values) if not code else b""
        n, flags = (len(values) if body else 0), 0x8580 | code
        if 12 + len(question) + len(body) > limit:
            body, n, flags = b"", 0, flags | 0x200
        return m[:2] + struct.pack(">HHHHH", flags, 1, n, 0, 0) + question + body

    # --- sockets ---

    def _serve_udp(self):
        while not self._stop.is_set():
            with contextlib.suppress(socket.timeout, OSError, IndexError, struct.error):
                m, peer = self.udp.recvfrom(4096)
                out = self._answer(m, 512)
                if out:
                    self.udp.sendto(out, peer)

    def _serve_tcp(self):
        while not self._stop.is_set():
            with contextlib.suppress(socket.timeout, OSError, IndexError, struct.error):
                c, _ = self.tcp.accept()
                threading.Thread(target=self._serve_one, args=(c,), daemon=True).start()

    def _serve_one(self, c):
        with c, contextlib.suppress(socket.timeout, OSError, IndexError, struct.error):
            c.settimeout(5)
            stream = c.makefile("rb")
            while not self._stop.is_set():
                head = stream.read(2)
                if len(head) < 2:
                    return
                out = self._answer(stream.read(struct.unpack(">H", head)[0]), 65535)
                if out:
                    c.sendall(struct.pack(">H", len(out)) + out)

    def end(self):
        self._stop.set()
        self.udp.close()
        self.tcp.close()
        for th in self._threads:
            th.join(5)
