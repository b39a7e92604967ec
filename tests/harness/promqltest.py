# SPDX-License-Identifier: Apache-2.0
"""promqltest.py — files of PromQL's test language read for a server over HTTP: what to load (by remote write) and what to ask.

    for section in sections(text):          between two "clear"
        for step in section.steps:          lists of series to write, and evals
            if isinstance(step, Eval): ask(port, step) …
            else: write.write(port, step)

The language: tests/conformance/promql/README.md. The test program runs all forms of each eval; here each is asked as it is written."""
import math
import re
import struct
from collections import namedtuple

from harness import write

STALE = struct.pack("<Q", 0x7ff0000000000002)
UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000, "y": 31536000000}
Eval = namedtuple("Eval", "line kind start end step query expect series scalar")


def duration(text):
    if text == "0":
        return 0
    total, rest = 0, text
    while rest:
        m = re.match(r"(\d+)(ms|[smhdwy])", rest)
        if not m:
            raise ValueError(f"no duration: {text!r}")
        total += int(m[1]) * UNITS[m[2]]
        rest = rest[m.end():]
    return total


def number(text):
    t = text.lower().lstrip("+")
    if re.fullmatch(r"-?(inf|nan)", t):
        return float(t)
    try:
        return float(t)
    except ValueError:
        pass
    if re.fullmatch(r"-?0x[0-9a-f]+", t):
        return float(int(t, 16))
    sign = -1 if t.startswith("-") else 1
    return sign * duration(t.lstrip("-")) / 1000


def metric(text):
    """name{a="b", "c.d"="e"} → labels, rest of the line"""
    labels, i, n = {}, 0, len(text)
    while i < n and text[i] not in "{ \t@":
        i += 1
    if i:
        labels["__name__"] = text[:i]
    if i < n and text[i] == "{":
        i += 1
        token = re.compile(r"\s*(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|[^\s,=}]+)?\s*")
        while text[i] != "}":
            m = token.match(text, i)
            name, i = m[1], m.end()
            if i < n and text[i] == "=":
                m = token.match(text, i + 1)
                labels[unquote(name)] = unquote(m[1])
                i = m.end()
            elif name:
                labels["__name__"] = unquote(name)
            if text[i] == ",":
                i += 1
                while text[i] in " \t":
                    i += 1
        i += 1
    is_start = text[i:i + 3] == "@st"
    return {k: v for k, v in labels.items() if v}, text[i + 3 * is_start:].strip(), is_start


def unquote(s):
    if s[0] == "`":
        return s[1:-1]
    if s[0] not in "\"'":
        return s
    return re.sub(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)",
                  lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1] if len(m[1]) == 1 else chr(int(m[1][1:], 16))), s[1:-1])


def histogram(text):
    h = {}
    for key, value in re.findall(r"(\w+):(\[[^\]]*\]|[^\s]+)", text):
        key = key.lower()
        if value[0] == "[":
            h[key] = [number(x) for x in value[1:-1].split()]
        elif key == "counter_reset_hint":
            h["hint"] = {"unknown": 0, "reset": 1, "not_reset": 2, "gauge": 3}[value]
        elif key in ("schema", "offset", "n_offset"):
            h[key] = int(value)
        else:
            h[key] = number(value)
    return h


def buckets(h, prefix, want_offset, n):
    own, out = h.get(prefix + "offset", 0), [0.0] * n
    for i, v in enumerate(h.get(prefix + "buckets", [])):
        out[own - want_offset + i] = v
    return out


def reduced(h, by):
    """Buckets of a schema that is coarser by so many."""
    out = {**h, "schema": h.get("schema", 0) - by}
    for p in ("", "n_"):
        merged = {}
        for i, v in enumerate(h.get(p + "buckets", [])):
            at = ((h.get(p + "offset", 0) + i - 1) >> by) + 1
            merged[at] = merged.get(at, 0) + v
        if merged:
            out[p + "offset"] = min(merged)
            out[p + "buckets"] = [merged.get(i, 0) for i in range(min(merged), max(merged) + 1)]
    return out


def histogram_add(a, b, factor):
    """Of one schema, or with a finer b, which is merged: what loads do."""
    if a.get("schema", 0) != b.get("schema", 0):
        b = reduced(b, b.get("schema", 0) - a.get("schema", 0))
    out = {**a, "count": a.get("count", 0) + factor * b.get("count", 0), "sum": a.get("sum", 0) + factor * b.get("sum", 0),
           "z_bucket": a.get("z_bucket", 0) + factor * b.get("z_bucket", 0), "z_bucket_w": max(a.get("z_bucket_w", 0), b.get("z_bucket_w", 0))}
    for p in ("", "n_"):
        both = [x for x in (a, b) if x.get(p + "buckets")]
        if both:
            lo = min(x.get(p + "offset", 0) for x in both)
            n = max(x.get(p + "offset", 0) + len(x[p + "buckets"]) for x in both) - lo
            out[p + "buckets"] = [x + factor * y for x, y in zip(buckets(a, p, lo, n), buckets(b, p, lo, n))]
            out[p + "offset"] = lo
    if "hint" in b:
        out["hint"] = b["hint"]
    return out


NUMBER = r"([+-]?(?:[0-9.]+(?:[eE][+-]?\d+)?(?![\da-wyz])|[\d.a-wyzA-Z]+))"
ITEM = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|[^\s]+")


def values(text):
    """None: a gap; a float; STALE; a histogram (dict)"""
    out = []
    for item in ITEM.findall(text):
        if item.startswith("{{"):
            m = re.fullmatch(r"(\{\{.*?\}\})(?:([+-])(\{\{.*?\}\}))?(?:x(\d+))?", item)
            h, times = histogram(m[1][2:-2]), int(m[4] or 0)
            out.append(h)
            for _ in range(times):
                h = histogram_add(h, histogram(m[3][2:-2]), 1 if m[2] == "+" else -1) if m[3] else h
                out.append(h)
            continue
        m = re.fullmatch(r"_(?:x(\d+))?", item)
        if m:
            out += [None] * int(m[1] or 1)
            continue
        if item == "stale":
            out.append(STALE)
            continue
        m = re.fullmatch(NUMBER + r"(?:([+-])(" + NUMBER[1:-1] + r"))?(?:x(\d+))?", item)
        v, times = number(m[1]), int(m[4] or 0)
        step = (number(m[3]) if m[2] == "+" else -number(m[3])) if m[3] else 0
        out.append(v)
        for _ in range(times):
            v += step
            out.append(v)
    return out


def starts(text):
    out = []
    for item in text.split():
        m = re.fullmatch(r"_(?:x(\d+))?|([+-]?\w*?)(?:([+-])(\w+?))?(?:x(\d+))?", item)
        if item[0] == "_":
            out += [None] * int(m[1] or 1)
            continue
        signed = lambda s: (-1 if s[0] == "-" else 1) * duration(s.lstrip("+-"))  # noqa: E731
        v, step = signed(m[2]), signed(m[3] + m[4]) if m[3] else 0
        out += [v + i * step for i in range(int(m[5] or 0) + 1)]
    return out


class Section:
    def __init__(self):
        self.steps = []
        self.classic = self.starts = False       # asks for custom buckets made of classic histograms; has start times


def series_of(labels, gap, items, offsets):
    """One entry for each run of floats or of histograms, so that times ascend."""
    out, run, was_histogram = [], [], False

    def end_run():
        if run:
            out.append(write.series(labels, *(((), run) if was_histogram else (run, ()))))

    for i, v in enumerate(items):
        if v is None:
            continue
        t = i * gap
        start = t + offsets[i] if offsets and offsets[i] is not None else 0
        if run and isinstance(v, dict) != was_histogram:
            end_run()
            run = []
        was_histogram = isinstance(v, dict)
        run.append((t, v, start))
    end_run()
    return out


def read_load(lines, i, section):
    word, gap = lines[i].split(None, 1)
    gap, found, offsets = duration(gap.strip()), {}, None
    section.classic |= word != "load"
    i += 1
    while i < len(lines) and lines[i]:
        labels, rest, is_start = metric(lines[i])
        if is_start:
            offsets = starts(rest)
            section.starts = True
        else:
            found[tuple(sorted(labels.items()))] = (labels, values(rest), offsets)
            offsets = None
        i += 1
    section.steps.append([x for labels, items, offsets in found.values() for x in series_of(labels, gap, items, offsets)])
    return i


def read_eval(lines, i):
    head, at = lines[i], i + 1
    expect, series, scalar, m = [], [], None, re.match(r"eval(_\w+)?\s+instant\s+at\s+(\S+)\s+(.*)$", head)
    if m:
        kind, start, end, step, query = "instant", duration(m[2]), duration(m[2]), 0, m[3]
    else:
        m = re.match(r"eval(_\w+)?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)$", head)
        kind, start, end, step, query = "range", duration(m[2]), duration(m[3]), duration(m[4]), m[5]
    if m[1]:
        expect.append(m[1][1:])
    i += 1
    while i < len(lines) and lines[i]:
        line = lines[i]
        i += 1
        if line.startswith("expect "):
            expect.append(line[len("expect "):].strip())
        elif line.startswith("expected_fail"):
            expect.append(line)
        elif re.fullmatch(r"[+-]?[\w.+-]+", line) and not line[0].isalpha() or re.fullmatch(r"[+-]?(?i:inf|nan)", line):
            scalar = number(line)
            break
        else:
            labels, rest, _ = metric(line)
            series.append((labels, values(rest)))
    return Eval(at, kind, start, end, step, query, expect, series, scalar), i


def sections(text):
    lines = [x.strip() for x in text.split("\n")]
    lines = ["" if x.startswith("#") else x for x in lines]
    out, i = [Section()], 0
    while i < len(lines):
        line = lines[i]
        if not line:
            i += 1
        elif line == "clear":
            out.append(Section())
            i += 1
        elif line.startswith("load"):
            i = read_load(lines, i, out[-1])
        else:
            ev, i = read_eval(lines, i)
            out[-1].steps.append(ev)
    return [s for s in out if any(isinstance(x, Eval) for x in s.steps)]


def almost_equal(a, b):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    s, d = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or s < 2 ** -1022:
        return d < 1e-6 * 2 ** -1022
    return d / min(s, 1.7976931348623157e308) < 1e-6
