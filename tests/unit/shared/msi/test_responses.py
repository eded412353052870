"""Spectral responses: the sheet of Sentinel-2C, and its way into 6S and into the table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.msi.instrument import BANDS
from shared.msi.tables import responses

NAMES = [band.name for band in BANDS]
CENTRES_NM = (444.2, 489.0, 560.6, 666.5, 707.1, 741.1, 784.7, 834.6, 865.6, 947.2, 1372.2, 1612.0, 2191.3)
WIDTHS_NM = (21, 65, 36, 30, 15, 15, 20, 96, 20, 20, 33, 90, 183)
"""Wavelengths at which the response is half of the largest or more."""


@pytest.fixture(scope="module")
def cards() -> Iterator[Any]:
    """The module that the scripts beside it import, as they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(responses.__file__).parent))
        yield import_module("make_response_cards")
    for name in ("make_response_cards", "responses"):
        del sys.modules[name]


@pytest.mark.parametrize(("band", "centre", "width"), [*zip(NAMES, CENTRES_NM, WIDTHS_NM, strict=True)])
def test_the_sheet_has_every_band_at_its_place(cards: Any, band: str, centre: float, width: int) -> None:
    rows = responses.sheet("S2C")[band]
    values = np.array([value for _, value in rows])
    assert cards.centre_nm("S2C", band) == pytest.approx(centre, abs=0.06)
    assert values.max() == 1
    assert np.ptp(np.flatnonzero(values >= 0.5)) + 1 == width
    assert values[[0, -1]].max() < 0.013


def test_the_table_was_made_with_the_sheet(cards: Any) -> None:
    with np.load(str(files("shared.msi").joinpath("tables/atmosphere.npz")), allow_pickle=False) as table:
        made = table["wavelength_nm"][list(table["satellites"]).index("S2C")]
        bands = list(table["bands"])
    assert made == pytest.approx([cards.centre_nm("S2C", band) for band in bands], abs=1e-9)


def test_a_sheet_with_a_gap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path(responses.__file__).with_name("sentinel2c.txt").read_text("utf-8")
    (tmp_path / "sentinel2x.txt").write_text(whole.replace("B05,707,0.9869\n", ""), "utf-8")
    monkeypatch.setattr(responses, "__file__", str(tmp_path / "responses.py"))
    with pytest.raises(ValueError, match=r"sentinel2x\.txt, B05: expected a value at each nanometre"):
        responses.sheet("S2X")


@pytest.mark.parametrize("band", NAMES)
def test_steps_of_6s_keep_sum_and_mean_wavelength(cards: Any, band: str) -> None:
    rows = responses.sheet("S2C")[band]
    first, values = cards.resampled(rows)
    assert first % cards.STEP_NM == 0
    assert sum(values) * cards.STEP_NM == pytest.approx(sum(value for _, value in rows))
    mean = np.average(first + cards.STEP_NM * np.arange(len(values)), weights=values)
    assert mean == pytest.approx(cards.centre_nm("S2C", band))


def test_a_card_of_6s_has_limits_and_as_many_values(cards: Any) -> None:
    kind, limits, *values = cards.card("S2C", "B05").splitlines()
    low, high = (float(word) for word in limits.split())
    assert kind == "1"
    assert len(values) == round((high - low) / 0.0025) + 1
    assert low < 0.707 < high
