"""Small sessions as the Level-0 processors get them: true orbits, all packets of all bands, lines of one value each."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.processor import IpfLog
from functions.ipf.l0u.main import process as run_l0u
from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.link import SENTINEL2, LinkProfile
from shared.ccsds.spacepackets import SpacePacket
from shared.joborder import JobInput, JobOrder, JobOutput, JobTask
from shared.msi.codec import compress
from shared.msi.instrument import BANDS, LINES_PER_PACKET, SCENE_NS
from shared.msi.packets import COMPRESSION_CCSDS121, ImageBlock, image_apid
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

SESSION = "S2A_20260621104500057405"
CADU = SENTINEL2.cadu_octets
_VARIANTS = 4


@dataclass
class Session:
    """What was sent: packets by APID, and the stream of each channel."""

    packets: dict[int, list[bytes]] = field(repr=False)
    streams: dict[int, bytes] = field(repr=False)
    chunk: int = 100 * CADU

    def name(self, channel: int, number: int | None = None) -> str:
        tail = "DSIB.xml" if number is None else f"DSDB_{number:05d}.raw"
        return f"DCS_05_{SESSION}_ch{channel}_{tail}"

    def store(self, folder: Path) -> Path:
        for channel, stream in self.streams.items():
            place = folder / f"ch_{channel}"
            place.mkdir(parents=True)
            names: list[str] = []
            for at in range(0, len(stream), self.chunk):
                names.append(self.name(channel, len(names) + 1))
                (place / names[-1]).write_bytes(stream[at : at + self.chunk])
            listed = "".join(f"<dsdb_name>{name}</dsdb_name>" for name in names)
            (place / self.name(channel)).write_text(
                f"<DCSU_Session_Information_Block><session_id>{SESSION}</session_id>"
                "<time_start>2026-06-21T10:45:00Z</time_start><time_stop>2026-06-21T10:50:00Z</time_stop>"
                f"<data_size>{len(stream)}</data_size><dsdb_list>{listed}</dsdb_list></DCSU_Session_Information_Block>",
                encoding="utf-8",
            )
        return folder


def make_session(*datatakes: Datatake, profile: LinkProfile = SENTINEL2) -> Session:
    rng = np.random.default_rng(5)
    payloads = {
        width: [compress(np.full((16, width), value, np.uint16)) for value in range(400, 400 + _VARIANTS)]
        for width in {band.width for band in BANDS}
    }
    encoders = {channel: ChannelEncoder(0xDA, profile) for channel in (1, 2)}
    sequences: dict[int, int] = {}
    sent: defaultdict[int, list[bytes]] = defaultdict(list)
    streams = {channel: [encoder.idle(3)] for channel, encoder in encoders.items()}
    for datatake in datatakes:
        flight = fly(datatake, "S2A")
        ancillary = [packet for _, packet in flight.ancillary_packets(sequences)]
        images: dict[int, list[bytes]] = {1: [], 2: []}
        for scene in range(1, datatake.scenes + 1):
            for band in BANDS:
                for detector in datatake.detectors:
                    apid = image_apid(detector, band.index)
                    for block in range(band.packets_per_scene):
                        lines = block * LINES_PER_PACKET - band.dating_lines(detector)
                        elapsed = (scene - 1) * SCENE_NS + lines * band.line_period_ns
                        payload = payloads[band.width][int(rng.integers(_VARIANTS))]
                        data = ImageBlock(
                            detector, band.index, scene, block, 16, band.width, COMPRESSION_CCSDS121, payload
                        ).encode()
                        count = sequences.get(apid, 0)
                        sequences[apid] = count + 1
                        time = flight.descriptor.first_line_ns + round(elapsed)
                        packet = SpacePacket(apid, count, time, data, 128, 1).encode()
                        images[1 + (detector + band.index) % 2].append(packet)
        for packet in [*ancillary, *images[1], *images[2]]:
            sent[int.from_bytes(packet[:2], "big") & 0x7FF].append(packet)
        half = len(ancillary) // 2
        streams[1] += [encoders[1].add(2, ancillary[:half]), encoders[1].add(4, images[1])]
        streams[1] += [encoders[1].add(2, ancillary[half:])]
        streams[2] += [encoders[2].add(4, images[2])]
    for channel, encoder in encoders.items():
        streams[channel] += [encoder.flush(2), encoder.flush(4), encoder.idle(3)]
    return Session(dict(sent), {channel: b"".join(parts) for channel, parts in streams.items()})


@dataclass
class Run:
    """One run of a processor: exit code, log, folder of outputs."""

    code: int
    log: str
    root: Path


def order(inputs: dict[str, Path], outputs: dict[str, Path], **more: str) -> JobOrder:
    task = JobTask(
        "TASK",
        "00.01",
        tuple(JobInput(kind, (str(path),), "Directory") for kind, path in inputs.items()),
        tuple(JobOutput(kind, str(path)) for kind, path in outputs.items()),
    )
    parameters = {
        "CREATION_DATE": "20260621T110000",
        "PROCESSING_CENTER": "S2PS",
        "PROCESSING_BASELINE": "00.01",
        **more,
    }
    return JobOrder("TEST", "00.01", "SGS_", "S2PS", parameters, (task,))


Processor = Callable[[JobOrder, IpfLog], int]


@dataclass
class Bench:
    """Runs processors in folders of their own."""

    root: Path
    runs: Counter[str] = field(default_factory=Counter)

    def call(self, processor: Processor, inputs: dict[str, Path], outputs: tuple[str, ...], **more: str) -> Run:
        self.runs["n"] += 1
        root = self.root / f"run{self.runs['n']}"
        log = io.StringIO()
        code = processor(order(inputs, {kind: root / kind for kind in outputs}, **more), IpfLog("TEST", "00.01", log))
        return Run(code, log.getvalue(), root)

    def l0u(self, session: Session | Path, **more: str) -> Run:
        self.runs["sessions"] += 1
        stored = session if isinstance(session, Path) else session.store(self.root / f"in{self.runs['sessions']}")
        return self.call(run_l0u, {"STO_CADU_S": stored}, ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS"), **more)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def module_bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """For runs that the tests of a module only look at."""
    return Bench(tmp_path_factory.mktemp("bench"))


START = datetime(2026, 6, 21, 10, 20, tzinfo=UTC)


@pytest.fixture(scope="session")
def one_granule() -> Session:
    return make_session(Datatake(START, scenes=1, detectors=(6,)))


@pytest.fixture(scope="session")
def other_link() -> Session:
    profile = LinkProfile.parse("rs223-i5-dual")
    return make_session(Datatake(START, scenes=1, detectors=(6,)), profile=profile)


@pytest.fixture(scope="session")
def two_by_two() -> Session:
    return make_session(Datatake(START, scenes=2, detectors=(6, 7)))


@pytest.fixture(scope="session")
def two_datatakes() -> Session:
    later = START.replace(minute=22)
    return make_session(
        Datatake(START, scenes=1, detectors=(6,)), Datatake(later, scenes=2, detectors=(5,), absolute_orbit=57_405)
    )


@pytest.fixture(scope="session")
def packets_under() -> Callable[[Path], Counter[bytes]]:
    """All packets in the files below a folder."""

    def read(folder: Path) -> Counter[bytes]:
        return Counter(octets for path in folder.rglob("*.bin") for _, octets in read_annotated(path))

    return read


@pytest.fixture(scope="session")
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Octets of all files below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }

    return read
