"""The session's account: every packet that the instrument made was received, or is counted as lost, APID by APID."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from shared.msi.instrument import BANDS
from shared.msi.packets import image_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from functions.ipf.l0u.channels import Channel
    from functions.ipf.l0u.datastrips import Datastrip
    from functions.ipf.l0u.sorting import PacketSorter
    from shared.ccsds.decoder import ChannelStatistics

_CHANCE: Final = 100


def packet_account(
    strips: Sequence[Datastrip], sorter: PacketSorter, homeless: Mapping[int, int]
) -> dict[str, dict[str, int]]:
    """By APID: expected, received and lost packets, with expected + unexpected = received + lost; and what else was
    seen.

    ``received`` are distinct whole packets. ``unexpected`` are those beyond what the descriptors announce, or of no
    datastrip.
    """
    expected: Counter[int] = Counter()
    for strip in strips:
        expected.update(strip.account.expected())
    account = {}
    for apid in sorted({*expected, *sorter.counts}):
        count = sorter.counts[apid]
        balance = expected[apid] - (count.received - homeless.get(apid, 0))
        account[str(apid)] = {
            "expected": expected[apid],
            "received": count.received,
            "lost": max(0, balance),
            "unexpected": max(0, -balance) + homeless.get(apid, 0),
            "duplicates": count.duplicates,
            "crc_errors": count.crc_errors,
            "malformed": count.malformed,
            "sequence_gaps": count.gaps,
            "sequence_missing": count.missing,
        }
    return account


def session_report(
    channels: Sequence[Channel],
    statistics: Mapping[int, ChannelStatistics],
    empty_files: Sequence[str],
    damaged_files: Mapping[str, int],
    strips: Mapping[str, Datastrip],
    sorter: PacketSorter,
    packets: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """The content of ``report.json``. ``strips`` are keyed by their folder's name."""
    totals: Counter[str] = Counter()
    for counts in packets.values():
        totals.update(counts)
    return {
        "schema": "org.s2ps.l0u-report.v1",
        "session": channels[0].session,
        "channels": {
            f"ch_{channel.number}": {
                "files": [path.name for path in channel.files],
                "octets": sum(path.stat().st_size for path in channel.files),
                "missing_files": list(channel.missing),
                "files_without_frames": [name for name in empty_files if f"_ch{channel.number}_" in name],
                "files_with_uncorrectable_frames": {
                    path.name: damaged_files[path.name] for path in channel.files if path.name in damaged_files
                },
                "notes": list(channel.notes),
                **statistics[channel.number].as_json(),
            }
            for channel in channels
        },
        "datastrips": {name: _strip(strip) for name, strip in strips.items()},
        "packets": packets,
        "unknown_apids": {str(apid): count for apid, count in sorted(sorter.unknown.items())},
        "totals": dict(totals),
    }


def _strip(strip: Datastrip) -> dict[str, Any]:
    account = strip.account
    missing = {
        f"D{detector:02d} scene {scene} {band.name}": len(blocks)
        for detector, scene in account.granules()
        if account.has_image(detector, scene)
        for band in BANDS
        if (blocks := account.missing_blocks(detector, scene, band.index))
    }
    return {
        "start": account.start.isoformat(),
        "stop": account.stop.isoformat(),
        "scenes": account.descriptor.scenes,
        "detectors": list(account.descriptor.detectors),
        "granules_expected": len(account.granules()),
        "granules_missing": [f"D{d:02d} scene {s}" for d, s in account.missing_granules()],
        "packets_missing": missing,
    }


def strangers(sorter: PacketSorter) -> str:
    """What is to be said of a session whose packets are not in this service's layout; empty where they are."""
    own, others = sum(map(len, sorter.blocks.values())), (sorter.unknown + sorter.refused).total()
    if not own and not others:
        return "the frames hold no packet"
    # By chance, one packet in some thousands of another layout reads as one of this.
    if own * _CHANCE > others:
        return ""
    return (
        f"{others} packets came, none in the layout of this service's simulator; layout and codec of the image packets "
        "that the instrument itself sends are not public, and no open processor reads them"
    )


def losses(packets: Mapping[str, Mapping[str, int]]) -> list[str]:
    """One sentence per APID that lost packets."""
    sentences = []
    for apid, counts in packets.items():
        if counts["lost"]:
            source = image_source(int(apid))
            what = f"D{source.detector:02d} {BANDS[source.band].name}" if source else "ancillary"
            sentences.append(f"APID {apid} ({what}): {counts['lost']} of {counts['expected']} packets lost")
    return sentences
