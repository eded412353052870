"""Level-0 metadata of granules and datastrips, valid against the PSD 14 schemas; element names and order are theirs.

What no packet tells is left out where the schema allows, and said in ``simplifications``, which every product carries.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from functions.ipf.common import l0_metadata as md
from functions.ipf.common.xml import node
from functions.ipf.l0c.ancillary import ancillary_info
from functions.ipf.l0c.geometry import (
    REFERENCE_BAND,
    GranuleGeometry,
    Header,
    Point,
    granule_geometry,
    headers,
    quicklook_footprint,
)
from shared.ccsds.cuc import GPS_MINUS_UTC_S
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.msi.instrument import LINES_PER_SCENE_10M

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.ipf.common.identity import Production
    from functions.ipf.l0c.facts import Facts, Granule, Indicators

SIMPLIFICATIONS: Final = (
    "Packets have a layout of this service's own, image packets the codec CCSDS 121: the instrument's are not public.",
    "Raw data of star trackers and gyroscopes are absent.",
    "Clouds are judged coarsely, by thresholds of this service on the quicklook.",
    "The GIPP NOMINL, the DEM ELLIPS and the IERS bulletin of site S2PS are no files: they stand for what is built in.",
)

_ON_ELLIPSOID: Final = "Footprints and centres lie on the ellipsoid, at height 0."
_UNNAMED: Final = "The DEM VOLUME of site S2PS stands for an elevation model that has no name of the archive."
_PSD: Final = "https://psd-14.sentinel2.eo.esa.int/PSD/"
_BUILT_IN: Final = "S2PS_20200101T000000"
_VALID: Final = "V20150101T000000_21000101T000000"
_NO_DEM: Final = f"S2__TEST_DEM_ELLIPS_{_BUILT_IN}_S20150101T000000"
_DEM: Final = f"S2__TEST_DEM_VOLUME_{_BUILT_IN}_S20150101T000000"
_NO_BULLETIN: Final = f"S2__TEST_AUX_UT1UTC_{_BUILT_IN}_{_VALID}"
_GPS_MINUS_TAI_S: Final = -19


def _root(kind: str, tag: str, *sections: ET.Element) -> ET.Element:
    for section in sections:
        section.tag = f"n1:{section.tag}"
    root = node(f"n1:{tag}", *sections)
    root.set("xmlns:n1", f"{_PSD}S2_PDI_Level-0_{kind}_Metadata.xsd")
    return root


def _parameters(facts: Facts) -> ET.Element:
    return node("PROCESSING_SPECIFIC_PARAMETERS", " ".join(simplifications(facts)))


def _archiving(production: Production) -> ET.Element:
    return node(
        "Archiving_Info",
        node("ARCHIVING_CENTRE", production.centre),
        node("ARCHIVING_TIME", md.utc(production.creation)),
        metadataLevel="Expertise",
    )


def granule_metadata(facts: Facts, granule: Granule) -> ET.Element:
    """``Level-0_Granule_ID``."""
    detector, scene = granule
    general = node(
        "General_Info",
        node("GRANULE_ID", facts.granule_name(granule), metadataLevel="Brief"),
        node("DETECTOR_ID", f"{detector:02d}", metadataLevel="Brief"),
        node("DATASTRIP_ID", facts.name, metadataLevel="Brief"),
        node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
        node("SENSING_TIME", md.utc(facts.scene(scene)[0]), metadataLevel="Standard"),
        _archiving(facts.production),
        node("Processing_Specific_Parameters", _parameters(facts), metadataLevel="Expertise"),
    )
    lost = facts.account.lost_share((detector,), range(scene, scene + 1))
    quality = node(
        "Quality_Indicators_Info",
        node(
            "Image_Content_QI",
            node(
                "Common_IMG_QI",
                node("CLOUDY_PIXEL_PERCENTAGE", f"{facts.clouds.get(granule, 0.0):.6f}"),
                node("DEGRADED_MSI_DATA_PERCENTAGE", f"{lost:.6f}"),
            ),
            md.source_packet_description(facts.account, detector, scene),
            metadataLevel="Standard",
        ),
    )
    geometry = _geometric_info(scene, granule_geometry(facts.geometry, detector, scene))
    return _root("Granule", "Level-0_Granule_ID", general, geometry, quality)


def _geometric_info(scene: int, geometry: GranuleGeometry) -> ET.Element:
    ring = zip(geometry.footprint, geometry.heights, strict=True)
    corners = " ".join(f"{lat:.9f} {lon:.9f} {height:.3f}" for (lon, lat), height in ring)
    lon, lat = geometry.centre
    footprint = node(
        "Granule_Footprint",
        node("Granule_Footprint", node("Footprint", node("EXT_POS_LIST", corners))),
        node("RASTER_CS_TYPE", "POINT"),
        node("PIXEL_ORIGIN", 1),
        metadataLevel="Brief",
    )
    header = node(
        "Geometric_Header",
        node("GROUND_CENTER", f"{lat:.9f} {lon:.9f} {geometry.height:.3f}"),
        node("QL_CENTER", _pairs([geometry.quicklook_centre])),
        _angles("Incidence_Angles", (geometry.view_zenith, geometry.view_azimuth)),
        _angles("Solar_Angles", (geometry.sun_zenith, geometry.sun_azimuth)),
    )
    position = node(
        "Granule_Position",
        node("POSITION", (scene - 1) * LINES_PER_SCENE_10M + 1),
        header,
        node("QL_FOOTPRINT", _pairs(geometry.quicklook)),
        metadataLevel="Standard",
    )
    return node("Geometric_Info", footprint, position)


def _pairs(points: Sequence[Point]) -> str:
    return " ".join(f"{a:.3f} {b:.3f}" for a, b in points)


def _angles(tag: str, zenith_azimuth: Point) -> ET.Element:
    zenith, azimuth = zenith_azimuth
    return node(
        tag,
        node("ZENITH_ANGLE", f"{zenith:.9f}", unit="deg"),
        node("AZIMUTH_ANGLE", f"{azimuth:.9f}", unit="deg"),
    )


def datastrip_metadata(facts: Facts, indicators: Indicators) -> ET.Element:
    """``Level-0_DataStrip_ID``."""
    production, account = facts.production, facts.account
    general = node(
        "General_Info",
        md.datatake_info(account.descriptor, production.baseline, facts.direction, metadataLevel="Brief"),
        md.datastrip_time_info(account, metadataLevel="Brief"),
        node(
            "Processing_Info",
            node("PROCESSING_BASELINE", production.baseline),
            node("PROCESSING_CENTER", production.centre),
            node("UTC_DATE_TIME", md.utc(production.creation)),
            metadataLevel="Expertise",
        ),
        md.downlink_info(facts.downlink, metadataLevel="Standard"),
        _archiving(production),
        node("PROCESSING_SPECIFIC_PARAMETERS", _parameters(facts), metadataLevel="Expertise"),
    )
    configuration = md.sensor_configuration(
        account,
        facts.octets,
        sum(facts.damaged.values()),
        facts.datation.first_line_ns,
        synchronised=facts.synchronised,
    )
    seen = [_header(header) for header in headers(facts.geometry)]
    image = node(
        "Image_Data_Info",
        md.granules_information(facts.granules),
        configuration,
        node("Geometric_Header_List", *seen, metadataLevel="Expertise"),
    )
    return _root(
        "Datastrip",
        "Level-0_DataStrip_ID",
        general,
        image,
        ancillary_info(facts.telemetry, account.expected()),
        _quality(facts, indicators),
        _auxiliary(facts),
    )


def _header(header: Header) -> ET.Element:
    places = [
        node(
            "Located_Geometric_Header",
            node("ORIENTATION", f"{place.orientation:.9f}", unit="deg"),
            _angles("Incidence_Angles", place.view),
            _angles("Solar_Angles", place.sun),
            node(
                "Pixel_Size",
                node("ALONG_TRACK", f"{place.along:.6f}", unit="m"),
                node("ACROSS_TRACK", f"{place.across:.6f}", unit="m"),
            ),
            pos=place.position,
        )
        for place in header.places
    ]
    roll, pitch, yaw = (f"{angle:.9f}" for angle in (header.roll, header.pitch, header.yaw))
    pointing = node(
        "Pointing_Angles",
        node(
            "Satellite_Reference",
            node("ROLL", roll, unit="deg"),
            node("PITCH", pitch, unit="deg"),
            node("YAW", yaw, unit="deg"),
        ),
        node("Image_Reference", node("PSI_X", roll, unit="deg"), node("PSI_Y", pitch, unit="deg")),
    )
    return node(
        "Geometric_Header",
        node("GPS_TIME", md.gps_time(header.gps_ns)),
        node("LINE_INDEX", header.line),
        pointing,
        *places,
        geometry="QL",
    )


def _quality(facts: Facts, indicators: Indicators) -> ET.Element:
    when = md.gps_time(facts.account.descriptor.first_line_ns)
    location = [node("VALUE", f"{indicators.location_m:.3f}", unit="m"), node("MEASUREMENT_DATE", when)]
    stability = [node("VALUE", f"{indicators.stability_m:.3f}"), node("MEASUREMENT_DATE", when)]
    geometric = node(
        "Geometric_Info",
        node("Absolute_Location", *location),
        node("Planimetric_Stability", *stability),
        node("EPHEMERIS_QUALITY", f"{indicators.ephemeris_m:.3f}"),
        node("ANCILLARY_QUALITY", indicators.trackers),
    )
    return node("Quality_Indicators_Info", geometric, _quicklook(facts), metadataLevel="Brief")


def _quicklook(facts: Facts) -> ET.Element:
    geometry, display = facts.geometry, facts.geometry.quicklook
    across, along = (" ".join(f"{value:.12g}" for value in row) for row in display.tan_psi)
    model = node(
        "Display_Geometric_Model",
        node(
            "Datation_Model",
            node("L0", 0),
            node("T0", md.gps_time(display.first_line_ns)),
            node("TE", f"{display.line_period_ns * 1e-6:.10g}", unit="ms"),
        ),
        node(
            "Viewing_Directions",
            node("NB_OF_PIXELS", geometry.columns),
            node("TAN_PSI_X_LIST", across),
            node("TAN_PSI_Y_LIST", along),
        ),
        node(
            "Connect_Col_List",
            *(node("CONNECT_COL", column, detectorId=f"{d:02d}") for d, column in enumerate(geometry.connect, 1)),
        ),
        geometry.mounting,
    )
    ring = " ".join(f"{lat:.9f} {lon:.9f}" for lon, lat in quicklook_footprint(geometry))
    return node(
        "Quicklook_Info",
        node("Image_Size", node("NCOLS", geometry.columns), node("NROWS", display.lines)),
        node("Footprint", node("EXT_POS_LIST", ring)),
        model,
        node("REF_QL_IMAGE", f"{facts.file('QLK_L0__DS')}.jp2"),
    )


def input_names(facts: Facts) -> list[tuple[str, str]]:
    """(type, name) of the parameters that the product was made with; ``SIMPLIFICATIONS`` says which are no files."""
    nominal = ("GIP_NOMINL", f"{facts.satellite}_TEST_GIP_NOMINL_{_BUILT_IN}_{_VALID}_B00")
    return [*(facts.parameters or [nominal])]


def simplifications(facts: Facts) -> tuple[str, ...]:
    """What holds of this product."""
    if not facts.elevation:
        return (*SIMPLIFICATIONS, _ON_ELLIPSOID)
    return SIMPLIFICATIONS if _elevations(facts) != _DEM else (*SIMPLIFICATIONS, _UNNAMED)


def _elevations(facts: Facts) -> str:
    """The elevation model's name, which the schema wants to be one of the archive."""
    if not facts.elevation:
        return _NO_DEM
    try:
        return str(PdiName.parse(facts.elevation))
    except BadInputError:
        return _DEM


def _auxiliary(facts: Facts) -> ET.Element:
    orientation = facts.orientation
    return node(
        "Auxiliary_Data_Info",
        node(
            "IERS_Bulletin",
            node("UT1_UTC", f"{orientation.ut1_minus_utc:.7f}", unit="s"),
            node("GPS_TIME_UTC", GPS_MINUS_UTC_S, unit="s"),
            node("GPS_TIME_TAI", _GPS_MINUS_TAI_S, unit="s"),
            node("POLE_U_ANGLE", f"{orientation.pole_x:.6f}", unit="arcsec"),
            node("POLE_V_ANGLE", f"{orientation.pole_y:.6f}", unit="arcsec"),
        ),
        node("GIPP_List", *(node("GIPP_FILENAME", name, type=kind, version="") for kind, name in input_names(facts))),
        node("PRODUCTION_DEM_TYPE", _elevations(facts), version=""),
        node("IERS_BULLETIN_FILENAME", facts.bulletin or _NO_BULLETIN),
        node("REFERENCE_BAND", REFERENCE_BAND.index),
        metadataLevel="Standard",
    )
