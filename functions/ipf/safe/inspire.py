"""``INSPIRE.xml``: discovery metadata of a user product (ISO 19139), for catalogues that know nothing of Sentinel-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node
from functions.ipf.safe.elements import utc

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Sequence

    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames

FILE: Final = "INSPIRE.xml"
_CODES: Final = (
    "http://standards.iso.org/ittf/PubliclyAvailableStandards/ISO_19139_Schemas/resources/codelist/ML_gmxCodelists.xml"
)


def inspire(names: ProductNames, footprint: Sequence[Point], lineage: str) -> ET.Element:
    """The document; ``footprint`` is a ring of (longitude, latitude), ``lineage`` says how the product was made."""
    taken, created = names.acquisition, names.production.creation.strftime("%Y-%m-%dT%H:%M:%S")
    lon, lat = [point[0] for point in footprint], [point[1] for point in footprint]
    box = node(
        "gmd:EX_GeographicBoundingBox",
        *(
            node(f"gmd:{tag}", node("gco:Decimal", f"{value:.6f}"))
            for tag, value in (
                ("westBoundLongitude", min(lon)),
                ("eastBoundLongitude", max(lon)),
                ("southBoundLatitude", min(lat)),
                ("northBoundLatitude", max(lat)),
            )
        ),
    )
    period = node(
        "gml:TimePeriod",
        node("gml:beginPosition", utc(taken.sensing_start)),
        node("gml:endPosition", utc(taken.tile_sensing)),
        **{"gml:id": "sensing"},
    )
    extent = node(
        "gmd:EX_Extent",
        node("gmd:geographicElement", box),
        node("gmd:temporalElement", node("gmd:EX_TemporalExtent", node("gmd:extent", period))),
    )
    citation = node(
        "gmd:CI_Citation",
        _text("title", names.safe),
        node(
            "gmd:date", node("gmd:CI_Date", _date("date", created), _coded("dateType", "CI_DateTypeCode", "creation"))
        ),
        node("gmd:identifier", node("gmd:RS_Identifier", _text("code", names.safe.removesuffix(".SAFE")))),
    )
    identification = node(
        "gmd:MD_DataIdentification",
        node("gmd:citation", citation),
        _text("abstract", f"Sentinel-2 MSI Level-{names.level[1:]}, tile {names.tile}, not made by ESA: {lineage}"),
        _text("language", "eng"),
        node("gmd:topicCategory", node("gmd:MD_TopicCategoryCode", "imageryBaseMapsEarthCover")),
        node("gmd:extent", extent),
    )
    return node(
        "gmd:MD_Metadata",
        _text("fileIdentifier", names.safe.removesuffix(".SAFE")),
        _text("language", "eng"),
        _coded("hierarchyLevel", "MD_ScopeCode", "dataset"),
        node(
            "gmd:contact",
            node(
                "gmd:CI_ResponsibleParty",
                _text("organisationName", names.production.centre),
                _coded("role", "CI_RoleCode", "processor"),
            ),
        ),
        _date("dateStamp", created),
        _text("metadataStandardName", "ISO 19115:2003/19139"),
        node("gmd:identificationInfo", identification),
        node(
            "gmd:dataQualityInfo",
            node(
                "gmd:DQ_DataQuality",
                node("gmd:scope", node("gmd:DQ_Scope", _coded("level", "MD_ScopeCode", "dataset"))),
                node("gmd:lineage", node("gmd:LI_Lineage", _text("statement", lineage))),
            ),
        ),
        **{
            "xmlns:gmd": "http://www.isotc211.org/2005/gmd",
            "xmlns:gco": "http://www.isotc211.org/2005/gco",
            "xmlns:gml": "http://www.opengis.net/gml/3.2",
        },
    )


def _text(tag: str, text: str) -> ET.Element:
    return node(f"gmd:{tag}", node("gco:CharacterString", text))


def _date(tag: str, moment: str) -> ET.Element:
    return node(f"gmd:{tag}", node("gco:DateTime", moment))


def _coded(tag: str, code: str, value: str) -> ET.Element:
    return node(f"gmd:{tag}", node(f"gmd:{code}", value, codeList=f"{_CODES}#{code}", codeListValue=value))
