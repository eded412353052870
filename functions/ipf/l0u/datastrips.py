"""Which datastrips a session brought, and what each has and lacks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.ipf.common.strip import StripAccount
from shared.msi.instrument import SCENE_NS
from shared.msi.packets import DatatakeDescriptor, image_apid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from functions.ipf.l0u.sorting import AncillaryPacket, GranuleBand

_NEAR_NS: Final = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Datastrip:
    """One datastrip: the account of its packets, its ancillary packets in their order, and the spooled parts of each
    band.

    ``parts`` is keyed as the account's blocks: (detector, scene, band).
    """

    account: StripAccount
    ancillary: tuple[AncillaryPacket, ...]
    parts: Mapping[tuple[int, int, int], tuple[GranuleBand, ...]]


def assemble(
    ancillary: Iterable[AncillaryPacket], blocks: Mapping[GranuleBand, set[int]]
) -> tuple[list[Datastrip], dict[int, int]]:
    """Datastrips by start time; and how many image packets, per APID, belong to none of them."""
    packets = list(ancillary)
    descriptors = sorted(
        {p.content for p in packets if isinstance(p.content, DatatakeDescriptor)}, key=lambda d: d.first_line_ns
    )
    own: defaultdict[DatatakeDescriptor, list[AncillaryPacket]] = defaultdict(list)
    for packet in packets if descriptors else ():
        if isinstance(packet.content, DatatakeDescriptor):
            own[packet.content].append(packet)
        else:
            own[min(descriptors, key=lambda d: _distance(d, packet.gps_ns))].append(packet)
    parts: defaultdict[DatatakeDescriptor, defaultdict[tuple[int, int, int], list[GranuleBand]]]
    parts = defaultdict(lambda: defaultdict(list))
    homeless: defaultdict[int, int] = defaultdict(int)
    for key, have in blocks.items():
        place = (key.detector, key.scene, key.band)
        home = min(descriptors, key=lambda d: abs(d.first_line_ns - key.origin_ns), default=None)
        if home is None or not _belongs(home, key):
            homeless[image_apid(key.detector, key.band)] += len(have)
        else:
            parts[home][place].append(key)
    return [
        Datastrip(
            StripAccount(
                descriptor,
                {place: frozenset().union(*(blocks[k] for k in keys)) for place, keys in parts[descriptor].items()},
            ),
            tuple(own[descriptor]),
            {place: tuple(keys) for place, keys in parts[descriptor].items()},
        )
        for descriptor in descriptors
    ], dict(homeless)


def _belongs(descriptor: DatatakeDescriptor, key: GranuleBand) -> bool:
    near = abs(descriptor.first_line_ns - key.origin_ns) < _NEAR_NS
    return near and key.detector in descriptor.detectors and key.scene <= descriptor.scenes


def _distance(descriptor: DatatakeDescriptor, gps_ns: int) -> int:
    """Nanoseconds between a time and the datastrip's imaging."""
    begin = descriptor.first_line_ns
    return max(0, begin - gps_ns, gps_ns - begin - round(descriptor.scenes * SCENE_NS))
