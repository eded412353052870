"""Which objects of an open session lack their consequence? Pure over one listing of the session's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.ledger.keys import WorkKey, parse_work
from shared.ports import ObjectInfo


@dataclass(slots=True)
class Work:
    """The records of one work item, by their place."""

    place: WorkKey
    order: ObjectInfo | None = None
    outcome: ObjectInfo | None = None
    attempts: dict[int, ObjectInfo] = field(default_factory=dict)
    ended: dict[int, ObjectInfo] = field(default_factory=dict)


@dataclass(slots=True)
class Story:
    """One session's records, sorted by what they are. ``files``: name to (seen, receipt)."""

    seen: dict[str, ObjectInfo] = field(default_factory=dict)
    receipts: dict[str, ObjectInfo] = field(default_factory=dict)
    complete: ObjectInfo | None = None
    account: ObjectInfo | None = None
    work: dict[str, Work] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Every order has its outcome."""
        return bool(self.work) and all(work.outcome is not None for work in self.work.values())


def tell(session: str, listing: Mapping[str, ObjectInfo]) -> Story:
    """Sort a session's records."""
    story, root = Story(), f"sessions/{session}/"
    for key, info in listing.items():
        place = parse_work(key)
        if place is not None:
            _work(story, place[0], place[1], info)
            continue
        rest = key.removeprefix(root)
        if rest.startswith("seen/"):
            story.seen[rest[len("seen/") : -len(".json")]] = info
        elif rest.startswith("received/"):
            story.receipts[rest[len("received/") : -len(".receipt.json")]] = info
        elif rest == "complete.json":
            story.complete = info
        elif rest == "account.json":
            story.account = info
    return story


def _work(story: Story, place: WorkKey, rest: str, info: ObjectInfo) -> None:
    work = story.work.setdefault(place.prefix, Work(place))
    if rest == "order.json":
        work.order = info
    elif rest == "outcome.json":
        work.outcome = info
    elif rest.startswith("attempts/"):
        number, _, tail = rest.removeprefix("attempts/").partition(".")
        (work.ended if tail.startswith("ended") else work.attempts)[int(number)] = info


def lost_files(story: Story, now: datetime, grace: timedelta) -> Iterator[ObjectInfo]:
    """Seen records whose file was never received, and the newest receipt of a session that was not assembled."""
    if story.complete is not None:
        return
    for name, seen in story.seen.items():
        if name not in story.receipts and _old(seen, now, grace):
            yield seen
    newest = max(story.receipts.values(), key=lambda info: info.modified, default=None)
    if newest is not None and _old(newest, now, grace):
        yield newest


def answered_files(story: Story, now: datetime, grace: timedelta) -> Iterator[tuple[ObjectInfo, ObjectInfo]]:
    """(seen record, receipt) of each file of a session that was not assembled; are they of one version?"""
    if story.complete is None:
        for name, seen in story.seen.items():
            if name in story.receipts and _old(seen, now, grace):
                yield seen, story.receipts[name]


def lost_work(story: Story, now: datetime, grace: timedelta) -> Iterator[tuple[Work, str]]:
    """Work without outcome, untouched for a while, and what it lacks: ``attempt``, ``end`` or ``retry``."""
    for work in story.work.values():
        if work.outcome is not None or work.order is None:
            continue
        newest = max(work.attempts, default=0)
        if newest == 0:
            if _old(work.order, now, grace):
                yield work, "attempt"
        elif newest in work.ended:
            if _old(work.ended[newest], now, grace):
                yield work, "retry"
        elif _old(work.attempts[newest], now, grace):
            yield work, "end"


def _old(info: ObjectInfo, now: datetime, grace: timedelta) -> bool:
    return info.modified + grace <= now
