"""Elements of metadata against those of real products."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import numpy as np
import pytest

from functions.ipf.safe import elements
from shared.msi.spectra import irradiances

if TYPE_CHECKING:
    from pathlib import Path

REAL = {
    "S2A": "l2a_safe/*/MTD_MSIL2A.xml",
    "S2B": "l1c_datastrip/*/S2B_OPER_MTD_L1C_DS*.xml",
}


@pytest.mark.parametrize("satellite", sorted(REAL))
def test_bands_are_described_as_in_a_real_product(real_data: Path, satellite: str) -> None:
    root = ET.parse(next(real_data.glob(REAL[satellite]))).getroot()
    theirs = {e.get("bandId"): e for e in root.iter("Spectral_Information") if e.find("Wavelength") is not None}
    ours = elements.spectral_information(satellite)
    assert [e.get("bandId") for e in ours] == list(theirs)
    for mine in ours:
        real = theirs[mine.get("bandId")]
        assert [e.tag for e in mine.iter()] == [e.tag for e in real.iter()]
        assert mine.attrib == real.attrib
        for place in ("RESOLUTION", "Wavelength/MIN", "Wavelength/MAX", "Wavelength/CENTRAL", "Spectral_Response/STEP"):
            assert float(mine.findtext(place, "")) == float(real.findtext(place, "")), place
        values = [np.array(e.findtext("Spectral_Response/VALUES", "").split(), float) for e in (mine, real)]
        assert values[0] == pytest.approx(values[1], abs=0.008)
    stated = {e.get("bandId"): float(e.text or "") for e in root.iter("SOLAR_IRRADIANCE")}
    conversion = elements.reflectance_conversion(1.0, irradiances(satellite))
    assert {e.get("bandId"): float(e.text or "") for e in conversion.iter("SOLAR_IRRADIANCE")} == stated


def test_sentinel_2c_is_described_by_its_own_bands() -> None:
    bands = {e.get("physicalBand"): e for e in elements.spectral_information("S2C")}
    water = bands["B9"]
    low, high = (int(water.findtext(f"Wavelength/{end}", "")) for end in ("MIN", "MAX"))
    values = water.findtext("Spectral_Response/VALUES", "").split()
    assert water.findtext("Wavelength/CENTRAL") == "947.2"
    assert len(values) == high - low + 1
    assert values[941 - low] == "1"
