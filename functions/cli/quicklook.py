"""A picture of what was made: true colour, all tiles of one zone together, as a PNG."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.merge import merge

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIXEL_M: Final = 30.0
_BRIGHT: Final = 0.3
"""Reflectance that is shown white."""
_OFFSET: Final = -1000
_QUANTIFICATION: Final = 10_000.0
_GAMMA: Final = 1 / 1.4
_BANDS: Final = ("B04", "B03", "B02")


def make_quicklook(products: Iterable[Path], target: Path) -> Path | None:
    """Write the quicklook of the L2A products among ``products``, else of the L1C ones; None where there are neither.

    Args:
        products: folders of products; images are found below ``IMG_DATA`` by their band.
        target: the PNG.
    """
    folders = sorted(products)
    for level in ("MSIL2A", "MSIL1C"):
        tiles = [found for folder in folders if f"_{level}_" in folder.name and (found := _bands(folder))]
        if tiles:
            counts = _mosaic(_same_zone(tiles))
            _write(_stretch(_crop(counts)), target)
            return target
    return None


def _bands(product: Path) -> list[Path]:
    """The files of red, green and blue at their finest; empty where one is missing."""
    found: list[Path] = []
    for band in _BANDS:
        candidates = sorted(product.rglob(f"*_{band}_10m.jp2")) or sorted(product.rglob(f"*_{band}.jp2"))
        candidates = candidates or sorted(product.rglob(f"*_{band}_20m.jp2"))
        found += candidates[:1]
    return found if len(found) == len(_BANDS) else []


def _same_zone(tiles: Sequence[list[Path]]) -> list[list[Path]]:
    """The tiles that lie in the zone of the first."""
    zones = []
    for bands in tiles:
        with rasterio.open(bands[0]) as image:
            zones.append(image.crs)
    return [bands for bands, zone in zip(tiles, zones, strict=True) if zone == zones[0]]


def _mosaic(tiles: Sequence[list[Path]]) -> NDArray[np.uint16]:
    """Counts (3, rows, columns) at 30 m; 0 where there are no data."""
    layers = [
        merge([str(bands[index]) for bands in tiles], res=(_PIXEL_M, _PIXEL_M), nodata=0)[0][0]
        for index in range(len(_BANDS))
    ]
    return np.stack(layers).astype(np.uint16)


def _crop(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Without the empty margins."""
    filled: NDArray[np.bool_] = np.any(counts != 0, axis=0)
    if not filled.any():
        return counts
    rows, columns = np.flatnonzero(np.any(filled, axis=1)), np.flatnonzero(np.any(filled, axis=0))
    return counts[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _stretch(counts: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Counts to brightness 1..255; 0 stays where there are no data."""
    reflectance = (counts.astype(np.float32) + _OFFSET) / _QUANTIFICATION
    bright = np.clip(reflectance / _BRIGHT, 0.0, 1.0) ** _GAMMA
    return np.where(counts > 0, 1 + np.rint(254 * bright), 0).astype(np.uint8)


def _write(picture: NDArray[np.uint8], target: Path) -> None:
    _, height, width = picture.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(target, "w", driver="PNG", count=3, dtype="uint8", height=height, width=width) as image:
            image.write(picture)
