# SPDX-License-Identifier: Apache-2.0
"""run.py [ingest] [query] [instant] [thanos] [sidecar]: the benchmarks by name; without one all but sidecar."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
names = sys.argv[1:] or ["ingest", "query", "instant", "thanos"]
for name in names:
    if not os.path.exists(os.path.join(HERE, name + ".py")) or name in ("run", "common"):
        sys.exit(f"no benchmark {name!r}: ingest, query, instant, thanos, sidecar")
    rc = subprocess.run([sys.executable, os.path.join(HERE, name + ".py")]).returncode
    if rc:
        sys.exit(rc)
