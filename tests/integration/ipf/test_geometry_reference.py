"""The geometry against ESA's own results. Run as a script, it prints the table of ``docs/processors.md``."""

from __future__ import annotations

import os
import re
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from shared.geometry import frames
from shared.geometry.fields import Fields
from shared.geometry.model import QUICKLOOK, SensorModel
from shared.geometry.terrain import Terrain
from shared.msi.instrument import BANDS, Band

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.geometry.frames import Floats

GRID_STEP_M = 6000  # Sen2VM's configuration of these grids: every 600, 300 or 100 pixels


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@dataclass
class Case:
    model: SensorModel
    terrain: Terrain
    granules: Path

    @classmethod
    def load(cls, real_data: Path) -> Case:
        data = real_data / "geometry"
        model = SensorModel.from_files(
            only(data, "l1b_datastrip/*/*.xml"),
            sorted(data.glob("gipp/*VIEDIR*.xml")),
            only(data, "gipp/*SPAMOD*.xml"),
        )
        return cls(
            model, Terrain.from_files(data / "dem", only(data, "geoid/*.gtx")), data / "reference_direct_location"
        )

    def grids(self, band: Band) -> Iterator[tuple[int, Floats, Floats, Floats]]:
        """Detector, lines, columns, and longitude, latitude and height of each granule's grid.

        Node (i, j) of a strip's grid stands at line 0.5 + i step, column 0.5 + j step; a granule holds those from its
        first line on, half a step before it included.
        """
        step = GRID_STEP_M // band.resolution
        for folder in sorted((self.granules / "GRANULE").iterdir()):
            detector, first = self.model.strip.granules[folder.name]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(only(folder, f"GEO_DATA/*_{band.name}.tif")) as source:
                    values = source.read().astype(np.float64)
            row = int((first * 10 // band.resolution + step / 2) // step)
            lines = 0.5 + (row + np.arange(values.shape[1])) * step
            columns = 0.5 + np.arange(values.shape[2]) * step
            yield detector, lines[:, None], columns[None, :], values

    def errors(self, band: Band) -> Floats:
        """East, north and up, metres, of our places from the reference's, and height differences: (n, 4)."""
        found = []
        for detector, lines, columns, (lon, lat, height) in self.grids(band):
            place = self.model.direct(band.name, detector, lines, columns, self.terrain)
            apart = frames.to_fixed(*place) - frames.to_fixed(lon, lat, height)
            local = np.einsum("...ij,...j->...i", frames.local_axes(lon, lat), apart)
            found.append(np.concatenate([local, (place.height - height)[..., None]], -1).reshape(-1, 4))
        return np.concatenate(found)


@pytest.fixture(scope="module")
def case(real_data: Path) -> Case:
    return Case.load(real_data)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: str(band.name))
def test_every_band_agrees_with_sen2vm_in_all_granules_on_our_own_terrain_intersection(case: Case, band: Band) -> None:
    errors = case.errors(band)
    assert len(errors) >= 72 * 20
    assert np.abs(errors.mean(axis=0)).max() < 0.03
    assert errors.std(axis=0).max() < 0.05
    assert np.abs(errors).max() < 0.5


def test_the_reference_holds_mountains_too(case: Case) -> None:
    heights = np.concatenate([values[2].ravel() for *_, values in case.grids(BANDS[3])])
    assert heights.max() > 1000.0


@pytest.mark.parametrize("band", BANDS, ids=lambda band: str(band.name))
def test_inverse_of_direct_is_the_identity(case: Case, band: Band) -> None:
    for detector, lines, columns, _ in case.grids(band):
        place = case.model.direct(band.name, detector, lines, columns, case.terrain)
        found = case.model.inverse(band.name, detector, *place)
        np.testing.assert_allclose(found[0] - lines, 0.0, atol=1e-4)
        np.testing.assert_allclose(found[1] - columns, 0.0, atol=1e-4)


def test_without_the_refining_the_model_is_metres_away(case: Case) -> None:
    plain = SensorModel(case.model.strip, case.model._viewing.values(), case.model._spacecraft, refined=False)
    errors = Case(plain, case.terrain, case.granules).errors(BANDS[3])
    assert np.hypot(*errors.mean(axis=0)[:2]) > 1.0


@pytest.fixture(scope="module")
def level0(real_data: Path) -> tuple[SensorModel, Fields]:
    file = only(real_data / "l0_datastrip", "*/*MTD_L0__DS*.xml")
    return SensorModel.from_files(file), Fields.read(file, "Level-0_DataStrip_ID")


def header_differences(model: SensorModel, metadata: Fields) -> dict[str, Floats]:
    """View zenith, Sun zenith and Sun azimuth, ours minus ESA's, degrees, of all headers: by place in the swath."""
    display = model.sensor(QUICKLOOK, 0)
    columns = {"begin": 0.5, "center": display.columns / 2, "end": display.columns - 0.5}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in columns}
    for header in metadata.all("Image_Data_Info/Geometric_Header_List/Geometric_Header"):
        line = header.number("LINE_INDEX")
        # The header's own time is that of its line: the display model is dated as ESA dates it.
        seconds = (header.instant("GPS_TIME") - model.platform.reference_ns) * 1e-9
        assert float(display.seconds(np.array(line))) == pytest.approx(seconds, abs=0.002)
        for place in header.all("Located_Geometric_Header"):
            column = np.array(columns[place.attribute("pos")])
            view, _ = model.view_angles(QUICKLOOK, 0, np.array(line), column)
            ground = model.direct(QUICKLOOK, 0, np.array(line), column)
            sun = model.sun_angles(ground.lon, ground.lat, display.seconds(np.array(line)))
            ours = (view, *sun)
            names = ("Incidence_Angles/ZENITH", "Solar_Angles/ZENITH", "Solar_Angles/AZIMUTH")
            theirs = [place.number(f"{name}_ANGLE") for name in names]
            found[place.attribute("pos")].append(tuple(float(a) - b for a, b in zip(ours, theirs, strict=True)))  # type: ignore[arg-type]
    return {name: np.array(values) for name, values in found.items()}


def test_angles_of_a_real_level_0_datastrip(level0: tuple[SensorModel, Fields]) -> None:
    for differences in header_differences(*level0).values():
        assert len(differences) == 25
        assert np.abs(differences[:, 0]).max() < 0.05
        assert np.abs(differences[:, 1:]).max() < 0.02


def test_all_tiles_of_a_real_acquisition_are_predicted(level0: tuple[SensorModel, Fields], real_data: Path) -> None:
    listed = set(re.findall(r"<Tile_Id>(\w+)<", (real_data / "l1c_datastrip" / "tile_list_file.xml").read_text()))
    predicted = {tile.name for tile in level0[0].tiles(QUICKLOOK)}
    assert len(listed) == 18
    assert listed <= predicted
    assert len(predicted) <= len(listed) + 5  # at the strip's ends: ESA leaves out tiles that it fills little of


def main() -> None:
    case = Case.load(Path(os.environ["S2PS_TEST_DATA"]))
    print("| band | points | mean E, N, h (m) | std E, N, h (m) | largest E, N, h (m) |\n|---|---|---|---|---|")
    for band in BANDS:
        errors = case.errors(band)[:, [0, 1, 3]]
        parts = [", ".join(f"{v:.3f}" for v in row) for row in (errors.mean(0), errors.std(0), np.abs(errors).max(0))]
        print(f"| {band.name} | {len(errors)} | {' | '.join(parts)} |")
    rng, count = np.random.default_rng(1), 1_000_000
    lines, columns = np.sort(rng.uniform(9000, 13_800, count)), rng.uniform(0, 2552, count)
    place = case.model.direct("B04", 6, lines, columns, case.terrain)
    runs = {
        "direct, ellipsoid": lambda: case.model.direct("B04", 6, lines, columns, 0.0),
        "direct, terrain": lambda: case.model.direct("B04", 6, lines, columns, case.terrain),
        "inverse": lambda: case.model.inverse("B04", 6, *place),
    }
    for name, run in runs.items():
        best = min(timed(run) for _ in range(3))
        print(f"{name}: {count / best / 1e6:.2f} million points a second and core")


def timed(run: object) -> float:
    begin = time.process_time()
    run()  # type: ignore[operator]
    return time.process_time() - begin


if __name__ == "__main__":
    main()
