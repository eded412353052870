"""``manifest.safe``: every file of a product with its size and SHA3-256 (XFDU, as Sentinel products have it)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node
from functions.ipf.safe import inspire
from functions.ipf.safe.elements import utc
from functions.ipf.safe.footprint import position_list

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Sequence
    from pathlib import Path

    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames

FILE: Final = "manifest.safe"
_MIME: Final = {".xml": "text/xml", ".jp2": "application/octet-stream", ".png": "image/png"}
_NSSDC: Final = {"S2A": "2015-000A", "S2B": "2017-013A", "S2C": "2024-157A"}


def manifest(root: Path, names: ProductNames, footprint: Sequence[Point]) -> ET.Element:
    """The manifest of all files below ``root``, itself left out; files in the order of their paths."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != FILE)
    objects = [_data_object(root, path, names.level) for path in files]
    units = [
        node("xfdu:contentUnit", node("dataObjectPointer", dataObjectID=entry.get("ID", "")), unitType=_unit(path))
        for entry, path in zip(objects, files, strict=True)
    ]
    level = f"Level-{names.level[1:]}"
    package = node(
        "xfdu:contentUnit",
        *units,
        dmdID="acquisitionPeriod platform",
        pdiID="processing",
        textInfo=f"SENTINEL-2 MSI {level} User Product",
        unitType=f"Product_{level}",
    )
    return node(
        "xfdu:XFDU",
        node("informationPackageMap", package),
        node("metadataSection", *_metadata(names, footprint)),
        node("dataObjectSection", *objects),
        **{
            "xmlns:xfdu": "urn:ccsds:schema:xfdu:1",
            "xmlns:safe": "http://www.esa.int/safe/sentinel/1.1",
            "xmlns:gml": "http://www.opengis.net/gml",
            "version": f"esa/safe/sentinel/1.1/sentinel-2/msi/archive_{names.level.lower()}_user_product",
        },
    )


def _unit(path: Path) -> str:
    return "Measurement Data Unit" if path.suffix == ".jp2" else "Metadata Unit"


def _identity(relative: str, level: str) -> str:
    """A file's ID: that of ESA's products, by which readers find metadata and images; of other files their path."""
    if relative == inspire.FILE:
        return "INSPIRE_Metadata"
    metadata = {"MTD_DS.xml": "Datastrip1", "MTD_TL.xml": "Tile1", f"MTD_MSI{level}.xml": "Product"}
    folder, _, name = relative.rpartition("/")
    if name in metadata:
        return f"S2_Level-{level[1:]}_{metadata[name]}_Metadata"
    if name.endswith("_QUALITY.xml") or name == "FORMAT_CORRECTNESS.xml":
        place = "Datastrip1" if folder.startswith("DATASTRIP") else "Tile1"
        return f"{name.partition('_')[0].capitalize()}_OLQC_Report_{place}_InformationData"
    if "/IMG_DATA" in folder:
        return f"IMG_DATA_Band_{name.split('_', 2)[-1].removesuffix('.jp2')}_Tile1_Data"
    return re.sub(r"[^A-Za-z0-9]", "_", relative)


def _data_object(root: Path, path: Path, level: str) -> ET.Element:
    relative = path.relative_to(root).as_posix()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha3_256").hexdigest()
    stream = node(
        "byteStream",
        node("fileLocation", href=f"./{relative}", locatorType="URL"),
        node("checksum", digest, checksumName="SHA3-256"),
        mimeType=_MIME.get(path.suffix, "application/octet-stream"),
        size=str(path.stat().st_size),
    )
    return node("dataObject", stream, ID=_identity(relative, level))


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
