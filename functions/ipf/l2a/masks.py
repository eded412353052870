"""The quality masks of an L1C product, in either form: JP2 (since baseline 04.00) or GML polygons (before).

JP2: ``MSK_QUALIT_<band>`` has eight planes of 0 and 1 (lost and degraded ancillary data, lost and degraded image
packets, defective, no data, partly corrected, saturated; Sentinel-2 PSD 14.9 and later). GML: ``MSK_DEFECT_<band>`` and
``MSK_SATURA_<band>``, polygons in the tile's own reference system. Names are those of compact products, or longer ones
around the same words. A product is worth making without a mask: what cannot be read is left out, and named.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

import defusedxml
import defusedxml.ElementTree as SafeET
import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window

from functions.ipf.l2a.source import visible
from functions.ipf.safe.codestream import is_whole
from shared.errors import BadInputError
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.jp2 import Extent
    from shared.msi.tiling import Tile

    Mask: TypeAlias = NDArray[np.bool_]

BAD_PLANES: Final = (5, 8)
"""Planes of MSK_QUALIT, from 1, whose pixels are class 1: defective, saturated. Lost packets leave no data."""

CARRIED: Final = frozenset(
    (*(f"MSK_{kind}_{band.name}.jp2" for kind in ("DETFOO", "QUALIT") for band in BANDS), "MSK_CLASSI_B00.jp2")
)
"""JP2 masks that an L2A product takes over from its L1C product."""

_GML_KINDS: Final = ("MSK_DEFECT", "MSK_SATURA")
_LARGEST_GML: Final = 64 << 20


def carried_masks(granule: Path) -> tuple[list[Path], list[str]]:
    """The L1C masks that the L2A product holds as well, by name; and what is to be said of those that are cut short."""
    masks = [path for path in visible(granule / "QI_DATA", "MSK_*.jp2") if path.name in CARRIED]
    whole = [path for path in masks if _whole(path)]
    return whole, [f"{path.name}: not a whole JP2 file; left out" for path in masks if path not in whole]


def _whole(path: Path) -> bool:
    try:
        return is_whole(path)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def bad_pixels(granule: Path, band: str, tile: Tile, block: Extent) -> Mask | None:
    """Defective and saturated pixels of a band on the block at 20 m; None where no mask has any.

    Masks of 10 m bands are read at half their resolution, as JPEG 2000 holds it. BadInputError for one that cannot be
    read.
    """
    folder = granule / "QI_DATA"
    raster = next(iter(visible(folder, f"*MSK_QUALIT_*{band}.jp2")), None)
    if raster is not None:
        return _planes(raster, block)
    shapes: list[dict[str, object]] = []
    for kind in _GML_KINDS:
        for path in visible(folder, f"*{kind}_*{band}*.gml"):
            shapes += polygons(path)
    if not shapes:
        return None
    corner = rasterio.Affine(20.0, 0.0, tile.ulx + 20.0 * block.column, 0.0, -20.0, tile.uly - 20.0 * block.row)
    found = rasterize(shapes, out_shape=block.shape, transform=corner, all_touched=True, dtype="uint8")
    return np.asarray(found > 0)


def _planes(path: Path, block: Extent) -> Mask | None:
    rows, columns = block.shape
    if not _whole(path):
        raise BadInputError(path.name, "a whole JP2 file")
    try:
        with rasterio.open(path) as file:
            scale = file.width / 5490
            window = Window(block.column * scale, block.row * scale, columns * scale, rows * scale)
            planes = [plane for plane in BAD_PLANES if plane <= file.count]
            found = np.asarray(file.read(planes, window=window, out_shape=(len(planes), rows, columns)))
    except (RasterioError, ValueError) as error:
        raise BadInputError(path.name, "a mask that GDAL reads", str(error)) from None
    return np.asarray(found.any(axis=0)) if found.any() else None


def polygons(path: Path) -> list[dict[str, object]]:
    """The exterior rings of a GML mask as GeoJSON polygons; BadInputError for hostile or false content."""
    if path.stat().st_size > _LARGEST_GML:
        raise BadInputError(path.name, f"a mask of at most {_LARGEST_GML} octets", path.stat().st_size)
    try:
        root = SafeET.parse(path).getroot()
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:  # of encodings
        raise BadInputError(path.name, "well-formed GML without entities", str(error)) from None
    found: list[dict[str, object]] = []
    for element in root.iter() if root is not None else ():
        if element.tag.endswith("}posList"):
            ring = _ring(path, element.text or "", element.get("srsDimension") or "2")
            if len(ring) >= 4:
                found.append({"type": "Polygon", "coordinates": [ring]})
    return found


def _ring(path: Path, text: str, dimension: str) -> list[tuple[float, float]]:
    size = int(dimension) if dimension in ("2", "3") else 0
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = [math.nan]
    if not size or len(numbers) % size or not all(map(math.isfinite, numbers)):
        raise BadInputError(path.name, "posList: finite coordinates, two or three to a point", text[:80])
    return list(zip(numbers[::size], numbers[1::size], strict=True))
