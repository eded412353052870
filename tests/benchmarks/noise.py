"""How true a Level-1C tile is where the instrument has noise: the session in, the tile out, against the scene.

    .venv/bin/python -m tests.benchmarks.noise [counts]

One scene of one detector is taken to Level-1C twice, without noise and with noise of so many counts (standard
deviation, 2 where none is given). For each band the root mean square of reflectance less the scene's is printed, and
the bound: the noise of one sample, and beside it what rounding and resampling make without any. Ends with 1 where a
band is above it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.l1c.process import process as l1c
from functions.ipf.safe.jp2 import read_window
from shared.msi.earth import earth_sun_u
from shared.msi.instrument import BANDS, Band
from shared.msi.radiometry import counts_per_reflectance
from shared.rehearsal.flight import Flight
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.scene import Atmosphere, toa_reflectance
from tests.integration.ipf.conftest import DATATAKE, TILE, make_level0, write_order
from tests.integration.ipf.test_truth import TILE as PLACE
from tests.integration.ipf.test_truth import sampled

SCENE = ProceduralLandscape()


def made(root: Path, noise_dn: float) -> Flight:
    """Level 0 to Level-1C below ``root``."""
    root.mkdir()
    flight = make_level0(root, DATATAKE, SCENE, noise_dn=noise_dn)
    inputs = {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": [root / "gr"]}
    outputs = {"L1B_WORKING": root / "working", "TILE_LIST_FILE": root / "tiles.xml"}
    run_processor("S2PS-L1B", "test", l1b, [str(write_order(root / "l1b.xml", inputs, outputs))])
    order = write_order(root / "l1c.xml", {"L1B_WORKING": [root / "working"]}, {"MSI_L1C_TL": root / "l1c"}, TILE=TILE)
    run_processor("S2PS-L1C", "test", l1c, [str(order)])
    return flight


def error(root: Path, band: Band, flight: Flight) -> float:
    """Root mean square of reflectance less the scene's."""
    (image,) = root.glob(f"l1c/*.SAFE/GRANULE/*/IMG_DATA/*_{band.name}.jp2")
    counts, x, y = sampled(read_window(image), band)
    wanted = toa_reflectance(SCENE, band, PLACE.epsg, x, y, sun_zenith_deg=flight.sun_zenith_deg, air=Atmosphere())
    return float(np.sqrt((((counts - 1000) / 10_000 - wanted) ** 2).mean()))


def main() -> int:
    """Print a line for each band."""
    noise = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    above = 0
    with tempfile.TemporaryDirectory() as folder:
        clean, noisy = Path(folder) / "clean", Path(folder) / "noisy"
        flight = made(clean, 0.0)
        made(noisy, noise)
        print("| band | noise of a sample | RMS without noise | RMS with it | bound |\n|---|---|---|---|---|")
        for band in BANDS:
            scale = counts_per_reflectance(band, flight.sun_zenith_deg, earth_sun_u(flight.first_line_ns))
            sigma, plain, seen = noise / float(scale), error(clean, band, flight), error(noisy, band, flight)
            bound = float(np.hypot(sigma, plain))
            above += seen > bound
            print(f"| {band.name} | {sigma:.5f} | {plain:.5f} | {seen:.5f} | {bound:.5f} |")
    return int(above > 0)


if __name__ == "__main__":
    raise SystemExit(main())
