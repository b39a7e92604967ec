# SPDX-License-Identifier: Apache-2.0
"""reference.py — PromQL as simply as it can be said: one step at a time, one series at a time, no thought of speed. What the server answers is
compared with it. Trees come from the server's /api/v1/parse_query; floats only, and only what promql_random.vector() makes without full.

    ref = Reference(series)             list of (labels, [(t_ms, value)]); STALE ends a series
    ref.at(tree, t_ms)                  {labels as a sorted tuple: value}, a float, or PromqlError
"""
import math
import re
import struct

from harness.promqltest import STALE

LOOKBACK_MS, SUBQUERY_STEP_MS = 300000, 60000


class PromqlError(Exception):
    pass


def drop_name(labels):
    return tuple(x for x in labels if x[0] != "__name__")


def put(out, labels, value):
    if labels in out:
        raise PromqlError("vector cannot contain metrics with the same labelset")
    out[labels] = value


def total(values):
    if not all(math.isfinite(v) for v in values):
        return sum(values)
    try:
        return math.fsum(values)
    except OverflowError:
        return math.inf if sum(1 if v > 0 else -1 for v in values) > 0 else -math.inf


def mean(values):
    return total(values) / len(values)


def variance(values):
    m = mean(values)
    return mean([(v - m) ** 2 if math.isfinite(v - m) else math.nan for v in values]) if math.isfinite(m) else math.nan


def quantile(q, values):
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    v = sorted(values, key=lambda x: (not math.isnan(x), x if not math.isnan(x) else 0))
    rank = q * (len(v) - 1)
    low, high = int(max(0, math.floor(rank))), int(min(len(v) - 1, math.floor(rank) + 1))
    weight = rank - math.floor(rank)
    return v[low] * (1 - weight) + v[high] * weight


def extreme(values, better):
    best = values[0]
    for v in values:
        if better(v, best) or math.isnan(best):
            best = v
    return best


def divide(a, b):
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def power(a, b):
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:          # 0 to a negative power, or a root of a negative number
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


ARITHMETIC = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": divide, "^": power,
              "%": lambda a, b: math.fmod(a, b) if b != 0 and not math.isinf(a) else math.nan}
COMPARE = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
           ">=": lambda a, b: a >= b}


def rate(window, start, end, is_counter, is_rate):
    if len(window) < 2:
        return None
    increase = window[-1][1] - window[0][1]
    if is_counter:
        for (_, before), (_, v) in zip(window, window[1:]):
            if v < before:
                increase += before
    first, last = window[0][0], window[-1][0]
    sampled, to_start, to_end = (last - first) / 1000, (first - start) / 1000, (end - last) / 1000
    spacing = sampled / (len(window) - 1)
    if to_start >= spacing * 1.1:
        to_start = spacing / 2
    if is_counter and increase > 0 and window[0][1] >= 0:
        to_start = min(to_start, sampled * (window[0][1] / increase))
    if to_end >= spacing * 1.1:
        to_end = spacing / 2
    result = increase * ((sampled + to_start + to_end) / sampled)
    return result / ((end - start) / 1000) if is_rate else result


def instant(window, is_rate):
    if len(window) < 2:
        return None
    (t0, v0), (t1, v1) = window[-2:]
    change = v1 if is_rate and v1 < v0 else v1 - v0
    return change / ((t1 - t0) / 1000) if is_rate else change


def slope(window):
    if len(window) < 2:
        return None
    if all(v == window[0][1] for _, v in window):
        return math.nan if math.isinf(window[0][1]) else 0.0
    x = [(t - window[0][0]) / 1000 for t, _ in window]
    y = [v for _, v in window]
    n = len(window)
    cov = total([a * b for a, b in zip(x, y)]) - total(x) * total(y) / n
    return cov / (total([a * a for a in x]) - total(x) ** 2 / n)


OVER_TIME = {
    "rate": lambda w, a, b: rate(w, a, b, True, True), "increase": lambda w, a, b: rate(w, a, b, True, False), "delta": lambda w, a, b: rate(w, a, b, False, False),
    "irate": lambda w, a, b: instant(w, True), "idelta": lambda w, a, b: instant(w, False), "deriv": lambda w, a, b: slope(w),
    "resets": lambda w, a, b: float(sum(y < x for (_, x), (_, y) in zip(w, w[1:]))),
    "changes": lambda w, a, b: float(sum(y != x and not (math.isnan(x) and math.isnan(y)) for (_, x), (_, y) in zip(w, w[1:]))),
    "sum_over_time": lambda w, a, b: total([v for _, v in w]), "avg_over_time": lambda w, a, b: mean([v for _, v in w]),
    "min_over_time": lambda w, a, b: extreme([v for _, v in w], lambda x, y: x < y), "max_over_time": lambda w, a, b: extreme([v for _, v in w], lambda x, y: x > y),
    "count_over_time": lambda w, a, b: float(len(w)), "last_over_time": lambda w, a, b: w[-1][1], "present_over_time": lambda w, a, b: 1.0,
    "stddev_over_time": lambda w, a, b: math.sqrt(variance([v for _, v in w])), "stdvar_over_time": lambda w, a, b: variance([v for _, v in w]),
}
PER_VALUE = {"abs": abs, "ceil": lambda v: math.ceil(v) if math.isfinite(v) else v, "floor": lambda v: math.floor(v) if math.isfinite(v) else v,
             "sgn": lambda v: v if math.isnan(v) else float((v > 0) - (v < 0)), "sqrt": lambda v: math.sqrt(v) if v >= 0 else math.nan}
AGGREGATE = {"sum": total, "avg": mean, "count": lambda v: float(len(v)), "group": lambda v: 1.0, "stddev": lambda v: math.sqrt(variance(v)), "stdvar": variance,
             "min": lambda v: extreme(v, lambda x, y: x < y), "max": lambda v: extreme(v, lambda x, y: x > y)}


class Reference:
    def __init__(self, series, start_ms=0, end_ms=0):
        self.series = [(tuple(sorted(labels.items())), samples) for labels, samples in series]
        self.start_ms, self.end_ms = start_ms, end_ms          # of the query: start(), end()

    def at(self, x, t):
        return getattr(self, "eval_" + x["type"])(x, t)

    # ---- selectors ----

    def reference_time(self, x, t):
        at = {"start": self.start_ms, "end": self.end_ms}.get(x["startOrEnd"], x["timestamp"])
        return (t if at is None else at) - x["offset"]

    def select(self, x):
        for labels, samples in self.series:
            has, ok = dict(labels), True
            for m in x["matchers"]:
                v = has.get(m["name"], "")
                hit = bool(re.fullmatch(m["value"], v, re.S)) if "~" in m["type"] else v == m["value"]
                ok = ok and hit == (m["type"][0] == "=")
            if ok:
                yield labels, samples

    def newest(self, x, t):
        """{labels: (time, value)}"""
        at, out = self.reference_time(x, t), {}
        for labels, samples in self.select(x):
            seen = [(ts, v) for ts, v in samples if at - LOOKBACK_MS < ts <= at]
            if seen and seen[-1][1] is not STALE:
                out[labels] = seen[-1]
        return out

    def eval_vectorSelector(self, x, t):
        return {labels: v for labels, (_, v) in self.newest(x, t).items()}

    def windows(self, x, t):
        """{labels: samples}, start, end"""
        at = self.reference_time(x, t)
        start = at - x["range"]
        if x["type"] == "matrixSelector":
            all_samples = {labels: samples for labels, samples in self.select(x)}
        else:
            step = x["step"] or SUBQUERY_STEP_MS
            first = math.trunc(start / step) * step
            first += step if first <= start else 0
            all_samples = {}
            for ts in range(first, at + 1, step):
                value = self.at(x["expr"], ts)
                for labels, v in value.items():
                    all_samples.setdefault(labels, []).append((ts, v))
        out = {labels: [(ts, v) for ts, v in samples if start < ts <= at and v is not STALE] for labels, samples in all_samples.items()}
        return {labels: w for labels, w in out.items() if w}, start, at

    # ---- everything else ----

    def eval_numberLiteral(self, x, t):
        return float(x["val"].replace("Inf", "inf"))

    def eval_parenExpr(self, x, t):
        return self.at(x["expr"], t)

    def eval_unaryExpr(self, x, t):
        v, sign = self.at(x["expr"], t), -1 if x["op"] == "-" else 1
        if isinstance(v, float):
            return sign * v
        if sign == 1:
            return v
        out = {}
        for labels, one in v.items():
            put(out, drop_name(labels), -one)
        return out

    def eval_call(self, x, t):
        name, args, out = x["func"]["name"], x["args"], {}
        if name == "time":
            return t / 1000
        if name == "vector":
            return {(): self.at(args[0], t)}
        if name == "scalar":
            v = list(self.at(args[0], t).values())
            return v[0] if len(v) == 1 else math.nan
        if name == "absent":
            return self.absent(args[0], t)
        if name == "timestamp":
            bare = args[0]
            while bare["type"] == "parenExpr":
                bare = bare["expr"]
            stamps = ({k: ts / 1000 for k, (ts, _) in self.newest(bare, t).items()} if bare["type"] == "vectorSelector" else
                      {k: t / 1000 for k in self.at(args[0], t)})
            for labels, v in stamps.items():
                put(out, drop_name(labels), v)
            return out
        if name in PER_VALUE:
            for labels, v in self.at(args[0], t).items():
                put(out, drop_name(labels), float(PER_VALUE[name](v)))
            return out
        windows, start, end = self.windows(args[-1], t)
        q = self.at(args[0], t) if name == "quantile_over_time" else None
        for labels, w in windows.items():
            v = quantile(q, [v for _, v in w]) if q is not None else OVER_TIME[name](w, start, end)
            if v is not None:
                put(out, labels if name == "last_over_time" else drop_name(labels), v)
        return out

    def absent(self, arg, t):
        if self.at(arg, t):
            return {}
        while arg["type"] == "parenExpr":
            arg = arg["expr"]
        names = [m["name"] for m in arg.get("matchers", [])] if arg["type"] == "vectorSelector" else []
        return {tuple(sorted((m["name"], m["value"]) for m in arg["matchers"]
                             if m["type"] == "=" and m["value"] and m["name"] != "__name__" and names.count(m["name"]) == 1)) if names else (): 1.0}

    def eval_aggregation(self, x, t):
        groups, out = {}, {}
        inner = self.at(x["expr"], t)
        param = self.at(x["param"], t) if x["op"] == "quantile" else None
        for labels, v in inner.items():
            key = tuple(p for p in labels if (p[0] not in x["grouping"] and p[0] != "__name__" if x["without"] else p[0] in x["grouping"]))
            if x["op"] == "count_values":
                text = struct.unpack("<d", struct.pack("<d", v))[0]
                key = tuple(sorted([p for p in key if p[0] != x["param"]["val"]] + [(x["param"]["val"], text)], key=lambda p: p[0]))
            groups.setdefault(key if not any(isinstance(p[1], float) and math.isnan(p[1]) for p in key) else
                              tuple((n, "NaN" if isinstance(w, float) else w) for n, w in key), []).append(v)
        for key, values in groups.items():
            out[key] = (float(len(values)) if x["op"] == "count_values" else quantile(param, values) if x["op"] == "quantile" else AGGREGATE[x["op"]](values))
        return out

    def eval_binaryExpr(self, x, t):
        left, right, op = self.at(x["lhs"], t), self.at(x["rhs"], t), x["op"]
        if isinstance(left, float) and isinstance(right, float):
            return ARITHMETIC[op](left, right) if op in ARITHMETIC else float(COMPARE[op](left, right))
        if isinstance(left, float) or isinstance(right, float):
            return self.with_scalar(x, left, right)
        return self.set_operation(x, left, right) if op in ("and", "or", "unless") else self.match(x, left, right)

    def with_scalar(self, x, left, right):
        out, op = {}, x["op"]
        swapped = isinstance(left, float)
        for labels, v in (right if swapped else left).items():
            a, b = (left, v) if swapped else (v, right)
            if op in ARITHMETIC:
                put(out, drop_name(labels), ARITHMETIC[op](a, b))
            elif x["bool"]:
                put(out, drop_name(labels), float(COMPARE[op](a, b)))
            elif COMPARE[op](a, b):
                put(out, labels, v)
        return out

    @staticmethod
    def signature(x, labels):
        m = x["matching"]
        return tuple(p for p in labels if (p[0] in m["labels"] if m["on"] else p[0] not in m["labels"] and p[0] != "__name__"))

    def set_operation(self, x, left, right):
        there = {self.signature(x, labels) for labels in right}
        if x["op"] == "or":
            mine = {self.signature(x, labels) for labels in left}
            out = dict(left)
            for labels, v in right.items():
                if self.signature(x, labels) not in mine:
                    put(out, labels, v)
            return out
        return {labels: v for labels, v in left.items() if (self.signature(x, labels) in there) == (x["op"] == "and")}

    def match(self, x, left, right):
        m, op, one, out = x["matching"], x["op"], {}, {}
        if not left or not right:
            return {}
        for labels, v in right.items():
            if self.signature(x, labels) in one:
                raise PromqlError("many-to-many")
            one[self.signature(x, labels)] = (labels, v)
        met = set()
        for labels, v in left.items():
            s = self.signature(x, labels)
            if s not in one:
                continue
            other, w = one[s]
            keeps_name = op in COMPARE and not x["bool"]
            kept = labels if keeps_name else drop_name(labels)
            if m["card"] == "one-to-one":
                if s in met:
                    raise PromqlError("multiple matches")
                met.add(s)
                kept = tuple(p for p in kept if (p[0] in m["labels"]) == m["on"])
            else:
                have = {**dict(kept), **{n: dict(other).get(n, "") for n in m["include"]}}
                kept = tuple(sorted((n, s2) for n, s2 in have.items() if s2))
                if (s, kept) in met:
                    raise PromqlError("multiple matches")
                met.add((s, kept))
            if op in ARITHMETIC:
                put(out, kept, ARITHMETIC[op](v, w))
            elif x["bool"]:
                put(out, kept, float(COMPARE[op](v, w)))
            elif COMPARE[op](v, w):
                put(out, kept, v)
        return out
