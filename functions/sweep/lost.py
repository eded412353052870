"""Which objects of an open session lack their consequence? Pure over one listing of the session's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.ledger.attempts import Sorting, WorkRecords
from shared.ports import ObjectInfo


@dataclass(slots=True)
class Story:
    """One session's records, sorted by what they are. ``work`` by prefix; ``unended``: what of it has no outcome."""

    seen: dict[str, ObjectInfo] = field(default_factory=dict)
    receipts: dict[str, ObjectInfo] = field(default_factory=dict)
    complete: ObjectInfo | None = None
    account: ObjectInfo | None = None
    hold: ObjectInfo | None = None
    reopened: int = 0
    reruns: int = 0
    work: dict[str, WorkRecords] = field(default_factory=dict)
    unended: dict[str, WorkRecords] = field(default_factory=dict)

    def settled(self, held: frozenset[str]) -> bool:
        """Every order has its outcome, or is held and not under way."""
        return bool(self.work) and all(prefix in held and not work.under_way for prefix, work in self.unended.items())


def tell(session: str, listing: Mapping[str, ObjectInfo], sorting: Sorting | None = None) -> Story:
    """Sort a session's records, listed in the order of their keys; ``sorting`` has sorted its work before."""
    story, root, of_work = Story(), f"sessions/{session}/", list[ObjectInfo]()
    work = f"{root}work/"
    for key, info in listing.items():
        if key.startswith(work):
            of_work.append(info)
            continue
        rest = key.removeprefix(root)
        if rest.startswith("seen/"):
            story.seen[rest[len("seen/") : -len(".json")]] = info
        elif rest.startswith("received/"):
            story.receipts[rest[len("received/") : -len(".receipt.json")]] = info
        elif rest.startswith("reopened/"):
            story.reopened += 1
        elif rest.startswith("reruns/"):
            story.reruns += 1
        elif rest == "complete.json":
            story.complete = info
        elif rest == "account.json":
            story.account = info
        elif rest == "hold.json":
            story.hold = info
    story.work = (sorting or Sorting()).sort(of_work)
    story.unended = {prefix: work for prefix, work in story.work.items() if work.outcome is None}
    return story


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


def lost_work(
    story: Story, now: datetime, grace: timedelta, held: frozenset[str] = frozenset()
) -> Iterator[tuple[WorkRecords, str]]:
    """Work without outcome, untouched for a while, and what it lacks: ``attempt``, ``end`` or ``retry``.

    Work that is held (by its prefix) lacks no new attempt; one that is under way is still followed to its end.
    """
    for prefix, work in story.unended.items():
        if work.order is None:
            continue
        if work.under_way:
            if _old(work.attempts[work.newest], now, grace):
                yield work, "end"
        elif prefix in held:
            continue
        elif work.newest <= work.granted:
            if _old(work.order, now, grace):
                yield work, "attempt"
        elif _old(work.ended[work.newest], now, grace):
            yield work, "retry"


def _old(info: ObjectInfo, now: datetime, grace: timedelta) -> bool:
    return info.modified + grace <= now
