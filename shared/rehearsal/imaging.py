"""What one detector and band records of one scene: the ground under each sample, its reflectance, counts, packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds.spacepackets import SpacePacket
from shared.geometry.heights import unwrapped
from shared.msi.codec import compress
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, LINES_PER_PACKET, SCENE_NS
from shared.msi.packets import COMPRESSION_CCSDS121, ImageBlock, image_apid
from shared.msi.radiometry import reflectance_to_dn
from shared.msi.tiling import to_utm
from shared.rehearsal._ground import places_at_height, places_on_relief
from shared.rehearsal.scene import toa_reflectance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shared.geometry.frames import Floats
    from shared.geometry.heights import HeightField, Relief
    from shared.msi.instrument import Band
    from shared.msi.radiometry import Floats32
    from shared.rehearsal.flight import Flight
    from shared.rehearsal.scene import Atmosphere, Scene

SLICES: Final = 8
"""A scene is recorded and sent in so many slices, each with its share of every band."""

_LINE_STEPS: Final = 96
_COLUMN_STEPS: Final = 48
_MARGIN_DEG: Final = 0.002
_EDGE_STEPS: Final = 5


@dataclass(frozen=True, slots=True)
class Exposure:
    """One granule and band to be taken: where its nodes look, and how the Sun stands there.

    Nodes run from the first edge to the last of the lines (96 steps) and columns (48); between them lines of sight are
    bilinear, which is within 0.05 m of the sensor model: the pointing moves by no more between two nodes' lines.

    Attributes:
        columns: those of a packet that have a direction; the others see nothing.
        low: easting, northing, longitude and latitude of the nodes' lines of sight at the lowest ground, (97, 49, 4).
        high: likewise at the highest.
        heights: the two, metres.
        ground: None where it is the ellipsoid, at height 0.
        sun_zenith_deg: at the nodes, each line at its time, (97, 49).
        earth_sun_u: of mid-scene.
        satellite: through whose bands the air is seen.
    """

    band: Band
    detector: int
    scene_number: int
    epsg: int
    columns: slice
    low: Floats
    high: Floats
    heights: tuple[float, float]
    ground: HeightField | None
    sun_zenith_deg: Floats
    earth_sun_u: float
    satellite: str

    def places(self, lines: slice) -> tuple[Floats, Floats]:
        """Easting and northing of what the samples of some of the granule's lines see, (lines, columns)."""
        shape = (lines.stop - lines.start, self.columns.stop - self.columns.start)
        x, y = np.empty(shape), np.empty(shape)
        steps = self.band.lines_per_scene / _LINE_STEPS, shape[1] / _COLUMN_STEPS
        if self.ground is None:
            places_at_height(self.low, lines.start, *steps, x, y)
        else:
            grid = self.ground.grid.copy()
            grid[4:] = self.heights
            places_on_relief(self.low, self.high, self.ground.heights, grid, lines.start, *steps, x, y)
        return x, y

    def sun_zenith(self, lines: slice) -> Floats32:
        """Degrees at the samples of some lines, (lines, columns)."""
        shape = (lines.stop - lines.start, self.columns.stop - self.columns.start)
        zenith, unused = np.empty(shape), np.empty(shape)
        nodes = np.repeat(self.sun_zenith_deg[..., None], 2, axis=2)
        steps = self.band.lines_per_scene / _LINE_STEPS, shape[1] / _COLUMN_STEPS
        places_at_height(nodes, lines.start, *steps, zenith, unused)
        return zenith.astype(np.float32)


def ground_of(flight: Flight, relief: Relief | None, scene_number: int) -> HeightField | None:
    """The ground that a scene's granules can see in any band; None where it is the ellipsoid, at height 0."""
    if relief is None:
        return None
    steps = np.linspace(0.0, 1.0, _EDGE_STEPS)
    found: HeightField | None = None
    for _ in range(2):  # how far they see hangs on how high the ground is
        seen = [
            flight.model.direct(
                band.name,
                detector,
                (scene_number - 1 + steps[:, None]) * band.lines_per_scene,
                steps[None, :] * flight.instrument.columns(band),
                height,
            )
            for height in ((0.0,) if found is None else (found.lowest, found.highest))
            for detector in flight.datatake.detectors
            for band in BANDS
        ]
        lon = unwrapped(np.concatenate([each.lon.ravel() for each in seen]))
        lat = np.concatenate([each.lat.ravel() for each in seen])
        wide = _MARGIN_DEG / float(np.cos(np.radians(np.abs(lat).max())))
        edges = lon.min() - wide, lat.min() - _MARGIN_DEG, lon.max() + wide, lat.max() + _MARGIN_DEG
        found = relief.field(*(float(edge) for edge in edges))
    return found


def expose(flight: Flight, band: Band, detector: int, scene_number: int, ground: HeightField | None = None) -> Exposure:
    """The nodes of a granule and band; scenes count from 1, ``ground`` as ``ground_of`` gives it."""
    model, name = flight.model, band.name
    sensor = model.sensor(name, detector)
    first = (scene_number - 1) * band.lines_per_scene
    lines = np.linspace(first, first + band.lines_per_scene, _LINE_STEPS + 1)[:, None]
    columns = np.linspace(0.0, sensor.columns, _COLUMN_STEPS + 1)[None, :]
    place = model.direct(name, detector, lines, columns)
    zenith, _ = model.sun_angles(place.lon, place.lat, sensor.seconds(lines))
    heights = (0.0, 0.0) if ground is None else (ground.lowest, max(ground.highest, ground.lowest + 1.0))
    low, high = (_seen(flight, band, detector, lines, columns, height) for height in heights)
    if ground is not None:
        low, high = (_beside(nodes, ground) for nodes in (low, high))
    middle = flight.first_line_ns + round((scene_number - 0.5) * SCENE_NS)
    useful, distance = flight.instrument.useful(band), earth_sun_u(middle)
    where = band, detector, scene_number, flight.epsg, useful, low, high, heights, ground
    return Exposure(*where, zenith, distance, flight.descriptor.satellite)


def _seen(flight: Flight, band: Band, detector: int, lines: Floats, columns: Floats, height: float) -> Floats:
    ground = flight.model.direct(band.name, detector, lines, columns, height)
    x, y = to_utm(flight.epsg).transform(ground.lon, ground.lat)
    return np.ascontiguousarray(np.stack([x, y, ground.lon, ground.lat], -1))


def _beside(nodes: Floats, field: HeightField) -> Floats:
    """The nodes with longitudes as the field counts them."""
    nodes[..., 2] -= 360.0 * np.round((nodes[..., 2] - field.west) / 360.0)
    return nodes


def record(
    exposure: Exposure,
    scene: Scene,
    air: Atmosphere,
    *,
    sun_zenith_deg: float,
    noise: np.random.Generator | None = None,
    noise_dn: float = 0.0,
) -> Iterator[NDArray[np.uint16]]:
    """Counts of a granule and band, slice after slice, each of shape (lines_per_scene / 8, width).

    ``sun_zenith_deg`` is the one of the atmosphere (a surface scene is lifted with one for the whole datatake);
    ``noise_dn`` is the noise's standard deviation. Blind columns hold what no light gives.
    """
    band = exposure.band
    step = band.lines_per_scene // SLICES
    for first in range(0, band.lines_per_scene, step):
        lines = slice(first, first + step)
        x, y = exposure.places(lines)
        seen = toa_reflectance(
            scene, band, exposure.epsg, x, y, sun_zenith_deg=sun_zenith_deg, air=air, satellite=exposure.satellite
        )
        rho, zenith = (_widened(values, band, exposure.columns) for values in (seen, exposure.sun_zenith(lines)))
        spread: Floats32 | None = None
        if noise is not None:
            spread = noise.standard_normal(rho.shape, dtype=np.float32) * np.float32(noise_dn)
        yield reflectance_to_dn(rho, band, exposure.detector, zenith, exposure.earth_sun_u, noise_dn=spread)


def _widened(values: Floats32, band: Band, columns: slice) -> Floats32:
    """Values of the columns that see, and zeros in the blind ones."""
    if values.shape[1] == band.width:
        return values
    whole = np.zeros((len(values), band.width), np.float32)
    whole[:, columns] = values
    return whole


def image_packets(
    counts: NDArray[np.uint16], exposure: Exposure, flight: Flight, first_block: int, first_sequence: int
) -> list[bytes]:
    """The packets of some of a granule's lines (a multiple of 16), dated at the begin of their first line."""
    band, detector, scene = exposure.band, exposure.detector, exposure.scene_number
    apid = image_apid(detector, band.index)
    origin = (scene - 1) * band.lines_per_scene
    packets = []
    for number in range(len(counts) // LINES_PER_PACKET):
        block = first_block + number
        lines = counts[number * LINES_PER_PACKET : (number + 1) * LINES_PER_PACKET]
        time = flight.line_ns(band, detector, origin + block * LINES_PER_PACKET)
        payload = compress(lines)
        content = ImageBlock(
            detector, band.index, scene, block, LINES_PER_PACKET, band.width, COMPRESSION_CCSDS121, payload
        )
        packets.append(SpacePacket(apid, first_sequence + number, time, content.encode()).encode())
    return packets
