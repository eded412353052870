"""The drop box: what is whole is taken, what is refused is told once, and none keeps another."""

from __future__ import annotations

import io
import logging
import zipfile
from datetime import timedelta
from typing import Any, Literal

import pytest

from functions.product_intake import step
from functions.product_intake.box import Box
from functions.product_intake.step import ProductIntake
from shared import steering
from shared.bootstrap import Services
from shared.errors import ConfigurationError, StoreUnavailableError
from shared.ledger import keys
from shared.ledger.records import Complete, Drop, Outcome
from shared.settings import Settings
from shared.steering import Done
from tests.faults.test_given import FILES, GIVEN, IMAGE, NAME, manifest, run
from tests.support.house import Crash, House

BOX = "s3://s2-inbox/in/"
WHOLE = FILES | {"manifest.safe": manifest(**{IMAGE: 3, "MTD_MSIL1C.xml": 4})}
OTHER = NAME.replace("T32TQM", "T32TPM")
MINUTE = 60.0


def put(made: House, name: str = NAME, files: dict[str, bytes] | None = None) -> None:
    for path, content in (WHOLE if files is None else files).items():
        made.memory.put("s2-inbox", f"in/{name}/{path}", content)


def packed(files: dict[str, bytes], name: str = NAME) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for path, content in files.items():
            file.writestr(f"{name}/{path}", content)
    return held.getvalue()


def look(made: House, minutes: float = 2) -> int:
    """A tick, ``minutes`` later, of an instance that remembers nothing."""
    made.clock.advance(minutes * MINUTE)
    return ProductIntake(made.operator()[0]).run()


def drops(made: House) -> list[Drop]:
    ledger = made.services.ledger
    return [ledger.read(info.key, Drop) for info in ledger.list(keys.DROPS)]


@pytest.fixture
def made() -> House:
    return House(settings=Settings(sweep_grace_s=15, retry_delay_s=5, drop_box=BOX))


def test_a_folder_that_is_dropped_becomes_a_level_2a_product(made: House) -> None:
    put(made)
    assert look(made) == 1
    assert [(drop.place, drop.session, drop.refused) for drop in drops(made)] == [(f"{BOX}{NAME}", GIVEN, "")]
    account = run(made)
    assert [(entry.step, entry.ended) for entry in account.entries] == [("l2a", "produced")]
    assert made.dead == []


def test_an_archive_of_any_name_is_taken_at_once_and_read_once(made: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made.memory.put("s2-inbox", "in/any.zip", packed(WHOLE))
    assert look(made, 0) == 1
    given = made.services.ledger.read(keys.complete(GIVEN), Complete).given
    assert given is not None
    outcome = made.services.ledger.read(given.key(GIVEN).outcome, Outcome)
    assert "product-intake" in outcome.reason
    assert f"dropped into {BOX}" in outcome.reason
    monkeypatch.setattr(step, "submit", lambda *_args, **_more: pytest.fail("read again"))
    assert look(made) == 0


@pytest.mark.parametrize("lacking", ["manifest.safe", IMAGE, "MTD_MSIL1C.xml"])
def test_a_folder_that_is_still_coming_is_waited_for_in_silence(
    made: House, lacking: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    put(made, files={path: content for path, content in WHOLE.items() if path != lacking})
    assert [look(made) for _ in range(5)] == [0] * 5
    assert (drops(made), caplog.records) == ([], [])
    put(made, files={lacking: WHOLE[lacking]})
    assert look(made) == 1


def test_a_file_that_is_shorter_than_its_manifest_says_is_waited_for(made: House) -> None:
    put(made, files=WHOLE | {IMAGE: b"j"})
    assert (look(made), drops(made)) == (0, [])
    put(made, files={IMAGE: WHOLE[IMAGE]})
    assert look(made) == 1


def test_what_no_manifest_lists_may_come_after_it(made: House) -> None:
    put(made)
    assert look(made, 0.5) == 0
    put(made, files={"HTML/banner_1.png": b"png"})
    assert look(made, 0.9) == 0
    assert look(made, 0.2) == 1


@pytest.mark.parametrize(("lacking", "told"), [("manifest.safe", "has no manifest.safe"), (IMAGE, "B02.jp2: expected")])
def test_what_never_becomes_whole_is_told_once(
    made: House, lacking: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    put(made, files={path: content for path, content in WHOLE.items() if path != lacking})
    assert look(made, 29) == 0
    assert drops(made) == []
    assert [look(made, 1) for _ in range(3)] == [0, 0, 0]
    (drop,) = drops(made)
    assert told in drop.refused
    assert len(caplog.records) == 1
    put(made, files={lacking: WHOLE[lacking]})  # it came after all
    assert look(made) == 1


def test_pages_that_never_come_keep_a_product_no_longer_than_that(made: House) -> None:
    put(made, files=WHOLE | {"manifest.safe": manifest(**{IMAGE: 3, "HTML/index.html": 9})})
    assert (look(made, 29), look(made, 1)) == (0, 1)


def test_what_is_refused_is_told_once_and_tried_again_when_it_changes(
    made: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    made.memory.put("s2-inbox", "in/any.zip", packed(WHOLE)[:-30])
    assert [look(made) for _ in range(2)] == [0, 0]
    (drop,) = drops(made)
    assert "expected a .zip that can be read" in drop.refused
    assert len(caplog.records) == 1
    made.memory.put("s2-inbox", "in/any.zip", packed(WHOLE))
    assert look(made) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("notes.txt", "the folder of a SAFE product, or its archive"),
        ("x\n\ud7ff.zip", "steps of letters"),
        ("x.SAFE/manifest.safe", "product name"),
        (f"{NAME.replace('L1C', 'L2A')}/manifest.safe", "nothing follows l2a"),
    ],
)
def test_what_is_no_product_is_told_and_keeps_no_other(made: House, name: str, told: str) -> None:
    put(made)
    made.memory.put("s2-inbox", f"in/{name}", b"<m/>")
    made.memory.put("s2-inbox", "in/.DS_Store", b"x")
    made.memory.put("s2-inbox", "in/", b"")
    assert look(made) == 1
    look(made, 31)
    (refused,) = [drop.refused for drop in drops(made) if drop.refused]
    assert told in refused
    assert all(drop.place.isascii() and drop.place.isprintable() for drop in drops(made))


def test_another_product_of_a_known_name_is_told(made: House) -> None:
    put(made)
    look(made)
    put(made, files={"MTD_MSIL1C.xml": b"<b/>"})
    assert look(made) == 0
    assert [drop.refused for drop in drops(made) if "other content" in drop.refused]


def test_what_is_taken_away_meanwhile_is_nobodys_trouble(made: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(made)

    def taken_away(*args: Any, **more: Any) -> list[Done]:
        for path in WHOLE:
            made.memory.delete("s2-inbox", f"in/{NAME}/{path}")
        return steering.submit(*args, **more)

    monkeypatch.setattr(step, "submit", taken_away)
    assert look(made) == 0
    assert drops(made) == []


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), ConfigurationError("no such set"), KeyError("bug")])
def test_trouble_that_is_not_the_products_keeps_no_other_and_is_raised(
    made: House, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(made)
    put(made, OTHER)

    tried: list[str] = []

    def the_first_fails(services: Services, place: str, **more: Any) -> list[Done]:
        tried.append(place)
        if len(tried) == 1:
            raise error
        return steering.submit(services, place, **more)

    monkeypatch.setattr(step, "submit", the_first_fails)
    with pytest.raises(type(error)):
        look(made)
    assert [drop.place for drop in drops(made)] == tried[1:]
    assert len(tried) == 2
    monkeypatch.setattr(step, "submit", steering.submit)
    assert look(made) == 1


def test_a_look_ends_when_its_time_is_over_and_the_next_goes_on(made: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(made)
    put(made, OTHER)

    def long(*args: Any, **more: Any) -> list[Done]:
        made.clock.advance(300)
        return steering.submit(*args, **more)

    monkeypatch.setattr(step, "submit", long)
    assert (look(made), look(made)) == (1, 1)


def test_no_product_stands_before_the_others_at_each_look(made: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put(made)
    put(made, OTHER)
    first: list[str] = []

    def dies(_services: Services, place: str, **_more: Any) -> list[Done]:
        first.append(place)
        raise Crash

    monkeypatch.setattr(step, "submit", dies)
    for _ in range(12):
        with pytest.raises(Crash):
            look(made)
    assert len(set(first)) == 2


def test_two_instances_at_once_submit_it_once(made: House) -> None:
    put(made)
    made.clock.advance(2 * MINUTE)
    services, store = made.operator()
    others: list[int] = []
    # The other instance looks between any two requests of this one.
    store.meanwhile = lambda number: others.append(ProductIntake(made.operator()[0]).run()) if number % 3 == 0 else None
    ProductIntake(services).run()
    assert others
    assert [drop.session for drop in drops(made)] == [GIVEN]
    assert run(made).produced == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_cut_off_at_any_write_the_next_tick_goes_on(when: Literal["before", "after"]) -> None:
    writes = 0
    while True:
        made = House(settings=Settings(sweep_grace_s=15, retry_delay_s=5, drop_box=BOX))
        put(made)
        made.memory.put("s2-inbox", "in/any.zip", packed({**WHOLE, "manifest.safe": b"<m/>"}, OTHER))
        made.clock.advance(2 * MINUTE)
        services, store = made.operator()
        store.crash_at = (writes + 1, when)
        try:
            assert ProductIntake(services).run() == 2
        except Crash:
            writes += 1
            look(made)
            assert len([drop for drop in drops(made) if drop.session]) == 2, f"{when} write {writes}"
            assert run(made).produced == 1
        else:
            break
    assert writes > 10


def test_without_a_box_nothing_is_asked(made: House) -> None:
    services, store = made.operator()
    vars(services)["settings"] = Settings()
    store.meanwhile = lambda _number: pytest.fail("asked")
    assert ProductIntake(services).run() == 0


@pytest.mark.parametrize(
    ("setting", "box"),
    [
        ("s3://s2-inbox", Box("s2-inbox", "")),
        ("s3://s2-inbox/", Box("s2-inbox", "")),
        ("s3://s2-inbox/a/b", Box("s2-inbox", "a/b/")),
        ("s3://s2-inbox/a/", Box("s2-inbox", "a/")),
    ],
)
def test_a_box_is_a_bucket_or_a_part_of_one(setting: str, box: Box) -> None:
    assert Box.parse(Settings(drop_box=setting).drop_box) == box


@pytest.mark.parametrize("setting", ["/tmp/in", "s3://", "s3://UP/", "s3://b/x", "s3://bucket/\n"])
def test_what_is_no_box_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="drop_box"):
        Settings(drop_box=setting)


def test_a_whole_bucket_is_a_box_too(made: House) -> None:
    made.memory.put("s2-inbox", "any.zip", packed(WHOLE))
    services, _ = made.operator()
    vars(services)["settings"] = Settings(drop_box="s3://s2-inbox")
    made.clock.advance(timedelta(minutes=1).total_seconds())
    assert ProductIntake(services).run() == 1
