"""Reads a datatake folder of L0U: ancillary packets, image packets, where they came down."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import defusedxml
import defusedxml.ElementTree as SafeET

from functions.ipf.common.annotated import read_annotated, read_checked
from functions.ipf.common.l0_metadata import Downlink
from shared.ccsds.cuc import CUC_OCTETS, decode_cuc
from shared.ccsds.spacepackets import CRC_OCTETS, IDLE_APID, USER_DATA_AT, SpacePacket
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.msi.instrument import BANDS, LINES_PER_PACKET, SCENE_NS, Band
from shared.msi.packets import (
    ATTITUDE_APID,
    DATATAKE_APID,
    GPS_APID,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    image_place,
)
from shared.msi.platform import (
    PLATFORM_APIDS,
    ControlState,
    NavigationSolution,
    Temperatures,
    TimeCorrelation,
    decode_platform,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_METADATA_LIMIT: Final = 16 << 20
_TIME_AT: Final = USER_DATA_AT - CUC_OCTETS - 1
_POINTS: Final[dict[int, Callable[[bytes], GpsPoint | AttitudePoint]]] = {
    GPS_APID: GpsPoint.decode,
    ATTITUDE_APID: AttitudePoint.decode,
}
_Point = TypeVar("_Point")


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Ancillary data of a datastrip: the packets' files by name, and what the packets say, in the order of their
    times; ``received`` counts distinct packets by APID.
    """

    files: dict[str, bytes]
    descriptor: DatatakeDescriptor
    gps: tuple[GpsPoint, ...]
    attitudes: tuple[AttitudePoint, ...]
    navigation: tuple[NavigationSolution, ...] = ()
    control: tuple[ControlState, ...] = ()
    correlations: tuple[TimeCorrelation, ...] = ()
    temperatures: tuple[Temperatures, ...] = ()
    descriptors: int = 0

    @property
    def received(self) -> dict[int, int]:
        """Distinct packets by APID; of repeated descriptors, how many there are."""
        kinds = (self.gps, self.attitudes, (), self.navigation, self.control, self.correlations, self.temperatures)
        apids = (GPS_APID, ATTITUDE_APID, DATATAKE_APID, *PLATFORM_APIDS)
        return {apid: len(kind) for apid, kind in zip(apids, kinds, strict=True)} | {DATATAKE_APID: self.descriptors}


@dataclass(slots=True)
class BandPackets:
    """Packets of one band of one granule folder.

    Attributes:
        whole: annotated packets by (scene, block); one that came twice is taken once.
        damaged: how many were left out: their CRC fails, or their annotation says so.
        starts_ns: when line 0 of the datastrip begins in this detector and band, as each packet's time implies.
    """

    whole: dict[tuple[int, int], memoryview] = field(default_factory=dict)
    damaged: int = 0
    starts_ns: list[int] = field(default_factory=list)


def only_folder(place: Path, what: str) -> Path:
    """The one folder in ``place``; BadInputError where there is none, or more."""
    folders = sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
    if len(folders) != 1:
        raise BadInputError(f"{place.parent.name}/{place.name}", f"exactly one {what}", [path.name for path in folders])
    return folders[0]


def read_telemetry(datastrip: Path) -> Telemetry:
    """Ancillary packets under ``ANC_DATA``; BadInputError where they lack a descriptor, or where a packet is
    damaged.
    """
    files: dict[str, bytes] = {}
    descriptors: Counter[DatatakeDescriptor] = Counter()
    found: defaultdict[type, dict[int, object]] = defaultdict(dict)
    for path in sorted((datastrip / "ANC_DATA").glob("*.bin")):
        files[path.name] = path.read_bytes()
        for _, octets in read_annotated(path):
            packet = SpacePacket.decode(octets)
            if packet.apid == DATATAKE_APID:
                descriptors[DatatakeDescriptor.decode(packet.user_data)] += 1
            elif packet.apid in _POINTS:
                point = _POINTS[packet.apid](packet.user_data)
                found[type(point)][point.gps_ns] = point
            elif packet.apid in PLATFORM_APIDS:
                state = decode_platform(packet.apid, packet.user_data)
                found[type(state)][state.gps_ns] = state
    if not descriptors:
        raise BadInputError(f"{datastrip.name}, ANC_DATA", "a datatake descriptor packet (APID 152)")

    def series(kind: type[_Point]) -> tuple[_Point, ...]:
        return tuple(point for _, point in sorted(found[kind].items()) if isinstance(point, kind))

    ((descriptor, count),) = descriptors.most_common(1)
    return Telemetry(
        files,
        descriptor,
        series(GpsPoint),
        series(AttitudePoint),
        series(NavigationSolution),
        series(ControlState),
        series(TimeCorrelation),
        series(Temperatures),
        count,
    )


def read_downlink(datastrip: Path) -> Downlink:
    """Station and orbit of the downlink, from the datastrip's metadata; BadInputError where it is absent or breaks the
    format.
    """
    documents = sorted(datastrip.glob("*_MTD_L0U_DS_*.xml"))
    if len(documents) != 1:
        raise BadInputError(datastrip.name, "one metadata file MTD_L0U_DS", len(documents))
    name = documents[0].name
    if documents[0].stat().st_size > _METADATA_LIMIT:
        raise BadInputError(name, f"at most {_METADATA_LIMIT} octets", documents[0].stat().st_size)
    try:
        root = SafeET.fromstring(documents[0].read_bytes(), forbid_dtd=True)
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:
        raise BadInputError(name, "well-formed XML without entities", str(error)) from None
    info = root.find("General_Info/Downlink_Info")
    station = "" if info is None else (info.findtext("RECEPTION_STATION") or "").strip()
    orbit = "" if info is None else (info.findtext("DOWNLINK_ORBIT_NUMBER") or "").strip()
    if not station or not (orbit.isascii() and orbit.isdigit() and len(orbit) < 9):
        raise BadInputError(f"{name}, Downlink_Info", "RECEPTION_STATION and DOWNLINK_ORBIT_NUMBER", (station, orbit))
    return Downlink(station, int(orbit))


def find_granules(datatake: Path) -> dict[int, list[Path]]:
    """Granule folders ``GR/DB*/<granule>`` by detector; BadInputError where a name has no detector."""
    found: dict[int, list[Path]] = {}
    for folder in sorted(datatake.glob("GR/DB*/*/")):
        detector = PdiName.parse(folder.name).get("D")
        if detector is None:
            raise BadInputError(folder.name, "a granule's name, with suffix _D")
        found.setdefault(int(detector), []).append(folder)
    return found


def read_band(granule: Path, detector: int, band: Band) -> BandPackets:
    """Packets of one band; BadInputError where one is of another detector or band."""
    packets = BandPackets()
    for path in sorted((granule / "IMG_DATA").glob(f"*_{band.name}.bin")):
        for packet in read_checked(path):
            if not packet.intact:
                packets.damaged += 1
                continue
            octets = packet.octets
            place = image_place(octets[USER_DATA_AT:-CRC_OCTETS])
            apid = int.from_bytes(octets[:2], "big") & IDLE_APID
            if (place.detector, BANDS[place.band]) != (detector, band) or place.block >= band.packets_per_scene:
                raise BadInputError(f"{path.name}, APID {apid}", f"packets of detector {detector}, {band.name}", place)
            elapsed = (place.scene - 1) * SCENE_NS + place.block * LINES_PER_PACKET * band.line_period_ns
            packets.starts_ns.append(decode_cuc(octets[_TIME_AT:]) - round(elapsed))
            packets.whole.setdefault((place.scene, place.block), packet.stored)
    return packets
