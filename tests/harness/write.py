# SPDX-License-Identifier: Apache-2.0
"""write.py — messages of remote write (2.0), as a client sends them.

    body = request([series({"__name__": "a"}, [(1000, 1.5)], histograms=[(1000, {...})])])
    write(port, body)"""
import struct

from harness.core import check, http_request

HEADERS = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
           "X-Prometheus-Remote-Write-Version": "2.0.0"}


def uvarint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return n * 2 if n >= 0 else -n * 2 - 1


def field_uint(number, v):
    return uvarint(number << 3) + uvarint(v) if v else b""


def field_double(number, v, always=False):
    raw = struct.pack("<d", v)
    return uvarint(number << 3 | 1) + raw if always or raw != b"\0" * 8 else b""


def field_bytes(number, v):
    return uvarint(number << 3 | 2) + uvarint(len(v)) + v if v else b""


def message(number, v):
    return uvarint(number << 3 | 2) + uvarint(len(v)) + v


def doubles(number, values):
    return field_bytes(number, b"".join(struct.pack("<d", x) for x in values))


def spans(number, offset, n):
    return field_bytes(number, field_uint(1, zigzag(offset)) + field_uint(2, n)) if n else b""


def histogram(t, h, start=0):
    """h: of the test language, a float histogram: schema, sum, count, z_bucket, z_bucket_w, buckets, n_buckets, offset, n_offset, custom_values, hint."""
    return (field_double(2, h.get("count", 0), True) + field_double(3, h.get("sum", 0)) + field_uint(4, zigzag(h.get("schema", 0))) +
            field_double(5, h.get("z_bucket_w", 0)) + field_double(7, h.get("z_bucket", 0), True) +
            spans(8, h.get("n_offset", 0), len(h.get("n_buckets", []))) + doubles(10, h.get("n_buckets", [])) +
            spans(11, h.get("offset", 0), len(h.get("buckets", []))) + doubles(13, h.get("buckets", [])) +
            field_uint(14, h.get("hint", 0)) + field_uint(15, t) + doubles(16, h.get("custom_values", [])) + field_uint(17, start))


def sample(t, v, start=0):
    raw = v if isinstance(v, bytes) else struct.pack("<d", v)
    return (uvarint(1 << 3 | 1) + raw if raw != b"\0" * 8 else b"") + field_uint(2, t) + field_uint(3, start)


def series(labels, samples=(), histograms=()):
    """samples: (t, value[, start]); histograms: (t, h[, start])"""
    return labels, b"".join(message(2, sample(*s)) for s in samples) + b"".join(message(3, histogram(*h)) for h in histograms)


def request(all_series):
    symbols, out = {"": 0}, b""
    for labels, points in all_series:
        refs = b"".join(uvarint(symbols.setdefault(s, len(symbols))) for pair in sorted(labels.items()) for s in pair)
        out += field_bytes(5, field_bytes(1, refs) + points)
    return b"".join(uvarint(4 << 3 | 2) + uvarint(len(s.encode())) + s.encode() for s in symbols) + out


def snappy(raw):
    """A block of literals only."""
    out = bytearray(uvarint(len(raw)))
    for at in range(0, len(raw), 65536):
        piece = raw[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def write(port, all_series):
    r = http_request(port, "POST", "/api/v1/write", body=snappy(request(all_series)), headers=HEADERS, timeout_s=60)
    check(r.status in (200, 204), f"remote write: {r.status} {r.text[:500]}")
    return r
