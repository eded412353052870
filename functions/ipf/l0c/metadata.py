"""Level-0 metadata of granules and datastrips; element names and order of the PSD 14 schemas.

The granule's is valid against ``S2_PDI_Level-0_Granule_Metadata.xsd``. The datastrip's has that schema's elements as
far as the telemetry fills them; what it lacks is said in ``SIMPLIFICATIONS``, which every product carries.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from functions.ipf.common import l0_metadata as md
from functions.ipf.common.xml import node
from functions.ipf.l0c.geometry import REFERENCE_BAND
from shared.ccsds.cuc import GPS_MINUS_UTC_S
from shared.msi.instrument import LINES_PER_SCENE_10M

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.ipf.common.identity import Production
    from functions.ipf.common.strip import StripAccount
    from functions.ipf.l0c.geometry import GranuleGeometry
    from functions.ipf.l0c.unconsolidated import Telemetry

SIMPLIFICATIONS: Final = (
    "Image packets use a layout and codec (CCSDS 121) of this service: the instrument's own are not public.",
    "Footprints and centres lie on the ellipsoid, at height 0.",
    "Clouds are not assessed: their percentage is written as 0.",
    "Errors of position, star tracker, gyroscope, thermal and time correlation data are absent.",
    "No quicklook is made, and no GIPP, DEM or IERS bulletin is used.",
)

_PSD: Final = "https://psd-14.sentinel2.eo.esa.int/PSD/"


def _root(kind: str, tag: str, *sections: ET.Element, **attributes: str) -> ET.Element:
    for section in sections:
        section.tag = f"n1:{section.tag}"
    root = node(f"n1:{tag}", *sections, **attributes)
    root.set("xmlns:n1", f"{_PSD}S2_PDI_Level-0_{kind}_Metadata.xsd")
    return root


def _parameters() -> ET.Element:
    return node("PROCESSING_SPECIFIC_PARAMETERS", " ".join(SIMPLIFICATIONS))


def _archiving(production: Production) -> ET.Element:
    return node(
        "Archiving_Info",
        node("ARCHIVING_CENTRE", production.centre),
        node("ARCHIVING_TIME", md.utc(production.creation)),
        metadataLevel="Expertise",
    )


def granule_metadata(
    account: StripAccount,
    granule: tuple[int, int],
    name: str,
    datastrip: str,
    production: Production,
    geometry: GranuleGeometry,
) -> ET.Element:
    """``Level-0_Granule_ID`` of ``granule``, its (detector, scene)."""
    detector, scene = granule
    general = node(
        "General_Info",
        node("GRANULE_ID", name, metadataLevel="Brief"),
        node("DETECTOR_ID", f"{detector:02d}", metadataLevel="Brief"),
        node("DATASTRIP_ID", datastrip, metadataLevel="Brief"),
        node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
        node("SENSING_TIME", md.utc(account.scene_start(scene)), metadataLevel="Standard"),
        _archiving(production),
        node("Processing_Specific_Parameters", _parameters(), metadataLevel="Expertise"),
    )
    lost = account.lost_share((detector,), range(scene, scene + 1))
    quality = node(
        "Quality_Indicators_Info",
        node(
            "Image_Content_QI",
            node(
                "Common_IMG_QI",
                node("CLOUDY_PIXEL_PERCENTAGE", 0),
                node("DEGRADED_MSI_DATA_PERCENTAGE", f"{lost:.6f}"),
            ),
            md.source_packet_description(account, detector, scene),
            metadataLevel="Standard",
        ),
    )
    return _root("Granule", "Level-0_Granule_ID", general, _geometric_info(scene, geometry), quality)


def _geometric_info(scene: int, geometry: GranuleGeometry) -> ET.Element:
    corners = " ".join(f"{lat:.9f} {lon:.9f} 0" for lon, lat in geometry.footprint)
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
        node("GROUND_CENTER", f"{lat:.9f} {lon:.9f} 0"),
        _angles("Incidence_Angles", geometry.view_zenith, geometry.view_azimuth),
        _angles("Solar_Angles", geometry.sun_zenith, geometry.sun_azimuth),
    )
    position = node(
        "Granule_Position",
        node("POSITION", (scene - 1) * LINES_PER_SCENE_10M + 1),
        header,
        metadataLevel="Standard",
    )
    return node("Geometric_Info", footprint, position)


def _angles(tag: str, zenith: float, azimuth: float) -> ET.Element:
    return node(
        tag,
        node("ZENITH_ANGLE", f"{zenith:.9f}", unit="deg"),
        node("AZIMUTH_ANGLE", f"{azimuth:.9f}", unit="deg"),
    )


def datastrip_metadata(
    account: StripAccount,
    name: str,
    granules: Mapping[tuple[int, int], str],
    telemetry: Telemetry,
    production: Production,
    downlink: md.Downlink,
    octets: Mapping[int, int],
) -> ET.Element:
    """``Level-0_DataStrip_ID``; ``granules`` are those made, ``octets`` of compressed samples by band."""
    general = node(
        "General_Info",
        md.datatake_info(account.descriptor, production.baseline, metadataLevel="Brief"),
        md.datastrip_time_info(account, metadataLevel="Brief"),
        node(
            "Processing_Info",
            node("PROCESSING_BASELINE", production.baseline),
            node("PROCESSING_CENTER", production.centre),
            node("UTC_DATE_TIME", md.utc(production.creation)),
            metadataLevel="Expertise",
        ),
        md.downlink_info(downlink, metadataLevel="Standard"),
        _archiving(production),
        node("PROCESSING_SPECIFIC_PARAMETERS", _parameters(), metadataLevel="Expertise"),
    )
    image = node("Image_Data_Info", md.granules_information(granules), md.sensor_configuration(account, octets))
    ancillary = node(
        "Satellite_Ancillary_Data_Info",
        _ephemeris(telemetry),
        _attitudes(telemetry),
        node("ANC_DATA_REF", ".//ANC_DATA/", metadataLevel="Standard"),
    )
    auxiliary = node(
        "Auxiliary_Data_Info",
        node("IERS_Bulletin", node("GPS_TIME_UTC", GPS_MINUS_UTC_S, unit="s"), node("GPS_TIME_TAI", -19, unit="s")),
        node("REFERENCE_BAND", REFERENCE_BAND.index),
        metadataLevel="Standard",
    )
    return _root("Datastrip", "Level-0_DataStrip_ID", general, image, ancillary, auxiliary, datastripIdentifier=name)


def _ephemeris(telemetry: Telemetry) -> ET.Element:
    points = [
        node(
            "GPS_Point",
            node("POSITION_VALUES", " ".join(str(round(1000 * value)) for value in point.position), unit="mm"),
            node("VELOCITY_VALUES", " ".join(str(round(1000 * value)) for value in point.velocity), unit="mm/s"),
            node("GPS_TIME", md.gps_time(point.gps_ns)),
        )
        for point in telemetry.gps
    ]
    return node("Ephemeris", node("GPS_Points_List", *points), metadataLevel="Standard")


def _attitudes(telemetry: Telemetry) -> ET.Element:
    values = [
        node(
            "Values",
            node("QUATERNION_VALUES", " ".join(repr(value) for value in point.quaternion)),
            node("QUATERNION_VALIDITY", "true"),
            node("GPS_TIME", md.gps_time(point.gps_ns)),
        )
        for point in telemetry.attitudes
    ]
    return node("Attitudes", node("Corrected_Attitudes", *values, metadataLevel="Standard"))
