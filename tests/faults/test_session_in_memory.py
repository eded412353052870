"""The seven rules, by faults: one session through the real steps, the real triggers and the in-memory store."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from shared.domain.events import PING, TIMER_DUE, Event, object_created
from shared.errors import ConfigurationError
from shared.ledger import keys
from shared.ledger.records import AttemptEnded, Complete, Order, Outcome, Refusal
from shared.ports import JobSpec
from shared.settings import Settings
from tests.support.house import START, Crash, Delivery, House, VirtualClock
from tests.support.standin import SESSION, Outputs, StandInStation, dsib, script

EXPECTED = 1 + 2 + 2 + 2  # L0 datastrip, L0 granules, L1C tiles, L2A tiles


def house(**changes: object) -> House:
    station = StandInStation()
    # The first chunk takes three parts of a multipart upload.
    station.fill(START - timedelta(minutes=2), first=11 << 20)
    return House(station=station, **changes)  # type: ignore[arg-type]  # keyword arguments of the dataclass


@pytest.fixture(scope="module")
def reference() -> House:
    """The same session without any fault."""
    made = house()
    made.run()
    return made


def assert_same_end(made: House, reference: House) -> None:
    account = made.account
    assert account is not None
    assert (account.produced, account.absent, account.parked) == (EXPECTED, 0, 0)
    assert made.shelf() == reference.shelf()
    assert made.orders() == reference.orders()
    assert made.dead == []


def test_a_session_ends_with_every_product_and_a_closed_account(reference: House) -> None:
    account = reference.account
    assert account is not None
    assert account.produced == len(account.entries) == EXPECTED
    assert len(reference.shelf()) == EXPECTED
    assert account.t0 == START - timedelta(minutes=2) + timedelta(seconds=4)
    assert all(entry.slack_s is not None and entry.slack_s > 0 for entry in account.entries)
    assert not list(reference.memory.list(reference.settings.bucket_ledger, keys.OPEN))


def test_with_every_notification_dropped_the_sweep_alone_completes_the_session(reference: House) -> None:
    made = house(delivery=Delivery(copies=lambda _event: 0))
    made.run()
    assert_same_end(made, reference)


def test_with_every_event_doubled_nothing_happens_twice(reference: House) -> None:
    made = house(delivery=Delivery(copies=lambda _event: 2))
    made.run()
    assert_same_end(made, reference)


@pytest.mark.parametrize("seed", range(12))
def test_in_any_order_doubled_and_lost_at_random_the_end_is_the_same(seed: int, reference: House) -> None:
    dice = random.Random(seed)
    made = house(delivery=Delivery(copies=lambda _event: dice.choice([0, 1, 1, 2, 3]), shuffle=dice))
    made.run()
    assert_same_end(made, reference)


def _crash_points() -> list[int]:
    made = house()
    made.run()
    return list(range(1, made.store.writes + 1))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_loses_nothing_and_doubles_nothing(when: str, reference: House) -> None:
    points = _crash_points()
    assert len(points) > 90
    for point in points:
        made = house()
        made.store.crash_at = (point, "before" if when == "before" else "after")
        made.run()
        assert made.crashes == 1, f"no crash {when} write {point}"
        assert_same_end(made, reference)


def test_a_crash_at_any_write_with_no_notification_at_all(reference: House) -> None:
    for point in _crash_points()[::7]:
        made = house(delivery=Delivery(copies=lambda _event: 0))
        made.store.crash_at = (point, "after")
        made.run()
        assert_same_end(made, reference)


# what is refused -------------------------------------------------------------------------------------------------
def refusals(made: House) -> dict[str, str]:
    prefix = f"{keys.session(SESSION)}refused/"
    found = [made.services.ledger.read(i.key, Refusal) for i in made.services.ledger.list(prefix)]
    return {record.file: record.reason for record in found}


DSIB_2 = f"DCS_05_{SESSION}_ch2_DSIB.xml"
CHUNK_2 = f"DCS_05_{SESSION}_ch2_DSDB_00001.raw"


@pytest.mark.parametrize(
    "content",
    [b"this is no XML", b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><d>&b;</d>'],
    ids=["no XML", "entity bomb"],
)
def test_a_bad_dsib_is_refused_by_name_and_the_session_goes_on_partially(content: bytes) -> None:
    made = house()
    made.station.put(DSIB_2, content, START)
    account = made.run()
    assert DSIB_2 in refusals(made)
    assert "XML" in refusals(made)[DSIB_2]
    complete = made.services.ledger.read(keys.complete(SESSION), Complete)
    assert any("DSIB of channel 2" in missing for missing in complete.missing)
    assert account.produced == EXPECTED
    assert any(DSIB_2 in line for line in account.refused)


def test_a_bad_dsib_that_is_corrected_in_time_completes_the_session_wholly(reference: House) -> None:
    made = house()
    good = made.station.held[f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_2/{DSIB_2}"][0]
    made.station.put(DSIB_2, b"no XML", START)
    for _ in range(3):
        made.tick()
    assert made.services.ledger.find(keys.complete(SESSION), Complete) is None
    made.station.put(DSIB_2, good, START + timedelta(seconds=20))
    made.run()
    complete = made.services.ledger.read(keys.complete(SESSION), Complete)
    assert complete.missing == ()
    assert complete.t0 == START + timedelta(seconds=20)
    account = made.account
    assert account is not None
    assert account.refused == ()
    assert [line.partition(":")[0] for line in account.repaired] == [DSIB_2]
    assert made.shelf() == reference.shelf()


def test_a_truncated_chunk_is_refused_by_name_and_processed_when_the_wait_is_over() -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2), chunks=4)
    station.put(CHUNK_2, b"\x02" * 30, START)
    made = House(station=station)
    made.run()
    assert "270 bytes" not in refusals(made)
    assert "330 bytes" in refusals(made)[CHUNK_2]
    assert "data_size is 400" in refusals(made)[CHUNK_2]
    assert made.services.ledger.read(keys.complete(SESSION), Complete).missing


def test_a_retransferred_chunk_replaces_the_truncated_one(reference: House) -> None:
    made = house()
    whole = made.station.held[f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_2/{CHUNK_2}"][0]
    made.station.put(CHUNK_2, whole[:30], START)
    for _ in range(3):
        made.tick()
    assert made.services.ledger.find(keys.complete(SESSION), Complete) is None
    made.station.put(CHUNK_2, whole, START + timedelta(seconds=25), tree="RETRANSFER")
    made.run()
    assert made.services.ledger.read(keys.complete(SESSION), Complete).missing == ()
    assert made.shelf() == reference.shelf()


def test_a_file_is_refused_for_each_reason_and_repaired_though_another_stays_short() -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2), chunks=4)
    whole = station.held[f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_2/{CHUNK_2}"][0]
    station.put(CHUNK_2, whole[:30], START)
    station.put(CHUNK_2.replace("_ch2_", "_ch1_"), b"\x01" * 30, START)
    made = House(station=station)
    for _ in range(3):
        made.tick()
    made.station.put(CHUNK_2, whole[:50], START + timedelta(seconds=25))
    for _ in range(3):
        made.tick()
    prefix = f"{keys.session(SESSION)}refused/"
    found = [made.services.ledger.read(i.key, Refusal) for i in made.services.ledger.list(prefix)]
    assert sorted(r.file for r in found) == [CHUNK_2.replace("_ch2_", "_ch1_"), CHUNK_2, CHUNK_2]
    assert len({r.reason for r in found}) == 3
    made.station.put(CHUNK_2, whole, START + timedelta(seconds=60))
    account = made.run()
    assert made.services.ledger.read(keys.complete(SESSION), Complete).missing
    assert [line.partition(":")[0] for line in account.refused] == [CHUNK_2.replace("_ch2_", "_ch1_")]
    assert [line.partition(":")[0] for line in account.repaired] == [CHUNK_2, CHUNK_2]


def test_a_file_with_a_hostile_name_is_refused_and_the_rest_goes_on(reference: House) -> None:
    made = house()
    folder = f"NOMINAL/S2A/DCS_05_{SESSION}_dat/ch_1"
    made.station.held[f"{folder}/x"] = (b"x", START)
    real = made.station.files
    made.station.files = lambda *place: (  # type: ignore[method-assign]
        replace(f, name="../../x") if f.name == "x" else f for f in real(*place)
    )
    made.run()
    assert any("../../x" in file for file in refusals(made))
    assert made.shelf() == reference.shelf()


def test_dsibs_that_come_first_change_nothing(reference: House) -> None:
    made = house()
    chunks = {path: held for path, held in made.station.held.items() if "DSDB" in path}
    for path in chunks:
        del made.station.held[path]
    for path, held in chunks.items():
        made.tick()
        made.station.held[path] = held
    made.run()
    assert_same_end(made, reference)


def test_a_session_without_any_chunk_is_parked_with_the_reason() -> None:
    made = house()
    for path in [p for p in made.station.held if "DSDB" in p]:
        del made.station.held[path]
    account = made.run()
    assert (account.produced, account.parked) == (0, len(account.entries))
    assert {entry.level for entry in account.entries} == {"L0", "L1C", "L2A"}
    assert "DSDB" in account.entries[0].reason


def test_a_last_file_that_comes_while_its_session_is_parked_is_not_lost() -> None:
    """One instance gives the wait up, another one has the last file: at any moment, with no notification at all."""
    moments = 0
    while True:
        made = house(
            settings=Settings(sweep_grace_s=15, session_wait_s=60, session_partial="park"),
            delivery=Delivery(copies=lambda _event: 0),
        )
        chunk = next(path for path in made.station.held if CHUNK_2 in path)
        late = made.station.held.pop(chunk)
        while not [timer for _, timer in made.services.ledger.due_timers(made.clock.now())]:
            made.tick()
        ((key, timer),) = made.services.ledger.due_timers(made.clock.now())
        made.clock.advance(60)
        elsewhere = partial(_received_elsewhere, made, chunk, late)
        meanwhile = _Once(elsewhere, moments + 1)
        made.store.operations, made.store.meanwhile = 0, meanwhile
        due = Event("t", "timers", TIMER_DUE, timer.timer, timer.due, {"key": key, "session": SESSION, "subject": ""})
        made.call("session-assembly", due)
        made.store.meanwhile = None
        if not meanwhile.reached:
            break
        moments += 1
        account = made.run()
        complete = made.services.ledger.find(keys.complete(SESSION), Complete)
        assert (account.t0 is None) == (complete is None), f"moment {moments}:\n{made.story()}"
        assert account.produced == (EXPECTED if complete else 0)
    assert moments > 15


class _Once:
    """Does ``act`` before the service's operation of this number."""

    def __init__(self, act: Callable[[], None], moment: int) -> None:
        self.act, self.moment, self.reached = act, moment, False

    def __call__(self, number: int) -> None:
        if number == self.moment:
            self.reached = True
            self.act()


def _received_elsewhere(made: House, path: str, late: tuple[bytes, datetime]) -> None:
    """Another instance sees, receives and assembles the last file."""
    bucket = made.settings.bucket_ledger
    made.station.held[path] = late
    made.call("station-poll", Event("tick", "ping", PING))
    made.call("file-transfer", object_created(bucket, keys.seen(SESSION, CHUNK_2), "e"))
    made.call("session-assembly", object_created(bucket, keys.receipt(SESSION, CHUNK_2), "e"))


# work that fails ----------------------------------------------------------------------------------------------------
def test_a_job_that_dies_is_tried_again_and_then_parked_with_all_that_hangs_on_it() -> None:
    made = house()

    def dies(order: Order) -> Outputs:
        if order.step == "l1c" and order.unit.endswith("32TQM"):
            raise Crash("the node is gone")
        return script(order)

    made.launcher.script = dies
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    parked = {entry.level: entry for entry in account.entries if entry.ended == "parked"}
    assert set(parked) == {"L1C", "L2A"}
    assert "after 3 attempts" in parked["L1C"].reason
    assert parked["L2A"].unit.endswith("32TQM")


def test_work_whose_job_the_platform_refuses_is_parked_with_its_sentence() -> None:
    made = house()
    real = made.launcher.launch

    def refused(job: JobSpec) -> None:
        if job.step == "l1c" and job.unit.endswith("32TQM"):
            raise ConfigurationError("Kubernetes, create Job: 403 denied by policy")
        real(job)

    made.launcher.launch = refused  # type: ignore[method-assign]
    account = made.run()
    assert (account.produced, account.parked) == (EXPECTED - 2, 2)
    assert "denied by policy after 3 attempts" in next(e.reason for e in account.entries if e.ended == "parked")


def test_a_job_that_dies_once_succeeds_at_the_second_attempt(reference: House) -> None:
    made = house()
    died: list[str] = []

    def dies_once(order: Order) -> Outputs:
        if order.step == "l0c" and not died:
            died.append(order.unit)
            raise Crash("the node is gone")
        return script(order)

    made.launcher.script = dies_once
    made.run()
    assert died
    assert made.shelf() == reference.shelf()
    ended = [i.key for i in made.memory.list(made.settings.bucket_ledger) if i.key.endswith(".ended.json")]
    assert len(ended) == 1
    assert made.services.ledger.read(ended[0], AttemptEnded).status == "infrastructure"


def test_a_zombie_attempt_that_ends_late_changes_nothing() -> None:
    made = house()
    made.run()
    before = made.shelf()
    outcome_key = next(i.key for i in made.memory.list(made.settings.bucket_ledger) if i.key.endswith("outcome.json"))
    outcome = made.services.ledger.read(outcome_key, Outcome)
    late = outcome.model_copy(update={"attempt": 9, "outputs": ()})
    assert made.services.ledger.create(outcome_key, late) is False
    made.tick()
    assert made.shelf() == before


def test_the_trace_of_a_session_is_one() -> None:
    made = house()
    made.run()
    from shared.telemetry import session_context

    traces = set()
    for info in made.memory.list(made.settings.bucket_ledger):
        head = made.memory.head(made.settings.bucket_ledger, info.key)
        assert head is not None
        if "traceparent" in head.metadata:
            traces.add(head.metadata["traceparent"].split("-")[1])
    assert traces == {session_context(SESSION).trace_id}


def test_a_poison_event_becomes_one_dead_letter() -> None:
    made = house()
    event = Event("poison", "x", "y", "no/such/key", extensions={"knativeerrorcode": "422", "knativeerrordata": "YmFk"})
    made.call("dead-letters", event)
    made.call("dead-letters", event)
    letters = list(made.memory.list(made.settings.bucket_ledger, "dead-letters/"))
    assert len(letters) == 1
    assert b"422: bad" in made.memory.get(made.settings.bucket_ledger, letters[0].key)[0]


def test_the_clock_of_the_harness_moves_only_when_told() -> None:
    clock = VirtualClock()
    clock.advance(90)
    assert clock.now() - START == timedelta(seconds=90)


def test_a_corrected_dsib_after_the_session_is_complete_changes_nothing(reference: House) -> None:
    made = house()
    for _ in range(2):
        made.tick()
    assert made.services.ledger.find(keys.complete(SESSION), Complete) is not None
    made.station.put(DSIB_2, dsib(2, [CHUNK_2], 100), START + timedelta(minutes=9))
    made.run()
    assert made.shelf() == reference.shelf()
