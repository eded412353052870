"""How fast a session becomes Level-0 products, as ratios within one run: against a plain copy of the same octets, and
against the downlink.

Run by hand: ``python tests/benchmarks/level0.py [scenes]``. Processor time of one core. L0U is the whole step: decoding
with all checks, sorting, files; L0C checks packets again, decodes what the quicklook shows, locates, writes products.
"""

from __future__ import annotations

import io
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from functions.ipf.common.processor import IpfLog
from functions.ipf.l0c.main import process as run_l0c
from functions.ipf.l0u.main import process as run_l0u
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake, SessionPlan
from shared.rehearsal.simulator import simulate_session

if TYPE_CHECKING:
    from collections.abc import Callable

DOWNLINK_MBIT_S = 560.0
START = datetime(2026, 6, 21, 10, 20, tzinfo=UTC)


def order(root: Path, file_type: str, source: Path, outputs: tuple[str, ...]) -> JobOrder:
    """A job order with one input folder."""
    made = tuple(JobOutput(kind, str(root / kind)) for kind in outputs)
    task = JobTask("BENCH", "0.1.0", (JobInput(file_type, (str(source),), "Directory"),), made)
    return JobOrder("BENCH", "0.1.0", "SGS_", "S2PS", {"CREATION_DATE": "20260621T110000"}, (task,))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def steps(root: Path, session: Path) -> dict[str, float]:
    """Processor time of both steps."""
    log = IpfLog("BENCH", "0", io.StringIO())
    l0u = order(root / "l0u", "STO_CADU_S", session, ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS"))
    l0c = order(root / "l0c", "PDI_L0U", root / "l0u/DS_GR_FOLDER/DT01", ("PDI_DS", "PDI_DS_GR_LIST"))
    return {"L0U": seconds(lambda: run_l0u(l0u, log)), "L0C": seconds(lambda: run_l0c(l0c, log))}


def main() -> None:
    """Measure and print."""
    scenes = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan = SessionPlan(datatakes=(Datatake(START, scenes=scenes, detectors=(6,)),))
        truth = simulate_session(plan, root / "station", scene=ProceduralLandscape())
        session = root / "station" / truth.folder
        octets = sum(path.stat().st_size for path in session.rglob("*.raw"))
        for attempt in range(3):  # the first compiles and fills the system's cache
            used = steps(root / f"attempt{attempt}", session)
        copied = seconds(lambda: [path.read_bytes() for path in session.rglob("*.raw")])
        print(f"{octets / 1e6:.0f} MB, {scenes} scene(s) of one detector")
        for name, spent in used.items():
            rate = octets * 8 / spent / 1e6
            ratios = f"{rate / DOWNLINK_MBIT_S:.2f} x downlink ({DOWNLINK_MBIT_S:.0f}), {copied / spent:.3f} x reading"
            print(f"{name} {rate:6.0f} Mbit/s and core = {ratios}")
        print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
