# SPDX-License-Identifier: Apache-2.0
"""target.py — a scrape target in the test's own process. The body comes from a function, requests are remembered."""
import contextlib
import gzip
import http.server
import socket
import threading


class Target:
    """Target(body): body is bytes, text, or a function of the request's headers that gives (bytes or text, content type).
    status, delay_s and raw (a function of the socket file that writes the answer itself) may be changed while it runs."""

    def __init__(self, case, body, content_type="text/plain; version=0.0.4; charset=utf-8", port=0):
        self.body, self.content_type, self.status, self.delay_s, self.raw = body, content_type, 200, 0, None
        self.requests = []                      # (path, headers)
        self.compress = True
        self.connections = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers.items())))
                if outer.raw:
                    self.close_connection = True
                    try:
                        outer.raw(self.wfile)
                    except OSError:
                        pass
                    return
                if outer.delay_s:
                    outer.stopped.wait(outer.delay_s)
                body, kind = outer.body, outer.content_type
                if callable(body):
                    body = body(self.headers)
                    if isinstance(body, tuple):
                        body, kind = body
                if isinstance(body, str):
                    body = body.encode()
                self.send_response(outer.status)
                if kind:
                    self.send_header("Content-Type", kind)
                if outer.compress and "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body, 1)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def setup(self):
                super().setup()
                outer.connections.add(self.connection)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.stopped = threading.Event()
        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        case.cleanup(self.close)

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()
        for c in list(self.connections):        # keep-alive connections outlive the listener
            with contextlib.suppress(OSError):
                c.shutdown(socket.SHUT_RDWR)


def config(targets, interval="200ms", extra="", job="t", **scrape):
    """A prometheus.yml that scrapes the addresses; further keys of the scrape_config by name, `extra` goes in as it is."""
    keys = "".join(f"    {k}: {v}\n" for k, v in scrape.items())
    addresses = ", ".join(f"'{t if isinstance(t, str) else t.address}'" for t in targets)
    return (f"global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n{extra}scrape_configs:\n  - job_name: {job}\n{keys}"
            f"    static_configs:\n      - targets: [{addresses}]\n")
