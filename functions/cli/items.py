"""Work items as rows: a listing for each session, and a read for each record whose content decides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from functions.cli.story import SessionStory, tell
from shared.bootstrap import Services
from shared.domain.deadlines import deadline, slack
from shared.errors import ConfigurationError, PermanentError
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords
from shared.ledger.keys import WorkKey
from shared.ledger.provision import Waiting
from shared.ledger.records import FINISHED, AttemptEnded, Complete, Hold, Order, Outcome, Record
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.reruns import Rerun

R = TypeVar("R", bound=Record)

Stands = Literal["waiting", "running", "retry", "succeeded", "no-product", "failed", "held", "superseded"]
"""``superseded``: it has ended, and later work stands in for it."""
PARALLEL: Final = 16
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_DONE: Final = frozenset({"succeeded", "no-product", "failed", "superseded"})


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One work item and how it stands. ``name`` is its prefix in the ledger, which other commands take."""

    name: str
    session: str
    step: str
    unit: str
    digest: str
    stands: Stands
    since: datetime | None
    attempts: int
    retry_at: datetime | None
    deadline: datetime | None
    slack_s: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Read:
    """The records of work items whose content decides how they stand, by their keys."""

    outcomes: Mapping[str, Outcome]
    ends: Mapping[str, AttemptEnded]
    holds: Mapping[str, Hold]
    waits: Mapping[str, Waiting] = field(default_factory=dict)


def open_sessions(services: Services) -> list[str]:
    """The sessions whose accounts are not closed, by their ids."""
    return [info.key.removeprefix(keys.OPEN) for info in services.ledger.list(keys.OPEN)]


def all_sessions(services: Services) -> list[str]:
    """Every session of the ledger, by its id."""
    folders = services.store.folders(services.settings.bucket_ledger, "sessions/")
    known = {folder.removeprefix("sessions/").rstrip("/") for folder in folders}
    return sorted(known | set(open_sessions(services)))


def read_story(services: Services, session: str) -> SessionStory:
    """One session, by one listing."""
    return tell(session, services.ledger.list(keys.session(session)))


def read_found(services: Services, wanted: Iterable[str], model: type[R]) -> dict[str, R]:
    """The records at these keys, several at a time; those that are gone, or that break their model, are left out."""

    def one(key: str) -> R | None:
        try:
            return services.ledger.find(key, model)
        except PermanentError:
            return None

    listed = list(wanted)
    if not listed:
        return {}
    with ThreadPoolExecutor(min(PARALLEL, len(listed))) as pool:
        found = zip(listed, pool.map(one, listed), strict=True)
        return {key: record for key, record in found if record is not None}


def workflow_of(
    services: Services, complete: Complete | None = None, reruns: Iterable[Rerun] | None = None
) -> Workflow:
    """The processing graph of a session; where its processor set cannot be read here, the one of the service."""
    try:
        return services.workflow_of(complete, reruns)
    except ConfigurationError:
        return load_workflow("open")


def work_rows(
    services: Services,
    sessions: Iterable[str],
    *,
    stands: Collection[str] = (),
    step: str = "",
    unreadable: Callable[[PermanentError], object] | None = None,
) -> Iterator[WorkRow]:
    """The work items of these sessions, by session, step and unit; only those that stand so, or of one step.

    Outcomes and ends of attempts are read where only they say how an item stands. Where ``unreadable`` is given, it is
    told which record of a session cannot be read; the other sessions' items follow.
    """
    for session in sessions:
        story = read_story(services, session)
        try:
            rows = story_rows(services, story, stands=stands, step=step)
        except PermanentError as error:
            if unreadable is None:
                raise
            unreadable(error)
            continue
        yield from (row for row in rows if not stands or row.stands in stands)


def story_rows(
    services: Services, story: SessionStory, *, stands: Collection[str] = (), step: str = ""
) -> list[WorkRow]:
    """The work items of a session that was listed; where none of ``stands`` is an end, no outcome is read."""
    items = [work for work in story.work.values() if not step or work.place.step == step]
    if not items:
        return []
    complete = services.ledger.find(keys.complete(story.session), Complete)
    workflow = workflow_of(services, complete, ())  # its steps, whatever is made anew
    order = {each.name: index for index, each in enumerate(workflow.steps)}
    items.sort(key=lambda work: (order.get(work.place.step, len(order)), work.place.unit, work.place.digest))
    read = read_deciding(services, story, items, outcomes=not stands or bool(_DONE.intersection(stands)))
    deadlines = _deadlines(services, items, workflow, complete, anew=bool(story.reruns))
    now, newer = services.clock.now(), superseded(story.work.values())
    rows = [work_row(work, read, deadlines.get(work.place.prefix), now) for work in items]
    return [replace(row, stands="superseded") if row.name in newer and row.stands in _DONE else row for row in rows]


def superseded(work: Iterable[WorkRecords]) -> dict[str, WorkKey]:
    """Of the work items of a session, the prefixes of those for which later work stands in, and which that is."""
    newest: dict[tuple[str, str], WorkRecords] = {}
    ordered = [each for each in work if each.order is not None]
    for each in sorted(ordered, key=lambda item: (item.order.modified if item.order else _NEVER, item.place.digest)):
        newest[each.place.step, each.place.unit] = each
    found = ((each, newest[each.place.step, each.place.unit]) for each in ordered)
    return {each.place.prefix: later.place for each, later in found if later is not each}


def read_deciding(
    services: Services, story: SessionStory, items: Collection[WorkRecords], *, outcomes: bool = True
) -> Read:
    """What decides how these items stand."""
    done = [work.place.outcome for work in items if work.outcome is not None] if outcomes else []
    ended = [work.place.ended(work.newest) for work in items if work.outcome is None and work.newest in work.ended]
    holds = [work.place.hold for work in items if work.hold is not None]
    holds += [keys.hold(story.session)] if story.hold is not None else []
    return Read(
        read_found(services, done, Outcome),
        read_found(services, ended, AttemptEnded),
        {key: hold for key, hold in read_found(services, holds, Hold).items() if hold.released is None},
        read_found(services, [work.place.waiting for work in items if work.asks], Waiting),
    )


def _deadlines(
    services: Services, items: Iterable[WorkRecords], workflow: Workflow, complete: Complete | None, *, anew: bool
) -> dict[str, datetime]:
    """By work prefix: from T0 and the graph; from the order, of a step that the graph here does not know, and of a
    session whose strategy may have decided other budgets, or of which something was made ``anew``.
    """
    levels = {step.name: step.level for step in workflow.steps}
    unknown, found = [], {}
    for work in items:
        if complete is not None and not complete.strategy and not anew and work.place.step in levels:
            found[work.place.prefix] = deadline(complete.t0, levels[work.place.step])
        else:
            unknown.append(work.place)
    orders = read_found(services, [place.order for place in unknown], Order)
    found.update((place.prefix, orders[place.order].deadline) for place in unknown if place.order in orders)
    return found


def work_row(work: WorkRecords, read: Read, due: datetime | None, now: datetime) -> WorkRow:
    """One work item, from its records; slack is that of its end, or what is left now."""
    outcome, ended = read.outcomes.get(work.place.outcome), read.ends.get(work.place.ended(work.newest))
    hold = read.holds.get(work.place.hold) or read.holds.get(keys.hold(work.place.session))
    stands = how_it_stands(work, outcome, hold)
    at = work.outcome.modified if work.outcome is not None else now
    return WorkRow(
        name=work.place.prefix,
        session=work.place.session,
        step=work.place.step,
        unit=work.place.unit,
        digest=work.place.digest,
        stands=stands,
        since=hold.created if hold is not None and stands == "held" else _since(work),
        attempts=len(work.attempts),
        retry_at=ended.retry_at if ended is not None and stands == "retry" else None,
        deadline=due,
        slack_s=None if due is None else slack(due, at).total_seconds(),
        reason=hold.reason if hold is not None and stands == "held" else _reason(work, outcome, ended, read),
    )


def how_it_stands(work: WorkRecords, outcome: Outcome | None, hold: Hold | None) -> Stands:
    """In one word. A hold keeps new attempts from starting: one that runs, or work that is done, stands as it is."""
    if work.outcome is not None:
        if outcome is None:
            return "failed"  # an outcome that cannot be read leads nowhere
        if outcome.status in FINISHED:
            return "succeeded"
        return "no-product" if outcome.status == "no-product" else "failed"
    if work.under_way:
        return "running"
    if hold is not None:
        return "held"
    return "retry" if work.newest > work.granted else "waiting"


def _since(work: WorkRecords) -> datetime | None:
    """When it came to stand as it does."""
    newest = work.newest
    found = work.outcome or work.ended.get(newest) or work.attempts.get(newest) or work.order or work.waiting
    return None if found is None else found.modified


def _reason(work: WorkRecords, outcome: Outcome | None, ended: AttemptEnded | None, read: Read) -> str:
    if work.outcome is not None:
        return "its outcome.json cannot be read" if outcome is None else outcome.reason
    waiting = read.waits.get(work.place.waiting)
    if waiting is not None:
        return "; ".join(f"auxiliary file {each}" for each in waiting.awaited)
    return "" if ended is None else ended.reason


def tally(rows: Iterable[WorkRow]) -> dict[str, int]:
    """How many stand how."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.stands] = found.get(row.stands, 0) + 1
    return found
