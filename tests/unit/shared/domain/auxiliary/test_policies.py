"""Each policy against an oracle that compares every file with every other, by the words of the definition alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.auxiliary.names import AuxiliaryName
from shared.domain.auxiliary.policies import POLICIES, PolicyName, Window, pick
from shared.errors import BadInputError
from tests.support.auxiliary import day, named

Files = list[AuxiliaryName]

# Few distinct days, so that ties and touching bounds are common.
days = st.integers(-4, 6)
spans = st.tuples(days, days).map(sorted)
names = st.builds(lambda span, created: named(start=span[0], stop=span[1], created=created), spans, days)
files = st.lists(names, max_size=9, unique_by=lambda name: name.text)
windows = st.builds(
    lambda span, before, after: Window(day(span[0]), day(span[1]), timedelta(days=before), timedelta(days=after)),
    spans,
    st.integers(0, 2),
    st.integers(0, 2),
)


def intersecting(given: Files, w: Window) -> Files:
    """All but those that lie wholly before or wholly after."""
    return [f for f in given if not (f.stop < w.t0 - w.before or f.start > w.t1 + w.after)]


def covering(given: Files, w: Window) -> Files:
    return [f for f in given if f.start <= w.t0 - w.before and w.t1 + w.after <= f.stop]


def overlap(f: AuxiliaryName, w: Window) -> float:
    return max((min(f.stop, w.t1 + w.after) - max(f.start, w.t0 - w.before)).total_seconds(), 0)


def length(w: Window) -> float:
    return (w.t1 + w.after - w.t0 + w.before).total_seconds()


def middle(w: Window) -> float:
    return ((w.t0 - w.before).timestamp() + (w.t1 + w.after).timestamp()) / 2


def unbeaten(given: Files, *loss: Callable[[AuxiliaryName], float]) -> Files:
    """Those that no other beats: ``loss`` by ``loss``, less is better."""
    left = list(given)
    for of in loss:
        left = [f for f in left if all(of(f) <= of(g) for g in left)]
    return left


def generated(f: AuxiliaryName) -> float:
    return -f.creation.timestamp()


def margin(f: AuxiliaryName, w: Window) -> float:
    before = (w.t0 - w.before - f.start).total_seconds()
    after = (f.stop - w.t1 - w.after).total_seconds()
    return min(before, after)


def largest(given: Files, w: Window) -> Files:
    return unbeaten(
        given, lambda f: -overlap(f, w), lambda f: abs((f.start - w.t0).total_seconds()), generated
    )  # fmt: skip


ORACLE: dict[PolicyName, Callable[[Files, Window], Files]] = {
    "LatestValIntersect": lambda g, w: unbeaten(intersecting(g, w), generated),
    "LatestValCover": lambda g, w: unbeaten(covering(g, w), generated),
    "LatestValidityClosest": lambda g, w: unbeaten(g, lambda f: abs(f.start.timestamp() - middle(w)), generated),
    "BestCenteredCover": lambda g, w: unbeaten(covering(g, w), lambda f: -margin(f, w), generated),
    "LatestValCoverClosest": lambda g, w: unbeaten(
        covering(g, w), lambda f: abs((f.start - (w.t0 - w.before)).total_seconds()), generated
    ),
    "LargestOverlap": lambda g, w: largest(intersecting(g, w), w),
    "LargestOverlap85": lambda g, w: largest([f for f in intersecting(g, w) if overlap(f, w) >= 0.85 * length(w)], w),
    "LatestValidity": lambda g, _w: unbeaten(g, lambda f: -f.start.timestamp(), generated),
    "LatestValCoverNewestValidity": lambda g, w: ORACLE["LatestValCover"](g, w) or ORACLE["LatestValidity"](g, w),
}


def test_there_are_eleven() -> None:
    assert len(POLICIES) == 11
    assert set(POLICIES) == {*ORACLE, "ValIntersect", "ValCover"}


@pytest.mark.parametrize("policy", list(ORACLE))
@settings(max_examples=50)
@given(given=files, window=windows)
def test_a_policy_of_one_takes_what_the_oracle_takes(policy: PolicyName, given: Files, window: Window) -> None:
    best = {f.text for f in ORACLE[policy](given, window)}
    chosen = pick(policy, given, window).chosen
    assert len(chosen) == min(1, len(best))
    assert set(chosen) <= best


@pytest.mark.parametrize(("policy", "oracle"), [("ValIntersect", intersecting), ("ValCover", covering)])
@settings(max_examples=50)
@given(given=files, window=windows)
def test_a_policy_of_many_takes_all(
    policy: PolicyName, oracle: Callable[[Files, Window], Files], given: Files, window: Window
) -> None:
    assert set(pick(policy, given, window).chosen) == {f.text for f in oracle(given, window)}


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=50)
@given(given=files, window=windows, seed=st.integers())
def test_the_answer_does_not_depend_on_the_order_and_leaves_no_file_untold(
    policy: PolicyName, given: Files, window: Window, seed: int
) -> None:
    picked = pick(policy, given, window)
    shuffled = random.Random(seed).sample(given, len(given))
    assert pick(policy, shuffled, window) == picked
    told = [*picked.chosen, *(each.name for each in picked.passed_over)]
    assert sorted(told) == sorted(f.text for f in given)
    assert all(each.reason for each in picked.passed_over)


NARROW = Window(day(0), day(2))


def test_a_file_inside_the_window_intersects_it() -> None:
    inside = named(start=0.5, stop=1)
    assert pick("ValIntersect", [inside], NARROW).chosen == (inside.text,)


def test_the_start_nearest_to_the_middle_may_lie_before_it() -> None:
    before, after = named(start=0.9, stop=5), named(start=1.4, stop=5)
    assert pick("LatestValidityClosest", [before, after], NARROW).chosen == (before.text,)


def test_a_file_beside_the_window_has_no_overlap_however_long_it_is() -> None:
    long_ago, short = named(start=-400, stop=-300), named(start=1.9, stop=2.1)
    assert pick("LargestOverlap", [long_ago, short], NARROW).chosen == (short.text,)


def test_the_best_centred_must_cover() -> None:
    centred, covering = named(start=0.5, stop=1.5), named(start=0, stop=9)
    assert pick("BestCenteredCover", [centred, covering], NARROW).chosen == (covering.text,)


def test_eighty_five_per_cent_is_enough_and_less_is_not() -> None:
    enough, less = named(start=0.3, stop=9), named(start=0.30002, stop=9, created=1)
    assert pick("LargestOverlap85", [enough], NARROW).chosen == (enough.text,)
    assert pick("LargestOverlap85", [less], NARROW).chosen == ()
    assert pick("LargestOverlap85", [less], NARROW).passed_over[0].reason.endswith("less than 85 % of the window")


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_to_choose_from_is_an_answer(policy: PolicyName) -> None:
    assert pick(policy, [], NARROW).chosen == ()


def test_what_was_passed_over_says_why() -> None:
    best, older = named(start=-1, stop=3, created=2), named(start=-1, stop=3, created=1)
    late, early = named(start=1, stop=3), named(start=-1, stop=1)
    reasons = {
        each.name: each.reason for each in pick("LatestValCover", [early, older, best, late], NARROW).passed_over
    }
    assert reasons == {
        older.text: f"another was generated later: {best.text}",
        late.text: "its validity starts 2022-04-14T00:00:00Z, after the begin of the window",
        early.text: "its validity ends 2022-04-14T00:00:00Z, before the end of the window",
    }


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(BadInputError, match="window"):
        Window(day(1), day(0))
