"""Scene classification at 20 m from TOA reflectance.

The classes are those of Sentinel-2 L2A products. Clouds are found by the model of s2cloudless (``clouds.py``) at 60 m,
with the brightness and cirrus tests of the published algorithm (Louis et al., 2016, "Sentinel-2 Sen2Cor: L2A processor
for users", ESA SP-740; its ATBD, S2-PDGS-MPC-ATBD-L2A) for opaque and thin ones. What is not cloud is told apart by
that algorithm's ramps over snow index, vegetation index and band ratios. No climatology or land cover is used.
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
    Classes: TypeAlias = NDArray[np.uint8]


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

MEDIUM, HIGH = 0.4, 0.65
"""Probabilities from which a pixel is cloud: the model's own threshold, and that of the published algorithm."""

CIRRUS_LOW, CIRRUS_HIGH = 0.012, 0.035
"""Reflectance in B10 from which there is thin cirrus, and from which it is thick cloud (published algorithm)."""

GROUND_BANDS: Final = ("B02", "B03", "B04", "B8A", "B11")
"""What ``ground_classes`` needs, at 20 m."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Classes of what is seen, clouds apart; the probability of snow, and that of cloud by brightness and colour."""

    classes: Classes
    snow: Floats32
    bright: Floats32


def ramp(values: Floats32, low: float, high: float) -> Floats32:
    """0 up to ``low``, 1 from ``high``, linear between."""
    return np.asarray(np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)


def ground_classes(toa: Mapping[str, Floats32]) -> Ground:
    """Classes by reflectance alone, pixel by pixel, from ``GROUND_BANDS``."""
    blue, green, red, nir, swir = (toa[name] for name in GROUND_BANDS)
    vegetation = index(nir, red)
    wetness = index(green, swir)
    blue_red = np.asarray(blue / np.maximum(red, np.float32(1e-3)), np.float32)
    snow = ramp(wetness, 0.20, 0.42) * ramp(nir, 0.15, 0.35) * ramp(blue, 0.18, 0.22) * ramp(blue_red, 0.85, 0.95)
    blue_swir = np.asarray(blue / np.maximum(swir, np.float32(1e-3)), np.float32)
    nir_swir = np.asarray(nir / np.maximum(swir, np.float32(1e-3)), np.float32)
    nir_green = np.asarray(nir / np.maximum(green, np.float32(1e-3)), np.float32)
    bright = ramp(red, 0.07, 0.25) * ramp(wetness, -0.24, -0.16) * (1 - ramp(vegetation, 0.36, 0.40))
    bright *= (1 - ramp(nir_green, 1.5, 2.5)) * ramp(blue_swir, 0.55, 0.80) * ramp(nir_swir, 0.90, 1.10) * (1 - snow)

    classes = np.full(red.shape, SceneClass.UNCLASSIFIED, np.uint8)
    classes[(blue_swir < 0.80) | ((vegetation < 0.36) & (swir >= 0.10))] = SceneClass.NOT_VEGETATED
    classes[(nir < 0.12) & (red < 0.12) & (swir < 0.10)] = SceneClass.DARK_FEATURE_SHADOW
    classes[(vegetation >= 0.40) | ((nir_green >= 2.0) & (vegetation >= 0.36))] = SceneClass.VEGETATION
    wet = (nir < 0.20) & (swir < 0.08) & (vegetation < 0.20) & (nir < green * np.float32(1.1))
    classes[wet & (blue_swir > 2.0)] = SceneClass.WATER
    classes[snow >= 0.5] = SceneClass.SNOW_ICE
    return Ground(classes, snow, bright)


def with_clouds(
    ground: Ground, probability: Floats32, cirrus: Floats32, low: Mask | None = None
) -> tuple[Classes, Floats32]:
    """Classes with clouds, and the probability of cloud.

    Args:
        ground: of the block.
        probability: of cloud by the model, at 20 m.
        cirrus: TOA reflectance in B10, at 20 m.
        low: ground that is known to lie so low that snow on it is dark in B10.

    The model's probability rules, over snow as well; bright white ground that it is unsure of (from 0.25) counts as
    medium. B10, where low ground is dark, tells thin cirrus and thick high cloud; over snow, which shines there where
    the air is dry, on low ground only. Clouds of ice are as snow in all other bands.
    """
    cloud = np.where((ground.bright >= HIGH) & (probability >= 0.25), np.maximum(probability, MEDIUM), probability)
    classes = ground.classes.copy()
    snow = classes == SceneClass.SNOW_ICE
    if low is not None:
        snow &= ~(low & (cirrus > CIRRUS_HIGH))
    thin = (cirrus > CIRRUS_LOW) & (cloud < HIGH) & ~snow & (ground.bright < 0.5)
    classes[thin] = SceneClass.THIN_CIRRUS
    classes[(cloud >= MEDIUM) & ~thin] = SceneClass.CLOUD_MEDIUM_PROBA
    classes[(cirrus > CIRRUS_HIGH) & ~snow] = SceneClass.CLOUD_MEDIUM_PROBA
    classes[cloud >= HIGH] = SceneClass.CLOUD_HIGH_PROBA
    return classes, np.asarray(cloud, np.float32)


def index(a: Floats32, b: Floats32) -> Floats32:
    """(a - b) / (a + b)."""
    return np.asarray((a - b) / np.maximum(a + b, np.float32(1e-3)), np.float32)


def smoothed(probability: Floats32, valid: Mask) -> Floats32:
    """The model's probability averaged over a disc of two pixels' radius, as its authors do before the threshold."""
    disc = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), np.float32)
    weight = cv2.filter2D(valid.astype(np.float32), cv2.CV_32F, disc, borderType=cv2.BORDER_REFLECT)
    total = cv2.filter2D(np.where(valid, probability, np.float32(0)), cv2.CV_32F, disc, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.where(valid, total / np.maximum(weight, np.float32(1)), np.float32(0)), np.float32)


def percent(probability: Floats32, valid: Mask) -> Classes:
    """A probability as whole percent, 0 where there is no data."""
    return np.where(valid, np.rint(np.clip(probability, 0, 1) * 100), 0).astype(np.uint8)
