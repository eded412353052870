from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.blocks import NO_FINAL, Block, Totals, lacks


def block(number: int, *, final: bool = False, size: int = 10, name: str = "") -> Block:
    return Block(name or f"n{number:05d}", number, size, final)


def channel(last: int) -> list[Block]:
    return [block(number, final=number == last) for number in range(1, last + 1)]


@given(st.integers(1, 60).flatmap(lambda last: st.permutations(channel(last))))
def test_a_channel_is_whole_in_whatever_order_its_blocks_are_listed(blocks: list[Block]) -> None:
    assert lacks(blocks) == ()


@given(st.integers(2, 60), st.data())
def test_a_block_that_is_missing_is_named(last: int, data: st.DataObject) -> None:
    absent = data.draw(st.integers(1, last - 1))
    (told,) = lacks([each for each in channel(last) if each.number != absent])
    assert told == f"block {absent} of {last}"


@given(st.integers(2, 60), st.data())
def test_counting_blocks_or_final_marks_would_not_do(last: int, data: st.DataObject) -> None:
    """As many blocks as there should be, one of them twice, and every final mark there."""
    absent = data.draw(st.integers(1, last - 1))
    twin = data.draw(st.integers(1, last).filter(lambda number: number != absent))
    blocks = [each for each in channel(last) if each.number != absent]
    assert lacks([*blocks, next(each for each in blocks if each.number == twin)]) != ()


def test_nothing_and_no_final_block() -> None:
    assert lacks([]) == ("every block",)
    assert lacks([block(1), block(2)]) == (NO_FINAL,)


def test_the_final_block_alone_is_not_the_channel() -> None:
    assert lacks([block(9, final=True)]) == ("blocks 1, 2, 3, 4, 5 and 3 more of 9",)


def test_of_several_final_marks_the_highest_counts() -> None:
    """A mark that was set before more data came."""
    blocks = [block(1), block(2, final=True), block(3), block(4, final=True)]
    assert lacks(blocks) == ()
    assert lacks([*blocks[:2], blocks[3]]) == ("block 3 of 4",)


def test_a_block_beyond_the_final_one_is_a_contradiction() -> None:
    (told,) = lacks([block(1), block(2, final=True), block(3)])
    assert "block 3 is there" in told


def test_one_number_under_two_names_is_a_contradiction() -> None:
    (told,) = lacks([block(1, name="a"), block(1, name="b"), block(2, final=True)])
    assert told == "certainty of block 1: a and b"


@pytest.mark.parametrize(
    ("totals", "told"),
    [
        (Totals(), ()),
        (Totals(3, 30), ()),
        (Totals(None, 30), ()),
        (Totals(4, None), ("4 blocks by the station's own count, 3 are listed",)),
        (Totals(3, 31), ("31 bytes by the station's own count, 30 are listed",)),
    ],
)
def test_the_station_s_own_totals_are_held_against_the_blocks(totals: Totals, told: tuple[str, ...]) -> None:
    assert lacks(channel(3), totals) == told


def test_where_no_block_is_marked_the_station_s_count_says_which_is_the_final_one() -> None:
    unmarked = [block(1), block(2), block(3)]
    assert lacks(unmarked, Totals(chunks=3)) == ()
    assert lacks(unmarked[:2], Totals(chunks=3)) != ()


@pytest.mark.parametrize("chunks", [0, 10**17])
def test_a_count_that_cannot_be_is_no_reason_to_count_to_it(chunks: int) -> None:
    (told,) = lacks([block(1)], Totals(chunks=chunks))
    assert "within 1 to 99999" in told
