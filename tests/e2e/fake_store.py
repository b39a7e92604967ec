# SPDX-License-Identifier: Apache-2.0
"""fake_store.py PORT FOLDER MODE: a StoreAPI in grpcio that answers with recorded frames, or misbehaves: hang, cut, garbage, bad_chunk, old
(no Info/Info), flood. Run by the interpreter of build/venv."""
import os
import sys
import threading
from concurrent import futures

import grpc

port, folder, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def recorded(name):
    out = []
    while os.path.exists(path := os.path.join(folder, "store-0.36", f"{name}.response.{len(out):03d}.bin")):
        with open(path, "rb") as f:
            out.append(f.read())
    return out


def series(request, context):
    frames = recorded("series_plain")
    if mode == "garbage":
        yield b"\xff" * 1000
        return
    if mode == "bad_chunk":
        # The bytes of each chunk's samples become noise: lengths and labels stay right.
        for f in frames:
            at = f.rindex(b"\x12", 0, len(f) - 40)
            yield f[:at + 20] + bytes(b ^ 0x5A for b in f[at + 20:])
        return
    yield frames[0]
    if mode == "cut":
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
    if mode == "hang":
        threading.Event().wait(600)
    if mode == "flood":
        for _ in range(3000):
            yield b"\x12\x84\x80\x04" + b"w" * 65540        # a warning of 64 KiB
    yield from frames[1:]



def old_info():
    def varint(v):
        out = b""
        while True:
            out += bytes([v & 127 | (128 if v > 127 else 0)])
            v >>= 7
            if not v:
                return out
    labels = b"".join(b"\x0a" + bytes([len(n) + len(v) + 4]) + b"\x0a" + bytes([len(n)]) + n + b"\x12" + bytes([len(v)]) + v
                      for n, v in ((b"cluster", b"c1"), (b"replica", b"r0")))
    return b"\x10" + varint(1) + b"\x18" + varint(1 << 62) + b"\x20\x03" + b"\x2a" + bytes([len(labels)]) + labels


methods = {"Series": grpc.unary_stream_rpc_method_handler(series)}
if mode == "old":
    methods["Info"] = grpc.unary_unary_rpc_method_handler(lambda request, context: old_info())
server = grpc.server(futures.ThreadPoolExecutor(16))
handlers = [grpc.method_handlers_generic_handler("thanos.Store", methods)]
if mode != "old":
    info = recorded("info")[0]
    handlers.append(grpc.method_handlers_generic_handler("thanos.info.Info", {"Info": grpc.unary_unary_rpc_method_handler(lambda request, context: info)}))
server.add_generic_rpc_handlers(handlers)
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
print("serving", flush=True)
threading.Event().wait()
