"""Reads a datatake folder of L0U: ancillary packets, image packets, where they came down."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import defusedxml
import defusedxml.ElementTree as SafeET

from functions.ipf.common.annotated import read_annotated
from functions.ipf.common.l0_metadata import Downlink
from shared.ccsds.spacepackets import CRC_OCTETS, IDLE_APID, USER_DATA_AT, SpacePacket
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.msi.instrument import BANDS, Band
from shared.msi.packets import (
    ATTITUDE_APID,
    DATATAKE_APID,
    GPS_APID,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    image_place,
)

if TYPE_CHECKING:
    from pathlib import Path

_METADATA_LIMIT: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Ancillary data of a datastrip: the packets' files by name, and what the packets say, in the order of their
    times.
    """

    files: dict[str, bytes]
    descriptor: DatatakeDescriptor
    gps: tuple[GpsPoint, ...]
    attitudes: tuple[AttitudePoint, ...]


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
    gps: dict[int, GpsPoint] = {}
    attitudes: dict[int, AttitudePoint] = {}
    for path in sorted((datastrip / "ANC_DATA").glob("*.bin")):
        files[path.name] = path.read_bytes()
        for _, octets in read_annotated(path):
            packet = SpacePacket.decode(octets)
            if packet.apid == DATATAKE_APID:
                descriptors[DatatakeDescriptor.decode(packet.user_data)] += 1
            elif packet.apid == GPS_APID:
                point = GpsPoint.decode(packet.user_data)
                gps[point.gps_ns] = point
            elif packet.apid == ATTITUDE_APID:
                attitude = AttitudePoint.decode(packet.user_data)
                attitudes[attitude.gps_ns] = attitude
    if not descriptors:
        raise BadInputError(f"{datastrip.name}, ANC_DATA", "a datatake descriptor packet (APID 152)")
    return Telemetry(
        files,
        descriptors.most_common(1)[0][0],
        tuple(point for _, point in sorted(gps.items())),
        tuple(point for _, point in sorted(attitudes.items())),
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


def read_band(granule: Path, detector: int, band: Band) -> dict[tuple[int, int], bytes]:
    """Annotated packets of one band by (scene, block); a packet that came twice is taken once.

    BadInputError where a packet is of another detector or band.
    """
    packets: dict[tuple[int, int], bytes] = {}
    for path in sorted((granule / "IMG_DATA").glob(f"*_{band.name}.bin")):
        for annotation, octets in read_annotated(path):
            place = image_place(octets[USER_DATA_AT:-CRC_OCTETS])
            apid = int.from_bytes(octets[:2], "big") & IDLE_APID
            if (place.detector, BANDS[place.band]) != (detector, band) or place.block >= band.packets_per_scene:
                raise BadInputError(f"{path.name}, APID {apid}", f"packets of detector {detector}, {band.name}", place)
            packets.setdefault((place.scene, place.block), annotation.encode() + octets)
    return packets
