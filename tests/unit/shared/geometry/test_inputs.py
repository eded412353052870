"""What the geometry reads from files: broken, absent and hostile fields are refused with their path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.geometry.datastrip import Datastrip
from shared.geometry.gipp import SpacecraftModel, ViewingDirections
from shared.geometry.iers import earth_orientation
from shared.geometry.sightline import Platform
from shared.geometry.trajectory import Attitude, Orbit
from tests.support import made_strip as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Level-1B_DataStrip_ID", "Level-1C_DataStrip_ID", "a root element of Level-0_DataStrip_ID"),
        ("Sentinel-2A", "Landsat-8", "SPACECRAFT_NAME: expected Sentinel-2A to Sentinel-2D, found 'Landsat-8'"),
        (
            '<LINE_PERIOD unit="ms">1.5658736',
            '<LINE_PERIOD unit="ms">0',
            "Time_Stamp/LINE_PERIOD: expected 1 to 2.5 ms",
        ),
        ('<LINE_PERIOD unit="ms">1.56', '<LINE_PERIOD unit="s">1.56', "LINE_PERIOD/@unit: expected ms, found 's'"),
        ("UT1_UTC", "UT1_UT2", "IERS_Bulletin/UT1_UTC: expected this element"),
        ('<UT1_UTC unit="s">0.0', '<UT1_UTC unit="s">NaN', "UT1_UTC: expected finite numbers, found 'NaN'"),
        ('bandId="0"', 'bandId="13"', r"Band_Time_Stamp\[1\]: expected a bandId from 0 to 12, found '13'"),
        ('bandId="0"', 'bandId="٣"', "expected a bandId from 0 to 12"),
        ('detectorId="05"', 'detectorId="13"', "expected a detectorId from 01 to 12, found '13'"),
        (
            "2023-03-01T10:00:00.000000000</GPS_TIME></Detector>",
            "soon</GPS_TIME></Detector>",
            "GPS_TIME: expected an instant",
        ),
        (
            "2023-03-01T10:00:00.000000000</GPS_TIME></Detector>",
            "2023-02-30T10:00:00</GPS_TIME></Detector>",
            "an instant",
        ),
        (
            "<QUATERNION_VALUES>",
            "<QUATERNION_VALUES>1 ",
            r"Values\[1\]/QUATERNION_VALUES: expected 4 numbers, found '5",
        ),
        ("<POSITION>1</POSITION>", "<POSITION>-1</POSITION>", r"Granule\[1\]/POSITION: expected a whole number from 1"),
        ("POSITION_VALUES", "PLACE_VALUES", r"GPS_Point\[1\]/POSITION_VALUES: expected this element"),
        ("2023-03-01T09:59:42.000000000Z", "2023-03-02T09:59:42.000000000Z", "a sensing stop up to two hours after"),
    ],
)
def test_a_broken_datastrip_is_refused_by_file_and_field(write: Write, old: str, new: str, message: str) -> None:
    file = write("MTD_DS.xml", made.MadeStrip(changes=[(old, new)]).text())
    with pytest.raises(BadInputError, match=message) as refused:
        Datastrip.read(file)
    assert refused.value.what.startswith("MTD_DS.xml")


def test_a_document_type_is_refused(write: Write) -> None:
    with pytest.raises(BadInputError, match="without entities or a document type"):
        Datastrip.read(write("MTD_DS.xml", '<!DOCTYPE a [<!ENTITY b "c">]><Level-1B_DataStrip_ID/>'))


def test_a_satellite_inside_the_earth_and_a_quaternion_that_is_none_are_refused(write: Write) -> None:
    strip = made.MadeStrip()
    position = strip.text().split('POSITION_VALUES unit="mm">')[1].split("<")[0]
    inside = made.MadeStrip(changes=[(position, "1 2 3")]).text()
    with pytest.raises(BadInputError, match="6500 to 8000 km from the Earth's centre"):
        Datastrip.read(write("a.xml", inside))
    quaternion = strip.text().split("<QUATERNION_VALUES>")[1].split("<")[0]
    with pytest.raises(BadInputError, match="QUATERNION_VALUES of norm 1"):
        Datastrip.read(write("b.xml", made.MadeStrip(changes=[(quaternion, "2 0 0 0")]).text()))


def test_doubled_points_count_once_and_invalid_attitudes_not_at_all(write: Write) -> None:
    doubled = made.stamp(3.0)
    changes = [(f"<GPS_TIME>{made.stamp(2.0)}</GPS_TIME></GPS_Point>", f"<GPS_TIME>{doubled}</GPS_TIME></GPS_Point>")]
    flagged = f"true</QUATERNION_VALIDITY><GPS_TIME>{made.stamp(1.0)}<"
    changes.append((flagged, flagged.replace("true", "false")))
    plain = Datastrip.read(write("a.xml", made.MadeStrip().text()))
    strip = Datastrip.read(write("b.xml", made.MadeStrip(changes=changes).text()))
    assert len(strip.positions_ns) == len(plain.positions_ns) - 1
    assert set(plain.attitudes_ns) - set(strip.attitudes_ns) == {plain.attitudes_ns[70]}


def test_ancillary_data_of_another_time_are_refused(write: Write) -> None:
    strip = Datastrip.read(write("a.xml", made.MadeStrip().text()))
    object.__setattr__(strip, "attitudes_ns", tuple(time + 3600 * 10**9 for time in strip.attitudes_ns))
    with pytest.raises(BadInputError, match="GPS points and attitudes that share at least 1 s"):
        Platform(strip, None)


def test_series_with_holes_or_too_few_samples_are_refused() -> None:
    times = np.arange(30.0)
    positions = np.stack([times, times, times], 1)
    with pytest.raises(BadInputError, match=r"x, GPS_Points_List: expected at least 8 of them, found 7"):
        Orbit(times[:7], positions[:7], "x")
    with pytest.raises(
        BadInputError, match=r"x, Corrected_Attitudes: expected steps of at most 1\.05 s, found '2\.000 s'"
    ):
        Attitude(np.delete(times, 12), np.ones((29, 4)), "x")


def test_interpolation_follows_a_motion_that_is_not_linear() -> None:
    times = np.arange(0.0, 12.0, 0.1)
    jitter = 1e-5 * np.sin(2 * np.pi * times)
    quaternions = np.stack([np.sin(jitter / 2), np.zeros_like(times), np.zeros_like(times), np.cos(jitter / 2)], 1)
    at = np.linspace(2.0, 10.0, 777)
    matrices = Attitude(times, quaternions * np.where(np.arange(120) % 3, 1, -1)[:, None], "x").matrices(at)
    np.testing.assert_allclose(matrices[:, 2, 1], 1e-5 * np.sin(2 * np.pi * at), atol=5e-10)  # linear: 5e-7
    orbit = Orbit(times, np.stack([np.cos(times / 10), np.sin(times / 10), times], 1), "x")
    np.testing.assert_allclose(orbit.rate(at)[:, 0], -np.sin(at / 10) / 10, atol=1e-9)


def test_viewing_directions_name_what_they_lack(write: Write) -> None:
    directions = ViewingDirections.read(write("b03.xml", made.viewing_text(2, 100, ("APPLIED", "LINE_A"))))
    assert directions.of(5, "LINE_A").shape == (2, 100)
    with pytest.raises(BadInputError, match="one of APPLIED, LINE_A as TDI configuration of B03, found 'LINE_B'"):
        directions.of(5, "LINE_B")
    with pytest.raises(BadInputError, match="GIP_VIEDIR of B03: expected VIEWING_DIRECTIONS of detector 09"):
        directions.of(9, "APPLIED")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<NB_OF_PIXELS>100<", "<NB_OF_PIXELS>101<", r"TAN_PSI_X_LIST: expected 101 numbers, found '100 numbers'"),
        ("<TAN_PSI_Y_LIST>-0.0", "<TAN_PSI_Y_LIST>-9.0", "tangents of less than 1 either way"),
        ("<TAN_PSI_X_LIST>", "<TAN_PSI_X_LIST>x", "TAN_PSI_X_LIST: expected numbers separated by blanks"),
        ("<BAND_ID>3<", "<BAND_ID>13<", "BAND_ID: expected a whole number from 0 to 12, found '13'"),
    ],
)
def test_broken_viewing_directions_are_refused(write: Write, old: str, new: str, message: str) -> None:
    text = made.viewing_text(3, 100)
    assert old in text
    with pytest.raises(BadInputError, match=message):
        ViewingDirections.read(write("b04.xml", text.replace(old, new)))


def test_columns_that_turn_back_are_refused(write: Write) -> None:
    text = made.viewing_text(3, 3)
    across = text.split("<TAN_PSI_X_LIST>")[1].split("<")[0]
    with pytest.raises(BadInputError, match="a TAN_PSI_X_LIST that only rises or only falls"):
        ViewingDirections.read(write("b02.xml", text.replace(across, "0.1 0.2 0.2")))


def test_a_mounting_in_degrees_is_the_same_as_in_milliradians(write: Write) -> None:
    small = SpacecraftModel.read(write("a.xml", made.spacecraft_text((1.0, -2.0, 0.5)))).piloting_to_msi
    degrees = np.degrees(np.array([1.0, -2.0, 0.5]) * 1e-3)
    same = SpacecraftModel.read(write("b.xml", made.spacecraft_text(tuple(degrees), "deg"))).piloting_to_msi
    np.testing.assert_allclose(small, same, atol=1e-12)
    np.testing.assert_allclose(small @ small.T, np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('unit="mrad"', 'unit="furlong"', "an axis X, Y or Z and a unit mrad"),
        ('<R1 axis="X" unit="mrad">0<', '<R1 axis="X" unit="mrad">9000<', "less than 0.5 rad either way"),
        ("PILOTING_TO_MSI_FRAME", "PILOTING", "DATA/PILOTING_TO_MSI_FRAME: expected this element"),
        ("<SCALE_FACTOR>1<", "<SCALE_FACTOR>0<", "SCALE_FACTOR: expected 0.5 to 2"),
    ],
)
def test_a_broken_spacecraft_model_is_refused(write: Write, old: str, new: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        SpacecraftModel.read(write("spamod.xml", made.spacecraft_text().replace(old, new)))


BULLETIN = """
   16 12 31  57753 0.10000 .00009 0.20000 .00009 -0.400000 0.000016
       2016 12 31  57753       0.9000      0.9000     -0.90000
       2017  1  1  57754       0.1200      0.2200      0.60100
       2017  1  2  57755       0.1300      0.2300      0.60200
"""
GPS_2016_12_31_NOON = 1_167_220_817 * 10**9


def test_a_bulletin_is_linear_between_days_and_a_leap_second_is_no_jump(write: Write) -> None:
    found = earth_orientation(write("bulletin.txt", BULLETIN), GPS_2016_12_31_NOON)
    assert found.gps_minus_utc == 17
    assert (found.pole_x, found.pole_y) == pytest.approx((0.11, 0.21))
    assert found.ut1_minus_utc == pytest.approx(-0.3995)  # observed, then 0.601 less the leap second
    later = earth_orientation(write("bulletin.txt", BULLETIN), GPS_2016_12_31_NOON + 86_401 * 10**9)
    assert later.gps_minus_utc == 18
    assert later.ut1_minus_utc == pytest.approx(0.6015)


def test_a_bulletin_without_the_day_is_refused(write: Write) -> None:
    with pytest.raises(BadInputError, match=r"the days 57755 and 57756 \(MJD\) of Bulletin A, found '57753 to 57755'"):
        earth_orientation(write("bulletin.txt", BULLETIN), GPS_2016_12_31_NOON + 2 * 86_401 * 10**9)
    with pytest.raises(BadInputError, match="no days"):
        earth_orientation(write("empty.txt", "nothing"), GPS_2016_12_31_NOON)
