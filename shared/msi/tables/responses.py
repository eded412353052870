"""Spectral responses as ESA publishes them, and how they come into the scripts that make ``atmosphere.npz``.

``sentinel2a.txt`` to ``sentinel2c.txt`` are from ESA's Sentinel-2 Spectral Response Functions, COPE-GSEG-EOPG-TN-15-
0007 (2A and 2B: version 3.0 of 2017; 2C: version 4.0 of 2024, columns S2C_SR_AV_B1 to B12), a value at each nanometre:
of 2A and 2B between the limits that the metadata of their products state, of 2C from the first to the last value of
0.002 and more. A newer sheet is put in the place of one, or another satellite's beside them, as rows of band,
wavelength, response.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


@cache
def sheet(satellite: str) -> dict[str, list[tuple[int, float]]]:
    """By band its wavelengths in nm and values; ValueError where a nanometre or a band is missing."""
    path = Path(__file__).with_name(f"sentinel{satellite[1:].lower()}.txt")
    found: dict[str, list[tuple[int, float]]] = {band: [] for band in BANDS}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["band"]].append((int(row["wavelength_nm"]), float(row["response"])))
    for band, rows in found.items():
        if not rows or [nanometre for nanometre, _ in rows] != list(range(rows[0][0], rows[0][0] + len(rows))):
            message = f"{path.name}, {band}: expected a value at each nanometre"
            raise ValueError(message)
    return found
