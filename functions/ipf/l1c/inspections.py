"""Quality control of an L1C product: what is inspected in its tile.

The checks read the finished files: what a report says of a value is what stands in the product. Identifiers are those
of operational reports where the inspection is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import rasterio
from rasterio.errors import RasterioError

from functions.ipf.common.olqc import (
    FORMAT_CORRECTNESS,
    GENERAL_QUALITY,
    GEOMETRIC_QUALITY,
    SENSOR_QUALITY,
    Check,
)
from functions.ipf.l1c.findings import LIMITS, flagged, number, readable, unreadable
from functions.ipf.safe.codestream import is_whole
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.xmltree import parse_tree

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from functions.ipf.l1c.bands import BandResult
    from functions.ipf.safe.working import Datastrip
    from shared.msi.tiling import Tile

    Reports = dict[str, list[Check]]

SUN_LIMIT_DEG: Final = 82.0
"""Sun zenith beyond which Sentinel-2 takes no nominal images."""
LOCATION_LIMIT_PX: Final = 0.05
_ROUNDING: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class TileFiles:
    """Where the files of a tile stand: its metadata, images by band (and ``TCI``), masks by kind, the preview."""

    metadata: Path
    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    preview: Path


def tile_checks(files: TileFiles, target: Tile, datastrip: Datastrip, results: Mapping[str, BandResult]) -> Reports:
    """Four lists of checks of a tile."""
    try:
        document = parse_tree(files.metadata.read_bytes(), files.metadata.name, LIMITS)
    except (OSError, BadInputError) as error:
        return {FORMAT_CORRECTNESS: [unreadable(files.metadata, error)]}
    sun = [number(document, f"Geometric_Info/Tile_Angles/Mean_Sun_Angle/{tag}_ANGLE") for tag in ("ZENITH", "AZIMUTH")]
    residual = max(result.residual for result in results.values())
    return {
        FORMAT_CORRECTNESS: [readable(files.metadata), *_position(document, target), *_rasters(files, target)],
        GENERAL_QUALITY: [
            Check(
                "Solar_Angle_Zenith",
                "Zenith of the Sun over the tile, mean.",
                passed=sun[0] <= SUN_LIMIT_DEG,
                message=f"{sun[0]:.3f} degrees; at most {SUN_LIMIT_DEG} are nominal.",
                values={"EXPECTED": SUN_LIMIT_DEG, "SOLAR_ZENITH_ANGLE": sun[0]},
            ),
            flagged("Data_Loss", "Image packets lost or damaged under the tile.", results, (2, 3)),
            _covered(results),
        ],
        GEOMETRIC_QUALITY: [
            Check(
                "Solar_Angle_Azimuth",
                "Azimuth of the Sun over the tile, mean.",
                passed=0 <= sun[1] < 360,
                message=f"{sun[1]:.3f} degrees.",
                values={"EXPECTED": 360.0, "SOLAR_AZIMUTH_ANGLE": sun[1]},
            ),
            _views(document),
            Check(
                "Inverse_Location",
                "Positions in the images against the viewing model.",
                passed=residual <= LOCATION_LIMIT_PX,
                message=f"Largest difference {residual:.4f} pixels; at most {LOCATION_LIMIT_PX} are allowed.",
                values={"VALUE": f"{residual:.6f}", "EXPECTED": LOCATION_LIMIT_PX},
            ),
        ],
        SENSOR_QUALITY: [
            _sensing(document, datastrip),
            flagged("Ancillary_Gaps", "Lines taken in a gap of the orbit or attitude data.", results, (0,)),
        ],
    }


def _position(document: ET.Element, target: Tile) -> list[Check]:
    sizes, corners = {}, {}
    for resolution in (10, 20, 60):
        at = f"Geometric_Info/Tile_Geocoding/{{}}[@resolution='{resolution}']"
        for tag in ("NROWS", "NCOLS"):
            sizes[f"{tag}({resolution})"] = number(document, f"{at.format('Size')}/{tag}")
        for tag in ("ULX", "ULY", "XDIM", "YDIM"):
            corners[f"{tag}({resolution})"] = number(document, f"{at.format('Geoposition')}/{tag}")
    wanted = {"ULX": target.ulx, "ULY": target.uly}
    right = all(
        value == (wanted.get(name[:3]) or float(name[5:-1]) * (-1 if name[0] == "Y" else 1))
        for name, value in corners.items()
    )
    return [
        Check(
            "Tile_Position_Size",
            "Rows and columns are those of a tile.",
            passed=all(value == target.size(int(name[6:-1])) for name, value in sizes.items()),
            message=", ".join(f"{name} {value:g}" for name, value in sizes.items()),
        ),
        Check(
            "Tile_Position_Geoposition",
            f"Corner and pixel size are those of tile {target.name}.",
            passed=right,
            message=f"Corner {corners['ULX(10)']:.0f}, {corners['ULY(10)']:.0f}.",
            values={name: f"{value:.0f}" for name, value in corners.items()},
        ),
    ]


def _rasters(files: TileFiles, target: Tile) -> list[Check]:
    resolution = {band.name: band.resolution for band in BANDS} | {"TCI": 10, "B00": 60}
    images = [(path, resolution[name], 3 if name == "TCI" else 1) for name, path in files.images.items()]
    layers = {"DETFOO": 1, "QUALIT": 8, "CLASSI": 3}
    masks = [
        (path, resolution[kind.partition("_")[2]], layers[kind.partition("_")[0]]) for kind, path in files.masks.items()
    ]
    return [
        _all_whole("checkImages", "Images are whole and have the size of a tile.", images, target, len(BANDS) + 1),
        _all_whole("checkMasks", "Masks are whole and have the size of a tile.", masks, target, 2 * len(BANDS) + 1),
        _all_whole("checkPreview", "The preview is whole.", [(files.preview, 320, 3)], target, 1),
    ]


def _all_whole(identity: str, about: str, rasters: Sequence[tuple[Path, int, int]], target: Tile, count: int) -> Check:
    wrong = [path.name for path, step, planes in rasters if not _fits(path, target.size(step), planes)]
    message = f"Not whole: {', '.join(wrong)}" if wrong else f"{len(rasters)} of {count}."
    return Check(identity, about, passed=not wrong and len(rasters) == count, message=message)


def _fits(path: Path, size: int, planes: int) -> bool:
    try:
        if not is_whole(path):
            return False
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path) as image:
            return bool((image.height, image.width, image.count) == (size, size, planes))
    except (OSError, ValueError, RasterioError):
        return False


def _covered(results: Mapping[str, BandResult]) -> Check:
    empty = sorted(name for name, result in results.items() if not result.valid)
    return Check(
        "No_Data",
        "Every band has pixels with data.",
        passed=not empty,
        message=f"No pixel in {', '.join(empty)}." if empty else "All bands have.",
    )


def _views(document: ET.Element) -> Check:
    found = {grid.get("bandId") for grid in document.iter("Viewing_Incidence_Angles_Grids")}
    means = [float(angle.findtext("ZENITH_ANGLE") or "nan") for angle in document.iter("Mean_Viewing_Incidence_Angle")]
    right = found == {str(band.index) for band in BANDS} and all(0 <= mean < 20 for mean in means)
    return Check(
        "Viewing_Angles",
        "Every band has a grid of viewing angles, mean zenith below 20 degrees.",
        passed=right,
        message=f"Grids of {len(found)} bands, largest mean zenith {max(means, default=math.nan):.3f} degrees.",
    )


def _sensing(document: ET.Element, datastrip: Datastrip) -> Check:
    text = document.findtext("General_Info/SENSING_TIME") or ""
    try:
        inside = datastrip.sensing_start - _ROUNDING <= datetime.fromisoformat(text) <= datastrip.sensing_stop
    except ValueError:
        inside = False
    return Check(
        "Sensing_Time",
        "The tile was sensed while the datastrip was.",
        passed=inside,
        message=f"Sensed at {text}.",
        values={"SENSING_TIME": text},
    )
