"""The instrument's geometry as one thing: viewing directions of all bands, and how it sits on its satellite.

Where no parameter files are given, a nominal instrument stands in: the focal plane of ``shared.msi.instrument``,
mounted without any angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import BadInputError
from shared.geometry.gipp import SpacecraftModel, ViewingDirections, focal_plane
from shared.msi.instrument import (
    BANDS,
    DETECTORS,
    NOMINAL_ALTITUDE_M,
    NOMINAL_GROUND_SPEED_M_S,
    Band,
    line_of_sight,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TDI_BANDS: Final = ("B03", "B04", "B11", "B12")
TDI: Final = "APPLIED"
"""The configuration in which our instrument takes the bands that have one."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What GIP_VIEDIR and GIP_SPAMOD say of one satellite's instrument.

    Attributes:
        viewing: of each band.
        spacecraft: the mounting.
        files: names of the parameter files; none where it is nominal.
    """

    viewing: tuple[ViewingDirections, ...]
    spacecraft: SpacecraftModel
    files: tuple[str, ...] = ()

    @classmethod
    def read(cls, viewing: Sequence[Path], spacecraft: Path) -> Instrument:
        """From parameter files, one GIP_VIEDIR for each of the 13 bands; BadInputError where one is absent."""
        directions = tuple(ViewingDirections.read(file) for file in viewing)
        missing = sorted({band.name for band in BANDS} - {each.band for each in directions})
        if missing:
            raise BadInputError("GIP_VIEDIR", "a file for each of the 13 bands", f"none for {', '.join(missing)}")
        names = tuple(sorted(file.name for file in (*viewing, spacecraft)))
        return cls(directions, SpacecraftModel.read(spacecraft), names)

    @classmethod
    def nominal(cls, satellite: str) -> Instrument:
        """Ours, for a satellite ``S2A`` to ``S2D``."""
        return _nominal(satellite)

    def columns(self, band: Band) -> int:
        """Columns that have a direction: those of a Level-1B image."""
        detectors = next(iter(self._of(band).directions.values()))
        return int(next(iter(detectors.values())).shape[1])

    def useful(self, band: Band) -> slice:
        """Which of the columns that a packet holds those are: the middle ones. GIP_BLINDP is not asked."""
        first = (band.width - self.columns(band)) // 2
        return slice(first, first + self.columns(band))

    def dating_lines(self, band: Band, detector: int) -> int:
        """Whole lines by which a detector and band starts before the nominal line 0, so that all see the same ground.

        A direction that looks ahead sees a place earlier: reckoned with nominal altitude and ground speed. What is
        left of a line stays as a shift between bands, which the sensor model describes exactly.
        """
        across, along = self._of(band).of(detector, TDI)
        looks = np.stack([along, -across, np.ones_like(along)])
        looks = self.spacecraft.piloting_to_msi @ self.spacecraft.detector_to_msi(band.name, detector) @ looks
        ahead_m = float(np.mean(looks[0] / looks[2])) * NOMINAL_ALTITUDE_M
        return round(ahead_m / (NOMINAL_GROUND_SPEED_M_S * band.line_period_ns * 1e-9))

    def first_lines(self, first_line_ns: int, detectors: Sequence[int]) -> dict[tuple[str, int], int]:
        """When line 0 of each (band name, detector) begins, GPS nanoseconds, by that of the nominal line 0."""
        return {
            (band.name, detector): first_line_ns - round(self.dating_lines(band, detector) * band.line_period_ns)
            for band in BANDS
            for detector in detectors
        }

    def _of(self, band: Band) -> ViewingDirections:
        return next(each for each in self.viewing if each.band == band.name)


@cache
def _nominal(satellite: str) -> Instrument:
    viewing = []
    for band in BANDS:
        columns = np.arange(band.width, dtype=np.float64) + 0.5
        seen = {detector: np.stack(line_of_sight(detector, band, columns)) for detector in DETECTORS}
        viewing.append(ViewingDirections(satellite, band.name, {"": seen}))
    still = np.eye(3)
    planes = {focal_plane(band.name): still for band in BANDS}
    detectors = {(plane, detector): still for plane in planes for detector in DETECTORS}
    return Instrument(tuple(viewing), SpacecraftModel(satellite, still, planes, detectors))
