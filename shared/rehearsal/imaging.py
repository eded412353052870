"""What one detector and band records of one scene: the ground under each sample, its reflectance, counts, packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.ccsds.spacepackets import SpacePacket
from shared.msi.codec import compress
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import LINES_PER_PACKET, SCENE_NS
from shared.msi.packets import COMPRESSION_CCSDS121, ImageBlock, image_apid
from shared.msi.radiometry import reflectance_to_dn
from shared.msi.tiling import to_utm
from shared.rehearsal.scene import toa_reflectance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shared.msi.earth import Floats
    from shared.msi.instrument import Band
    from shared.msi.radiometry import Floats32
    from shared.rehearsal.flight import Flight
    from shared.rehearsal.scene import Atmosphere, Scene

SLICES: Final = 8
"""A scene is recorded and sent in so many slices, each with its share of every band."""

_LINE_NODES: Final = 49
_COLUMN_NODES: Final = 49


@dataclass(frozen=True, slots=True)
class Exposure:
    """One granule and band to be taken: where its nodes look, and how the Sun stands there.

    The grids have the shape (49, 49), from the first edge to the last of lines and columns; between the nodes they are
    bilinear, which is within 5 mm of the viewing model.
    """

    band: Band
    detector: int
    scene_number: int
    epsg: int
    x: Floats
    y: Floats
    sun_zenith_deg: Floats
    earth_sun_u: float


def expose(flight: Flight, band: Band, detector: int, scene_number: int) -> Exposure:
    """The grids of a granule and band; scenes count from 1."""
    first = (scene_number - 1) * band.lines_per_scene
    lines = np.linspace(first, first + band.lines_per_scene, _LINE_NODES)
    columns = np.linspace(0.0, band.width, _COLUMN_NODES)
    lon, lat = flight.model.locate(detector, band, lines[:, None], columns[None, :])
    x, y = to_utm(flight.epsg).transform(lon, lat)
    middle = flight.model.first_line_time + round((scene_number - 0.5) * SCENE_NS)
    zenith, _ = flight.model.sun_angles(lon, lat, middle)
    return Exposure(band, detector, scene_number, flight.epsg, x, y, zenith, earth_sun_u(middle))


def sample_grid(grid: Floats, band: Band, lines: slice) -> Floats:
    """A grid of ``Exposure`` at the sample centres of some of the granule's lines, shape (lines, band.width)."""
    at = (np.arange(lines.start, lines.stop) + 0.5) * (_LINE_NODES - 1) / band.lines_per_scene
    before = np.minimum(at.astype(np.int64), _LINE_NODES - 2)
    part = (at - before)[:, None]
    edges = grid[before] * (1 - part) + grid[before + 1] * part
    # The nodes fall on whole columns, so a row is cells of equal width: no matrix product, no index arrays.
    cell = band.width // (_COLUMN_NODES - 1)
    along = (np.arange(cell) + 0.5) / cell
    values = edges[:, :-1, None] + np.diff(edges, axis=1)[:, :, None] * along
    return np.asarray(values.reshape(len(at), band.width), dtype=np.float64)


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
    ``noise_dn`` is the noise's standard deviation.
    """
    band = exposure.band
    step = band.lines_per_scene // SLICES
    for first in range(0, band.lines_per_scene, step):
        lines = slice(first, first + step)
        x, y = sample_grid(exposure.x, band, lines), sample_grid(exposure.y, band, lines)
        zenith = sample_grid(exposure.sun_zenith_deg, band, lines).astype(np.float32)
        rho = toa_reflectance(scene, band, exposure.epsg, x, y, sun_zenith_deg=sun_zenith_deg, air=air)
        spread: Floats32 | None = None
        if noise is not None:
            spread = noise.standard_normal(rho.shape, dtype=np.float32) * np.float32(noise_dn)
        yield reflectance_to_dn(rho, band, exposure.detector, zenith, exposure.earth_sun_u, noise_dn=spread)


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
        seconds = float(flight.model.line_seconds(detector, band, np.array(origin + block * LINES_PER_PACKET)))
        time = flight.model.first_line_time + round(seconds * 1e9)
        payload = compress(lines)
        content = ImageBlock(
            detector, band.index, scene, block, LINES_PER_PACKET, band.width, COMPRESSION_CCSDS121, payload
        )
        packets.append(SpacePacket(apid, first_sequence + number, time, content.encode()).encode())
    return packets
