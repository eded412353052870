"""In place of the ingestion, EISP: from a session's raw files to datatake folders, ancillary data and housekeeping.

What is checked is real: the job order by its schema, the files of each channel against its DSIB. What comes out is as
the configuration has it: for each datatake a folder ``DTn`` with one datastrip and its granules in ``GR/DB1``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from functions.ipf.common.identity import BASELINE
from functions.ipf.common.processor import IpfLog
from functions.ipf.standin import documents
from functions.ipf.standin.config import Config, Datatake
from functions.ipf.standin.failing import Rules
from functions.ipf.standin.products import Maker
from functions.ipf.standin.strip import DETECTORS, Strip
from shared.domain.names import HktmName, SessionFile, format_stamp
from shared.dsib import Dsib, parse_dsib
from shared.errors import BadInputError
from shared.joborder import JobOrder, parse_job_order
from shared.joborder.schema import check_by_schema

_ORBITS_IN_CYCLE: Final = 143
_PARAMETERS: Final = ("theoretical_line_period", "minimum_packet_length", "gps_to_tai", "tai_to_utc", "orbit_offset",
    "cyclic_orbit_offset", "CADUAnnotations", "ql_bands")  # fmt: skip
# Where a datatake has no start: so long before its downlink.
_BEFORE: Final = timedelta(minutes=20)


def ingest(job_order: Path, config: Config, rules: Rules, journal: IpfLog, now: datetime) -> int:
    """Do it; returns the exit code. BadInputError where the order or the session is not as it should be."""
    document = job_order.read_bytes()
    order = parse_job_order(document, job_order.name)
    check_by_schema(document, job_order.name)
    for name in _PARAMETERS:
        order.parameter(name)
    channels = [channel for path in order.input_files("STO_CADU_S") for channel in read_session(Path(path))]
    journal.info(
        f"{len(channels)} channels, {sum(len(channel.names) for channel in channels)} files as their DSIBs say"
    )
    working = Path(order.input_files("WORKING")[0])
    if not working.is_dir():
        raise BadInputError("job order, WORKING", "a folder that is there", str(working))
    strips = [_strip(config, index, order, channels[0]) for index in range(len(config.datatakes))]
    for datatake, strip in zip(config.datatakes, strips, strict=True):
        _write(Path(order.output("DS_GR_FOLDER")) / datatake.name, Maker(strip, now, rules, config.light))
        journal.progress(f"{datatake.name}: {strip.type}, {strip.scenes} scenes")
    _telemetry(order, strips, Maker(strips[0], now, rules))
    return 0


def read_session(folder: Path) -> list[Dsib]:
    """The channels of a session in ``folder``; BadInputError where a file is missing, or there are others or more."""
    found = []
    for number in (1, 2):
        channel = folder / f"ch_{number}"
        names = {path.name: path for path in channel.iterdir()} if channel.is_dir() else {}
        blocks = [path for name, path in names.items() if "_DSIB." in name]
        if len(blocks) != 1:
            raise BadInputError(f"session, ch_{number}", "one DSIB", len(blocks))
        dsib = parse_dsib(blocks[0].read_bytes(), SessionFile.parse(blocks[0].name))
        if missing := sorted(set(dsib.names) - set(names)):
            raise BadInputError(f"{blocks[0].name}, dsdb_list", f"files that are there, and {missing[0]} is not")
        if others := sorted(set(names) - set(dsib.names) - {blocks[0].name}):
            raise BadInputError(f"session, ch_{number}", "the files of its DSIB and no others", others[0])
        size = sum(names[name].stat().st_size for name in dsib.names)
        if size != dsib.data_size:
            raise BadInputError(f"{blocks[0].name}, data_size", f"the size of its files, {size}", dsib.data_size)
        found.append(dsib)
    return found


def _strip(config: Config, index: int, order: JobOrder, dsib: Dsib) -> Strip:
    datatake: Datatake = config.datatakes[index]
    session = SessionFile.parse(dsib.names[0]).session
    satellite = session.satellite or f"{order.parameter('MissionID')[:3]}"
    start = (datatake.start or dsib.time_start - _BEFORE + index * timedelta(minutes=2)).astimezone(UTC)
    orbit = max(1, session.orbit - 1)
    site = order.parameter("Processing_Station")
    stub = Strip("", satellite, site, order.parameter("Acquisition_Station"), "", f"INS-{datatake.type}", orbit,
        1 + orbit % _ORBITS_IN_CYCLE, start, documents.end_of(start, datatake.scenes))  # fmt: skip
    identifier = f"G{satellite}_{format_stamp(start)}_{orbit:06d}_N{BASELINE}"
    return Strip.from_json({**stub.to_json(), "datatake": identifier})


def _write(folder: Path, maker: Maker) -> None:
    """A datatake's folder."""
    strip = maker.strip
    granules = documents.granule_names(strip, maker.created, DETECTORS)
    name = maker.datastrip(folder / "DS", "L0U", granules)
    maker.file(folder / "DS" / name / "ANC_DATA" / f"{strip.satellite}_ancillary.bin")
    for granule in granules:
        maker.granule(folder / "GR" / "DB1", granule, name)
        if not maker.light:
            maker.file(folder / "GR" / "DB1" / granule / "IMG_DATA" / "packets.bin")


def _telemetry(order: JobOrder, strips: list[Strip], maker: Maker) -> None:
    """Ancillary data of each orbit, and housekeeping of the pass."""
    start, stop = min(strip.start for strip in strips), max(strip.stop for strip in strips)
    strip = strips[0]
    span = f"{format_stamp(start)}_{format_stamp(stop)}"
    suffixes = (("V", span), ("A", f"{strip.orbit:06d}"))
    name = strip.production(maker.created).pdi(strip.satellite, "AUX_SADATA", *suffixes, baseline=False)
    maker.file(Path(order.output("SAD_FOLDER")) / name / f"{name}.bin")
    housekeeping = HktmName(strip.satellite, "TEST", start, stop, 1)
    maker.file(Path(order.output("HKTM_FOLDER")) / str(housekeeping) / f"{housekeeping}.bin")
