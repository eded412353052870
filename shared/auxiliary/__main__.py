"""Auxiliary files by hand: ``python -m shared.auxiliary add FILE... | list [TYPE] | choose JOB ... | rebuild``.

``add`` takes files as they are delivered (TGZ, tar, zip), for instance the GIPPs that a delivery point no longer holds.
``choose`` shows the files that a job would get, and why. Settings as everywhere: ``S2PS_...``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import CHUNK, Limits
from shared.bootstrap import Services, services
from shared.domain.auxiliary.policies import Window
from shared.domain.auxiliary.selection import requirements, select
from shared.domain.names import SATELLITES
from shared.errors import AbsentError, S2psError

_MIB: Final = 1 << 20


def main(arguments: Sequence[str] | None = None, given: Services | None = None) -> int:
    """Run one command; the exit code is 0, or 1 where something was refused or is missing."""
    parsed = _parser().parse_args(arguments)
    try:
        intake = _intake(given or services())
        return {"add": _add, "list": _list, "choose": _choose, "rebuild": _rebuild}[parsed.command](intake, parsed)
    except S2psError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.auxiliary", description="Auxiliary files and their catalogue"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="take files in, as they are delivered")
    add.add_argument("files", nargs="+", type=Path)
    listing = commands.add_parser("list", help="the types, or the files of one")
    listing.add_argument("type", nargs="?", default="")
    choose = commands.add_parser("choose", help="what a job would get")
    choose.add_argument("job", choices=sorted(load_types().jobs))
    choose.add_argument("satellite", choices=SATELLITES)
    choose.add_argument("start", type=_when, help="begin of sensing, UTC, as 2022-04-13T13:27:14")
    choose.add_argument("stop", type=_when, help="its end")
    choose.add_argument("--json", action="store_true", help="the whole set, with what was passed over")
    commands.add_parser("rebuild", help="make the catalogue again from the files")
    return parser


def _when(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _intake(given: Services) -> Intake:
    settings = given.settings
    limits = Limits(files=settings.aux_most_files, size=settings.aux_unpacked_mb * _MIB)
    largest = settings.aux_largest_mb * _MIB
    # By hand there is disk: a zip may be as large as any.
    return Intake(
        given.store,
        settings.bucket_auxiliary,
        given.clock,
        load_types(),
        limits,
        largest,
        largest_zip=largest,
        ledger=given.ledger,
    )


def _add(intake: Intake, parsed: argparse.Namespace) -> int:
    """One file's trouble does not keep the others from being taken in."""
    wrong = 0
    for path in parsed.files:
        try:
            if intake.catalogue.has(intake.name_of(path.name)):
                print(f"{path.name}: is in the catalogue already")
                continue
            entry = intake.take(Delivery(path.name, "by-hand", size=path.stat().st_size), _chunks(path))
            print(f"{entry.name}: usable", *entry.notes, sep=", ")
        except (S2psError, OSError) as error:
            wrong += 1
            print(f"{path}: {error}", file=sys.stderr)
    return 1 if wrong else 0


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _list(intake: Intake, parsed: argparse.Namespace) -> int:
    catalogue = intake.catalogue
    if parsed.type:
        print(*catalogue.names(parsed.type), sep="\n")
    for kind in () if parsed.type else catalogue.types():
        print(f"{kind}  {len(catalogue.names(kind)):6d}")
    return 0


def _choose(intake: Intake, parsed: argparse.Namespace) -> int:
    wanted = requirements(intake.table, parsed.job)
    files = intake.catalogue.by_type(each.type for each in wanted)
    found = select(wanted, files, parsed.satellite, Window(parsed.start, parsed.stop))
    if parsed.json:
        print(found.model_dump_json(indent=1))
    else:
        for choice in found.choices:
            shown = ", ".join(choice.chosen) or ("MISSING" if choice.requirement.mandatory else "none, it is optional")
            print(f"{choice.requirement!s:<14} {choice.policy}: {shown}")
    if found.missing:
        raise AbsentError(f"{len(found.missing)} of {len(wanted)} files are missing")
    return 0


def _rebuild(intake: Intake, _parsed: argparse.Namespace) -> int:
    print(f"{intake.catalogue.rebuild()} entries were not there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
