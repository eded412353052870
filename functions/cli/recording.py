"""What ``s2ps run`` plays, and where: its plan, and the recording of the pass, made once for each run's folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from eventing.local.config import RunDir
from functions.cli.ground import Elevations

if TYPE_CHECKING:
    from shared.rehearsal.faults import FaultPlan
    from shared.rehearsal.plan import SessionPlan
    from shared.rehearsal.playing import Pass


@dataclass(frozen=True, slots=True)
class Demo:
    """What to run, and where."""

    run: RunDir
    scenes: int
    detectors: tuple[int, ...]
    ground: Elevations
    seed: int
    chunk_mib: int
    rate: float
    timeout_s: float
    faults: FaultPlan
    environment: Mapping[str, str]

    @property
    def truth(self) -> Path:
        """Where it stands, the recording is whole."""
        return self.run.path / "truth.json"

    @property
    def recording(self) -> Path:
        return self.run.path / "recording"

    @property
    def served(self) -> Path:
        return self.run.path / "station"

    @property
    def products(self) -> Path:
        return self.run.path / "products"


def planned(demo: Demo, position: tuple[float, float] | None) -> SessionPlan:
    """What is to be recorded, at a longitude and latitude or the demo's; ConfigurationError where that cannot be."""
    from shared.rehearsal.plan import Datatake, SessionPlan, morning_over

    datatake = Datatake(scenes=demo.scenes, detectors=demo.detectors)
    if position is not None:
        datatake = replace(datatake, position=position, start=morning_over(position))
    return replace(SessionPlan("S2A", (datatake,)), chunk_bytes=demo.chunk_mib << 20, seed=demo.seed)


def recorded_faults(truth: Path) -> FaultPlan:
    from shared.rehearsal.faults import FaultPlan, restore_fault

    return FaultPlan(tuple(restore_fault(each) for each in json.loads(truth.read_bytes())["faults"]))


def recording(demo: Demo, console: Console) -> tuple[str, Pass]:
    """The session's id and its pass; recorded now, unless it was before."""
    from shared.rehearsal.playing import Pass

    if not demo.truth.exists():
        with console.status("simulating a downlink session"):
            _record(demo, console)
    session = str(json.loads(demo.truth.read_bytes())["session"])
    journal = demo.run.path / "delivered"
    return session, Pass(demo.recording, demo.served, demo.faults, demo.rate * 1e6, journal=journal)


def _record(demo: Demo, console: Console) -> None:
    from shared.rehearsal.plan import DEMO_POSITION
    from shared.rehearsal.simulator import simulate_session

    began = time.monotonic()
    shutil.rmtree(demo.recording, ignore_errors=True)
    scene = demo.ground.scene(DEMO_POSITION, demo.seed)
    plan = planned(demo, scene.centre())
    draft = demo.truth.with_suffix(".part")
    made = simulate_session(plan, demo.recording, scene=scene, faults=demo.faults, truth_file=draft)
    draft.replace(demo.truth)  # a recording that a crash cut short has no truth, and is made again
    files, packets = len(made.files), sum(made.packets.values())
    seconds = time.monotonic() - began
    console.print(f"Session {made.session}: {files} files, {packets} packets, simulated in {seconds:.0f} s.")
