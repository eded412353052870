"""The true colour image and the preview of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION, Extent
from functions.ipf.safe.working import OFFSET, QUANTIFICATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITE: Final = 0.3558
"""Reflectance that true colour images show as 255, as in Sentinel-2 products."""

_STEP: Final = PREVIEW_RESOLUTION // 10


def display(counts: NDArray[np.uint16], offset: int = OFFSET) -> NDArray[np.uint8]:
    """Counts of reflectance as 8 bit: 1 to 255 linear from reflectance 0 to 0.3558, 0 where there is no data."""
    table = np.arange(65_536, dtype=np.float32)
    rho = (table - offset) / QUANTIFICATION
    shades = np.clip(np.rint(1 + rho / WHITE * 254), 1, 255).astype(np.uint8)
    shades[0] = 0
    return shades[counts]


def preview(colours: NDArray[np.uint8], at: Extent, size: int) -> tuple[NDArray[np.uint8], Extent]:
    """The preview's part that holds data, by area means of 32 x 32 pixels of 10 m.

    Args:
        colours: (3, rows, columns), the block at ``at`` of the 10 m image.
        at: its place.
        size: rows and columns of the preview image.
    """
    place = preview_extent(at, size)
    if place.empty:
        return np.zeros((3, *place.shape), np.uint8), place
    top, left, bottom, right = place.row, place.column, place.row_stop, place.column_stop
    row, column = at.row - top * _STEP, at.column - left * _STEP
    padded = np.zeros(((bottom - top) * _STEP, (right - left) * _STEP), np.uint8)
    rows, columns = min(at.shape[0], padded.shape[0] - row), min(at.shape[1], padded.shape[1] - column)
    small = np.empty((len(colours), bottom - top, right - left), np.uint8)
    for plane, colour in zip(small, colours, strict=True):
        padded[row : row + rows, column : column + columns] = colour[:rows, :columns]
        cv2.resize(padded, plane.shape[::-1], dst=plane, interpolation=cv2.INTER_AREA)
    return small, place


def preview_extent(at: Extent, size: int) -> Extent:
    """The pixels of the preview that a part of the 10 m image reaches; an empty one where that is."""
    if at.empty:
        return at
    down, across = -(-at.row_stop // _STEP), -(-at.column_stop // _STEP)
    return Extent(at.row // _STEP, at.column // _STEP, min(down, size), min(across, size))
