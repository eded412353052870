"""The metadata of an L1C product: user product, tile, datastrip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.ipf.common.xml import node
from functions.ipf.safe import elements
from functions.ipf.safe.elements import utc
from shared.msi.earth import utc_from_gps_ns
from shared.msi.instrument import BANDS, LINE_PERIOD_NS

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Sequence

    from functions.ipf.safe.angles import TileAngles
    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.names import ProductNames
    from functions.ipf.safe.working import Datastrip
    from shared.msi.tiling import Tile


@dataclass(frozen=True, slots=True)
class Content:
    """Percentages that the metadata state; shares of the pixels that have data."""

    degraded: float
    degraded_ancillary: float
    cloudy: float
    snow: float


def product(names: ProductNames, datastrip: Datastrip, footprint: Sequence[Point], content: Content) -> ET.Element:
    """``MTD_MSIL1C.xml``."""
    images = [names.image(band.name) for band in BANDS] + [names.image("TCI")]
    general = node(
        "General_Info",
        elements.product_info(names, images),
        node(
            "Product_Image_Characteristics",
            *elements.special_values(),
            elements.display_order(),
            node("QUANTIFICATION_VALUE", elements.quantification(), unit="none"),
            elements.offsets("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
            elements.reflectance_conversion(datastrip.earth_sun_u),
            *elements.physical_gains(),
            node("REFERENCE_BAND", "3"),
        ),
    )
    auxiliary = node(
        "Auxiliary_Data_Info",
        node("GIPP_List"),
        node("PRODUCTION_DEM_TYPE", "None"),
        node("IERS_BULLETIN_FILENAME", "None"),
        node("GRI_List"),
    )
    quality = node(
        "Quality_Indicators_Info",
        node("Cloud_Coverage_Assessment", f"{content.cloudy:.6f}"),
        node("Snow_Coverage_Assessment", f"{content.snow:.6f}"),
        elements.technical_quality(content.degraded, content.degraded_ancillary),
        elements.no_control_checks(),
    )
    return elements.root(
        "Level-1C_User_Product",
        "User_Product_Level-1C.xsd",
        general,
        elements.geometric_info(footprint),
        auxiliary,
        quality,
    )


def tile_document(names: ProductNames, tile: Tile, angles: TileAngles, content: Content) -> ET.Element:
    """``MTD_TL.xml``."""
    general = node(
        "General_Info",
        node("TILE_ID", names.granule, metadataLevel="Brief"),
        node("DATASTRIP_ID", names.datastrip, metadataLevel="Standard"),
        node("DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard"),
        node("SENSING_TIME", utc(names.acquisition.tile_sensing), metadataLevel="Standard"),
        elements.archiving(names),
    )
    geometric = node("Geometric_Info", elements.geocoding(tile), elements.tile_angles(angles))
    masks = [
        node("MASK_FILENAME", names.mask(f"DETFOO_{band.name}"), type="MSK_DETFOO", bandId=str(band.index))
        for band in BANDS
    ]
    masks.append(node("MASK_FILENAME", names.mask("CLASSI_B00"), type="MSK_CLASSI"))
    quality = node(
        "Quality_Indicators_Info",
        node(
            "Image_Content_QI",
            node("CLOUDY_PIXEL_PERCENTAGE", f"{content.cloudy:.6f}"),
            node("DEGRADED_MSI_DATA_PERCENTAGE", f"{content.degraded:.6f}"),
            node("SNOW_PIXEL_PERCENTAGE", f"{content.snow:.6f}"),
        ),
        node("Pixel_Level_QI", *masks, geometry="FULL_RESOLUTION"),
        node("PVI_FILENAME", names.preview),
        metadataLevel="Standard",
    )
    return elements.root("Level-1C_Tile_ID", "S2_PDI_Level-1C_Tile_Metadata.xsd", general, geometric, quality)


def datastrip_document(names: ProductNames, datastrip: Datastrip) -> ET.Element:
    """``MTD_DS.xml``: of the datastrip's metadata, what telemetry and this service know."""
    created = utc(names.production.creation)
    general = node(
        "General_Info",
        node("Datatake_Info", *elements.datatake(names), datatakeIdentifier=names.datatake, metadataLevel="Brief"),
        node(
            "Datastrip_Time_Info",
            node("DATASTRIP_SENSING_START", utc(datastrip.sensing_start)),
            node("DATASTRIP_SENSING_STOP", utc(datastrip.sensing_stop)),
            metadataLevel="Brief",
        ),
        node(
            "Processing_Info",
            node("PROCESSING_BASELINE", names.production.baseline),
            node("PRODUCT_DOI", elements.NOT_APPLICABLE),
            node("PROCESSING_CENTER", names.production.centre),
            node("UTC_DATE_TIME", created),
            metadataLevel="Expertise",
        ),
        node(
            "Downlink_Info",
            node("RECEPTION_STATION", datastrip.reception_station),
            node("DOWNLINK_ORBIT_NUMBER", str(datastrip.downlink_orbit)),
            metadataLevel="Standard",
        ),
        elements.archiving(names),
    )
    image_data = node(
        "Image_Data_Info",
        node(
            "Tiles_Information",
            node("Tile_List", node("Tile", tileId=names.granule)),
            metadataLevel="Standard",
        ),
        node("Sensor_Configuration", _acquisition(datastrip), _packets(datastrip), _times(datastrip)),
        node(
            "Radiometric_Info",
            elements.display_order(),
            node("QUANTIFICATION_VALUE", elements.quantification(), unit="none"),
            elements.offsets("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
            elements.reflectance_conversion(datastrip.earth_sun_u),
            metadataLevel="Standard",
        ),
        node(
            "Geometric_Info",
            node("RGM", "COMPUTED"),
            node("Image_Refining", flag="NOT_REFINED"),
            metadataLevel="Standard",
        ),
    )
    return elements.root(
        "Level-1C_DataStrip_ID",
        "S2_PDI_Level-1C_Datastrip_Metadata.xsd",
        general,
        image_data,
        _ancillary(datastrip),
        node("Quality_Indicators_Info", node("DEGRADED_ANC_DATA_PERCENTAGE", "0"), metadataLevel="Brief"),
    )


def _acquisition(datastrip: Datastrip) -> ET.Element:
    active = (node("ACTIVE_DETECTOR", f"{detector:02d}") for detector in datastrip.detectors)
    gains = (
        node(
            "Spectral_Band_Information",
            node("PHYSICAL_GAINS", f"{b.physical_gain:.8f}", geometry="FULL_RESOLUTION", metadataLevel="Standard"),
            bandId=str(b.index),
        )
        for b in BANDS
    )
    return node(
        "Acquisition_Configuration",
        node("COMPRESS_MODE", "true", metadataLevel="Expertise"),
        node("EQUALIZATION_MODE", "true", metadataLevel="Expertise"),
        node("Active_Detectors_List", *active, metadataLevel="Expertise"),
        node("Spectral_Band_Info", *gains),
    )


def _packets(datastrip: Datastrip) -> ET.Element:
    detectors = []
    for detector in datastrip.detectors:
        bands = [
            node(
                "Band",
                node("DATA_STRIP_START", "1"),
                node("SCENE_POSITION", "1"),
                node("NB_OF_SOURCE_PACKETS", str(image.packets_received)),
                bandId=str(index),
            )
            for index, band in enumerate(BANDS)
            for image in datastrip.images
            if (image.detector, image.band) == (detector, band.name)
        ]
        detectors.append(node("Detector", node("Band_List", *bands), detectorId=f"{detector:02d}"))
    lost = sum(image.packets_expected - image.packets_received for image in datastrip.images)
    return node(
        "Source_Packet_Description",
        node("Source_Packet_Counters_List", node("Detector_List", *detectors)),
        node(
            "Degradation_Summary",
            node("NUMBER_OF_LOST_PACKETS", str(lost)),
            node("NUMBER_OF_TOO_DEGRADED_PACKETS", "0"),
            node("NUMBER_OF_KEPT_DEGRADED_PACKETS", "0"),
            degradationPercentage=f"{datastrip.degraded_percent:.6f}",
        ),
    )


def _times(datastrip: Datastrip) -> ET.Element:
    stamps = []
    for band in BANDS:
        detectors = (
            node(
                "Detector",
                node("REFERENCE_LINE", "1"),
                node(
                    "GPS_TIME", _gps_text(datastrip.first_line_ns - round(band.dating_lines(d) * band.line_period_ns))
                ),
                detectorId=f"{d:02d}",
            )
            for d in datastrip.detectors
        )
        stamps.append(node("Band_Time_Stamp", *detectors, bandId=str(band.index)))
    return node(
        "Time_Stamp",
        node("LINE_PERIOD", f"{LINE_PERIOD_NS * 1e-6:.9f}", unit="ms"),
        *stamps,
        node("GPS_SYNC", "true"),
        metadataLevel="Standard",
        usedModel="EXOGENEOUS",
    )


def _gps_text(time_ns: int) -> str:
    """A GPS time as text, to the microsecond: 18 s ahead of UTC."""
    return utc_from_gps_ns(time_ns + 18_000_000_000).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _ancillary(datastrip: Datastrip) -> ET.Element:
    points = (
        node(
            "GPS_Point",
            node("POSITION_VALUES", " ".join(str(round(v * 1000)) for v in point.position), unit="mm"),
            node("VELOCITY_VALUES", " ".join(str(round(v * 1000)) for v in point.velocity), unit="mm/s"),
            node("GPS_TIME", _gps_text(point.gps_ns)),
        )
        for point in datastrip.gps_points
    )
    attitudes = (
        node(
            "Values",
            node("QUATERNION_VALUES", " ".join(repr(v) for v in sample.quaternion)),
            node("GPS_TIME", _gps_text(sample.gps_ns)),
        )
        for sample in datastrip.attitudes
    )
    return node(
        "Satellite_Ancillary_Data_Info",
        node("Ephemeris", node("GPS_Points_List", *points), metadataLevel="Standard"),
        node("Attitudes", node("Corrected_Attitudes", *attitudes, metadataLevel="Standard")),
    )
