# SPDX-License-Identifier: Apache-2.0
"""alertmanager.py — an Alertmanager that only writes down what it is sent."""
import http.server
import json
import threading


class FakeAlertmanager:
    """requests: (path, headers, alerts) as they came. status may be changed while it runs."""

    def __init__(self, case, port=0):
        self.requests, self.status, self.mu = [], 200, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with outer.mu:
                    outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        case.cleanup(self.close)

    def alerts(self, **labels):
        """All alerts that came with these labels, in order."""
        with self.mu:
            return [a for _, _, alerts in self.requests for a in alerts if all(a["labels"].get(k) == v for k, v in labels.items())]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
