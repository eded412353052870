"""What metadata says of each satellite's bands."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.spectra import irradiances, spectra


@pytest.mark.parametrize("satellite", ["S2A", "S2B", "S2C", "S2D"])
def test_centres_are_those_of_the_responses(satellite: str) -> None:
    for name, band in spectra(satellite).items():
        nanometres = np.arange(band.first_nm, band.last_nm + 1)
        assert np.average(nanometres, weights=band.response) == pytest.approx(band.centre_nm, abs=0.08), name
        assert max(band.response) == pytest.approx(1, abs=0.001), name


def test_sentinel_2a_is_the_instrument_whose_constants_all_counts_are_made_with() -> None:
    found = spectra("S2A")
    for band in BANDS:
        own = found[band.name]
        assert [own.first_nm, own.last_nm] == list(band.limits_nm)
        assert own.centre_nm == band.wavelength_nm
        assert own.solar_irradiance == band.solar_irradiance


def test_irradiances_follow_the_centres() -> None:
    """Where a band lies between those of two satellites, so does its light; B12 of 2C is nearer 2B than 2A."""
    a, b, c = (irradiances(name) for name in ("S2A", "S2B", "S2C"))
    assert a["B12"] < c["B12"] < b["B12"]
    for band in BANDS:
        assert c[band.name] == pytest.approx(a[band.name], rel=0.02)
    assert irradiances("S2D") == c


def test_another_satellite_is_named() -> None:
    with pytest.raises(BadInputError, match="satellite: expected one of S2A, S2B, S2C, S2D"):
        spectra("S2E")
