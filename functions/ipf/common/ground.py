"""The ground by a job order: elevation tiles and geoid, as inputs or on a volume that its parameters tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common.auxiliary import optional_files
from shared.errors import BadInputError
from shared.geometry.terrain import ELEVATION_SUFFIXES, Terrain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.joborder import JobOrder

ELEVATION: Final = ("DEM_SRTM", "DEM_GLOBE", "DEM_GLOBEF", "AUX_DEM")
GEOID: Final = ("DEM_GEOID", "DEM_GEOIDF")
ELEVATION_PARAMETER: Final = "DEM_PATH"
GEOID_PARAMETER: Final = "GEOID_PATH"


def terrain_of(order: JobOrder) -> tuple[Terrain | None, str]:
    """The ground by the order's elevation tiles and geoid, and what it is called: the name of the folder or first file.

    They are inputs of the order, or stand on a volume that its parameters DEM_PATH and GEOID_PATH tell. ``None``
    where it names none: the ellipsoid at height 0.

    Without a geoid, elevations count from the ellipsoid. BadInputError where elevations are named and there are none,
    or more than one geoid.
    """
    named = optional_files(order, *ELEVATION) or files_below(order, ELEVATION_PARAMETER)
    if not named:
        return None, "None"
    tiles = [path for path in named if path.suffix.lower() in ELEVATION_SUFFIXES]
    if not tiles:
        raise BadInputError("job order, DEM", f"elevation files ({', '.join(sorted(ELEVATION_SUFFIXES))})", len(named))
    inputs = [Path(name) for t in order.tasks for i in t.inputs if i.file_type in ELEVATION for name in i.names]
    title = inputs[0].name if inputs else Path(order.parameters[ELEVATION_PARAMETER]).name
    geoid = optional_files(order, *GEOID) or files_below(order, GEOID_PARAMETER)
    return Terrain.from_files(tiles, _geoid(geoid)), title


def files_below(order: JobOrder, parameter: str) -> list[Path]:
    """The file that a parameter names, or those in the folder that it names; none where it is not given."""
    if not (value := order.parameters.get(parameter, "")):
        return []
    path = Path(value)
    if not path.exists():
        raise BadInputError(f"job order, {parameter}", "a file or folder that is there", value)
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def _geoid(named: Sequence[Path]) -> Path | None:
    """The raster among a geoid's files: ESA's folder has a GTX beside the same as ENVI, and descriptions."""
    rasters = [path for path in named if path.suffix.lower() in {".tif", ".tiff", ".gtx"}] or [
        path for path in named if path.suffix.lower() in {"", ".dbl", ".img", ".bin"}
    ]
    if len(rasters) > 1 or (named and not rasters):
        raise BadInputError("job order, DEM_GEOID", "one raster (GeoTIFF, GTX or ENVI)", [path.name for path in named])
    return rasters[0] if rasters else None
