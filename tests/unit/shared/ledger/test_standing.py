"""Which records are in force: outcomes, attempts, holds and accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.adapters.memory import MemoryStore
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, conclude, over, read_attempts, read_work, sort_work
from shared.ledger.keys import WorkKey
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, AccountEntry, AttemptEnded, Grant, Hold, Outcome, Reopened, StatusClass
from shared.ledger.standing import account_in_force, active_hold, write_account
from shared.ports import ObjectInfo
from tests.support.house import VirtualClock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLACE = WorkKey("S", "l1c", "DT01-T32TQM", "a" * 64)


@pytest.fixture
def ledger() -> Ledger:
    clock = VirtualClock(NOW)
    return Ledger(MemoryStore(clock), "s2-ledger", clock)


def outcome(attempt: int, status: StatusClass = "failed", reason: str = "") -> Outcome:
    return Outcome(
        created=NOW,
        step="l1c",
        unit="u",
        attempt=attempt,
        status=status,
        reason=reason,
        started=NOW,
        finished=NOW,
    )


def grant(ledger: Ledger) -> None:
    """More attempts, after the outcome that stands."""
    found, etag = ledger.read_with_etag(PLACE.outcome, Outcome)
    record = Grant(created=NOW, after=found.attempt, etag=etag, outcome=found, who="w", reason="r")
    assert ledger.create(PLACE.grant(found.attempt, etag), record)


def test_the_first_outcome_stands_until_a_grant_supersedes_it(ledger: Ledger) -> None:
    assert conclude(ledger, PLACE, outcome(3))
    assert not conclude(ledger, PLACE, outcome(3, "succeeded"))
    assert read_work(ledger, PLACE).outcome is not None
    grant(ledger)
    work = read_work(ledger, PLACE)
    assert (work.outcome, work.superseded, work.granted) == (None, True, 3)
    assert not conclude(ledger, PLACE, outcome(2, "failed", "late")), "it is of before the grant"
    assert conclude(ledger, PLACE, outcome(4))
    assert not conclude(ledger, PLACE, outcome(5, "succeeded")), "the grant was for one outcome"
    grant(ledger)
    assert conclude(ledger, PLACE, outcome(3, "succeeded")), "whatever has succeeded is welcome"
    assert read_work(ledger, PLACE).granted == 4


def test_two_that_conclude_at_once_have_one_winner(ledger: Ledger) -> None:
    conclude(ledger, PLACE, outcome(1))
    grant(ledger)
    real = ledger.store.put_if

    def slow(*args: object, **kwargs: object) -> bool:
        vars(ledger.store).pop("put_if")
        assert conclude(ledger, PLACE, outcome(3, "succeeded"))
        return real(*args, **kwargs)  # type: ignore[arg-type]

    vars(ledger.store)["put_if"] = slow
    assert not conclude(ledger, PLACE, outcome(2))
    assert ledger.read(PLACE.outcome, Outcome).attempt == 3


def test_an_attempt_of_before_a_grant_has_nothing_left_to_do(ledger: Ledger) -> None:
    assert not over(ledger, PLACE, 1)
    conclude(ledger, PLACE, outcome(2))
    assert over(ledger, PLACE, 2)
    assert over(ledger, PLACE, 3)
    grant(ledger)
    assert over(ledger, PLACE, 2)
    assert not over(ledger, PLACE, 3)
    ledger.create(PLACE.ended(3), AttemptEnded(created=NOW, number=3, status="retry"))
    assert over(ledger, PLACE, 3)


def test_an_attempt_that_wrote_its_failure_itself_is_not_under_way_after_a_grant(ledger: Ledger) -> None:
    ledger.store.put(ledger.bucket, PLACE.attempt(1), b"{}")
    assert read_work(ledger, PLACE).under_way
    conclude(ledger, PLACE, outcome(1))
    assert not read_work(ledger, PLACE).under_way
    grant(ledger)
    assert not read_work(ledger, PLACE).under_way
    assert read_attempts(ledger, PLACE).due(NOW, 3) == 2


def test_attempts_are_counted_from_the_newest_grant(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.store.put(ledger.bucket, PLACE.attempt(number), b"{}")
        ended = AttemptEnded(created=NOW, number=number, status="retry", retry_at=NOW)
        ledger.create(PLACE.ended(number), ended)
    assert read_attempts(ledger, PLACE).due(NOW, 3) is None
    conclude(ledger, PLACE, outcome(3))
    grant(ledger)
    attempts = read_attempts(ledger, PLACE)
    assert (attempts.started, attempts.granted, attempts.due(NOW, 3), attempts.left(3)) == (3, 3, 4, True)
    for number in (4, 5, 6):
        assert read_attempts(ledger, PLACE).due(NOW, 3) == number
        ledger.store.put(ledger.bucket, PLACE.attempt(number), b"{}")
        assert read_attempts(ledger, PLACE).due(NOW, 3) == number, "it is under way"
        ledger.create(PLACE.ended(number), AttemptEnded(created=NOW, number=number, status="retry", retry_at=NOW))
    assert read_attempts(ledger, PLACE).due(NOW, 3) is None
    assert not read_attempts(ledger, PLACE).left(3)


def test_keys_that_are_none_of_ours_are_left_out() -> None:
    info = ObjectInfo("", 0, "e", NOW)
    work = WorkRecords(PLACE)
    for rest in (
        "attempts/x.json",
        "attempts/.json",
        "attempts/²-a.json",
        "grants/x-1.json",
        "retired/1.json",
        "log.txt",
    ):
        work.add(rest, info)
    assert work == WorkRecords(PLACE)
    odd = [ObjectInfo("sessions/S/hold.json", 0, "e", NOW), ObjectInfo("open/S", 0, "e", NOW)]
    assert sort_work(odd) == {}


def test_a_hold_is_in_force_until_it_is_released(ledger: Ledger) -> None:
    key = keys.hold("S")
    assert active_hold(ledger, key) is None
    hold = Hold(created=NOW, session="S", target="S", who="w", reason="r")
    ledger.create(key, hold)
    assert active_hold(ledger, key) == hold
    ledger.replace(key, hold.model_copy(update={"released": NOW}), ledger.read_with_etag(key, Hold)[1])
    assert active_hold(ledger, key) is None


def account(reopened: int, *, held: bool = False, entries: tuple[AccountEntry, ...] = ()) -> Account:
    return Account(
        created=NOW, session="S", t0=None, entries=entries, produced=0, absent=0, parked=0, reopened=reopened, held=held
    )


def reopen(ledger: Ledger, number: int) -> None:
    record = Reopened(
        created=NOW, session="S", number=number, action="retry", who="w", reason="r", station="", satellite=""
    )
    assert ledger.create(keys.reopened("S", number), record)


def test_an_account_is_in_force_while_it_knows_of_every_reopening(ledger: Ledger) -> None:
    assert account_in_force(ledger, "S") is None
    assert write_account(ledger, account(0))
    assert account_in_force(ledger, "S") == account(0)
    assert not write_account(ledger, account(0)), "the first one stands"
    other = AccountEntry(level="L1C", step="l1c", unit="u", product="p", ended="parked")
    assert not write_account(ledger, account(0, entries=(other,))), "whatever the second one says"
    reopen(ledger, 1)
    assert account_in_force(ledger, "S") is None
    assert not write_account(ledger, account(0)), "a late one of before does not replace it"
    assert write_account(ledger, account(1))
    assert account_in_force(ledger, "S") == account(1)


def test_an_account_with_held_work_is_brought_up_to_date(ledger: Ledger) -> None:
    entry = AccountEntry(level="L1C", step="l1c", unit="u", product="p", ended="parked")
    write_account(ledger, account(0, held=True, entries=(entry,)))
    assert not write_account(ledger, account(0, held=True, entries=(entry,)))
    made = entry.model_copy(update={"ended": "produced"})
    assert write_account(ledger, account(0, held=True, entries=(made,)))
    assert not write_account(ledger, account(0, entries=(made,)))
