"""Parts of metadata that unconsolidated and consolidated Level-0 share; element names of the PSD 14 schemas.

Source: Sentinel-2 Products Specification Document 14 (``dimap.xsd``) and operational Level-0 metadata.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from functions.ipf.common.xml import node
from shared.ccsds.cuc import GPS_EPOCH, gps_ns_to_utc
from shared.msi.instrument import BANDS, LINE_PERIOD_NS, LINES_PER_PACKET, LINES_PER_SCENE_10M, Band
from shared.msi.packets import DatatakeDescriptor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from functions.ipf.common.strip import StripAccount

_SECOND: Final = 1_000_000_000
_TDI_BANDS: Final = (2, 3, 11, 12)
_SPACECRAFT: Final = {"S2A": "Sentinel-2A", "S2B": "Sentinel-2B", "S2C": "Sentinel-2C", "S2D": "Sentinel-2D"}


@dataclass(frozen=True, slots=True)
class Downlink:
    """Where and in which orbit the packets came down."""

    station: str
    orbit: int


def utc(when: datetime) -> str:
    """UTC as metadata has it, to the millisecond."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def gps_time(gps_ns: int) -> str:
    """GPS time as metadata has it: no zone, to the nanosecond."""
    seconds, rest = divmod(gps_ns, _SECOND)
    whole = gps_ns_to_utc(seconds * _SECOND) - (gps_ns_to_utc(0) - GPS_EPOCH)
    return whole.strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}"


def datatake_identifier(descriptor: DatatakeDescriptor, baseline: str) -> str:
    """``GS2A_<datatake start>_<absolute orbit>_N00.01``."""
    start = gps_ns_to_utc(descriptor.datatake_start_ns).strftime("%Y%m%dT%H%M%S")
    return f"G{descriptor.satellite}_{start}_{descriptor.absolute_orbit:06d}_N{baseline}"


def datatake_info(descriptor: DatatakeDescriptor, baseline: str, direction: str = "", **attributes: str) -> ET.Element:
    """``Datatake_Info`` as far as the descriptor tells it; ``direction`` is ASCENDING or DESCENDING where known."""
    return node(
        "Datatake_Info",
        node("SPACECRAFT_NAME", _SPACECRAFT[descriptor.satellite]),
        node("DATATAKE_TYPE", descriptor.datatake_type),
        node("DATATAKE_SENSING_START", utc(gps_ns_to_utc(descriptor.datatake_start_ns))),
        node("SENSING_ORBIT_NUMBER", descriptor.relative_orbit),
        *([node("SENSING_ORBIT_DIRECTION", direction)] if direction else []),
        datatakeIdentifier=datatake_identifier(descriptor, baseline),
        **attributes,
    )


def datastrip_time_info(strip: StripAccount, **attributes: str) -> ET.Element:
    """``Datastrip_Time_Info``."""
    return node(
        "Datastrip_Time_Info",
        node("DATASTRIP_SENSING_START", utc(strip.start)),
        node("DATASTRIP_SENSING_STOP", utc(strip.stop)),
        **attributes,
    )


def downlink_info(downlink: Downlink, **attributes: str) -> ET.Element:
    """``Downlink_Info``."""
    return node(
        "Downlink_Info",
        node("RECEPTION_STATION", downlink.station),
        node("DOWNLINK_ORBIT_NUMBER", downlink.orbit),
        **attributes,
    )


def granules_information(names: Mapping[tuple[int, int], str]) -> ET.Element:
    """``Granules_Information`` of granule identifiers by (detector, scene); positions are 10 m lines from 1."""
    detectors = [
        node(
            "Detector",
            node(
                "Granule_List",
                *(
                    node("Granule", node("POSITION", (scene - 1) * LINES_PER_SCENE_10M + 1), granuleId=names[d, scene])
                    for d, scene in group
                ),
            ),
            detectorId=f"{detector:02d}",
        )
        for detector, group in groupby(sorted(names), key=lambda granule: granule[0])
    ]
    return node("Granules_Information", node("Detector_List", *detectors), metadataLevel="Standard")


def sensor_configuration(
    strip: StripAccount,
    octets: Mapping[int, int],
    degraded: int = 0,
    first_line_ns: Mapping[tuple[str, int], int] | None = None,
    *,
    synchronised: bool = True,
) -> ET.Element:
    """``Sensor_Configuration``.

    Args:
        strip: what came and what is missing.
        octets: of compressed samples received, by band.
        degraded: packets that came, too damaged to be kept.
        first_line_ns: when line 0 of (band name, detector) begins; nominal where it is not given.
        synchronised: whether the instrument's time was that of GPS.
    """
    descriptor = strip.descriptor
    acquisition = node(
        "Acquisition_Configuration",
        node("COMPRESS_MODE", "true", metadataLevel="Expertise"),
        node("EQUALIZATION_MODE", "false", metadataLevel="Expertise"),
        node("NUC_TABLE_ID", 0, metadataLevel="Expertise"),
        node(
            "Active_Detectors_List",
            *(node("ACTIVE_DETECTOR", f"{detector:02d}") for detector in descriptor.detectors),
            metadataLevel="Expertise",
        ),
        node(
            "TDI_Configuration_List",
            *(node("TDI_CONFIGURATION", "APPLIED", bandId=str(band)) for band in _TDI_BANDS),
            metadataLevel="Standard",
        ),
        node(
            "Spectral_Band_Info", *(_band_information(strip, band, octets.get(band, 0)) for band in range(len(BANDS)))
        ),
    )
    stamps = _time_stamp(strip, first_line_ns or {}, synchronised=synchronised)
    return node("Sensor_Configuration", acquisition, _source_packets(strip, degraded), stamps)


def _band_information(strip: StripAccount, band: int, octets: int) -> ET.Element:
    packets = sum(strip.received(d, s, band) for d, s in strip.granules())
    samples = packets * LINES_PER_PACKET * BANDS[band].width
    return node(
        "Spectral_Band_Information",
        node("PHYSICAL_GAINS", BANDS[band].physical_gain, geometry="FULL_RESOLUTION", metadataLevel="Standard"),
        node("COMPRESSION_RATE", f"{1.5 * samples / octets:.3f}" if octets else "1", metadataLevel="Expertise"),
        node("INTEGRATION_TIME", BANDS[band].line_period_ns * 1e-6, unit="ms", metadataLevel="Expertise"),
        bandId=str(band),
    )


def _source_packets(strip: StripAccount, degraded: int) -> ET.Element:
    scenes = range(1, strip.descriptor.scenes + 1)
    detectors = [
        node(
            "Detector",
            node(
                "Band_List",
                *(
                    node(
                        "Band",
                        node("DATA_STRIP_START", 1),
                        node("SCENE_POSITION", 1),
                        node("NB_OF_SOURCE_PACKETS", sum(strip.received(detector, s, band.index) for s in scenes)),
                        bandId=str(band.index),
                    )
                    for band in BANDS
                ),
            ),
            detectorId=f"{detector:02d}",
        )
        for detector in strip.descriptor.detectors
    ]
    lost = sum(len(strip.missing_blocks(d, s, band.index)) for d, s in strip.granules() for band in BANDS)
    share = strip.lost_share(strip.descriptor.detectors, scenes)
    return node(
        "Source_Packet_Description",
        node("Source_Packet_Counters_List", node("Detector_List", *detectors)),
        node(
            "Degradation_Summary",
            node("NUMBER_OF_LOST_PACKETS", lost - degraded),
            node("NUMBER_OF_TOO_DEGRADED_PACKETS", degraded),
            node("NUMBER_OF_KEPT_DEGRADED_PACKETS", 0),
            degradationPercentage=f"{share:.6f}",
        ),
    )


def _time_stamp(strip: StripAccount, first_line_ns: Mapping[tuple[str, int], int], *, synchronised: bool) -> ET.Element:
    def begins(band: Band, detector: int) -> int:
        nominal = strip.descriptor.first_line_ns - round(band.dating_lines(detector) * band.line_period_ns)
        return first_line_ns.get((band.name, detector), nominal)

    bands = [
        node(
            "Band_Time_Stamp",
            *(
                node(
                    "Detector",
                    node("REFERENCE_LINE", 1),
                    node("GPS_TIME", gps_time(begins(band, detector))),
                    detectorId=f"{detector:02d}",
                )
                for detector in strip.descriptor.detectors
            ),
            bandId=str(band.index),
        )
        for band in BANDS
    ]
    period = node("LINE_PERIOD", LINE_PERIOD_NS * 1e-6, unit="ms")
    return node(
        "Time_Stamp",
        period,
        *bands,
        node("GPS_SYNC", str(synchronised).lower()),
        usedModel="INITIAL",
        metadataLevel="Standard",
    )


def source_packet_description(strip: StripAccount, detector: int, scene: int) -> ET.Element:
    """``Source_Packet_description`` of one granule, with one ``Lost_Source_Packet`` per run of missing packets."""
    counters = [
        node(
            "Source_Packet_Counters",
            node("DATA_STRIP_START", 1),
            node("SCENE_POSITION", scene),
            node("NB_OF_SOURCE_PACKETS", strip.received(detector, scene, band.index)),
            bandId=str(band.index),
        )
        for band in BANDS
    ]
    lost = [
        node(
            "Lost_Source_Packet",
            node("DEGRADATION_TYPE", "LOST"),
            node(
                "SCENE_DATE",
                gps_time(strip.descriptor.first_line_ns + round((scene - 1) * LINES_PER_SCENE_10M * LINE_PERIOD_NS)),
            ),
            node("FIRST_SP_ERROR", first),
            node("NUMBER_OF_SP_ERROR", count),
            bandId=str(band.index),
            detectorId=f"{detector:02d}",
        )
        for band in BANDS
        for first, count in _runs(strip.missing_blocks(detector, scene, band.index))
    ]
    return node("Source_Packet_description", node("Source_Packet_Counters_List", *counters), *lost)


def _runs(numbers: tuple[int, ...]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers as (first, count)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][0] + runs[-1][1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs
