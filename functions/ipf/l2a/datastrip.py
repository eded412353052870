"""``MTD_DS.xml`` of an L2A product: the L1C product's own, with this production's identity in place of its."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.ipf.common.xml import node
from functions.ipf.l2a.metadata import scaling, tables_used
from functions.ipf.l2a.reading import read_document
from functions.ipf.safe import elements
from functions.ipf.safe.elements import utc

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from functions.ipf.l2a.source import Level1C
    from functions.ipf.safe.names import ProductNames

_KEPT = ("Satellite_Ancillary_Data_Info", "Quality_Indicators_Info", "Auxiliary_Data_Info")


def document(names: ProductNames, source: Level1C) -> ET.Element:
    """The datastrip's metadata. Where the L1C product has none, only times and production stand in it."""
    parts = _parts(source)
    image = parts.get("Image_Data_Info", node("Image_Data_Info"))
    if (old := image.find("Tiles_Information")) is not None:
        image.remove(old)
    image.insert(0, _tiles(names))
    _rescale(image)
    if (auxiliary := parts.get("Auxiliary_Data_Info")) is not None:
        auxiliary.extend(tables_used())
    kept = [parts[name] for name in _KEPT if name in parts]
    return elements.root(
        "Level-2A_DataStrip_ID",
        "S2_PDI_Level-2A_Datastrip_Metadata.xsd",
        _general(names, source, parts.get("General_Info")),
        image,
        *kept,
    )


def _parts(source: Level1C) -> dict[str, ET.Element]:
    """The document's sections by name without namespace."""
    if source.datastrip is None:
        return {}
    found = {}
    for section in read_document(source.datastrip):
        section.tag = section.tag.rpartition("}")[2]
        found[section.tag] = section
    return found


def _tiles(names: ProductNames) -> ET.Element:
    return node("Tiles_Information", node("Tile_List", node("Tile", tileId=names.granule)), metadataLevel="Standard")


def _rescale(image: ET.Element) -> None:
    """L2A's quantification and offsets where L1C's stood."""
    radiometry = image.find("Radiometric_Info")
    if radiometry is None:
        image.append(node("Radiometric_Info", *scaling()))
        return
    at = 0
    for old in ("Radiometric_Offset_List", "QUANTIFICATION_VALUE"):
        if (found := radiometry.find(old)) is not None:
            at = list(radiometry).index(found)
            radiometry.remove(found)
    for element in reversed(scaling()):
        radiometry.insert(at, element)


def _general(names: ProductNames, source: Level1C, given: ET.Element | None) -> ET.Element:
    times = given.find("Datastrip_Time_Info") if given is not None else None
    if times is None:
        times = node(
            "Datastrip_Time_Info",
            node("DATASTRIP_SENSING_START", utc(source.acquisition.sensing_start)),
            node("DATASTRIP_SENSING_STOP", utc(source.acquisition.tile_sensing)),
            metadataLevel="Brief",
        )
    downlink = given.find("Downlink_Info") if given is not None else None
    return node(
        "General_Info",
        node("Datatake_Info", *elements.datatake(names), datatakeIdentifier=names.datatake, metadataLevel="Brief"),
        times,
        node(
            "Processing_Info",
            node("PROCESSING_BASELINE", names.production.baseline),
            node("PRODUCT_DOI", elements.NOT_APPLICABLE),
            node("PROCESSING_CENTER", names.production.centre),
            node("UTC_DATE_TIME", utc(names.production.creation)),
            metadataLevel="Expertise",
        ),
        *([downlink] if downlink is not None else []),
        elements.archiving(names),
    )
