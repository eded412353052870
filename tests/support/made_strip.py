"""A datastrip and parameter files made up: a circular orbit, the body pointing at the Earth's centre."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import erfa
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RADIUS_M, RATE = 7_167_000.0, 1.0405e-3  # the orbit's, radians per second in inertial space
INCLINATION = np.radians(98.6)
START = np.datetime64("2023-03-01T10:00:00")


def stamp(second: float) -> str:
    return str(START + np.timedelta64(round(second * 1e9), "ns"))


def inertial(second: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position and velocity, EME2000."""
    u = 0.7 + RATE * second
    node, normal = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(INCLINATION), np.sin(INCLINATION)])
    position = RADIUS_M * (np.cos(u) * node + np.sin(u) * normal)
    return position, RADIUS_M * RATE * (np.cos(u) * normal - np.sin(u) * node)


def to_fixed(second: float, ut1_utc: float = 0.0) -> NDArray[np.float64]:
    """EME2000 to Earth-fixed, straight from erfa's one call."""
    days = (START - np.datetime64("1980-01-06")) / np.timedelta64(1, "s")
    tt, ut1 = ((days + second + off) / 86400 for off in (51.184, ut1_utc - 18))
    bias = erfa.bp06(2444244.5, tt)[0]
    matrix: NDArray[np.float64] = erfa.c2t06a(2444244.5, tt, 2444244.5, ut1, 0.0, 0.0) @ bias.T
    return matrix


def quaternion(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x, y, z, w) of a rotation matrix, by its eigenvector of eigenvalue 1 of the symmetric form."""
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[1, 0] + m[0, 1], m[2, 0] + m[0, 2], m[2, 1] - m[1, 2]],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    vector: NDArray[np.float64] = np.linalg.eigh(k)[1][:, -1]
    return vector


def body(second: float) -> NDArray[np.float64]:
    """Body (x ahead, y right, z down) to EME2000."""
    position, velocity = inertial(second)
    z = -position / np.linalg.norm(position)
    x = velocity / np.linalg.norm(velocity)
    return np.stack([x, np.cross(z, x), z], 1)


@dataclass
class MadeStrip:
    """Text of a Level-1B datastrip's metadata; ``replace`` edits it before it is written."""

    seconds: float = 20.0
    ut1_utc: float = 0.0
    refining: str = ""
    changes: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        before = 6
        points, values = [], []
        for second in np.arange(-before, self.seconds + before + 1):
            position = to_fixed(second, self.ut1_utc) @ inertial(second)[0]
            ahead, behind = (to_fixed(second + d, self.ut1_utc) @ inertial(second + d)[0] for d in (0.5, -0.5))
            place, speed = (" ".join(str(round(v * 1e3)) for v in vector) for vector in (position, ahead - behind))
            points.append(
                f'<GPS_Point><POSITION_VALUES unit="mm">{place}</POSITION_VALUES>'
                f'<VELOCITY_VALUES unit="mm/s">{speed}</VELOCITY_VALUES>'
                f"<GPS_TIME>{stamp(second)}</GPS_TIME></GPS_Point>"
            )
        for n, second in enumerate(np.arange(-before, self.seconds + before, 0.1)):
            q = quaternion(body(second)) * (-1.0) ** n  # q and -q are one rotation
            values.append(
                f"<Values><QUATERNION_VALUES>{' '.join(map(repr, q.tolist()))}</QUATERNION_VALUES>"
                f"<QUATERNION_VALIDITY>true</QUATERNION_VALIDITY><GPS_TIME>{stamp(second)}</GPS_TIME></Values>"
            )
        detectors = "".join(
            f'<Detector detectorId="{d:02d}"><REFERENCE_LINE>1</REFERENCE_LINE>'
            f"<GPS_TIME>{stamp(0)}</GPS_TIME></Detector>"
            for d in (5, 6)
        )
        granules = "".join(
            f'<Detector detectorId="{d:02d}"><Granule_List><Granule granuleId="G{d:02d}"><POSITION>1</POSITION>'
            f'</Granule><Granule granuleId="H{d:02d}"><POSITION>2305</POSITION></Granule></Granule_List></Detector>'
            for d in (5, 6)
        )
        stamps = "".join(f'<Band_Time_Stamp bandId="{b}">{detectors}</Band_Time_Stamp>' for b in (0, 2, 3))
        text = f"""<n1:Level-1B_DataStrip_ID xmlns:n1="urn:x"><General_Info><Datatake_Info>
<SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME></Datatake_Info><Datastrip_Time_Info>
<DATASTRIP_SENSING_START>{stamp(-18)}Z</DATASTRIP_SENSING_START>
<DATASTRIP_SENSING_STOP>{stamp(self.seconds - 18)}Z</DATASTRIP_SENSING_STOP></Datastrip_Time_Info></General_Info>
<Image_Data_Info><Granules_Information><Detector_List>{granules}</Detector_List></Granules_Information>
<Sensor_Configuration><Acquisition_Configuration><TDI_Configuration_List>
<TDI_CONFIGURATION bandId="2">LINE_A</TDI_CONFIGURATION></TDI_Configuration_List></Acquisition_Configuration>
<Time_Stamp><LINE_PERIOD unit="ms">1.5658736</LINE_PERIOD>{stamps}</Time_Stamp></Sensor_Configuration>
<Geometric_Info>{self.refining}</Geometric_Info></Image_Data_Info>
<Satellite_Ancillary_Data_Info><Ephemeris><GPS_Points_List>{"".join(points)}</GPS_Points_List></Ephemeris>
<Attitudes><Corrected_Attitudes>{"".join(values)}</Corrected_Attitudes></Attitudes></Satellite_Ancillary_Data_Info>
<Auxiliary_Data_Info><IERS_Bulletin><UT1_UTC unit="s">{self.ut1_utc}</UT1_UTC><GPS_TIME_UTC unit="s">18</GPS_TIME_UTC>
<POLE_U_ANGLE unit="arcsec">0</POLE_U_ANGLE><POLE_V_ANGLE unit="arcsec">0</POLE_V_ANGLE></IERS_Bulletin>
</Auxiliary_Data_Info></n1:Level-1B_DataStrip_ID>"""
        for old, new in self.changes:
            assert old in text, old
            text = text.replace(old, new)
        return text


def turn(name: str, axis: str, value: float, unit: str = "mrad") -> str:
    return f'<{name} axis="{axis}" unit="{unit}">{value}</{name}>'


def frame(tag: str, angles: tuple[float, float, float] = (0, 0, 0), attribute: str = "", unit: str = "mrad") -> str:
    turns = "".join(
        turn(f"R{n}", axis, value, unit) for n, (axis, value) in enumerate(zip("XYZ", angles, strict=True), 1)
    )
    return f"<{tag} {attribute}>{turns}<SCALE_FACTOR>1</SCALE_FACTOR></{tag}>"


def spacecraft_text(piloting: tuple[float, float, float] = (0, 0, 0), unit: str = "mrad") -> str:
    planes = ("VNIR", "SWIR")
    detectors = "".join(
        frame(f"FOCAL_PLANE_TO_DETECTOR_{p}", attribute=f'detector_id="{d:02d}"') for p in planes for d in (5, 6)
    )
    return (
        "<GS2_SPACECRAFT_MODEL_PARAMETERS><HEADER><SATELLITE>S2A</SATELLITE></HEADER><DATA>"
        f"{frame('PILOTING_TO_MSI_FRAME', piloting, unit=unit)}<MSI_TO_FOCAL_PLANE>"
        f"{''.join(frame(f'MSI_TO_{p}') for p in planes)}</MSI_TO_FOCAL_PLANE>"
        f"<FOCAL_PLANE_TO_DETECTOR>{detectors}</FOCAL_PLANE_TO_DETECTOR></DATA></GS2_SPACECRAFT_MODEL_PARAMETERS>"
    )


def viewing_text(band: int, columns: int, lists: tuple[str, ...] = ("NO_TDI",), satellite: str = "S2A") -> str:
    """Detectors 5 and 6 side by side, looking back and ahead; each list a little further ahead."""
    step, parts = 1.258e-5 * 2552 / columns, []
    for n, name in enumerate(lists):
        directions = ""
        for detector in (5, 6):
            x = (detector - 5.5) * 0.0306 + (np.arange(columns) - (columns - 1) / 2) * step
            y = np.full(columns, (0.02 if detector == 6 else -0.02) + n * 1e-4) + 0.01 * x**2
            both = "".join(
                f"<TAN_PSI_{a}_LIST>{' '.join(f'{v:.12g}' for v in c)}</TAN_PSI_{a}_LIST>"
                for a, c in (("X", x), ("Y", y))
            )
            directions += (
                f'<VIEWING_DIRECTIONS detector_id="{detector:02d}"><NB_OF_PIXELS>{columns}</NB_OF_PIXELS>{both}'
                "</VIEWING_DIRECTIONS>"
            )
        parts.append(f'<VIEWING_DIRECTIONS_LIST tdi_config="{name}">{directions}</VIEWING_DIRECTIONS_LIST>')
    return (
        f"<GS2_VIEWING_DIRECTIONS><HEADER><SATELLITE>{satellite}</SATELLITE></HEADER><DATA><BAND_ID>{band}</BAND_ID>"
        f"{''.join(parts)}</DATA></GS2_VIEWING_DIRECTIONS>"
    )
