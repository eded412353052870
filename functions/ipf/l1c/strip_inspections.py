"""Quality control of an L1C product: what is inspected in its datastrip's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.ipf.common.olqc import (
    FORMAT_CORRECTNESS,
    GENERAL_QUALITY,
    GEOMETRIC_QUALITY,
    RADIOMETRIC_QUALITY,
    SENSOR_QUALITY,
    Check,
)
from functions.ipf.l1c.findings import LIMITS, flagged, readable, unreadable, within
from shared.errors import BadInputError
from shared.xmltree import parse_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from functions.ipf.l1c.bands import BandResult
    from functions.ipf.safe.working import Datastrip

    Reports = dict[str, list[Check]]


def datastrip_checks(metadata: Path, datastrip: Datastrip, results: Mapping[str, BandResult]) -> Reports:
    """Five lists of checks of a datastrip."""
    try:
        document = parse_tree(metadata.read_bytes(), metadata.name, LIMITS)
    except (OSError, BadInputError) as error:
        return {FORMAT_CORRECTNESS: [unreadable(metadata, error)]}
    baseline = document.findtext("General_Info/Processing_Info/PROCESSING_BASELINE") or ""
    sensing = (
        document.findtext(f"General_Info/Datastrip_Time_Info/DATASTRIP_SENSING_{end}") or ""
        for end in ("START", "STOP")
    )
    start, stop = sensing
    synchronised = document.findtext(".//Time_Stamp/GPS_SYNC") == "true"
    refined = document.find(".//Geometric_Info/Image_Refining")
    return {
        FORMAT_CORRECTNESS: [
            readable(metadata),
            Check(
                "Start_Stop_Time",
                "Sensing starts before it stops.",
                passed=bool(start) and start < stop,
                message=f"{start} to {stop}.",
                values={"SENSING_START": start, "SENSING_STOP": stop},
            ),
        ],
        GENERAL_QUALITY: [
            Check(
                "Processor_Version",
                "Processing baseline.",
                passed=len(baseline) == 5,
                message=f"Baseline {baseline}.",
                values={"PROCESSOR_VERSION": baseline},
            ),
            within(document, "Lost_Packets", "NUMBER_OF_LOST_PACKETS", 0, 0),
            within(document, "Degraded_Packets", "NUMBER_OF_TOO_DEGRADED_PACKETS", 0, 0),
            within(document, "Relative_Orbit_Number_SENSING", "SENSING_ORBIT_NUMBER", 1, 143),
            within(document, "Orbit_Number_DOWNLINK", "DOWNLINK_ORBIT_NUMBER", 1, 999_999),
        ],
        SENSOR_QUALITY: [
            Check(
                "Datation_Model_GPS_SYNC",
                "The instrument's clock follows GPS.",
                passed=synchronised,
                message=f"GPS_SYNC is {str(synchronised).lower()}.",
            ),
            Check(
                "Degraded_SAD",
                "Orbit and attitude packets are all there.",
                passed=not datastrip.degraded_ancillary_percent,
                message=f"{datastrip.degraded_ancillary_percent:.3f} % are missing.",
                values={"DEGRADED_ANC_DATA_PERCENTAGE": f"{datastrip.degraded_ancillary_percent:.6f}"},
            ),
        ],
        GEOMETRIC_QUALITY: [
            Check(
                "Geometric_Refining_Image_Refining",
                "The metadata say whether the geometry is refined.",
                passed=refined is not None,
                message=f"Image_Refining: {'absent' if refined is None else refined.get('flag')}.",
            ),
            within(document, "Ephemeris_Quality", "EPHEMERIS_QUALITY", 0.0, 20.0, optional=True),
            within(document, "Absolute_Location_Value", "Absolute_Location/VALUE", 0.0, 30.0, optional=True),
        ],
        RADIOMETRIC_QUALITY: [
            Check(
                "EqualizationFlag",
                "Samples are equalised.",
                passed=document.findtext(".//EQUALIZATION_MODE") == "true",
                message=f"EQUALIZATION_MODE is {document.findtext('.//EQUALIZATION_MODE')}.",
            ),
            within(document, "QuantificationValue", "QUANTIFICATION_VALUE", 10_000, 10_000),
            within(document, "SolarRadiance", "Reflectance_Conversion/U", 0.96, 1.04),
            flagged("Saturation", "Samples at the highest count.", results, (7,), share=0.05),
        ],
    }
