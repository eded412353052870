"""Is a session whole? Each channel is judged on its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from functions.session_assembly.assess import assess
from shared.dsib import Dsib
from shared.ledger.records import Receipt, Seen

SESSION = "S2A_20260621104500057405"
NOW = datetime(2026, 6, 21, 10, 50, tzinfo=UTC)


def name(channel: int, number: int | None) -> str:
    return f"DCS_05_{SESSION}_ch{channel}_" + ("DSIB.xml" if number is None else f"DSDB_{number:05d}.raw")


def dsib(channel: int, chunks: int, size: int) -> Dsib:
    names = tuple(name(channel, number) for number in range(1, chunks + 1))
    return Dsib(SESSION, channel, NOW, NOW, size, names)


def receipt(file: str, size: int = 100) -> Receipt:
    return Receipt(
        created=NOW, session=SESSION, file=file, key=file, size=size, sha256="0" * 64, etag="e", modified=NOW
    )  # fmt: skip


def seen(file: str, size: int = 100, modified: datetime = NOW) -> Seen:
    return Seen(
        created=NOW, session=SESSION, file=file, station="SGS_", tree="NOMINAL", satellite="S2A", path=file, size=size,
        modified=modified,
    )  # fmt: skip


def here(channel: int, sizes: list[int]) -> dict[str, Receipt]:
    files = {name(channel, number): size for number, size in enumerate(sizes, 1)} | {name(channel, None): 300}
    return {file: receipt(file, size) for file, size in files.items()}


def test_a_whole_session() -> None:
    received = here(1, [100, 100, 40]) | here(2, [70])
    assert assess({1: dsib(1, 3, 240), 2: dsib(2, 1, 70)}, received, {}).whole


def test_a_truncated_chunk_is_named_although_the_other_channel_has_no_dsib() -> None:
    found = assess({1: dsib(1, 4, 340)}, here(1, [100, 30, 100, 40]) | here(2, [70]), {})
    assert found.missing == ("the DSIB of channel 2",)
    ((file, reason),) = found.refused
    assert file == name(1, 2)
    assert "270 bytes" in reason
    assert "340" in reason


def test_where_no_chunk_stands_out_the_dsib_is_named() -> None:
    found = assess({1: dsib(1, 2, 150), 2: dsib(2, 1, 70)}, here(1, [100, 40]) | here(2, [70]), {})
    assert [file for file, _ in found.refused] == [name(1, None)]


def test_a_channel_that_still_changes_is_not_judged() -> None:
    received = here(1, [100, 30, 100, 40]) | here(2, [70])
    again = {name(1, 2): seen(name(1, 2), 100, NOW + timedelta(seconds=5))}
    found = assess({1: dsib(1, 4, 340), 2: dsib(2, 1, 70)}, received, again)
    assert found.refused == ()
    assert found.missing == (f"{name(1, 2)} as the station lists it now (100 bytes)",)
