"""Which detector saw a pixel, by the footprint masks of an L1C product.

Odd and even detectors stand on either side of the focal plane and look up to 2 degrees apart along the track. What
matters of the detector is therefore its parity: the planes of directions of all odd ones, and of all even ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from functions.ipf.l2a.source import visible
from functions.ipf.safe.codestream import is_whole
from shared.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from functions.ipf.safe.jp2 import Extent

    Detectors: TypeAlias = NDArray[np.uint8]

COUNT: Final = 12
_TILE_60M: Final = 1830


def detectors(granule: Path, band: str, block: Extent) -> Detectors | None:
    """Detectors (1 to 12, 0 where none saw) of a band on the block at 60 m, or None where no raster mask tells.

    They are those of the cells' middles: coarser levels of JPEG 2000 would mix numbers. BadInputError for a mask that
    cannot be read.
    """
    path = next(iter(visible(granule / "QI_DATA", f"*MSK_DETFOO_*{band}.jp2")), None)
    if path is None:
        return None
    try:
        if not is_whole(path):
            raise BadInputError(path.name, "a whole JP2 file")
        with rasterio.open(path) as file:
            step = file.width // _TILE_60M
            if file.shape != (step * _TILE_60M, step * _TILE_60M):
                raise BadInputError(path.name, "a mask of the whole tile", file.shape)
            window = Window(*(edge * step for edge in (block.column, block.row, block.shape[1], block.shape[0])))
            found = np.asarray(file.read(1, window=window))[step // 2 :: step, step // 2 :: step]
    except (OSError, RasterioError, ValueError) as error:
        raise BadInputError(path.name, "a mask that GDAL reads", str(error)) from None
    if found.max(initial=0) > COUNT:
        raise BadInputError(path.name, f"detectors 1 to {COUNT}", int(found.max()))
    return np.asarray(found, np.uint8)
