"""Elevation files of one degree by one degree whose names say where they lie.

A volume of the whole Earth has 26 000 of them, and to open each costs seconds: those of other places need not be. Names
that tell are those of SRTM (``N45E006.hgt``, by which alone GDAL knows the place), DTED (``e006/n45.dt1``,
``e006n45.dt1``; MIL-PRF-89020B) and the Copernicus DEM (``Copernicus_DSM_COG_10_N45_00_E006_00_DEM.tif``): each names
the south-western corner. Of others nothing is taken to be known: some products have cells of five degrees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_SRTM: Final = re.compile(r"(?P<ns>n|s)(?P<lat>\d\d)(?P<ew>e|w)(?P<lon>\d{3})\.hgt", re.ASCII)
_DTED: Final = re.compile(r"(?P<ew>e|w)(?P<lon>\d{3})/?(?P<ns>n|s)(?P<lat>\d\d|0\d\d)\.dt[012]", re.ASCII)
_COPERNICUS: Final = re.compile(
    r"copernicus_dsm_(?:cog_)?\d\d_(?P<ns>n|s)(?P<lat>\d\d)_00_(?P<ew>e|w)(?P<lon>\d{3})_00_dem\.tiff?", re.ASCII
)
MARGIN_DEG: Final = 0.1
"""How far nodes of a file may lie outside of its cell, or of a window, and still count for it: coarsest nodes are
0.0083 degrees apart, near the poles 0.05.
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One degree by one degree from a south-western corner, whole degrees."""

    west: int
    south: int

    def meets(self, west: float, south: float, east: float, north: float) -> bool:
        """Whether a window, degrees, whose longitudes may lie outside of -180 to 180, lies in or near the cell."""
        if not (self.south - MARGIN_DEG <= north and self.south + 1 + MARGIN_DEG >= south):
            return False
        edges = ((self.west + turn - MARGIN_DEG, self.west + turn + 1 + MARGIN_DEG) for turn in (-360, 0, 360))
        return any(left <= east and right >= west for left, right in edges)

    def holds(self, west: float, south: float, east: float, north: float) -> bool:
        """Whether a window lies within the cell, or as near."""
        turn = 360 * round((west - self.west) / 360)
        return (
            self.west + turn - MARGIN_DEG <= west
            and east <= self.west + turn + 1 + MARGIN_DEG
            and self.south - MARGIN_DEG <= south
            and north <= self.south + 1 + MARGIN_DEG
        )


def cell_of(path: Path) -> Cell | None:
    """The cell that a file's name tells; None where it does not."""
    name = path.name.lower()
    found = _SRTM.fullmatch(name) or _COPERNICUS.fullmatch(name)
    if found is None and name[-4:-1] == ".dt":
        found = _DTED.fullmatch(name) or _DTED.fullmatch(f"{path.parent.name.lower()}/{name}")
    if found is None:
        return None
    lat, lon = int(found["lat"]), int(found["lon"])
    if lat > 90 or lon > 180:
        return None
    return Cell(-lon if found["ew"] == "w" else lon, -lat if found["ns"] == "s" else lat)
