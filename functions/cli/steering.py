"""``s2ps retry``, ``park``, ``release``, ``replay``, ``submit``: what an operator may do, over ``shared.steering``."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
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
_LIKE_A_SESSION: Final = re.compile(r"(S2[A-D](_\d{0,20})?|L\d{8,23})(-\d{0,4})?", re.ASCII)
"""The name of a session, or the begin of one; products' names have more letters."""

_of_session = click.option(
    "--session", default="", help="Session that TARGETs like l1c/DT01-T32TMQ are of.", shell_complete=complete_session
)
_targets = click.argument("targets", metavar="TARGET...", nargs=-1, required=True, shell_complete=complete_session)
_since = click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Of --all-...: only what ended then or later, UTC.",
)
_reason_contains = click.option("--reason-contains", default="", metavar="TEXT", help="Of --all-...: by its reason.")


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
@click.argument("targets", metavar="[TARGET...]", nargs=-1, shell_complete=complete_session)
@_of_session
@click.option("--all-parked", is_flag=True, help="All parked work that fits the options below, in place of TARGETs.")
@click.option("--session-glob", default="*", metavar="GLOB", help="Of --all-parked: in these sessions.")
@click.option("--step", default="", help="Of --all-parked: of this step.")
@click.option(
    "--from", "start", default="", metavar="STEP", help="Make this step anew, and all after it, though it went well."
)
@click.option("--unit", "units", multiple=True, help="Of --from: only of this datastrip or tile; may be repeated.")
@_reason_contains
@_since
@_reason()
@_acts
def retry(
    place: Place,
    shape: Shape,
    targets: tuple[str, ...],
    session: str,
    all_parked: bool,
    session_glob: str,
    step: str,
    start: str,
    units: tuple[str, ...],
    reason_contains: str,
    since: datetime | None,
    reason: str,
    dry_run: bool,
) -> None:
    """Give failed work new attempts, and open its session's account again.

    A TARGET is a session (all of its failed work) or a work item: its prefix in the ledger, as `work -o name` prints
    it, the begin of its digest, or with --session its step and unit. With --all-parked, all that failed for good and
    fits is tried again; --dry-run names it.

    With --from, work of a session that has ended is made anew out of the inputs that it had, from that step on. The
    products of before stay on the shelf; the account counts the new ones.
    """
    from shared import steering

    if start or units:
        if all_parked or not start:
            raise click.UsageError("--unit wants --from" if units and not start else "--from takes no --all-parked")
        if not targets:
            raise click.UsageError("Missing argument 'TARGET...': --from wants the session")
        _either(targets, "TARGET", "--all-parked", False, (session_glob != "*", step, reason_contains, since))
        anew = partial(steering.rerun, step=start, units=units)
        _act(place, shape, anew, _named(place.services, targets, session), reason, dry_run=dry_run)
        return
    _either(targets, "TARGET", "--all-parked", all_parked, (session_glob != "*", step, reason_contains, since))
    if not all_parked:
        _act(place, shape, steering.retry, _named(place.services, targets, session), reason, dry_run=dry_run)
        return
    which = steering.ParkedFilter(session_glob, step, reason_contains, _utc(since))
    found = steering.parked_work(place.services, which)

    def these(services: Services, target: str, **more: Any) -> list[Done]:
        return steering.retry(services, target, only=found[target], **more)

    _act(place, shape, these, list(found), reason, dry_run=dry_run)
    count = sum(len(prefixes) for prefixes in found.values())
    click.echo(f"{count} work items of {len(found)} sessions", err=True)


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
@click.argument("targets", metavar="[EVENT...]", nargs=-1)
@click.option(
    "--all-dead-letters", is_flag=True, help="All that were not replayed and fit the options below, in place of EVENTs."
)
@click.option("--type-contains", default="", metavar="TEXT", help="Of --all-dead-letters: by the event's type.")
@click.option("--subject-glob", default="*", metavar="GLOB", help="Of --all-dead-letters: by the event's subject.")
@click.option("--function", default="", metavar="TEXT", help="Of --all-dead-letters: by who could not handle it.")
@_reason_contains
@_since
@_reason()
@_acts
def replay(
    place: Place,
    shape: Shape,
    targets: tuple[str, ...],
    all_dead_letters: bool,
    type_contains: str,
    subject_glob: str,
    function: str,
    reason_contains: str,
    since: datetime | None,
    reason: str,
    dry_run: bool,
) -> None:
    """Let an event happen again.

    An EVENT is the key of a ledger record, the id of an event that was dead-lettered, or the key of a dead letter, as
    `dead-letters -o name` prints it. With --all-dead-letters, all that fit are replayed; --dry-run names them.
    """
    from functions.cli.letters import letter_named
    from shared import steering

    options = (type_contains, subject_glob != "*", function, reason_contains, since)
    _either(targets, "EVENT", "--all-dead-letters", all_dead_letters, options)
    if all_dead_letters:
        which = steering.LetterFilter(type_contains, function, reason_contains, subject_glob, _utc(since))
        found = list(steering.dead_letters(place.services, which))
    else:
        found = [target if target.startswith("sessions/") else letter_named(place.services, target) or target
                 for target in targets]  # fmt: skip
    _act(place, shape, steering.replay, found, reason, dry_run=dry_run)
    if all_dead_letters:
        click.echo(f"{len(found)} dead letters", err=True)


@click.command()
@click.argument("targets", metavar="PRODUCT|SESSION...", nargs=-1, required=True)
@_reason()
@_acts
def submit(place: Place, shape: Shape, targets: tuple[str, ...], reason: str, dry_run: bool) -> None:
    """Process a product on that was made elsewhere, from L1C to L2A; or a session's raw data once more.

    A PRODUCT is the folder of a SAFE product, or its archive (.zip), whose files are brought to the store; or the place
    of either in the store, as s3://bucket/key. It gets a session of its own, whose budget runs from now. Any other
    folder, or s3://bucket/key/, stands for all products in it that were not submitted before.

    A SESSION, by its name or the begin of it, gets another beside it (SESSION-2, ...), under the strategy that is
    active now: with a rule for the class reprocessing, by another processor set.
    """
    from functions.cli.named import session_named
    from shared import steering

    found: list[str] = []
    for target in targets:
        if _LIKE_A_SESSION.fullmatch(target) and not Path(target).exists():
            found.append(session_named(place.services, target))
            continue
        inside = steering.products_below(place.services, target)
        if inside is not None:
            click.echo(safe(f"{target}: {len(inside)} products to submit"), err=True)
        found += [target] if inside is None else inside
    _act(place, shape, steering.submit, found, reason, dry_run=dry_run)


def _either(targets: Sequence[str], metavar: str, flag: str, given: bool, options: Sequence[object]) -> None:
    """Targets by name, or all that fit; UsageError where it is neither, both, or options stand without their flag."""
    if given and targets:
        raise click.UsageError(f"{flag}: takes no {metavar}")
    if not given and not targets:
        raise click.UsageError(f"Missing argument '{metavar}...', or {flag}.")
    if not given and any(options):
        raise click.UsageError(f"options that choose among all want {flag}")


def _utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.replace(tzinfo=UTC)


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
