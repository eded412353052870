"""Scene classification at 20 m by spectral tests on TOA reflectance.

The classes are those of Sentinel-2 L2A products; the tests follow the published algorithm of its scene classification
(Louis et al., 2016, "Sentinel-2 Sen2Cor: L2A processor for users", ESA SP-740) in a shortened form: ramps of
brightness, snow index, vegetation index and the blue to SWIR ratio multiply to a cloud probability; what is left is
told apart by indices. Cloud shadow is dark ground where the clouds' shadows fall for heights of 0.6 to 6 km.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

_CLOUD_HEIGHTS_M: Final = tuple(range(600, 6001, 300))
_SHADOW_STEP_PX: Final = 6


class SceneClass(IntEnum):
    """Values of the SCL image; names as in the product metadata, without their SC prefix."""

    NODATA = 0
    SATURATED_DEFECTIVE = 1
    DARK_FEATURE_SHADOW = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    NOT_VEGETATED = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM_PROBA = 8
    CLOUD_HIGH_PROBA = 9
    THIN_CIRRUS = 10
    SNOW_ICE = 11


CLOUDS: Final = (SceneClass.CLOUD_MEDIUM_PROBA, SceneClass.CLOUD_HIGH_PROBA, SceneClass.THIN_CIRRUS)
NOT_CLEAR: Final = (
    SceneClass.NODATA,
    SceneClass.SATURATED_DEFECTIVE,
    SceneClass.CLOUD_SHADOW,
    SceneClass.WATER,
    *CLOUDS,
    SceneClass.SNOW_ICE,
)
"""Classes whose pixels give neither water vapour nor aerosol."""


@dataclass(frozen=True, slots=True)
class Classified:
    """Classes and the probabilities of cloud and snow in percent, uint8, one shape."""

    classes: NDArray[np.uint8]
    cloud: NDArray[np.uint8]
    snow: NDArray[np.uint8]


def ramp(values: Floats32, low: float, high: float) -> Floats32:
    """0 up to ``low``, 1 from ``high``, linear between."""
    return np.asarray(np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)


def classify(
    toa: Mapping[str, Floats32], valid: Mask, saturated: Mask, sun_zenith_deg: float, sun_azimuth_deg: float
) -> Classified:
    """Classify a block.

    Args:
        toa: TOA reflectance at 20 m of B02, B03, B04, B8A, B10, B11, all of one shape.
        valid: pixels that have data in all bands.
        saturated: pixels saturated in any band.
        sun_zenith_deg: the tile's mean; with ``sun_azimuth_deg`` it places the shadows.
        sun_azimuth_deg: from north through east.
    """
    blue, green, red, nir, cirrus, swir = (toa[name] for name in ("B02", "B03", "B04", "B8A", "B10", "B11"))
    vegetation = _index(nir, red)
    wetness = _index(green, swir)
    snow = ramp(wetness, 0.20, 0.42) * ramp(nir, 0.15, 0.35) * ramp(blue, 0.18, 0.22)
    ratio = np.asarray(blue / np.maximum(swir, np.float32(1e-3)), np.float32)
    cloud = ramp(red, 0.07, 0.25) * (1 - snow) * (1 - ramp(vegetation, 0.36, 0.40)) * ramp(ratio, 0.55, 0.80)

    classes = np.full(valid.shape, SceneClass.UNCLASSIFIED, np.uint8)
    classes[vegetation < 0.36] = SceneClass.NOT_VEGETATED
    classes[(nir < 0.12) & (red < 0.12) & (swir < 0.10)] = SceneClass.DARK_FEATURE_SHADOW
    classes[vegetation >= 0.40] = SceneClass.VEGETATION
    classes[(_index(green, nir) > 0) & (swir < 0.06) & (vegetation < 0.20)] = SceneClass.WATER
    classes[(cirrus > 0.012) & (cloud < 0.65)] = SceneClass.THIN_CIRRUS
    classes[(cloud >= 0.35) | (cirrus > 0.035)] = SceneClass.CLOUD_MEDIUM_PROBA
    classes[cloud >= 0.65] = SceneClass.CLOUD_HIGH_PROBA
    classes[(snow >= 0.5) & (cirrus <= 0.035)] = SceneClass.SNOW_ICE

    cloudy = (classes == SceneClass.CLOUD_HIGH_PROBA) | (classes == SceneClass.CLOUD_MEDIUM_PROBA)
    dark = (nir < 0.14) & (swir < 0.14) & (classes != SceneClass.WATER)
    falls = shadow_zone(cloudy, sun_zenith_deg, sun_azimuth_deg)
    classes[falls & dark & ~cloudy] = SceneClass.CLOUD_SHADOW
    classes[saturated] = SceneClass.SATURATED_DEFECTIVE
    classes[~valid] = SceneClass.NODATA
    return Classified(classes, _percent(cloud, valid), _percent(snow, valid))


def shadow_zone(cloudy: Mask, sun_zenith_deg: float, sun_azimuth_deg: float) -> Mask:
    """Where shadows of clouds may fall: the mask moved away from the Sun for each height, in steps of 120 m."""
    rows, columns = cloudy.shape
    size = (-(-columns // _SHADOW_STEP_PX), -(-rows // _SHADOW_STEP_PX))
    small = np.asarray(cv2.resize(cloudy.astype(np.uint8), size, interpolation=cv2.INTER_AREA), np.uint8)
    zone = np.zeros(small.shape, np.uint8)
    reach = np.tan(np.radians(min(sun_zenith_deg, 80.0))) / (20.0 * _SHADOW_STEP_PX)
    for height in _CLOUD_HEIGHTS_M:
        right = -round(height * reach * np.sin(np.radians(sun_azimuth_deg)))
        down = round(height * reach * np.cos(np.radians(sun_azimuth_deg)))
        _or_shifted(zone, small, down, right)
    wide = cv2.dilate(zone, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(wide, (columns, rows), interpolation=cv2.INTER_NEAREST), np.uint8) > 0


def _or_shifted(into: NDArray[np.uint8], mask: NDArray[np.uint8], down: int, right: int) -> None:
    rows, columns = mask.shape
    if abs(down) >= rows or abs(right) >= columns:
        return
    to = into[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)]
    to |= mask[max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)]


def _index(a: Floats32, b: Floats32) -> Floats32:
    return np.asarray((a - b) / np.maximum(a + b, np.float32(1e-3)), np.float32)


def _percent(probability: Floats32, valid: Mask) -> NDArray[np.uint8]:
    return np.where(valid, np.rint(probability * 100), 0).astype(np.uint8)
