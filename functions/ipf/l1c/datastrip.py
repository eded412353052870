"""``MTD_DS.xml`` of an L1C product.

What the instrument and the platform told stands in the metadata of the Level-0 datastrip; those sections are taken over
as they are. Where L1B had no such document, they are written from what it knows, which the schema finds too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common.xml import node
from functions.ipf.safe import elements
from functions.ipf.safe.elements import utc
from functions.ipf.safe.working import LEVEL0_FILE
from shared.msi.earth import utc_from_gps_ns
from shared.msi.instrument import BANDS, LINE_PERIOD_NS
from shared.msi.spectra import irradiances
from shared.xmltree import Limits, parse_tree

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from functions.ipf.safe.names import ProductNames
    from functions.ipf.safe.working import Datastrip

_LIMITS: Final = Limits(size=64 * 1024 * 1024, elements=3_000_000, text=4 * 1024 * 1024)
ALPHA: Final = float(np.sqrt(1 / 12))
"""Noise of rounding to whole counts, counts."""


def read_level0(document: bytes | None) -> ET.Element | None:
    """The Level-0 metadata's tree; BadInputError where it is hostile or no XML."""
    return None if document is None else parse_tree(document, LEVEL0_FILE, _LIMITS)


def datastrip_document(names: ProductNames, datastrip: Datastrip, level0: ET.Element | None) -> ET.Element:
    """The document; ``level0`` is the Level-0 datastrip's."""
    taken = None if level0 is None else level0.find("Satellite_Ancillary_Data_Info")
    return elements.root(
        "Level-1C_DataStrip_ID",
        "S2_PDI_Level-1C_Datastrip_Metadata.xsd",
        _general(names, datastrip),
        _image_data(names, datastrip, level0),
        taken if taken is not None else _ancillary(datastrip),
        _quality(datastrip, level0),
        *_auxiliary(datastrip, level0),
    )


def _general(names: ProductNames, datastrip: Datastrip) -> ET.Element:
    return node(
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
            node("UTC_DATE_TIME", utc(names.production.creation)),
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


def _image_data(names: ProductNames, datastrip: Datastrip, level0: ET.Element | None) -> ET.Element:
    sensor = None if level0 is None else level0.find("Image_Data_Info/Sensor_Configuration")
    if sensor is None:
        sensor = node("Sensor_Configuration", _acquisition(datastrip), _packets(datastrip), _times(datastrip))
    else:
        for equalised in sensor.iter("EQUALIZATION_MODE"):
            equalised.text = "true"  # done on ground, by L1B
    tiles = node("Tile_List", node("Tile", tileId=names.granule))
    return node(
        "Image_Data_Info",
        node("Tiles_Information", tiles, metadataLevel="Standard"),
        sensor,
        node(
            "Radiometric_Info",
            node("SWIR_REARRANGEMENT_PROC", "false"),
            node("SATURATED_PIXELS_PROC", "false"),
            node("Spectral_Information_List", *elements.spectral_information(datastrip.satellite)),
            elements.display_order(),
            node("QUANTIFICATION_VALUE", elements.quantification(), unit="none"),
            elements.offsets("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
            elements.reflectance_conversion(datastrip.earth_sun_u, irradiances(datastrip.satellite)),
            metadataLevel="Standard",
        ),
        node(
            "Geometric_Info",
            node("RGM", "COMPUTED"),
            node("Image_Refining", flag="NOT_REFINED"),
            metadataLevel="Standard",
        ),
    )


def _quality(datastrip: Datastrip, level0: ET.Element | None) -> ET.Element:
    """Location and ephemeris as Level 0 has them; the noise and accuracies are those of rounding to whole counts."""
    taken = None if level0 is None else level0.find("Quality_Indicators_Info/Geometric_Info")
    tags = ("Absolute_Location", "Planimetric_Stability", "EPHEMERIS_QUALITY", "ANCILLARY_QUALITY")
    known = [] if taken is None else [part for tag in tags if (part := taken.find(tag)) is not None]
    location = None if taken is None else taken.find("Absolute_Location")  # nothing has updated it since
    update = [] if location is None else [node("Update_Absolute_Location", *location)]
    qualities = [
        node(
            "Radiometric_Quality",
            node("Noise_Model", node("ALPHA", ALPHA), node("BETA", 0.0)),
            node("ABSOLUTE_CALIBRATION_ACCURACY", 0.0),
            node("CROSS_BAND_CALIBRATION_ACCURACY", 0.0),
            node("MULTI_TEMPORAL_CALIBRATION_ACCURACY", 0.0),
            bandId=str(band.index),
        )
        for band in BANDS
    ]
    return node(
        "Quality_Indicators_Info",
        node("Geometric_Info", node("Geometric_QI", *known), node("Geometric_Refining_Quality"), *update),
        node("Radiometric_Info", node("Radiometric_Quality_List", *qualities)),
        node("DEGRADED_ANC_DATA_PERCENTAGE", f"{datastrip.degraded_ancillary_percent:.6f}"),
        metadataLevel="Brief",
    )


def _auxiliary(datastrip: Datastrip, level0: ET.Element | None) -> list[ET.Element]:
    bulletin = None if level0 is None else level0.find("Auxiliary_Data_Info/IERS_Bulletin")
    if bulletin is None:
        return []
    return [node("Auxiliary_Data_Info", bulletin, *elements.auxiliary_files(datastrip), metadataLevel="Standard")]


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
    starts = {(image.detector, image.band): image.first_line_ns for image in datastrip.images}
    stamps = []
    for band in BANDS:
        detectors = (
            node(
                "Detector",
                node("REFERENCE_LINE", "1"),
                node("GPS_TIME", _gps_text(starts[d, band.name])),
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
