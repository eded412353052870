from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.geometry import frames
from shared.geometry.model import QUICKLOOK, Ground, SensorModel
from shared.msi.earth import sun_angles
from tests.support import made_strip as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.geometry.frames import Floats

    Write = Callable[[str, str], Path]

LINE_S = 1.5658736e-3


@pytest.fixture
def build(write: Write) -> Callable[..., SensorModel]:
    def built(
        strip: made.MadeStrip | None = None, piloting: tuple[float, float, float] = (0, 0, 0), refined: bool = True
    ) -> SensorModel:
        viewing = [write("b04.xml", made.viewing_text(3, 2552)), write("b01.xml", made.viewing_text(0, 425))]
        viewing.append(write("b03.xml", made.viewing_text(2, 2552, ("APPLIED", "LINE_A"))))
        datastrip = write("MTD_DS.xml", (strip or made.MadeStrip()).text())
        return SensorModel.from_files(
            datastrip, viewing, write("spamod.xml", made.spacecraft_text(piloting)), refined=refined
        )

    return built


def metres(model: SensorModel, a: Ground, b: Ground) -> Floats:
    """Ahead, right and up from ground position a to b, the track running along the first axis."""
    axes = frames.local_axes(a.lon, a.lat)
    east_north_up = axes @ (frames.to_fixed(*b) - frames.to_fixed(*a))
    one, two = (model.direct("B04", 5, line, 1276.0, a.height) for line in (0.0, 100.0))
    ahead = axes @ (frames.to_fixed(*two) - frames.to_fixed(*one))
    ahead[2] = 0
    ahead /= np.linalg.norm(ahead)
    return np.array([east_north_up @ ahead, east_north_up @ np.cross(ahead, [0, 0, 1]), east_north_up[2]])


def straight(second: float, look: tuple[float, float, float], height: float = 0.0) -> tuple[float, float, float]:
    """Where a body direction meets the ground, by bisection on erfa's geodetic heights: nothing of the model."""
    origin = made.to_fixed(second) @ made.inertial(second)[0]
    direction = made.to_fixed(second) @ made.body(second) @ np.array(look)
    near, far = 5e5, 1.2e6
    for _ in range(80):
        middle = (near + far) / 2
        near, far = (middle, far) if frames.to_geodetic(origin + middle * direction)[2] > height else (near, middle)
    lon, lat, found = frames.to_geodetic(origin + near * direction)
    return float(lon), float(lat), float(found)


@pytest.mark.parametrize("height", [0.0, 4321.0])
@pytest.mark.parametrize(("line", "column"), [(0.0, 0.5), (2304.25, 1000.0), (4607.9, 2551.5)])
def test_a_column_looks_where_orbit_attitude_and_direction_say(
    build: Callable[..., SensorModel], line: float, column: float, height: float
) -> None:
    model = build()
    across, along = model._viewing["B04"].of(6, None)
    left = int(column - 0.5)
    part = column - 0.5 - left
    x, y = (float(v[left] * (1 - part) + v[min(left + 1, 2551)] * part) for v in (across, along))
    expected = straight(line * LINE_S, (y, -x, 1.0), height)
    found = model.direct("B04", 6, line, column, height)
    assert np.linalg.norm(frames.to_fixed(*found) - frames.to_fixed(*expected)) < 0.02
    assert found.height == pytest.approx(height, abs=1e-3)


@pytest.mark.parametrize("band", ["B04", "B01", "B03"])
def test_the_inverse_of_direct_is_the_identity_also_outside_of_the_image(
    build: Callable[..., SensorModel], band: str
) -> None:
    model = build()
    sensor = model.sensor(band, 5)
    lines = np.linspace(-300.0, sensor.lines + 300.0, 41)[:, None] * LINE_S / sensor.line_s
    columns = np.linspace(-40.0, sensor.columns + 40.0, 23)[None, :]
    heights = np.random.default_rng(3).uniform(-400, 8800, (41, 23))
    place = model.direct(band, 5, lines, columns, heights)
    found_lines, found_columns = model.inverse(band, 5, *place)
    np.testing.assert_allclose(found_lines, np.broadcast_to(lines, heights.shape), atol=1e-5)
    np.testing.assert_allclose(found_columns, np.broadcast_to(columns, heights.shape), atol=1e-5)


def test_places_that_are_seen_beyond_the_data_or_not_at_all_have_no_line(build: Callable[..., SensorModel]) -> None:
    model = build()
    place = model.direct("B04", 5, 2000.0, 1000.0)
    lines, columns = model.inverse(
        "B04", 5, place.lon + np.array([0, 0, 180, np.nan]), place.lat + np.array([0, 12, 0, 0])
    )
    assert lines[0] == pytest.approx(2000, abs=1e-5)
    assert np.isnan(lines[1:]).all()
    assert np.isnan(columns[1:]).all()


def test_lines_that_no_ancillary_data_cover_are_refused_by_number(build: Callable[..., SensorModel]) -> None:
    with pytest.raises(BadInputError, match=r"B04/D05: expected lines that the ancillary data cover, -38\d\d to"):
        build().direct("B04", 5, np.array([0.0, -4000.0]), 1.0)


def test_a_coarser_band_takes_its_lines_longer(build: Callable[..., SensorModel]) -> None:
    model = build()
    assert (model.sensor("B01", 5).lines, model.sensor("B04", 5).lines) == (768, 4608)
    fine, coarse = model.direct("B04", 5, 600.0, 1276.0), model.direct("B01", 5, 100.0, 212.5)
    assert np.linalg.norm(frames.to_fixed(*fine) - frames.to_fixed(*coarse)) < 1.0


def test_the_tdi_configuration_of_the_datastrip_chooses_the_directions(build: Callable[..., SensorModel]) -> None:
    model = build()
    applied, line_a = (model._viewing["B03"].directions[name][5][1, 0] for name in ("APPLIED", "LINE_A"))
    assert model.sensor("B03", 5).looks[0, 0] == line_a != applied


@pytest.mark.parametrize(
    ("piloting", "ahead", "right"), [((1, 0, 0), 0, 1), ((0, 1, 0), -1, 0), ((0, 0, 1), 0, 0), ((0, 0, 0), 0, 0)]
)
def test_mounting_angles_turn_as_documented(
    build: Callable[..., SensorModel], piloting: tuple[float, float, float], ahead: int, right: int
) -> None:
    """R(-r): a positive angle about x turns the look to the right, about y backwards."""
    plain, turned = build(), build(piloting=piloting)
    moved = metres(plain, plain.direct("B04", 5, 900.0, 1276.0), turned.direct("B04", 5, 900.0, 1276.0))
    # 1 mrad from 795 km; the Earth turns below, so that the track is 3 degrees off the flight.
    np.testing.assert_allclose(moved[:2] / 795.0, [ahead, right], atol=0.08)


ROTATION = """<Image_Refining flag="REFINED"/><Refined_Corrections_List><Refined_Corrections>{}</Refined_Corrections>
</Refined_Corrections_List>"""


def axis(name: str, *coefficients: float) -> str:
    numbers = " ".join(map(str, coefficients))
    return f"<{name}><DEGREE>{len(coefficients) - 1}</DEGREE><COEFFICIENTS>{numbers}</COEFFICIENTS></{name}>"


def test_refining_is_a_rotation_that_grows_from_the_middle_of_the_datastrip(build: Callable[..., SensorModel]) -> None:
    state = f"<MSI_State><Rotation>{axis('X', 0.0)}{axis('Y', 1e-4, 2e-5)}</Rotation></MSI_State>"
    strip = made.MadeStrip(refining=ROTATION.format(state))
    refined, plain = build(strip), build(strip, refined=False)
    for line in (0.0, 3000.0):
        seconds = line * LINE_S - 10.0  # the datastrip lasts 20 s
        moved = metres(plain, plain.direct("B04", 5, line, 1276.0), refined.direct("B04", 5, line, 1276.0))
        assert moved[0] == pytest.approx(-(1e-4 + 2e-5 * seconds) * 795e3, abs=3.0)


def test_refining_moves_the_spacecraft_in_the_local_orbital_frame(build: Callable[..., SensorModel]) -> None:
    shift = f"<Spacecraft_Position>{axis('X', 30.0)}{axis('Y', 0.0)}{axis('Z', 0.0)}</Spacecraft_Position>"
    strip = made.MadeStrip(refining=ROTATION.format(shift))
    refined, plain = build(strip), build(strip, refined=False)
    moved = metres(plain, plain.direct("B04", 5, 900.0, 1276.0), refined.direct("B04", 5, 900.0, 1276.0))
    # x lies along the orbital momentum: to the left of the flight.
    np.testing.assert_allclose(moved[:2], [0.0, -30.0], atol=2.0)


def test_homothety_stretches_the_image_about_the_axis(build: Callable[..., SensorModel]) -> None:
    state = f"<Focal_Plane_State focalPlaneId='VNIR'><Homothety>{axis('Z', 1e-3)}</Homothety></Focal_Plane_State>"
    strip = made.MadeStrip(refining=ROTATION.format(state))
    refined, plain = build(strip), build(strip, refined=False)
    moved = metres(plain, plain.direct("B04", 5, 900.0, 1276.0), refined.direct("B04", 5, 900.0, 1276.0))
    assert moved[0] == pytest.approx(0.02 * 795.0, abs=1.0)  # detector 5 looks back by 0.02: less far back


def test_the_satellite_stands_where_its_line_of_sight_comes_from(build: Callable[..., SensorModel]) -> None:
    model = build()
    zenith, azimuth = model.view_angles("B04", 6, np.array([100.0, 4000.0])[:, None], np.array([0.5, 2551.5]))
    place = model.direct("B04", 6, 100.0, 0.5)
    up = frames.local_axes(place.lon, place.lat)
    origin = made.to_fixed(100 * LINE_S) @ made.inertial(100 * LINE_S)[0]
    east, north, vertical = up @ (origin - frames.to_fixed(*place))
    assert zenith[0, 0] == pytest.approx(np.degrees(np.arctan2(np.hypot(east, north), vertical)), abs=1e-4)
    assert azimuth[0, 0] == pytest.approx(np.degrees(np.arctan2(east, north)) % 360, abs=1e-3)


def test_the_sun_stands_where_the_almanac_has_it(build: Callable[..., SensorModel]) -> None:
    model = build()
    place = model.direct("B04", 5, np.array([0.0, 4000.0]), 1276.0)
    zenith, azimuth = model.sun_angles(place.lon, place.lat, model.sensor("B04", 5).seconds(np.array([0.0, 4000.0])))
    low, low_azimuth = sun_angles(place.lon, place.lat, model.platform.reference_ns)
    np.testing.assert_allclose(zenith, low, atol=0.06)  # the almanac's one instant is 10 s away, and good to 0.01
    np.testing.assert_allclose(azimuth, low_azimuth, atol=0.1)


def test_the_footprint_is_the_images_outline_and_its_tiles_hold_it(build: Callable[..., SensorModel]) -> None:
    model = build()
    lon, lat = model.footprint("B04", 5, points=4)
    corners = model.direct("B04", 5, np.array([0.0, 4608.0, 4608.0, 0.0]), np.array([0.0, 0.0, 2552.0, 2552.0]))
    np.testing.assert_allclose(lon[::4], corners.lon, atol=1e-9)
    np.testing.assert_allclose(lat[::4], corners.lat, atol=1e-9)
    assert len(lon) == 16
    tiles = model.tiles("B04")
    assert model.detectors == (5, 6)
    assert 1 <= len(tiles) <= 12


def test_what_is_missing_is_named(build: Callable[..., SensorModel], write: Write) -> None:
    model = build()
    with pytest.raises(BadInputError, match="B08/D05: expected its GIP_VIEDIR file"):
        model.direct("B08", 5, 0.0, 0.0)
    with pytest.raises(BadInputError, match="a Band_Time_Stamp of B04/D07"):
        model.direct("B04", 7, 0.0, 0.0)
    with pytest.raises(BadInputError, match="Display_Geometric_Model"):
        model.direct(QUICKLOOK, 0, 0.0, 0.0)
    with pytest.raises(BadInputError, match="B04/D05: expected a GIP_SPAMOD file"):
        SensorModel.from_files(write("ds.xml", made.MadeStrip().text())).direct("B04", 5, 0.0, 0.0)


def test_parameters_of_another_satellite_are_refused(write: Write) -> None:
    viewing = write("b04.xml", made.viewing_text(3, 2552, satellite="S2B"))
    datastrip = write("ds.xml", made.MadeStrip().text())
    with pytest.raises(
        BadInputError, match="GIP_VIEDIR of B04, SATELLITE: expected S2A, as the datastrip, found 'S2B'"
    ):
        SensorModel.from_files(datastrip, [viewing], write("spamod.xml", made.spacecraft_text()))
