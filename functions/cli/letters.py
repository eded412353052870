"""``s2ps dead-letters``: events that nothing could handle, and whether they were sent again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from functions.cli.options import Shape, Where, shape_options, where_options
from shared.errors import AbsentError

if TYPE_CHECKING:
    from functions.cli.places import Place
    from shared.bootstrap import Services
    from shared.ledger.records import DeadLetter

_FOLDER: Final = "dead-letters/"
_BRIEF: Final = 60
_REPLAYED: Final = "replayed"


@dataclass(frozen=True, slots=True)
class LetterRow:
    """One dead letter. ``name`` is its key in the ledger, ``id`` that of its event."""

    name: str
    id: str
    when: datetime
    type: str
    source: str
    subject: str
    function: str
    reason: str
    replayed: bool


@click.group("dead-letters", invoke_without_command=True)
@click.option("--unplayed", is_flag=True, help="Only those that were not sent again.")
@where_options
@shape_options
@click.pass_context
def dead_letters(ctx: click.Context, where: Where, shape: Shape, unplayed: bool) -> None:
    """Events that nothing could handle, the newest last; `dead-letters show ID` tells all of one."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = where, shape  # options before `show` are its own
        return
    from functions.cli.output import Column, instant, show
    from functions.cli.places import opened

    with opened(where) as place:
        rows = [row for row in read_letters(place.services) if not (unplayed and row.replayed)]
    columns: list[Column[LetterRow]] = [
        Column("when", lambda row: instant(row.when)),
        Column("id", lambda row: row.id[:12]),
        Column("type", lambda row: row.type.removeprefix("com.amazonaws.s3.")),
        Column("function", lambda row: short_function(row.function)),
        Column("replayed", lambda row: "yes" if row.replayed else "no"),
        Column("subject", lambda row: short_subject(row.subject), fold=True),
        Column("reason", lambda row: row.reason if len(row.reason) <= _BRIEF else f"{row.reason[:_BRIEF]}…", fold=True),
    ]
    show(shape, "DeadLetter", rows, columns, lambda row: row.name, "No dead letters found.")


@dead_letters.command("show")
@click.argument("identity", metavar="ID")
@where_options
@shape_options
@click.pass_obj
def show_letter(before: tuple[Where, Shape], where: Where, shape: Shape, identity: str) -> None:
    """All of one dead letter. ID is its event's id, the begin of it, or its key in the ledger."""
    from functions.cli.places import opened

    with opened(before[0] if where == Where() else where) as place:
        _show(place, before[1] if shape == Shape() else shape, identity)


def _show(place: Place, shape: Shape, identity: str) -> None:
    from functions.cli.output import echo_json, echo_table, instant, show_one
    from functions.cli.safe import safe
    from shared.ledger.records import DeadLetter

    key = letter_named(place.services, identity)
    if key is None:
        raise AbsentError(f"dead letter {identity}: there is none of this id; `dead-letters` lists them")
    letter = place.services.ledger.read(key, DeadLetter)
    replayed = place.services.ledger.exists(_mark(key))

    def lines() -> None:
        facts = [("Key", key), ("When", instant(letter.created)), ("Function", letter.function)]
        facts += [("Reason", letter.reason), ("Replayed", "yes" if replayed else "no")]
        facts += [(name.capitalize(), str(letter.event.get(name, ""))) for name in ("id", "type", "source", "subject")]
        for name, text in facts:
            click.echo(f"{name + ':':<10} {safe(text)}")
        extensions = letter.event.get("extensions") or {}
        if extensions:
            click.echo()
            echo_table(("extension", "value"), [(str(name), str(value)) for name, value in extensions.items()])
        if letter.event.get("data") is not None:
            click.echo("\nData:")
            echo_json(letter.event["data"])

    document = {"name": key, "replayed": replayed, **letter.model_dump(mode="json", by_alias=True)}
    show_one(shape, "DeadLetter", document, lines, key)


def read_letters(services: Services) -> list[LetterRow]:
    """All dead letters, by when they were written."""
    from functions.cli.items import read_found
    from shared.ledger.records import DeadLetter

    listed = {info.key: info.modified for info in services.ledger.list(_FOLDER)}
    letters = [key for key in listed if not _is_mark(key)]
    marks = set(listed).difference(letters)
    found = read_found(services, letters, DeadLetter)
    rows = [
        _row(key, found[key], replayed=_mark(key) in marks)
        if key in found
        else _unread(key, listed[key], _mark(key) in marks)
        for key in letters
    ]
    return sorted(rows, key=lambda row: (row.when, row.name))


def _row(key: str, letter: DeadLetter, *, replayed: bool) -> LetterRow:
    event: dict[str, Any] = letter.event
    texts = {name: str(event.get(name, "")) for name in ("id", "type", "source", "subject")}
    return LetterRow(
        name=key,
        when=letter.created,
        function=letter.function,
        reason=letter.reason,
        replayed=replayed,
        **texts,
    )


def _unread(key: str, when: datetime, replayed: bool) -> LetterRow:
    """One whose record breaks its model, or is of a newer version: `dead-letters show` says what is wrong with it."""
    identity = key.rpartition("/")[2].removesuffix(".json")
    return LetterRow(key, identity, when, "", "", "", "", "its record cannot be read", replayed)


def _mark(key: str) -> str:
    from shared.ledger import keys

    return keys.replayed(key)


def _is_mark(key: str) -> bool:
    return key.split("/")[-2] == _REPLAYED


def short_function(address: str) -> str:
    """The name of a function by the address that the broker had: the first label of its host."""
    return address.removeprefix("http://").removeprefix("https://").partition("/")[0].partition(".")[0]


def short_subject(subject: str) -> str:
    """A record's key without its session, and with the begin of its digest."""
    from shared.ledger import keys

    work = keys.parse_work(subject)
    if work is not None:
        place, rest = work
        return f"{place.step}/{place.unit}/{place.digest[:8]}/{rest}"
    session = keys.parse_session(subject)
    return subject if session is None else session[1]


def letter_named(services: Services, text: str) -> str | None:
    """The key of the dead letter that ``text`` names: a key, an event's id, or the begin of either; None for none."""
    from functions.cli.named import only

    listed = [info.key for info in services.ledger.list(_FOLDER)]
    letters = [key for key in listed if not _is_mark(key)]
    if text.startswith(_FOLDER):
        return only(text, "dead letter", letters)
    by_id = _by_id(letters)
    named = only(text, "dead letter", by_id) if text else None
    return None if named is None else by_id[named]


def _by_id(letters: Iterable[str]) -> dict[str, str]:
    """By the id in its key, the newest where an event died on several days."""
    return {key.rsplit("/", 1)[-1].removesuffix(".json"): key for key in sorted(letters)}
