"""What is kept and made again: sensor models, elevation tiles; the Earth's orientation where no bulletin is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.geometry.heights import HeightField, Relief, save_cells
from shared.geometry.iers import default_orientation, earth_orientation
from shared.geometry.stored import load_model, save_model
from shared.geometry.terrain import Terrain
from shared.rehearsal.flight import Flight, fly
from shared.rehearsal.plan import Datatake


@pytest.fixture(scope="module")
def flight() -> Flight:
    return fly(Datatake(detectors=(3, 8)), "S2C")


def test_a_kept_model_is_the_same_to_the_bit(flight: Flight, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    save_model(path, flight.model.strip, flight.instrument)
    again = load_model(path)
    lines, columns = np.linspace(0, 760, 50)[:, None], np.linspace(0, 432, 50)
    for detector in (3, 8):
        one, other = (model.direct("B09", detector, lines, columns, 250.0) for model in (flight.model, again))
        assert np.array_equal(one, other)
    assert again.strip.granules == flight.model.strip.granules
    assert again.strip.tdi == flight.model.strip.tdi


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("positions", None),
        ("quaternions", np.zeros((5, 3))),
        ("positions", np.full((27, 3), np.nan)),
        ("head", np.frombuffer(b"not json", np.uint8)),
        ("head", np.frombuffer(b'{"name": "x"}', np.uint8)),
        ("positions", np.array([{}], dtype=object)),
    ],
)
def test_a_kept_model_that_is_damaged_is_refused_by_its_name(
    flight: Flight, tmp_path: Path, name: str, value: np.ndarray | None
) -> None:
    path = tmp_path / "model.npz"
    save_model(path, flight.model.strip, flight.instrument)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files if key != name}
    if value is not None:
        arrays[name] = value
    np.savez(path, **arrays)
    with pytest.raises(BadInputError, match=r"model\.npz: expected the parameters of a sensor model"):
        load_model(path)


@pytest.mark.parametrize("octets", [b"PK\3\4 and then nothing", b"", b"\x93NUMPY"])
def test_a_file_that_is_no_archive_is_refused_and_closed(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(octets)
    with pytest.raises(BadInputError, match=r"model\.npz"):
        load_model(tmp_path / "model.npz")


class Waves(Relief):
    """Heights on nodes of 36 arc seconds."""

    def field(self, west: float, south: float, east: float, north: float) -> HeightField:
        column, row = (
            np.arange(np.floor(west * 100) - 1, east * 100 + 2),
            np.arange(np.floor(south * 100) - 1, north * 100 + 2),
        )
        heights = 100 * np.sin(np.round(row)[:, None] / 9) + 50 * np.cos(np.round(column % 36_000) / 7)
        return HeightField(heights.astype(np.float32), column[0] / 100, row[0] / 100, 0.01, 0.01)


@pytest.mark.parametrize(("west", "south"), [(7.6, 44.7), (-0.4, -0.3), (179.7, 10.2), (12.0, -34.0)])
def test_elevation_tiles_give_the_heights_they_were_made_from(tmp_path: Path, west: float, south: float) -> None:
    """Across borders of degrees, the equator, and the antimeridian."""
    lon, lat = west + np.array([[0.0, 0.6], [0.3, 0.9]]), south + np.array([[0.0, 0.6], [0.3, 0.9]])
    save_cells(Waves(), lon, lat, 0.02, tmp_path / "dem")
    terrain = Terrain.from_files(tmp_path / "dem", None)
    random = np.random.default_rng(2)
    x, y = west + random.uniform(0, 0.6, 500), south + random.uniform(0, 0.6, 500)
    assert terrain.at(x, y) == pytest.approx(Waves().at(x, y), abs=1e-3)


def test_only_cells_that_are_seen_are_written(tmp_path: Path) -> None:
    save_cells(
        Waves(), np.array([[7.2, 7.4], [8.1, 8.2]]), np.array([[44.1, 44.2], [45.1, 45.2]]), 0.01, tmp_path / "d"
    )
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["n44_e007.tif", "n45_e008.tif"]


def test_the_table_of_earth_orientation_agrees_with_a_bulletin(real_data: Path) -> None:
    (bulletin,) = (real_data / "geometry" / "iers").glob("*.txt")
    gps_ns = 1_255_608_018 * 10**9  # 20 October 2019, which the bulletin has as observed
    ours, theirs = default_orientation(gps_ns), earth_orientation(bulletin, gps_ns)
    assert ours.gps_minus_utc == theirs.gps_minus_utc == 18
    assert ours.ut1_minus_utc == pytest.approx(theirs.ut1_minus_utc, abs=0.004)
    assert (ours.pole_x, ours.pole_y) == pytest.approx((theirs.pole_x, theirs.pole_y), abs=0.01)


@pytest.mark.parametrize("gps_ns", [1_000_000_000 * 10**9, 1_520_000_000 * 10**9])
def test_before_and_after_the_table_its_ends_hold(gps_ns: int) -> None:
    found = default_orientation(gps_ns)
    assert abs(found.ut1_minus_utc) < 3
    assert max(abs(found.pole_x), abs(found.pole_y)) < 1
