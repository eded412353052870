"""Work that waits for auxiliary files: a whole session in memory, with files that come late, or never."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from functions.aux_poll.step import AuxPoll
from functions.cli.asking import work_cause
from functions.cli.items import work_rows
from functions.cli.places import Place
from shared.domain.auxiliary.names import BANDS
from shared.domain.events import Event, object_created
from shared.joborder import parse_job_order
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords, sort_work
from shared.ledger.provision import ARRIVALS, Provision, Waiting
from shared.ledger.records import Account, Order
from shared.places import AuxipSettings
from shared.settings import Settings
from shared.steering import retry
from tests.support.auxiliary import AWAITING, delivered, for_l0u, for_l2, named, take_in
from tests.support.house import START, Delivery, House
from tests.support.odata_server import ODataServer
from tests.support.standin import SESSION, StandInStation

EXPECTED = 1 + 2 + 2 + 2  # L0 datastrip, L0 granules, L1C tiles, L2A tiles
SETTINGS = Settings(
    sweep_grace_s=15, retry_delay_s=5, session_wait_s=300, transfer_part_mb=5, processor_set=str(AWAITING)
)


def house(**changes: object) -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station, **{"settings": SETTINGS, **changes})  # type: ignore[arg-type]  # keyword arguments


def work(made: House, step: str) -> list[WorkRecords]:
    found = sort_work(made.services.ledger.list(f"sessions/{SESSION}/work/"))
    return [each for each in found.values() if each.place.step == step]


def ticked(made: House, count: int = 6) -> House:
    for _ in range(count):
        made.tick()
    return made


def orders(made: House, step: str) -> list[Order]:
    ledger = made.services.ledger
    return [ledger.read(each.place.order, Order) for each in work(made, step) if each.order]


def produced(account: Account | None) -> tuple[int, int, int]:
    assert account is not None
    return account.produced, account.absent, account.parked


def left_over(made: House) -> list[str]:
    """What of the projection is there: nobody waits any longer."""
    ledger = made.services.ledger
    cursors = [i.key for i in ledger.list(ARRIVALS) if i.key.count("/") == 2]
    return [*cursors, *(i.key for i in ledger.list("waiting/"))]


def test_an_order_names_the_files_that_were_chosen_and_holds_what_is_read_out_of_them() -> None:
    made = house()
    for_l0u(made.services)
    for_l2(made.services)
    account = made.run()
    assert produced(account) == (EXPECTED, 0, 0)
    (order,) = orders(made, "l0u")
    assert [name[9:19] for name in order.auxiliary] == ["AUX_UT1UTC", "GIP_ATMIMA", "GIP_ATMSAD", "GIP_DATATI"]
    assert (order.parameters["gps_to_tai"], order.parameters["tai_to_utc"]) == ("19", "-37")
    assert order.warnings == ()
    decision = made.services.ledger.read(work(made, "l0u")[0].place.provision, Provision)
    assert decision.decision.chosen.files == order.auxiliary
    assert not any(each.waiting for each in work(made, "l2a"))


def test_work_waits_for_what_is_missing_and_is_ordered_with_the_event_of_its_coming() -> None:
    made = house()
    for_l0u(made.services, "GIP_DATATI", "GIP_ATMSAD", "AUX_UT1UTC")
    for_l2(made.services)
    ticked(made)
    (item,) = work(made, "l0u")
    waiting = made.services.ledger.read(item.place.waiting, Waiting)
    assert item.order is None
    assert [str(each.wanted) for each in waiting.awaited] == ["GIP_ATMIMA"]
    assert waiting.until == waiting.created + timedelta(seconds=600)
    assert "parked" in waiting.awaited[0].then
    assert left_over(made) == [f"waiting/GIP_ATMIMA/{left_over(made)[0][-69:]}"]
    for_l0u(made.services, "GIP_ATMIMA")
    made.deliver()
    assert len(orders(made, "l0u")) == 1
    assert produced(made.run()) == (EXPECTED, 0, 0)
    assert left_over(made) == []
    assert made.dead == []


def test_only_those_that_wait_for_the_type_are_asked() -> None:
    asked: list[str] = []
    made = house()
    for_l0u(made.services)
    ticked(made, 10)
    assert len(work(made, "l2a")) == 2
    real = made.functions["job-preparation"]

    def watched(event: Event) -> object:
        asked.append(event.subject)
        return real(event)

    made.functions["job-preparation"] = watched
    before = made.store.writes
    take_in(made.services, named("GIP_VIEDIR", 0, 3650, band="01"))
    made.deliver()
    assert asked == ["arrivals/GIP_VIEDIR.json"]
    written = made.store.writes - before
    assert written == len([*made.memory.list(made.settings.bucket_auxiliary, "files/GIP_VIEDIR/")]) + 2


def test_with_every_notification_lost_the_sweep_alone_brings_the_file_to_the_work() -> None:
    made = house(delivery=Delivery(copies=lambda _event: 0))
    ticked(made, 8)
    assert all(item.asks for item in work(made, "l0u"))
    for_l0u(made.services, told=False)
    made.tick()
    made.tick()
    assert len(orders(made, "l0u")) == 1
    for_l2(made.services, told=False)
    assert produced(made.run()) == (EXPECTED, 0, 0)


def test_a_wait_that_nothing_is_told_of_ends_at_its_deadline_without_its_timer() -> None:
    made = house()
    ticked(made, 6)
    for info in list(made.memory.list(made.settings.bucket_ledger, "timers/")):
        made.memory.delete(made.settings.bucket_ledger, info.key)
    assert produced(made.run()) == (0, 0, 4)


def test_what_does_not_come_parks_the_work_with_type_policy_wait_and_remedy() -> None:
    made = house()
    for_l0u(made.services, "AUX_UT1UTC", "GIP_DATATI", "GIP_ATMSAD")
    account = made.run()
    assert account.produced == 0
    reasons = {entry.reason for entry in account.entries if entry.level == "L0"}
    (reason,) = reasons
    for told in ("GIP_ATMIMA", "LatestValCover", "600 s", "parked as configured", "S2A", "Retry once"):
        assert told in reason
    assert left_over(made) == []
    (item,) = work(made, "l0u")
    assert item.order is None
    assert made.clock.now() >= START + timedelta(seconds=600)


def test_a_retry_asks_again_and_goes_on_where_the_file_has_come() -> None:
    made = house()
    for_l2(made.services)
    made.run()
    retry(made.operator()[0], SESSION, who="ada", reason="try")
    account = made.run()
    assert produced(account) == (0, 0, 4)  # at once: its time was over long since
    assert account.reopened == 1
    for_l0u(made.services, told=False)
    (item,) = work(made, "l0u")
    retry(made.operator()[0], item.place.prefix, who="ada", reason="the files are there")
    assert produced(made.run()) == (EXPECTED, 0, 0)
    assert made.dead == []


def test_a_retry_whose_every_notification_is_lost_is_found_by_the_sweep() -> None:
    made = house()
    for_l2(made.services)
    made.run()
    for_l0u(made.services, told=False)
    made.delivery = Delivery(copies=lambda _event: 0)
    retry(made.operator()[0], SESSION, who="ada", reason="the files are there")
    assert produced(made.run()) == (EXPECTED, 0, 0)


def test_a_fallback_is_taken_at_its_time_and_stands_on_the_order_as_a_warning() -> None:
    made = house()
    for_l0u(made.services, "GIP_ATMIMA", "GIP_DATATI", "GIP_ATMSAD")
    take_in(made.services, named("AUX_UT1UTC", -10, -3), b"TAI-UTC = 36.000 000 seconds")
    for_l2(made.services)
    account = made.run()
    assert produced(account) == (EXPECTED, 0, 0)
    (order,) = orders(made, "l0u")
    assert order.parameters["tai_to_utc"] == "-36"
    assert len(order.warnings) == 1
    assert "AUX_UT1UTC: none by LatestValCover within 300 s, fallen back to LatestValidity" in order.warnings[0]
    assert order.created < START + timedelta(seconds=300) < made.clock.now()


def test_a_file_that_cannot_be_read_parks_the_work_by_name_and_a_newer_one_serves() -> None:
    made = house()
    for_l0u(made.services, "AUX_UT1UTC", "GIP_ATMIMA", "GIP_ATMSAD")
    take_in(made.services, named("GIP_DATATI", 0, 3650, band="00"), b"<G><DATA/></G>")
    for_l2(made.services)
    account = made.run()
    assert produced(account) == (0, 0, 4)
    assert any("GIP_DATATI" in e.reason and "GPS_TIME_TAI" in e.reason for e in account.entries)
    newer = named("GIP_DATATI", 0, 3650, 1, band="00")
    take_in(made.services, newer, b"<G><GPS_TIME_TAI>-19</GPS_TIME_TAI></G>")
    retry(made.operator()[0], SESSION, who="ada", reason="there is a newer one")
    assert produced(made.run()) == (EXPECTED, 0, 0)
    assert newer.text in orders(made, "l0u")[0].auxiliary


def test_the_first_decision_stands_whatever_comes_after_it() -> None:
    made = house()
    for_l0u(made.services)
    ticked(made, 4)
    (item,) = work(made, "l0u")
    first = made.services.ledger.read(item.place.order, Order)
    made.memory.delete(made.settings.bucket_ledger, item.place.order)  # as if a crash had come before it
    take_in(made.services, named("GIP_DATATI", 0, 3650, 1, band="00"), b"<G><GPS_TIME_TAI>-20</GPS_TIME_TAI></G>")
    for_l2(made.services)
    made.functions["job-preparation"](object_created("s2-ledger", keys.complete(SESSION), "again"))
    assert made.services.ledger.read(item.place.order, Order) == first


def test_a_tile_waits_for_its_files_and_keeps_no_other_step_waiting() -> None:
    made = house()
    for_l0u(made.services)
    ticked(made, 12)
    assert [each.asks for each in work(made, "l2a")] == [True, True]
    assert all(each.outcome for each in work(made, "l1c"))
    for_l2(made.services)
    assert produced(made.run()) == (EXPECTED, 0, 0)


def test_a_file_that_is_published_reaches_the_waiting_work_within_two_minutes() -> None:
    name = named("GIP_ATMIMA", 0, 3650, band="00")
    with ODataServer().serving() as server:
        auxip = (AuxipSettings(name="adgs", url=server.url, timeout_s=5),)
        made = house(settings=SETTINGS.model_copy(update={"auxip": auxip}))
        poll = AuxPoll(made.services)
        for_l0u(made.services, "GIP_DATATI", "GIP_ATMSAD", "AUX_UT1UTC")
        ticked(made)
        assert [item.asks for item in work(made, "l0u")] == [True]
        server.now = published = made.clock.now()
        server.publish(f"{name}.TGZ", delivered(name))
        while not orders(made, "l0u"):
            made.clock.advance(60)
            server.now = made.clock.now()
            poll.run()
            made.deliver()
            assert made.clock.now() - published <= timedelta(minutes=2)


def test_why_says_what_is_waited_for_until_when_and_what_then() -> None:
    made = house()
    for_l0u(made.services, "AUX_UT1UTC", "GIP_DATATI", "GIP_ATMSAD")
    ticked(made, 6)
    cause = work_cause(Place("store", "memory", made.services), work(made, "l0u")[0].place)
    assert cause.stands == "waiting"
    for told in ("GIP_ATMIMA", "LatestValCover", "until 2026-11-22T10:1", "then it is parked"):
        assert told in cause.sentence
    assert cause.slack_s is not None
    (row,) = [each for each in work_rows(made.services, [SESSION]) if each.step == "l0u"]
    assert (row.stands, row.attempts) == ("waiting", 0)
    assert row.reason.startswith("auxiliary file GIP_ATMIMA (LatestValCover) until")
    made.run()
    parked = work_cause(Place("store", "memory", made.services), work(made, "l0u")[0].place)
    assert parked.stands == "failed"
    assert "attempt" not in parked.sentence
    assert parked.fix == ("retry", work(made, "l0u")[0].place.prefix)


def _late(made: House) -> Account:
    """The files come while the work waits, in pieces; then the session ends."""
    hands, _ = made.operator()
    made.tick()
    made.tick()
    for_l0u(hands, "GIP_DATATI", "GIP_ATMSAD")
    ticked(made, 3)
    for_l0u(hands, "GIP_ATMIMA", "AUX_UT1UTC")
    ticked(made, 8)
    for_l2(hands)
    return made.run()


@pytest.fixture(scope="module")
def reference() -> House:
    made = house()
    _late(made)
    return made


def _same(made: House, reference: House) -> None:
    assert produced(made.account) == (EXPECTED, 0, 0)
    assert made.orders() == reference.orders()
    assert left_over(made) == []
    assert made.dead == []


@pytest.mark.parametrize("seed", range(10))
def test_in_any_order_doubled_and_lost_at_random_the_end_is_the_same(seed: int, reference: House) -> None:
    dice = random.Random(seed)
    made = house(delivery=Delivery(copies=lambda _event: dice.choice([0, 1, 1, 2, 3]), shuffle=dice))
    _late(made)
    _same(made, reference)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_while_work_waits_loses_nothing(when: str, reference: House) -> None:
    counted = house()
    _late(counted)
    for point in range(10, counted.store.writes, 3):
        made = house()
        made.store.crash_at = (point, "before" if when == "before" else "after")
        _late(made)
        assert made.crashes == 1, f"no crash {when} write {point}"
        _same(made, reference)


OPEN = SETTINGS.model_copy(update={"processor_set": "open"})
OPTIONAL = {"AUX_UT1UTC": (None,), "GIP_SPAMOD": ("00",), "GIP_VIEDIR": BANDS, "AUX_CAMSFO": (None,)}


def told(made: House, item: WorkRecords) -> dict[str, tuple[str, int]]:
    """The inputs of an item's job order that come from auxiliary files: how they are named, and how many there are."""
    body, _ = made.store.get(made.services.ledger.bucket, item.place.job_order)
    inputs = parse_job_order(body).tasks[0].inputs
    assert all(name.startswith("{aux}/S2IPF-") for i in inputs if i.file_type in OPTIONAL for name in i.names)
    return {i.file_type: (i.file_name_type, len(i.names)) for i in inputs if i.file_type[:4] in {"AUX_", "GIP_"}}


def test_open_processors_are_given_what_is_there_and_their_job_orders_name_it() -> None:
    made = house(settings=OPEN)
    for kind, bands in OPTIONAL.items():
        for band in bands:
            take_in(made.services, named(kind, 0, 3650, band=band))
    assert produced(made.run()) == (EXPECTED, 0, 0)
    geometry = {"AUX_UT1UTC": ("Physical", 1), "GIP_SPAMOD": ("Physical", 1), "GIP_VIEDIR": ("Physical", 13)}
    for step, expected in (("l0u", {}), ("l0c", geometry), ("l1b", geometry), ("l1c", {})):
        assert [told(made, item) for item in work(made, step)] == [expected] * len(work(made, step)), step
    assert [told(made, item) for item in work(made, "l2a")] == [{"AUX_CAMSFO": ("Directory", 1)}] * 2
    for item in work(made, "l2a"):
        decision = made.services.ledger.read(item.place.provision, Provision).decision
        assert [str(each.requirement) for each in decision.chosen.without] == ["AUX_ECMWFD"]
        assert "gone on without" in decision.reason
    # The stand-ins' products do not tell when they were sensed; nothing else is wrong.
    warnings = {warning for step in ("l0c", "l1b", "l2a") for order in orders(made, step) for warning in order.warnings}
    assert {warning.split(":")[0] for warning in warnings} == {"the inputs do not tell when they were sensed"}


def test_open_processors_wait_for_nothing_that_is_not_there() -> None:
    made = house(settings=OPEN)
    assert produced(made.run()) == (EXPECTED, 0, 0)
    found = [item for step in ("l0c", "l1b", "l2a") for item in work(made, step)]
    assert [told(made, item) for item in found] == [{}] * len(found)
    assert not any(item.waiting for item in found)
    assert not any(order.auxiliary or order.warnings for step in ("l0c", "l1b", "l2a") for order in orders(made, step))


@pytest.mark.parametrize("ends", [True, False])
def test_a_file_that_comes_at_the_moment_in_which_its_wait_is_given_up(ends: bool) -> None:
    """Before each request of who gives up, another takes the file and orders the work; its Job ends then, or later."""
    number, met, ran, gave_up = 0, True, 0, 0
    while met:
        number += 1
        made = house()
        for_l0u(made.services, "AUX_UT1UTC", "GIP_DATATI", "GIP_ATMSAD")
        for_l2(made.services)
        ticked(made, 4)
        (item,) = work(made, "l0u")
        made.clock.instant = made.services.ledger.read(item.place.waiting, Waiting).until
        met = _file_comes(made, item.place.waiting, number, ends=ends)
        made.deliver()
        (item,) = work(made, "l0u")
        account = made.run()
        if made.launcher.states:
            ran += 1
            assert produced(account) == (EXPECTED, 0, 0), number
        else:
            gave_up += 1
            assert produced(account) == (0, 0, 4), number
            if not met:
                for_l0u(made.services, told=False)
            retry(made.operator()[0], SESSION, who="ada", reason="the files are there")
            assert produced(made.run()) == (EXPECTED, 0, 0), number
        assert left_over(made) == []
        assert made.dead == []
    assert ran > 3
    assert gave_up > 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_who_gives_up_a_wait_and_dies_at_any_write_is_followed_by_the_sweep(when: str) -> None:
    number, met = 0, True
    while met:
        number += 1
        made = house()
        for_l0u(made.services, "AUX_UT1UTC", "GIP_DATATI", "GIP_ATMSAD")
        ticked(made, 4)
        (item,) = work(made, "l0u")
        made.clock.instant = made.services.ledger.read(item.place.waiting, Waiting).until
        made.store.crash_at = (made.store.writes + number, "before" if when == "before" else "after")
        made.call("job-preparation", object_created("s2-ledger", item.place.waiting, "again"))
        met, made.store.crash_at = made.crashes > 0, None
        assert produced(made.run()) == (0, 0, 4), number
        for_l0u(made.services)
        for_l2(made.services)
        retry(made.operator()[0], SESSION, who="ada", reason="the files are there")
        assert produced(made.run()) == (EXPECTED, 0, 0), number
    assert number > 2


def _file_comes(made: House, waiting: str, number: int, *, ends: bool) -> bool:
    """Whoever is woken by ``waiting`` decides, and before its request of that number the missing file comes."""
    met = []

    def meanwhile(at: int) -> None:
        if at == number:
            made.store.meanwhile = None
            met.append(at)
            for_l0u(made.services, "GIP_ATMIMA")
            made.deliver()
            if ends:
                made._run_jobs()

    made.store.operations, made.store.meanwhile = 0, meanwhile
    made.functions["job-preparation"](object_created("s2-ledger", waiting, "again"))
    made.store.meanwhile = None
    return bool(met)
