"""The picture of docs/processors.md: a real tile, and ours made of a session that was flown over it.

    .venv/bin/python -m tests.pictures.l1c_beside_real <L2A SAFE> docs/images/l1c_beside_real.jpg

Left the real product's true colour image at 60 m (surface reflectance), right that of our L1C tile (top of the
atmosphere), area means of 6 x 6 pixels: the same ground.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import rasterio
from pyproj import Transformer

from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.l1c.process import process as l1c
from shared.domain.names import CompactName
from shared.msi.tiling import tile
from shared.rehearsal.imagery import open_scene
from shared.rehearsal.plan import Datatake
from tests.integration.ipf.conftest import make_level0, write_order

SIDE = 320
GAP = 8


def main() -> None:
    """Fly, process, cut the same ground out of both."""
    safe, picture = Path(sys.argv[1]), Path(sys.argv[2])
    target = tile(CompactName.parse(safe.name).tile)
    (real,) = safe.glob("GRANULE/*/IMG_DATA/R60m/*_TCI_60m.jp2")
    with rasterio.open(real) as image:
        theirs = image.read()
    red, green, blue = theirs.astype(np.int16)
    land = ((green > blue) & (green < 140) & (red > 0)).astype(np.float32)
    around = cv2.boxFilter(land, -1, (SIDE + 80, SIDE + 80), borderType=cv2.BORDER_CONSTANT)
    row, column = np.unravel_index(int(np.argmax(around)), around.shape)  # the clearest piece of land
    x, y = target.ulx + float(column) * 60, target.uly - float(row) * 60
    lon, lat = Transformer.from_crs(target.epsg, 4326, always_xy=True).transform(x, y)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        # The place is the middle of the swath, where detectors 6 and 7 meet.
        make_level0(root, Datatake(scenes=1, detectors=(6, 7), position=(lon, lat)), open_scene(safe))
        inputs, outputs = (
            {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": [root / "gr"]},
            {
                "L1B_WORKING": root / "working",
                "TILE_LIST_FILE": root / "tiles.xml",
            },
        )
        run_processor("S2PS-L1B", "picture", l1b, [str(write_order(root / "l1b.xml", inputs, outputs))])
        order = write_order(
            root / "l1c.xml", {"L1B_WORKING": [root / "working"]}, {"MSI_L1C_TL": root / "l1c"}, TILE=target.name
        )
        run_processor("S2PS-L1C", "picture", l1c, [str(order)])
        (made,) = (root / "l1c").glob("*.SAFE/GRANULE/*/IMG_DATA/*_TCI.jp2")
        with rasterio.open(made) as image:
            ours = cv2.resize(np.moveaxis(image.read(), 0, 2), (1830, 1830), interpolation=cv2.INTER_AREA)
    at = slice(int(row) - SIDE // 2, int(row) + SIDE // 2), slice(int(column) - SIDE // 2, int(column) + SIDE // 2)
    beside = np.full((SIDE, 2 * SIDE + GAP, 3), 255, np.uint8)
    beside[:, :SIDE], beside[:, SIDE + GAP :] = np.moveaxis(theirs, 0, 2)[at], ours[at]
    cv2.imwrite(str(picture), beside[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
