"""Parameters of the instrument on its satellite, from GIPP files: viewing directions and mounting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.fields import Fields
from shared.geometry.frames import Floats, about_x, about_y, about_z
from shared.msi.instrument import BANDS, DETECTORS

if TYPE_CHECKING:
    from pathlib import Path

SWIR: Final = frozenset({"B10", "B11", "B12"})
_RADIANS: Final = {"mrad": 1e-3, "rad": 1.0, "deg": np.pi / 180, "urad": 1e-6}
_AXES: Final = {"X": about_x, "Y": about_y, "Z": about_z}
_MOST_RAD: Final = 0.5


def focal_plane(band: str) -> str:
    """``VNIR`` or ``SWIR``."""
    return "SWIR" if band in SWIR else "VNIR"


def mounting(frame: Fields) -> Floats:
    """The matrix that turns a direction of the inner frame into the outer one, from a rotation of three axes and scale.

    A frame ``OUTER_TO_INNER`` with angles R1, R2, R3 has direction(outer) = R1(-r1) R2(-r2) R3(-r3) S direction(inner),
    R(a) turning a vector right-handed about the axis. A scale factor stretches z.
    """
    matrix: Floats = np.eye(3)
    for name in ("R1", "R2", "R3"):
        angle = frame.one(name)
        axis, unit = angle.attribute("axis"), angle.attribute("unit")
        if axis not in _AXES or unit not in _RADIANS:
            raise angle.refuse("an axis X, Y or Z and a unit mrad, rad, deg or urad", (axis, unit))
        radians = angle.number() * _RADIANS[unit]
        if abs(radians) > _MOST_RAD:
            raise angle.refuse(f"less than {_MOST_RAD} rad either way", radians)
        matrix = matrix @ _AXES[axis](np.array(-radians))
    scale = 1.0
    if frame.find("SCALE_FACTOR") is not None:
        scale = frame.number("SCALE_FACTOR", lambda factor: 0.5 < factor < 2.0, "0.5 to 2")
    return matrix @ np.diag([1.0, 1.0, scale])


@dataclass(frozen=True, slots=True)
class SpacecraftModel:
    """GIP_SPAMOD: how the instrument sits on the satellite.

    Attributes:
        piloting_to_msi: instrument to piloting frame, (3, 3).
        msi_to_focal_plane: focal plane to instrument, by ``VNIR`` and ``SWIR``.
        focal_plane_to_detector: detector to focal plane, by (focal plane, detector).
    """

    satellite: str
    piloting_to_msi: Floats
    msi_to_focal_plane: dict[str, Floats]
    focal_plane_to_detector: dict[tuple[str, int], Floats]

    @classmethod
    def read(cls, file: Path) -> SpacecraftModel:
        """From a GIP_SPAMOD file."""
        root = Fields.read(file, "GS2_SPACECRAFT_MODEL_PARAMETERS")
        data = root.one("DATA")
        detectors: dict[tuple[str, int], Floats] = {}
        for plane in ("VNIR", "SWIR"):
            for entry in data.all(f"FOCAL_PLANE_TO_DETECTOR/FOCAL_PLANE_TO_DETECTOR_{plane}"):
                detectors[plane, _detector(entry)] = mounting(entry)
        return cls(
            root.text("HEADER/SATELLITE"),
            mounting(data.one("PILOTING_TO_MSI_FRAME")),
            {plane: mounting(data.one(f"MSI_TO_FOCAL_PLANE/MSI_TO_{plane}")) for plane in ("VNIR", "SWIR")},
            detectors,
        )

    def detector_to_msi(self, band: str, detector: int) -> Floats:
        """Detector to instrument frame, (3, 3)."""
        plane = focal_plane(band)
        if (plane, detector) not in self.focal_plane_to_detector:
            raise BadInputError("GIP_SPAMOD", f"FOCAL_PLANE_TO_DETECTOR_{plane} of detector {detector:02d}")
        return self.msi_to_focal_plane[plane] @ self.focal_plane_to_detector[plane, detector]


@dataclass(frozen=True, slots=True)
class ViewingDirections:
    """GIP_VIEDIR of one band: tan(psi_x), tan(psi_y) of every column, by TDI configuration and detector, (2, n)."""

    satellite: str
    band: str
    directions: dict[str, dict[int, Floats]]

    @classmethod
    def read(cls, file: Path) -> ViewingDirections:
        """From a GIP_VIEDIR file."""
        root = Fields.read(file, "GS2_VIEWING_DIRECTIONS")
        data = root.one("DATA")
        band = BANDS[data.integer("BAND_ID", 0, len(BANDS) - 1)].name
        lists = {entry.attribute("tdi_config"): _directions(entry) for entry in data.all("VIEWING_DIRECTIONS_LIST")}
        return cls(root.text("HEADER/SATELLITE"), band, lists)

    def of(self, detector: int, tdi: str | None) -> Floats:
        """Directions of a detector, (2, n): those of the TDI configuration ``tdi`` where the band has several."""
        chosen = next(iter(self.directions.values())) if len(self.directions) == 1 else self.directions.get(tdi or "")
        if chosen is None:
            expected = f"one of {', '.join(self.directions)} as TDI configuration of {self.band}"
            raise BadInputError("datastrip, TDI_Configuration_List", expected, tdi)
        if detector not in chosen:
            raise BadInputError(f"GIP_VIEDIR of {self.band}", f"VIEWING_DIRECTIONS of detector {detector:02d}")
        return chosen[detector]


def _directions(entry: Fields) -> dict[int, Floats]:
    found: dict[int, Floats] = {}
    for detector in entry.all("VIEWING_DIRECTIONS"):
        count = detector.integer("NB_OF_PIXELS", 2, 10_000)
        found[_detector(detector)] = tangents(detector, count)
    return found


def tangents(entry: Fields, count: int) -> Floats:
    """TAN_PSI_X_LIST and TAN_PSI_Y_LIST of ``count`` columns, (2, count): below 1, and columns in one order across."""
    both = np.stack([entry.numbers(f"TAN_PSI_{axis}_LIST", count) for axis in "XY"])
    if np.abs(both).max() >= 1.0:
        raise entry.refuse("tangents of less than 1 either way", float(np.abs(both).max()))
    steps = np.diff(both[0])
    if not (np.all(steps > 0.0) or np.all(steps < 0.0)):
        raise entry.refuse("a TAN_PSI_X_LIST that only rises or only falls")
    return both


def _detector(entry: Fields) -> int:
    number = entry.attribute("detector_id")
    if not number.isascii() or not number.isdigit() or int(number[:4]) not in DETECTORS:
        raise entry.refuse("a detector_id from 01 to 12", number)
    return int(number)
