"""What L1B takes of the Earth and the ground, by its job order; and how image packets date their lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.auxiliary import optional_files
from shared.ccsds.cuc import CUC_OCTETS, decode_cuc
from shared.ccsds.spacepackets import CRC_OCTETS, USER_DATA_AT
from shared.errors import BadInputError
from shared.geometry.datastrip import orientation_in
from shared.geometry.fields import Fields
from shared.geometry.terrain import ELEVATION_SUFFIXES, Terrain
from shared.msi.instrument import BANDS, LINES_PER_PACKET, Band
from shared.msi.packets import image_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.geometry.frames import EarthOrientation
    from shared.joborder import JobOrder

ELEVATION: Final = ("DEM_SRTM", "DEM_GLOBE", "DEM_GLOBEF", "AUX_DEM")
GEOID: Final = ("DEM_GEOID", "DEM_GEOIDF")
ELEVATION_PARAMETER: Final = "DEM_PATH"
GEOID_PARAMETER: Final = "GEOID_PATH"
_TIME_AT: Final = USER_DATA_AT - CUC_OCTETS - 1


def terrain_of(order: JobOrder) -> tuple[Terrain | None, str]:
    """The ground by the order's elevation tiles and geoid, and what it is called: the name of the folder or first file.

    They are inputs of the order, or stand on a volume that its parameters DEM_PATH and GEOID_PATH tell. ``None``
    where it names none: the ellipsoid at height 0.

    Without a geoid, elevations count from the ellipsoid. BadInputError where elevations are named and there are none,
    or more than one geoid.
    """
    named = optional_files(order, *ELEVATION) or _below(order, ELEVATION_PARAMETER)
    if not named:
        return None, "None"
    tiles = [path for path in named if path.suffix.lower() in ELEVATION_SUFFIXES]
    if not tiles:
        raise BadInputError("job order, DEM", f"elevation files ({', '.join(sorted(ELEVATION_SUFFIXES))})", len(named))
    inputs = [Path(name) for t in order.tasks for i in t.inputs if i.file_type in ELEVATION for name in i.names]
    title = inputs[0].name if inputs else Path(order.parameters[ELEVATION_PARAMETER]).name
    geoid = optional_files(order, *GEOID) or _below(order, GEOID_PARAMETER)
    return Terrain.from_files(tiles, _geoid(geoid)), title


def _below(order: JobOrder, parameter: str) -> list[Path]:
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


def read_orientation(datastrip: Path) -> EarthOrientation | None:
    """The Earth's orientation as an L0 datastrip's metadata state it; ``None`` where they do not, or not in full."""
    for path in sorted(datastrip.glob("*_MTD_L0*_DS_*.xml"))[:1]:
        bulletin = Fields.read_any(path).find("Auxiliary_Data_Info/IERS_Bulletin")
        if bulletin is not None and bulletin.find("UT1_UTC") is not None:
            return orientation_in(bulletin)
    return None


def first_lines(granules: Mapping[int, Iterable[Path]]) -> dict[tuple[str, int], int]:
    """When line 0 of each (band name, detector) begins, GPS nanoseconds, as the first sound image packet dates it.

    Packets are dated at the begin of their first line, within 30 ns. Bands of which no packet came are absent.
    """
    found: dict[tuple[str, int], int] = {}
    for detector, folders in granules.items():
        for band in BANDS:
            files = (path for folder in folders for path in sorted((folder / "IMG_DATA").glob(f"*_{band.name}.bin")))
            dated = next((time for path in files for time in _dated(path, detector, band)), None)
            if dated is not None:
                found[band.name, detector] = dated
    return found


def _dated(path: Path, detector: int, band: Band) -> Iterable[int]:
    for annotation, octets in read_annotated(path):
        if annotation.ignore or annotation.incomplete or annotation.invalid or len(octets) <= USER_DATA_AT + CRC_OCTETS:
            continue
        try:
            place = image_place(octets[USER_DATA_AT:-CRC_OCTETS])
        except BadInputError:
            continue
        if (place.detector, place.band) != (detector, band.index) or place.block >= band.packets_per_scene:
            continue
        lines = (place.scene - 1) * band.lines_per_scene + place.block * LINES_PER_PACKET
        yield decode_cuc(octets[_TIME_AT : _TIME_AT + CUC_OCTETS]) - round(lines * band.line_period_ns)
