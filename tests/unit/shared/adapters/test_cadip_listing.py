from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.cadip_dsib import channels, made
from shared.adapters.cadip_listing import (
    ListedFile,
    date,
    date_literal,
    entity_key,
    listed_file,
    listed_session,
    listed_totals,
    literal,
)
from shared.domain.blocks import Totals
from shared.domain.names import SessionFile, SessionId
from shared.dsib import parse_dsib

SESSION = SessionId.parse("S2A_20261122100000000123")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
NAMES = (
    "Id", "Name", "SessionId", "Satellite", "Channel", "BlockNumber", "FinalBlock", "PublicationDate", "Size",
    "Retransfer", "DownlinkStart", "DownlinkStop", "QualityInfo", "TotalChunks", "TotalVolume", "value",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), anything, max_size=16))
def test_whatever_an_entity_holds_it_is_read_or_passed_over(item: dict[str, Any]) -> None:
    listed_session(item)
    list(listed_totals(item))
    file = listed_file(item)
    assert file is None or (file.size >= 0 and file.name and "/" not in file.id and ")" not in file.id)


@pytest.mark.parametrize("name", ["SessionId", "SessionID", "sessionId"])
def test_the_session_s_id_in_either_spelling(name: str) -> None:
    session = listed_session({"Id": 7, name: str(SESSION)})
    assert session is not None
    assert (session.id, session.session, session.satellite) == ("7", str(SESSION), "S2A")


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("2B17b57d-fff4-4645-b539-91f305c27c69", "2B17b57d-fff4-4645-b539-91f305c27c69"),
        ("some_id", None),
        (12, "12"),
        ("12", "12"),
        (-1, None),
        (True, None),
        ("'2b17b57d-fff4-4645-b539-91f305c27c69'", None),
        ("2b17b57d-fff4-4645-b539-91f305c27c69\n", None),
        ("²", None),
    ],
)
def test_ids_that_can_stand_in_an_address(value: Any, key: str | None) -> None:
    assert entity_key(value) == key


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22T12:00:00.000000Z", NOON),
        ("2026-11-22T12:00:00.0000000+00:00", NOON),
        ("2026-11-22T14:00:00+02:00", NOON),
        ("2026-11-22T12:00:00", NOON),
        ("some_date", None),
        ("", None),
        (None, None),
        (1700000000, None),
        ("0001-01-01T00:00:00+14:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("２０２６-11-22T12:00:00Z", None),
    ],
)
def test_dates_as_stations_write_them(text: Any, found: datetime | None) -> None:
    assert date(text) == found


def test_literals_of_filters() -> None:
    assert literal("a' or 'b") == "'a'' or ''b'"
    assert date_literal(NOON + timedelta(microseconds=1500)) == "2026-11-22T12:00:00.001Z"


def test_totals_in_the_session_or_as_a_list_of_their_own() -> None:
    row = {"Channel": "2", "TotalChunks": "83", "TotalVolume": 25_000_000_000}
    for document in ({"QualityInfo": [row]}, {"QualityInfo": row}, {"value": [row]}, {"qualityInfo": [row, None]}):
        assert list(listed_totals(document)) == [(2, Totals(83, 25_000_000_000))]
    documents: list[Any] = [None, [], {}, {"QualityInfo": None}, "x"]
    assert [list(listed_totals(document)) for document in documents] == [[]] * 5


def file(number: int, *, final: bool = False, version: int = 0, size: int = 10, channel: int = 1) -> ListedFile:
    name = f"DCS_05_{SESSION}_ch{channel}_DSDB_{number:05d}.raw"
    when = NOON + timedelta(minutes=version)
    return ListedFile(f"{number}{version}", name, str(SESSION), number, final, size, when, version > 0)


@given(
    st.integers(1, 12).flatmap(
        lambda last: st.permutations(
            [file(n, final=n == last, channel=c, version=v, size=10 + v) for n in range(1, last + 1) for c in (1, 2)
             for v in range(1 + n % 2)]
        )
    )
)  # fmt: skip
def test_a_made_dsib_does_not_depend_on_the_order_of_the_list(files: list[ListedFile]) -> None:
    for channel in channels(SESSION, files):
        assert channel.missing() == ()
        dsib = made(SESSION, channel, [])
        again = made(SESSION, channels(SESSION, files[::-1])[channel.number - 1], [])
        assert dsib == again
        block = parse_dsib(dsib.document, SessionFile.parse(dsib.name))
        assert list(block.names) == sorted(block.names)
        newest = {each.name: each.size for each in sorted(files, key=lambda each: each.published or NOON)}
        assert block.data_size == sum(size for name, size in newest.items() if f"_ch{channel.number}_" in name)
