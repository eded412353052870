"""The session simulator: from a plan and a scene to the files of a downlink session, and the truth about them."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shared.ccsds.encoder import ChannelEncoder
from shared.ccsds.spacepackets import SEQUENCE_MODULUS
from shared.geometry.heights import save_cells
from shared.msi.instrument import LINES_PER_PACKET, SCENE_NS, Band
from shared.msi.packets import image_apid
from shared.msi.platform import HOUSEKEEPING_VCID
from shared.rehearsal.faults import FaultPlan, LinkDisturber, describe_fault
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.housekeeping import reports
from shared.rehearsal.imaging import SLICES, Exposure, expose, ground_of, image_packets, record
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import CHANNELS, SPACECRAFT_ID, Channel, Datatake, SessionPlan
from shared.rehearsal.recording import ChannelRecorder, RecordedFile
from shared.rehearsal.scene import Confinable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.rehearsal.scene import Scene

ANCILLARY_VCID: Final = 2
IMAGE_10M_VCID: Final = 4
IMAGE_COARSE_VCID: Final = 5
_WORKERS: Final = 2
_DEEPEST_M: Final = -500.0
_HIGHEST_M: Final = 9000.0
_AROUND_DEG: Final = 0.01

SIMPLIFICATIONS: Final = (
    "Orbit by mean elements with secular J2 terms, pointing noise of some frequencies; telemetry has no error.",
    "Where no parameter files are given, the focal plane is nominal; constants of Sentinel-2A for all.",
    "Clouds lie on the ground and throw no shadow; slopes shine as level ground does.",
    "A sample is the value at its centre: no point-spread function, no integration over line and column.",
    "A surface scene is lifted to the top of the atmosphere with coefficients of one sun zenith and view direction.",
    "Image packets have a layout of their own and CCSDS 121 compression; noise only where it is asked for.",
    "Star trackers and gyroscopes send no raw data; housekeeping, where it is sent, tells attitude and temperatures.",
)
"""What a simulated session leaves out of a real one."""

_Slices = list[list[bytes]]


@dataclass(frozen=True, slots=True)
class Truth:
    """What a recording holds.

    Attributes:
        session: its id; ``folder`` where its files stand below the recording.
        files: every file, chunks in order, DSIB last in each channel.
        packets: packets that were sent, by APID.
        frames: frames that were sent, by channel and virtual channel (63: idle).
        datatakes: of each, the plan and the numbers that follow from it.
        scene: what the scene is rebuilt from, with the atmosphere over it.
        faults: those of the rehearsal.
        simplifications: what the session leaves out of a real one.
    """

    session: str
    satellite: str
    folder: str
    files: tuple[RecordedFile, ...]
    packets: dict[int, int]
    frames: dict[int, dict[int, int]]
    datatakes: tuple[dict[str, Any], ...]
    scene: dict[str, Any]
    faults: tuple[dict[str, Any], ...]
    simplifications: tuple[str, ...] = SIMPLIFICATIONS

    def to_json(self) -> str:
        """The truth as JSON, keys sorted."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, default=str) + "\n"


def simulate_session(
    plan: SessionPlan,
    out: Path,
    *,
    scene: Scene,
    faults: FaultPlan | None = None,
    channel_folder: str = "ch_{}",
    truth_file: Path | None = None,
) -> Truth:
    """Write the session's files below ``out`` and return the truth about them; the same arguments give the same bytes.

    Args:
        plan: what the session holds.
        out: the recording's root: files go to ``<satellite>/DCS_05_<session>_dat/ch_1/...``.
        scene: the ground.
        faults: those on the link are applied; delivery faults are the station's.
        channel_folder: name of a channel's folder; stations also use ``ch{}`` and ``ch0{}``.
        truth_file: where the truth is written as JSON; beside ``out`` as ``<out>.truth.json`` where not given.
    """
    return _Simulation(plan, out, scene, faults or FaultPlan(), channel_folder).run(truth_file)


@dataclass
class _Simulation:
    plan: SessionPlan
    out: Path
    scene: Scene
    faults: FaultPlan
    channel_folder: str
    sequences: dict[int, int] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ground: Scene = self.scene
        plan = self.plan
        spacecraft = SPACECRAFT_ID[plan.satellite]
        self.encoders = {channel: ChannelEncoder(spacecraft, plan.profile) for channel in CHANNELS}
        self.disturbers = {channel: LinkDisturber(plan.profile, channel, self.faults) for channel in CHANNELS}
        self.recorders = {
            channel: ChannelRecorder(plan, channel, self.out, f"{plan.folder}/{self.channel_folder.format(channel)}")
            for channel in CHANNELS
        }

    def run(self, truth_file: Path | None) -> Truth:
        flights = [fly(datatake, self.plan.satellite, self.plan.instrument) for datatake in self.plan.datatakes]
        self._save_relief(flights)
        self._idle()
        with ThreadPoolExecutor(_WORKERS, "imaging") as pool:
            for index, flight in enumerate(flights):
                self._send_datatake(pool, index, flight)
        self._flush()
        self._idle()
        for recorder in self.recorders.values():
            recorder.close()
        truth = self._truth(flights)
        path = truth_file or self.out.with_name(self.out.name + ".truth.json")
        part = path.with_name(path.name + ".part")
        part.write_text(truth.to_json(), encoding="utf-8")
        part.replace(path)  # where it stands, the recording is whole
        return truth

    def _send_datatake(self, pool: ThreadPoolExecutor, index: int, flight: Flight) -> None:
        """Scene after scene; while one is sent, the next is being taken."""
        ancillary = flight.ancillary_packets(self.sequences)
        reported = reports(flight.gps, self.sequences) if self.plan.housekeeping else []
        self.ground = self.scene
        if isinstance(self.scene, Confinable):
            relief = self.scene.relief
            heights = (0.0,) if relief is None else (_DEEPEST_M, _HIGHEST_M)
            self.ground = self.scene.near(flight.epsg, *flight.outline(heights))
        ahead = self._take_scene(pool, index, flight, 1)
        for number in range(1, flight.datatake.scenes + 1):
            current = ahead
            if number < flight.datatake.scenes:
                ahead = self._take_scene(pool, index, flight, number + 1)
            for part in range(SLICES):
                until = flight.first_line_ns + SCENE_NS * (number - 1 + (part + 1) / SLICES)
                due = [packet for time, packet in ancillary if time < until]
                ancillary = ancillary[len(due) :]
                self._send(1, ANCILLARY_VCID, due)
                told = [packet for time, packet in reported if time < until]
                reported = reported[len(told) :]
                self._send(1, HOUSEKEEPING_VCID, told)
                for channel in CHANNELS:
                    self._send_images(channel, part, current)
        self._send(1, ANCILLARY_VCID, [packet for _, packet in ancillary])
        self._send(1, HOUSEKEEPING_VCID, [packet for _, packet in reported])

    def _send_images(self, channel: Channel, part: int, taken: dict[tuple[int, Band], Future[_Slices]]) -> None:
        fine: list[bytes] = []
        coarse: list[bytes] = []
        for (detector, band), slices in taken.items():
            if channel_of(detector, band) == channel:
                (fine if band.resolution == 10 else coarse).extend(slices.result()[part])
        self._send(channel, IMAGE_10M_VCID, fine)
        self._send(channel, IMAGE_COARSE_VCID, coarse)

    def _take_scene(
        self, pool: ThreadPoolExecutor, index: int, flight: Flight, number: int
    ) -> dict[tuple[int, Band], Future[_Slices]]:
        taken: dict[tuple[int, Band], Future[_Slices]] = {}
        ground = ground_of(flight, self.ground.relief, number)
        for band in self.plan.bands:
            for detector in flight.datatake.detectors:
                apid = image_apid(detector, band.index)
                first = self.sequences.get(apid, 0)
                self.sequences[apid] = first + band.packets_per_scene
                taken[detector, band] = pool.submit(
                    self._take, index, flight, partial(expose, flight, band, detector, number, ground), first
                )
        return taken

    def _take(self, index: int, flight: Flight, exposed: Callable[[], Exposure], first: int) -> _Slices:
        """One granule and band, as packets in slices."""
        plan, exposure = self.plan, exposed()
        noise = None
        if plan.noise_dn > 0:
            granule = (exposure.scene_number, exposure.detector, exposure.band.index)
            noise = np.random.default_rng((plan.seed, index, *granule))
        slices: _Slices = []
        block = 0
        zenith = flight.sun_zenith_deg
        taken = record(exposure, self.ground, plan.air, sun_zenith_deg=zenith, noise=noise, noise_dn=plan.noise_dn)
        for counts in taken:
            slices.append(image_packets(counts, exposure, flight, block, (first + block) % SEQUENCE_MODULUS))
            block += len(counts) // LINES_PER_PACKET
        return slices

    def _save_relief(self, flights: list[Flight]) -> None:
        """A made ground is written as elevation tiles beside the recording: whoever processes it needs them."""
        if not isinstance(self.scene, ProceduralLandscape) or self.scene.relief is None:
            return
        for flight in flights:
            lon, lat = (
                np.concatenate(part, 1) for part in zip(*map(flight.outlines, (_DEEPEST_M, _HIGHEST_M)), strict=True)
            )
            save_cells(self.scene.relief, lon, lat, _AROUND_DEG, relief_folder(self.out))

    def _send(self, channel: Channel, vcid: int, packets: list[bytes]) -> None:
        if not packets:
            return
        self.sent.update(int.from_bytes(packet[:2], "big") & 0x7FF for packet in packets)
        self._transmit(channel, self.encoders[channel].add(vcid, packets))

    def _flush(self) -> None:
        for channel in CHANNELS:
            for vcid in (HOUSEKEEPING_VCID, ANCILLARY_VCID, IMAGE_10M_VCID, IMAGE_COARSE_VCID):
                self._transmit(channel, self.encoders[channel].flush(vcid))

    def _idle(self) -> None:
        for channel in CHANNELS:
            self._transmit(channel, self.encoders[channel].idle(self.plan.idle_frames))

    def _transmit(self, channel: Channel, cadus: bytes) -> None:
        self.recorders[channel].write(self.disturbers[channel](cadus))

    def _truth(self, flights: list[Flight]) -> Truth:
        plan = self.plan
        return Truth(
            session=str(plan.session),
            satellite=plan.satellite,
            folder=plan.folder,
            files=tuple(entry for recorder in self.recorders.values() for entry in recorder.files),
            packets=dict(sorted(self.sent.items())),
            frames={channel: encoder.frames_sent for channel, encoder in self.encoders.items()},
            datatakes=tuple(_datatake_truth(flight) for flight in flights),
            scene=self.scene.describe() | {"air": asdict(plan.air), "noise_dn": plan.noise_dn},
            faults=tuple(describe_fault(fault) for fault in self.faults.faults),
        )


def relief_folder(out: Path) -> Path:
    """Where the elevation tiles of a recording's landscape are written: beside it, as ``<out>.dem``."""
    return out.with_name(out.name + ".dem")


def channel_of(detector: int, band: Band) -> Channel:
    """The channel that carries a detector's band."""
    return 1 if (detector + band.index) % 2 == 0 else 2


def _datatake_truth(flight: Flight) -> dict[str, Any]:
    datatake: Datatake = flight.datatake
    return {
        "start": datatake.start.isoformat(),
        "scenes": datatake.scenes,
        "detectors": list(datatake.detectors),
        "position": list(datatake.position),
        "absolute_orbit": datatake.absolute_orbit,
        "relative_orbit": datatake.relative_orbit,
        "first_line_ns": flight.first_line_ns,
        "epsg": flight.epsg,
        "sun_zenith_deg": flight.sun_zenith_deg,
    }
