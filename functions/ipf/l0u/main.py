"""The L0U processor: from the raw files of a session to datatake folders and an account of its packets."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from functions.ipf.common.identity import Production
from functions.ipf.common.l0_metadata import Downlink
from functions.ipf.common.processor import Exit, IpfLog, run_processor
from functions.ipf.l0u.channels import Channel, find_channels
from functions.ipf.l0u.datastrips import Datastrip, assemble
from functions.ipf.l0u.housekeeping import HousekeepingRecorder
from functions.ipf.l0u.report import losses, packet_account, session_report, strangers
from functions.ipf.l0u.sorting import PacketSorter
from functions.ipf.l0u.writer import DatatakeWriter, write_ancillary
from shared.ccsds.cuc import gps_ns_to_utc
from shared.ccsds.decoder import ChannelDecoder, ChannelStatistics
from shared.ccsds.link import SENTINEL2, LinkProfile
from shared.domain.names import SessionId, format_stamp
from shared.errors import BadInputError
from shared.msi.platform import HOUSEKEEPING_VCID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.ccsds.decoder import PacketBatch
    from shared.joborder import JobOrder

NAME: Final = "S2PS-L0U"
VERSION: Final = "0.3.0"


def run(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_processor(NAME, VERSION, process, argv)


def process(order: JobOrder, journal: IpfLog) -> int:
    """Sort one session's packets. Inputs and outputs as the job order names them:

    STO_CADU_S in (a folder with ``ch_1`` and ``ch_2``), DS_GR_FOLDER out (``DTnn``), SAD_FOLDER out, REP_PASS out (the
    session's account of frames and packets, JSON); HKTM_FOLDER out where it is named (housekeeping telemetry).
    Nothing, and a warning with the cause, where the packets are of another layout than this service's.
    """
    production = Production.of(order)
    channels = find_channels(Path(order.input_files("STO_CADU_S")[0]))
    root, telemetry = Path(order.output("DS_GR_FOLDER")), Path(order.output("SAD_FOLDER"))
    report = Path(order.output("REP_PASS"))
    spool = root / ".spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    try:
        return _process(order, journal, production, channels, PacketSorter(spool), root, telemetry, report)
    finally:
        shutil.rmtree(spool, ignore_errors=True)


def _process(
    order: JobOrder,
    journal: IpfLog,
    production: Production,
    channels: tuple[Channel, ...],
    sorter: PacketSorter,
    root: Path,
    telemetry: Path,
    report: Path,
) -> int:
    profile = LinkProfile.parse(order.parameters.get("LINK_PROFILE", str(SENTINEL2)))
    housekeeping = HousekeepingRecorder(sorter.spool / "housekeeping")
    statistics, empty, damaged = receive(channels, sorter, journal, profile, housekeeping)
    sorter.finish()
    strips, homeless = assemble(sorter.ancillary, sorter.blocks)
    if not strips:
        return _nothing(channels[0].session, sorter, journal)
    downlink = Downlink(order.acquisition_station or "XXX_", SessionId.parse(channels[0].session).orbit)
    writer = DatatakeWriter(root, production, downlink, sorter)
    folders = {writer.write(number, strip).name: strip for number, strip in enumerate(strips, 1)}
    packets = packet_account(strips, sorter, homeless)
    document = session_report(channels, statistics, empty, damaged, folders, sorter, packets)
    document["housekeeping"] = housekeeping.account()
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    _telemetry(telemetry, production, strips)
    for out in [each.name for task in order.tasks for each in task.outputs if each.file_type == "HKTM_FOLDER"]:
        housekeeping.write(Path(out), production, strips[0].account)
    # An idle frame that cannot be corrected takes nothing with it: it is told, and the product is whole all the same.
    bad = [f"{name}: frames that could not be corrected: {count}" for name, count in damaged.items()]
    troubles = [*_troubles(channels, empty), *losses(packets), *housekeeping.losses()]
    for trouble in [*bad, *troubles]:
        journal.warning(trouble)
    journal.info(f"{len(strips)} datastrip(s), {document['totals']['received']} packets")
    return Exit.DEGRADED if troubles else Exit.OK


def _nothing(session: str, sorter: PacketSorter, journal: IpfLog) -> int:
    """What a session without any datatake comes to: no product where its packets are not of this service's layout, as
    those of the real instrument are not; BadInputError where they are, and their descriptors are lost.
    """
    foreign = strangers(sorter)
    if not foreign:
        raise BadInputError(f"session {session}", "at least one datatake descriptor packet (APID 152)")
    journal.info(f"packets by APID: {dict(sorted((sorter.unknown + sorter.refused).items()))}")
    journal.warning(f"no product: {foreign}")
    return Exit.DEGRADED


def receive(
    channels: Sequence[Channel],
    sorter: PacketSorter,
    journal: IpfLog,
    profile: LinkProfile,
    housekeeping: HousekeepingRecorder,
) -> tuple[dict[int, ChannelStatistics], list[str], dict[str, int]]:
    """Decode all channels into ``sorter`` and ``housekeeping``; statistics by channel, the names of files without any
    frame, and how many frames of a file could not be corrected, where there are such.

    BadInputError naming the first file where no channel holds one frame that decodes.
    """
    statistics: dict[int, ChannelStatistics] = {}
    empty: list[str] = []
    damaged: Counter[str] = Counter()
    for channel in channels:
        decoder = ChannelDecoder(profile, recorded=HOUSEKEEPING_VCID)

        frames = dict.fromkeys((path.name for path in channel.files), 0)
        for block in channel.blocks():
            before, bad = decoder.good_frames, decoder.bad_frames
            found = decoder.feed(block.octets)
            _put(found, decoder, channel.received(block.position), sorter, housekeeping)
            frames[block.file] += decoder.good_frames - before
            damaged[block.file] += decoder.bad_frames - bad
        before, bad = decoder.good_frames, decoder.bad_frames
        _put(decoder.finish(), decoder, channel.received(1.0), sorter, housekeeping)
        frames[channel.files[-1].name] += decoder.good_frames - before
        damaged[channel.files[-1].name] += decoder.bad_frames - bad
        statistics[channel.number] = decoder.statistics
        # A file's last frame is told only by the next one's octets: one frame may be its predecessor's.
        sizes = {path.name: path.stat().st_size // profile.cadu_octets for path in channel.files}
        empty += [name for name, count in frames.items() if not count or count == 1 < sizes[name]]
        counts = decoder.statistics
        journal.progress(
            f"channel {channel.number}: {counts.frames} frames, {counts.corrected_frames} corrected, "
            f"{counts.uncorrectable_frames} uncorrectable, {counts.slips} slips"
        )
    if not any(counts.data_frames + counts.idle_frames for counts in statistics.values()):
        raise BadInputError(channels[0].files[0].name, "CADUs of this link", "no frame that decodes")
    return statistics, empty, dict(+damaged)


def _put(
    batches: Sequence[PacketBatch],
    decoder: ChannelDecoder,
    received: datetime,
    sorter: PacketSorter,
    housekeeping: HousekeepingRecorder,
) -> None:
    """Packets where they belong, by their virtual channel."""
    housekeeping.add_frames(decoder.take_frames())
    for batch in batches:
        if batch.vcid == HOUSEKEEPING_VCID:
            housekeeping.add_packets(batch)
        else:
            sorter.add(batch, received)


def _troubles(channels: Sequence[Channel], empty: Sequence[str]) -> list[str]:
    found = [note for channel in channels for note in channel.notes]
    found += [f"{name}: named in the DSIB, absent" for channel in channels for name in channel.missing]
    found += [f"{name}: no frame that decodes" for name in empty]
    present = {channel.number for channel in channels}
    return found + [f"channel {number}: absent" for number in (1, 2) if number not in present]


def _telemetry(folder: Path, production: Production, strips: Sequence[Datastrip]) -> None:
    """The session's ancillary telemetry as a product of its own."""
    packets = tuple(packet for strip in strips for packet in strip.ancillary)
    first, last = min(packets, key=lambda p: p.gps_ns).gps_ns, max(packets, key=lambda p: p.gps_ns).gps_ns
    descriptor = strips[0].account.descriptor
    validity = "_".join(format_stamp(gps_ns_to_utc(time)) for time in (first, last))
    suffixes = (("V", validity), ("A", f"{descriptor.absolute_orbit:06d}"))
    name = production.pdi(descriptor.satellite, "AUX_SADATA", *suffixes, baseline=False)
    write_ancillary(folder / name, production, descriptor.satellite, descriptor.absolute_orbit, packets)
