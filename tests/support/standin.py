"""A stand-in for station and processors: small, instant, and the same every time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from shared.errors import ObjectAbsentError
from shared.ledger.attempts import conclude
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import FINISHED, Artifact, FileEntry, Order, Outcome, StatusClass
from shared.ports import Clock, JobSpec, JobState, ObjectStore, StationFile
from shared.workflow.plan import tree_digest

SESSION = "S2A_20261122T100000000123".replace("T", "")
TREE: Literal["NOMINAL"] = "NOMINAL"


def dsib(channel: int, names: list[str], size: int, session: str = SESSION) -> bytes:
    listed = "".join(f"<dsdb_name>{name}</dsdb_name>" for name in names)
    return (
        f"<DCSU_Session_Information_Block><session_id>{session}</session_id>"
        f"<time_start>2026-11-22T10:00:00Z</time_start><time_stop>2026-11-22T10:08:00Z</time_stop>"
        f"<time_created>2026-11-22T10:00:10Z</time_created><time_finished>2026-11-22T10:08:10Z</time_finished>"
        f"<data_size>{size}</data_size><dsdb_list>{listed}</dsdb_list></DCSU_Session_Information_Block>"
    ).encode()


@dataclass
class StandInStation:
    """Files in a dict: path to (content, modification time)."""

    name: str = "SGS_"
    held: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)

    def put(self, file: str, content: bytes, modified: datetime, *, tree: str = TREE, session: str = SESSION) -> None:
        channel = "ch_2" if "_ch2_" in file else "ch_1"
        self.held[f"{tree}/S2A/DCS_05_{session}_dat/{channel}/{file}"] = (content, modified)

    def fill(self, start: datetime, chunks: int = 2, first: int = 100) -> None:
        """A whole session of two channels, a file a second, the DSIBs last; the first chunk has ``first`` bytes."""
        when = start
        for channel in (1, 2):
            names = [f"DCS_05_{SESSION}_ch{channel}_DSDB_{n:05d}.raw" for n in range(1, chunks + 1)]
            for n, name in enumerate(names):
                when += timedelta(seconds=1)
                size = first if (channel, n) == (1, 0) else 100
                self.put(name, bytes([channel, n]) * (size // 2), when)
            self.put(
                f"DCS_05_{SESSION}_ch{channel}_DSIB.xml",
                dsib(channel, names, 100 * chunks + (first - 100) * (channel == 1)),
                when,
            )

    def sessions(self) -> Iterator[tuple[Literal["NOMINAL", "RETRANSFER"], str, str]]:
        found = {(p.split("/")[0], p.split("/")[1], p.split("/")[2]) for p in self.held}
        for tree, satellite, folder in sorted(found):
            yield ("NOMINAL" if tree == "NOMINAL" else "RETRANSFER"), satellite, folder

    def files(self, tree: Literal["NOMINAL", "RETRANSFER"], satellite: str, folder: str) -> Iterator[StationFile]:
        for path, (content, modified) in sorted(self.held.items()):
            if path.startswith(f"{tree}/{satellite}/{folder}/"):
                yield StationFile(path, path.rsplit("/", 1)[1], tree, satellite, folder, len(content), modified)

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        if path not in self.held:
            raise ObjectAbsentError(path)
        yield self.held[path][0][start:]


Script = Callable[[Order], "Outputs"]


@dataclass(frozen=True)
class Outputs:
    """What a stand-in processor makes: (file type, name, unit, files) of each artifact, and the units to fan out.

    ``status``: with another than ``succeeded`` it makes nothing.
    """

    artifacts: tuple[tuple[str, str, str, dict[str, bytes]], ...]
    units: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    status: StatusClass = "succeeded"
    warnings: tuple[str, ...] = ()


_BESIDE: Final = {
    "l1a": "L1A_PLACE",
    "l1a-format": "MSI_L1A_DS",
    "l1c-ds": "MSI_L1C_DS",
    "l2a-ds": "MSI_L2A_DS",
}
JOINED: Final = Path(__file__).with_name("joined.yaml")
"""A processor set whose Level 2A of a tile waits for that tile's Level 1C and for both datastrip products."""


def script(order: Order) -> Outputs:
    """One datastrip, two granules of one scene, two tiles."""
    made, unit = order.parameters["CREATION_DATE"], order.unit
    if order.step == "l0u":
        return Outputs((("PDI_L0U", "DT01", "DT01", {"DS/a.xml": b"ds"}),), {"datastrip": ("DT01",)})
    if order.step == "l0c":
        stem = f"S2A_TEST_MSI_L0__{{}}_S2PS_{made}_S20261122T093000"
        granules = [(f"{stem.format('GR')}_D{d:02d}_N00.01", {"b.bin": bytes([d])}) for d in (6, 7)]
        items = [("PDI_DS_GR_LIST", name, "", files) for name, files in granules]
        return Outputs((("PDI_DS", f"{stem.format('DS')}_N00.01", "", {"m.xml": b"ds"}), *items))
    if order.step == "l1b":
        tiles = ("32TQM", "32TQL")
        return Outputs((("L1B_WORKING", "L1B_WORKING", "", {"B02": b"2"}),), {"tile": tiles})
    if order.step in _BESIDE:
        kind = _BESIDE[order.step]
        return Outputs(((kind, f"S2A_TEST_{kind}_S2PS_{made}_S20261122T093000_N00.01", "", {"m.xml": b"d"}),))
    level, kind = ("L1C", "MSI_L1C_TL") if order.step == "l1c" else ("L2A", "MSI_L2A_TL")
    tile = unit.rsplit("-T", 1)[1]
    name = f"S2A_MSI{level}_20261122T093000_N0001_R022_T{tile}_{made}.SAFE"
    return Outputs(((kind, name, "", {"manifest.safe": b"m", f"IMG/{tile}.jp2": b"j"}),))


@dataclass
class StandInLauncher:
    """Jobs that run when ``run_one`` is called. A Job that dies leaves its state, as Kubernetes would.

    ``take`` lets a virtual clock go on by what a Job takes, and returns the figures of its stages, seconds.
    """

    store: ObjectStore
    ledger: Ledger
    bucket_work: str
    clock: Clock
    script: Script = script
    take: Callable[[Order], dict[str, float]] | None = None
    states: dict[str, JobState] = field(default_factory=dict)
    pending: dict[str, JobSpec] = field(default_factory=dict)

    def launch(self, job: JobSpec) -> None:
        if job.name not in self.states:
            self.states[job.name] = JobState("waiting")
            self.pending[job.name] = job

    def state(self, name: str) -> JobState | None:
        return self.states.get(name)

    def hasten(self, name: str) -> None:
        """Nothing to do: the Job with the earliest deadline is run first."""

    def run_one(self) -> JobSpec | None:
        """Run the Job with the earliest deadline; what it raises leaves it failed."""
        if not self.pending:
            return None
        name = min(self.pending, key=lambda n: (self.pending[n].deadline, n))
        job = self.pending.pop(name)
        self.states[name] = JobState("failed", 137, "PodFailed")
        place = parse_work(f"{job.work}order.json")
        assert place is not None
        self._process(place[0], job)
        self.states[name] = JobState("succeeded", 0)
        return job

    def _process(self, place: WorkKey, job: JobSpec) -> None:
        order = self.ledger.read(place.order, Order)
        began, outputs = self.clock.now(), self.script(order)
        figures = self.take(order) if self.take is not None else {}
        artifacts = []
        for file_type, name, unit, files in outputs.artifacts if outputs.status in FINISHED else ():
            prefix = f"{place.session}/{place.step}/{place.unit}/{place.digest}/{job.attempt}/{file_type}/{name}/"
            entries = []
            for path, content in files.items():
                self.store.put(self.bucket_work, prefix + path, content)
                entries.append(FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
            artifacts.append(
                Artifact(
                    file_type=file_type,
                    name=name,
                    bucket=self.bucket_work,
                    prefix=prefix,
                    digest=tree_digest([(e.path, e.size, e.sha256) for e in entries]),
                    size=sum(e.size for e in entries),
                    unit=unit,
                    files=tuple(entries),
                )
            )
        now = self.clock.now()
        outcome = Outcome(
            created=now,
            step=place.step,
            unit=place.unit,
            attempt=job.attempt,
            status=outputs.status,
            exit_code=0,
            reason="" if outputs.status in FINISHED else "the stand-in was told so",
            started=began + timedelta(seconds=figures.get("start_s", 0.0)),
            finished=now,
            figures=figures,
            outputs=tuple(artifacts),
            units=outputs.units,
            facts=order.facts | outputs.facts,
            warnings=(*order.warnings, *outputs.warnings),
            processor_set=order.processor_set,
        )
        conclude(self.ledger, place, outcome)
