"""``s2ps why``: the cause of how a session, a product or a work item stands. Reads; ``why`` says."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from functions.cli.completing import complete_anything, complete_session
from functions.cli.options import Shape, looks, shape_options
from shared.errors import AbsentError, S2psError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from functions.cli.places import Place
    from functions.cli.story import SessionStory
    from functions.cli.why import Cause, Rules
    from shared.bootstrap import Services
    from shared.ledger.keys import WorkKey

_CHANNELS: Final = (1, 2)
_ACCOUNTS: Final = 50
"""A product that is not on the shelf is looked for in the accounts of this many sessions, the newest by id."""


@click.command()
@click.argument("target", shell_complete=complete_anything)
@click.option("--session", default="", help="Session that a TARGET like l1c/DT01-T32TMQ is of.",
              shell_complete=complete_session)  # fmt: skip
@looks
@shape_options
@click.pass_context
def why(ctx: click.Context, place: Place, shape: Shape, target: str, session: str) -> None:
    """Why TARGET is as it is: its cause, the time that is left, and the command that mends it.

    A TARGET is a session, a product, or a work item (its prefix in the ledger, the begin of its digest, or with
    --session its step and unit). The begin of an id will do.
    """
    from functions.cli.output import show_one
    from functions.cli.safe import safe

    found = ask(place, target, session)
    command = [*found.fix, *place.flags] if found.fix else []

    def lines() -> None:
        click.echo(safe(found.sentence))
        if found.log:
            click.echo(f"Log: {safe(found.log)}")
        if command:
            program = ctx.find_root().info_name or "s2ps"
            click.echo(f"Fix: {program} {safe(shlex.join(command))}")

    show_one(shape, "Cause", {**_fields(found), "fix": command}, lines, found.target)


def _fields(cause: Cause) -> dict[str, object]:
    # "kind" is the document's own.
    return {"of": cause.kind, "target": cause.target, "stands": cause.stands, "sentence": cause.sentence,
            "slack_s": cause.slack_s, "log": cause.log}  # fmt: skip


def ask(place: Place, text: str, session: str = "") -> Cause:
    """The cause of what ``text`` names. AbsentError with the closest names where it names nothing."""
    from functions.cli.items import all_sessions
    from functions.cli.named import (
        closest,
        find_session,
        product_keys,
        product_name,
        product_named,
        session_named,
        work_named,
    )

    services = place.services
    of = session_named(services, session) if session else ""
    if not of and not text.startswith("sessions/"):
        named = find_session(services, text)
        if named is not None:
            return session_cause(services, named)
        product = product_named(services, text)
        if product is not None:
            return product_cause(services, product)
    work = work_named(services, text, of)
    if work is not None:
        return work_cause(place, work)
    lost = _lost_cause(services, text, [of] if of else sorted(all_sessions(services))[-_ACCOUNTS:])
    if lost is not None:
        return lost
    if of and "/" in text:
        from functions.cli.why_unordered import why_unordered

        unordered = why_unordered(services, of, text)
        if unordered is not None:
            return unordered
    known = [*all_sessions(services), *map(product_name, product_keys(services, text))]
    raise AbsentError(f"{text}: the ledger knows no session, product or work item of this name{closest(text, known)}")


def rules_of(services: Services) -> Rules:
    """The settings that decide."""
    from functions.cli.why import Rules

    settings = services.settings
    return Rules(settings.max_attempts, settings.session_wait_s, settings.session_partial)


def work_cause(place: Place, key: WorkKey) -> Cause:
    """Why a work item stands as it does."""
    from functions.cli.items import superseded
    from functions.cli.why import WorkFacts, why_work
    from shared.ledger import keys
    from shared.ledger.attempts import read_work, sort_work
    from shared.ledger.provision import Waiting
    from shared.ledger.records import Attempt, AttemptEnded, Order, Outcome
    from shared.ledger.standing import active_hold
    from shared.workflow.binding import attempts_allowed

    services, ledger = place.services, place.services.ledger
    below = f"{keys.session(key.session)}work/{key.step}/{key.unit}/"
    work = read_work(ledger, key)
    order = ledger.find(key.order, Order)
    attempt = ledger.find(key.attempt(work.newest), Attempt) if work.newest else None
    outcome = None
    if work.outcome is not None:
        with suppress(S2psError):
            outcome = ledger.find(key.outcome, Outcome)
    waiting = ledger.find(key.waiting, Waiting) if work.asks else None
    ordered = order if waiting is None else waiting.order
    facts = WorkFacts(
        work,
        order,
        attempt,
        ledger.find(key.ended(work.newest), AttemptEnded) if work.newest in work.ended else None,
        outcome,
        active_hold(ledger, key.hold) or active_hold(ledger, keys.hold(key.session)),
        None if ordered is None else ordered.deadline,
        _log(place, key, outcome.attempt if outcome is not None else work.newest),
        waiting,
        superseded(sort_work(ledger.list(below)).values()).get(key.prefix),
    )
    rules = replace(rules_of(services), max_attempts=attempts_allowed(ordered, services.settings))
    return why_work(facts, rules, services.clock.now())


def _log(place: Place, key: WorkKey, number: int) -> str:
    """Where the log of an attempt is: in the work bucket where it got that far, else with its Job."""
    services = place.services
    bucket = services.settings.bucket_work
    folder = f"{key.session}/{key.step}/{key.unit}/{key.digest}/{number}-"
    found = [info.key for info in services.store.list(bucket, folder) if info.key.count("/") == folder.count("/") + 1]
    logs = [each for each in found if each.endswith("/log.txt")]
    if logs:
        return f"s3://{bucket}/{logs[-1]}"
    job = key.job_name(number)
    if place.run is not None:
        path = place.run.jobs / f"{job}.log"
        return str(path) if path.exists() else ""
    return f"kubectl -n {place.namespace} logs job/{job} --all-containers" if place.namespace and number else ""


def session_cause(services: Services, session: str) -> Cause:
    """Why a session stands as it does."""
    from functions.cli.items import read_found, read_story, story_rows, tally
    from functions.cli.why_session import SessionFacts, why_session
    from shared.ledger import keys
    from shared.ledger.records import Account, Complete, Hold, Refusal
    from shared.workflow.reruns import Rerun

    ledger = services.ledger
    story = read_story(services, session)
    account = ledger.find(keys.account(session), Account) if story.account is not None else None
    hold = ledger.find(keys.hold(session), Hold) if story.hold is not None else None
    stands = story.stands(account, hold)
    complete = ledger.find(keys.complete(session), Complete) if story.complete is not None else None
    rows = story_rows(services, story) if stands in {"processing", "held"} else []
    pending = [row.slack_s for row in rows if row.stands not in _DONE and row.slack_s is not None]
    facts = SessionFacts(
        session,
        stands,
        len(story.seen),
        len(story.received),
        awaited(services, story) if complete is None and stands == "arriving" else (),
        tuple(f"{each.file}: {each.reason}" for each in read_found(services, story.refused, Refusal).values()),
        max(story.seen.values(), default=None),
        complete,
        account if story.in_force(account) else None,
        hold if hold is not None and hold.released is None else None,
        tally(row for row in rows if row.stands != "superseded"),
        min(pending, default=None),
        tuple(f"{row.step} of {row.unit}: {row.reason}" for row in rows if row.stands == "failed"),
        tuple(map(str, sorted(read_found(services, story.reruns, Rerun).values(), key=lambda each: each.number))),
    )
    return why_session(facts, rules_of(services), services.clock.now())


_DONE: Final = frozenset({"succeeded", "no-product", "failed", "superseded"})


def awaited(services: Services, story: SessionStory) -> tuple[str, ...]:
    """The files that a session is known to lack: those that its DSIBs name, and the DSIBs themselves."""
    from shared.domain.names import SessionFile
    from shared.dsib import parse_dsib
    from shared.ledger import keys
    from shared.ledger.records import Receipt

    missing: list[str] = []
    channels = set()
    for name in sorted(story.received):
        with suppress(S2psError):
            file = SessionFile.parse(name)
            if file.kind == "DSIB":
                receipt = services.ledger.read(keys.receipt(story.session, name), Receipt)
                document = services.store.get(services.settings.bucket_sessions, receipt.key)[0]
                missing += [each for each in parse_dsib(document, file).names if each not in story.received]
                channels.add(file.channel)
    return (*(f"the DSIB of channel {each}" for each in _CHANNELS if each not in channels), *missing)


def product_cause(services: Services, key: str) -> Cause:
    """Why a product is on the shelf."""
    from functions.cli.items import read_found
    from functions.cli.views import superseded_products
    from functions.cli.why_session import why_produced
    from shared.ledger import keys
    from shared.ledger.keys import WorkKey
    from shared.ledger.records import Order, Published

    product = services.ledger.read(key, Published)
    work = WorkKey(product.session, product.step, product.unit, product.provenance.get("work", ""))
    shelved: Iterable[Published] = ()
    if any(True for _ in services.ledger.list(keys.reruns(product.session))):
        day = key.rpartition("/")[0]  # what stands in for it was sensed on the same
        shelved = read_found(services, (info.key for info in services.ledger.list(f"{day}/")), Published).values()
    return why_produced(product, services.ledger.find(work.order, Order), superseded_products(shelved).get(key))


def _lost_cause(services: Services, text: str, sessions: list[str]) -> Cause | None:
    """A product that some account promised, by what the account calls it, or by its step and unit."""
    from functions.cli.items import read_found
    from functions.cli.why_session import why_lost
    from shared.ledger import keys
    from shared.ledger.records import Account

    for account in read_found(services, map(keys.account, sessions), Account).values():
        for entry in account.entries:
            if entry.ended != "produced" and text in {entry.product, f"{entry.step}/{entry.unit}"}:
                return why_lost(account.session, entry, released=account.t0 is None or account.held)
    return None
