"""What a datastrip adds to the physical model: ESA's geometric refining, and the display model of its quicklook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.geometry.fields import Fields
from shared.geometry.gipp import tangents

if TYPE_CHECKING:
    from shared.geometry.frames import Floats

_INFO: Final = "Image_Data_Info/Geometric_Info"
_QUICKLOOK: Final = "Quality_Indicators_Info/Quicklook_Info"


@dataclass(frozen=True, slots=True)
class Polynomials:
    """Three polynomials of time (seconds from the middle of the datastrip), ascending coefficients; () is zero."""

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    z: tuple[float, ...] = ()

    @classmethod
    def read(cls, of: Fields | None) -> Polynomials:
        """From an element with X, Y, Z; zero where there is none."""
        if of is None:
            return cls()
        axes = [of.find(axis) for axis in "XYZ"]
        return cls(
            *(
                () if axis is None else tuple(axis.numbers("COEFFICIENTS", axis.integer("DEGREE", 0, 20) + 1).tolist())
                for axis in axes
            )
        )

    def at(self, seconds: Floats) -> Floats:
        """Values at times, shape (..., 3)."""
        times = np.asarray(seconds, dtype=np.float64)
        parts = [np.polynomial.polynomial.polyval(times, part or (0.0,)) for part in (self.x, self.y, self.z)]
        return np.stack([np.broadcast_to(part, times.shape) for part in parts], -1)

    def __bool__(self) -> bool:
        """Whether there is any coefficient."""
        return bool(self.x or self.y or self.z)


@dataclass(frozen=True, slots=True)
class Correction:
    """One rotation (radians) and homothety (of which only z is used) of the refining."""

    rotation: Polynomials = Polynomials()
    homothety: Polynomials = Polynomials()

    @classmethod
    def read(cls, state: Fields) -> Correction:
        """From MSI_State or Focal_Plane_State."""
        return cls(Polynomials.read(state.find("Rotation")), Polynomials.read(state.find("Homothety")))


@dataclass(frozen=True, slots=True)
class Refining:
    """What the geometric refining of ESA adds to the model: see ``docs/processors.md`` for frames and signs.

    Attributes:
        position: of the spacecraft, metres in the local orbital frame.
        msi: between piloting frame and instrument.
        focal_planes: between instrument and focal plane, by ``VNIR`` and ``SWIR``.
    """

    position: Polynomials = Polynomials()
    msi: Correction = Correction()
    focal_planes: dict[str, Correction] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Fields) -> Refining | None:
        """The refining of a datastrip's metadata; None where it was not refined."""
        flag = root.find(f"{_INFO}/Image_Refining")
        if flag is None or flag.attribute("flag") != "REFINED":
            return None
        position, msi = Polynomials(), Correction()
        planes: dict[str, Correction] = {}
        for entry in root.all(f"{_INFO}/Refined_Corrections_List/Refined_Corrections"):
            position = Polynomials.read(entry.find("Spacecraft_Position")) or position
            if (state := entry.find("MSI_State")) is not None:
                msi = Correction.read(state)
            if entry.find("Focal_Plane_State") is not None:
                states = entry.all("Focal_Plane_State")
                planes |= {state.attribute("focalPlaneId"): Correction.read(state) for state in states}
        return cls(position, msi, planes)


@dataclass(frozen=True, slots=True)
class Quicklook:
    """The display model of a Level-0 datastrip's quicklook: its own dating, viewing directions and mounting.

    It stands in the metadata itself, so that a quicklook can be located without any parameter file.
    """

    first_line_ns: int
    line_period_ns: float
    lines: int
    tan_psi: Floats
    piloting_to_msi: Fields

    @classmethod
    def read(cls, root: Fields) -> Quicklook | None:
        """From a datastrip's metadata; None where there is none."""
        info = root.find(_QUICKLOOK)
        model = None if info is None else info.find("Display_Geometric_Model")
        if info is None or model is None:
            return None
        period = model.number("Datation_Model/TE", lambda ms: 1.0 < ms < 1000.0, "1 to 1000 ms")
        model.unit("Datation_Model/TE", "ms")
        dated = model.integer("Datation_Model/L0", 0, 1_000_000)
        count = model.integer("Viewing_Directions/NB_OF_PIXELS", 2, 100_000)
        return cls(
            model.instant("Datation_Model/T0") - round(dated * period * 1e6),
            period * 1e6,
            info.integer("Image_Size/NROWS", 1, 1_000_000),
            tangents(model.one("Viewing_Directions"), count),
            model.one("Piloting_To_Msi_Frame"),
        )
