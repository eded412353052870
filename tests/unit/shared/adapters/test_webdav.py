from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from shared.adapters.webdav import WebDavStation
from shared.errors import BadInputError, ConfigurationError, ObjectAbsentError, StationUnavailableError
from tests.support.wild_station import WildStation, basic

SESSION = "S2A_20261122100000000123"
FOLDER = f"DCS_05_{SESSION}_dat"


@pytest.fixture
def wild() -> Iterator[WildStation]:
    with WildStation().serving() as station:
        yield station


def test_sessions_and_files_of_both_trees_with_and_without_station_folder(wild: WildStation) -> None:
    for path in (
        f"NOMINAL/S2A/{FOLDER}/ch_1/a.raw",
        f"NOMINAL/S2A/{FOLDER}/ch01/b.raw",
        f"NOMINAL/S2A/{FOLDER}/ch2/c d.raw",
        f"NOMINAL/S2A/{FOLDER}/e.xml",
        f"NOMINAL/S2A/{FOLDER}/ch_1/.hidden",
        f"NOMINAL/S2A/{FOLDER}/ch_1/x.raw.tmp",
        f"NOMINAL/S2A/{FOLDER}/ch_1/db.sqlite",
        f"NOMINAL/S2A/{FOLDER}/other/y.raw",
        "NOMINAL/S2A/lost+found/z.raw",
        "NOMINAL/S2A/.snapshot/z.raw",
        f"NOMINAL/S3A/{FOLDER}/z.raw",
        f"RETRANSFER/SGS_/S2B/{SESSION}/ch_1/f.raw",
    ):
        wild.put(path, b"12345")
    station = WebDavStation(wild.settings())
    assert list(station.sessions()) == [("NOMINAL", "S2A", FOLDER), ("RETRANSFER", "S2B", SESSION)]
    files = list(station.files("NOMINAL", "S2A", FOLDER))
    assert sorted(file.name for file in files) == ["a.raw", "b.raw", "c d.raw", "e.xml"]
    assert {(f.size, f.modified) for f in files} == {(5, datetime(2026, 11, 22, 10, tzinfo=UTC))}
    (retransferred,) = station.files("RETRANSFER", "S2B", SESSION)
    assert retransferred.path == f"RETRANSFER/SGS_/S2B/{SESSION}/ch_1/f.raw"
    assert b"".join(station.read(retransferred.path)) == b"12345"
    assert {depth for method, depth, _ in wild.requests if method == "PROPFIND" and depth.endswith("other/")} == set()


def test_no_tree_no_sessions(wild: WildStation) -> None:
    station = WebDavStation(wild.settings())
    assert list(station.sessions()) == []
    assert list(station.files("NOMINAL", "S2A", FOLDER)) == []
    with pytest.raises(ObjectAbsentError, match="nothing"):
        list(station.read("NOMINAL/nothing"))


@pytest.mark.parametrize("ignore_range", [False, True])
@pytest.mark.parametrize("start", [0, 1, 3_000_000, 3_000_001, 4_000_000])
def test_reading_from_any_byte_whether_or_not_the_server_knows_ranges(
    wild: WildStation, start: int, ignore_range: bool
) -> None:
    body = bytes(range(256)) * 11718 + bytes(193)
    wild.put("NOMINAL/x", body)
    wild.ignore_range = ignore_range
    assert b"".join(WebDavStation(wild.settings()).read("NOMINAL/x", start=start)) == body[start:]


def test_a_cut_connection_can_be_tried_again_and_holds_no_place(wild: WildStation) -> None:
    wild.put("NOMINAL/x", bytes(3_000_000))
    wild.cut = lambda _path, _start: 1_500_000
    station = WebDavStation(wild.settings(parallel=1))
    for _ in range(3):
        got: list[bytes] = []
        with pytest.raises(StationUnavailableError, match="NOMINAL/x"):
            got.extend(station.read("NOMINAL/x"))
        assert b"".join(got) == bytes(1_500_000)
    wild.cut = lambda _path, _start: None
    next(station.read("NOMINAL/x"))  # left half read
    assert sum(map(len, station.read("NOMINAL/x"))) == 3_000_000


@pytest.mark.parametrize("preemptive", [True, False])
def test_basic_authentication(wild: WildStation, preemptive: bool) -> None:
    wild.credentials = "me:sécret"
    wild.put(f"NOMINAL/S2A/{FOLDER}/a", b"1")
    station = WebDavStation(wild.settings(preemptive=preemptive, **basic("me", "sécret")))
    assert list(station.sessions()) == [("NOMINAL", "S2A", FOLDER)]
    before = len(wild.requests)
    list(station.sessions())
    assert len(wild.requests) - before == 3, "the challenge is answered once, not with every request"
    wrong = WebDavStation(wild.settings(preemptive=preemptive, **basic("me", "wrong")))
    with pytest.raises(ConfigurationError, match="401"):
        list(wrong.sessions())


def test_a_challenge_may_name_other_schemes_first(wild: WildStation) -> None:
    wild.credentials = "me:secret"
    wild.challenge = 'Digest realm="basic, or so", nonce="x", qop="auth", Basic realm="station"'
    wild.put(f"NOMINAL/S2A/{FOLDER}/a", b"1")
    station = WebDavStation(wild.settings(preemptive=False, **basic("me", "secret")))
    assert list(station.sessions()) == [("NOMINAL", "S2A", FOLDER)]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, StationUnavailableError),
        (503, StationUnavailableError),
        (403, ConfigurationError),
        (301, ConfigurationError),
    ],
)
def test_refusals(wild: WildStation, status: int, error: type[Exception]) -> None:
    wild.status = status
    station = WebDavStation(wild.settings())
    with pytest.raises(error, match=str(status)):
        list(station.sessions())
    with pytest.raises(error, match=str(status)):
        list(station.read("NOMINAL/x"))


def test_a_station_that_is_down(wild: WildStation) -> None:
    wild.port = 9
    with pytest.raises(StationUnavailableError, match="TST_"):
        list(WebDavStation(wild.settings()).sessions())


@pytest.mark.parametrize("path", ["../x", "NOMINAL/../../x", "NOMINAL/./x"])
def test_paths_upwards_are_not_asked_for(wild: WildStation, path: str) -> None:
    with pytest.raises(BadInputError, match="upwards"):
        list(WebDavStation(wild.settings()).read(path))
    assert wild.requests == []
