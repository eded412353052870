"""Metadata of products, in the structure of the real ones as far as names, times, orbit and software go.

Element names: Sentinel-2 Products Specification Document 14 and operational products. What would need processing
(angles, quality, ancillary data) is left out. Footprints are of a made-up track and tell no place.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from functions.ipf.common.inventory import Inventory, inventory_metadata
from functions.ipf.common.xml import node
from functions.ipf.standin import SOFTWARE
from functions.ipf.standin.strip import SCENE_S, Strip, scene_start
from shared.domain.names import PdiName, parse_stamp

_LEVELS: Final = {"L0_": "0", "L1A": "1A", "L1B": "1B", "L1C": "1C", "L2A": "2A"}
_SCENE_DEG: Final = 0.225
_DETECTOR_DEG: Final = 0.3


def utc(when: datetime) -> str:
    """As metadata have it, to the millisecond."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def ring(first_scene: int, last_scene: int, detectors: Sequence[int]) -> list[tuple[float, float]]:
    """The closed outline, (longitude, latitude) in degrees, of some scenes and detectors of the made-up track."""
    north, south = 50.0 - _SCENE_DEG * (first_scene - 1), 50.0 - _SCENE_DEG * last_scene
    west, east = 5.0 + _DETECTOR_DEG * (min(detectors) - 1), 5.0 + _DETECTOR_DEG * max(detectors)
    return [(west, north), (east, north), (east, south), (west, south), (west, north)]


def datastrip_metadata(strip: Strip, product: str, created: datetime, granules: Sequence[str]) -> ET.Element:
    """The metadata of datastrip ``product``; ``granules`` are the names of its granules or tiles."""
    level = PdiName.parse(product).file_type[4:7]
    lists = _granule_list(granules) if level not in {"L1C", "L2A"} else _tile_list(granules)
    general = node(
        "General_Info",
        node(
            "Datatake_Info",
            node("SPACECRAFT_NAME", f"Sentinel-{strip.satellite[1:]}"),
            node("DATATAKE_TYPE", strip.type),
            node("DATATAKE_SENSING_START", utc(strip.start)),
            node("SENSING_ORBIT_NUMBER", strip.relative_orbit),
            node("SENSING_ORBIT_DIRECTION", "DESCENDING"),
            datatakeIdentifier=strip.datatake,
        ),
        node(
            "Datastrip_Time_Info",
            node("DATASTRIP_SENSING_START", utc(strip.start)),
            node("DATASTRIP_SENSING_STOP", utc(strip.stop)),
        ),
        _processing(strip, product, created),
        node(
            "Downlink_Info",
            node("RECEPTION_STATION", strip.station),
            node("DOWNLINK_ORBIT_NUMBER", strip.orbit),
        ),
    )
    parts = [general, node("Image_Data_Info", lists)]
    if level == "L0U":
        ancillary = node("Satellite_Ancillary_Data_Info", node("ANC_DATA_REF", ".//ANC_DATA/"))
        return node("DIMAP_Level-0-unconsolidated_DataStrip", *parts, ancillary, datastripIdentifier=product)
    outline = " ".join(f"{lat:.6f} {lon:.6f}" for lon, lat in ring(1, strip.scenes, (1, 12)))
    quality = node("Quality_Indicators_Info", node("Footprint", node("EXT_POS_LIST", outline)))
    return _rooted(level, "DataStrip", "Datastrip", [*parts, quality])


def granule_metadata(strip: Strip, product: str, datastrip: str, created: datetime) -> ET.Element:
    """The metadata of granule ``product`` of ``datastrip``."""
    name = PdiName.parse(product)
    level, detector = name.file_type[4:7], name["D"]
    sensed = sensing(product)
    scene = max(1, 1 + round((sensed - strip.start).total_seconds() / SCENE_S))
    general = node(
        "General_Info",
        node("GRANULE_ID", product),
        node("DETECTOR_ID", detector),
        *([] if level == "L0U" else [node("DATASTRIP_ID", datastrip)]),
        node("DOWNLINK_PRIORITY", "NOMINAL"),
        node("SENSING_TIME", utc(max(sensed, strip.start))),
        *([] if level == "L0U" else [_processing(strip, product, created)]),
    )
    if level == "L0U":
        return node("DIMAP_Level-0-unconsolidated_Granule", general)
    outline = " ".join(f"{lat:.6f} {lon:.6f} 0" for lon, lat in ring(scene, scene, (int(detector),)))
    footprint = node("Granule_Footprint", node("Footprint", node("EXT_POS_LIST", outline)))
    return _rooted(level, "Granule", "Granule", [general, node("Geometric_Info", footprint)])


def tile_metadata(strip: Strip, product: str, datastrip: str, created: datetime) -> ET.Element:
    """The metadata of tile ``product`` of ``datastrip``."""
    name = PdiName.parse(product)
    tile = name["T"]
    zone = f"EPSG:32{'6' if tile[2] >= 'N' else '7'}{tile[:2]}"
    general = node(
        "General_Info",
        node("TILE_ID", product),
        node("DATASTRIP_ID", datastrip),
        node("DOWNLINK_PRIORITY", "NOMINAL"),
        node("SENSING_TIME", utc(strip.start)),
        _processing(strip, product, created),
    )
    geocoding = node("Tile_Geocoding", node("HORIZONTAL_CS_CODE", zone))
    return _rooted(name.file_type[4:7], "Tile", "Tile", [general, node("Geometric_Info", geocoding)])


def inventory(strip: Strip, product: str, datastrip: str, created: datetime, size: int) -> ET.Element:
    """``Inventory_Metadata.xml`` of a product; ``datastrip`` is empty for the datastrip itself."""
    name = PdiName.parse(product)
    level, detector = _LEVELS[name.file_type[4:7]], name.get("D")
    return inventory_metadata(
        Inventory(
            name=product,
            parent=datastrip,
            group=strip.datatake,
            version=name.get("N") or "00.00",
            level=level,
            software=SOFTWARE,
            generated=created,
            start=strip.start,
            stop=strip.stop,
            orbit=strip.orbit,
            footprint=ring(1, strip.scenes, (1, 12)),
            quality=0.0,
            detector=int(detector) if detector else None,
            datatake_type=strip.type,
            station=strip.station,
            centre=strip.site,
            ascending=False,
            clouds=0.0,
        ),
        size,
    )


def sensing(granule: str) -> datetime:
    """When a granule was sensed, by its name."""
    return parse_stamp(PdiName.parse(granule.rpartition("/")[2])["S"], f"granule {granule}")


def granule_names(strip: Strip, created: datetime, detectors: Sequence[int]) -> tuple[str, ...]:
    """The unconsolidated granules of a datastrip, each detector's in their order."""
    make = strip.production(created)
    times = [scene_start(strip, scene) for scene in range(1, strip.scenes + 1)]
    return tuple(
        make.pdi(strip.satellite, "MSI_L0U_GR", ("S", f"{when:%Y%m%dT%H%M%S}"), ("D", f"{detector:02d}"))
        for detector in detectors
        for when in times
    )


def end_of(start: datetime, scenes: int) -> datetime:
    """When the last of ``scenes`` ended."""
    return start + timedelta(seconds=SCENE_S * scenes)


def _processing(strip: Strip, product: str, created: datetime) -> ET.Element:
    return node(
        "Processing_Info",
        node("PROCESSING_BASELINE", PdiName.parse(product).get("N") or "00.00"),
        node("PROCESSING_CENTER", strip.site),
        node("UTC_DATE_TIME", utc(created)),
        node("PROCESSING_SOFTWARE", SOFTWARE),
    )


def _granule_list(granules: Sequence[str]) -> ET.Element:
    by_detector: dict[str, list[str]] = {}
    for granule in granules:
        by_detector.setdefault(PdiName.parse(granule.rpartition("/")[2])["D"], []).append(granule.rpartition("/")[2])
    detectors = [
        node(
            "Detector",
            node(
                "Granule_List",
                *(
                    node("Granule", node("POSITION", 1 + 2304 * index), granuleId=name)
                    for index, name in enumerate(sorted(names, key=sensing))
                ),
            ),
            detectorId=detector,
        )
        for detector, names in sorted(by_detector.items())
    ]
    return node("Granules_Information", node("Detector_List", *detectors), metadataLevel="Standard")


def _tile_list(tiles: Sequence[str]) -> ET.Element:
    return node("Tiles_Information", node("Tile_List", *(node("Tile", tileId=name) for name in tiles)))


def _rooted(level: str, tag: str, kind: str, parts: Sequence[ET.Element]) -> ET.Element:
    text = _LEVELS[level]
    schema = f"https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{text}_{kind}_Metadata.xsd"
    return node(f"n1:Level-{text}_{tag}_ID", *parts, **{"xmlns:n1": schema})
