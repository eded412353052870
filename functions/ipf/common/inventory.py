"""``Inventory_Metadata.xml``: what an archive asks of a product, from datastrips to tiles (PSD 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

FILE: Final = "Inventory_Metadata.xml"
SYSTEM: Final = "S2PS"
CLASS: Final = "TEST-NOM"
_NAMESPACE: Final = "https://psd-14.sentinel2.eo.esa.int/PSD/Inventory_Metadata.xsd"
_MODES: Final = {
    "INS-NOBS": "NOM",
    "INS-EOBS": "NOM",
    "INS-NOBD": "NOM",
    "INS-DASC": "DSC",
    "INS-DASD": "DSC",
    "INS-ABSR": "ABC",
    "INS-ABSD": "ABC",
    "INS-VIC": "VIC",
    "INS-VICD": "VIC",
    "INS-RAW": "RAW",
}


@dataclass(frozen=True, slots=True)
class Inventory:
    """One product as an archive sees it.

    Attributes:
        name: of the product, without extension.
        parent: the datastrip, of a granule or tile.
        group: the datatake's identifier.
        version: processing baseline.
        level: ``0``, ``1C`` and so on, of the processor.
        software: its version.
        generated: UTC, as the sensing's start and stop.
        orbit: absolute.
        footprint: closed ring of (longitude, latitude), degrees.
        quality: percent of the data that are not degraded.
        detector: 1 to 12, of a granule.
        clouds: percent.
    """

    name: str
    group: str
    version: str
    level: str
    software: str
    generated: datetime
    start: datetime
    stop: datetime
    orbit: int
    footprint: Sequence[tuple[float, float]]
    quality: float
    datatake_type: str
    station: str
    centre: str
    ascending: bool
    clouds: float
    parent: str = ""
    detector: int | None = None


def inventory_metadata(entry: Inventory, size: int) -> ET.Element:
    """The document; ``size`` is the product's, octets, this file left out."""
    points = [
        node("Geo_Pnt", node("LATITUDE", f"{lat:.9f}"), node("LONGITUDE", f"{(lon + 180.0) % 360.0 - 180.0:.9f}"))
        for lon, lat in entry.footprint
    ]
    return node(
        "Inventory_Metadata",
        node("File_ID", entry.name),
        *([node("Parent_ID", entry.parent)] if entry.parent else []),
        node("Group_ID", entry.group),
        node("File_Name", entry.name),
        node("File_Version", entry.version),
        node("System", SYSTEM),
        node("Source", f"L{entry.level}_Processor"),
        node("Source_Sw_Version", entry.software),
        node("Generation_Time", _utc(entry.generated)),
        node("Validity_Start", _utc(entry.start)),
        node("Validity_Stop", _utc(entry.stop)),
        node("Start_Orbit_Number", f"{entry.orbit:06d}"),
        node("Stop_Orbit_Number", f"{entry.orbit:06d}"),
        node(
            "Geographic_Localization",
            node("GEO_TYPE", "Polygon"),
            node("List_Of_Geo_Pnt", *points, count=str(len(points))),
        ),
        node("Quality_Info", f"{entry.quality:.6f}"),
        node("Data_Size", size),
        node("File_Type", entry.name[9:19]),
        *([node("Detector", f"{entry.detector:02d}")] if entry.detector else []),
        node("File_Class", CLASS),
        node("Sensor_Code", "MSI"),
        node("Sensor_Mode", _MODES.get(entry.datatake_type, "NA_")),
        node("Acquisition_Station", entry.station),
        node("Processing_Station", entry.centre),
        node("Satellite_Code", entry.name[:3]),
        node("Ascending_Flag", "true" if entry.ascending else "false"),
        node("CloudPercentage", f"{entry.clouds:.6f}"),
        xmlns=_NAMESPACE,
    )


def folder_size(product: Path) -> int:
    """Octets of all files below ``product``."""
    return sum(path.stat().st_size for path in product.rglob("*") if path.is_file())


def _utc(when: datetime) -> str:
    return when.strftime("UTC=%Y-%m-%dT%H:%M:%S.%f")
