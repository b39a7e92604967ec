# SPDX-License-Identifier: Apache-2.0
"""promql_random.py — random series, and random expressions of a given type over them.

    rnd = random.Random(seed)
    loads = data(rnd)                       lists of series for write.write()
    query = vector(rnd, depth=3)            every one of its selectors finds something
Times of the data: 0 to DATA_END_MS, a sample every 15 s or so. What only the original and this server know (native histograms, modifiers
behind features) is made too if full is given; without it expressions stay within what harness/reference.py evaluates."""
import math

from harness import write
from harness.promqltest import STALE

DATA_END_MS = 30 * 60 * 1000
GAUGES, COUNTERS = ("g", "gauge_b"), ("c_total", "req_total")
LABELS = [{"job": j, "i": i, "z": z} for j in ("a", "b") for i in ("0", "1", "2") for z in ("x", "")]
MILD = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 0.1)     # no overflow of squares
SPECIAL = (0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e300, 0.1)


def float_series(rnd, counter, special=SPECIAL):
    out, t, v = [], rnd.randrange(0, 60000), float(rnd.randrange(100))
    jitter = rnd.choice((0, 0, 5, 3000))
    while t < DATA_END_MS:
        if counter:
            v = 0.0 if rnd.random() < 0.03 else v + rnd.choice((0, 1, 2.5, 100))
        else:
            v = rnd.choice(special) if rnd.random() < 0.05 else round(rnd.uniform(-100, 100), 3)
        if rnd.random() < 0.02:
            out.append((t, STALE))
        elif rnd.random() < 0.95:
            out.append((t, v))
        t += 15000 + (rnd.randrange(jitter) if jitter else 0)
        if rnd.random() < 0.01:
            t += rnd.randrange(600000)
    return out


def histogram_series(rnd, custom):
    out, t, n = [], rnd.randrange(0, 60000), rnd.randrange(1, 6)
    counts, offset, hint = [0] * n, rnd.randrange(-3, 4), rnd.choice((0, 0, 3))
    schema = -53 if custom else rnd.choice((-1, 0, 2, 3))
    bounds = sorted(rnd.sample([0.1, 0.5, 1, 2, 5, 10], n - 1)) if custom else []
    zero, total = 0, 0.0
    while t < DATA_END_MS:
        if rnd.random() < 0.03:
            counts, zero, total = [0] * n, 0, 0.0
        counts = [c + rnd.randrange(4) for c in counts]
        zero += 0 if custom else rnd.randrange(2)
        total += rnd.uniform(0, 10)
        h = {"schema": schema, "count": sum(counts) + zero, "sum": round(total, 3), "buckets": counts, "hint": hint}
        if custom:
            h["custom_values"] = bounds
        else:
            h.update(offset=offset, z_bucket=zero, z_bucket_w=0.001)
            if rnd.random() < 0.3:
                h.update(n_buckets=[1, 2], n_offset=1, count=h["count"] + 3)
        if rnd.random() < 0.95:
            out.append((t, h))
        t += 15000
    return out


class Loads(list):
    """For write.write(), one list each; plain: (labels, [(t, value)]) of the floats."""
    plain = ()


def data(rnd, full=False):
    """Times ascend within a series."""
    loads, plain, special = [], [], SPECIAL if full else MILD
    for names, counter in ((GAUGES, False), (COUNTERS, True)):
        for name in names:
            for labels in LABELS:
                if rnd.random() < 0.85:
                    plain.append(({"__name__": name, **{k: v for k, v in labels.items() if v}}, float_series(rnd, counter, special)))
                    loads.append(write.series(*plain[-1]))
    for job in ("a", "b"):
        base, cumulative = float_series(rnd, True), 0.0
        for le in ("0.1", "1", "5", "+Inf"):
            cumulative += 1
            loads.append(write.series({"__name__": "lat_bucket", "job": job, "le": le}, [(t, v if v == STALE else v * cumulative) for t, v in base]))
    if full:
        for i in range(6):
            loads.append(write.series({"__name__": "nh", "job": "ab"[i % 2], "i": str(i // 2)}, (), histogram_series(rnd, False)))
            loads.append(write.series({"__name__": "nhcb", "job": "ab"[i % 2], "i": str(i // 2)}, (), histogram_series(rnd, True)))
        loads.append(write.series({"__name__": "target_info", "job": "a", "instance": "q", "v": "1"}, [(0, 1.0)]))
    out = Loads([loads])
    out.plain = plain
    return out


def number(rnd):
    return rnd.choice(("0", "1", "-1", "2", "0.5", "10", "3.7", "NaN", "Inf", "-Inf", "1e3"))


def duration(rnd):
    return rnd.choice(("15s", "1m", "1m30s", "2m", "5m", "7m", "10s", "1h"))


def selector(rnd, full, names=None):
    pool = names or GAUGES + COUNTERS + (("nh", "nhcb") if full and rnd.random() < 0.5 else ())
    name = rnd.choice(pool)
    matchers = rnd.choice(("", "", '{job="a"}', '{job=~"a|b"}', '{i!="1"}', '{z=""}', '{i=~"0|2",job="b"}', '{nosuch=""}'))
    return name + matchers


def modifiers(rnd, full):
    out = ""
    if rnd.random() < 0.15:
        out += " offset " + rnd.choice(("1m", "-1m", "5m", "17s"))
    if rnd.random() < 0.1:
        out += " @ " + rnd.choice(("600", "1200.5", "start()", "end()"))
    return out


def matrix(rnd, depth, full, names=None):
    if depth > 0 and rnd.random() < 0.25:
        step = rnd.choice(("", "30s", "1m", "17s"))
        return f"({vector(rnd, depth - 1, full)})[{rnd.choice(('2m', '5m', '90s'))}:{step}]" + modifiers(rnd, full)
    extended = ""
    return selector(rnd, full, names) + f"[{duration(rnd)}]" + extended + modifiers(rnd, full)


RANGE_FUNCTIONS = ("rate", "increase", "delta", "irate", "idelta", "resets", "changes", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
                   "count_over_time", "last_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time", "deriv")
FULL_RANGE_FUNCTIONS = RANGE_FUNCTIONS + ("first_over_time", "mad_over_time", "ts_of_max_over_time", "ts_of_min_over_time", "ts_of_first_over_time",
                                          "ts_of_last_over_time", "absent_over_time")
VECTOR_FUNCTIONS = ("abs", "ceil", "floor", "sgn", "sqrt", "-", "timestamp", "absent")
FULL_VECTOR_FUNCTIONS = VECTOR_FUNCTIONS + ("exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh",
                                            "atanh", "deg", "rad", "round", "hour", "minute", "month", "year", "day_of_week", "day_of_year", "day_of_month",
                                            "days_in_month", "histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar",
                                            "sort", "sort_desc", "start_timestamp")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
ARITHMETIC, COMPARISONS, SETS = ("+", "-", "*", "/", "%", "^"), ("==", "!=", "<", "<=", ">", ">="), ("and", "or", "unless")


def grouping(rnd):
    names = ", ".join(rnd.sample(("job", "i", "z"), rnd.randrange(0, 3)))
    return rnd.choice((f" by ({names})", f" without ({names})", ""))


def aggregation(rnd, depth, full):
    inner = vector(rnd, depth - 1, full)
    kind = rnd.randrange(10)
    if kind < 6:
        return f"{rnd.choice(AGGREGATIONS)}{grouping(rnd)} ({inner})"
    if kind == 6:
        return f"quantile{grouping(rnd)} ({rnd.choice(('0.5', '0', '1', '0.9', '-1', '2', 'NaN'))}, {inner})"
    if kind == 7:
        if not full:            # the last bit of what is computed would tell
            inner = selector(rnd, full) + modifiers(rnd, full)
        return f'count_values{grouping(rnd)} ("val", {inner})'
    if full and kind == 8:
        return rnd.choice((f"limitk{grouping(rnd)} ({rnd.choice('0123')}, {inner})", f"limit_ratio{grouping(rnd)} ({rnd.choice(('0.5', '-0.5', '1', '0'))}, {inner})"))
    if not full:            # which of equal values they take is left open
        return f"{rnd.choice(AGGREGATIONS)}{grouping(rnd)} ({inner})"
    return f"{rnd.choice(('topk', 'bottomk'))}{grouping(rnd)} ({rnd.choice('0123')}, {inner})"


def binary(rnd, depth, full):
    op = rnd.choice(ARITHMETIC + COMPARISONS + (("atan2", "</", ">/") if full else ()))
    is_bool = " bool" if op in COMPARISONS and rnd.random() < 0.4 else ""
    kind = rnd.randrange(5)
    if kind == 0:
        return f"({vector(rnd, depth - 1, full)}) {op}{is_bool} {scalar(rnd, depth - 1, full)}"
    if kind == 1:
        return f"{scalar(rnd, depth - 1, full)} {op}{is_bool} ({vector(rnd, depth - 1, full)})"
    if kind == 2:
        on = rnd.choice(("", "", " on (job, i, z)", " ignoring (z)", " on (job)"))
        return f"({vector(rnd, depth - 1, full)}) {rnd.choice(SETS)}{on} ({vector(rnd, depth - 1, full)})"
    left, right = vector(rnd, depth - 1, full), vector(rnd, depth - 1, full)
    matching = rnd.choice(("", " ignoring (nosuch)", " on (job, i, z)"))
    if kind == 4:
        right, matching = f"{rnd.choice(AGGREGATIONS)} by (job) ({right})", rnd.choice((" on (job) group_left ()", " on (job) group_left (i)"))
        fill = rnd.choice((" ", " ", " fill_right(1)")) if full else " "
    else:
        fill = rnd.choice((" ", " ", " fill(2)", " fill_left(3)", " fill_left(0) fill_right(-1)")) if full and matching else " "
    return f"({left}) {op}{is_bool}{matching}{fill} ({right})"


def scalar(rnd, depth, full):
    kind = rnd.randrange(6 if depth > 0 else 3)
    if kind < 3:
        return number(rnd)
    if kind == 3:
        return "time()"
    if kind == 4:
        return f"scalar({vector(rnd, depth - 1, full)})"
    return f"({scalar(rnd, depth - 1, full)} {rnd.choice(ARITHMETIC)} {scalar(rnd, depth - 1, full)})"


def call(rnd, depth, full):
    kind = rnd.randrange(12)
    if kind < 6:
        f = rnd.choice(FULL_RANGE_FUNCTIONS if full else RANGE_FUNCTIONS)
        return f"{f}({matrix(rnd, depth - 1, full)})"
    if kind == 6:
        return f"quantile_over_time({rnd.choice(('0.5', '0.1', '1', '0', '2'))}, {matrix(rnd, depth - 1, full)})"
    if kind == 7 and full:
        return rnd.choice((f"predict_linear({matrix(rnd, depth - 1, full)}, 60)", f"double_exponential_smoothing({matrix(rnd, depth - 1, full)}, 0.5, 0.3)",
                           f"histogram_quantile({rnd.choice(('0.5', '0.99', '0', '1.5'))}, {vector(rnd, depth - 1, full)})",
                           f"histogram_quantile(0.9, sum by (le) (rate(lat_bucket[{duration(rnd)}])))",
                           f"histogram_fraction(0.2, 2, {vector(rnd, depth - 1, full)})", f"clamp({vector(rnd, depth - 1, full)}, -5, 20)",
                           f"round({vector(rnd, depth - 1, full)}, 0.5)", f'label_replace({vector(rnd, depth - 1, full)}, "d", "x$1", "job", "(.*)")',
                           f'label_join({vector(rnd, depth - 1, full)}, "d", "-", "job", "i")', f'info({vector(rnd, depth - 1, full)})',
                           f"rate({selector(rnd, full)}[2m] {rnd.choice(('anchored', 'smoothed'))})", f"{selector(rnd, full)} smoothed"))
    if kind == 8:
        return f"vector({scalar(rnd, depth - 1, full)})"
    f = rnd.choice(FULL_VECTOR_FUNCTIONS if full else VECTOR_FUNCTIONS)
    return f"{f}({vector(rnd, depth - 1, full)})"


def vector(rnd, depth=3, full=False):
    if depth <= 0 or rnd.random() < 0.15:
        return selector(rnd, full) + modifiers(rnd, full)
    return rnd.choice((aggregation, binary, call, call))(rnd, depth, full)
