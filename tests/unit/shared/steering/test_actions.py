"""What each action refuses, says, and leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.dead_letters.step import keep
from shared.bootstrap import Services
from shared.domain.events import JOB_CHANGED, PING, TIMER_DUE, Event, object_created
from shared.errors import BadInputError, ObjectAbsentError, PermanentError, RefusedError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Action, Hold, Order, Replayed
from shared.steering import Done, park, release, replay, retry
from tests.support.house import START, Crash, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

WHO, WHY = "ada@console", "the disk was replaced"
ABSENT_WORK = f"sessions/{SESSION}/work/l1c/DT01-T32TQM/{'0' * 64}/"


def dies(order: Order) -> Outputs:
    if order.step == "l1c" and order.unit.endswith("32TQM"):
        raise Crash("the node is gone")
    return script(order)


@pytest.fixture
def made() -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station)


@pytest.fixture
def services(made: House) -> Services:
    return made.operator()[0]


def running(made: House) -> House:
    made.tick(jobs=False)
    assert made.launcher.pending
    return made


def parked(made: House) -> House:
    made.launcher.script = dies
    assert made.run().parked == 2
    return made


def ledger(made: House) -> Ledger:
    return Ledger(made.memory, made.settings.bucket_ledger, made.clock)


def place(made: House, step: str, ending: str = "") -> str:
    works = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    return next(w.place.prefix for w in works if w.place.step == step and w.place.unit.endswith(ending))


# what is refused -----------------------------------------------------------------------------------------------------
def test_what_has_not_failed_is_not_retried(made: House, services: Services) -> None:
    running(made)
    with pytest.raises(RefusedError, match="nothing of it has failed; 1 work items are still under way"):
        retry(services, SESSION, who=WHO, reason=WHY)
    made.run()
    for target in (SESSION, place(made, "l1c", "32TQM")):
        with pytest.raises(RefusedError, match="nothing of it has failed; retry is for"):
            retry(services, target, who=WHO, reason=WHY)


def test_what_is_held_has_not_failed_and_is_released(made: House, services: Services) -> None:
    running(made)
    park(services, SESSION, who=WHO, reason="look")
    made.run()
    with pytest.raises(RefusedError, match=r"held by ada@console: look; release"):
        retry(services, SESSION, who=WHO, reason=WHY)


def test_a_session_that_is_still_coming_in_is_neither_retried_nor_released(made: House, services: Services) -> None:
    made.call("station-poll", Event("tick", "ping", PING))
    with pytest.raises(RefusedError, match="not complete"):
        retry(services, SESSION, who=WHO, reason=WHY)
    with pytest.raises(RefusedError, match="not held"):
        release(services, SESSION, who=WHO, reason=WHY)


def test_what_has_ended_is_not_parked(made: House, services: Services) -> None:
    parked(made)
    with pytest.raises(RefusedError, match="account is closed"):
        park(services, SESSION, who=WHO, reason=WHY)
    retry(services, SESSION, who=WHO, reason=WHY)
    with pytest.raises(RefusedError, match="has ended"):
        park(services, place(made, "l1c", "32TQL"), who=WHO, reason=WHY)


def test_what_is_held_is_not_parked_for_another_reason(made: House, services: Services) -> None:
    running(made)
    park(services, SESSION, who=WHO, reason="look")
    assert park(services, SESSION, who=WHO, reason="look") == [Done("park", SESSION, (), "it is held already")]
    with pytest.raises(RefusedError, match="held by ada@console: look; release it first"):
        park(services, SESSION, who="bob@console", reason="look")


def test_what_is_not_held_is_not_released(made: House, services: Services) -> None:
    parked(made)
    for target in (SESSION, place(made, "l1c", "32TQM")):
        with pytest.raises(RefusedError, match="not held"):
            release(services, target, who=WHO, reason=WHY)


@pytest.mark.parametrize("action", [retry, park, release])
def test_targets_that_are_not_there_or_are_no_targets(made: House, services: Services, action: Act) -> None:
    running(made)
    for target, error in (
        ("S2B_20261122101500000124", ObjectAbsentError),
        (ABSENT_WORK, ObjectAbsentError),
        ("../../x", BadInputError),
        ("sessions/x/y", BadInputError),
        ("", BadInputError),
        ("a\x1b[31mb", BadInputError),
    ):
        with pytest.raises(error):
            action(services, target, who=WHO, reason=WHY)


Act = Callable[..., list[Done]]


@pytest.mark.parametrize(("who", "reason"), [("", WHY), (WHO, " "), (WHO, "a\x1b[31mb"), (WHO, "x" * 501), ("\n", WHY)])
def test_a_name_and_a_reason_are_asked_for_and_must_be_printable(
    made: House, services: Services, who: str, reason: str
) -> None:
    running(made)
    before = made.story()
    with pytest.raises(BadInputError):
        park(services, SESSION, who=who, reason=reason)
    assert made.story() == before


# what is said --------------------------------------------------------------------------------------------------------
def test_a_dry_run_says_the_same_and_writes_nothing(made: House) -> None:
    running(made)
    for begin, act in ((None, park), (made.run, release), (lambda: parked(made), retry)):
        if begin is not None:
            begin()
        services, store = made.operator()
        told = act(services, SESSION, who=WHO, reason=WHY, dry_run=True)
        assert store.writes == 0
        assert act(services, SESSION, who=WHO, reason=WHY) == told
        assert told[0].changes[0].startswith(f"sessions/{SESSION}/actions/")


def test_the_note_of_a_retry_tells_of_a_hold(made: House, services: Services) -> None:
    made.launcher.script = dies
    while not any("l1c" in key and key.endswith(".ended.json") for key in made.story().splitlines()):
        made.tick(3)
    failing = place(made, "l1c", "32TQM")
    made.run()
    retry(services, failing, who=WHO, reason=WHY)
    made.queue.clear()
    park(services, failing, who=WHO, reason="look")
    told = retry(services, SESSION, who=WHO, reason=WHY)
    assert "it is held by ada@console: look, and starts when that is released" in told[1].note
    account = made.run()
    assert (account.parked, account.held) == (2, True)


def test_a_hold_keeps_who_released_it_and_why(made: House, services: Services) -> None:
    running(made)
    park(services, SESSION, who=WHO, reason="look")
    release(services, SESSION, who="bob@console", reason="seen")
    hold = ledger(made).read(keys.hold(SESSION), Hold)
    assert (hold.who, hold.reason, hold.released_by, hold.released_reason) == (WHO, "look", "bob@console", "seen")
    assert hold.released == made.clock.now()
    park(services, SESSION, who=WHO, reason="once more")
    assert ledger(made).read(keys.hold(SESSION), Hold).released is None


def test_every_action_is_on_record(made: House, services: Services) -> None:
    running(made)
    park(services, SESSION, who=WHO, reason="look")
    made.clock.advance(1)
    release(services, SESSION, who=WHO, reason="seen")
    made.clock.advance(1)
    replay(services, keys.complete(SESSION), who=WHO, reason="again")
    found = [ledger(made).read(i.key, Action) for i in ledger(made).list(f"sessions/{SESSION}/actions/")]
    assert [(a.action, a.target, a.reason) for a in found] == [
        ("park", SESSION, "look"),
        ("release", SESSION, "seen"),
        ("replay", keys.complete(SESSION), "again"),
    ]


# replay --------------------------------------------------------------------------------------------------------------
def letter(made: House, event: Event) -> str:
    keep(event, made.services)
    return keys.dead_letter(made.clock.now(), event.id)


def test_a_record_is_written_again_with_its_bytes_and_its_trace(made: House, services: Services) -> None:
    running(made)
    key, bucket = keys.complete(SESSION), made.settings.bucket_ledger
    made.queue.clear()
    before = made.memory.get(bucket, key)
    made.clock.advance(5)
    replay(services, key, who=WHO, reason=WHY)
    after = made.memory.get(bucket, key)
    assert (after[0], after[1].etag, after[1].metadata) == (before[0], before[1].etag, before[1].metadata)
    assert "traceparent" in after[1].metadata
    assert [(name, event.subject) for name, event, _ in made.queue] == [("job-preparation", key)]


@pytest.mark.parametrize("by", ["key", "id"])
def test_a_dead_letter_of_a_record_is_replayed_and_marked(made: House, services: Services, by: str) -> None:
    running(made)
    event = object_created(made.settings.bucket_ledger, keys.complete(SESSION), "e")
    key = letter(made, event)
    made.queue.clear()
    (done,) = replay(services, key if by == "key" else event.id, who=WHO, reason=WHY)
    assert done.target == key
    assert [name for name, _, _ in made.queue] == ["job-preparation"]
    mark = ledger(made).read(keys.replayed(key), Replayed)
    assert (mark.dead_letter, mark.who, mark.reason) == (key, WHO, WHY)
    replay(services, event.id, who=WHO, reason="and again")
    assert len(made.queue) == 2


@pytest.mark.parametrize(
    ("kind", "note"),
    [(TIMER_DUE, "next sweep sends it again"), (JOB_CHANGED, "asks each attempt"), (PING, "next tick")],
)
def test_of_an_event_without_a_record_it_is_said_what_stands_in_for_it(
    made: House, services: Services, kind: str, note: str
) -> None:
    key = letter(made, Event("some-id", "x", kind, "y"))
    (done,) = replay(services, key, who=WHO, reason=WHY)
    assert note in done.note
    assert ledger(made).read(keys.replayed(key), Replayed).note == done.note


def test_what_cannot_be_replayed_is_refused(made: House, services: Services) -> None:
    running(made)
    cases: list[tuple[str, type[Exception], str]] = [
        (keys.account(SESSION), RefusedError, "no function is woken"),
        (f"{place(made, 'l0u')}attempts/1.json", RefusedError, "no function is woken"),
        (f"{place(made, 'l0u')}outcome.json", ObjectAbsentError, "not there"),
        ("timers/20261122T1000/retry-x.json", RefusedError, "no function is woken"),
        ("0123456789abcdef", ObjectAbsentError, "no dead letter has this id"),
        ("dead-letters/20261122/none.json", ObjectAbsentError, "knows nothing"),
        (letter(made, Event("poison", "x", "y.z", "no/such/key")), RefusedError, "none that a function handles"),
        (letter(made, object_created("s2-products", "L1C/x", "e")), RefusedError, "bucket s2-products"),
        (letter(made, object_created("s2-ledger", "../x", "e2")), RefusedError, "no function is woken"),
        (" ", BadInputError, "ledger key"),
    ]
    before = made.story()
    for target, error, words in cases:
        with pytest.raises(error, match=words):
            replay(services, target, who=WHO, reason=WHY)
    assert made.story() == before


def test_a_mark_is_no_dead_letter(made: House, services: Services) -> None:
    """An event's id may be anything: a mark is never taken for a letter, nor a letter for a mark."""
    for name in ("replayed", "a.replayed", "replayed/x"):
        key = letter(made, Event(name, "x", PING))
        replay(services, key, who=WHO, reason=WHY)
        assert replay(services, name, who=WHO, reason=WHY)[0].target == key if "/" not in name else True
        with pytest.raises(BadInputError, match="not the mark"):
            replay(services, keys.replayed(key), who=WHO, reason=WHY)


def test_a_record_that_breaks_its_model_stops_an_action_by_name(made: House, services: Services) -> None:
    running(made)
    made.memory.put(made.settings.bucket_ledger, keys.hold(SESSION), json.dumps({"schema": "x"}).encode())
    with pytest.raises(BadInputError, match=r"hold\.json"):
        park(services, SESSION, who=WHO, reason=WHY)


def test_a_record_that_changes_all_the_time_is_not_overwritten(made: House) -> None:
    running(made)
    services, store = made.operator()
    key, bucket = keys.complete(SESSION), made.settings.bucket_ledger
    info = made.memory.head(bucket, key)
    assert info is not None
    store.head = lambda *_: replace(info, etag="another")  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="changes all the time"):
        replay(services, key, who=WHO, reason=WHY)
    assert made.memory.head(bucket, key) == info


def test_refusals_are_permanent() -> None:
    assert issubclass(RefusedError, PermanentError)
