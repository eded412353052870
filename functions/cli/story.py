"""What the names of a session's records tell: pure over one listing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.records import Account, Hold
from shared.ports import ObjectInfo


@dataclass(slots=True)
class SessionStory:
    """One session's records, sorted by what they are; files by the name that their keys hold, and when."""

    session: str
    seen: dict[str, datetime] = field(default_factory=dict)
    received: dict[str, datetime] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    complete: datetime | None = None
    account: datetime | None = None
    hold: datetime | None = None
    reopened: int = 0
    reruns: list[str] = field(default_factory=list)
    work: dict[str, WorkRecords] = field(default_factory=dict)

    def stands(self, account: Account | None, hold: Hold | None) -> str:
        """In one word; ``account`` and ``hold`` are the session's, where it has them."""
        if self.in_force(account):
            return "closed"
        if hold is not None and hold.released is None:
            return "held"
        return "arriving" if self.complete is None else "processing"

    def in_force(self, account: Account | None) -> bool:
        """Whether an account closes the session: one from before its last reopening does not."""
        return account is not None and account.reopened >= self.reopened


def tell(session: str, listing: Iterable[ObjectInfo]) -> SessionStory:
    """Sort the records below a session's prefix."""
    records = list(listing)
    story, root = SessionStory(session), keys.session(session)
    for info in records:
        folder, _, rest = info.key.removeprefix(root).partition("/")
        if folder == "seen":
            story.seen[rest.removesuffix(".json")] = info.modified
        elif folder == "received":
            story.received[rest.removesuffix(".receipt.json")] = info.modified
        elif folder == "refused":
            story.refused.append(info.key)
        elif folder == "reopened":
            story.reopened += 1
        elif folder == "reruns":
            story.reruns.append(info.key)
        elif rest == "" and folder in {"complete.json", "account.json", "hold.json"}:
            setattr(story, folder.removesuffix(".json"), info.modified)
    story.work = sort_work(records)
    return story
