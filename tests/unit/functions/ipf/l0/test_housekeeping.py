"""Housekeeping telemetry: the frames of its virtual channel become a product, each once; what is lost is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from functions.ipf.common.processor import Exit
from functions.ipf.l0u.housekeeping import HousekeepingRecorder
from functions.ipf.l0u.main import process
from shared.ccsds.crc import crc16
from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.mpdu import PacketReassembler
from shared.domain.names import HktmName
from shared.msi.platform import HOUSEKEEPING_APID, HOUSEKEEPING_VCID
from shared.rehearsal.flight import fly
from shared.rehearsal.housekeeping import reports
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake, SessionPlan
from shared.rehearsal.simulator import simulate_session
from shared.xmltree import parse_tree
from tests.unit.functions.ipf.l0.conftest import CADU

START: Final = datetime(2026, 6, 21, 10, 20, tzinfo=UTC)
FRAME: Final = 1912
OUTPUTS: Final = ("DS_GR_FOLDER", "SAD_FOLDER", "REP_PASS", "HKTM_FOLDER")


@pytest.fixture(scope="module")
def sent() -> list[bytes]:
    return [packet for _, packet in reports(fly(Datatake(START, scenes=4), "S2A").gps, {})]


def _cadus(sent: list[bytes]) -> bytes:
    encoder = ChannelEncoder(0xDA)
    return encoder.add(HOUSEKEEPING_VCID, sent) + encoder.flush(HOUSEKEEPING_VCID)


def _with(session: Any, *channels: int, cadus: bytes) -> Any:
    return replace(
        session,
        streams={c: cadus + stream if c in channels else stream for c, stream in session.streams.items()},
    )


def _run(bench: Any, session: Any, folder: Path) -> Any:
    return bench.call(process, {"STO_CADU_S": session.store(folder)}, OUTPUTS)


def _frames(run: Any) -> Any:
    (file,) = (run.root / "HKTM_FOLDER").glob("*/*.bin")
    assert file.stem == file.parent.name
    return np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, FRAME)


def _packets(frames: Any) -> list[bytes]:
    counts = [int.from_bytes(frame[2:5].tobytes(), "big") for frame in frames]
    pointers = [int.from_bytes(frame[6:8].tobytes(), "big") & 0x7FF for frame in frames]
    found = PacketReassembler().feed(np.array(counts), np.array(pointers), frames[:, 8 : FRAME - 2])
    return [span.octets[a : a + n].tobytes() for span in found for a, n in zip(span.starts, span.lengths, strict=True)]


def _report(run: Any) -> Any:
    return json.loads((run.root / "REP_PASS").read_text())


@pytest.mark.parametrize("channels", [(1,), (1, 2)])
def test_frames_become_a_product_as_they_came_and_each_once(
    bench: Any, one_granule: Any, sent: list[bytes], channels: tuple[int, ...], tmp_path: Path
) -> None:
    cadus = _cadus(sent)
    run = _run(bench, _with(one_granule, *channels, cadus=cadus), tmp_path / "in")
    assert run.code == Exit.OK
    frames = _frames(run)
    assert len(frames) == len(cadus) // CADU
    assert all(crc16(frame.tobytes()) == 0 for frame in frames)
    assert _packets(frames)[: len(sent)] == sent
    product = next((run.root / "HKTM_FOLDER").iterdir())
    name = HktmName.parse(product.name)
    assert (name.satellite, name.file_class) == ("S2A", "TEST")
    assert name.start < START.replace(second=5) < name.stop
    manifest = parse_tree((product / "manifest.safe").read_bytes(), "manifest")
    assert [e.get("href") for e in manifest.iter("fileLocation")] == [f"./{product.name}.bin"]
    assert _report(run)["housekeeping"] == {
        "frames": len(frames),
        "frames_lost": 0,
        "packets": len(channels) * len(sent),
    }
    assert _report(run)["unknown_apids"] == {}


def test_a_lost_frame_is_told_and_the_rest_is_a_product(
    bench: Any, one_granule: Any, sent: list[bytes], tmp_path: Path
) -> None:
    cadus = _cadus(sent)
    holed = cadus[:CADU] + cadus[2 * CADU :]
    run = _run(bench, _with(one_granule, 1, cadus=holed), tmp_path / "in")
    assert run.code == Exit.DEGRADED
    assert f"housekeeping telemetry: 1 of {len(cadus) // CADU} frames lost" in run.log
    assert len(_frames(run)) == len(cadus) // CADU - 1


@pytest.mark.parametrize(
    ("counts", "kept", "lost"),
    [((7,), 1, 0), ((7, 8, 10), 3, 1), ((7, 8, 7), 2, 0), ((0xFFFFFE, 0xFFFFFF, 0, 2), 4, 1), ((0, 0xFFFFFF), 2, 0)],
    ids=["one", "a gap", "one twice at once", "the count starts anew", "out of order"],
)
def test_frames_are_told_apart_by_their_count(tmp_path: Path, counts: tuple[int, ...], kept: int, lost: int) -> None:
    frames = np.zeros((len(counts), FRAME), np.uint8)
    for row, count in zip(frames, counts, strict=True):
        row[2:5] = np.frombuffer(count.to_bytes(3, "big"), np.uint8)
    recorder = HousekeepingRecorder(tmp_path / "spool")
    recorder.add_frames(frames)
    assert recorder.lost == lost
    assert (tmp_path / "spool").stat().st_size == kept * FRAME


def test_one_that_is_made_anew_has_another_name(
    bench: Any, one_granule: Any, sent: list[bytes], tmp_path: Path
) -> None:
    session = _with(one_granule, 1, cadus=_cadus(sent)).store(tmp_path / "in")
    names = set()
    for created in ("20260621T110000", "20260621T110000", "20260621T110001"):
        run = bench.call(process, {"STO_CADU_S": session}, OUTPUTS, CREATION_DATE=created)
        names.add(next((run.root / "HKTM_FOLDER").iterdir()).name)
    assert len(names) == 2


def test_without_housekeeping_there_is_no_such_product(bench: Any, one_granule: Any, tmp_path: Path) -> None:
    run = _run(bench, one_granule, tmp_path / "in")
    assert run.code == Exit.OK
    assert not (run.root / "HKTM_FOLDER").exists()


def test_the_simulator_sends_it_where_it_is_asked_to(tmp_path: Path) -> None:
    datatake = Datatake(START, scenes=1, detectors=(6,))
    plan = SessionPlan(datatakes=(datatake,), bands=(), housekeeping=True)
    truth = simulate_session(plan, tmp_path / "recording", scene=ProceduralLandscape())
    assert truth.frames[1][HOUSEKEEPING_VCID] > 1
    assert HOUSEKEEPING_VCID not in truth.frames[2]
    assert truth.packets[HOUSEKEEPING_APID] == len(fly(datatake, "S2A").gps)
