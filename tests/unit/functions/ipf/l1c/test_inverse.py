"""Inverse location between nodes and over relief against the sensor model itself."""

from __future__ import annotations

import numpy as np
import pytest

from functions.ipf.l1c.inverse import block_of, dense, locate_in
from functions.ipf.safe.working import BandImage
from shared.geometry.model import SensorModel
from shared.msi.instrument import band_named
from shared.msi.tiling import Tile, tile, to_degrees
from shared.rehearsal.flight import fly
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake

DEMO = (8.15, 44.62)
RELIEF = ProceduralLandscape(5, 32632, relief_m=1200.0).relief


def model_over(position: tuple[float, float], scenes: int, detector: int) -> SensorModel:
    return fly(Datatake(scenes=scenes, detectors=(detector,), position=position), "S2A").model


def image_of(model: SensorModel, band: str, detector: int) -> BandImage:
    sensor = model.sensor(band, detector)
    packets = sensor.lines // 16
    return BandImage(
        detector=detector,
        band=band,
        lines=sensor.lines,
        columns=sensor.columns,
        first_line_ns=model.strip.first_line_ns[band, detector],
        packets_expected=packets,
        packets_received=packets,
    )


def metres(target: Tile, resolution: int, rows: range, columns: range) -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(
        target.ulx + (np.array(columns) + 0.5) * resolution, target.uly - (np.array(rows) + 0.5) * resolution
    )


@pytest.mark.parametrize("mountains", [False, True])
@pytest.mark.parametrize(
    ("position", "scenes", "detector", "name"),
    [(DEMO, 2, 6, "B02"), (DEMO, 2, 7, "B01"), ((9.0, 65.0), 8, 1, "B12"), ((9.0, 20.0), 1, 12, "B8A")],
)
def test_positions_are_the_sensor_model_s(
    position: tuple[float, float], scenes: int, detector: int, name: str, mountains: bool
) -> None:
    """Within 0.003 pixel, every 7th pixel of some blocks; heights up to 1200 m, up to 12 degrees off nadir."""
    model, resolution = model_over(position, scenes, detector), band_named(name).resolution
    relief, tried = RELIEF if mountains else None, 0
    for target in model.tiles(name):
        seen = locate_in(model, relief, image_of(model, name, detector), target)
        if seen is None:
            continue
        assert seen.residual < 0.01
        every = block_of(seen, target, resolution)
        middle = [(part.start + part.stop) // 2 for part in every]
        rows, columns = (
            range(max(at - 150, part.start), min(at + 150, part.stop)) for at, part in zip(middle, every, strict=True)
        )
        line, column, base = (
            part if isinstance(part, int) else part[::7, ::7] for part in dense(seen, target, resolution, rows, columns)
        )
        lon, lat = to_degrees(target.epsg, *(part[::7, ::7] for part in metres(target, resolution, rows, columns)))
        heights = 0.0 if relief is None else relief.at(lon, lat)
        exact = model.inverse(name, detector, lon, lat, heights)
        assert np.abs(line + base - exact[0]).max() < 0.003
        assert np.abs(column - exact[1]).max() < 0.003
        tried += 1
    assert tried


def test_relief_moves_positions_and_the_ellipsoid_s_are_wrong_there() -> None:
    """The test above can fail: at the edge of the swath 600 m of height are 12 pixels."""
    model, target = model_over(DEMO, 1, 1), tile("32TMQ")
    image = image_of(model, "B02", 1)
    with_relief, without = (locate_in(model, relief, image, target) for relief in (RELIEF, None))
    assert with_relief is not None
    assert without is not None
    rows, columns = block_of(with_relief, target, 10)
    block = range(rows.start + 900, rows.start + 1100), range(columns.start + 900, columns.start + 1100)
    difference = dense(with_relief, target, 10, *block)[1] - dense(without, target, 10, *block)[1]
    assert np.abs(difference).max() > 5


def test_an_image_elsewhere_has_no_part_in_a_tile() -> None:
    model = model_over(DEMO, 1, 6)
    assert locate_in(model, None, image_of(model, "B01", 6), tile("32TQM")) is None


def test_the_blocks_of_an_image_hold_all_that_it_sees() -> None:
    model, target = model_over(DEMO, 1, 6), tile("32TMQ")
    seen = locate_in(model, RELIEF, image_of(model, "B01", 6), target)
    assert seen is not None
    rows, columns = block_of(seen, target, 60)
    line, column, base = dense(seen, target, 60, range(1830), range(1830))
    inside = (line + base >= 0) & (line + base <= 384) & (column >= 0) & (column <= 432)
    at = np.argwhere(inside)
    assert at[:, 0].min() >= rows.start
    assert at[:, 0].max() < rows.stop
    assert at[:, 1].min() >= columns.start
    assert at[:, 1].max() < columns.stop
    assert inside.sum() > 100_000
