"""Scenes by name: the bundled landscape, or an image that the user has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import BadInputError
from shared.msi.tiling import utm_epsg, zone_of
from shared.rehearsal.imagery import open_scene
from shared.rehearsal.landscape import ProceduralLandscape

if TYPE_CHECKING:
    from shared.geometry.terrain import Terrain
    from shared.rehearsal.scene import Scene


def scene_for(
    path: Path | None,
    position: tuple[float, float],
    *,
    seed: int = 1,
    clouds: bool = True,
    relief_m: float = 0.0,
    relief: Terrain | None = None,
) -> Scene:
    """The image at ``path``, or, where none is given, the landscape in the UTM zone of a position (lon, lat).

    ``relief`` is the image's ground, ``relief_m`` the height of the landscape's mountains.
    """
    if path is not None:
        return open_scene(path, relief=relief)
    lon, lat = position
    return ProceduralLandscape(seed, utm_epsg(zone_of(lon, lat), south=lat < 0), clouds=clouds, relief_m=relief_m)


def rebuild(description: dict[str, Any]) -> Scene:
    """The scene that a recording's truth describes; BadInputError where it is of no known type."""
    match description:
        case {"type": "landscape", "seed": int(seed), "epsg": int(epsg), "clouds": bool(clouds), "relief_m": height}:
            return ProceduralLandscape(seed, epsg, clouds=clouds, relief_m=float(height))
        case {"type": "image", "path": str(path), "kind": "surface" | "toa" as kind}:
            return open_scene(Path(path), kind=kind)
    raise BadInputError("truth, scene", "a landscape or an image", description)
