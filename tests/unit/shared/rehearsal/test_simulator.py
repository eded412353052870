from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from defusedxml.ElementTree import parse
from numpy.typing import NDArray

from shared.ccsds.decoder import ChannelDecoder
from shared.ccsds.link import LinkProfile
from shared.ccsds.rs import ReedSolomon
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import ConfigurationError
from shared.geometry.terrain import Terrain
from shared.msi.codec import decompress
from shared.msi.instrument import Band, band_named
from shared.msi.packets import ANCILLARY_APIDS, DATATAKE_APID, DatatakeDescriptor, ImageBlock, image_apid
from shared.msi.platform import PLATFORM_APIDS, packets_of_platform
from shared.msi.radiometry import dn_to_reflectance, quantisation_error
from shared.msi.tiling import to_utm
from shared.rehearsal.faults import CorruptFrame, DropFrames, FaultPlan
from shared.rehearsal.flight import fly
from shared.rehearsal.imaging import expose, ground_of
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake, SessionPlan
from shared.rehearsal.simulator import Truth, channel_of, simulate_session

BANDS = tuple(band_named(name) for name in ("B01", "B09", "B10", "B12"))
DATATAKE = Datatake(scenes=2, detectors=(6, 7))
PLAN = SessionPlan(datatakes=(DATATAKE,), chunk_bytes=300_000, bands=BANDS)


@dataclass(frozen=True)
class Waves:
    """A ground of slow waves, at the top of the atmosphere, cheap to ask."""

    kind: Literal["surface", "toa"] = "toa"
    epsg: int = 32632
    relief: None = None

    def reflectance(self, band: Band, epsg: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        assert epsg == self.epsg
        return (0.2 + 0.01 * band.index + 0.1 * np.sin(x / 900) * np.cos(y / 700)).astype(np.float32)

    def centre(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {"type": "waves"}


@dataclass
class Received:
    """What a receiver makes of a recording."""

    packets: dict[int, list[SpacePacket]] = field(default_factory=lambda: defaultdict(list))
    channels: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    statistics: dict[int, Any] = field(default_factory=dict)

    @property
    def counts(self) -> dict[int, int]:
        return {apid: len(packets) for apid, packets in sorted(self.packets.items())}


def receive(root: Path, plan: SessionPlan) -> Received:
    got = Received()
    for channel in (1, 2):
        decoder = ChannelDecoder(plan.profile)
        batches = []
        for chunk in sorted((root / plan.folder / f"ch_{channel}").glob("*.raw")):
            batches += decoder.feed(chunk.read_bytes())
        for batch in [*batches, *decoder.finish()]:
            assert batch.crc_ok.all()
            for start, length in zip(batch.starts, batch.lengths, strict=True):
                packet = SpacePacket.decode(batch.octets[start : start + length].tobytes())
                got.packets[packet.apid].append(packet)
                got.channels[packet.apid].add(channel)
        got.statistics[channel] = decoder.statistics
    return got


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth, Received]:
    root = tmp_path_factory.mktemp("session") / "recording"
    truth = simulate_session(PLAN, root, scene=Waves())
    return root, truth, receive(root, PLAN)


def test_every_packet_that_was_sent_is_received(recording: tuple[Path, Truth, Received]) -> None:
    _, truth, got = recording
    assert got.counts == truth.packets
    expected = {image_apid(d, band.index): 2 * band.packets_per_scene for d in (6, 7) for band in BANDS}
    own = (*ANCILLARY_APIDS, *PLATFORM_APIDS)
    assert {apid: count for apid, count in truth.packets.items() if apid not in own} == expected
    for apid, packets in got.packets.items():
        assert [packet.sequence for packet in packets] == list(range(truth.packets[apid])), apid


def test_every_frame_is_received_and_none_needed_correction(recording: tuple[Path, Truth, Received]) -> None:
    _, truth, got = recording
    for channel, statistics in got.statistics.items():
        assert statistics.frames == sum(truth.frames[channel].values())
        assert statistics.idle_frames == truth.frames[channel][63] == 64
        assert statistics.corrected_symbols == statistics.uncorrectable_frames == 0


def test_ancillary_packets_go_by_channel_1_and_images_by_parity(recording: tuple[Path, Truth, Received]) -> None:
    _, _, got = recording
    for apid in (*ANCILLARY_APIDS, *PLATFORM_APIDS):
        assert got.channels[apid] == {1}
    for detector in (6, 7):
        for band in BANDS:
            assert got.channels[image_apid(detector, band.index)] == {channel_of(detector, band)}
    assert len({channel_of(6, band) for band in BANDS}) == 2


def test_the_descriptor_counts_the_ancillary_packets(recording: tuple[Path, Truth, Received]) -> None:
    _, truth, got = recording
    descriptor = DatatakeDescriptor.decode(got.packets[DATATAKE_APID][0].user_data)
    counts = (descriptor.gps_packets, descriptor.attitude_packets, descriptor.descriptor_packets)
    assert counts == tuple(truth.packets[apid] for apid in ANCILLARY_APIDS)
    platform = {apid: truth.packets[apid] for apid in PLATFORM_APIDS}
    assert platform == packets_of_platform(descriptor.gps_packets)
    assert descriptor.detectors == (6, 7)
    assert descriptor.scenes == 2
    assert descriptor.satellite == "S2A"


@pytest.mark.parametrize(("detector", "band"), [(6, "B01"), (7, "B09"), (6, "B12"), (7, "B12")])
def test_counts_come_back_as_the_reflectance_of_the_scene(
    recording: tuple[Path, Truth, Received], detector: int, band: str
) -> None:
    of = band_named(band)
    packets = recording[2].packets[image_apid(detector, of.index)]
    flight = fly(DATATAKE, "S2A")
    for scene in (1, 2):
        blocks = [ImageBlock.decode(packet.user_data) for packet in packets]
        blocks = [block for block in blocks if block.scene == scene]
        assert [block.block for block in blocks] == list(range(of.packets_per_scene))
        counts = np.concatenate([decompress(b.payload, b.compression, b.lines, b.columns) for b in blocks])
        exposure = expose(flight, of, detector, scene)
        every = slice(0, of.lines_per_scene)
        zenith = exposure.sun_zenith(every)
        rho = dn_to_reflectance(counts, of, detector, zenith, exposure.earth_sun_u)
        x, y = exposure.places(every)
        error = np.abs(rho - Waves().reflectance(of, 32632, x, y))
        assert error.max() < quantisation_error(of, float(zenith.max()), exposure.earth_sun_u) * 1.01


@pytest.mark.parametrize("relief_m", [0.0, 900.0])
@pytest.mark.parametrize(("detector", "band"), [(1, "B02"), (6, "B04"), (12, "B12"), (7, "B09")])
def test_samples_see_what_the_sensor_model_says(detector: int, band: str, relief_m: float) -> None:
    """Nodes and the search for the ground against each sample's own line of sight: within 0.05 m on a plain, 0.1 m in
    the mountains, where the ground's cells multiply what lines of sight err.
    """
    of = band_named(band)
    relief = ProceduralLandscape(3, 32632, relief_m=relief_m).relief
    flight = fly(Datatake(detectors=(detector,)), "S2A")
    ground = ground_of(flight, relief, 2)
    exposure = expose(flight, of, detector, 2, ground)
    lines = np.arange(7, of.lines_per_scene, of.lines_per_scene // 24)
    x, y = (np.concatenate(part) for part in zip(*(exposure.places(slice(n, n + 1)) for n in lines), strict=True))
    at = np.asarray(lines + of.lines_per_scene + 0.5, np.float64)[:, None]
    columns = np.asarray(np.arange(of.width) + 0.5, np.float64)[None, :]
    place = flight.model.direct(band, detector, at, columns, relief or 0.0)
    true_x, true_y = to_utm(flight.epsg).transform(place.lon, place.lat)
    if relief is not None:
        assert np.ptp(place.height) > 300
    assert np.hypot(x - true_x, y - true_y).max() < (0.05 if relief is None else 0.1)


def test_a_scene_with_relief_leaves_its_elevation_tiles_beside_the_recording(tmp_path: Path) -> None:
    scene = ProceduralLandscape(3, 32632, relief_m=500.0)
    plan = replace(PLAN, datatakes=(replace(DATATAKE, scenes=1, detectors=(6,)),), bands=BANDS[:1])
    simulate_session(plan, tmp_path / "out", scene=scene)
    terrain = Terrain.from_files(tmp_path / "out.dem", None)
    flight = fly(plan.datatakes[0], "S2A")
    assert scene.relief is not None
    for detector in (6,):
        lines, columns = np.linspace(0, 384, 40)[:, None], np.linspace(0, 432, 40)
        seen = flight.model.direct("B01", detector, lines, columns, scene.relief)
        assert np.ptp(seen.height) > 100
        assert terrain.at(seen.lon, seen.lat) == pytest.approx(seen.height, abs=0.01)


def test_the_demo_meets_two_tiles_of_one_zone() -> None:
    flight = fly(Datatake(), "S2A")
    for band in ("B01", "B02", "B09", "B12"):
        assert [tile.name for tile in flight.model.tiles(band)] == ["32TLQ", "32TMQ"]
    assert flight.epsg == 32632
    assert flight.sun_zenith_deg < 35
    x, y = flight.outline()
    assert x.max() - x.min() < 65_000
    assert y.max() - y.min() < 65_000


def test_packets_are_dated_by_their_first_line(recording: tuple[Path, Truth, Received]) -> None:
    band = band_named("B12")
    packets = recording[2].packets[image_apid(7, band.index)]
    flight = fly(DATATAKE, "S2A")
    for index in (0, 1, 71, 72, 143):
        assert packets[index].gps_ns == pytest.approx(flight.line_ns(band, 7, 16.0 * index), abs=31)


def test_files_are_chunks_of_one_size_and_a_dsib_that_tells_their_sum(recording: tuple[Path, Truth, Received]) -> None:
    root, truth, _ = recording
    for channel in (1, 2):
        files = [file for file in truth.files if f"/ch_{channel}/" in file.path]
        *chunks, dsib = files
        assert [chunk.size for chunk in chunks[:-1]] == [300_000] * (len(chunks) - 1)
        assert len(chunks) > 2
        assert all((root / file.path).stat().st_size == file.size for file in files)
        block = parse(root / dsib.path).getroot()
        assert block is not None
        assert block.tag == "DCSU_Session_Information_Block"
        assert block.findtext("session_id") == truth.session
        assert int(block.findtext("data_size", "")) == sum(chunk.size for chunk in chunks)
        assert [name.text for name in block.iter("dsdb_name")] == [chunk.path.rpartition("/")[2] for chunk in chunks]
        assert block.findtext("time_start", "~") < block.findtext("time_stop", "")


def test_the_truth_stands_beside_the_recording(recording: tuple[Path, Truth, Received]) -> None:
    root, truth, _ = recording
    written = json.loads(root.with_name("recording.truth.json").read_text())
    assert written["session"] == truth.session == "S2A_20260621104500057405"
    assert written["packets"] == {str(apid): count for apid, count in truth.packets.items()}
    assert written["scene"]["type"] == "waves"
    assert not list(root.rglob("*.json"))


def test_the_same_plan_gives_the_same_bytes(recording: tuple[Path, Truth, Received], tmp_path: Path) -> None:
    again = simulate_session(PLAN, tmp_path / "again", scene=Waves())
    assert again == recording[1]


def test_noise_follows_the_seed(tmp_path: Path) -> None:
    plan = replace(PLAN, datatakes=(replace(DATATAKE, scenes=1, detectors=(6,)),), bands=BANDS[:1], noise_dn=2.0)
    one = simulate_session(plan, tmp_path / "one", scene=Waves())
    same = simulate_session(plan, tmp_path / "same", scene=Waves())
    other = simulate_session(replace(plan, seed=2), tmp_path / "other", scene=Waves())
    assert one.files == same.files
    assert one.files != other.files


@pytest.mark.parametrize("profile", [LinkProfile(ReedSolomon(16, 5)), LinkProfile(ReedSolomon(8, 8, dual_basis=True))])
def test_sessions_of_several_datatakes_count_on_whatever_the_link(tmp_path: Path, profile: LinkProfile) -> None:
    first = replace(DATATAKE, scenes=1, detectors=(6,))
    second = replace(first, start=first.start.replace(minute=22), position=(7.5, 38.0), detectors=(6, 8))
    plan = replace(PLAN, datatakes=(first, second), bands=BANDS[:2], profile=profile)
    truth = simulate_session(plan, tmp_path / "out", scene=Waves())
    got = receive(tmp_path / "out", plan)
    assert got.counts == truth.packets
    shared_apid = image_apid(6, BANDS[0].index)
    assert [packet.sequence for packet in got.packets[shared_apid]] == list(range(48))
    starts = {DatatakeDescriptor.decode(p.user_data).datatake_start_ns for p in got.packets[DATATAKE_APID]}
    assert len(starts) == 2


SMALL = replace(PLAN, datatakes=(replace(DATATAKE, scenes=1, detectors=(6,)),), bands=BANDS[:1])


@pytest.mark.parametrize(("symbols", "corrected", "uncorrectable"), [(1, 1, 0), (8, 8, 0), (9, 0, 1), (40, 0, 1)])
def test_up_to_eight_symbols_can_be_corrected(tmp_path: Path, symbols: int, corrected: int, uncorrectable: int) -> None:
    faults = FaultPlan((CorruptFrame(1, 40, symbols),))
    truth = simulate_session(SMALL, tmp_path / "out", scene=Waves(), faults=faults)
    statistics = receive(tmp_path / "out", SMALL).statistics
    assert (statistics[1].corrected_symbols, statistics[1].uncorrectable_frames) == (corrected, uncorrectable)
    assert statistics[2].corrected_symbols == 0
    assert truth.faults == ({"fault": "corrupt", "channel": 1, "frame": 40, "symbols": symbols},)


def test_dropped_frames_are_gone_and_the_rest_is_whole(tmp_path: Path) -> None:
    clean = simulate_session(SMALL, tmp_path / "clean", scene=Waves())
    faults = FaultPlan((DropFrames(1, 30, 4),))
    truth = simulate_session(SMALL, tmp_path / "out", scene=Waves(), faults=faults)
    got = receive(tmp_path / "out", SMALL)
    assert got.statistics[1].frames == sum(clean.frames[1].values()) - 4
    lost = Counter(truth.packets) - Counter(got.counts)
    assert truth.packets == clean.packets
    assert 0 < sum(lost.values()) < sum(truth.packets.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda: Datatake(scenes=0),
        lambda: Datatake(detectors=(7, 6)),
        lambda: Datatake(detectors=(0,)),
        lambda: Datatake(relative_orbit=144),
        lambda: SessionPlan("S3A"),
        lambda: SessionPlan(datatakes=()),
        lambda: SessionPlan(chunk_bytes=0),
    ],
)
def test_plans_that_cannot_be_flown_are_refused(change: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        change()
