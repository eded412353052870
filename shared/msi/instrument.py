"""The Multi-Spectral Instrument as numbers: 13 bands, 12 staggered detectors, line timing, nominal focal plane.

Sources: band limits, centres, solar irradiances and physical gains as every Sentinel-2 A product's metadata states them
(Sentinel-2 Products Specification Document, PSD 14: `Spectral_Information`, `SOLAR_IRRADIANCE`, `PHYSICAL_GAINS`);
scene, block and packet counts of the PDGS Operations Concept Document (144/72/24 packets of 16 lines per scene and
band). The focal plane is nominal: detectors at equal spacing, columns at equal steps of tan(psi), one along-track
direction for each band, its sign alternating with the detector. One set of constants serves all four satellites.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINES_PER_PACKET: Final = 16
LINE_PERIOD_NS: Final = 1_565_873.6
"""Time between two lines of a 10 m band, nanoseconds; 20 m bands take twice, 60 m bands six times as long."""

DETECTORS: Final = tuple(range(1, 13))
LINES_PER_SCENE_10M: Final = 2304
SCENE_NS: Final = LINE_PERIOD_NS * LINES_PER_SCENE_10M
"""One scene, nanoseconds (3.608 s)."""

MAX_DN: Final = 4095
"""Saturation of the 12-bit samples."""

DETECTOR_SPACING: Final = 0.0306
"""Step of tan(psi_x) between the centres of neighbouring detectors."""

COLUMN_STEP_10M: Final = 1.258e-5
"""Step of tan(psi_x) between the columns of a 10 m band: 9.9 m on ground at nadir."""

NOMINAL_ALTITUDE_M: Final = 786_000.0
NOMINAL_GROUND_SPEED_M_S: Final = 6_650.0


@dataclass(frozen=True, slots=True)
class Band:
    """One spectral band.

    Attributes:
        index: 0..12 in the order B01..B08, B8A, B09..B12, the ``bandId`` of product metadata.
        name: ``B01`` .. ``B12``, ``B8A``.
        resolution: 10, 20 or 60 metres.
        wavelength_nm: central wavelength; ``limits_nm`` the band's lower and upper limit.
        solar_irradiance: equivalent extraterrestrial irradiance at 1 AU, W/m2/um.
        physical_gain: counts per W/m2/um/sr, above the dark level.
        tan_psi_y: absolute along-track tangent of the viewing direction in the body frame.
    """

    index: int
    name: str
    resolution: int
    wavelength_nm: float
    limits_nm: tuple[float, float]
    solar_irradiance: float
    physical_gain: float
    tan_psi_y: float

    @property
    def width(self) -> int:
        """Columns of one detector, blind pixels included: 2592, 1296 or 432."""
        return 25_920 // self.resolution

    @property
    def lines_per_scene(self) -> int:
        """2304, 1152 or 384."""
        return LINES_PER_SCENE_10M * 10 // self.resolution

    @property
    def packets_per_scene(self) -> int:
        """Image packets of one detector and scene: 144, 72 or 24."""
        return self.lines_per_scene // LINES_PER_PACKET

    @property
    def line_period_ns(self) -> float:
        """Nanoseconds from one line to the next."""
        return LINE_PERIOD_NS * (self.resolution // 10)

    def dating_lines(self, detector: int) -> int:
        """Lines by which this detector and band starts before the nominal line 0, so that all see the same ground.

        A direction that looks ahead sees a place earlier. Whole lines, from nominal altitude and ground speed; what is
        left of a line stays as a shift between bands, which the viewing model describes exactly.
        """
        ahead_m = along_track_tangent(detector, self) * NOMINAL_ALTITUDE_M
        return round(ahead_m / (NOMINAL_GROUND_SPEED_M_S * self.line_period_ns * 1e-9))


BANDS: Final[tuple[Band, ...]] = (
    Band(0, "B01", 60, 442.7, (412, 456), 1884.69, 4.10589348, 0.0279),
    Band(1, "B02", 10, 492.7, (456, 533), 1959.66, 3.75167664, 0.0085),
    Band(2, "B03", 10, 559.8, (538, 583), 1823.24, 4.17821228, 0.0129),
    Band(3, "B04", 10, 664.6, (646, 684), 1512.06, 4.50978749, 0.0169),
    Band(4, "B05", 20, 704.1, (695, 714), 1424.64, 5.19090354, 0.0191),
    Band(5, "B06", 20, 740.5, (731, 749), 1287.61, 4.85492584, 0.0213),
    Band(6, "B07", 20, 782.8, (769, 797), 1162.08, 4.51619442, 0.0235),
    Band(7, "B08", 10, 832.8, (760, 907), 1041.63, 6.13591171, 0.0107),
    Band(8, "B8A", 20, 864.7, (837, 881), 955.32, 5.1160038, 0.0257),
    Band(9, "B09", 60, 945.1, (932, 958), 812.92, 8.49525017, 0.0302),
    Band(10, "B10", 60, 1373.5, (1337, 1412), 367.15, 54.83199041, 0.0157),
    Band(11, "B11", 20, 1613.7, (1539, 1682), 245.59, 35.15974393, 0.0210),
    Band(12, "B12", 20, 2202.4, (2078, 2320), 85.25, 106.2130944, 0.0262),
)

_BY_NAME: Final = {band.name: band for band in BANDS}


def band_named(name: str) -> Band:
    """The band ``B01`` .. ``B12`` or ``B8A``; KeyError for any other name."""
    return _BY_NAME[name]


def along_track_tangent(detector: int, band: Band) -> float:
    """tan(psi_y) of a detector and band: even detectors look ahead, odd ones back."""
    return band.tan_psi_y if detector % 2 == 0 else -band.tan_psi_y


def line_of_sight(
    detector: int, band: Band, columns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """tan(psi_x) across and tan(psi_y) along the track, at column positions (0.5 is the centre of the first column).

    The direction in the body frame (x along the flight, y to its right, z to the ground) is (tan psi_y, -tan psi_x, 1).
    """
    centre = (detector - 6.5) * DETECTOR_SPACING
    step = COLUMN_STEP_10M * (band.resolution // 10)
    across = centre + (columns - band.width / 2) * step
    return across, np.full_like(across, along_track_tangent(detector, band))
