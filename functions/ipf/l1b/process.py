"""The step L1B: one datastrip's L0 products to a working folder and a tile list."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common import xml
from functions.ipf.common.processor import Exit
from functions.ipf.l1b.geolocation import geolocate, spread, sun_zenith_at_nodes
from functions.ipf.l1b.level0 import Ancillary, granules_by_detector, read_ancillary, read_band, read_downlink
from functions.ipf.l1b.tile_list import tile_list, tiles_seen
from functions.ipf.safe.parallel import threads_of
from functions.ipf.safe.working import (
    LEVEL0_FILE,
    AttitudeRecord,
    BandImage,
    Datastrip,
    Geolocation,
    GpsRecord,
    Quality,
    WorkingFolder,
    loss_sentences,
    to_counts,
)
from shared.errors import BadInputError
from shared.msi.earth import earth_sun_u, utc_from_gps_ns
from shared.msi.geometry import ViewingModel
from shared.msi.instrument import BANDS, LINES_PER_PACKET, MAX_DN, SCENE_NS, Band, band_named
from shared.msi.radiometry import LOWEST_SUN_DEG, dn_to_reflectance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.ipf.common.processor import IpfLog
    from functions.ipf.l1b.level0 import DetectorImage
    from shared.joborder import JobOrder
    from shared.msi.packets import DatatakeDescriptor

NAME: Final = "S2PS-L1B"
VERSION: Final = "0.1.0"
SIMPLIFICATIONS: Final = (
    "Image packets carry an open codec (CCSDS 121), not the instrument's own, which is not public.",
    "L1B: equalisation tables are the simulator's; no crosstalk, defective pixel, deconvolution or SWIR step.",
    "L1B: nominal viewing directions on the WGS 84 ellipsoid at height 0: no terrain, no refinement on ground control.",
    f"L1B: lines where the Sun stands farther than {LOWEST_SUN_DEG:.0f} degrees from the zenith are no data.",
)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Run the step as a job order asks; no product, and a warning, of a datastrip at night."""
    datastrips = [Path(name) for name in order.input_files("PDI_DS")]
    folder = _single_datastrip(datastrips)
    ancillary = read_ancillary(folder)
    described = ancillary.descriptor
    model = ViewingModel(ancillary.gps, ancillary.attitudes, described.first_line_ns)
    granules = granules_by_detector(Path(name) for name in order.input_files("PDI_DS_GR_LIST"))
    strangers = sorted(set(granules) - set(described.detectors))
    if strangers:
        raise BadInputError("L0 granules", f"detectors {described.detectors} of the descriptor", strangers)
    journal.info(f"{folder.name}: {described.scenes} scenes, detectors {described.detectors}")

    if (sun := _least_sun_zenith(model, described)) > LOWEST_SUN_DEG:
        journal.warning(f"night: the Sun stands {sun:.0f} degrees from the zenith, there is no reflectance")
        return Exit.DEGRADED
    root = Path(order.output("L1B_WORKING"))
    root.mkdir(parents=True, exist_ok=True)
    working = WorkingFolder(root)
    wanted = [(detector, band) for detector in described.detectors for band in BANDS]
    with ThreadPoolExecutor(threads_of(order)) as pool:
        images = list(
            pool.map(
                lambda item: _image(working, model, ancillary, granules.get(item[0], []), item[0], item[1], journal),
                wanted,
            )
        )
    datastrip = _describe(order, folder, ancillary, model, images)
    working.write_datastrip(datastrip)
    for document in sorted(folder.glob("*_MTD_L0*_DS_*.xml"))[:1]:
        shutil.copyfile(document, root / LEVEL0_FILE)
    tiles = tiles_seen(model, described)
    xml.write(Path(order.output("TILE_LIST_FILE")), tile_list(tiles))
    journal.info(f"{len(images)} images, tiles {', '.join(tile.name for tile in tiles)}")
    troubles = [
        *loss_sentences(datastrip.degraded_percent, datastrip.degraded_ancillary_percent),
        *_beyond_ancillary(model, described),
    ]
    for trouble in troubles:
        journal.warning(trouble)
    return Exit.DEGRADED if troubles else Exit.OK


def _least_sun_zenith(model: ViewingModel, described: DatatakeDescriptor) -> float:
    lon, lat = model.footprint(described.detectors, band_named("B02"), described.scenes)
    return float(model.sun_angles(lon, lat, model.centre_time(described.scenes))[0].min())


def _beyond_ancillary(model: ViewingModel, described: DatatakeDescriptor) -> list[str]:
    """A sentence where lines were taken before the first orbit and attitude data, or after the last."""
    times = [
        float(model.line_seconds(detector, band, np.array(float(line))))
        for detector in described.detectors
        for band in BANDS
        for line in (0, described.scenes * band.lines_per_scene)
    ]
    begin, end = model.span_s
    beyond = max(begin - min(times), max(times) - end)
    if beyond <= 0:
        return []
    return [f"lines up to {beyond:.1f} s beyond the orbit and attitude data are located by extrapolation"]


def _single_datastrip(folders: Sequence[Path]) -> Path:
    found = [place.parent for folder in folders for place in (*folder.glob("ANC_DATA"), *folder.glob("*/ANC_DATA"))]
    if len(found) != 1:
        raise BadInputError("job order, PDI_DS", "one L0 datastrip", len(found))
    return found[0]


def _image(
    working: WorkingFolder,
    model: ViewingModel,
    ancillary: Ancillary,
    granules: Sequence[Path],
    detector: int,
    band: Band,
    journal: IpfLog,
) -> BandImage:
    """Make one image and its geolocation."""
    scenes = ancillary.descriptor.scenes
    raw = read_band(granules, detector, band, scenes)
    for reason in raw.refused[:5]:
        journal.warning(f"detector {detector}, {band.name}: {reason}")
    image = BandImage(
        detector=detector,
        band=band.name,
        lines=raw.counts.shape[0],
        columns=band.width,
        first_line_ns=ancillary.descriptor.first_line_ns - round(band.dating_lines(detector) * band.line_period_ns),
        packets_expected=raw.present.size,
        packets_received=int(raw.present.sum()),
    )
    grids = geolocate(model, detector, band, scenes)
    working.write_image(image, _calibrated(raw, grids, detector, band, model.first_line_time))
    working.write_geolocation(image, grids)
    working.write_quality(image, _quality(raw))
    return image


def _quality(raw: DetectorImage) -> Quality:
    lines, columns = np.nonzero(raw.counts >= MAX_DN)
    damaged = raw.damaged & ~raw.present
    return Quality(~raw.present & ~damaged, damaged, lines.astype(np.int32), columns.astype(np.int32))


def _calibrated(
    raw: DetectorImage, grids: Geolocation, detector: int, band: Band, first_line_ns: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Counts of reflectance, 0 where packets are missing or the Sun is too low; scene after scene, to bound memory."""
    nodes = sun_zenith_at_nodes(grids, band, first_line_ns)
    lines, columns = raw.counts.shape
    u = earth_sun_u(first_line_ns + round(lines * band.line_period_ns / 2))
    counts = np.empty(raw.counts.shape, np.uint16)
    for first in range(0, lines, band.lines_per_scene):
        part = slice(first, first + band.lines_per_scene)
        sun = spread(nodes, lines, columns, part)
        counts[part] = to_counts(dn_to_reflectance(raw.counts[part], band, detector, sun, u))
        counts[part][(sun > LOWEST_SUN_DEG).any(axis=1)] = 0
    counts.reshape(-1, LINES_PER_PACKET, columns)[~raw.present] = 0
    return counts


def _describe(
    order: JobOrder, folder: Path, ancillary: Ancillary, model: ViewingModel, images: Sequence[BandImage]
) -> Datastrip:
    described = ancillary.descriptor
    centre = model.centre_time(described.scenes)
    station, downlink_orbit = read_downlink(folder) or (order.acquisition_station or "XXX_", described.absolute_orbit)
    nearest = min(ancillary.gps, key=lambda point: abs(point.gps_ns - centre))
    lon, lat = model.footprint(described.detectors, band_named("B02"), described.scenes)
    return Datastrip(
        satellite=described.satellite,
        absolute_orbit=described.absolute_orbit,
        relative_orbit=described.relative_orbit,
        orbit_direction="ASCENDING" if nearest.velocity[2] > 0 else "DESCENDING",
        datatake_type=described.datatake_type,
        datatake_start=utc_from_gps_ns(described.datatake_start_ns),
        sensing_start=utc_from_gps_ns(described.first_line_ns),
        sensing_stop=utc_from_gps_ns(described.first_line_ns + round(SCENE_NS * described.scenes)),
        first_line_ns=described.first_line_ns,
        centre_ns=centre,
        scenes=described.scenes,
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
    )
