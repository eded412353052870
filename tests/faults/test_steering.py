"""What operators do, by faults: retries, zombies, holds, incomplete sessions, replays."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.domain.events import PING, Event, object_created
from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.attempts import conclude, read_work, sort_work
from shared.ledger.keys import WorkKey
from shared.ledger.records import Account, Complete, Grant, OpenMarker, Order, Outcome
from shared.ledger.standing import write_account
from shared.ports import JobSpec, JobState
from shared.settings import Settings
from shared.steering import park, release, replay, retry
from tests.support.house import START, Delivery, House
from tests.support.standin import SESSION, script
from tests.support.steered import (
    CHUNK_2,
    EXPECTED,
    WHO,
    WHY,
    assert_whole,
    broken,
    failed,
    house,
    incomplete,
    ledger_of,
    park_all,
    release_all,
    retry_all,
    until_running,
    work_of,
    works_of,
)


def _ping() -> Event:
    return Event("tick", "ping", PING)


# retry ---------------------------------------------------------------------------------------------------------------
def test_a_retry_makes_what_failed_and_all_that_hangs_on_it(reference: House) -> None:
    made = failed()
    done = retry_all(made.operator()[0])
    place = work_of(made, "l1c", "32TQM")
    assert [item.target for item in done] == [SESSION, place.prefix]
    assert "attempt 4 is due" in done[1].note
    assert made.account is None
    assert ledger_of(made).read(keys.open_marker(SESSION), OpenMarker).satellite == "S2A"
    made.run()
    assert_whole(made, reference)
    ledger = ledger_of(made)
    former = ledger.read(keys.former_account(SESSION, 1), Account)
    assert (former.produced, former.parked, former.reopened) == (EXPECTED - 2, 2, 0)
    outcome = ledger.read(place.outcome, Outcome)
    assert (outcome.status, outcome.attempt) == ("succeeded", 4)
    (grant,) = [ledger.read(i.key, Grant) for i in ledger.list(f"{place.prefix}grants/")]
    assert (grant.after, grant.outcome.status, grant.who, grant.reason) == (3, "failed", WHO, WHY)
    names = [name for name in made.launcher.states if name.startswith(place.job_name(1)[:-1])]
    assert len(names) == len(set(names)) == 4


def test_a_retry_that_fails_again_parks_it_after_as_many_attempts_more() -> None:
    made = failed()
    made.launcher.script = broken
    retry_all(made.operator()[0])
    account = made.run()
    assert (account.produced, account.parked, account.reopened) == (EXPECTED - 2, 2, 1)
    assert "after 6 attempts" in next(e.reason for e in account.entries if e.level == "L1C" and e.ended == "parked")
    made.launcher.script = script
    retry_all(made.operator()[0])
    assert made.run().parked == 0


def test_work_whose_first_attempt_said_itself_that_it_failed_for_good_is_retried(reference: House) -> None:
    made = house()
    until_running(made)
    made.launcher.pending.clear()
    place, now = work_of(made, "l0u"), made.clock.now()
    assert conclude(ledger_of(made), place, failure(place, 1, now))
    account = made.run()
    assert (account.produced, account.parked) == (0, len(account.entries))
    retry_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)
    assert ledger_of(made).read(place.outcome, Outcome).attempt == 2


def failure(place: WorkKey, attempt: int, now: datetime) -> Outcome:
    return Outcome(
        created=now,
        step=place.step,
        unit=place.unit,
        attempt=attempt,
        status="failed",
        reason="exit code 200",
        started=now,
        finished=now,
    )


def test_a_retry_of_one_work_item_leaves_the_others(reference: House) -> None:
    made = house()
    made.launcher.script = lambda order: broken(replace_unit(order)) if order.step == "l1c" else script(order)
    assert made.run().parked == 4
    made.launcher.script = script
    place = work_of(made, "l1c", "32TQL")
    retry(made.operator()[0], place.prefix, who=WHO, reason=WHY)
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    assert read_work(ledger_of(made), work_of(made, "l1c", "32TQM")).granted == 0
    retry_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)


def replace_unit(order: Order) -> Order:
    return order.model_copy(update={"unit": "DT01-T32TQM"})


def test_a_retry_while_the_session_goes_on_and_another_step_runs(reference: House) -> None:
    made = house()
    made.launcher.script = broken
    while not any(work.outcome for work in works_of(made) if work.place.step == "l1c" and "32TQM" in work.place.unit):
        made.tick(3)
        assert made.account is None or made.account.parked
    made.launcher.script = script
    retry_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)


def test_the_end_of_an_attempt_that_is_told_again_after_a_grant_starts_no_pause() -> None:
    made = failed()
    place = work_of(made, "l1c", "32TQM")
    retry_all(made.operator()[0])
    made.queue.clear()
    made.send(object_created(made.settings.bucket_ledger, place.ended(3), "e"))
    made.deliver()
    assert not [i.key for i in made.memory.list(made.settings.bucket_ledger, keys.TIMERS) if "retry" in i.key]


# zombies -------------------------------------------------------------------------------------------------------------
def test_an_old_attempt_that_comes_late_to_say_that_it_failed_is_not_heard(reference: House) -> None:
    made = failed()
    ledger, place = ledger_of(made), work_of(made, "l1c", "32TQM")
    late = ledger.read(place.outcome, Outcome).model_copy(update={"reason": "late", "attempt": 2})
    retry_all(made.operator()[0])
    assert ledger.create(place.outcome, late) is False
    assert conclude(ledger, place, late) is False
    made.run()
    assert conclude(ledger, place, late) is False
    assert_whole(made, reference)


def test_an_old_attempt_that_succeeds_late_is_taken() -> None:
    made = failed()
    ledger, place = ledger_of(made), work_of(made, "l1c", "32TQM")
    good = ledger.read(work_of(made, "l1c", "32TQL").outcome, Outcome)
    retry_all(made.operator()[0])
    late = good.model_copy(update={"unit": place.unit, "attempt": 3, "outputs": ()})
    assert conclude(ledger, place, late)
    assert ledger.read(place.outcome, Outcome) == late
    assert conclude(ledger, place, late.model_copy(update={"attempt": 4})) is False


def test_an_account_made_before_a_retry_but_written_after_it_does_not_close_the_session(reference: House) -> None:
    made = failed()
    late = made.account
    assert late is not None
    retry_all(made.operator()[0])
    assert write_account(ledger_of(made), late)
    ledger_of(made).delete(keys.open_marker(SESSION))  # as whoever wrote it does next
    assert made.account is None
    made.run()
    assert_whole(made, reference)


# holds ---------------------------------------------------------------------------------------------------------------
def test_a_session_parked_while_a_job_runs_and_released_ends_as_if_nothing_had_been(reference: House) -> None:
    made = house()
    until_running(made)
    park_all(made.operator()[0])
    account = made.run()
    assert (account.produced, account.parked, account.held) == (0, len(account.entries), True)
    assert {entry.reason.partition(": ")[2][-len("look at it first") :] for entry in account.entries} == {
        "look at it first"
    }
    assert all(WHO in entry.reason for entry in account.entries)
    assert [name.partition("-")[0] for name in made.launcher.states] == ["l0u"], "it ran on, and nothing was launched"
    assert made.launcher.states.popitem()[1].phase == "succeeded"
    made.launcher.states.clear()
    release_all(made.operator()[0])
    assert made.account is None
    made.run()
    assert_whole(made, reference)


def test_a_session_parked_while_its_files_come_in_is_received_and_closed_without_any_job(reference: House) -> None:
    made = house()
    made.call("station-poll", _ping())
    park_all(made.operator()[0])
    account = made.run()
    assert (account.parked, account.held) == (len(account.entries), True)
    assert made.launcher.states == {}
    release_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)


def test_a_hold_that_is_released_while_files_come_in_changes_nothing(reference: House) -> None:
    made = house()
    late = {path: found for path, found in made.station.held.items() if CHUNK_2 in path}
    made.station.held = {path: found for path, found in made.station.held.items() if path not in late}
    made.tick()
    park_all(made.operator()[0])
    made.tick()
    release_all(made.operator()[0])
    for _ in range(3):
        made.tick()
    assert ledger_of(made).find(keys.complete(SESSION), Complete) is None
    made.station.held |= late
    made.run()
    assert ledger_of(made).read(keys.complete(SESSION), Complete).missing == ()
    assert_whole(made, reference)


def test_a_session_whose_hold_was_released_is_still_parked_when_its_files_do_not_come() -> None:
    made = house(settings=Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=60, session_partial="park"))
    made.station.held = {path: found for path, found in made.station.held.items() if CHUNK_2 not in path}
    made.tick()
    park_all(made.operator()[0])
    release_all(made.operator()[0])
    account = made.run()
    assert (account.produced, account.reopened) == (0, 1)
    for _ in range(3):
        made.tick()
    assert not [i.key for i in made.memory.list(made.settings.bucket_ledger, keys.TIMERS)]
    release_all(made.operator()[0])
    assert made.run().produced == EXPECTED


def test_one_work_item_is_parked_and_all_else_goes_on(reference: House) -> None:
    made = house()
    until_running(made)
    while not any(step == "l1c" for step, _ in made.orders()):
        job = made.launcher.run_one()
        assert job is not None
        made.deliver()
        made.call("sweep", _ping())
        if any(step == "l1c" for step, _ in made.orders()):
            break
        made.deliver()
        made.clock.advance(5)
    place = work_of(made, "l1c", "32TQM")
    # Its first attempt may be under way already: then that one ends as it will.
    made.launcher.script = broken
    park(made.operator()[0], place.prefix, who=WHO, reason="wrong calibration")
    account = made.run()
    assert (account.produced, account.parked, account.held) == (EXPECTED - 2, 2, True)
    assert len(read_work(ledger_of(made), place).attempts) <= 1
    made.launcher.script = script
    release(made.operator()[0], place.prefix, who=WHO, reason=WHY)
    made.run()
    assert_whole(made, reference)


def test_held_work_is_not_sent_again_and_again(reference: House) -> None:
    made = house()
    made.launcher.script = broken
    slow: list[JobSpec] = []
    launch = made.launcher.launch

    def launch_slowly(job: JobSpec) -> None:
        """The other tile's L2A is under way all the while, so that the account stays open."""
        launch(job)
        if job.step == "l2a" and job.name in made.launcher.pending:
            del made.launcher.pending[job.name]
            made.launcher.states[job.name] = JobState("running")
            slow.append(job)

    made.launcher.launch = launch_slowly  # type: ignore[method-assign]
    while not any("l1c" in key and key.endswith(".ended.json") for key in made.story().splitlines()):
        made.tick(3)
    place = work_of(made, "l1c", "32TQM")
    park_all(made.operator()[0])
    made.clock.advance(60)
    made.tick()
    sent: list[str] = []
    send = made.send

    def note(event: Event) -> None:
        sent.append(event.subject)
        send(event)

    made.send = note  # type: ignore[method-assign]
    for _ in range(5):
        made.tick(30)
    assert len(slow) == 1
    assert not [subject for subject in sent if subject.startswith(place.prefix)]
    assert made.account is None
    made.launcher.launch = launch  # type: ignore[method-assign]
    made.launcher.pending[slow[0].name] = slow[0]
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    made.launcher.script = script
    release_all(made.operator()[0])
    made.run()
    assert_whole(made, reference)


def test_of_held_work_only_the_attempt_under_way_is_followed() -> None:
    made = house()
    made.launcher.script = broken
    until_running(made)
    while not any(work.ended for work in sort_work(made.memory.list(made.settings.bucket_ledger)).values()):
        made.tick(3)
    assert made.account is None
    park_all(made.operator()[0])
    ended = work_of(made, "l1c", "32TQM")
    before = len(read_work(ledger_of(made), ended).attempts)
    account = made.run()
    assert len(read_work(ledger_of(made), ended).attempts) == before
    assert account.held


# incomplete sessions -------------------------------------------------------------------------------------------------
def test_an_incomplete_session_that_was_parked_goes_on_by_an_operators_word() -> None:
    made = incomplete()
    assert any(CHUNK_2 in entry.reason for entry in made.account.entries) if made.account else False
    release_all(made.operator()[0])
    account = made.run()
    complete = ledger_of(made).read(keys.complete(SESSION), Complete)
    assert (account.produced, account.parked) == (EXPECTED, 0)
    assert complete.reason == f"released by {WHO}: {WHY}"
    assert CHUNK_2 in complete.missing


def test_a_session_without_any_dsdb_is_not_released() -> None:
    made = house(settings=Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=60, session_partial="park"))
    made.station.held = {path: found for path, found in made.station.held.items() if "DSDB" not in path}
    made.run()
    before = made.story()
    with pytest.raises(RefusedError, match="no DSDB"):
        release_all(made.operator()[0])
    assert made.story() == before


def test_the_account_of_a_parked_incomplete_session_tells_what_was_refused() -> None:
    made = house(settings=Settings(sweep_grace_s=15, retry_delay_s=5, session_wait_s=60, session_partial="park"))
    name = f"DCS_05_{SESSION}_ch2_DSIB.xml"
    made.station.put(name, b"no XML", START)
    account = made.run()
    assert account.produced == 0
    assert any(line.startswith(name) for line in account.refused)


# replay --------------------------------------------------------------------------------------------------------------
def test_every_record_of_a_session_may_be_replayed_without_any_change(reference: House) -> None:
    made = house()
    made.run()
    made.tick()  # what follows from the account
    before = made.story().splitlines()
    replayed = 0
    for key in before:
        try:
            replay(made.operator()[0], key, who=WHO, reason=WHY)
            replayed += 1
        except RefusedError:
            continue
        made.deliver()
    for _ in range(3):
        made.tick()
    assert replayed > 20
    assert_whole(made, reference)
    assert [key for key in made.story().splitlines() if "/actions/" not in key] == before


def test_what_a_lost_notification_kept_back_goes_on_when_it_is_replayed() -> None:
    made = house(delivery=Delivery(copies=lambda event: 0 if event.subject.endswith("/order.json") else 1))
    made.call("station-poll", _ping())
    made.deliver()
    assert not made.launcher.pending
    made.delivery = Delivery()
    replay(made.operator()[0], work_of(made, "l0u").order, who=WHO, reason=WHY)
    made.deliver()
    assert made.launcher.pending


def test_a_reopened_session_whose_marker_was_removed_late_is_found_by_the_sweep() -> None:
    made = failed()
    retry_all(made.operator()[0])
    ledger = ledger_of(made)
    ledger.delete(keys.open_marker(SESSION))
    made.queue.clear()
    made.call("sweep", _ping())
    assert ledger.read(keys.open_marker(SESSION), OpenMarker).station == "SGS_"
