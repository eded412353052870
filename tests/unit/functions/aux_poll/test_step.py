"""The auxiliary poll over a real HTTP service, with the store in memory and the clock under control."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.aux_poll.records import Cursor, Pending, Refused, cursor_key, pending_prefix, refused_prefix
from functions.aux_poll.step import AuxPoll
from shared.adapters.memory import MemoryStore
from shared.auxiliary.catalogue import AuxiliaryEntry
from shared.bootstrap import Services
from shared.domain.auxiliary.names import AuxiliaryName
from shared.errors import ConfigurationError
from shared.places import AuxipSettings
from shared.settings import Settings
from tests.support.auxiliary import delivered, named, tarred
from tests.support.house import START, VirtualClock
from tests.support.odata_server import Held, ODataServer

BUCKET = "s2-auxiliary"


class Centre:
    """One AUXIP, and a service that polls it. Instances come and go: what counts is in the store."""

    def __init__(self, server: ODataServer, **auxip: Any) -> None:
        self.server, self.clock = server, VirtualClock()
        self.store = MemoryStore(self.clock)
        self.settings = Settings(auxip=(AuxipSettings(name="adgs", url=server.url, timeout_s=5, page=4, **auxip),))
        self.restart()
        self.tick(0)

    def restart(self) -> None:
        services = Services(self.settings, self.clock)
        vars(services).update(store=self.store)
        self.poll = AuxPoll(services)

    def tick(self, seconds: float = 60) -> None:
        self.clock.advance(seconds)
        self.server.now = self.clock.now()

    def publish(self, name: AuxiliaryName, body: bytes | None = None, *, late: float = 0, **more: Any) -> Held:
        return self.server.publish(f"{name}.TGZ", delivered(name) if body is None else body, late=late, **more)

    def usable(self, kind: str = "AUX_ECMWFD") -> list[str]:
        return [name.text for name in self.poll.intake.catalogue.names(kind)]

    def entry(self, name: AuxiliaryName) -> AuxiliaryEntry:
        return self.poll.intake.catalogue.find(name.text)

    def pending(self) -> list[Pending]:
        keys = [info.key for info in self.store.list(BUCKET, pending_prefix("adgs"))]
        return self.poll.records.read_many(keys, Pending)

    def refused(self) -> list[Refused]:
        keys = [info.key for info in self.store.list(BUCKET, refused_prefix("adgs"))]
        return self.poll.records.read_many(keys, Refused)

    def cursor(self) -> Cursor:
        return self.poll.records.read(cursor_key("adgs"), Cursor)

    def begins(self) -> list[str]:
        """Where the listings began, each once, in their order."""
        asked = [path.partition("PublicationDate%20ge%20")[2].partition("Z")[0] for path in self.server.listed()]
        return list(dict.fromkeys(asked))


@pytest.fixture
def server() -> Iterator[ODataServer]:
    with ODataServer().serving() as serving:
        yield serving


@pytest.fixture
def centre(server: ODataServer) -> Centre:
    return Centre(server)


NAMES = [named(start=n, stop=n + 2, created=n) for n in range(6)]


# usable in time -----------------------------------------------------------------------------------------------
def test_a_file_is_usable_with_the_next_tick(centre: Centre) -> None:
    centre.poll.run()
    held = centre.publish(NAMES[0])
    centre.tick(60)
    assert centre.poll.run() == 1
    entry = centre.entry(NAMES[0])
    assert entry.published == held.published
    assert entry.created - held.published == timedelta(seconds=60)  # type: ignore[operator]
    assert (entry.source, entry.source_id) == ("adgs", held.id)
    assert centre.pending() == []
    assert centre.poll.run() == 0


def test_files_of_no_use_here_are_passed_over_without_a_word(centre: Centre) -> None:
    for file in (
        "S2__OPER_AUX_RESORB_POD__20220413T000000_V20220413T000000_20220414T000000.TGZ",
        "S1A_AUX_CAL_V20220413T000000_G20220413T000000.SAFE.zip",
        "S2_nonsense",
        f"{named('AUX_UT1UTC')}.TGZ".replace("_OPER_", "_TEST_"),
    ):
        centre.server.publish(file, b"x")
    assert centre.poll.run() == 0
    assert (centre.pending(), centre.refused()) == ([], [])


def test_excluded_types_are_left(server: ODataServer) -> None:
    centre = Centre(server, excluded=("GIP_PROBA2",), classes=("OPER", "TEST"))
    centre.publish(named("GIP_PROBA2", band="00"))
    centre.server.publish(f"{NAMES[0]}.TGZ".replace("_OPER_", "_TEST_"), tarred({"x": b"1"}))
    assert centre.poll.run() == 1
    assert centre.poll.intake.catalogue.types() == ["AUX_ECMWFD"]


# nothing is missed --------------------------------------------------------------------------------------------
def test_what_becomes_visible_after_a_later_one_is_not_missed(centre: Centre) -> None:
    centre.publish(NAMES[0])
    centre.poll.run()
    centre.tick(1800)
    centre.publish(NAMES[1])
    centre.poll.run()
    centre.tick(60)
    centre.publish(NAMES[2], late=3000)  # published before both of them were seen
    centre.poll.run()
    assert centre.usable() == [name.text for name in NAMES[:3]]


def test_what_becomes_visible_much_later_is_found_by_the_long_listing(centre: Centre) -> None:
    centre.publish(NAMES[0])
    centre.poll.run()
    centre.publish(NAMES[1], late=86400)
    centre.tick(60)
    assert centre.poll.run() == 0
    centre.tick(3600)
    assert centre.poll.run() == 1


def test_ties_of_the_publication_date_are_not_missed(server: ODataServer) -> None:
    centre = Centre(server, overlap_s=0)
    centre.publish(NAMES[0])
    centre.poll.run()
    centre.publish(NAMES[1])  # the same moment
    centre.tick(60)
    assert centre.poll.run() == 1


@pytest.mark.parametrize("skew", [-7200, -30, 30, 7200])
def test_the_clocks_may_differ(centre: Centre, skew: float) -> None:
    """The service's clock is ahead or behind: its dates are what counts, and its visibility."""
    for name in NAMES:
        held = centre.publish(name)
        assert held.published is not None
        held.published += timedelta(seconds=skew)
        centre.poll.run()
        centre.tick(600)
    centre.poll.run()
    assert centre.usable() == [name.text for name in NAMES]


def test_a_date_that_is_to_come_does_not_hide_what_follows(centre: Centre) -> None:
    held = centre.publish(NAMES[0])
    held.published = START + timedelta(days=3000)
    centre.poll.run()
    assert centre.cursor().newest == START
    centre.tick(60)
    centre.publish(NAMES[1])
    assert centre.poll.run() == 1


def test_a_product_without_a_date_is_taken(centre: Centre) -> None:
    held = centre.publish(NAMES[0])
    held.published = None
    assert centre.poll.run() == 1
    assert centre.entry(NAMES[0]).published is None


def test_a_listing_that_breaks_off_does_not_move_on(centre: Centre) -> None:
    centre.poll.run()
    before = centre.cursor().newest
    centre.tick(60)
    for name in NAMES:
        centre.publish(name)
    centre.server.before_list = lambda _n: centre.server.trouble.extend(
        [500] if len(centre.server.trouble) == 0 else []
    )
    centre.poll.run()
    assert centre.cursor().newest == before
    assert len(centre.usable()) == 4  # the first page was kept, and taken in
    centre.server.before_list = None
    centre.server.trouble.clear()
    centre.poll.run()
    assert centre.usable() == [name.text for name in NAMES]


def test_no_publication_no_growth(centre: Centre) -> None:
    """An hour of quiet: the listings begin where they began, and one or two requests make a tick."""
    centre.publish(NAMES[0])
    centre.poll.run()
    centre.tick(60)
    centre.server.requests.clear()
    for _ in range(30):
        centre.restart()
        centre.poll.run()
        centre.tick(60)
    assert len(centre.begins()) == 1
    assert len(centre.server.requests) == 60


def test_the_first_listing_begins_so_many_days_ago(server: ODataServer) -> None:
    centre = Centre(server, first_days=2)
    centre.poll.run()
    assert centre.begins() == ["2026-11-20T10:00:00.000"]


# trouble ------------------------------------------------------------------------------------------------------
def test_a_file_that_cannot_be_read_is_tried_again_with_pauses_and_for_ever(centre: Centre) -> None:
    centre.publish(NAMES[0])
    centre.server.cut = 10
    for _ in range(20):
        centre.poll.run()
        centre.tick(60)
    (pending,) = centre.pending()
    assert 6 < pending.tries < 15
    assert "adgs" in pending.trouble
    centre.server.cut = None
    centre.tick(900)
    assert centre.poll.run() == 1
    assert centre.pending() == []


def test_a_hostile_file_is_refused_in_the_end_and_not_fetched_again(centre: Centre) -> None:
    centre.publish(NAMES[0], tarred({"../../x": b"1"}, "w:gz"))
    for _ in range(20):
        centre.poll.run()
        centre.tick(60)
    assert (centre.pending(), centre.usable()) == ([], [])
    (refused,) = centre.refused()
    assert refused.tries == 6
    assert "plain relative path" in refused.reason
    centre.restart()
    centre.server.requests.clear()
    centre.poll.run()
    assert not [path for _, path, _ in centre.server.requests if "$value" in path]


def test_a_name_that_is_none_of_its_type_is_refused_at_once_and_once(centre: Centre) -> None:
    centre.publish(named("GIP_VIEDIR", satellite="S2A", band="00"))
    for _ in range(2):
        centre.poll.run()
        centre.restart()
        centre.tick()
    (refused,) = centre.refused()
    assert refused.reason.endswith("'a file of this type is of one band, and its name says none'")


def test_a_checksum_that_does_not_fit_is_no_file(centre: Centre) -> None:
    held = centre.publish(NAMES[0], Checksum=[{"Algorithm": "MD5", "Value": "0" * 32}])
    centre.poll.run()
    assert "MD5" in centre.pending()[0].trouble
    held.fields.clear()
    held.body = b"no matter"
    assert centre.usable() == []


def test_wrong_credentials_refuse_no_file(server: ODataServer) -> None:
    centre = Centre(server)
    centre.publish(NAMES[0])
    server.before_list = lambda _n: setattr(server, "auth", "basic")
    for _ in range(10):
        server.auth = "none"  # until the first page is listed
        with pytest.raises(ConfigurationError):
            centre.poll.run()
        centre.tick(900)
    assert centre.pending()[0].tries == 10
    assert centre.refused() == []


def test_one_source_that_is_away_is_one_warning_and_the_other_is_polled(
    server: ODataServer, caplog: pytest.LogCaptureFixture
) -> None:
    centre = Centre(server)
    down = AuxipSettings(name="a-down", url="http://127.0.0.1:9/odata/v1", timeout_s=1)
    centre.settings = centre.settings.model_copy(update={"auxip": (down, *centre.settings.auxip)})
    centre.restart()
    centre.publish(NAMES[0])
    with caplog.at_level(logging.WARNING):
        assert centre.poll.run() == 1
    assert [log.message.partition(",")[0] for log in caplog.records if log.name.startswith("functions")] == [
        "AUXIP a-down is away"
    ]


def test_one_source_that_refuses_us_is_told_when_the_others_were_polled(server: ODataServer) -> None:
    centre = Centre(server)
    with ODataServer(auth="basic").serving() as other:
        refusing = AuxipSettings(name="a-refusing", url=other.url, timeout_s=5)
        centre.settings = centre.settings.model_copy(update={"auxip": (refusing, *centre.settings.auxip)})
        centre.restart()
        centre.publish(NAMES[0])
        with pytest.raises(ConfigurationError, match="a-refusing"):
            centre.poll.run()
    assert centre.usable() == [NAMES[0].text]


def test_a_poll_whose_time_is_over_begins_no_further_file_and_the_next_goes_on(server: ODataServer) -> None:
    centre = Centre(server)
    centre.settings = centre.settings.model_copy(update={"aux_budget_s": 0.5})
    centre.restart()
    for name in NAMES:
        centre.publish(name)
    listed = centre.poll.intake.catalogue.has
    centre.store.watchers.append(lambda _b, info: centre.clock.advance(1) if info.key.endswith("entry.json") else None)
    assert listed(NAMES[0]) is False
    assert 0 < centre.poll.run() < len(NAMES)
    for _ in NAMES:
        centre.poll.run()
    assert centre.usable() == [name.text for name in NAMES]


def test_a_tick_that_comes_while_another_is_under_way_leaves_the_work_to_it(centre: Centre) -> None:
    counts = []

    def tick_again(_query: int) -> None:
        thread = threading.Thread(target=lambda: counts.append(centre.poll.run()))
        thread.start()
        thread.join()

    centre.server.before_list = tick_again
    centre.publish(NAMES[0])
    assert centre.poll.run() == 1
    assert set(counts) == {0}


@pytest.mark.parametrize("dies_at", range(1, 12))
def test_wherever_an_instance_dies_the_next_one_goes_on(centre: Centre, dies_at: int) -> None:
    class Died(BaseException):
        pass

    writes = 0

    def die(_bucket: str, _info: object) -> None:
        nonlocal writes
        writes += 1
        if writes == dies_at:
            raise Died

    centre.publish(NAMES[0])
    centre.store.watchers.append(die)
    try:
        centre.poll.run()
    except Died:
        centre.restart()
        centre.tick(60)
        centre.poll.run()
    assert centre.usable() == [NAMES[0].text]
    assert centre.pending() == []
    body, _ = centre.store.get(BUCKET, f"catalogue/AUX_ECMWFD/{NAMES[0]}.json")
    assert json.loads(body)["original"]["size"] == len(delivered(NAMES[0]))


def test_real_names_of_a_catalogue_come_in_whatever_the_quirks(server: ODataServer, real_data: Any) -> None:
    answer = json.loads((real_data / "auxiliary" / "catalogue_answer.json").read_text())
    names = [AuxiliaryName.parse(item["productName"]) for item in answer]
    server.most, server.links, server.relative, server.unsorted, server.redirect = 3, True, True, True, 307
    centre = Centre(server)
    for name in names:
        centre.publish(name, late=(name.creation - datetime(2015, 1, 1, tzinfo=name.creation.tzinfo)).days)
    for _ in range(3):
        centre.poll.run()
        centre.tick(60)
    assert centre.usable("GIP_VIEDIR") == sorted(name.text for name in names)
