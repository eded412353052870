"""What an acquisition owes, from its scenes and its datatake type."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.expected import NOTHING, Acquired, Owed, Planned, TilesOwed, against_plan, owed

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


TAKE = datetime(2026, 6, 1, 10, tzinfo=UTC)


def strip(unit: str, scenes: int, minutes: float | None = 0.0, detectors: int = 12, *, lost: int = 0) -> Acquired:
    """A datastrip; its first detector lacks ``lost`` granules."""
    granules = {f"{number:02d}": scenes - (lost if number == 1 else 0) for number in range(1, detectors + 1)}
    return Acquired(unit, granules, None if minutes is None else TAKE + timedelta(minutes=minutes))


PLAN = (Planned("57405-1", 152, TAKE), Planned("57405-2", 20, TAKE + timedelta(minutes=30)))


def test_what_comes_as_planned_is_not_told() -> None:
    assert list(against_plan(PLAN, [strip("DT01", 152), strip("DT02", 20, 30)])) == []
    # A datatake may come in two datastrips, and a whole may begin a little before the plan says.
    assert list(against_plan(PLAN, [strip("DT01", 100, -1), strip("DT02", 52, 6), strip("DT03", 20, 30)])) == []


def test_granules_that_are_missing_are_told_with_their_datatake() -> None:
    (told,) = against_plan(PLAN, [strip("DT01", 152, lost=12), strip("DT02", 20, 30)])
    assert told == ("datatake 57405-1: the plan owes 1824 granules at Level 0 (152 scenes), DT01 has 1812, 12 fewer")


def test_what_never_came_and_what_nobody_planned_is_told() -> None:
    told = list(against_plan(PLAN, [strip("DT01", 152), strip("DT02", 7, 300)]))
    assert told == [
        "datatake 57405-2: the plan owes 240 granules at Level 0 (20 scenes), none of them was made",
        "DT02: its 84 granules at Level 0 are of no datatake of the plan",
    ]


def test_without_times_datastrips_are_compared_in_their_order() -> None:
    assert list(against_plan(PLAN, [strip("DT01", 152, None), strip("DT02", 20, None)])) == []
    untimed = [Planned(each.datatake, each.scenes) for each in PLAN]
    (told,) = against_plan(untimed, [strip("DT01", 153), strip("DT02", 20, 30)])
    assert told.endswith("DT01 has 1836, 12 more")


def test_a_raw_datatake_has_four_detectors() -> None:
    raw = replace(strip("DT01", 10, detectors=4), raw=True)
    assert list(against_plan([Planned("1-1", 10, TAKE)], [raw])) == []
    assert len(list(against_plan([Planned("1-1", 10, TAKE)], [replace(raw, raw=False)]))) == 1


@given(
    planned=st.lists(st.integers(0, 30), max_size=5),
    came=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200)), max_size=6),
)
def test_every_granule_that_is_more_or_less_is_told(planned: list[int], came: list[tuple[int, int]]) -> None:
    """The differences add up: what the plan owes, less what is told to be missing, and more what is told besides."""
    plan = [Planned(f"1-{n}", scenes, TAKE + timedelta(minutes=30 * n)) for n, scenes in enumerate(planned)]
    strips = [strip(f"DT{n:02d}", scenes, minutes) for n, (scenes, minutes) in enumerate(came)]
    told = 0
    for line in against_plan(plan, strips):
        if found := re.search(r"(\d+) (fewer|more)$", line):
            told += int(found[1]) * (-1 if found[2] == "fewer" else 1)
        elif found := re.search(r"owes (\d+) .* none of them was made", line):
            told -= int(found[1])
        elif found := re.search(r"its (\d+) granules", line):
            told += int(found[1])
    assert told == 12 * (sum(scenes for scenes, _ in came) - sum(planned))


FORESEEN = TilesOwed(("32TQL", "32TQM"), ("32TQK", "32TQN"))
TILED = [replace(PLAN[0], tiles=FORESEEN)]


@pytest.mark.parametrize("tiles", [FORESEEN.must, (*FORESEEN.must, "32TQN"), (*FORESEEN.must, *FORESEEN.may)])
def test_tiles_that_the_plan_allows_are_not_told(tiles: tuple[str, ...]) -> None:
    assert list(against_plan(TILED, [replace(strip("DT01", 152), tiles=frozenset(tiles))])) == []


def test_tiles_that_are_missed_and_tiles_beyond_the_plan_are_told() -> None:
    came = replace(strip("DT01", 152), tiles=frozenset({"32TQM", "32TQN", "33TUH", "33TUG"}))
    (told,) = against_plan(TILED, [came])
    assert told == (
        "datatake 57405-1: the plan owes 2 to 4 tiles, DT01 meets 4, 1 (32TQL) not among them "
        "and 2 (33TUG, 33TUH) beyond the planned footprint"
    )
    many = frozenset(f"33TU{letter}" for letter in "ABCDEFG") | {*FORESEEN.must}
    (told,) = against_plan(TILED, [replace(came, tiles=many)])
    assert told.endswith("meets 9, 7 (33TUA, 33TUB, 33TUC, 33TUD, 33TUE, ...) beyond the planned footprint")


def test_datastrips_of_a_datatake_meet_its_tiles_together() -> None:
    one = replace(strip("DT01", 100), tiles=frozenset({"32TQM"}))
    two = replace(strip("DT02", 52, 6), tiles=frozenset({"32TQL"}))
    assert list(against_plan(TILED, [one, two])) == []
    # Where one was lost before its tiles were found, nothing is missed that it could have met.
    assert list(against_plan(TILED, [one, replace(two, tiles=None)])) == []
    assert list(against_plan(TILED, [one, replace(two, tiles=frozenset())])) != []
    # Nor of parts that it was cut into.
    assert list(against_plan(TILED, [one, replace(two, tiles=frozenset(), all_tiles=False)])) == []


def test_without_tiles_on_either_side_none_are_compared() -> None:
    assert list(against_plan(TILED, [strip("DT01", 152)])) == []
    assert list(against_plan(PLAN[:1], [replace(strip("DT01", 152), tiles=frozenset({"32TQM"}))])) == []


def test_tiles_are_told_as_a_range_or_a_number() -> None:
    assert (str(FORESEEN), FORESEEN.middle, str(TilesOwed(("32TQK",)))) == ("2 to 4", 3, "1")
