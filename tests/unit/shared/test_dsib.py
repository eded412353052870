from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.names import SessionFile
from shared.dsib import MAX_SIZE, Dsib, make_dsib, parse_dsib
from shared.errors import BadInputError

FILE = SessionFile.parse("DCS_05_S2B_20211113035518024483_ch1_DSIB.xml")
CHUNK = "DCS_05_S2B_20211113035518024483_ch1_DSDB_{:05d}.raw"


def dsib(names: list[str] | None = None, **changes: str) -> bytes:
    fields = {
        "session_id": "S2B_20211113035518024483",
        "time_start": "2021-11-13T03:55:18Z",
        "time_stop": "2021-11-13T03:56:35Z",
        "time_created": "2021-11-13T03:55:40Z",
        "time_finished": "2021-11-13T03:56:06Z",
        "data_size": "2697037560",
        **changes,
    }
    listed = "".join(f"<dsdb_name>{n}</dsdb_name>" for n in names or [CHUNK.format(1), CHUNK.format(2)])
    body = "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v)
    block = f"{body}<dsdb_list>{listed}</dsdb_list>"
    return f"<DCSU_Session_Information_Block>{block}</DCSU_Session_Information_Block>".encode()


def test_a_dsib_as_stations_write_it_is_read() -> None:
    found = parse_dsib(dsib(), FILE)
    assert (found.channel, found.data_size, found.names) == (1, 2_697_037_560, (CHUNK.format(1), CHUNK.format(2)))
    assert found.time_stop.isoformat() == "2021-11-13T03:56:35+00:00"


def test_finished_before_the_pass_stopped_is_what_real_stations_write() -> None:
    assert parse_dsib(dsib(time_finished="2021-11-13T03:50:00Z"), FILE).data_size


BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<DCSU_Session_Information_Block><session_id>&b;</session_id></DCSU_Session_Information_Block>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d>&a;</d>"""


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"\x00\x01 no XML", "well-formed"),
        (BOMB, "entities"),
        (OUTSIDE, "entities"),
        (b"<other/>", "DCSU_Session_Information_Block"),
        (dsib(session_id="S2B_20211113035518099999"), "session_id"),
        (dsib(session_id=""), "session_id"),
        (dsib(data_size="-1"), "data_size"),
        (dsib(data_size="many"), "data_size"),
        (dsib(time_stop="yesterday"), "time_stop"),
        (dsib(time_stop="2021-11-13T03:56:35"), "time_stop"),
        (dsib(["../../x"]), "dsdb_name"),
        (dsib([CHUNK.format(1).replace("ch1", "ch2")]), "channel 1"),
        (dsib([CHUNK.format(1), CHUNK.format(1)]), "each DSDB once"),
        (b" " * (MAX_SIZE + 1), "at most"),
    ],
)
def test_what_is_no_dsib_is_refused_by_file_and_field(document: bytes, why: str) -> None:
    with pytest.raises(BadInputError, match=why) as refused:
        parse_dsib(document, FILE)
    assert str(FILE) in str(refused.value)


def test_a_dsib_that_was_made_is_read_as_what_it_was_made_of() -> None:
    session, names = str(FILE.session), tuple(CHUNK.format(n) for n in range(1, 300))
    start = datetime(2021, 11, 13, 3, 55, 18, tzinfo=UTC)
    block = Dsib(session, 1, start, start + timedelta(seconds=77), 10**12, names)
    assert parse_dsib(make_dsib(block, "of a list -- ours <!-- -->"), FILE) == block
    elsewhere = Dsib(session, 1, start.astimezone(timezone(timedelta(hours=5))), block.time_stop, 10**12, names)
    assert make_dsib(elsewhere, "r") == make_dsib(block, "r")


def test_made_dsibs_of_the_same_chunks_are_of_the_same_length() -> None:
    start = datetime(2021, 1, 1, tzinfo=UTC)
    lengths = {
        len(make_dsib(Dsib(str(FILE.session), 1, start, start + timedelta(microseconds=n**9), 77, ("x",)), "r"))
        for n in range(40)
    }
    assert len(lengths) == 1
