"""Reading L0 products: ancillary points of the datastrip, image blocks of the granules.

Packets whose annotation says ignore, incomplete or invalid are left out; whatever else does not decode counts as
missing and is reported, never guessed.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import defusedxml
import defusedxml.ElementTree as SafeET
import numpy as np

from functions.ipf.common.annotated import read_annotated
from shared.ccsds.spacepackets import CRC_OCTETS, USER_DATA_AT
from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.msi.codec import decompress
from shared.msi.instrument import BANDS, LINES_PER_PACKET, Band
from shared.msi.packets import (
    ATTITUDE_APID,
    DATATAKE_APID,
    GPS_APID,
    AttitudePoint,
    DatatakeDescriptor,
    GpsPoint,
    ImageBlock,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_APID_MASK: Final = 0x7FF


@dataclass(frozen=True, slots=True)
class Ancillary:
    """What the ancillary packets of a datastrip say, each point once, in order of time."""

    descriptor: DatatakeDescriptor
    gps: tuple[GpsPoint, ...]
    attitudes: tuple[AttitudePoint, ...]


@dataclass(slots=True)
class DetectorImage:
    """Counts of one band of one detector: (lines, columns), and which blocks of 16 lines are there.

    ``damaged`` are blocks of which a packet came that does not decode.
    """

    counts: NDArray[np.uint16]
    present: NDArray[np.bool_]
    damaged: NDArray[np.bool_]
    refused: list[str] = field(default_factory=list)


def packets_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """APID and user data of each sound packet of an annotated file."""
    for annotation, octets in read_annotated(path):
        if annotation.ignore or annotation.incomplete or annotation.invalid:
            continue
        if len(octets) > USER_DATA_AT + CRC_OCTETS:
            yield int.from_bytes(octets[:2], "big") & _APID_MASK, octets[USER_DATA_AT:-CRC_OCTETS]


def read_ancillary(datastrip: Path) -> Ancillary:
    """The ancillary data of an L0 datastrip folder.

    Raises:
        BadInputError: where ``ANC_DATA`` holds no descriptor, or descriptors of more than one datatake.
    """
    gps: dict[int, GpsPoint] = {}
    attitudes: dict[int, AttitudePoint] = {}
    descriptors: Counter[DatatakeDescriptor] = Counter()
    for path in sorted((datastrip / "ANC_DATA").glob("*.bin")):
        for apid, data in packets_of(path):
            if apid == GPS_APID:
                fix = GpsPoint.decode(data)
                gps[fix.gps_ns] = fix
            elif apid == ATTITUDE_APID:
                sample = AttitudePoint.decode(data)
                attitudes[sample.gps_ns] = sample
            elif apid == DATATAKE_APID:
                descriptors[DatatakeDescriptor.decode(data)] += 1
    if len(descriptors) != 1:
        raise BadInputError(f"{datastrip.name}, ANC_DATA", "descriptors of one datatake", len(descriptors))
    return Ancillary(
        next(iter(descriptors)),
        tuple(gps[time] for time in sorted(gps)),
        tuple(attitudes[time] for time in sorted(attitudes)),
    )


def read_downlink(datastrip: Path) -> tuple[str, int] | None:
    """Reception station and downlink orbit as the L0 datastrip's metadata state them, ``None`` where they do not.

    Raises:
        BadInputError: where the metadata are no XML, or hold entities.
    """
    for path in sorted(datastrip.glob("*_MTD_L0*_DS_*.xml")):
        try:
            root = SafeET.fromstring(path.read_bytes(), forbid_dtd=True)
        except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:  # of encodings
            raise BadInputError(path.name, "well-formed XML without entities", str(error)) from None
        station, orbit = (
            (root.findtext(f".//Downlink_Info/{tag}") or "").strip()
            for tag in ("RECEPTION_STATION", "DOWNLINK_ORBIT_NUMBER")
        )
        if station and orbit.isdecimal() and len(orbit) <= 6:
            return station, int(orbit)
    return None


def granules_by_detector(folders: Iterable[Path]) -> dict[int, list[Path]]:
    """L0 granule folders under each of ``folders`` (a granule itself, or a folder of granules), by detector."""
    found: dict[int, list[Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise BadInputError("job order, PDI_DS_GR_LIST", "folders of granules", folder.name)
        for granule in (
            [folder] if (folder / "IMG_DATA").is_dir() else sorted(p for p in folder.iterdir() if p.is_dir())
        ):
            detector = PdiName.parse(granule.name).get("D")
            if detector is None:
                raise BadInputError(granule.name, "an L0 granule's name with suffix _D")
            found.setdefault(int(detector), []).append(granule)
    return dict(sorted(found.items()))


def read_band(granules: Iterable[Path], detector: int, band: Band, scenes: range) -> DetectorImage:
    """All lines of a band and detector over ``scenes`` (counted from 1), from its granules' files ``*_<band>.bin``."""
    lines = len(scenes) * band.lines_per_scene
    present, damaged = np.zeros((2, len(scenes) * band.packets_per_scene), dtype=bool)
    image = DetectorImage(np.zeros((lines, band.width), np.uint16), present, damaged)
    for granule in granules:
        for path in sorted((granule / "IMG_DATA").glob(f"*_{band.name}.bin")):
            for _, data in packets_of(path):
                _place(image, data, detector, band, scenes)
    return image


def _place(image: DetectorImage, data: bytes, detector: int, band: Band, scenes: range) -> None:
    try:
        block = ImageBlock.decode(data)
        _check(block, detector, band, scenes)
    except BadInputError as error:
        image.refused.append(str(error))
        return
    number = (block.scene - scenes.start) * band.packets_per_scene + block.block
    try:
        samples = decompress(block.payload, block.compression, block.lines, block.columns)
    except BadInputError as error:
        image.refused.append(str(error))
        image.damaged[number] = True
        return
    first = number * LINES_PER_PACKET
    image.counts[first : first + LINES_PER_PACKET] = samples
    image.present[number] = True


def _check(block: ImageBlock, detector: int, band: Band, scenes: range) -> None:
    expected = (detector, BANDS.index(band), LINES_PER_PACKET, band.width)
    found = (block.detector, block.band, block.lines, block.columns)
    if found != expected or block.scene not in scenes or block.block >= band.packets_per_scene:
        raise BadInputError(
            "image packet",
            f"detector, band, lines, columns {expected} in scenes {scenes.start}..{scenes.stop - 1}",
            (*found, block.scene),
        )
