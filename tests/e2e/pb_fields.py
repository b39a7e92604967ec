# SPDX-License-Identifier: Apache-2.0
"""pb_fields.py — protobuf without its schema."""


def fields(b):
    """(number, value) of each field; bytes of a message or string, else the number; 64 bits as bytes."""
    at = 0

    def varint():
        nonlocal at
        v = shift = 0
        while True:
            x = b[at]
            at += 1
            v |= (x & 127) << shift
            shift += 7
            if x < 128:
                return v
    while at < len(b):
        key = varint()
        if key & 7 == 2:
            n = varint()
            yield key >> 3, b[at:at + n]
            at += n
        elif key & 7 == 1:
            yield key >> 3, b[at:at + 8]
            at += 8
        else:
            assert key & 7 == 0, key
            yield key >> 3, varint()
