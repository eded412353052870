"""Reading an L1C product: any compact SAFE of one tile (PSD 14 and 15; without radiometric offset before 04.00).

Its documents are parsed as hostile: no entities, and no path from them is followed; images are looked up by their names
in the granule's folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.l2a.reading import Document, number_at, numbers_of, positive_at, read_document, text_at, time_at
from functions.ipf.safe.angles import NODES, Angles, TileAngles
from functions.ipf.safe.names import Acquisition
from shared.domain.names import CompactName, parse_stamp
from shared.errors import BadInputError
from shared.msi.instrument import BANDS
from shared.msi.tiling import Tile, tile

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path


_GRANULE: Final = re.compile(r"L1C_T(\w{5})_A(\d{6})_(\d{8}T\d{6})", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,4}", re.ASCII)
_LONG_NAME: Final = re.compile(r"S2[A-D]_[A-Z]{4}_PRD_MSIL1C_")


STATED: Final = (
    "Spectral_Information_List",
    "GIPP_List",
    "IERS_BULLETIN_FILENAME",
    "GRI_List",
    "ECMWF_DATA_REF",
    "CAMS_DATA_REF",
)
"""Elements that are carried over: of the instrument, and the files that L1C was made with."""


@dataclass(frozen=True, slots=True)
class Level1C:
    """What L2A needs of an L1C product. ``offsets`` are added to counts before division by ``quantification``.

    ``irradiances`` and ``gains`` by band name are the satellite's own, as far as the product states them; ``stated``
    are elements of its metadata that hold for the L2A product as well, by tag.
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
    stated: Mapping[str, ET.Element]


def read_level1c(safe: Path) -> Level1C:
    """Read the product in folder ``safe``, or the one .SAFE in it; BadInputError naming what is missing or wrong."""
    inside = visible(safe, "*.SAFE") if safe.suffix != ".SAFE" else []
    safe = inside[0] if len(inside) == 1 else safe
    name = _product_name(safe.name)
    product = Document.read(safe / "MTD_MSIL1C.xml")
    granules = [path for path in visible(safe / "GRANULE", "L1C_*") if path.is_dir()]
    if len(granules) != 1:
        raise BadInputError(f"{safe.name}, GRANULE", "one granule", len(granules))
    tile_document = Document.read(granules[0] / "MTD_TL.xml")
    found = tile(name.tile)
    orbit, sensing = _granule(granules[0].name, found)
    _check_place(tile_document, found)
    acquisition = Acquisition(
        satellite=name.satellite,
        datatake_start=time_at(product, "Datatake/DATATAKE_SENSING_START"),
        datatake_type=text_at(product, "Datatake/DATATAKE_TYPE"),
        absolute_orbit=orbit,
        relative_orbit=name.relative_orbit,
        orbit_direction=_direction(product),
        sensing_start=sensing,
        tile_sensing=time_at(tile_document, "SENSING_TIME"),
    )
    return Level1C(
        name=safe.name,
        granule=text_at(tile_document, "TILE_ID"),
        tile=found,
        acquisition=acquisition,
        quantification=positive_at(product, "QUANTIFICATION_VALUE"),
        offsets=_offsets(product),
        earth_sun_u=positive_at(product, "Reflectance_Conversion/U"),
        irradiances=_by_band(product, "SOLAR_IRRADIANCE"),
        gains=_by_band(product, "PHYSICAL_GAINS"),
        degraded_percent=number_at(product, "DEGRADED_MSI_DATA_PERCENTAGE", 0.0),
        degraded_ancillary_percent=number_at(product, "DEGRADED_ANC_DATA_PERCENTAGE", 0.0),
        footprint=_footprint(product),
        angles=_angles(tile_document),
        images=_images(granules[0]),
        granule_folder=granules[0],
        datastrip=next(iter(visible(safe, "DATASTRIP/*/MTD_DS.xml")), None),
        simplifications=_notes(granules[0] / "AUX_DATA" / "PROCESSING_NOTES.xml"),
        stated={tag: said for tag in STATED if (said := product.root.find(f".//{tag}")) is not None},
    )


def visible(folder: Path, pattern: str) -> list[Path]:
    """What matches, by name; without what desktops and clients leave beside files (``._name``, ``name_$folder$``)."""
    return sorted(p for p in folder.glob(pattern) if not p.name.startswith(".") and not p.name.endswith("$"))


def _product_name(text: str) -> CompactName:
    if _LONG_NAME.match(text):
        raise BadInputError(
            text,
            "a product of one tile with a compact name; products of before 6 December 2016 hold several tiles under"
            " long names, and are not processed",
        )
    name = CompactName.parse(text)
    if name.level != "L1C":
        raise BadInputError(text, "a product of level L1C", name.level)
    return name


def _direction(product: Document) -> str:
    path = "Datatake/SENSING_ORBIT_DIRECTION"
    text = text_at(product, path)
    if text not in ("ASCENDING", "DESCENDING"):
        raise product.wrong(path, "ASCENDING or DESCENDING", text)
    return text


def _granule(name: str, target: Tile) -> tuple[int, datetime]:
    """Absolute orbit and sensing start of the datastrip, from a granule's folder name."""
    match = _GRANULE.fullmatch(name)
    if match is None:
        raise BadInputError(f"granule {name}", "a name as L1C_T32TMQ_A012345_20260621T102000")
    if match[1] != target.name:
        raise BadInputError(f"granule {name}", f"tile {target.name}, as the product's name says", match[1])
    return int(match[2]), parse_stamp(match[3], f"granule {name}")


def _check_place(document: Document, target: Tile) -> None:
    """What ``Tile_Geocoding`` states is the tile of the product's name."""
    wanted = {
        "HORIZONTAL_CS_CODE": f"EPSG:{target.epsg}",
        "Geoposition[@resolution='10']/ULX": str(target.ulx),
        "Geoposition[@resolution='10']/ULY": str(target.uly),
    }
    for path, value in wanted.items():
        text = (document.root.findtext(f".//Tile_Geocoding/{path}") or value).strip()
        if text.upper().removesuffix(".0") != value:
            raise document.wrong(path, f"{value}, for tile {target.name}", text)


def _offsets(product: Document) -> dict[str, float]:
    """Offsets by band name, 0 where the product has none."""
    found = {band.name: 0.0 for band in BANDS}
    for element in product.root.iter("RADIO_ADD_OFFSET"):
        offset = numbers_of(product, "RADIO_ADD_OFFSET", element.text)
        if len(offset) != 1:
            raise product.wrong("RADIO_ADD_OFFSET", "one number", element.text)
        found[_band_name(product, element, "band_id")] = offset[0]
    return found


def _by_band(product: Document, tag: str) -> dict[str, float]:
    """Numbers above 0 by band name, of the bands that have one."""
    found = {}
    for element in product.root.iter(tag):
        numbers = numbers_of(product, tag, element.text)
        if len(numbers) != 1 or numbers[0] <= 0:
            raise product.wrong(tag, "a number above 0", numbers)
        found[_band_name(product, element, "bandId")] = numbers[0]
    return found


def _band_name(product: Document, element: ET.Element, attribute: str) -> str:
    index = element.get(attribute, "")
    if _NUMBER.fullmatch(index) is None or int(index) >= len(BANDS):
        raise product.wrong(element.tag, f"a {attribute} of 0..12", index)
    return BANDS[int(index)].name


def _footprint(product: Document) -> tuple[tuple[float, float], ...]:
    numbers = numbers_of(product, "EXT_POS_LIST", text_at(product, "Global_Footprint/EXT_POS_LIST"))
    if len(numbers) < 8 or len(numbers) % 2:
        raise product.wrong("EXT_POS_LIST", "pairs of latitude and longitude", len(numbers))
    return tuple(zip(numbers[1::2], numbers[::2], strict=True))


def _angles(document: Document) -> TileAngles:
    sun = document.root.find(".//Sun_Angles_Grid")
    if sun is None:
        raise document.wrong("Sun_Angles_Grid", "an element of this name")
    found = _pair(document, sun)
    if not np.isfinite([found.zenith, found.azimuth]).all():
        raise document.wrong("Sun_Angles_Grid", "an angle at every node")
    views = {}
    for grid in document.root.iter("Viewing_Incidence_Angles_Grids"):
        band, detector = grid.get("bandId", ""), grid.get("detectorId", "")
        if not (_NUMBER.fullmatch(band) and _NUMBER.fullmatch(detector)):
            raise document.wrong(grid.tag, "numbers of band and detector", (band, detector))
        views[int(band), int(detector)] = _pair(document, grid)
    return TileAngles(found, views)


def _pair(document: Document, grid: ET.Element) -> Angles:
    values = []
    for tag in ("Zenith", "Azimuth"):
        rows = [(row.text or "").split() for row in grid.findall(f"{tag}/Values_List/VALUES")]
        if len(rows) != NODES or any(len(row) != NODES for row in rows):
            raise document.wrong(f"{grid.tag}/{tag}", f"{NODES} x {NODES} values")
        try:
            values.append(np.array(rows, np.float64))
        except ValueError as error:
            raise document.wrong(f"{grid.tag}/{tag}", "numbers", str(error)) from None
    return Angles(*values)


def _images(granule: Path) -> dict[str, Path]:
    images = {}
    for band in BANDS:
        found = visible(granule / "IMG_DATA", f"T*_{band.name}.jp2")
        if len(found) != 1:
            raise BadInputError(f"{granule.name}, IMG_DATA", f"one image of {band.name}", len(found))
        images[band.name] = found[0]
    return images


def _notes(path: Path) -> tuple[str, ...]:
    """The simplifications that the L1C product names, none where it is not ours."""
    if not path.is_file():
        return ()
    return tuple((element.text or "").strip() for element in read_document(path).iter("Simplification"))
