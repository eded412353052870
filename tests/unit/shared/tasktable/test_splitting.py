from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.tasktable.splitting import split_list, split_range


@given(st.integers(0, 400), st.integers(1, 40))
def test_ranges_cover_all_numbers_once_in_parts_as_equal_as_can_be(size: int, parts: int) -> None:
    ranges = split_range(size, parts)
    assert [number for first, last in ranges for number in range(first, last + 1)] == list(range(1, size + 1))
    assert len(ranges) == min(size, parts)
    lengths = [last - first + 1 for first, last in ranges]
    assert lengths == sorted(lengths)
    assert not lengths or lengths[-1] - lengths[0] <= 1


@given(st.lists(st.integers(), max_size=30).map(lambda numbers: [str(n) for n in numbers]), st.integers(1, 20))
def test_lists_are_cut_into_runs(items: list[str], parts: int) -> None:
    runs = split_list(items, parts)
    assert [item for run in runs for item in run] == items
    assert all(runs)


def test_the_smaller_parts_come_first() -> None:
    assert split_range(18, 4) == [(1, 4), (5, 8), (9, 13), (14, 18)]
