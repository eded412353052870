"""``s2ps retry``, ``park``, ``release``, ``replay``, ``submit``: what an operator may do, over ``shared.steering``."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from functions.cli.completing import complete_session
from functions.cli.options import Command, Shape, looks, shape_options
from functions.cli.safe import safe
from shared.errors import AbsentError, S2psError

if TYPE_CHECKING:
    from functions.cli.places import Place
    from shared.bootstrap import Services
    from shared.steering import Done

OPERATOR: Final = "S2PS_OPERATOR"
_NO_REASON: Final = "no reason given"
_LONGEST: Final = 128

_of_session = click.option(
    "--session", default="", help="Session that TARGETs like l1c/DT01-T32TMQ are of.", shell_complete=complete_session
)
_targets = click.argument("targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=complete_session)


def _acts(command: Command) -> Command:
    """What all of them have in common."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
        shape_options,
        looks,
    ):
        command = option(command)
    return command


def _reason(required: bool = False) -> Callable[[Command], Command]:
    extra: dict[str, Any] = {"required": True} if required else {"default": _NO_REASON}
    return click.option("--reason", help="Why; it is kept with the action.", **extra)


@click.command()
@_targets
@_of_session
@_reason()
@_acts
def retry(place: Place, shape: Shape, targets: tuple[str, ...], session: str, reason: str, dry_run: bool) -> None:
    """Give failed work new attempts, and open its session's account again.

    A TARGET is a session (all of its failed work) or a work item: its prefix in the ledger, as `work -o name` prints
    it, the begin of its digest, or with --session its step and unit.
    """
    from shared import steering

    _act(place, shape, steering.retry, _named(place.services, targets, session), reason, dry_run=dry_run)


@click.command()
@_targets
@_of_session
@_reason(required=True)
@_acts
def park(place: Place, shape: Shape, targets: tuple[str, ...], session: str, reason: str, dry_run: bool) -> None:
    """Hold a session or a work item: no new attempt of it starts, and the account says parked.

    A Job that runs already runs on. TARGET as for `retry`; `release` undoes it.
    """
    from shared import steering

    _act(place, shape, steering.park, _named(place.services, targets, session), reason, dry_run=dry_run)


@click.command()
@_targets
@_of_session
@_reason()
@_acts
def release(place: Place, shape: Shape, targets: tuple[str, ...], session: str, reason: str, dry_run: bool) -> None:
    """Undo a hold; or let a session that was parked as incomplete go on with the files that are there.

    TARGET as for `retry`.
    """
    from shared import steering

    _act(place, shape, steering.release, _named(place.services, targets, session), reason, dry_run=dry_run)


@click.command()
@click.argument("targets", metavar="EVENT...", nargs=-1, required=True)
@_reason()
@_acts
def replay(place: Place, shape: Shape, targets: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Let an event happen again.

    An EVENT is the key of a ledger record, the id of an event that was dead-lettered, or the key of a dead letter, as
    `dead-letters -o name` prints it.
    """
    from functions.cli.letters import letter_named
    from shared import steering

    found = [target if target.startswith("sessions/") else letter_named(place.services, target) or target
             for target in targets]  # fmt: skip
    _act(place, shape, steering.replay, found, reason, dry_run=dry_run)


@click.command()
@click.argument("targets", metavar="PRODUCT...", nargs=-1, required=True)
@_reason()
@_acts
def submit(place: Place, shape: Shape, targets: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Process a product on that was made elsewhere: from an L1C product to L2A.

    A PRODUCT is the folder of a SAFE product, whose files are brought to the store, or the place of one that is in the
    store already, as s3://bucket/key. It gets a session of its own, whose budget runs from now.
    """
    from shared import steering

    _act(place, shape, steering.submit, targets, reason, dry_run=dry_run)


def _named(services: Services, targets: Sequence[str], session: str) -> list[str]:
    """What the targets name, all of them before anything is done. AbsentError where one names nothing."""
    from functions.cli.named import closest, find_session, session_named, work_named

    of = session_named(services, session) if session else ""
    found = []
    for text in targets:
        if not text.startswith("sessions/") and "/" in text and not of:
            raise click.UsageError(f"{text}: --session says of which session")
        work = work_named(services, text, of)
        named = work.prefix if work is not None else find_session(services, text)
        if named is None:
            from functions.cli.items import open_sessions

            near = closest(text, open_sessions(services))
            raise AbsentError(f"{text}: the ledger knows no session and no work item of this name{near}")
        found.append(named)
    return found


def _act(
    place: Place,
    shape: Shape,
    action: Callable[..., list[Done]],
    targets: Sequence[str],
    reason: str,
    *,
    dry_run: bool,
) -> None:
    """Do it to each; one that is refused does not keep the others from being done, and the exit code is 1 then."""
    from functions.cli.output import API_VERSION, echo_document

    done: list[Done] = []
    failures = 0
    for target in targets:
        try:
            found = action(place.services, target, who=operator(), reason=reason, dry_run=dry_run)
        except S2psError as error:
            failures += 1
            click.echo(f"Error: {safe(str(error))}", err=True)
            continue
        done += found
        for each in found:
            _tell(each, shape, dry_run=dry_run)
    if shape.form in {"json", "yaml"}:
        echo_document(shape, {"apiVersion": API_VERSION, "kind": "DoneList", "dry_run": dry_run, "items": done})
    if failures:
        raise click.exceptions.Exit(1)


def _tell(done: Done, shape: Shape, *, dry_run: bool) -> None:
    if shape.form == "name":
        click.echo(safe(done.target))
    elif shape.form == "table":
        would = " (dry run, nothing was done)" if dry_run else ""
        click.echo(safe(f"{done.action} {done.target}: {done.note}{would}"))
        for change in done.changes if dry_run else ():
            click.echo(f"  {safe(change)}")


def operator() -> str:
    """Who acts, as the records keep it: ``S2PS_OPERATOR``, else user and host."""
    named = os.environ.get(OPERATOR, "").strip()
    if not named:
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a user without a name, as in a container
            user = str(os.getuid())
        named = f"{user}@{socket.gethostname()}"
    return named[:_LONGEST]
