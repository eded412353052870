"""What L1B takes by its job order, and what it refuses; dating by packets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from functions.ipf.common.annotated import Annotation
from functions.ipf.common.ground import terrain_of
from functions.ipf.l1b.inputs import first_lines, read_orientation, scenes_in
from shared.ccsds.spacepackets import SpacePacket
from shared.errors import BadInputError
from shared.geometry.heights import HeightField
from shared.joborder import JobInput, JobOrder, JobTask
from shared.msi.earth import utc_from_gps_ns
from shared.msi.instrument import band_named
from shared.rehearsal.flight import fly
from shared.rehearsal.imaging import expose, image_packets
from shared.rehearsal.plan import Datatake

BULLETIN = """<Auxiliary_Data_Info><IERS_Bulletin><UT1_UTC unit="s">-0.21</UT1_UTC>
<GPS_TIME_UTC unit="s">18</GPS_TIME_UTC><POLE_U_ANGLE unit="arcsec">0.1</POLE_U_ANGLE>
<POLE_V_ANGLE unit="arcsec">0.3</POLE_V_ANGLE></IERS_Bulletin></Auxiliary_Data_Info>"""


def order(inputs: dict[str, list[Path]], **parameters: str) -> JobOrder:
    task = JobTask("task", "0.1", tuple(JobInput(kind, tuple(map(str, names))) for kind, names in inputs.items()), ())
    return JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, (task,))


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    (tmp_path / "dem").mkdir()
    heights = np.full((3, 3), 250.0, np.float32)
    HeightField(heights, 7.0, 44.0, 0.5, 0.5).save(tmp_path / "dem" / "n44_e007.tif")
    (tmp_path / "dem" / "README").write_text("about")
    return tmp_path / "dem"


@pytest.fixture
def geoid(tmp_path: Path) -> Path:
    HeightField(np.full((181, 361), 48.0, np.float32), -180.0, -90.0, 1.0, 1.0).save(tmp_path / "geoid.tif")
    return tmp_path / "geoid.tif"


def test_elevations_are_inputs_or_stand_where_a_parameter_says(dem: Path, geoid: Path) -> None:
    assert terrain_of(order({})) == (None, "None")
    for given in (
        order({"DEM_SRTM": [dem], "DEM_GEOID": [geoid]}),
        order({}, DEM_PATH=str(dem), GEOID_PATH=str(geoid)),
        order({"AUX_DEM": [dem / "n44_e007.tif"]}, GEOID_PATH=str(geoid)),
    ):
        terrain, name = terrain_of(given)
        assert terrain is not None
        assert terrain.at(np.array([7.5]), np.array([44.5])) == pytest.approx([298.0])
        assert name in {"dem", "n44_e007.tif"}


def test_elevations_that_are_named_and_not_there_are_refused(dem: Path, geoid: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README").write_text("nothing")
    with pytest.raises(BadInputError, match="DEM_PATH"):
        terrain_of(order({}, DEM_PATH=str(tmp_path / "nowhere")))
    with pytest.raises(BadInputError, match="elevation files"):
        terrain_of(order({"DEM_SRTM": [tmp_path / "empty"]}))
    with pytest.raises(BadInputError, match="one raster"):
        terrain_of(order({"DEM_SRTM": [dem], "DEM_GEOID": [geoid, dem / "n44_e007.tif"]}))


def test_the_earth_s_orientation_is_read_where_the_metadata_have_all_of_it(tmp_path: Path) -> None:
    assert read_orientation(tmp_path) is None
    path = tmp_path / "S2A_TEST_MTD_L0__DS_S2PS_20261122T120000_S20260621T102000.xml"
    path.write_text(f"<a>{BULLETIN}</a>")
    found = read_orientation(tmp_path)
    assert found is not None
    assert (found.ut1_minus_utc, found.pole_x, found.pole_y, found.gps_minus_utc) == (-0.21, 0.1, 0.3, 18)
    path.write_text(f"<a>{BULLETIN.replace('-0.21', '-9')}</a>")
    with pytest.raises(BadInputError, match="UT1_UTC"):
        read_orientation(tmp_path)
    path.write_text("<a><Auxiliary_Data_Info><IERS_Bulletin/></Auxiliary_Data_Info></a>")
    assert read_orientation(tmp_path) is None


def test_lines_are_dated_by_the_first_sound_packet(tmp_path: Path) -> None:
    """The first is flagged, the second of another band: the third counts, whatever its block.

    Where it agrees with the nominal date, within the packets' own resolution, that stands.
    """
    flight, band = fly(Datatake(scenes=2, detectors=(7,)), "S2A"), band_named("B12")
    images = tmp_path / "granule" / "IMG_DATA"
    images.mkdir(parents=True)
    exposures = [expose(flight, each, 7, 2) for each in (band, band_named("B11"))]
    own, strange = (image_packets(np.zeros((64, 1296), np.uint16), each, flight, 4, 0) for each in exposures)
    received = Annotation(utc_from_gps_ns(flight.first_line_ns), 0)
    packets = [(own[0], True), (strange[0], False), (own[3], False)]
    octets = [replace(received, length=len(p) - 7, invalid=flag).encode() + p for p, flag in packets]
    (images / "x_B12.bin").write_bytes(b"".join(octets))
    true = flight.model.strip.first_line_ns["B12", 7]
    assert SpacePacket.decode(own[3]).gps_ns > true
    for nominal, expected, within in ((true, true, 0), (true + 40_000, true, 31), (true + 62, true, 31)):
        found = first_lines({7: [tmp_path / "granule"]}, {("B12", 7): nominal, ("B11", 7): 5})
        assert found["B11", 7] == 5
        assert abs(found["B12", 7] - expected) <= within
    assert scenes_in({7: [tmp_path / "granule"]}) == {2}
    assert scenes_in({6: [tmp_path / "granule"]}) == set()
