"""How fast and how large each function is: CPU time and memory of its import, and from process start to first answer.

Import is the CPU time that ``main.py`` costs above a bare Python, so a busy machine blurs it least. The goal: under
300 ms and 80 MB. The ratio compares with the framework alone. Cold and warm are answers to no event. First is from
process start to the answer to an event for which the store was asked, with the CPU time of server and worker until
then; at work is their memory (proportional set size). The goal for first is 500 ms.
Byte code is there, as in an image: without it an import takes three times as long.
"""

from __future__ import annotations

import compileall
import contextlib
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
from eventing.local.seaweed import SeaweedStore
from eventing.manifests import Service, load_manifests
from shared.adapters.s3 import S3Store
from shared.cloudevents import to_http
from shared.domain.events import Event, object_created
from shared.settings import Settings

RUNS = 3
GOAL_MS, GOAL_MB, GOAL_FIRST_MS = 300.0, 80.0, 500.0
TICK_MS = 1000.0 / os.sysconf("SC_CLK_TCK")
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


SESSION = "S2A_20260621104500057405"
WORK = f"sessions/{SESSION}/work/l0u/{SESSION}/{'0' * 64}"
SUBJECTS = {
    "file-transfer": f"sessions/{SESSION}/seen/DCS_05_{SESSION}_ch1_DSDB_00001.raw.json",
    "session-assembly": f"sessions/{SESSION}/received/DCS_05_{SESSION}_ch1_DSDB_00001.raw.receipt.json",
    "job-preparation": f"sessions/{SESSION}/complete.json",
    "job-launch": f"{WORK}/order.json",
    "job-settlement": f"{WORK}/attempts/1.ended.json",
    "product-publication": f"{WORK}/outcome.json",
    "session-account": f"{WORK}/outcome.json",
}


def at_work(service: Service, log: Path, store: SeaweedStore) -> tuple[float, float, float]:
    """(ms, CPU ms, MB) from process start to the answer to an event about something that is not in the store."""
    name = service.metadata.name
    env = {
        **ENVIRONMENT,
        "S2PS_STORE_ENDPOINT": store.endpoint,
        "S2PS_STORE_ACCESS_KEY": store.credentials.access_key,
        "S2PS_STORE_SECRET_KEY": store.credentials.secret_key,
    }
    event = object_created("s2-ledger", SUBJECTS[name], "e") if name in SUBJECTS else Event("id", "benchmark", "tick")
    headers, body = to_http(event)
    found = []
    for _ in range(RUNS):
        process = FunctionProcess(FunctionSpec.from_manifest(service, ROOT, env), log, idle_s=1e9)
        began = time.perf_counter()
        process.call("POST", "/", headers, body, 60.0)
        took = 1000 * (time.perf_counter() - began)
        found.append((took, *used(process.pid)))
        process.close()
    return statistics.median(f[0] for f in found), statistics.median(f[1] for f in found), found[-1][2]


def used(leader: int | None) -> tuple[float, float]:
    """(CPU ms, MB) of a process group."""
    group = [
        entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and os.getpgid(int(entry.name)) == leader
    ]
    times = [(entry / "stat").read_text().rpartition(")")[2].split()[11:13] for entry in group]
    lines = [line for entry in group for line in (entry / "smaps_rollup").read_text().splitlines()]
    memory = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return TICK_MS * sum(int(each) for pair in times for each in pair), memory / 1024


def serving(folder: Path) -> SeaweedStore:
    """A store with the service's buckets, empty."""
    store = SeaweedStore(folder)
    store.start()
    keys = store.credentials
    settings = Settings.model_validate(
        {"store_endpoint": store.endpoint, "store_access_key": keys.access_key, "store_secret_key": keys.secret_key}
    )
    client = S3Store.from_settings(settings)
    for name in ("sessions", "work", "products", "ledger"):
        client.ensure_bucket(getattr(settings, f"bucket_{name}"))
    return store


def main() -> int:
    """Print the table; exit code 1 where a goal is missed."""
    for package in ("functions", "eventing", "shared"):
        compileall.compile_dir(ROOT / package, quiet=2)
    base_ms, base_mb = imported("functions_framework")
    print(f"{'functions_framework alone':28} {base_ms:7.0f} ms CPU {base_mb:6.0f} MB")
    heads = ("resident", "cold", "warm", "first", "CPU", "at work")
    print(f"{'function':28} {'import':>10} {'ratio':>6} {' '.join(f'{head:>9}' for head in heads)}")
    missed = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        store = serving(Path(folder) / "store")
        stack.callback(store.stop)
        for each in load_manifests(ROOT / "knative" / "base"):
            if isinstance(each, Service):
                spec = FunctionSpec.from_manifest(each, ROOT, {})
                ms, mb = imported(str(spec.source))
                cold, warm = answered(each, Path(folder))
                first, cpu, work_mb = at_work(each, Path(folder), store)
                late = ms > GOAL_MS or mb > GOAL_MB or first > GOAL_FIRST_MS
                missed += late
                told = "  over the goal" if late else ""
                print(
                    f"{each.metadata.name:28} {ms:7.0f} ms {ms / base_ms:6.1f} {mb:6.0f} MB "
                    f"{cold:6.0f} ms {warm:6.1f} ms {first:6.0f} ms {cpu:6.0f} ms {work_mb:6.0f} MB{told}"
                )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
