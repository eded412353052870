"""The adapter against a station over HTTP, and each quirk that stations in operation were seen to have, by name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.cadip import CadipStation
from shared.domain.names import SessionFile
from shared.dsib import parse_dsib
from shared.errors import (
    BadInputError,
    ConfigurationError,
    ObjectAbsentError,
    S2psError,
    StationUnavailableError,
)
from shared.ports import StationFile
from tests.support.cadip_server import WHEN, CadipServer

SESSION = "S2A_20261122100000000123"
OTHER = "S2B_20261122090000000456"
PASS = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def cadip() -> Iterator[CadipServer]:
    with CadipServer().serving() as server:
        yield server


def chunk(number: int, channel: int = 1, session: str = SESSION) -> str:
    return f"DCS_05_{session}_ch{channel}_DSDB_{number:05d}.raw"


def dsib(channel: int = 1, session: str = SESSION) -> str:
    return f"DCS_05_{session}_ch{channel}_DSIB.xml"


def fill(cadip: CadipServer, last: int = 3, channels: tuple[int, ...] = (1, 2), session: str = SESSION) -> None:
    """A whole session, channel by channel, a file a second; chunks of 100 bytes, 10 more in the second channel."""
    for channel in channels:
        for number in range(1, last + 1):
            body = bytes([channel, number]) * (50 if channel == 1 else 55)
            cadip.file(chunk(number, channel, session), body, after=number, final=number == last)


def station(cadip: CadipServer, **more: Any) -> CadipStation:
    return CadipStation(cadip.settings(**more))


def places(found: CadipStation) -> list[tuple[str, str, str]]:
    return sorted(found.sessions())


def files(found: CadipStation, session: str = SESSION) -> dict[str, StationFile]:
    """The files of a session as the last ones of their names."""
    return {file.name: file for file in listed(found, session)}


def listed(found: CadipStation, session: str = SESSION) -> list[StationFile]:
    return [
        file
        for tree, satellite, folder in list(found.sessions())
        if folder == session
        for file in found.files(tree, satellite, folder)
    ]


# what a station is for ------------------------------------------------------------------------------------------------
def test_sessions_files_and_their_bytes(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.session(OTHER, Retransfer=True)
    cadip.session("S1A_20261122100000000123")
    cadip.file(chunk(1), b"12345", after=1.25)
    found = station(cadip)
    assert places(found) == [("NOMINAL", "S2A", SESSION), ("RETRANSFER", "S2B", OTHER)]
    (file,) = listed(found)
    assert (file.name, file.tree, file.satellite, file.folder, file.size) == (
        chunk(1), "NOMINAL", "S2A", SESSION, 5,
    )  # fmt: skip
    assert file.modified == WHEN + timedelta(seconds=1.25)
    assert b"".join(found.read(file.path)) == b"12345"
    assert b"".join(CadipStation(cadip.settings()).read(file.path, start=3)) == b"45", (
        "by an instance that listed nothing"
    )


@pytest.mark.parametrize("ignore_range", [False, True])
@pytest.mark.parametrize("start", [0, 1, 1_500_000, 3_000_000, 4_000_000])
def test_reading_from_any_byte_whether_or_not_the_station_knows_ranges(
    cadip: CadipServer, start: int, ignore_range: bool
) -> None:
    body = bytes(range(250)) * 12_000
    path = f"Files({cadip.file(chunk(1), body)['Id']})"
    cadip.ignore_range = ignore_range
    assert b"".join(station(cadip).read(path, start=start)) == body[start:]


def test_a_cut_connection_can_be_tried_again_and_holds_no_place(cadip: CadipServer) -> None:
    path = f"Files({cadip.file(chunk(1), bytes(3_000_000))['Id']})"
    cadip.cut = lambda _id, _start: 1_500_000
    found = station(cadip, parallel=1)
    for _ in range(3):
        got: list[bytes] = []
        with pytest.raises(StationUnavailableError, match="Files"):
            got.extend(found.read(path))
        assert b"".join(got) == bytes(1_500_000)
    cadip.cut = lambda _id, _start: None
    next(found.read(path))  # left half read
    assert sum(map(len, found.read(path))) == 3_000_000


@pytest.mark.parametrize(
    "path",
    ["Files(../../x)", "Files(1)/../..", "../x", "Sessions(1)", "made/x/ch1", f"made/{SESSION}/ch3", "Files(1)\n", ""],
)
def test_paths_that_are_none_of_ours_are_not_asked_for(cadip: CadipServer, path: str) -> None:
    with pytest.raises(BadInputError, match="path"):
        list(station(cadip).read(path))
    assert cadip.requests == []


def test_a_file_that_has_gone(cadip: CadipServer) -> None:
    with pytest.raises(ObjectAbsentError):
        list(station(cadip).read("Files(00000000-0000-0000-0000-000000000009)"))


def test_hostile_names_and_ids(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    for name in ("../../x", "a\x1b[31mb", "x" * 5000, "<dsdb_name>"):
        cadip.file(name, b"?", SessionId=SESSION)
    keys: list[Any] = [
        "../../secret",
        "1)/$value?x=(2",
        None,
        -1,
        True,
        {},
        ["1"],
        "00000000_0000_0000_0000_000000000009",
    ]
    for key in keys:
        cadip.file(chunk(7), b"?", Id=key)
    found = listed(station(cadip))
    assert sorted(file.name[:20] for file in found) == ["../../x", "<dsdb_name>", "a\x1b[31mb", "x" * 20]
    assert all(file.path.startswith("Files(00000000-") for file in found)


def test_a_session_id_is_quoted_in_a_filter(cadip: CadipServer) -> None:
    cadip.session("S2A_' or 'a' eq 'a")
    assert places(station(cadip)) == [("NOMINAL", "S2A", "S2A_' or 'a' eq 'a")]
    with pytest.raises(BadInputError, match="session id"):
        list(station(cadip).files("NOMINAL", "S2A", "S2A_' or 'a' eq 'a"))


@pytest.mark.parametrize(
    ("patterns", "error"),
    [({"fails": (".",)}, StationUnavailableError), ({"rejects": (".",)}, BadInputError)],
)
def test_a_station_that_refuses_everything(cadip: CadipServer, patterns: Any, error: type[Exception]) -> None:
    vars(cadip).update(patterns)
    with pytest.raises(error, match="TST_"):
        list(station(cadip).sessions())


def test_an_address_without_service_is_a_wrong_setting(cadip: CadipServer) -> None:
    with pytest.raises(ConfigurationError, match="root of an OData service"):
        list(station(cadip, url=f"{cadip.url}/Wrong").sessions())


def test_a_station_that_is_down(cadip: CadipServer) -> None:
    with pytest.raises(StationUnavailableError, match="TST_"):
        list(station(cadip, url="http://127.0.0.1:9/odata/v1").sessions())


# completeness, and the DSIBs of ours ----------------------------------------------------------------------------------
def read_dsib(found: CadipStation, file: StationFile) -> Any:
    document = b"".join(found.read(file.path))
    assert len(document) == file.size
    assert b"<!-- Made by s2ps" in document
    return parse_dsib(document, SessionFile.parse(file.name))


def test_a_dsib_is_made_of_each_channel_that_is_whole(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    fill(cadip)
    found = station(cadip)
    names = files(found)
    assert set(names) == {chunk(n, c) for n in (1, 2, 3) for c in (1, 2)} | {dsib(1), dsib(2)}
    for channel, size in ((1, 300), (2, 330)):
        block = read_dsib(CadipStation(cadip.settings()), names[dsib(channel)])
        assert block.data_size == size, "of this channel, not of the session"
        assert block.names == tuple(chunk(n, channel) for n in (1, 2, 3))
        assert (block.time_start, block.time_stop) == (PASS, PASS + timedelta(minutes=8))
        assert names[dsib(channel)].modified == WHEN + timedelta(seconds=3)


def test_no_dsib_before_the_channel_is_whole(cadip: CadipServer) -> None:
    """The final block is published first, the first one last."""
    cadip.session(SESSION)
    found = station(cadip)
    for number in (3, 2, 1):
        assert dsib() not in files(found)
        cadip.file(chunk(number), b"x", final=number == 3)
    assert dsib() in files(found)
    with pytest.raises(ObjectAbsentError, match="channel 2"):
        list(found.read(f"made/{SESSION}/ch2"))


def test_the_station_s_own_dsib_is_taken_where_it_gives_one(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    fill(cadip)
    given = cadip.file(dsib(1), b"<DCSU_Session_Information_Block/>", BlockNumber=None)
    found = files(station(cadip))
    assert found[dsib(1)].path == f"Files({given['Id']})"
    assert found[dsib(2)].path == f"made/{SESSION}/ch2"


def test_publication_dates_that_are_tied_skewed_or_out_of_order_lose_nothing(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    for number, after in ((1, 100), (2, 0), (3, 0), (4, -86_400), (5, 0)):
        cadip.file(chunk(number), b"x", after=after, final=number in {3, 5})
    found = files(station(cadip))
    assert set(found) == {*(chunk(n) for n in range(1, 6)), dsib()}


def test_a_block_published_below_the_final_one_after_it_is_found(cadip: CadipServer) -> None:
    """However late, and dated before everything that was seen."""
    cadip.session(SESSION)
    found = station(cadip, relist_s=1000)
    cadip.file(chunk(1), b"x")
    cadip.file(chunk(3), b"x", final=True)
    assert set(files(found)) == {chunk(1), chunk(3)}
    cadip.file(chunk(2), b"x", after=-7200)
    assert set(files(found)) == {chunk(1), chunk(2), chunk(3), dsib()}


def test_totals_of_the_station_hold_back_a_dsib_that_contradicts_them(
    cadip: CadipServer, caplog: pytest.LogCaptureFixture
) -> None:
    entity = cadip.session(SESSION)
    fill(cadip)
    cadip.quality[entity["Id"]] = [
        {"Channel": 1, "TotalChunks": 3, "TotalVolume": "300"},
        {"Channel": 2, "TotalChunks": 4, "TotalVolume": 440},
    ]
    found = station(cadip)
    for _ in range(3):
        names = files(found)
        assert dsib(1) in names
        assert dsib(2) not in names
    (told,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "channel 2" in told
    assert "4 blocks by the station's own count, 3 are listed" in told
    assert dsib(2) in files(station(cadip, quality=False))


def test_a_channel_that_is_coming_in_is_no_news_and_one_that_stays_incomplete_is_once(
    cadip: CadipServer, caplog: pytest.LogCaptureFixture
) -> None:
    cadip.session(SESSION)
    found = station(cadip)
    for number in (5, 4, 3, 1):
        cadip.file(chunk(number), b"x", final=number == 5)
        files(found)
    assert caplog.records == []
    for _ in range(3):
        files(found)
    assert [record.getMessage() for record in caplog.records] == [
        f"station TST_: {SESSION}, channel 1 lacks block 2 of 5"
    ]


@pytest.mark.parametrize("quirk", [{"rejects": ("QualityInfo",)}, {"fails": ("QualityInfo",)}])
def test_totals_that_cannot_be_had_hold_nothing_back(cadip: CadipServer, quirk: Any) -> None:
    cadip.session(SESSION)
    fill(cadip)
    vars(cadip).update(quirk)
    assert dsib(1) in files(station(cadip))


def test_totals_that_are_garbage_hold_nothing_back(cadip: CadipServer) -> None:
    entity = cadip.session(SESSION)
    fill(cadip)
    cadip.quality[entity["Id"]] = [{"Channel": "S2A", "TotalChunks": "many"}, 7, {"Channel": 1, "TotalChunks": -5}]  # type: ignore[list-item]
    assert {dsib(1), dsib(2)} <= set(files(station(cadip)))


def test_a_number_that_contradicts_the_name_is_not_guessed_about(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.file(chunk(1), b"x", BlockNumber=0)
    cadip.file(chunk(2), b"x", BlockNumber=1, final=True)
    assert set(files(station(cadip))) == {chunk(1), chunk(2)}


# quirks seen in operation ---------------------------------------------------------------------------------------------
def test_quirk_filters_by_le_and_ge_are_rejected(cadip: CadipServer) -> None:
    """gt is all that is used."""
    cadip.rejects = (r" (ge|le) ",)
    cadip.session(SESSION)
    found = station(cadip, relist_s=1000)
    for _ in range(2):
        assert places(found) == [("NOMINAL", "S2A", SESSION)]
    dated = [each for each in cadip.asked("Sessions") if "PublicationDate" in each.query.get("$filter", "")]
    assert dated
    assert all(" gt " in each.query["$filter"] for each in dated)


def test_quirk_any_filter_by_date_is_rejected(cadip: CadipServer) -> None:
    cadip.rejects = (r"filter=.*PublicationDate",)
    cadip.session(SESSION)
    found = station(cadip, relist_s=1000)
    for _ in range(3):
        assert places(found) == [("NOMINAL", "S2A", SESSION)]
    assert sum("PublicationDate" in each.query.get("$filter", "") for each in cadip.asked("Sessions")) == 1


@pytest.mark.parametrize("rejected", [r"\$filter=", r"\$orderby=", "null", "SessionId eq"])
def test_quirk_a_part_of_a_query_is_rejected(cadip: CadipServer, rejected: str) -> None:
    """The plainer form that the station takes is found, and is asked at once from then on."""
    cadip.rejects = (rejected,)
    if rejected == "SessionId eq":
        cadip.file(chunk(1), b"x", SessionID=SESSION)
    elif rejected != r"\$filter=":
        cadip.file(chunk(1), b"x")
    cadip.session(SESSION)
    cadip.session("S1A_20261122100000000123")
    found = station(cadip)
    assert places(found) == [("NOMINAL", "S2A", SESSION)]
    if rejected != r"\$filter=":
        assert set(files(found)) == {chunk(1)}
        before = len(cadip.asked("Files"))
        list(found.files("NOMINAL", "S2A", SESSION))
        assert len(cadip.asked("Files")) - before == 2, "a page, and an empty one"


def test_quirk_a_satellite_that_the_station_does_not_know_is_rejected(cadip: CadipServer) -> None:
    """The others are asked as before."""
    cadip.rejects = ("Satellite eq 'S2D'",)
    cadip.session(SESSION)
    found = station(cadip, satellites=["S2D", "S2A"])
    for _ in range(2):
        assert places(found) == [("NOMINAL", "S2A", SESSION)]
    others = [each.query for each in cadip.asked("Sessions") if "'S2A'" in each.query.get("$filter", "")]
    assert others
    assert all("$orderby" in query for query in others)


def test_quirk_top_is_ignored(cadip: CadipServer) -> None:
    cadip.ignores = frozenset({"$top"})
    for n in range(7):
        cadip.session(f"S2A_2026112210000{n}000123")
    assert len(places(station(cadip, page=2))) == 7


def test_quirk_top_and_skip_are_ignored(cadip: CadipServer) -> None:
    cadip.ignores = frozenset({"$top", "$skip"})
    for n in range(7):
        cadip.session(f"S2A_2026112210000{n}000123")
    assert len(places(station(cadip, page=2))) == 7


def test_quirk_pages_are_capped_below_what_was_asked_for(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.most = 2
    fill(cadip, 5)
    assert len(files(station(cadip, page=100))) == 12


@pytest.mark.parametrize("most", [2, 10_000])
def test_quirk_no_paging_at_matera(cadip: CadipServer, most: int) -> None:
    """$top and $skip are rejected: the list comes whole, or by links."""
    cadip.rejects = (r"[?&]\$(top|skip)=\d+($|&\$top)",) if most == 2 else (r"\$top=", r"\$skip=")
    cadip.session(SESSION)
    fill(cadip, 5)
    assert len(files(station(cadip, page=3))) == 12
    assert len({each.query.get("$skip") for each in cadip.asked("Files") if "$top" not in each.query}) == 1


def test_quirk_pages_by_links(cadip: CadipServer) -> None:
    cadip.links, cadip.most = True, 2
    cadip.session(SESSION)
    fill(cadip, 5)
    assert len(files(station(cadip, page=100))) == 12


def test_quirk_chunks_are_unsorted(cadip: CadipServer) -> None:
    cadip.unsorted = True
    cadip.session(SESSION)
    fill(cadip, 12)
    found = station(cadip)
    assert read_dsib(found, files(found)[dsib()]).names == tuple(chunk(n) for n in range(1, 13))


@pytest.mark.parametrize("bare", [True, False])
def test_quirk_a_list_without_an_object_around_it(cadip: CadipServer, bare: bool) -> None:
    cadip.bare = bare
    assert places(station(cadip)) == []
    cadip.session(SESSION)
    assert places(station(cadip)) == [("NOMINAL", "S2A", SESSION)]


def test_quirk_sessions_without_publication_date(cadip: CadipServer) -> None:
    """No filter by date finds them; a whole listing does, and they stay known in between."""
    cadip.session(OTHER.replace("S2B", "S2A"))
    now = 0.0
    found = CadipStation(cadip.settings(relist_s=120), clock=lambda: now)
    assert len(places(found)) == 1
    cadip.session(SESSION, PublicationDate=None)
    now = 60
    assert len(places(found)) == 1
    now = 130
    assert len(places(found)) == 2
    now = 140
    assert len(places(found)) == 2


def test_quirk_sessions_that_become_visible_late_with_old_dates(cadip: CadipServer) -> None:
    cadip.session(OTHER, Satellite="S2A", PublicationDate="2026-11-22T12:00:00Z")
    now = 0.0
    found = CadipStation(cadip.settings(relist_s=120, overlap_s=3600), clock=lambda: now)
    places(found)
    within = cadip.session("S2A_20261122100000000001", PublicationDate="2026-11-22T11:00:00.001Z")
    cadip.session("S2A_20261122100000000002", PublicationDate="2026-11-21T00:00:00Z")
    now = 10
    assert {place[2] for place in places(found)} == {OTHER, within["SessionId"]}
    now = 130
    assert len(places(found)) == 3


def test_quirk_every_field_is_null(cadip: CadipServer) -> None:
    """But for the id and the name, by which a file is what it is."""
    nulls = dict.fromkeys(cadip.session(SESSION)) | {"SessionId": SESSION}
    cadip.sessions[:] = [nulls]
    for number in (1, 2):
        entity = cadip.file(chunk(number), b"x", SessionId=SESSION)
        entity |= dict.fromkeys(entity, None) | {name: entity[name] for name in ("Id", "Name", "SessionId", "Size")}
        cadip.files[-1] = entity
    found = station(cadip)
    assert places(found) == [("NOMINAL", "S2A", SESSION)]
    held = files(found)
    assert set(held) == {chunk(1), chunk(2)}, "no block is marked as the final one: no DSIB"
    assert {file.modified for file in held.values()} == {PASS}


def test_quirk_a_size_that_is_null_is_that_of_a_file_which_is_not_there_yet(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.file(chunk(1), b"x", Size=None, final=True)
    assert [file.size for file in listed(station(cadip))] == [0]


def test_quirk_numbers_are_texts(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.file(chunk(1), b"x" * 7, Size="7", BlockNumber="1", Channel="1", FinalBlock="true")
    assert {file.name: file.size for file in listed(station(cadip))}.keys() == {chunk(1), dsib()}


def test_quirk_retransferred_sessions_lack_downlink_dates(cadip: CadipServer) -> None:
    cadip.session(SESSION, Retransfer=True, DownlinkStart=None, DownlinkStop="some_date")
    for number in (1, 2):
        cadip.file(chunk(number), b"x", after=60 * number, final=number == 2, Retransfer=True)
    found = station(cadip)
    assert places(found) == [("RETRANSFER", "S2A", SESSION)]
    held = files(found)
    assert held[chunk(1)].tree == "RETRANSFER"
    block = read_dsib(found, held[dsib()])
    assert (block.time_start, block.time_stop) == (PASS, WHEN + timedelta(seconds=120))


def test_a_retransferred_chunk_supersedes_the_nominal_one_in_the_dsib(cadip: CadipServer) -> None:
    cadip.session(SESSION)
    cadip.session(SESSION, Retransfer=True)
    fill(cadip, channels=(1,))
    cadip.file(chunk(3), b"x" * 500, after=900, Retransfer=True, FinalBlock=None)
    found = station(cadip)
    assert places(found) == [("NOMINAL", "S2A", SESSION)]
    block = files(found)[dsib()]
    assert read_dsib(found, block).data_size == 700
    assert block.modified == WHEN + timedelta(seconds=900)


def test_quirk_http_500_for_one_satellite_does_not_hide_the_others(cadip: CadipServer) -> None:
    cadip.fails = ("S2A",)
    cadip.session(SESSION)
    cadip.session(OTHER)
    found: list[tuple[str, str, str]] = []
    with pytest.raises(StationUnavailableError, match="500"):
        found.extend(station(cadip).sessions())
    assert found == [("NOMINAL", "S2B", OTHER)]


def test_quirk_http_500_for_one_session_does_not_hide_the_others(cadip: CadipServer) -> None:
    cadip.fails = (f"Files.*{SESSION}",)
    for session in (SESSION, OTHER):
        cadip.session(session)
        cadip.file(chunk(1, session=session), b"x")
    found = station(cadip)
    assert len(places(found)) == 2
    with pytest.raises(StationUnavailableError, match="500"):
        list(found.files("NOMINAL", "S2A", SESSION))
    assert [file.name for file in found.files("NOMINAL", "S2B", OTHER)] == [chunk(1, session=OTHER)]


def test_quirk_a_filter_that_is_taken_and_not_applied(cadip: CadipServer) -> None:
    cadip.ignores = frozenset({"$filter"})
    for session in (SESSION, OTHER, "S1A_20261122100000000123"):
        cadip.session(session)
        cadip.file(chunk(1, session=session), b"x")
    found = station(cadip)
    assert len(places(found)) == 2
    assert [file.name for file in found.files("NOMINAL", "S2A", SESSION)] == [chunk(1)]


def test_quirk_the_satellite_is_null(cadip: CadipServer, caplog: pytest.LogCaptureFixture) -> None:
    """Where the session's id names it; where it does not, nobody knows it, which is said once."""
    cadip.session(SESSION, Satellite=None)
    cadip.session("L20261122100000000000123", Satellite=None)
    cadip.session("L20261122100000000000124", Satellite="S2B")
    found = station(cadip)
    for _ in range(2):
        assert places(found) == [("NOMINAL", "S2A", SESSION), ("NOMINAL", "S2B", "L20261122100000000000124")]
    assert [record.getMessage() for record in caplog.records if "of which satellite" in record.getMessage()] != []
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


@pytest.mark.parametrize("document", ['"x"', "7", '{"value": 7}', '{"value": [7]}', "{", "[" * 100_000])
def test_answers_that_are_no_lists_are_refused_by_name(
    cadip: CadipServer, document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "dumps", lambda _: document)
    with pytest.raises(S2psError, match="Sessions"):
        list(station(cadip).sessions())
