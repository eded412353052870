"""What L1B takes of the Earth and the ground, by its job order; and how image packets date their lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common.annotated import read_annotated
from shared.ccsds.cuc import CUC_OCTETS, decode_cuc
from shared.ccsds.spacepackets import CRC_OCTETS, USER_DATA_AT
from shared.errors import BadInputError
from shared.geometry.datastrip import orientation_in
from shared.geometry.fields import Fields
from shared.msi.instrument import BANDS, LINES_PER_PACKET, Band
from shared.msi.packets import image_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shared.geometry.frames import EarthOrientation

_TIME_AT: Final = USER_DATA_AT - CUC_OCTETS - 1
_DATED_WITHIN_NS: Final = 31


def read_orientation(datastrip: Path) -> EarthOrientation | None:
    """The Earth's orientation as an L0 datastrip's metadata state it; ``None`` where they do not, or not in full."""
    for path in sorted(datastrip.glob("*_MTD_L0*_DS_*.xml"))[:1]:
        bulletin = Fields.read_any(path).find("Auxiliary_Data_Info/IERS_Bulletin")
        if bulletin is not None and bulletin.find("UT1_UTC") is not None:
            return orientation_in(bulletin)
    return None


def first_lines(
    granules: Mapping[int, Iterable[Path]], nominal: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], int]:
    """When line 0 of each (band name, detector) begins, GPS nanoseconds, as the first sound image packet dates it.

    Packets are dated at the begin of their first line, within 30 ns. A date that agrees with the nominal one within
    that gives way to it: it says no more, and the parts of a datastrip, each dated by packets of its own, would differ.
    Bands of which no packet came are dated nominally.
    """
    found = dict(nominal)
    for detector, folders in granules.items():
        for band in BANDS:
            dated = next((packet.line_0_ns for folder in folders for packet in _packets(folder, detector, band)), None)
            usual = nominal.get((band.name, detector))
            if dated is not None and (usual is None or abs(dated - usual) > _DATED_WITHIN_NS):
                found[band.name, detector] = dated
    return found


def scenes_in(granules: Mapping[int, Iterable[Path]]) -> set[int]:
    """The scenes, counted from 1, whose packets the granules hold, by the first sound packet of each."""
    first = (
        next((packet.scene for band in BANDS for packet in _packets(folder, detector, band)), None)
        for detector, folders in granules.items()
        for folder in folders
    )
    return {scene for scene in first if scene is not None}


@dataclass(frozen=True, slots=True)
class _Packet:
    scene: int
    line_0_ns: int


def _packets(granule: Path, detector: int, band: Band) -> Iterator[_Packet]:
    """Sound image packets of a band and detector: their scene, and when by their date line 0 of the datastrip began."""
    for path in sorted((granule / "IMG_DATA").glob(f"*_{band.name}.bin")):
        for annotation, octets in read_annotated(path):
            refused = annotation.ignore or annotation.incomplete or annotation.invalid
            if refused or len(octets) <= USER_DATA_AT + CRC_OCTETS:
                continue
            try:
                place = image_place(octets[USER_DATA_AT:-CRC_OCTETS])
            except BadInputError:
                continue
            if (place.detector, place.band) != (detector, band.index) or place.block >= band.packets_per_scene:
                continue
            lines = (place.scene - 1) * band.lines_per_scene + place.block * LINES_PER_PACKET
            dated = decode_cuc(octets[_TIME_AT : _TIME_AT + CUC_OCTETS])
            yield _Packet(place.scene, dated - round(lines * band.line_period_ns))
