"""How fast and how large each function is: CPU time and memory of its import, and from process start to first answer.

Run by hand: ``python tests/benchmarks/function_start.py``. Import is the CPU time that ``main.py`` costs above a bare
Python, so a busy machine blurs it least. The goal: under 300 ms and 80 MB. The ratio compares with the framework alone.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from eventing.local.config import ROOT
from eventing.local.functions import FunctionProcess, FunctionSpec
from eventing.manifests import Service, load_manifests

RUNS = 3
GOAL_MS, GOAL_MB = 300.0, 80.0
PROBE = """
import json, resource, runpy, sys, time
began = time.process_time()
runpy.run_path(sys.argv[1]) if sys.argv[1].endswith(".py") else __import__(sys.argv[1])
after = time.process_time()
# Not ru_maxrss: it starts from the parent's.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(json.dumps({"ms": 1000 * (after - began), "mb": peak / 1024}))
"""
ENVIRONMENT = {
    "S2PS_STORE_ENDPOINT": "http://127.0.0.1:9",
    "S2PS_STORE_ACCESS_KEY": "x",
    "S2PS_STORE_SECRET_KEY": "x",
    "K_SINK": "http://127.0.0.1:9/",
    "PYTHONPATH": str(ROOT),
}


def imported(what: str) -> tuple[float, float]:
    """(CPU milliseconds, resident MB) of an import: the median of several processes."""
    found = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, what], env={**os.environ, **ENVIRONMENT}, capture_output=True, check=True
        )
        found.append(json.loads(done.stdout))
    return statistics.median(each["ms"] for each in found), statistics.median(each["mb"] for each in found)


def answered(service: Service, log: Path) -> tuple[float, float]:
    """(cold, warm) milliseconds to an answer: from nothing, and of the process that is there."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(RUNS):
        process = FunctionProcess(FunctionSpec.from_manifest(service, ROOT, ENVIRONMENT), log, idle_s=1e9)
        for times in (cold, warm):
            began = time.perf_counter()
            process.call("POST", "/", {}, b"", 60.0)  # no event: refused at once, which is all that is timed
            times.append(1000 * (time.perf_counter() - began))
        process.close()
    return statistics.median(cold), statistics.median(warm)


def main() -> int:
    """Print the table; exit code 1 where a goal is missed."""
    base_ms, base_mb = imported("functions_framework")
    print(f"{'functions_framework alone':28} {base_ms:7.0f} ms CPU {base_mb:6.0f} MB")
    print(f"{'function':28} {'import':>10} {'ratio':>6} {'resident':>9} {'cold':>9} {'warm':>9}")
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        for each in load_manifests(ROOT / "knative" / "base"):
            if isinstance(each, Service):
                spec = FunctionSpec.from_manifest(each, ROOT, {})
                ms, mb = imported(str(spec.source))
                cold, warm = answered(each, Path(folder))
                late = ms > GOAL_MS or mb > GOAL_MB
                missed += late
                told = "  over the goal" if late else ""
                print(
                    f"{each.metadata.name:28} {ms:7.0f} ms {ms / base_ms:6.1f} {mb:6.0f} MB "
                    f"{cold:6.0f} ms {warm:6.1f} ms{told}"
                )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
