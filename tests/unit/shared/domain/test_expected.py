"""What an acquisition owes, from its scenes and its datatake type."""

from __future__ import annotations

import pytest

from shared.domain.expected import NOTHING, Owed, owed

NOMINAL = ("L1B", "L1C", "L2A")


def test_the_figures_of_the_real_datastrip_of_sixteen_scenes() -> None:
    assert owed(16, NOMINAL, tiles=18) == Owed(192, 0, 168, 18, 18, exact=True)


@pytest.mark.parametrize("scenes", [0, 1, 2])
def test_fewer_than_three_scenes_stay_at_level_0(scenes: int) -> None:
    assert owed(scenes, NOMINAL) == Owed(scenes * 12, 0, 0, 0, 0, exact=True)


def test_tiles_are_an_estimate_until_the_footprint_is_known() -> None:
    longest = owed(212, NOMINAL)
    assert (longest.l0_granules, longest.l1b_granules, longest.exact) == (2544, 2520, False)
    assert longest.l1c_tiles == 252  # ten granules a tile
    assert owed(3, NOMINAL).l1c_tiles == 1
    assert owed(30, NOMINAL, tiles=0).l2a_tiles == 0  # all at sea


def test_the_datatake_type_decides() -> None:
    assert owed(10, ("L1A",)) == Owed(120, 96, 0, 0, 0, exact=True)
    assert owed(10, ()) == Owed(120, 0, 0, 0, 0, exact=True)
    raw = owed(10, ("L1A", "L1B", "L1C", "L2A"), raw=True, tiles=9)
    assert (raw.l0_granules, raw.l1a_granules, raw.l1c_tiles) == (40, 32, 9)


def test_a_pass_owes_what_its_datastrips_owe() -> None:
    parts = [owed(16, NOMINAL, tiles=18), owed(2, NOMINAL), owed(40, NOMINAL)]
    whole = sum(parts, NOTHING)
    assert whole.l0_granules == 58 * 12
    assert whole.l1c_tiles == 18 + 46
    assert not whole.exact
