"""L1B of a session that flew a real satellite's orbit and attitude with its real instrument, over the real geoid."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.safe.working import WorkingFolder
from shared.geometry.instrument import Instrument
from shared.geometry.terrain import Terrain
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, Band
from shared.msi.radiometry import quantisation_error
from shared.msi.tiling import to_utm
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake
from shared.rehearsal.scene import Atmosphere, toa_reflectance

from .conftest import make_level0, write_order

if TYPE_CHECKING:
    from pathlib import Path

    from shared.geometry.heights import Relief
    from shared.rehearsal.flight import Flight


class Covered(ProceduralLandscape):
    """The landscape's colours on another ground."""

    def __init__(self, epsg: int, ground: Relief) -> None:
        super().__init__(1, epsg)
        self.relief = ground  # type: ignore[misc]


@dataclass(frozen=True)
class Flown:
    flight: Flight
    scene: Covered
    working: WorkingFolder
    root: Path


@pytest.fixture(scope="session")
def flown(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Flown:
    root, data = tmp_path_factory.mktemp("flown"), real_data / "geometry"
    viewing = sorted((data / "gipp").glob("*GIP_VIEDIR*.xml"))
    (spacecraft,) = (data / "gipp").glob("*GIP_SPAMOD*.xml")
    (along,) = (data / "l1b_datastrip").glob("*/S2A_OPER_MTD*.xml")
    (geoid,) = (data / "geoid").glob("*.gtx")
    terrain = Terrain.from_files(data / "dem", geoid)
    scene = Covered(32628, terrain)
    datatake = Datatake(scenes=1, detectors=(12,), along=along)
    flight = make_level0(root, datatake, scene, instrument=Instrument.read(viewing, spacecraft))
    (datastrip,) = (root / "ds").iterdir()
    orientation = flight.model.strip.orientation
    (datastrip / "S2A_TEST_MTD_L0__DS_S2PS_20261122T120000_S20200816T120220.xml").write_text(
        "<a><Auxiliary_Data_Info><IERS_Bulletin>"
        f'<UT1_UTC unit="s">{orientation.ut1_minus_utc!r}</UT1_UTC><GPS_TIME_UTC unit="s">18</GPS_TIME_UTC>'
        f'<POLE_U_ANGLE unit="arcsec">{orientation.pole_x!r}</POLE_U_ANGLE>'
        f'<POLE_V_ANGLE unit="arcsec">{orientation.pole_y!r}</POLE_V_ANGLE></IERS_Bulletin></Auxiliary_Data_Info></a>'
    )
    inputs = {
        "PDI_DS": [root / "ds"],
        "PDI_DS_GR_LIST": [root / "gr"],
        "GIP_VIEDIR": viewing,
        "GIP_SPAMOD": [spacecraft],
        "DEM_SRTM": [data / "dem"],
        "DEM_GEOID": [geoid],
    }
    outputs = {"L1B_WORKING": root / "working", "TILE_LIST_FILE": root / "tiles.xml"}
    assert run_processor("S2PS-L1B", "test", l1b, [str(write_order(root / "l1b.xml", inputs, outputs))]) == 0
    return Flown(flight, scene, WorkingFolder(root / "working"), root)


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_l1b_looks_where_the_satellite_looked(flown: Flown, band: Band) -> None:
    """Within 1 mm: packets date lines to 30 ns. Heights to 1 mm as well: the ground goes with the working folder."""
    found, relief = flown.working.sensor_model(), flown.working.relief()
    assert relief is not None
    columns = found.sensor(band.name, 12).columns
    assert columns == {10: 2552, 20: 1276, 60: 425}[band.resolution]
    places = np.linspace(0, band.lines_per_scene, 30)[:, None], np.linspace(0, columns, 30)
    ours = found.direct(band.name, 12, *places, relief)
    true = flown.flight.model.direct(band.name, 12, *places, flown.scene.relief or 0.0)
    assert np.hypot((ours.lon - true.lon) * 93e3, (ours.lat - true.lat) * 111e3).max() < 1e-3
    assert ours.height == pytest.approx(true.height, abs=2e-3)
    assert true.height.mean() > 20  # the geoid stands some 45 m above the ellipsoid there


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_samples_are_the_scene_where_they_look(flown: Flown, band: Band) -> None:
    working, model = flown.working, flown.working.sensor_model()
    (image,) = (each for each in working.datastrip().images if each.band == band.name)
    counts = working.read_lines(image, 0, image.lines)[5::37]
    lines = np.arange(5, image.lines, 37, dtype=np.float64) + 0.5
    columns = np.arange(image.columns, dtype=np.float64) + 0.5
    place = model.direct(band.name, 12, lines[:, None], columns, working.relief() or 0.0)
    x, y = to_utm(flown.scene.epsg).transform(place.lon, place.lat)
    zenith = flown.flight.sun_zenith_deg
    true: Any = toa_reflectance(
        flown.scene, band, flown.scene.epsg, np.asarray(x), np.asarray(y), sun_zenith_deg=zenith, air=Atmosphere()
    )
    error = (counts.astype(float) - 1000) / 1e4 - true
    # The scene's steepest slope over the 0.05 m that the simulator's nodes may err, beside the rounding of counts.
    limit = quantisation_error(band, zenith + 0.3, earth_sun_u(flown.flight.first_line_ns)) + 1e-4 + 2e-3
    assert np.abs(error).max() < limit
    assert abs(error.mean()) < 1e-5


def test_what_was_used_is_named(flown: Flown) -> None:
    datastrip = flown.working.datastrip()
    assert len(datastrip.parameters) == 14
    assert datastrip.elevation == "dem"
    assert datastrip.bulletin == "None"
    assert asdict(flown.working.sensor_model().strip.orientation) == asdict(flown.flight.model.strip.orientation)
    assert "<Tile_Id>" in (flown.root / "tiles.xml").read_text()
