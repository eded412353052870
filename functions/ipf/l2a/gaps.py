"""What stands in for a band where it is lost, so that one lost band does not cost the scene classification.

Reflectance of the nearest band that the same ground shows about alike; B09, where water vapour absorbs, as B8A through
some 1.5 cm of it; B10 as clear air shows it. Surface reflectance is never filled: only classes and clouds see this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from numpy.typing import NDArray

    Floats32: TypeAlias = NDArray[np.float32]
    Mask: TypeAlias = NDArray[np.bool_]

CLEAR_B10: Final = 0.002
NEIGHBOURS: Final = {
    "B01": (("B02", 1.0),),
    "B02": (("B03", 1.0), ("B01", 1.0)),
    "B03": (("B02", 1.0), ("B04", 1.0)),
    "B04": (("B03", 1.0), ("B05", 1.0)),
    "B05": (("B04", 1.0), ("B06", 1.0)),
    "B08": (("B8A", 1.0), ("B07", 1.0)),
    "B8A": (("B08", 1.0), ("B07", 1.0)),
    "B09": (("B8A", 0.3), ("B08", 0.3)),
    "B11": (("B12", 1.0),),
    "B12": (("B11", 1.0),),
}
"""By band those that stand in for it, in this order, and what their reflectance is multiplied by."""


def complete(wanted: Iterable[str], read: Callable[[str], Floats32]) -> tuple[dict[str, Floats32], Mask, Mask]:
    """TOA reflectance of the bands, gaps filled from their neighbours.

    Args:
        wanted: band names.
        read: a band's reflectance, NaN where it has no data.

    Returns:
        The bands; where any of them has data itself; where each has data or a stand-in, elsewhere they are NaN.
    """
    own = {band: read(band) for band in wanted}
    seen = np.logical_or.reduce([np.isfinite(values) for values in own.values()])
    result = {}
    for band, values in own.items():
        filled = values
        for neighbour, factor in NEIGHBOURS.get(band, ()):
            gap = seen & np.isnan(filled)
            if not gap.any():
                break
            other = own[neighbour] if neighbour in own else read(neighbour)
            filled = np.where(gap, other * np.float32(factor), filled).astype(np.float32)
        if band == "B10":
            filled = np.where(seen & np.isnan(filled), CLEAR_B10, filled).astype(np.float32)
        result[band] = filled
    known = np.logical_and.reduce([np.isfinite(values) for values in result.values()])
    return result, np.asarray(seen), np.asarray(known)
