from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.file_transfer.parts import MIB, cut, part_size, usable
from shared.ledger.records import Seen
from shared.ports import Part

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def seen(size: int = 100 * MIB, path: str = "NOMINAL/a", after: int = 0) -> Seen:
    return Seen(
        created=NOON,
        session="S2A_20261122100000000123",
        file="a",
        station="SGS_",
        tree="NOMINAL",
        satellite="S2A",
        path=path,
        size=size,
        modified=NOON + timedelta(seconds=after),
    )


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_parts_are_the_bytes_in_equal_pieces(chunks: list[bytes], step: int) -> None:
    parts = list(cut(chunks, step))
    assert b"".join(parts) == b"".join(chunks)
    assert all(len(part) == step for part in parts[:-1])
    assert all(0 < len(part) <= step for part in parts)


def test_each_version_of_a_file_has_parts_of_its_own_size() -> None:
    versions = [seen(), seen(after=1), seen(size=100 * MIB + 1), seen(path="RETRANSFER/a")]
    sizes = {part_size(version, 8) for version in versions}
    assert len(sizes) == 4
    assert all(8 * MIB <= size < 9 * MIB for size in sizes)
    assert part_size(seen(), 8) == part_size(seen(), 8)


@pytest.mark.parametrize("size", [1, 40 << 30, 5 << 40])
def test_no_file_has_too_many_parts(size: int) -> None:
    assert size / part_size(seen(size=size), 5) < 10_000


def test_held_parts_are_used_only_where_they_fit() -> None:
    def held(*sizes: int) -> list[Part]:
        return [Part(n + 1, size, "e") for n, size in enumerate(sizes)]

    assert usable(held(), 25, 10)
    assert usable(held(10, 10), 25, 10)
    assert usable(held(10, 10, 5), 25, 10)
    assert not usable(held(10, 11), 25, 10)
    assert not usable(held(10, 10, 6), 25, 10)
    assert not usable(held(10, 10, 5, 10), 25, 10)
