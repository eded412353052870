"""What every product of the archive (PDI) has: ``manifest.safe``, and the checks that its folder is whole.

The manifest lists what the product consists of; reports and inventory, which are made of the finished product, stand
beside it unlisted, as in operational products.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from functions.ipf.common.olqc import Check
from functions.ipf.common.xml import node
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.xmltree import parse_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from functions.ipf.common.identity import Production

MANIFEST: Final = "manifest.safe"
_MIME: Final = {".xml": "text/xml", ".jp2": "image/jp2"}
_UNITS: Final = {".xml": "Metadata Unit"}
_NSSDC: Final = {"S2A": "2015-028A", "S2B": "2017-013A", "S2C": "2024-157A"}
_FOLDERS: Final = {
    "IMG_DATA": "Image data container",
    "QI_DATA": "Quality control container",
    "ANC_DATA": "Ancillary data",
}
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a product is from: sensing, orbit, footprint (closed ring of longitude and latitude), and inputs by
    name. ``direction`` and ``footprint`` are empty where they are not known, or not a matter.
    """

    level: str
    kind: str
    datatake: str
    datatake_type: str
    relative_orbit: int
    direction: str
    start: datetime
    stop: datetime
    footprint: Sequence[tuple[float, float]]
    inputs: Sequence[str] = ()


def manifest(product: Path, production: Production, origin: Origin) -> ET.Element:
    """The manifest of all files below ``product``, in the order of their paths."""
    files = sorted(path for path in product.rglob("*") if path.is_file() and path.name != MANIFEST)
    objects: list[ET.Element] = []
    units: dict[str, list[ET.Element]] = {name: [] for name in ("", *_FOLDERS)}
    for path in files:
        relative = path.relative_to(product).as_posix()
        identity = relative.translate(str.maketrans("/.", "__"))
        objects.append(_object(path, relative, identity))
        folder = relative.partition("/")[0] if "/" in relative else ""
        kind = _UNITS.get(path.suffix, "Data Unit")
        pointer = node("dataObjectPointer", dataObjectID=identity)
        unit = node("xfdu:contentUnit", pointer, ID=f"{identity}_Unit", unitType=kind)
        units.setdefault(folder, []).append(unit)
    text = f"Level-{origin.level}_{origin.kind}"
    package = node(
        "xfdu:contentUnit",
        *units.pop(""),
        *(node("xfdu:contentUnit", *inner, ID=n, textInfo=_FOLDERS.get(n, n)) for n, inner in units.items()),
        dmdID="acquisitionPeriod platform",
        pdiID="processing",
        textInfo=f"SENTINEL-2 MSI {text} PDI",
        unitType=f"Product_Level-{origin.level}",
    )
    return node(
        "xfdu:XFDU",
        node("informationPackageMap", package),
        node("metadataSection", *_metadata(product.name, production, origin)),
        node("dataObjectSection", *objects),
        **{
            "xmlns:xfdu": "urn:ccsds:schema:xfdu:1",
            "xmlns:safe": "http://www.esa.int/safe/sentinel-1.0",
            "xmlns:gml": "http://www.opengis.net/gml",
            "version": f"esa/safe/sentinel-1.0/sentinel-2/msi/archive_l{origin.level.lower()}_{origin.kind.lower()}",
        },
    )


def _object(path: Path, relative: str, identity: str) -> ET.Element:
    stream = node(
        "byteStream",
        node("fileLocation", href=f"./{relative}", locatorType="URL"),
        node("checksum", _digest(path), checksumName="SHA3-256"),
        mimeType=_MIME.get(path.suffix, "application/octet-stream"),
        size=str(path.stat().st_size),
    )
    return node("dataObject", stream, ID=identity)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha3_256").hexdigest().upper()


def _metadata(product: str, production: Production, origin: Origin) -> list[ET.Element]:
    satellite = product[:3]
    platform = node(
        "safe:platform",
        *([node("safe:nssdcIdentifier", _NSSDC[satellite])] if satellite in _NSSDC else []),
        node("safe:familyName", "Sentinel"),
        node("safe:number", satellite[1:]),
        node(
            "safe:instrument",
            node("safe:familyName", "Multi-Spectral Instrument", abbreviation="MSI"),
            node("safe:mode", identifier=origin.datatake_type),
        ),
    )
    facility = node("safe:facility", site=production.centre, name="S2PS", organisation="S2PS", country="unknown")
    processing = node(
        "safe:processing",
        facility,
        *(node("safe:resource", name=name, role="Auxiliary data") for name in origin.inputs),
        name=f"Processing of PDI Level-{origin.level} {origin.kind}",
        start=_utc(production.creation),
    )
    period = node("safe:acquisitionPeriod", startTime=_utc(origin.start), stopTime=_utc(origin.stop))
    flown = {"groundTrackDirection": origin.direction.lower()} if origin.direction else {}
    orbit = node(
        "safe:orbitReference",
        node("safe:orbitNumber", origin.datatake, type="start", **flown),
        node("safe:relativeOrbitNumber", origin.relative_orbit, type="start"),
    )
    corners = " ".join(f"{lat:.9f},{lon:.9f}" for lon, lat in origin.footprint)
    srs = "http://www.opengis.net/gml/srs/epsg.xml#4326"
    ring = node("safe:frameSet", node("safe:footPrint", node("gml:coordinates", corners), srsName=srs))
    return [
        _wrapped("platform", "DMD", "DESCRIPTION", platform),
        _wrapped("processing", "PDI", "PROVENANCE", processing),
        _wrapped("acquisitionPeriod", "DMD", "DESCRIPTION", period),
        _wrapped("measurementOrbitReference", "DMD", "DESCRIPTION", orbit),
        *([_wrapped("measurementFrameSet", "DMD", "DESCRIPTION", ring)] if origin.footprint else []),
    ]


def _wrapped(identity: str, category: str, classification: str, content: ET.Element) -> ET.Element:
    wrap = node("metadataWrap", node("xmlData", content))
    return node("metadataObject", wrap, ID=identity, category=category, classification=classification)


def _utc(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_checks(product: Path, metadata: str) -> list[Check]:
    """The checks of FORMAT_CORRECTNESS: manifest, files, references, names. ``metadata`` names the metadata file."""
    try:
        root = parse_tree((product / MANIFEST).read_bytes(), MANIFEST)
    except (OSError, BadInputError) as error:
        return [Check("checkSafeManifest", "The manifest is there and can be read.", passed=False, message=str(error))]
    streams = {item.get("ID", ""): item.find("byteStream") for item in root.iter("dataObject")}
    listed: dict[str, str] = {}
    wrong = []
    for identity, stream in streams.items():
        location = None if stream is None else stream.find("fileLocation")
        href = "" if location is None else location.get("href", "").removeprefix("./")
        listed[href] = identity
        if stream is None or not _as_listed(product, href, stream):
            wrong.append(href or identity)
    present = {path.relative_to(product).as_posix() for path in product.rglob("*") if path.is_file()} - {MANIFEST}
    extra = sorted(present - set(listed))
    pointers = {pointer.get("dataObjectID", "") for pointer in root.iter("dataObjectPointer")}
    dangling = sorted(pointers ^ set(streams))
    misnamed = sorted(name for name in present if not _is_named(product.name, PurePosixPath(name)))
    return [
        Check("checkSafeManifest", "The manifest is there and can be read.", passed=True, message="Manifest present."),
        _none("hrefExist", "Every file of the manifest is there, as long as it says, and has a digest.", wrong),
        _none("extraData", "No file is there that the manifest does not list.", extra),
        _none("idReferences", "Every data object is referred to once, and every reference has its object.", dangling),
        _none("fileNames", "Files are named after satellite, class, centre, creation and sensing.", misnamed),
        Check(
            "checkMetadata",
            "The metadata file is there and in the manifest.",
            passed=metadata in present and metadata in listed,
            message=f"{metadata} is {'present' if metadata in present else 'absent'}.",
        ),
    ]


def _as_listed(product: Path, href: str, stream: ET.Element) -> bool:
    path = product / href
    if not href or ".." in PurePosixPath(href).parts or not path.is_file():
        return False
    return stream.get("size") == str(path.stat().st_size) and bool(stream.findtext("checksum"))


def _is_named(product: str, path: PurePosixPath) -> bool:
    try:
        name, own = PdiName.parse(path.stem), PdiName.parse(product)
    except BadInputError:
        return False
    return (name.satellite, name.file_class, name.site, name.creation) == (
        own.satellite,
        own.file_class,
        own.site,
        own.creation,
    )


def _none(identity: str, about: str, found: Sequence[str]) -> Check:
    shown = ", ".join(found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")
    return Check(identity, about, passed=not found, message=f"Found: {shown}" if found else "None found to be wrong.")
