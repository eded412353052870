from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.station_poll.changes import Known, changes, session_of
from shared.domain.names import SessionId
from shared.ports import StationFile

SESSION = SessionId.parse("S2A_20261122100000000123")
NAME = f"DCS_05_{SESSION}_ch1_DSDB_00001.raw"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Tree = Literal["NOMINAL", "RETRANSFER"]


def file(
    name: str = NAME, size: int = 10, after: int = 0, tree: Tree = "NOMINAL", satellite: str = "S2A"
) -> StationFile:
    path = f"{tree}/{satellite}/{SESSION}/ch_1/{name}"
    return StationFile(path, name, tree, satellite, str(SESSION), size, NOON + timedelta(seconds=after))


@pytest.mark.parametrize(
    ("folder", "session"),
    [
        (f"DCS_05_{SESSION}_dat", SESSION),
        (f"DCS_02_{SESSION}_dat", SESSION),
        (str(SESSION), SESSION),
        ("DCS_02_L20191003131732787001008_dat", SessionId.parse("L20191003131732787001008")),
        ("L20191003131732787001008", SessionId.parse("L20191003131732787001008")),
        ("S2A_20261322100000000123", None),
        (f"{SESSION}_copy", None),
        ("lost", None),
        (f"../{SESSION}", None),
        (f"{SESSION}\n", None),
    ],
)
def test_session_folders(folder: str, session: SessionId | None) -> None:
    assert session_of(folder) == session


def test_a_file_is_new_once() -> None:
    found = changes(SESSION, [file()], {})
    assert (found.new, found.changed, found.refused) == ((file(),), (), ())
    assert changes(SESSION, [file()], {NAME: Known.of(file())}).new == ()


@pytest.mark.parametrize("listed", [file(size=11), file(after=1), file(after=-5), file(after=1, tree="RETRANSFER")])
def test_a_file_that_has_changed(listed: StationFile) -> None:
    found = changes(SESSION, [listed], {NAME: Known.of(file())})
    assert (found.new, found.changed) == ((), (listed,))


def test_a_retransfer_supersedes_and_stays() -> None:
    old, new = file(), file(after=60, size=12, tree="RETRANSFER")
    assert changes(SESSION, [new, old], {NAME: Known.of(old)}).changed == (new,)
    assert changes(SESSION, [old, new], {}).new == (new,)
    for listing in ([old, new], [old], [new], []):
        assert changes(SESSION, listing, {NAME: Known.of(new)}).changed == ()


def test_a_file_without_a_byte_is_not_there_yet() -> None:
    assert changes(SESSION, [file(size=0)], {}).new == ()
    assert changes(SESSION, [file(size=0, after=9, tree="RETRANSFER"), file()], {}).new == (file(),)
    assert changes(SESSION, [file(size=0, after=9)], {NAME: Known.of(file())}).changed == ()


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        (file("../../x"), "session file name"),
        (file("a\nb"), "session file name"),
        (file("DCS_05_S2A_20261122100000000123_ch3_DSDB_00001.raw"), "session file name"),
        (file("readme.txt"), "session file name"),
        (file("DCS_05_S2A_20261122110000000123_ch1_DSDB_00001.raw"), "is of session"),
        (file(satellite="S2B"), "is of satellite"),
        (file("x" * 5000), "session file name"),
    ],
)
def test_what_is_no_file_of_the_session_is_refused(listed: StationFile, why: str) -> None:
    found = changes(SESSION, [listed, listed], {})
    assert (found.new, found.changed) == ((), ())
    ((name, reason),) = found.refused
    assert name == listed.name
    assert why in reason
    assert len(reason) < 400


def test_an_l_form_file_is_of_the_satellite_above_it() -> None:
    session = SessionId.parse("L20191003131732787001008")
    listed = file(f"DCS_02_{session}_ch2_DSIB.xml", satellite="S2B")
    assert changes(session, [listed], {}).new == (listed,)


versions = st.builds(
    file,
    size=st.integers(0, 2),
    after=st.integers(-2, 2),
    tree=st.sampled_from(["NOMINAL", "RETRANSFER"]),
)


@given(st.lists(versions, max_size=4), st.lists(versions, max_size=4))
def test_what_was_taken_is_not_taken_again(before: list[StationFile], after: list[StationFile]) -> None:
    known: dict[str, Known] = {}
    for listing in (before, before, after, after):
        found = changes(SESSION, listing, known)
        known |= {taken.name: Known.of(taken) for taken in (*found.new, *found.changed)}
    assert changes(SESSION, after, known).new == ()
    assert changes(SESSION, after, known).changed == ()
