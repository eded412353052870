"""The step L1B: one datastrip's L0 products to a working folder and a tile list."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common import xml
from functions.ipf.common.auxiliary import instrument_of, orientation_of
from functions.ipf.common.ground import terrain_of
from functions.ipf.common.processor import Exit
from functions.ipf.l1b.geolocation import HEIGHTS_M, boxes, outline, spread, sun_zenith_at_nodes
from functions.ipf.l1b.inputs import first_lines, read_orientation
from functions.ipf.l1b.level0 import Ancillary, granules_by_detector, read_ancillary, read_band, read_downlink
from functions.ipf.l1b.part import narrowed, scenes_of
from functions.ipf.l1b.tile_list import tile_list
from functions.ipf.safe.parallel import threads_of
from functions.ipf.safe.quality import Quality, saturation
from functions.ipf.safe.working import (
    LEVEL0_FILE,
    AttitudeRecord,
    BandImage,
    Datastrip,
    GpsRecord,
    WorkingFolder,
    loss_sentences,
    to_counts,
)
from shared.errors import BadInputError
from shared.geometry.model import SensorModel
from shared.geometry.telemetry import telemetry_strip
from shared.msi.earth import earth_sun_u, utc_from_gps_ns
from shared.msi.instrument import BANDS, LINES_PER_PACKET, MAX_DN, SCENE_NS, Band
from shared.msi.radiometry import LOWEST_SUN_DEG, dn_to_reflectance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.ipf.common.processor import IpfLog
    from functions.ipf.l1b.level0 import DetectorImage
    from functions.ipf.safe.working import Counts
    from shared.geometry.heights import Relief
    from shared.geometry.instrument import Instrument
    from shared.joborder import JobOrder

NAME: Final = "S2PS-L1B"
VERSION: Final = "0.3.0"
SIMPLIFICATIONS: Final = (
    "Image packets carry an open codec (CCSDS 121), not the instrument's own, which is not public.",
    "L1B: equalisation tables are the simulator's; no crosstalk, defective pixel, deconvolution or SWIR step.",
    "L1B: located by the telemetry's orbit and attitude as they are: no refinement on ground control.",
    "L1B: without GIP_VIEDIR and GIP_SPAMOD in its job order a nominal instrument, without a DEM the WGS 84 ellipsoid.",
    "L1B: useful columns are the middle ones of a packet's; GIP_BLINDP is not used.",
    f"L1B: lines where the Sun stands farther than {LOWEST_SUN_DEG:.0f} degrees from the zenith are no data.",
)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Run the step as a job order asks; no product, and a warning, of a datastrip at night."""
    datastrips = [Path(name) for name in order.input_files("PDI_DS")]
    folder = _single_datastrip(datastrips)
    ancillary = read_ancillary(folder)
    described = ancillary.descriptor
    granules = granules_by_detector(Path(name) for name in order.input_files("PDI_DS_GR_LIST"))
    strangers = sorted(set(granules) - set(described.detectors))
    if strangers:
        raise BadInputError("L0 granules", f"detectors {described.detectors} of the descriptor", strangers)
    sight = _sight(order, folder, ancillary, granules)
    model, relief = sight.model, sight.relief
    first, last = sight.scenes.start, sight.scenes.stop - 1
    journal.info(f"{folder.name}: scenes {first} to {last} of {described.scenes}, detectors {described.detectors}")

    if (sun := _least_sun_zenith(sight)) > LOWEST_SUN_DEG:
        journal.warning(f"night: the Sun stands {sun:.0f} degrees from the zenith, there is no reflectance")
        return Exit.DEGRADED
    root = Path(order.output("L1B_WORKING"))
    root.mkdir(parents=True, exist_ok=True)
    working = WorkingFolder(root)
    wanted = [(detector, band) for detector in described.detectors for band in BANDS]
    with ThreadPoolExecutor(threads_of(order)) as pool:
        images = list(
            pool.map(
                lambda item: _image(working, sight, granules.get(item[0], []), item[0], item[1], journal),
                wanted,
            )
        )
    datastrip = _describe(order, folder, sight, images)
    working.write_datastrip(datastrip)
    working.write_model(model.strip, sight.instrument)
    if relief is not None:
        working.write_relief(relief, *boxes(model, len(sight.scenes), HEIGHTS_M))
    for document in sorted(folder.glob("*_MTD_L0*_DS_*.xml"))[:1]:
        shutil.copyfile(document, root / LEVEL0_FILE)
    tiles = model.tiles(terrain=0.0 if relief is None else relief)
    xml.write(Path(order.output("TILE_LIST_FILE")), tile_list(tiles))
    journal.info(f"{len(images)} images, tiles {', '.join(tile.name for tile in tiles)}")
    troubles = [
        *loss_sentences(datastrip.degraded_percent, datastrip.degraded_ancillary_percent),
        *_beyond_ancillary(model),
        *([sight.without] if sight.without else []),
    ]
    for trouble in troubles:
        journal.warning(trouble)
    return Exit.DEGRADED if troubles else Exit.OK


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the datastrip was seen with, and what it saw; names of the files that told of it.

    ``scenes``, counted from 1, are those to process; ``model`` counts lines from the first of them. ``without``: what
    is lacking, a sentence.
    """

    ancillary: Ancillary
    scenes: range
    instrument: Instrument
    model: SensorModel
    relief: Relief | None
    elevation: str
    bulletin: str
    without: str

    @property
    def centre_ns(self) -> int:
        return self.model.platform.reference_ns


def _sight(order: JobOrder, folder: Path, ancillary: Ancillary, granules: Mapping[int, Sequence[Path]]) -> _Sight:
    described = ancillary.descriptor
    instrument, without = instrument_of(order, described.satellite)
    orientation, bulletin = orientation_of(order, described.first_line_ns)
    if not bulletin:
        orientation = read_orientation(folder) or orientation
    scenes = scenes_of(order, described.scenes, granules)
    lines = first_lines(granules, instrument.first_lines(described.first_line_ns, described.detectors))
    strip = telemetry_strip(described, ancillary.gps, ancillary.attitudes, orientation, lines)
    model = SensorModel(narrowed(strip, scenes), instrument.viewing, instrument.spacecraft, bridged=True)
    relief, elevation = terrain_of(order)
    return _Sight(ancillary, scenes, instrument, model, relief, elevation, bulletin or "None", without)


def _least_sun_zenith(sight: _Sight) -> float:
    lon, lat = outline(sight.model, len(sight.scenes), None)
    return float(sight.model.sun_angles(lon, lat)[0].min())


def _beyond_ancillary(model: SensorModel) -> list[str]:
    """A sentence where lines were taken before the first orbit and attitude data, or after the last."""
    beyond = model.platform.beyond_s
    if beyond <= 0:
        return []
    return [f"lines up to {beyond:.1f} s beyond the orbit and attitude data are located by extrapolation"]


def _single_datastrip(folders: Sequence[Path]) -> Path:
    found = [place.parent for folder in folders for place in (*folder.glob("ANC_DATA"), *folder.glob("*/ANC_DATA"))]
    if len(found) != 1:
        raise BadInputError("job order, PDI_DS", "one L0 datastrip", len(found))
    return found[0]


def _image(
    working: WorkingFolder, sight: _Sight, granules: Sequence[Path], detector: int, band: Band, journal: IpfLog
) -> BandImage:
    """Make one image."""
    raw = read_band(granules, detector, band, sight.scenes)
    for reason in raw.refused[:5]:
        journal.warning(f"detector {detector}, {band.name}: {reason}")
    image = BandImage(
        detector=detector,
        band=band.name,
        lines=raw.counts.shape[0],
        columns=sight.instrument.columns(band),
        first_line_ns=sight.model.strip.first_line_ns[band.name, detector],
        packets_expected=raw.present.size,
        packets_received=int(raw.present.sum()),
    )
    working.write_image(image, _calibrated(raw, sight, detector, band))
    working.write_quality(image, _quality(raw, sight.instrument.useful(band), band.lines_per_scene))
    return image


def _quality(raw: DetectorImage, useful: slice, scene_lines: int) -> Quality:
    """Packets and saturated samples; scene after scene, to bound memory."""
    firsts = range(0, raw.counts.shape[0], scene_lines)
    found = [saturation(raw.counts[k : k + scene_lines, useful] >= MAX_DN, k) for k in firsts]
    lines, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
    damaged = raw.damaged & ~raw.present
    return Quality(~raw.present & ~damaged, damaged, lines, bits)


def _calibrated(raw: DetectorImage, sight: _Sight, detector: int, band: Band) -> Counts:
    """Counts of reflectance, 0 where packets are missing or the Sun is too low; scene after scene, to bound memory."""
    nodes = sun_zenith_at_nodes(sight.model, detector, band.name, len(sight.scenes))
    useful, lines = sight.instrument.useful(band), raw.counts.shape[0]
    columns = useful.stop - useful.start
    blind = (useful.start, band.width - useful.stop)
    u = earth_sun_u(sight.centre_ns)
    counts = np.empty((lines, columns), np.uint16)
    for first in range(0, lines, band.lines_per_scene):
        part = slice(first, first + band.lines_per_scene)
        sun = spread(nodes, lines, columns, part)
        whole = np.pad(sun, ((0, 0), blind), mode="edge")
        counts[part] = to_counts(dn_to_reflectance(raw.counts[part], band, detector, whole, u)[:, useful])
        counts[part][(sun > LOWEST_SUN_DEG).any(axis=1)] = 0
    counts.reshape(-1, LINES_PER_PACKET, columns)[~raw.present] = 0
    return counts


def _describe(order: JobOrder, folder: Path, sight: _Sight, images: Sequence[BandImage]) -> Datastrip:
    ancillary = sight.ancillary
    described, centre = ancillary.descriptor, sight.centre_ns
    station, downlink_orbit = read_downlink(folder) or (order.acquisition_station or "XXX_", described.absolute_orbit)
    nearest = min(ancillary.gps, key=lambda point: abs(point.gps_ns - centre))
    lon, lat = outline(sight.model, len(sight.scenes), sight.relief)
    return Datastrip(
        satellite=described.satellite,
        absolute_orbit=described.absolute_orbit,
        relative_orbit=described.relative_orbit,
        orbit_direction="ASCENDING" if nearest.velocity[2] > 0 else "DESCENDING",
        datatake_type=described.datatake_type,
        datatake_start=utc_from_gps_ns(described.datatake_start_ns),
        sensing_start=utc_from_gps_ns(described.first_line_ns),
        sensing_stop=utc_from_gps_ns(described.first_line_ns + round(SCENE_NS * described.scenes)),
        first_line_ns=described.first_line_ns + round(SCENE_NS * (sight.scenes.start - 1)),
        centre_ns=centre,
        scenes=len(sight.scenes),
        level0_datastrip=folder.name,
        reception_station=station,
        downlink_orbit=downlink_orbit,
        earth_sun_u=earth_sun_u(centre),
        ancillary_expected=described.gps_packets + described.attitude_packets,
        ancillary_received=len(ancillary.gps) + len(ancillary.attitudes),
        images=tuple(images),
        gps_points=tuple(GpsRecord(gps_ns=p.gps_ns, position=p.position, velocity=p.velocity) for p in ancillary.gps),
        attitudes=tuple(AttitudeRecord(gps_ns=p.gps_ns, quaternion=p.quaternion) for p in ancillary.attitudes),
        footprint=tuple(zip(lon.tolist(), lat.tolist(), strict=True)),
        simplifications=SIMPLIFICATIONS,
        parameters=sight.instrument.files,
        elevation=sight.elevation,
        bulletin=sight.bulletin,
    )
