"""Reading an L1C product: any compact SAFE of one tile (PSD 14 and 15; without radiometric offset before 04.00).

Its documents are parsed as hostile: no entities, and no path from them is followed; images are looked up by their names
in the granule's folder.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import defusedxml
import defusedxml.ElementTree as SafeET
import numpy as np

from functions.ipf.safe.angles import NODES, Angles, TileAngles
from functions.ipf.safe.names import Acquisition
from shared.domain.names import CompactName, parse_stamp
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.tiling import Tile, tile

if TYPE_CHECKING:
    from pathlib import Path


_GRANULE: Final = re.compile(r"L1C_T\w{5}_A(\d{6})_(\d{8}T\d{6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Level1C:
    """What L2A needs of an L1C product. ``offsets`` are added to counts before division by ``quantification``.

    ``irradiances`` and ``gains`` by band name are the satellite's own, as far as the product states them.
    """

    name: str
    granule: str
    tile: Tile
    acquisition: Acquisition
    quantification: float
    offsets: dict[str, float]
    earth_sun_u: float
    irradiances: dict[str, float]
    gains: dict[str, float]
    degraded_percent: float
    degraded_ancillary_percent: float
    footprint: tuple[tuple[float, float], ...]
    angles: TileAngles
    images: dict[str, Path]
    granule_folder: Path
    datastrip: Path | None
    simplifications: tuple[str, ...]


def read_level1c(safe: Path) -> Level1C:
    """Read the product in folder ``safe``, or the one .SAFE in it; BadInputError naming what is missing or wrong."""
    inside = sorted(safe.glob("*.SAFE")) if safe.suffix != ".SAFE" else []
    safe = inside[0] if len(inside) == 1 else safe
    name = CompactName.parse(safe.name)
    if name.level != "L1C":
        raise BadInputError(safe.name, "a product of level L1C", name.level)
    product = read_document(safe / "MTD_MSIL1C.xml")
    granules = sorted((safe / "GRANULE").glob("L1C_*"))
    if len(granules) != 1:
        raise BadInputError(f"{safe.name}, GRANULE", "one granule", len(granules))
    tile_document = read_document(granules[0] / "MTD_TL.xml")
    found = tile(name.tile)
    orbit, sensing = _granule(granules[0].name)
    acquisition = Acquisition(
        satellite=name.satellite,
        datatake_start=_time(product, "Datatake/DATATAKE_SENSING_START"),
        datatake_type=_text(product, "Datatake/DATATAKE_TYPE"),
        absolute_orbit=orbit,
        relative_orbit=name.relative_orbit,
        orbit_direction=_direction(product),
        sensing_start=sensing,
        tile_sensing=_time(tile_document, "SENSING_TIME"),
    )
    return Level1C(
        name=safe.name,
        granule=_text(tile_document, "TILE_ID"),
        tile=found,
        acquisition=acquisition,
        quantification=_positive(product, "QUANTIFICATION_VALUE"),
        offsets=_offsets(product),
        earth_sun_u=_positive(product, "Reflectance_Conversion/U"),
        irradiances=_by_band(product, "SOLAR_IRRADIANCE"),
        gains=_by_band(product, "PHYSICAL_GAINS"),
        degraded_percent=_number(product, "DEGRADED_MSI_DATA_PERCENTAGE", 0.0),
        degraded_ancillary_percent=_number(product, "DEGRADED_ANC_DATA_PERCENTAGE", 0.0),
        footprint=_footprint(product),
        angles=_angles(tile_document),
        images=_images(granules[0]),
        granule_folder=granules[0],
        datastrip=next(iter(sorted(safe.glob("DATASTRIP/*/MTD_DS.xml"))), None),
        simplifications=_notes(granules[0] / "AUX_DATA" / "PROCESSING_NOTES.xml"),
    )


def read_document(path: Path) -> ET.Element:
    """The root of a document; BadInputError where it is missing, malformed or has entities."""
    try:
        root = SafeET.parse(path).getroot()
    except OSError as error:
        raise BadInputError(str(path), "a readable file", error.strerror) from None
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError) as error:
        raise BadInputError(path.name, "well-formed XML without entities", str(error)) from None
    if root is None:
        raise BadInputError(path.name, "a root element")
    return root


def _text(root: ET.Element, path: str) -> str:
    text = root.findtext(f".//{path}")
    if not text or not text.strip():
        raise BadInputError("L1C metadata", f"an element {path}")
    return text.strip()


def _numbers(what: str, text: str | None) -> list[float]:
    """Finite numbers with blanks between."""
    try:
        numbers = [float(word) for word in (text or "").split()]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise BadInputError(f"L1C metadata, {what}", "finite numbers", text)
    return numbers


def _number(root: ET.Element, path: str, default: float | None = None) -> float:
    """One number, not negative; the default, where there is one, for an element that is missing or empty."""
    if default is not None and not (root.findtext(f".//{path}") or "").strip():
        return default
    numbers = _numbers(path, _text(root, path))
    if len(numbers) != 1 or numbers[0] < 0:
        raise BadInputError(f"L1C metadata, {path}", "a number from 0", numbers)
    return numbers[0]


def _positive(root: ET.Element, path: str) -> float:
    number = _number(root, path)
    if not number:
        raise BadInputError(f"L1C metadata, {path}", "a number above 0", number)
    return number


def _time(root: ET.Element, path: str) -> datetime:
    text = _text(root, path)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"L1C metadata, {path}", "a UTC time", text) from None
    return found.replace(tzinfo=found.tzinfo or UTC)


def _direction(product: ET.Element) -> str:
    path = "Datatake/SENSING_ORBIT_DIRECTION"
    text = _text(product, path)
    if text not in ("ASCENDING", "DESCENDING"):
        raise BadInputError(f"L1C metadata, {path}", "ASCENDING or DESCENDING", text)
    return text


def _granule(name: str) -> tuple[int, datetime]:
    """Absolute orbit and sensing start of the datastrip, from a granule's folder name."""
    match = _GRANULE.fullmatch(name)
    if match is None:
        raise BadInputError(f"granule {name}", "a name as L1C_T32TMQ_A012345_20260621T102000")
    return int(match[1]), parse_stamp(match[2], f"granule {name}")


def _offsets(product: ET.Element) -> dict[str, float]:
    """Offsets by band name, 0 where the product has none."""
    found = {band.name: 0.0 for band in BANDS}
    for element in product.iter("RADIO_ADD_OFFSET"):
        found[_band_name(element, "band_id")] = sum(_numbers("RADIO_ADD_OFFSET", element.text))
    return found


def _by_band(product: ET.Element, tag: str) -> dict[str, float]:
    """Numbers above 0 by band name, of the bands that have one."""
    found = {}
    for element in product.iter(tag):
        numbers = _numbers(tag, element.text)
        if len(numbers) != 1 or numbers[0] <= 0:
            raise BadInputError(f"L1C metadata, {tag}", "a number above 0", numbers)
        found[_band_name(element, "bandId")] = numbers[0]
    return found


def _band_name(element: ET.Element, attribute: str) -> str:
    index = element.get(attribute, "")
    if not index.isdecimal() or int(index) >= len(BANDS):
        raise BadInputError(f"L1C metadata, {element.tag}", f"a {attribute} of 0..12", index)
    return BANDS[int(index)].name


def _footprint(product: ET.Element) -> tuple[tuple[float, float], ...]:
    numbers = _numbers("EXT_POS_LIST", _text(product, "Global_Footprint/EXT_POS_LIST"))
    if len(numbers) < 8 or len(numbers) % 2:
        raise BadInputError("L1C metadata, EXT_POS_LIST", "pairs of latitude and longitude", len(numbers))
    return tuple(zip(numbers[1::2], numbers[::2], strict=True))


def _angles(document: ET.Element) -> TileAngles:
    sun = document.find(".//Sun_Angles_Grid")
    if sun is None:
        raise BadInputError("L1C tile metadata", "an element Sun_Angles_Grid")
    found = _pair(sun)
    if not np.isfinite([found.zenith, found.azimuth]).all():
        raise BadInputError("L1C tile metadata, Sun_Angles_Grid", "an angle at every node")
    views = {}
    for grid in document.iter("Viewing_Incidence_Angles_Grids"):
        band, detector = grid.get("bandId", ""), grid.get("detectorId", "")
        if not (band.isdecimal() and detector.isdecimal()):
            raise BadInputError(f"L1C tile metadata, {grid.tag}", "numbers of band and detector", (band, detector))
        views[int(band), int(detector)] = _pair(grid)
    return TileAngles(found, views)


def _pair(grid: ET.Element) -> Angles:
    values = []
    for tag in ("Zenith", "Azimuth"):
        rows = [(row.text or "").split() for row in grid.findall(f"{tag}/Values_List/VALUES")]
        if len(rows) != NODES or any(len(row) != NODES for row in rows):
            raise BadInputError(f"L1C tile metadata, {grid.tag}/{tag}", f"{NODES} x {NODES} values")
        try:
            values.append(np.array(rows, np.float64))
        except ValueError as error:
            raise BadInputError(f"L1C tile metadata, {grid.tag}/{tag}", "numbers", str(error)) from None
    return Angles(*values)


def _images(granule: Path) -> dict[str, Path]:
    images = {}
    for band in BANDS:
        found = sorted((granule / "IMG_DATA").glob(f"T*_{band.name}.jp2"))
        if len(found) != 1:
            raise BadInputError(f"{granule.name}, IMG_DATA", f"one image of {band.name}", len(found))
        images[band.name] = found[0]
    return images


def _notes(path: Path) -> tuple[str, ...]:
    """The simplifications that the L1C product names, none where it is not ours."""
    if not path.is_file():
        return ()
    return tuple((element.text or "").strip() for element in read_document(path).iter("Simplification"))
