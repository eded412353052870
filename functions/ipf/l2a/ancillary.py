"""Forecasts of aerosol (CAMS) and weather (ECMWF) that a product or an auxiliary folder brings, as GRIB files.

Fields are found by their GRIB parameter: 207.210 aerosol optical depth at 550 nm, 137.128 water vapour column, 206.128
ozone column, 151.128 pressure at mean sea level, 129 geopotential of the forecast's ground. Units are those of ECMWF's
parameter database.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from shared.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

PATTERNS: Final = ("AUX_CAMS*", "AUX_ECMWF*", "z_cams*", "S2D*")
"""Names of such files, in an L1C granule's AUX_DATA and in auxiliary folders."""

_ELEMENTS: Final = {
    "aot": re.compile(r"var207 of table 210\b|TAOD550|aod550", re.IGNORECASE),
    "water": re.compile(r"PWC|TCWV", re.IGNORECASE),
    "ozone": re.compile(r"TCO3|GTCO3", re.IGNORECASE),
    "pressure": re.compile(r"MSL|PRMSL", re.IGNORECASE),
    "geopotential": re.compile(r"Z", re.IGNORECASE),
}
_LIMITS: Final = {
    "aot": (0.0, 10.0),
    "water": (0.0, 100.0),
    "ozone": (0.001, 0.02),
    "pressure": (85_000.0, 110_000.0),
    "geopotential": (-10_000.0, 90_000.0),
}
_KG_PER_ATM_CM: Final = 21.4151e-3
"""Ozone: kg/m2 in one atm-cm (1000 Dobson units)."""
_GRAVITY: Final = 9.80665
_EVEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Field:
    """One field on longitudes and latitudes, both ascending, degrees."""

    lon: Floats
    lat: Floats
    values: Floats

    def at(self, lon: Floats, lat: Floats) -> Floats:
        """Bilinear values; beyond the field those of its edge."""
        turned = (lon - self.lon[0] + 1.0) % 360.0 + self.lon[0] - 1.0
        x, y = (_place(axis, to) for axis, to in ((self.lon, turned), (self.lat, lat)))
        (i, f), (j, g) = x, y
        upper = self.values[j, i] * (1 - f) + self.values[j, i + 1] * f
        lower = self.values[j + 1, i] * (1 - f) + self.values[j + 1, i + 1] * f
        return np.asarray(upper * (1 - g) + lower * g, np.float64)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The fields that there are: aerosol at 550 nm, the forecast ground's altitude in m, water in cm, ozone in cm-atm,
    pressure at sea level in hPa.
    """

    aot: Field | None = None
    ground_m: Field | None = None
    water_cm: Field | None = None
    ozone_cm_atm: Field | None = None
    sea_level_hpa: Field | None = None
    files: tuple[str, ...] = ()


def _place(axis: Floats, at: Floats) -> tuple[NDArray[np.intp], Floats]:
    held = np.clip(at, axis[0], axis[-1])
    node = np.clip(np.searchsorted(axis, held, side="right") - 1, 0, len(axis) - 2)
    return node, (held - axis[node]) / (axis[node + 1] - axis[node])


def forecast_files(folders: Iterable[Path]) -> list[Path]:
    """Files named as forecasts among these and below these folders; headers (.HDR, .xml) are none."""
    found: list[Path] = []
    for folder in folders:
        inside = (p for pattern in PATTERNS for p in sorted(folder.rglob(pattern))) if folder.is_dir() else (folder,)
        found += [path for path in inside if path.is_file() and path.suffix.lower() not in (".hdr", ".xml")]
    return list(dict.fromkeys(found))


def read_forecast(files: Iterable[Path], when: datetime | None = None, refused: list[str] | None = None) -> Forecast:
    """The fields in these files at a time (UTC): linear between the two messages around it, the nearest one where it
    lies outside of all; of messages of one time the first, as of all where no time is given.

    BadInputError for a file that is no GRIB, or whose values cannot be; where ``refused`` is given, it takes the
    sentence, and the forecast is made of the others.
    """
    messages: defaultdict[str, list[_Message]] = defaultdict(list)
    found: dict[str, Field] = {}
    used: list[str] = []
    for path in files:
        with _noting(refused):
            for message in _messages(path):
                messages[message.kind].append(message)
    for kind, given in messages.items():
        with _noting(refused):
            found[kind] = _at_time(given, when)
            used += [message.path.name for message in given]
    scaled = {
        "aot": found.get("aot"),
        "ground_m": _scaled(found.get("geopotential"), 1 / _GRAVITY),
        "water_cm": _scaled(found.get("water"), 0.1),
        "ozone_cm_atm": _scaled(found.get("ozone"), 1 / _KG_PER_ATM_CM),
        "sea_level_hpa": _scaled(found.get("pressure"), 0.01),
    }
    return Forecast(**scaled, files=tuple(dict.fromkeys(used)))


def _scaled(field: Field | None, factor: float) -> Field | None:
    return None if field is None else Field(field.lon, field.lat, field.values * factor)


@contextmanager
def _noting(refused: list[str] | None) -> Iterator[None]:
    try:
        yield
    except BadInputError as error:
        if refused is None:
            raise
        refused.append(str(error))


@dataclass(frozen=True, slots=True)
class _Message:
    """One message of a GRIB: its number in the file, what it is, from when it holds (seconds since 1970)."""

    path: Path
    index: int
    kind: str
    valid_s: float


@contextmanager
def _opened(path: Path) -> Iterator[rasterio.DatasetReader]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver="GRIB") as file:
                yield file
    except RasterioError as error:
        raise BadInputError(str(path), "a GRIB file that GDAL reads", str(error)) from None


def _messages(path: Path) -> list[_Message]:
    with _opened(path) as file:
        told = [(index, file.tags(index)) for index in file.indexes]
    return [
        _Message(path, index, kind, _seconds(tags.get("GRIB_VALID_TIME", "")))
        for index, tags in told
        for kind, element in _ELEMENTS.items()
        if element.fullmatch(_element(tags.get("GRIB_ELEMENT", "")))
        # Geopotential is told for levels of pressure, too.
        and (kind != "geopotential" or tags.get("GRIB_SHORT_NAME", "").endswith("-SFC"))
    ]


def _seconds(text: str) -> float:
    """GRIB_VALID_TIME, which GDAL writes as ``1664970840`` or ``1664970840 sec UTC``; 0 where there is none."""
    found = re.match(r"-?\d{1,12}", text.strip(), re.ASCII)
    return float(found[0]) if found else 0.0


def _at_time(messages: Sequence[_Message], when: datetime | None) -> Field:
    first = {message.valid_s: message for message in reversed(messages)}
    times = sorted(first)
    if when is None:
        return _read(messages[0])
    before, after, weight = around(times, when.timestamp())
    low = _read(first[before])
    if not weight:
        return low
    high = _read(first[after])
    if low.values.shape != high.values.shape:
        return low if weight <= _EVEN else high
    return Field(low.lon, low.lat, low.values * (1 - weight) + high.values * weight)


def around(times: Sequence[float], when: float) -> tuple[float, float, float]:
    """The ascending times before and after ``when``, and the weight of the latter; the nearest one twice, and 0, where
    it lies outside of all.
    """
    after = next((number for number, time in enumerate(times) if time > when), len(times))
    if after in (0, len(times)):
        nearest = times[0] if after == 0 else times[-1]
        return nearest, nearest, 0.0
    low, high = times[after - 1], times[after]
    return low, high, (when - low) / (high - low)


def _read(message: _Message) -> Field:
    with _opened(message.path) as file:
        return _field(message.path, file, message.index, message.kind)


def _element(text: str) -> str:
    """GRIB_ELEMENT without the centre's name."""
    return text.split(" of center", maxsplit=1)[0].strip()


def _field(path: Path, file: rasterio.DatasetReader, index: int, name: str) -> Field:
    transform = file.transform
    if transform.b or transform.d or transform.a <= 0 or transform.e == 0 or min(file.shape) < 2:
        raise BadInputError(f"{path}, message {index}", "a grid of longitude and latitude, 2 x 2 or more", file.shape)
    values = np.asarray(file.read(index), np.float64)
    low, high = _LIMITS[name]
    if not (np.isfinite(values) & (values >= low) & (values <= high)).all():
        raise BadInputError(
            f"{path}, message {index}, {name}", f"values of {low} to {high}", (values.min(), values.max())
        )
    lon = transform.c + (np.arange(file.width) + 0.5) * transform.a
    lat = transform.f + (np.arange(file.height) + 0.5) * transform.e
    return Field(lon, lat[::-1], values[::-1]) if transform.e < 0 else Field(lon, lat, values)
