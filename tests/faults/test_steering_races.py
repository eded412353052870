"""What operators do at the same time as the service, at any moment of it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest

from functions.session_account import step as session_account
from shared.domain.events import object_created
from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Attempt, Order
from shared.ledger.standing import reopenings, write_account
from shared.ports import JobSpec
from tests.support.house import Crash, House
from tests.support.standin import SESSION, Outputs, script
from tests.support.steered import (
    Meanwhile,
    assert_whole,
    at_any_moment,
    broken,
    failed,
    held,
    house,
    ledger_of,
    park_all,
    release_all,
    retry_all,
    until_running,
    work_of,
    works_of,
)


def test_a_retry_at_any_moment(reference: House) -> None:
    def begin() -> House:
        made = house()
        fails = [0]

        def dies(order: Order) -> Outputs:
            if order.step == "l1c" and order.unit.endswith("32TQM") and fails[0] < 3:
                fails[0] += 1
                raise Crash("the node is gone")
            return script(order)

        made.launcher.script = dies
        return made

    def end(made: House) -> None:
        if made.account is not None and made.account.parked:
            retry_all(made.operator()[0])
            made.run()
        assert_whole(made, reference)

    assert at_any_moment(13, begin, retry_all, end) > 20


def test_a_park_at_any_moment(reference: House) -> None:
    def end(made: House) -> None:
        if made.account is not None and made.account.parked:
            release_all(made.operator()[0])
            made.run()
        assert_whole(made, reference)

    assert at_any_moment(9, house, park_all, end) > 20


def test_a_release_at_any_moment(reference: House) -> None:
    def begin() -> House:
        made = house()
        until_running(made)
        park_all(made.operator()[0])
        return made

    def end(made: House) -> None:
        if made.account is not None and made.account.parked:
            release_all(made.operator()[0])
            made.run()
        assert_whole(made, reference)

    assert at_any_moment(1, begin, release_all, end) > 10


def unaccounted() -> House:
    """A session of which one tile has failed, all else is made, and whose account is still to be made."""
    made = house()
    made.launcher.script = broken
    account, made.functions["session-account"] = made.functions["session-account"], lambda _event: None
    for _ in range(20):
        made.tick()
    made.functions["session-account"] = account
    made.launcher.script = script
    assert all(work.outcome for work in works_of(made))
    assert made.account is None
    return made


def test_a_retry_just_before_the_reopenings_are_counted(reference: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = unaccounted()
    act = Meanwhile(partial(retry_all, made.operator()[0]), 1)

    def count(ledger: Ledger, session: str) -> int:
        act(1)
        return reopenings(ledger, session)

    monkeypatch.setattr(session_account, "reopenings", count)
    made.run()
    assert act.done
    assert_whole(made, reference)


def test_a_retry_while_the_account_is_written_keeps_the_session_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made = unaccounted()

    def write(ledger: Ledger, record: Account) -> bool:
        retry_all(made.operator()[0])
        return write_account(ledger, record)

    monkeypatch.setattr(session_account, "write_account", write)
    event = object_created(made.settings.bucket_ledger, work_of(made, "l0u").outcome, "e")
    made.call("session-account", event)
    assert made.account is None
    assert ledger_of(made).exists(keys.open_marker(SESSION))


def test_an_account_that_knows_of_the_reopening_already_is_not_removed() -> None:
    made = failed()
    account = made.account
    assert account is not None
    services, store = made.operator()

    def meanwhile(_number: int) -> None:
        if ledger_of(made).exists(keys.reopened(SESSION, 1)):
            store.meanwhile = None
            write_account(ledger_of(made), account.model_copy(update={"reopened": 1}))

    store.meanwhile = meanwhile
    retry_all(services)
    assert made.account is not None
    assert made.account.reopened == 1


def test_a_job_that_was_launched_while_the_account_closed_is_in_it_when_it_has_ended() -> None:
    made = held()
    before = made.account
    assert before is not None
    place = work_of(made, "l0c")
    order = ledger_of(made).read(place.order, Order)
    attempt = Attempt(created=made.clock.now(), number=1, job="j", cpus=1, memory_mb=1, time_limit_s=1)
    assert ledger_of(made).create(place.attempt(1), attempt)
    made.launcher.launch(
        JobSpec(place.job_name(1), place.prefix, 1, SESSION, "l0c", place.unit, 1, 1, 1, order.deadline, 0, "")
    )
    made.tick()
    after = made.account
    assert after is not None
    assert (before.produced, after.produced) == (0, 3)
    assert after.held
    assert after.parked


def test_two_operators_retry_at_once(reference: House) -> None:
    """The second one acts before any store operation of the first."""
    moment, reached = 1, True
    while reached:
        made = failed()
        first, store = made.operator()
        store.meanwhile = meanwhile = Meanwhile(partial(retry_all, made.operator()[0]), moment)
        with suppress(RefusedError):
            retry_all(first)
        made.run()
        assert_whole(made, reference)
        reached, moment = meanwhile.reached, moment + 3
    assert moment > 20
