# SPDX-License-Identifier: Apache-2.0
"""Python's grpcio and our gRPC: its client against our server and our client against its server, plain, TLS and mTLS.

grpcio lives in build/venv (made here when it can be installed). Ours is the test program grpc_peer, from the build of the program
under test or the newest variant below build/."""
import glob
import os
import subprocess

from harness import core
from harness.core import check, check_eq
from harness.venv import certificates, venv_python


def peer_program(t):
    near = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(core.coeus_bin()))), "tests", "grpc_peer")
    found = [near] if os.path.exists(near) else sorted(glob.glob(os.path.join(core.ROOT, "build", "*", "tests", "grpc_peer")), key=os.path.getmtime)
    if not found:
        t.skip("grpc_peer is not built (ninja test-programs)")
    return found[-1]


class Started:
    """A process that prints "port N" first."""

    def __init__(self, t, argv):
        self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=t.dir, start_new_session=True)
        t.cleanup(self.end)
        line = self.p.stdout.readline()
        check(line.startswith("port "), f"{argv}: {line!r}")
        self.port = int(line.split()[1])

    def end(self):
        self.p.stdin.close()
        try:
            return self.p.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            return self.p.wait()


def their_client(t, port, *args):
    """Runs the client script below; it raises on any difference."""
    script = t.write("client.py", CLIENT)
    r = subprocess.run([venv_python(t), script, str(port), *args], capture_output=True, text=True, timeout=120, cwd=t.dir, check=False)
    check(r.returncode == 0, r.stdout + r.stderr[-3000:])


def our_call(t, target, path, request, *options):
    r = subprocess.run([peer_program(t), "call", target, path, request, *options], capture_output=True, text=True, timeout=60, check=False)
    check(r.returncode == 0, r.stderr)
    lines = r.stdout.splitlines()
    return [int(x.split()[1]) for x in lines if x.startswith("message ")], lines[-1]


CLIENT = '''
import sys, threading, time
import grpc
port, tls = sys.argv[1], sys.argv[2:]
options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
def channel():
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options)
    read = lambda p: open(p, "rb").read()
    cred = grpc.ssl_channel_credentials(read(tls[0]), *([read(tls[2]), read(tls[1])] if len(tls) > 2 else []))
    return grpc.secure_channel(f"localhost:{port}", cred, options)
def eq(got, want, what):
    if got != want:
        raise SystemExit(f"{what}: got {got!r}, want {want!r}")
def fails(fn, code, text=None):
    try:
        fn()
    except grpc.RpcError as e:
        eq(e.code(), code, "code")
        if text is not None:
            eq(e.details(), text, "details")
        return
    raise SystemExit(f"no error, but {code}")
ch = channel()
unary = lambda m, req, **kw: ch.unary_unary(m)(req, timeout=kw.pop("timeout", 60), **kw)
stream = lambda m, req, **kw: ch.unary_stream(m)(req, timeout=kw.pop("timeout", 60), **kw)
eq(unary("/peer.Test/Echo", b"hello"), b"hello", "echo")
eq(unary("/peer.Test/Echo", b""), b"", "empty")
big = bytes(range(256)) * 12000
eq(unary("/peer.Test/Echo", big), big, "3 MB")
for c in (grpc.Compression.Gzip,):
    eq(unary("/peer.Test/Echo", big, compression=c), big, "gzip")
    eq(unary("/peer.Test/Echo", b"", compression=c), b"", "gzip, empty")
fails(lambda: unary("/peer.Test/Echo", big, compression=grpc.Compression.Deflate), grpc.StatusCode.UNIMPLEMENTED)
got = list(stream("/peer.Test/Count", b"1000 65536"))
eq([len(x) for x in got], [65536] * 1000, "sizes")
eq([int.from_bytes(x[:8], "little") for x in got], list(range(1000)), "order")
eq(list(stream("/peer.Test/Count", b"0")), [], "no messages")
eq(list(ch.stream_stream("/peer.Test/Echo")(iter([b"a", b"", b"c" * 100000]), timeout=60)), [b"a", b"", b"c" * 100000], "both stream")
fails(lambda: unary("/peer.Test/Fail", b""), grpc.StatusCode.ABORTED, "no: \\u00e9 100%")
fails(lambda: unary("/peer.Test/Nope", b""), grpc.StatusCode.UNIMPLEMENTED, "unknown method Nope for service peer.Test")
fails(lambda: unary("/no.Such/Nope", b""), grpc.StatusCode.UNIMPLEMENTED, "unknown service no.Such")
fails(lambda: unary("/peer.Test/Echo", b"x" * (5 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED, f"grpc: received message larger than max ({5 << 20} vs. {4 << 20})")
fails(lambda: unary("/peer.Test/Hang", b"", timeout=0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
eq(unary("/peer.Test/Metadata", b"", metadata=(("x-test", "value"),)), b"value", "metadata")
eq(unary("/grpc.health.v1.Health/Check", b""), b"\\x08\\x01", "health")
fails(lambda: unary("/grpc.health.v1.Health/Check", b"\\x0a\\x01x"), grpc.StatusCode.NOT_FOUND, "unknown service")
call = stream("/peer.Test/Count", b"100000 65536")
next(call)
call.cancel()
out = []
def worker():
    for i in range(200):
        out.append(unary("/peer.Test/Echo", str(i).encode()) == str(i).encode())
threads = [threading.Thread(target=worker) for _ in range(8)]
[x.start() for x in threads]
[x.join() for x in threads]
eq((len(out), all(out)), (1600, True), "threads")
'''

SERVER = '''
import sys, time
from concurrent import futures
import grpc
class H(grpc.GenericRpcHandler):
    def service(self, d):
        return {"/peer.Test/Echo": grpc.unary_unary_rpc_method_handler(lambda r, c: r),
                "/peer.Test/Count": grpc.unary_stream_rpc_method_handler(self.count),
                "/peer.Test/Fail": grpc.unary_unary_rpc_method_handler(lambda r, c: c.abort(grpc.StatusCode.ABORTED, "no: \\u00e9 100%")),
                "/peer.Test/Metadata": grpc.unary_unary_rpc_method_handler(lambda r, c: dict(c.invocation_metadata()).get("x-test", "").encode()),
                "/peer.Test/Hang": grpc.unary_unary_rpc_method_handler(lambda r, c: time.sleep(2) or b"late")}.get(d.method)
    def count(self, r, c):
        n, size = r.split()
        for i in range(int(n)):
            yield b"x" * int(size)
gzip = grpc.Compression.Gzip if "gzip" in sys.argv else None
s = grpc.server(futures.ThreadPoolExecutor(8), handlers=[H()], compression=gzip, options=[("grpc.max_receive_message_length", -1)])
tls = [x for x in sys.argv[1:] if x != "gzip"]
if tls:
    read = lambda p: open(p, "rb").read()
    cred = grpc.ssl_server_credentials([(read(tls[2]), read(tls[1]))], read(tls[0]) if len(tls) > 3 else None, len(tls) > 3)
    port = s.add_secure_port("127.0.0.1:0", cred)
else:
    port = s.add_insecure_port("127.0.0.1:0")
s.start()
print("port", port, flush=True)
sys.stdin.read()
s.stop(0)
'''


def test_their_client_our_server(t):
    their_client(t, Started(t, [peer_program(t), "serve"]).port)


def test_their_client_our_server_tls(t):
    ca, cert, key = certificates(t)
    their_client(t, Started(t, [peer_program(t), "serve", f"tls={cert},{key}"]).port, ca)


def test_their_client_our_server_mtls(t):
    ca, cert, key = certificates(t)
    their_client(t, Started(t, [peer_program(t), "serve", f"tls={cert},{key},{ca}"]).port, ca, cert, key)


def client_case(t, server_args, *options):
    server = Started(t, [venv_python(t), t.write("server.py", SERVER), *server_args])
    target = f"127.0.0.1:{server.port}"

    def call(path, request, *more):
        return our_call(t, target, path, request, *options, *more)
    check_eq(call("/peer.Test/Echo", "hello"), ([5], "status 0 "))
    check_eq(call("/peer.Test/Echo", ""), ([0], "status 0 "))
    check_eq(call("/peer.Test/Echo", "x" * 100000), ([100000], "status 0 "))
    check_eq(call("/peer.Test/Count", "1000 65536"), ([65536] * 1000, "status 0 "))
    check_eq(call("/peer.Test/Count", "3 5000000"), ([5000000] * 3, "status 0 "))
    check_eq(call("/peer.Test/Count", "0 1"), ([], "status 0 "))
    check_eq(call("/peer.Test/Fail", ""), ([], "status 10 no: é 100%"))
    check_eq(call("/peer.Test/Nope", ""), ([], "status 12 Method not found!"))
    check_eq(call("/peer.Test/Metadata", "", "metadata=x-test:value"), ([5], "status 0 "))
    check_eq(call("/peer.Test/Hang", "", "timeout=300")[1].split()[:2], ["status", "4"])        # whoever says it first


def test_our_client_their_server(t):
    client_case(t, [])


def test_our_client_their_server_gzip(t):
    client_case(t, ["gzip"], "compression=gzip")


def test_our_client_their_server_tls(t):
    ca, cert, key = certificates(t)
    client_case(t, [ca, cert, key], f"tls={ca}")


def test_our_client_their_server_mtls(t):
    ca, cert, key = certificates(t)
    client_case(t, [ca, cert, key, "mtls"], f"tls={ca},{cert},{key}")


def test_snappy_both_ours(t):
    server = Started(t, [peer_program(t), "serve"])
    check_eq(our_call(t, f"127.0.0.1:{server.port}", "/peer.Test/Count", "50 300000", "compression=snappy"), ([300000] * 50, "status 0 "))
    check_eq(server.end(), 0, "the server's exit code")
