"""``manifest.safe``: every file of a product with its size and SHA3-256 (XFDU, as Sentinel products have it).

Identifiers and the nesting of units are those of operational products (baseline 04.00); files that those do not have
are named after their paths.
"""

from __future__ import annotations

import hashlib
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node
from functions.ipf.safe import inspire
from functions.ipf.safe.elements import utc
from functions.ipf.safe.footprint import position_list
from shared.msi.instrument import BANDS, band_named

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames

FILE: Final = "manifest.safe"
_MIME: Final = {".xml": "text/xml", ".jp2": "application/octet-stream", ".png": "image/png"}
_MASKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CLASSI": "ClassiPixelsMask",
        "DETFOO": "DetectorFootprintMask",
        "QUALIT": "QualitPixelsMask",
        "CLDPRB": "CloudPrbMask",
        "SNWPRB": "SnowPrbMask",
    }
)
_AUXILIARY: Final[Mapping[str, str]] = MappingProxyType({"AUX_CAMSFO": "CAMS", "AUX_ECMWFT": "ECMWF"})
_OF_BANDS: Final = ("DETFOO", "QUALIT")
_NSSDC: Final = {"S2A": "2015-000A", "S2B": "2017-013A", "S2C": "2024-157A"}


def manifest(root: Path, names: ProductNames, footprint: Sequence[Point]) -> ET.Element:
    """The manifest of all files below ``root``, itself left out; files in the order of their paths."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != FILE]
    identities = _identities(sorted(path.relative_to(root).as_posix() for path in files), names.level)
    level = f"Level-{names.level[1:]}"
    package = node(
        "xfdu:contentUnit",
        *_units(identities),
        dmdID="acquisitionPeriod platform",
        pdiID="processing",
        textInfo=f"SENTINEL-2 MSI {level} User Product",
        unitType=f"Product_{level}",
    )
    described = [name for name in identities.values() if name.endswith("_Metadata")]
    return node(
        "xfdu:XFDU",
        node("informationPackageMap", package),
        node("metadataSection", *_metadata(names, footprint), *map(_pointed, described)),
        node("dataObjectSection", *(_data_object(root / file, file, name) for file, name in identities.items())),
        **{
            "xmlns:xfdu": "urn:ccsds:schema:xfdu:1",
            "xmlns:safe": "http://www.esa.int/safe/sentinel/1.1",
            "xmlns:gml": "http://www.opengis.net/gml",
            "version": f"esa/safe/sentinel/1.1/sentinel-2/msi/archive_{names.level.lower()}_user_product",
        },
    )


def _identities(files: Sequence[str], level: str) -> dict[str, str]:
    """The ID of each file: that of ESA's products, by which readers find them; of other files their path."""
    places = {kind: [file for file in files if f"/MSK_{kind}_" in file] for kind in _MASKS}
    return {file: _identity(file, level, places) for file in files}


def _identity(file: str, level: str, masks: Mapping[str, Sequence[str]]) -> str:
    if file == inspire.FILE:
        return "INSPIRE_Metadata"
    folder, _, name = file.rpartition("/")
    if name in _AUXILIARY:
        return f"{_AUXILIARY[name]}_Tile1_Data"
    metadata = {"MTD_DS.xml": "Datastrip1", "MTD_TL.xml": "Tile1", f"MTD_MSI{level}.xml": "Product"}
    if name in metadata:
        return f"S2_Level-{level[1:]}_{metadata[name]}_Metadata"
    if name.endswith("_QUALITY.xml") or name == "FORMAT_CORRECTNESS.xml":
        place = "Datastrip1" if folder.startswith("DATASTRIP") else "Tile1"
        kind = "L2A_QUALITY" if name.startswith("L2A") else name.partition("_")[0].capitalize()
        return f"{kind}_OLQC_Report_{place}_InformationData"
    if "/IMG_DATA" in folder:
        return f"IMG_DATA_Band_{name.split('_', 2)[-1].removesuffix('.jp2')}_Tile1_Data"
    if name.endswith("_PVI.jp2"):
        return "Preview_0_Tile1_Data"
    for kind, alike in masks.items():
        if file in alike:
            return f"{_MASKS[kind]}{_mask_number(kind, alike, alike.index(file))}_Tile1_Data"
    return re.sub(r"[^A-Za-z0-9]", "_", file)


def _mask_number(kind: str, alike: Sequence[str], index: int) -> str:
    """What tells a mask from others of its kind: resolution, number among those, number among all; no 0."""
    if kind == "CLASSI":
        return "_Band_00m_0"
    last = f"_{index}" if index else ""
    if kind not in _OF_BANDS:
        return last
    band = alike[index].rpartition("_")[2].removesuffix(".jp2")
    same = [other.name for other in BANDS if other.resolution == band_named(band).resolution]
    return f"_Band_{band_named(band).resolution}m_{same.index(band) + 1}{last}"


def _units(identities: Mapping[str, str]) -> list[ET.Element]:
    """The units of the package: those of the product, of the datastrip and of the tile, each in its containers."""
    of: dict[str, list[ET.Element]] = {}
    for file, name in identities.items():
        top, _, *below = [*file.split("/")[:-1], "", ""]
        place = "/".join([top, *filter(None, below[:1])]) if top in ("DATASTRIP", "GRANULE") else ""
        of.setdefault(place, []).append(_unit(name))
    empty: list[ET.Element] = []
    strip = [
        *of.get("DATASTRIP", empty),
        *_container("QI_DATA_Datastrip1", "Quality Control Container", of.get("DATASTRIP/QI_DATA", empty)),
    ]
    tile = [
        *_container("AUX_DATA_GranuleTile1", "Auxiliary Container", of.get("GRANULE/AUX_DATA", empty)),
        *_container("IMG_Data_Tile1", "Image Data Container", of.get("GRANULE/IMG_DATA", empty)),
        *of.get("GRANULE", empty),
        *_container("QI_DATA_Tile1", "Quality Control Container", of.get("GRANULE/QI_DATA", empty)),
    ]
    return [
        *of.get("", empty),
        *_container("Datastrips", "Datastrips Container", _container("Datastrip1", "Datastrip Container", strip)),
        *_container("Tiles", "Tiles Container", _container("Tile1", "Tile Container", tile)),
    ]


def _container(identity: str, text: str, units: Sequence[ET.Element]) -> list[ET.Element]:
    return [node("xfdu:contentUnit", *units, ID=identity, textInfo=text)] if units else []


def _unit(name: str) -> ET.Element:
    kind = "Metadata Unit" if name.endswith("_Metadata") else "Measurement Data Unit"
    pointer = node("dataObjectPointer", dataObjectID=name)
    identity = f"{name.removesuffix('Data')}Unit" if name.endswith("Data") else f"{name}_Unit"
    return node("xfdu:contentUnit", pointer, ID=identity, unitType=kind)


def _pointed(name: str) -> ET.Element:
    """A metadata object that stands in a file of its own."""
    pointer = node("dataObjectPointer", dataObjectID=name)
    return node("metadataObject", pointer, ID=f"{name}_Information", category="DMD", classification="DESCRIPTION")


def _data_object(path: Path, file: str, name: str) -> ET.Element:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha3_256").hexdigest()
    content = node(
        "byteStream",
        node("fileLocation", href=f"./{file}", locatorType="URL"),
        node("checksum", digest, checksumName="SHA3-256"),
        mimeType=_MIME.get(path.suffix, "application/octet-stream"),
        size=str(path.stat().st_size),
    )
    return node("dataObject", content, ID=name)


def _metadata(names: ProductNames, footprint: Sequence[Point]) -> list[ET.Element]:
    taken = names.acquisition
    platform = node(
        "safe:platform",
        *([node("safe:nssdcIdentifier", _NSSDC[taken.satellite])] if taken.satellite in _NSSDC else []),
        node("safe:familyName", "SENTINEL"),
        node("safe:number", taken.satellite[1:]),
        node("safe:instrument", node("safe:familyName", "Multi-Spectral Instrument", abbreviation="MSI")),
    )
    orbit = node(
        "safe:orbitReference",
        node(
            "safe:orbitNumber",
            f"{taken.absolute_orbit:06d}",
            type="start",
            groundTrackDirection=taken.orbit_direction.lower(),
        ),
        node("safe:relativeOrbitNumber", f"{taken.relative_orbit:03d}", type="start"),
    )
    processing = node(
        "safe:processing",
        name=f"Generation of Level-{names.level[1:]} User Product",
        start=utc(names.production.creation),
    )
    frame = node(
        "safe:frameSet",
        node(
            "safe:footPrint",
            node("gml:coordinates", position_list(footprint)),
            srsName="http://www.opengis.net/gml/srs/epsg.xml#4326",
        ),
    )
    period = node("safe:acquisitionPeriod", node("safe:startTime", utc(taken.datatake_start)))
    return [
        _wrapped("acquisitionPeriod", "DMD", "DESCRIPTION", "Acquisition Period", period),
        _wrapped("measurementOrbitReference", "DMD", "DESCRIPTION", "Orbit Reference", orbit),
        _wrapped("platform", "DMD", "DESCRIPTION", "Platform Description", platform),
        _wrapped("processing", "PDI", "PROVENANCE", "Processing", processing),
        _wrapped("measurementFrameSet", "DMD", "DESCRIPTION", "Frame Set", frame),
    ]


def _wrapped(identity: str, category: str, classification: str, text: str, content: ET.Element) -> ET.Element:
    wrap = node(
        "metadataWrap",
        node("xmlData", content),
        mimeType="text/xml",
        vocabularyName="Sentinel-SAFE",
        textInfo=text,
    )
    return node("metadataObject", wrap, ID=identity, category=category, classification=classification)
