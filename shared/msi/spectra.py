"""What each satellite's bands are, as metadata states it: response, limits, central wavelength, solar irradiance.

Responses and limits are those of ``tables.responses``. Centres and irradiances of Sentinel-2A and 2B are as the
metadata of their products state them. Of Sentinel-2C the centre is the mean wavelength, weighted by the response, which
is what 2A's and 2B's are. Its irradiances were not found in public: they are the mean of 2A's and 2B's, each times what
the spectrum of ASTM E-490 yields through 2C's response over what it yields through its own. Told so from 2A, those of
2B are within 0.06 % of what its products state; B07 is 0.5 % off, B12 0.2 %.

Sentinel-2D is taken as 2C. Counts do not depend on any of this: ``radiometry`` has one set of constants for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.tables.responses import sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

NEAREST: Final[Mapping[str, str]] = MappingProxyType({"S2D": "S2C"})
"""Satellites whose responses are not public, by what they are taken as: the one of the same build."""

NOTE: Final = (
    "Metadata: physical gains are those of Sentinel-2A for all; solar irradiances of Sentinel-2C are reckoned from 2A's"
    " and 2B's by its spectral responses; Sentinel-2D is taken as 2C."
)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One band of one satellite: response at each nanometre from ``first_nm`` on, centre in nanometres, irradiance at
    1 AU in W/m2/um.
    """

    first_nm: int
    response: tuple[float, ...]
    centre_nm: float
    solar_irradiance: float

    @property
    def last_nm(self) -> int:
        return self.first_nm + len(self.response) - 1


_CENTRES_NM: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "S2A": tuple(band.wavelength_nm for band in BANDS),
        "S2B": (442.3, 492.3, 559, 665, 703.8, 739.1, 779.7, 833, 864, 943.2, 1376.9, 1610.4, 2185.7),
        "S2C": (444.2, 489.0, 560.6, 666.5, 707.1, 741.1, 784.7, 834.6, 865.6, 947.2, 1372.2, 1612.0, 2191.3),
    }
)
_IRRADIANCES: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "S2A": tuple(band.solar_irradiance for band in BANDS),
        "S2B": (
            *(1874.3, 1959.75, 1824.93, 1512.79, 1425.78, 1291.13, 1175.57),
            *(1041.28, 953.93, 817.58, 365.41, 247.08, 87.75),
        ),
        "S2C": (
            *(1909.08, 1968.29, 1823.88, 1507.30, 1416.07, 1287.10, 1159.96),
            *(1037.04, 957.01, 808.38, 367.93, 246.34, 86.91),
        ),
    }
)


@cache
def spectra(satellite: str) -> Mapping[str, Spectrum]:
    """By band name, for ``S2A`` to ``S2D``; BadInputError for any other name."""
    known = NEAREST.get(satellite, satellite)
    if known not in _CENTRES_NM:
        raise BadInputError("satellite", f"one of {', '.join((*_CENTRES_NM, *NEAREST))}", satellite)
    found = {}
    for band, centre, irradiance in zip(BANDS, _CENTRES_NM[known], _IRRADIANCES[known], strict=True):
        nanometres, values = zip(*sheet(known)[band.name], strict=True)
        found[band.name] = Spectrum(nanometres[0], values, centre, irradiance)
    return MappingProxyType(found)


def irradiances(satellite: str) -> dict[str, float]:
    """By band name the solar irradiances alone."""
    return {name: spectrum.solar_irradiance for name, spectrum in spectra(satellite).items()}
