"""Quality control of an L2A product: what is inspected in its tile and in its datastrip's metadata.

The checks read the finished files: what a report says of a value is what stands in the product. Identifiers are those
of operational reports where the inspection is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import rasterio
from rasterio.errors import RasterioError

from functions.ipf.common.olqc import (
    FORMAT_CORRECTNESS,
    GENERAL_QUALITY,
    GEOMETRIC_QUALITY,
    RADIOMETRIC_QUALITY,
    SENSOR_QUALITY,
    Check,
)
from functions.ipf.l2a.reading import Document, number_at, text_at, time_at
from functions.ipf.safe.codestream import is_whole
from shared.errors import BadInputError
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from shared.msi.tiling import Tile

    Reports: TypeAlias = dict[str, list[Check]]

SUN_LIMIT_DEG: Final = 75.0
"""Sun zenith to which the atmosphere is plane enough for the correction."""
_VIEW_LIMIT_DEG: Final = 20.0


@dataclass(frozen=True, slots=True)
class TileFiles:
    """A tile's metadata, and its images by resolution in metres (320 for the preview)."""

    metadata: Path
    images: Mapping[int, Sequence[Path]]


def tile_checks(files: TileFiles, target: Tile, sensed: tuple[datetime, datetime]) -> Reports:
    """Four lists of checks of a tile; ``sensed`` is begin and end of its datastrip's sensing."""
    try:
        document = Document.read(files.metadata)
    except BadInputError as error:
        return {FORMAT_CORRECTNESS: [_read(files.metadata.name, str(error))]}
    return {
        FORMAT_CORRECTNESS: [_read(files.metadata.name), _position(document, target), _rasters(files.images, target)],
        GENERAL_QUALITY: [
            _bounded(document, "Solar_Angle_Zenith", "Mean_Sun_Angle/ZENITH_ANGLE", 0, SUN_LIMIT_DEG),
            _bounded(document, "Data_Loss", "DEGRADED_MSI_DATA_PERCENTAGE", 0, 0),
            _bounded(document, "No_Data", "NODATA_PIXEL_PERCENTAGE", 0, 99.999_999),
        ],
        GEOMETRIC_QUALITY: [
            _bounded(document, "Solar_Angle_Azimuth", "Mean_Sun_Angle/AZIMUTH_ANGLE", 0, 360),
            _views(document),
        ],
        SENSOR_QUALITY: [_sensed(document, *sensed)],
    }


def datastrip_checks(metadata: Path, degraded_ancillary: float) -> Reports:
    """Five lists of checks of a datastrip; ``degraded_ancillary`` is the L1C product's percentage."""
    try:
        document = Document.read(metadata)
    except BadInputError as error:
        return {FORMAT_CORRECTNESS: [_read(metadata.name, str(error))]}
    return {
        FORMAT_CORRECTNESS: [_read(metadata.name), _period(document)],
        GENERAL_QUALITY: [
            _stated(document, "Processor_Version", "Processing_Info/PROCESSING_BASELINE"),
            _bounded(document, "Relative_Orbit_Number_SENSING", "SENSING_ORBIT_NUMBER", 1, 143),
        ],
        GEOMETRIC_QUALITY: [
            _listed(document, "Ephemeris", "GPS_Points_List/GPS_Point"),
            _listed(document, "Attitudes", "Corrected_Attitudes/Values"),
        ],
        RADIOMETRIC_QUALITY: [
            _stated(document, "Quantification", "BOA_QUANTIFICATION_VALUE"),
            _listed(document, "Offsets", "BOA_ADD_OFFSET_VALUES_LIST/BOA_ADD_OFFSET", len(BANDS)),
        ],
        SENSOR_QUALITY: [
            Check(
                "Degraded_SAD",
                "Orbit and attitude packets are all there.",
                passed=degraded_ancillary == 0,
                message=f"{degraded_ancillary:.3f} % are missing.",
                values={"DEGRADED_ANC_DATA_PERCENTAGE": f"{degraded_ancillary:.6f}"},
            )
        ],
    }


def _read(name: str, error: str = "") -> Check:
    about = "The metadata file can be read."
    return Check("checkMetadata", about, passed=not error, message=error or "Read, as hostile.", item=name)


def _found(identity: str, about: str, find: Callable[[], Check]) -> Check:
    """The check, or the failure to find what it looks at."""
    try:
        return find()
    except BadInputError as error:
        return Check(identity, about, passed=False, message=str(error))


def _bounded(document: Document, identity: str, path: str, low: float, high: float) -> Check:
    about = f"{path} is within bounds."

    def find() -> Check:
        value = number_at(document, path)
        return Check(
            identity,
            about,
            passed=low <= value <= high,
            message=f"{path} is {value:g}; expected {low:g} to {high:g}.",
            values={"VALUE": f"{value:g}", "EXPECTED": f"{low:g} {high:g}"},
            item=document.file,
        )

    return _found(identity, about, find)


def _stated(document: Document, identity: str, path: str) -> Check:
    about = f"{path} is stated."

    def find() -> Check:
        return Check(identity, about, passed=True, message=f"{text_at(document, path)}.", item=document.file)

    return _found(identity, about, find)


def _listed(document: Document, identity: str, path: str, wanted: int = 1) -> Check:
    count = len(document.root.findall(f".//{path}"))
    about = f"{path} is there, {wanted} times or more."
    return Check(identity, about, passed=count >= wanted, message=f"{count} are there.", item=document.file)


def _position(document: Document, target: Tile) -> Check:
    wanted = {"HORIZONTAL_CS_CODE": f"EPSG:{target.epsg}"}
    for step in (10, 20, 60):
        size, place = f"Size[@resolution='{step}']", f"Geoposition[@resolution='{step}']"
        wanted |= {f"{size}/NROWS": str(target.size(step)), f"{size}/NCOLS": str(target.size(step))}
        wanted |= {f"{place}/ULX": str(target.ulx), f"{place}/ULY": str(target.uly)}
    wrong = [path for path, value in wanted.items() if document.root.findtext(f".//Tile_Geocoding/{path}") != value]
    return Check(
        "Tile_Position_Geoposition",
        f"Reference system, size and corner are those of tile {target.name}.",
        passed=not wrong,
        message=f"Not so: {', '.join(wrong)}" if wrong else f"Corner {target.ulx}, {target.uly}.",
        item=document.file,
    )


def _rasters(images: Mapping[int, Sequence[Path]], target: Tile) -> Check:
    wrong = [path.name for step, paths in images.items() for path in paths if not _fits(path, target.size(step))]
    count = sum(map(len, images.values()))
    message = f"Not whole: {', '.join(wrong)}" if wrong else f"{count} of {count}."
    about = "Images, masks and preview are whole and have the size of a tile."
    return Check("checkImages", about, passed=not wrong, message=message)


def _fits(path: Path, size: int) -> bool:
    try:
        if not is_whole(path):
            return False
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), rasterio.open(path) as image:
            return bool(image.shape == (size, size))
    except (OSError, ValueError, RasterioError):
        return False


def _views(document: Document) -> Check:
    angles = [float(e.findtext("ZENITH_ANGLE") or "nan") for e in document.root.iter("Mean_Viewing_Incidence_Angle")]
    return Check(
        "Viewing_Angles",
        f"Every band has a mean viewing angle, below {_VIEW_LIMIT_DEG:g} degrees.",
        passed=len(angles) == len(BANDS) and all(0 <= angle < _VIEW_LIMIT_DEG for angle in angles),
        message=f"{len(angles)} bands have one, the largest is {max(angles, default=0):.3f} degrees.",
        item=document.file,
    )


def _sensed(document: Document, start: datetime, stop: datetime) -> Check:
    about = "The tile was sensed while the datastrip was."

    def find() -> Check:
        when = time_at(document, "SENSING_TIME")
        return Check(
            "Sensing_Time",
            about,
            passed=_second(start) <= _second(when) <= stop,
            message=f"Sensed at {when:%Y-%m-%dT%H:%M:%S.%f}Z.",
            values={"SENSING_TIME": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"},
            item=document.file,
        )

    return _found("Sensing_Time", about, find)


def _second(when: datetime) -> datetime:
    """Names and metadata round times each in its own way: whole seconds are compared."""
    return when.astimezone(UTC).replace(microsecond=0)


def _period(document: Document) -> Check:
    about = "Sensing starts before it stops."

    def find() -> Check:
        start, stop = (time_at(document, f"DATASTRIP_SENSING_{end}") for end in ("START", "STOP"))
        return Check("Start_Stop_Time", about, passed=start <= stop, message=f"{start} to {stop}.", item=document.file)

    return _found("Start_Stop_Time", about, find)
