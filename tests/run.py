#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--list] [--soak] [PATTERN...]: runs the tests of tests/e2e/ and tests/interop/ whose name contains a pattern.

The program under test: $COEUS_BIN, or build/coeus. It may be an original prometheus, to check the tests themselves. Tests run a few at
a time (they mostly wait); those whose module says SERIAL = True run alone, last. One or two that failed are run once more, alone: one that
passes then counts as passed, and a line "AGAIN name: text of the first failure" says so, for it has a race that somebody must find. More than
two are a defect, not chance. --soak: functions soak_* until $SOAK_MINUTES are over; there nothing is run again."""
import concurrent.futures
import importlib.util
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from harness import core  # noqa: E402


def load(prefix):
    here, out = os.path.dirname(os.path.abspath(__file__)), []
    for folder in ("e2e", "interop"):
        for name in sorted(os.listdir(os.path.join(here, folder))):
            if not (name.startswith("test_") and name.endswith(".py")):
                continue
            spec = importlib.util.spec_from_file_location(f"{folder}_{name[:-3]}", os.path.join(here, folder, name))
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for fn in vars(module).values():
                if callable(fn) and getattr(fn, "__name__", "").startswith(prefix) and fn.__module__ == spec.name:
                    out.append((f"{folder}/{name[5:-3]}/{fn.__name__[len(prefix):]}", fn, getattr(module, "SERIAL", False)))
    return out


def run_one(name, fn):
    """("pass" | "fail" | "skip", text, seconds)"""
    begin, case = time.monotonic(), core.Case(name)
    try:
        fn(case)
        core.check_sanitizers(case)
        return "pass", "", time.monotonic() - begin
    except core.Skip as e:
        return "skip", str(e), time.monotonic() - begin
    except Exception as e:  # a test may fail in any way; all of them are told
        text = str(e) if isinstance(e, core.Failed) else traceback.format_exc()
        where = traceback.extract_tb(e.__traceback__)
        text = "".join(f"  at {os.path.basename(f.filename)}:{f.lineno} {f.line}\n" for f in where[1:4]) + text
        for p in case.procs[-3:]:
            text += f"\n  --- {' '.join(p.argv)[:300]}: {'runs' if p.alive() else p.p.returncode}\n{p.tail(12)}"
        return "fail", text, time.monotonic() - begin
    finally:
        case.done()


def main():
    args = sys.argv[1:]
    soak = "--soak" in args
    patterns = [a for a in args if not a.startswith("--")]
    tests = [x for x in load("soak_" if soak else "test_") if not patterns or any(p in x[0] for p in patterns)]
    if "--list" in args:
        print("\n".join(name for name, _, _ in tests))
        return 0
    if not os.access(core.coeus_bin(), os.X_OK):
        print(f"FAIL {core.coeus_bin()} is not there: ./run build\n0 passed, 1 failed")
        return 1
    end = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES", "30"))
    counts = {"pass": 0, "fail": 0, "skip": 0}

    first_failures = []         # (name, text) that may have been chance

    def told(name, outcome):
        kind, text, seconds = outcome
        if kind == "fail" and not soak:
            first_failures.append((name, text))
            return
        counts[kind] += 1
        if kind == "skip":
            print(f"SKIP {name}: {text}", flush=True)
        else:
            print(f"{kind.upper()} {name} [{seconds:.1f} s]" + (f"\n{text}" if text else ""), flush=True)

    while True:
        with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("E2E_JOBS", "4"))) as pool:
            jobs = {pool.submit(run_one, name, fn): name for name, fn, serial in tests if not serial}
            for job in concurrent.futures.as_completed(jobs):
                told(jobs[job], job.result())
        for name, fn, serial in tests:
            if serial:
                told(name, run_one(name, fn))
        if not soak or time.monotonic() > end or counts["fail"]:
            break
    by_name = {name: fn for name, fn, _ in tests}
    for name, text in first_failures:
        kind, again, seconds = run_one(name, by_name[name]) if len(first_failures) <= 2 else ("fail", text, 0.0)
        counts[kind] += 1
        if kind == "pass":
            print(f"AGAIN {name}: it failed beside the others and passed alone [{seconds:.1f} s]; first:\n{text}", flush=True)
        else:
            print(f"FAIL {name} [{seconds:.1f} s]\n{again}", flush=True)
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if counts["fail"] or not (counts["pass"] or counts["skip"]) else 0


sys.exit(main())
