"""The account: every product that a session promised, and how it ended. Rule 7: the sum is always 100 %."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from shared.domain.deadlines import deadline, slack
from shared.domain.names import CompactName, PdiName, parse_stamp
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.records import FINISHED, Account, AccountEntry, Artifact, Complete, Outcome, Published, Refusal
from shared.workflow.graph import Output, Step, Workflow
from shared.workflow.plan import Skipped, Source, next_work

Shelf = Callable[[str], Published | None]
Holds = Callable[[str], str]
"""Why the work at a ledger prefix is held by an operator; empty where it is not."""


def sensing_start(name: str, otherwise: datetime) -> datetime:
    """When the data of a product were sensed, from its name; ``otherwise`` where the name does not say."""
    try:
        return CompactName.parse(name).sensing
    except BadInputError:
        pass
    try:
        pdi = PdiName.parse(name)
    except BadInputError:
        return otherwise
    stamp = pdi.get("S") or (pdi.get("V") or "").split("_")[0]
    return parse_stamp(stamp, "PDI name") if stamp else otherwise


def product_key(level: str, name: str, created: datetime) -> str:
    """The ledger key of a product; ``created`` dates those whose name tells no sensing time."""
    return keys.product(level, sensing_start(name, created), name)


def product_name(artifact: Artifact) -> str:
    """A product's name: its folder's, without the SAFE extension."""
    return artifact.name.removesuffix(".SAFE")


def published_artifacts(workflow: Workflow, outcome: Outcome) -> Iterator[tuple[Output, Artifact]]:
    """What of an outcome belongs on the shelf."""
    for output in workflow.publishes(outcome.step):
        for artifact in outcome.outputs:
            if artifact.file_type == output.artifact:
                yield output, artifact


class Pending(Exception):
    """Something of the session is still under way."""


def _not_held(_prefix: str) -> str:
    return ""


def close(
    workflow: Workflow, complete: Complete, outcomes: Mapping[str, Outcome], shelf: Shelf, holds: Holds = _not_held
) -> tuple[AccountEntry, ...]:
    """Every expected product and how it ended; ``outcomes`` by their ledger key. What is held is parked.

    Raises:
        Pending: work has no outcome yet and is not held, or a product is not on the shelf yet.
    """
    start = Source(keys.complete(complete.session), complete, complete.session)
    return tuple(_follow(workflow, start, complete, outcomes, shelf, holds))


def _follow(
    workflow: Workflow,
    source: Source,
    complete: Complete,
    outcomes: Mapping[str, Outcome],
    shelf: Shelf,
    holds: Holds,
) -> Iterator[AccountEntry]:
    for item in next_work(workflow, source):
        if isinstance(item, Skipped):
            yield from _lost(workflow, item.step, item.unit, "absent", item.reason, complete.t0)
            continue
        key = item.key(complete.session).outcome
        outcome = outcomes.get(key)
        if outcome is None:
            held = holds(item.key(complete.session).prefix)
            if not held:
                raise Pending(key)
            yield from _lost(workflow, item.step, item.unit, "parked", held, complete.t0)
            continue
        if outcome.status == "no-product":
            yield from _lost(workflow, item.step, item.unit, "absent", outcome.reason, complete.t0)
        elif outcome.status not in FINISHED:
            yield from _lost(workflow, item.step, item.unit, "parked", outcome.reason, complete.t0)
        else:
            yield from _produced(workflow, outcome, complete.t0, shelf)
            yield from _follow(workflow, Source(key, outcome, complete.session), complete, outcomes, shelf, holds)


def _produced(workflow: Workflow, outcome: Outcome, t0: datetime, shelf: Shelf) -> Iterator[AccountEntry]:
    for output, artifact in published_artifacts(workflow, outcome):
        level, name = str(output.publish), product_name(artifact)
        published = shelf(product_key(level, name, outcome.finished))
        if published is None:
            raise Pending(name)
        due = deadline(t0, level)
        yield AccountEntry(
            level=level,
            step=outcome.step,
            unit=outcome.unit,
            product=name,
            ended="produced",
            at=published.created,
            deadline=due,
            slack_s=slack(due, published.created).total_seconds(),
            warning="; ".join(outcome.warnings)[:500],
        )


def _lost(
    workflow: Workflow, step: Step, unit: str, ended: str, reason: str, t0: datetime | None
) -> Iterator[AccountEntry]:
    """One entry per level that ``step`` and all after it would have published for this unit."""
    for lost in workflow.downstream(step.name):
        for output in workflow.publishes(lost.name):
            level = str(output.publish)
            if not output.mandatory:
                continue
            why = reason if lost.name == step.name else f"{step.name} of {unit} ended without a product: {reason}"
            yield AccountEntry.model_validate(
                {
                    "level": level,
                    "step": lost.name,
                    "unit": unit,
                    "product": f"{output.artifact} of {unit}",
                    "ended": ended,
                    "reason": why,
                    "deadline": deadline(t0, level) if t0 else None,
                }
            )


def make_account(
    complete: Complete | None,
    session: str,
    entries: tuple[AccountEntry, ...],
    refusals: Iterable[Refusal],
    created: datetime,
    traceparent: str,
    *,
    reopened: int = 0,
    held: bool = False,
) -> Account:
    """The record that closes a session."""
    ends = [entry.ended for entry in entries]
    lines: dict[bool, list[str]] = {True: [], False: []}
    for refusal in refusals:
        named = refusal.reason.startswith(refusal.file)
        line = refusal.reason if named else f"{refusal.file}: {refusal.reason}"
        lines[is_repaired(refusal, complete)].append(line)
    return Account(
        created=created,
        traceparent=traceparent,
        session=session,
        t0=complete.t0 if complete else None,
        entries=entries,
        produced=ends.count("produced"),
        absent=ends.count("absent"),
        parked=ends.count("parked"),
        refused=tuple(lines[False]),
        repaired=tuple(lines[True]),
        reopened=reopened,
        held=held,
    )


def is_repaired(refusal: Refusal, complete: Complete | None) -> bool:
    """Whether the file that was refused is in the session, and in order.

    It is where the session is whole with it, or where its content is another than the one that was refused.
    """
    if complete is None:
        return False
    contents = [file.sha256 for file in complete.files if file.name == refusal.file]
    return bool(contents) and (not complete.missing or (bool(refusal.sha256) and refusal.sha256 not in contents))


def parked_account(
    workflow: Workflow,
    session: str,
    reason: str,
    refusals: Iterable[Refusal],
    created: datetime,
    traceparent: str,
    *,
    reopened: int = 0,
) -> Account:
    """The account of a session that never became complete: all parked, with the reason."""
    first = workflow.after("session")[0]
    entries = tuple(_lost(workflow, first, session, "parked", reason, None))
    return make_account(None, session, entries, refusals, created, traceparent, reopened=reopened)
