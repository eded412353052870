"""Thin cirrus over known ground: what B10 shows of it is taken from the other bands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.ipf.l2a.air import Sky
from functions.ipf.l2a.images import Bench, Scaling
from functions.ipf.l2a.steps import CIRRUS_BANDS, Recipe, cirrus_map, correction
from shared.msi.atmosphere import Air, Sight, apply_forward, coefficients_at
from shared.msi.instrument import BANDS

SHAPE, GROUND = (40, 40), 0.25


def even(value: float) -> NDArray[np.float64]:
    return np.full((2, 2), value)


SKY = Sky(even(40.0), even(150.0), {band.name: (even(6.0), even(100.0)) for band in BANDS})
SCALING = Scaling(10_000.0, {band.name: -1000.0 for band in BANDS})


@dataclass
class Held:
    """The maps of a scratch folder, in memory."""

    cirrus: float
    maps: dict[str, NDArray[Any]] = field(default_factory=dict)

    def load(self, name: str) -> NDArray[Any]:
        if name in self.maps:
            return self.maps[name]
        constant = {"AOT": 0.1, "WVP": 1.5, "altitude": 0.0}
        return np.full(SHAPE, constant[name]) if name in constant else self.counts(name.partition("_")[0])

    def counts(self, band: str) -> NDArray[np.uint16]:
        at = coefficients_at(band, Sight(40.0, 6.0, 50.0), Air(0.1, 1.5))
        seen = apply_forward(np.full(SHAPE, GROUND), at) + self.cirrus
        return np.asarray(np.rint(seen * 10_000 + 1000), np.uint16)


def surface(band: str, cirrus: float, *, corrected: bool) -> float:
    """The mean surface reflectance that is found of ``GROUND`` under a cirrus that is white."""
    held = Held(cirrus)
    bench = cast("Bench", held)
    recipe = Recipe("S2A", SCALING, SKY, 0.33, relief=False, cirrus=corrected, adjacency=False)
    held.maps["cirrus"] = cirrus_map(bench, recipe)
    return float(correction(bench, band, recipe).reflectance(held.counts(band)).mean())


@pytest.mark.parametrize("band", ["B01", "B02", "B04", "B08", "B8A"])
@pytest.mark.parametrize("cirrus", [0.015, 0.03])
def test_what_cirrus_adds_is_taken_away(band: str, cirrus: float) -> None:
    assert surface(band, cirrus, corrected=True) == pytest.approx(GROUND, abs=0.001)
    assert surface(band, cirrus, corrected=False) - GROUND > 0.8 * cirrus


@pytest.mark.parametrize("cirrus", [0.0, 0.005])
def test_where_b10_is_dark_nothing_is_taken(cirrus: float) -> None:
    assert surface("B02", cirrus, corrected=True) == surface("B02", cirrus, corrected=False)


def test_beyond_one_micrometre_ice_absorbs_and_bands_are_left() -> None:
    assert not {"B11", "B12"} & set(CIRRUS_BANDS)
    assert surface("B11", 0.03, corrected=True) == surface("B11", 0.03, corrected=False)
