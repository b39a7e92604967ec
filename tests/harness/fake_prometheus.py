# SPDX-License-Identifier: Apache-2.0
"""fake_prometheus.py — the HTTP API of a Prometheus in the test's own process: answers are values that the test may change at any time."""
import http.server
import json
import threading
import urllib.parse


def frame(message):
    """One frame of a streamed remote read."""
    return varint(len(message)) + crc32c(message).to_bytes(4, "big") + message


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


def field(number, value):
    """A protobuf field: bytes and str with their length, numbers as varints."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def fields(b):
    """(number, value) of each field of a message."""
    at = 0

    def take():
        nonlocal at
        v = shift = 0
        while True:
            v |= (b[at] & 127) << shift
            shift += 7
            at += 1
            if b[at - 1] < 128:
                return v
    while at < len(b):
        key = take()
        if key & 7 == 0:
            yield key >> 3, take()
            continue
        n = take() if key & 7 == 2 else 8 if key & 7 == 1 else 4
        yield key >> 3, b[at:at + n]
        at += n


_table = []


def crc32c(data):
    if not _table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
            _table.append(i)
    c = 0xFFFFFFFF
    for x in data:
        c = c >> 8 ^ _table[(c ^ x) & 255]
    return c ^ 0xFFFFFFFF


def chunked_series(labels, chunks):
    """A ChunkedReadResponse with one series; chunks: (mint, maxt, encoding, bytes)."""
    s = b"".join(field(1, field(1, k) + field(2, v)) for k, v in labels.items())
    s += b"".join(field(2, field(1, a) + field(2, b) + field(3, kind) + field(4, data)) for a, b, kind, data in chunks)
    return field(1, s)


class FakePrometheus:
    """answers: path under /api/v1/ to the member "data", or to a function of the query's parameters that gives it; (status, text) is sent as it is.
    read: what /api/v1/read sends: bytes, or a function of the socket file; read_type its content type. down: connections are closed at once."""

    STREAMED = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

    def __init__(self, case, external="cluster: c1, replica: r0", port=0):
        self.answers = {
            "status/buildinfo": {"version": "3.14.0"},
            "status/flags": {"storage.tsdb.min-block-duration": "2h", "storage.tsdb.max-block-duration": "2h"},
            "labels": ["__name__", "job"],
        }
        self.set_external(external)
        self.read, self.read_type, self.read_status, self.down = b"", self.STREAMED, 200, False
        self.requests = []              # (path, parameters)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if outer.down:
                    self.close_connection = True
                    return
                url = urllib.parse.urlsplit(self.path)
                params = urllib.parse.parse_qs(url.query)
                outer.requests.append((url.path, params))
                answer = outer.answers.get(url.path.removeprefix("/api/v1/"), (404, "404 page not found\n"))
                if callable(answer):
                    answer = answer(params)
                if not isinstance(answer, tuple):
                    answer = (200, json.dumps({"status": "success", "data": answer}))
                self.reply(answer[0], answer[1] if isinstance(answer[1], bytes) else answer[1].encode(), "application/json")

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                if outer.down:
                    self.close_connection = True
                    return
                outer.requests.append((self.path, dict(self.headers.items())))
                if not callable(outer.read):
                    self.reply(outer.read_status, outer.read, outer.read_type)
                    return
                self.close_connection = True
                self.send_response(outer.read_status)
                self.send_header("Content-Type", outer.read_type)
                self.send_header("Connection", "close")
                self.end_headers()
                try:
                    outer.read(self.wfile)
                except OSError:
                    pass

            def reply(self, status, body, kind):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()
        case.cleanup(self.close)

    def set_external(self, text):
        self.answers["status/config"] = {"yaml": "global:\n  scrape_interval: 15s\n" + (f"  external_labels: {{{text}}}\n" if text else "")}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
