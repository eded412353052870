"""A breaker opens after failures in a row, tries again after pauses that double, and closes with the first answer."""

from __future__ import annotations

import logging
from collections.abc import Callable

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker
from shared.adapters.odata import ODataService
from shared.adapters.s3 import S3Store
from shared.adapters.s3_client import break_when_down
from shared.adapters.webdav import WebDavStation
from shared.errors import ObjectAbsentError, StationUnavailableError, StoreUnavailableError
from shared.places import AuthSettings
from tests.support.cadip_server import CadipServer
from tests.support.wild_station import WildStation


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("station TST_", StationUnavailableError, clock=clock)


def opened(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        breaker.admit()
        breaker.failed()


def refused(breaker: Breaker) -> bool:
    try:
        breaker.admit()
    except StationUnavailableError:
        return True
    return False


def test_failures_in_a_row_open_it_and_no_others(breaker: Breaker) -> None:
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.admit()
            breaker.failed()
        breaker.worked()
    assert not breaker.open
    opened(breaker)
    with pytest.raises(StationUnavailableError, match="station TST_: it is down, and asked again in 1 s"):
        breaker.admit()


def test_pauses_double_to_a_bound_and_one_call_tries(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    pauses = []
    for _ in range(8):
        begin = clock.now
        while refused(breaker):
            clock.now += 0.5
        pauses.append(clock.now - begin)
        # The others stay out while it tries.
        assert refused(breaker)
        breaker.failed()
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)
    clock.now += LONGEST_PAUSE_S
    assert not refused(breaker)
    breaker.worked()
    assert not breaker.open
    assert not any(refused(breaker) for _ in range(5))
    # And it begins anew.
    opened(breaker)
    clock.now += FIRST_PAUSE_S
    assert not refused(breaker)


def test_who_tries_and_never_tells_keeps_the_others_out_for_one_pause_alone(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += FIRST_PAUSE_S
    assert not refused(breaker)
    assert refused(breaker)
    clock.now += FIRST_PAUSE_S
    assert not refused(breaker)


def test_calls_under_way_when_it_opens_do_not_make_the_pause_longer(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    for _ in range(20):
        breaker.failed()
    clock.now += FIRST_PAUSE_S
    assert not refused(breaker)


def test_it_is_one_line_when_it_opens_and_one_when_it_closes(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    opened(breaker)
    for _ in range(6):
        clock.now += LONGEST_PAUSE_S
        breaker.admit()
        breaker.failed()
    clock.now += LONGEST_PAUSE_S
    breaker.admit()
    breaker.worked()
    breaker.worked()
    assert [record.getMessage() for record in caplog.records] == [
        "station TST_: 3 failures one after the other; until it answers again, calls fail at once",
        "station TST_ answers again",
    ]


@pytest.mark.parametrize(("status", "down"), [(502, True), (503, True), (504, True), (500, False), (404, False)])
def test_what_an_answer_says(breaker: Breaker, status: int, down: bool) -> None:
    for _ in range(FAILURES):
        breaker.answered(status)
    assert breaker.open is down


@given(st.lists(st.tuples(st.sampled_from(["admit", "failed", "worked"]), st.floats(0, 40)), max_size=60))
def test_whatever_happens_a_call_is_let_through_within_the_longest_pause(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    breaker = Breaker("x", StationUnavailableError, clock=clock)
    doing: dict[str, Callable[[], object]] = {
        "admit": lambda: refused(breaker),
        "failed": breaker.failed,
        "worked": breaker.worked,
    }
    for step, seconds in steps:
        clock.now += seconds
        doing[step]()
    clock.now += LONGEST_PAUSE_S
    assert not refused(breaker)


# the adapters -----------------------------------------------------------------------------------------------------
def test_a_webdav_station_that_is_down_is_not_asked_while_it_is_open(clock: Clock) -> None:
    with WildStation().serving() as wild:
        settings = wild.settings()
        found = WebDavStation(settings.model_copy(update={"url": "http://127.0.0.1:9/"}))
        found._breaker = Breaker("station TST_", StationUnavailableError, clock=clock)
        for _ in range(FAILURES):
            with pytest.raises(StationUnavailableError, match=r"127\.0\.0\.1:9"):
                list(found.sessions())
        found._base = settings.url.rstrip("/") + "/"
        before = len(wild.requests)
        with pytest.raises(StationUnavailableError, match="asked again in 1 s"):
            list(found.sessions())
        assert len(wild.requests) == before
        clock.now += FIRST_PAUSE_S
        assert list(found.sessions()) == []
        assert not found._breaker.open


def test_a_delivery_point_that_is_down_is_not_asked_while_it_is_open(clock: Clock) -> None:
    service = ODataService("AUXIP one", AuthSettings(), timeout_s=5)
    service._breaker = Breaker("AUXIP one", StationUnavailableError, clock=clock)
    with CadipServer().serving() as server:
        there = f"{server.settings().url.rstrip('/')}/Sessions"
        for _ in range(FAILURES):
            with pytest.raises(StationUnavailableError):
                service.get_json("http://127.0.0.1:9/odata/v1/Sessions")
        with pytest.raises(StationUnavailableError, match="AUXIP one: it is down"):
            service.get_json(there)
        clock.now += FIRST_PAUSE_S
        assert service.get_json(there)["value"] == []


class Wire:
    """What a botocore client sends goes nowhere; each request takes the next of the answers."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers, self.sent = list(answers), 0

    def __call__(self, **_: object) -> AWSResponse:
        self.sent += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response = AWSResponse("http://store", answer, {"ETag": '"e"'}, None)
        response._content = b""
        return response


def s3(wire: Wire, clock: Clock) -> tuple[S3Store, Breaker]:
    client = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url="http://store.invalid",
        aws_access_key_id="a",
        aws_secret_access_key="s",
        config=botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    breaker = Breaker("object store", StoreUnavailableError, clock=clock)
    break_when_down(client, breaker)
    client.meta.events.register("before-send.s3", wire)
    return S3Store(client), breaker


def away() -> Exception:
    error: Exception = EndpointConnectionError(endpoint_url="http://store.invalid")
    return error


@pytest.mark.parametrize("fault", [503, away()], ids=["503", "no answer"])
def test_a_store_that_is_down_is_not_asked_while_it_is_open(fault: int | Exception, clock: Clock) -> None:
    wire = Wire(fault, fault, fault, 200)
    store, breaker = s3(wire, clock)
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailableError):
            store.put_new("b", "k", b"1")
    assert breaker.open
    # Refused without being sent: nothing can have been written, and who asks is told to come again.
    with pytest.raises(StoreUnavailableError, match="it is down"):
        store.put_new("b", "k", b"1")
    with pytest.raises(StoreUnavailableError, match="it is down"):
        store.put_if("b", "k", b"1", "e")
    assert wire.sent == FAILURES
    clock.now += FIRST_PAUSE_S
    assert store.put_new("b", "k", b"1") is True
    assert not breaker.open


def test_a_conditional_write_that_is_answered_by_500_is_judged_by_the_look_after_it(clock: Clock) -> None:
    """Ceph answers 500 to who loses a race: of a store that is well, however often, and never of one that is not."""
    wire = Wire(*[500, 200] * 9, *[500, 500] * FAILURES, 200)
    store, breaker = s3(wire, clock)
    for _ in range(9):
        assert store.put_if("b", "k", b"1", "before") is False
    assert not breaker.open
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailableError, match="500"):
            store.put_if("b", "k", b"1", "before")
    assert breaker.open


def test_while_it_is_tried_a_lost_race_hands_the_trial_to_the_look(clock: Clock) -> None:
    wire = Wire(503, 503, 503, 500, 200, 503, 503, 503, *[500] * 6)
    store, breaker = s3(wire, clock)
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailableError):
            store.put_if("b", "k", b"1", "before")
    clock.now += FIRST_PAUSE_S
    assert store.put_if("b", "k", b"1", "before") is False
    assert not breaker.open
    # A store that answers nothing but 500 is asked ever more rarely, as any that is down.
    for _ in range(FAILURES):
        with pytest.raises(StoreUnavailableError):
            store.put_if("b", "k", b"1", "before")
    for pause in (1, 2, 4):
        clock.now += pause
        with pytest.raises(StoreUnavailableError, match="500"):
            store.put_if("b", "k", b"1", "before")
        with pytest.raises(StoreUnavailableError, match=f"asked again in {2 * pause} s"):
            store.put_if("b", "k", b"1", "before")


def test_refusals_of_a_store_are_answers(clock: Clock) -> None:
    """412 is how a race is lost, 404 that nothing is there: neither opens the breaker, nor is hidden by it."""
    wire = Wire(503, 503, 412, 200, 503, 404, 503, 503)  # after the 412, a look at who has won
    store, breaker = s3(wire, clock)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            store.put_new("b", "k", b"1")
    assert store.put_new("b", "k", b"1") is False
    with pytest.raises(StoreUnavailableError):
        store.get("b", "k")
    with pytest.raises(ObjectAbsentError):
        store.get("b", "k")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            store.get("b", "k")
    assert not breaker.open
