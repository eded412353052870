"""What is told of the promise: a level at risk, a level missed, a product absent. Each once, and with its cause."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import AwareDatetime

from shared.domain.events import Event, event_id
from shared.ledger import keys
from shared.ledger.records import Account, AccountEntry, Record

AT_RISK: Final = "org.s2ps.sla.at-risk"
MISSED: Final = "org.s2ps.sla.missed"
ABSENT: Final = "org.s2ps.product.absent"

State = Literal["at-risk", "missed"]


class Notice(Record):
    """A level of a session is at risk, or was missed. The first one of its kind stands.

    ``expected``: when it is expected to be there, where that is known; ``step``: what eats the slack; ``cause``: in one
    sentence. ``sensing_stop``: where the second clock starts, from the last sensing.
    """

    kind: ClassVar[str] = "notice"
    session: str
    level: str
    state: State
    t0: AwareDatetime
    deadline: AwareDatetime
    expected: AwareDatetime | None = None
    step: str = ""
    cause: str
    sensing_stop: AwareDatetime | None = None

    @property
    def key(self) -> str:
        return keys.notice(self.session, self.level, self.state)

    def event(self) -> Event:
        """The CloudEvent of it. Its id is that of session, level and state: told twice, it is one."""
        data = {
            "session": self.session,
            "level": self.level,
            "t0": self.t0.isoformat(),
            "deadline": self.deadline.isoformat(),
            "step": self.step,
            "cause": self.cause,
        }
        if self.expected is not None:
            data["expected"] = self.expected.isoformat()
        if self.sensing_stop is not None:
            data["sensingStop"] = self.sensing_stop.isoformat()
        kind = AT_RISK if self.state == "at-risk" else MISSED
        return Event(
            event_id("sla", self.session, self.level, self.state),
            "sla",
            kind,
            self.session,
            self.created,
            data,
            {"traceparent": self.traceparent} if self.traceparent else {},
        )


def absent_event(account: Account, entry: AccountEntry) -> Event:
    """The CloudEvent of a product that will not be. Its id is that of session, product and reason."""
    data = {
        "session": account.session,
        "level": entry.level,
        "step": entry.step,
        "unit": entry.unit,
        "product": entry.product,
        "reason": entry.reason,
    }
    return Event(
        event_id("absent", account.session, entry.level, entry.step, entry.unit, entry.product, entry.reason),
        "accounts",
        ABSENT,
        account.session,
        account.created,
        data,
        {"traceparent": account.traceparent} if account.traceparent else {},
    )


def late_levels(account: Account) -> dict[str, AccountEntry]:
    """Of each level the entry that came latest after its deadline."""
    found: dict[str, AccountEntry] = {}
    for entry in account.entries:
        if entry.ended == "produced" and entry.slack_s is not None and entry.slack_s < 0:
            worst = found.get(entry.level)
            if worst is None or (worst.slack_s or 0.0) > entry.slack_s:
                found[entry.level] = entry
    return found


def parked_levels(account: Account) -> dict[str, AccountEntry]:
    """Of each level the first entry that is parked."""
    found: dict[str, AccountEntry] = {}
    for entry in account.entries:
        if entry.ended == "parked":
            found.setdefault(entry.level, entry)
    return found
