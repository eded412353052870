"""The spectral responses as 6S takes them: for the scripts beside this, which make the tables.

The table was made for 2A and 2B with the responses that Py6S carries (every 2.5 nm), and ``card`` still takes those;
another satellite's are those of its sheet.
"""

from __future__ import annotations

import numpy as np
from responses import sheet  # type: ignore[import-not-found]  # beside this script

CARRIED = ("S2A", "S2B")
STEP_NM = 2.5
"""Step of the wavelengths that 6S sums over."""

Response = tuple[float, float, list[float]]
"""First and last wavelength in micrometres, values at equal steps between them."""


def response(satellite: str, band: str) -> Response:
    """The response as it is known: every 2.5 nm where Py6S has it, every nanometre where a sheet has."""
    if satellite not in CARRIED:
        nanometres, values = zip(*sheet(satellite)[band], strict=True)
        return nanometres[0] / 1000, nanometres[-1] / 1000, list(values)
    lines = carried(satellite, band).splitlines()
    low, high = (float(word) for word in lines[1].split()[:2])
    return low, high, [float(word) for word in " ".join(lines[2:]).split()]


def centre_nm(satellite: str, band: str) -> float:
    """Mean wavelength, weighted by the response."""
    low, high, values = response(satellite, band)
    return float(np.average(np.linspace(low, high, len(values)), weights=values) * 1000)


def card(satellite: str, band: str) -> str:
    """The response as 6S reads it: a line of its own, limits in micrometres, values every 2.5 nm."""
    if satellite in CARRIED:
        return carried(satellite, band)
    first, values = resampled(sheet(satellite)[band])
    last = first + STEP_NM * (len(values) - 1)
    return f"1\n{first / 1000:.4f} {last / 1000:.4f}\n" + "\n".join(f"{value:.6f}" for value in values) + "\n"


def resampled(rows: list[tuple[int, float]]) -> tuple[float, list[float]]:
    """The first wavelength and the values, every 2.5 nm, of values at each nanometre.

    Each value is shared by its two neighbours in proportion to their nearness: sum and mean wavelength stay as they
    are, which they do not where narrow bands are only read off.
    """
    nanometres, values = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    below, part = np.divmod(nanometres / STEP_NM, 1)
    first = below.min()
    nodes = (below - first).astype(int)
    found = np.zeros(nodes.max() + 2)
    np.add.at(found, nodes, values * (1 - part) / STEP_NM)
    np.add.at(found, nodes + 1, values * part / STEP_NM)
    return float(first * STEP_NM), [float(value) for value in found]


def carried(satellite: str, band: str) -> str:
    """Py6S's card of a response."""
    from Py6S import PredefinedWavelengths, Wavelength  # type: ignore[import-not-found]  # not in the other script's venv

    text: str = Wavelength(getattr(PredefinedWavelengths, f"{satellite}_MSI_{band[1:]}"))[0]
    return text.strip() + "\n"
