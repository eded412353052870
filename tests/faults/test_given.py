"""A product made elsewhere is processed on, in a session of its own kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from shared import steering
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Account, Complete, Order, Outcome
from shared.ledger.standing import account_in_force
from shared.settings import Settings
from shared.steering import retry
from tests.support.house import START, Crash, Delivery, House
from tests.support.standin import JOINED, Outputs, script

NAME = "S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000.SAFE"
GIVEN = f"given-{NAME.removesuffix('.SAFE')}"
UNIT = "S20261122T093000-T32TQM"
FILES = {"MTD_MSIL1C.xml": b"<a/>", "GRANULE/L1C_T32TQM/IMG_DATA/B02.jp2": b"jp2", "manifest.safe": b"<m/>"}
submit = partial(steering.submit, who="ada@console", reason="made by another centre")


def dropped(made: House, files: dict[str, bytes] | None = None) -> str:
    for path, content in (FILES if files is None else files).items():
        made.memory.put(made.settings.bucket_sessions, f"dropped/{NAME}/{path}", content)
    return f"s3://{made.settings.bucket_sessions}/dropped/{NAME}"


def on_disk(folder: Path, files: dict[str, bytes] | None = None) -> str:
    for path, content in (FILES if files is None else files).items():
        (folder / NAME / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / NAME / path).write_bytes(content)
    return str(folder / NAME)


def run(made: House, ticks: int = 60) -> Account:
    for _ in range(ticks):
        made.tick()
        account = account_in_force(made.services.ledger, GIVEN)
        if account is not None and not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN)):
            return account
    raise AssertionError(f"the session never closed; its ledger:\n{made.story()}")


@pytest.fixture
def made() -> House:
    return House()


def test_a_product_in_the_store_becomes_a_level_2a_product(made: House) -> None:
    services, _ = made.operator()
    (done,) = submit(services, dropped(made))
    assert done.target == GIVEN
    account = run(made)
    assert account.last_sensed is None  # years ago, perhaps: nobody has waited since
    assert [(entry.step, entry.unit, entry.ended) for entry in account.entries] == [("l2a", UNIT, "produced")]
    (product,) = made.shelf()
    assert product.startswith("S2A_MSIL2A_20261122T093000")
    order = made.services.ledger.read(next(k for k in made.story().splitlines() if k.endswith("order.json")), Order)
    assert (order.t0, order.deadline - order.t0) == (START, account.entries[0].deadline - START)  # type: ignore[operator]
    outcome = made.services.ledger.read(order.inputs[0].outcome, Outcome)
    assert {(file.path, file.size) for file in outcome.outputs[0].files} == {(p, len(c)) for p, c in FILES.items()}
    assert made.dead == []


@pytest.mark.parametrize("copies", [0, 2])
def test_a_folder_is_brought_to_the_store_with_its_manifest_last(made: House, tmp_path: Path, copies: int) -> None:
    made.delivery = Delivery(copies=lambda _event: copies)
    brought: list[str] = []
    made.memory.watchers.append(lambda bucket, info: brought.append(info.key) if "sessions" in bucket else None)
    services, _ = made.operator()
    submit(services, on_disk(tmp_path))
    assert len(brought) == len(FILES)
    assert brought[-1].endswith(f"/{NAME}/manifest.safe")
    assert run(made).produced == 1


def test_level_2a_that_fails_is_parked_and_can_be_retried(made: House) -> None:
    def fails(order: Order) -> Outputs:
        return replace(script(order), status="failed")

    made.launcher.script = fails
    services, _ = made.operator()
    submit(services, dropped(made))
    account = run(made)
    assert (account.produced, account.parked) == (0, 1)
    made.launcher.script = script
    retry(services, GIVEN, who="ada@console", reason="mended")
    assert run(made).produced == 1


def test_submitted_again_nothing_is_done(made: House) -> None:
    services, _ = made.operator()
    place = dropped(made)
    submit(services, place)
    run(made)
    before = made.story()
    (done,) = submit(services, place)
    assert "submitted before" in done.note
    assert made.story() == before


def test_another_product_of_the_same_name_is_refused(made: House, tmp_path: Path) -> None:
    services, _ = made.operator()
    submit(services, dropped(made))
    with pytest.raises(RefusedError, match="other content"):
        submit(services, on_disk(tmp_path, {**FILES, "MTD_MSIL1C.xml": b"<b/>"}))


def test_cut_off_after_any_write_and_given_again_it_goes_on(made: House, tmp_path: Path) -> None:
    folder, writes = on_disk(tmp_path), 0
    while True:
        made = House()
        services, store = made.operator()
        store.crash_at = (writes + 1, "after")
        try:
            submit(services, folder)
        except Crash:
            writes += 1
            for _ in range(3):
                made.tick()
            made.clock.advance(30)
            submit(made.operator()[0], folder)
            assert run(made).produced == 1, f"after write {writes}"
        else:
            break
    assert writes > 6


def test_a_dry_run_writes_nothing(made: House, tmp_path: Path) -> None:
    services, _ = made.operator()
    (done,) = submit(services, on_disk(tmp_path), dry_run=True)
    assert keys.complete(GIVEN) in done.changes
    assert made.story() == ""


def _link(folder: Path) -> None:
    (folder / NAME / "x").symlink_to("/etc/passwd")


def _folder_link(folder: Path) -> None:
    (folder / NAME / "HTML").symlink_to("/etc")


def _odd(folder: Path) -> None:
    (folder / NAME / "x\n.xml").write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "said"), [(_link, "a file, not a link"), (_folder_link, "a file, not a link"), (_odd, "product, path")]
)
def test_a_hostile_folder_is_refused(made: House, tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    folder = on_disk(tmp_path)
    spoil(tmp_path)
    with pytest.raises(BadInputError, match=said):
        submit(made.operator()[0], folder)
    assert made.story() == ""


CLUTTER = (".DS_Store", "._MTD_MSIL1C.xml", "GRANULE_$folder$", "HTML/Thumbs.db", "GRANULE/L1C_T32TQM/x.jp2.aux.xml")


def test_what_desktops_and_clients_leave_is_no_part_of_a_product(made: House, tmp_path: Path) -> None:
    services, _ = made.operator()
    with_clutter = on_disk(tmp_path, FILES | dict.fromkeys(CLUTTER, b"x"))
    (done,) = submit(services, with_clutter)
    assert f"{len(FILES)} files" in done.note
    given = services.ledger.read(keys.complete(GIVEN), Complete).given
    assert given is not None
    outcome = services.ledger.read(given.key(GIVEN).outcome, Outcome)
    assert {file.path for file in outcome.outputs[0].files} == set(FILES)
    (again,) = submit(services, dropped(made, FILES | dict.fromkeys(CLUTTER, b"x")))
    assert "submitted before" in again.note


def manifest(**sizes: int) -> bytes:
    listed = "".join(
        f'<byteStream size="{size}"><fileLocation href="./{path}"/></byteStream>' for path, size in sizes.items()
    )
    return f"<XFDU>{listed}</XFDU>".encode()


IMAGE = "GRANULE/L1C_T32TQM/IMG_DATA/B02.jp2"


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({IMAGE: 4}, r"IMG_DATA/B02\.jp2: expected the file that manifest\.safe lists, found 'it has 3 octets, not 4'"),
        ({IMAGE: 3, "GRANULE/L1C_T32TQM/IMG_DATA/B03.jp2": 9}, r"B03\.jp2: .*it is not there"),
        ({"MTD_MSIL1C.xml": 5}, r"MTD_MSIL1C\.xml: .*it has 4 octets, not 5"),
    ],
)
def test_images_and_metadata_that_are_not_as_the_manifest_says_are_named(
    made: House, tmp_path: Path, listed: dict[str, int], said: str
) -> None:
    files = FILES | {"manifest.safe": manifest(**listed)}
    for target in (on_disk(tmp_path, files), dropped(made, files)):
        with pytest.raises(BadInputError, match=said):
            submit(made.operator()[0], target)
    assert made.story() == ""


def test_pages_that_are_missing_are_told_and_do_no_harm(made: House, tmp_path: Path) -> None:
    files = FILES | {"manifest.safe": manifest(**{IMAGE: 3, "HTML/index.html": 9})}
    (done,) = submit(made.operator()[0], on_disk(tmp_path, files))
    assert "HTML/index.html: it is not there" in done.note


def test_a_manifest_is_read_as_hostile(made: House, tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><XFDU>&b;</XFDU>'
    with pytest.raises(BadInputError, match=r"manifest\.safe"):
        submit(made.operator()[0], on_disk(tmp_path, FILES | {"manifest.safe": bomb}))


def test_without_its_manifest_it_is_not_whole(made: House) -> None:
    place = dropped(made, {"MTD_MSIL1C.xml": b"<a/>"})
    with pytest.raises(ObjectAbsentError, match=r"manifest\.safe"):
        submit(made.operator()[0], place)


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("/nowhere/S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000.SAFE", ObjectAbsentError, "no such"),
        ("/nowhere/x.SAFE", BadInputError, "product name"),
        ("S2A_MSIL2A_20261122T093000_N0001_R022_T32TQM_20261122T100000.SAFE", RefusedError, "nothing follows l2a"),
    ],
)
def test_what_is_no_product_to_process_on_is_refused(
    made: House, target: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        submit(made.operator()[0], target)


def test_a_product_of_the_old_form_is_refused_in_a_sentence(made: House) -> None:
    old = "S2A_OPER_PRD_MSIL1C_PDMC_20161214T202954_R008_V20151021T104102_20151021T104102.SAFE"
    with pytest.raises(BadInputError, match="hold several tiles under long names, and are not processed"):
        submit(made.operator()[0], f"/nowhere/{old}")


def test_a_place_stands_for_the_products_in_it_that_are_new(made: House, tmp_path: Path) -> None:
    services, _ = made.operator()
    one = dropped(made)
    place = one.rpartition("/")[0] + "/"
    assert steering.products_below(services, one) is None
    made.memory.put(made.settings.bucket_sessions, "dropped/another.zip", b"x")
    made.memory.put(made.settings.bucket_sessions, "dropped/notes.txt", b"x")
    assert steering.products_below(services, place) == [one, f"{place}another.zip"]
    made.memory.delete(made.settings.bucket_sessions, "dropped/another.zip")
    submit(services, f"{one}/")
    assert steering.products_below(services, place) == []
    on_disk(tmp_path)
    (tmp_path / "S2A_MSIL1C_20261122T093000_N0001_R022_T32TPM_20261122T100000.SAFE.zip").touch()
    assert steering.products_below(services, str(tmp_path)) == [
        str(tmp_path / "S2A_MSIL1C_20261122T093000_N0001_R022_T32TPM_20261122T100000.SAFE.zip")
    ]
    assert steering.products_below(services, str(tmp_path / "nowhere")) is None


def test_where_more_is_needed_than_a_product_it_is_refused() -> None:
    made = House(settings=Settings(processor_set=str(JOINED)))
    with pytest.raises(RefusedError, match="also needs l1c-ds, l2a-ds"):
        submit(made.operator()[0], dropped(made))


def test_what_was_given_is_not_published_as_ours(made: House) -> None:
    submit(made.operator()[0], dropped(made))
    run(made)
    assert not any("MSIL1C" in product for product in made.shelf())
    complete = made.services.ledger.read(keys.complete(GIVEN), Complete)
    assert complete.given is not None
    assert complete.given.step == "l1c"


def test_what_follows_from_a_given_product_is_made_anew_and_the_product_itself_is_not(made: House) -> None:
    services, _ = made.operator()
    submit(services, dropped(made))
    run(made)
    rerun = partial(steering.rerun, services, GIVEN, who="ada@console", reason="the tables were mended")
    with pytest.raises(RefusedError, match=r"l1c of .* was given, and not made here"):
        rerun(step="l1c")
    assert len(rerun(step="l2a")) == 2
    account = run(made)
    assert [(entry.step, entry.unit, entry.ended) for entry in account.entries] == [("l2a", UNIT, "produced")]
    assert len(list(made.services.ledger.list("products/"))) == 2
    made.memory.delete(made.settings.bucket_sessions, f"dropped/{NAME}/manifest.safe")
    with pytest.raises(RefusedError, match=r"1 of 1 outputs of l1c of .* are gone.*no step can be made anew"):
        rerun(step="l2a")
