"""The critical path of a product: its parts sum to the whole, and each second is spent on one thing only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.overhead import (
    OWN,
    Arrival,
    Call,
    CriticalPath,
    File,
    Lost,
    Product,
    Run,
    Story,
    Work,
    calls_by_cause,
    critical_path,
    refined,
    spread,
)

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
LEVELS = ("l0u", "l0c", "l1b", "l1c", "l2a")


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def work(step: str, cause: str, readied: float, launched: float, length: float = 10, **more: object) -> Work:
    """Launched, a second in the queue, a second to start, a second in, ``length`` of IPF, two seconds out."""
    run = Run(1, at(launched), at(launched + 2), at(launched + 5 + length), 1, 1, length, 2)
    return replace(Work(step, "DT01", f"{step}/order", cause, at(readied), run), **more)  # type: ignore[arg-type]


def arrival(**more: object) -> Arrival:
    files = (File("a", at(-60), at(-20), 30, "seen/a", "got/a"), File("b", at(0), at(5), 4, "seen/b", "got/b"))
    return replace(Arrival(at(6), files), **more)  # type: ignore[arg-type]


def story(**more: Work) -> Story:
    """Two steps: the first is launched at 8 and ends at 23, the second at 25 and 40; the product is there at 41."""
    made = {"l0u": work("l0u", "complete", 6, 8), "l0c": work("l0c", "l0u", 23, 25)}
    return Story(arrival(), made | more)


PRODUCT = Product("P", "L0", "l0c", at(41))


def spent(path: CriticalPath) -> dict[str, float]:
    kinds = {part.kind for part in path.parts}
    return {kind: path.seconds_of(kind) for kind in kinds}


def assert_whole(path: CriticalPath, product: Product) -> None:
    assert path.parts[0].start == path.begin
    assert path.parts[-1].end == product.published
    assert all(before.end == after.start for before, after in zip(path.parts, path.parts[1:], strict=False))
    assert all(part.start < part.end for part in path.parts)
    assert path.total_s == pytest.approx((product.published - path.begin).total_seconds())


def test_each_second_from_the_last_file_to_the_shelf_is_spent_on_one_thing() -> None:
    path = critical_path(story(), PRODUCT)
    assert_whole(path, PRODUCT)
    # To the transfer 1, complete 1, to the two launches 2 each, to the shelf 1.
    assert spent(path) == pytest.approx(
        {"transfer": 4, "hand-over": 7, "queue": 2, "start": 2, "stage-in": 2, "ipf": 20, "stage-out": 4}
    )
    assert path.own_s == pytest.approx(15)
    assert path.first_ipf_s == pytest.approx(11)
    assert path.skew_s == 0


def test_at_a_join_only_what_came_last_is_on_the_way() -> None:
    """A sibling that ran longer, and ended before what the product waited for, adds nothing."""
    sibling = work("l0x", "complete", 6, 7, length=9)
    assert critical_path(story(l0x=sibling), PRODUCT) == critical_path(story(), PRODUCT)


def test_a_file_seen_earlier_and_received_last_is_transferred_until_then() -> None:
    files = (File("large", at(-100), at(5), 105), File("b", at(0), at(2), 1))
    path = critical_path(replace(story(), arrival=arrival(files=files)), PRODUCT)
    assert_whole(path, PRODUCT)
    assert path.seconds_of("transfer") == pytest.approx(5)


def test_a_file_that_waits_its_turn_waits_for_the_transfer_of_others() -> None:
    """Two at a time: from 1 to 3 both are taken by others, from 3 to 3.5 one is free and the event is under way."""
    files = (
        File("a", at(-5), at(3), 5),
        File("b", at(-4), at(3.25), 2.25),
        File("last", at(0), at(5), 1.5, "seen/last", "got/last"),
    )
    path = critical_path(replace(story(), arrival=arrival(files=files)), PRODUCT)
    assert_whole(path, PRODUCT)
    shown = [(part.kind, part.seconds) for part in path.parts if part.start < at(5)]
    assert shown == [("event", 1), ("transfer", 2), ("hand-over", 0.5), ("transfer", 1.5)]
    others = calls_by_cause(
        [Call("file_transfer", "seen/a", at(-5), at(3)), Call("file_transfer", "seen/last", at(3.25), at(5))]
    )
    shown = [(part.kind, part.seconds) for part in refined(path, others).parts if part.start < at(5)]
    assert shown == [("event", 1), ("transfer", 2), ("event", 0.25), ("function", 0.25), ("transfer", 1.5)]


def test_one_transfer_beside_it_keeps_no_file_waiting() -> None:
    files = (File("a", at(-5), at(3), 8), File("last", at(0), at(5), 1.5))
    path = critical_path(replace(story(), arrival=arrival(files=files)), PRODUCT)
    assert path.seconds_of("transfer") == pytest.approx(1.5)


def test_files_that_never_came_are_waited_for_at_the_station() -> None:
    late = Story(arrival(complete=at(306), partial=True), {"l0u": work("l0u", "complete", 306, 308)})
    path = critical_path(late, Product("P", "L0", "l0u", at(330)))
    assert path.seconds_of("station") == pytest.approx(301)


def test_a_wait_for_auxiliary_files_is_not_our_own() -> None:
    waited = replace(work("l0c", "l0u", 23, 65), awaited=(at(24), at(64)))
    path = critical_path(story(l0c=waited), replace(PRODUCT, published=at(81)))
    assert path.seconds_of("auxiliary") == pytest.approx(40)
    assert path.own_s == pytest.approx(15)


def test_an_attempt_that_failed_counts_as_such_and_the_pause_after_it_as_ours() -> None:
    """The first attempt, from 25 to 35, failed; the second was due at 40, and was launched at 41."""
    again = replace(work("l0c", "l0u", 23, 41), lost=(Lost(1, at(25), at(35), at(40)),))
    again = replace(again, run=replace(again.run, number=2))  # type: ignore[type-var]
    path = critical_path(story(l0c=again), replace(PRODUCT, published=at(57)))
    assert_whole(path, path.product)
    assert path.seconds_of("failed") == pytest.approx(10)
    assert path.seconds_of("pause") == pytest.approx(5)
    assert path.own_s == pytest.approx(15 + 5 + 1)
    assert path.first_ipf_s == pytest.approx(11)


def test_attempts_after_the_one_that_counts_are_off_the_way() -> None:
    """A zombie wrote the outcome: the attempt that was launched in its place came to nothing beside it."""
    beside = replace(work("l0c", "l0u", 23, 25), lost=(Lost(2, at(30), at(39)),))
    assert critical_path(story(l0c=beside), PRODUCT) == critical_path(story(), PRODUCT)


def test_until_an_operator_granted_more_attempts_it_was_the_operators_time() -> None:
    again = replace(work("l0c", "l0u", 23, 1000), lost=(Lost(1, at(25), at(35), granted=at(999)),))
    again = replace(again, run=replace(again.run, number=2))  # type: ignore[type-var]
    path = critical_path(story(l0c=again), replace(PRODUCT, published=at(1016)))
    assert path.seconds_of("operator") == pytest.approx(964)
    assert path.own_s == pytest.approx(16)


def test_while_it_was_held_it_was_the_operators_time() -> None:
    held = replace(work("l0c", "l0u", 23, 125), held=((at(24), at(124)), (at(500), at(600))))
    path = critical_path(story(l0c=held), replace(PRODUCT, published=at(141)))
    assert_whole(path, path.product)
    assert path.seconds_of("operator") == pytest.approx(100)
    assert path.own_s == pytest.approx(15)


def test_what_was_given_from_outside_begins_where_it_was_given() -> None:
    given_work = Work("l1c", "X-T32TMQ", "order", "complete", at(0), None)
    made = {"l1c": given_work, "l2a": work("l2a", "l1c", 0, 3)}
    path = critical_path(Story(Arrival(at(0)), made), Product("P", "L2A", "l2a", at(20)))
    assert_whole(path, path.product)
    assert path.own_s == pytest.approx(3 + 1 + 1 + 2 + 2)


def test_what_no_record_tells_of_counts_as_our_own() -> None:
    path = critical_path(Story(arrival(), {}), PRODUCT)
    assert_whole(path, PRODUCT)
    assert path.seconds_of("untold") == pytest.approx(35)
    assert path.own_s == pytest.approx(37)


def test_an_order_that_leads_to_itself_ends_the_way() -> None:
    assert_whole(critical_path(Story(arrival(), {"l0c": work("l0c", "l0c", 23, 25)}), PRODUCT), PRODUCT)


def test_clocks_that_contradict_each_other_are_told_of_and_count_nothing() -> None:
    """The node's clock is two seconds behind: its process began before the Job was launched."""
    made = work("l0c", "l0u", 23, 25)
    assert made.run is not None
    ahead = replace(made, run=replace(made.run, started=at(24.5), finished=at(38)))
    path = critical_path(story(l0c=ahead), PRODUCT)
    assert_whole(path, PRODUCT)
    assert path.skew_s == pytest.approx(0.5)


def test_an_ipf_that_says_it_ran_longer_than_its_attempt_counts_as_long_as_the_attempt() -> None:
    made = work("l0c", "l0u", 23, 25)
    assert made.run is not None
    longer = replace(made, run=replace(made.run, execute_s=100.0))
    path = critical_path(story(l0c=longer), PRODUCT)
    assert_whole(path, PRODUCT)
    assert spent(path) == pytest.approx(
        {"transfer": 4, "hand-over": 7, "queue": 2, "start": 2, "stage-in": 1, "ipf": 21, "stage-out": 4}
    )


# whatever the records say --------------------------------------------------------------------------------------------
SECONDS = st.floats(-50, 500, allow_nan=False).map(lambda value: round(value, 3))
LENGTHS = st.floats(0, 300, allow_nan=False).map(lambda value: round(value, 3))
INSTANTS = SECONDS.map(at)
RUNS = st.builds(Run, st.integers(1, 4), INSTANTS, INSTANTS, INSTANTS, LENGTHS, LENGTHS, LENGTHS, LENGTHS)
LOST = st.builds(Lost, st.integers(1, 4), INSTANTS, INSTANTS, st.none() | INSTANTS, st.none() | INSTANTS)
STRETCHES = st.tuples(INSTANTS, INSTANTS)
WORKS = st.builds(
    Work,
    st.just("step"),
    st.just("unit"),
    st.sampled_from(["o1", "o2"]),
    st.sampled_from(["complete", *LEVELS]),
    INSTANTS,
    st.none() | RUNS,
    st.lists(LOST, max_size=3).map(tuple),
    st.none() | STRETCHES,
    st.lists(STRETCHES, max_size=2).map(tuple),
)
FILES = st.builds(File, st.sampled_from("abc"), INSTANTS, INSTANTS, LENGTHS, st.just("seen"), st.just("got"))
STORIES = st.builds(
    Story,
    st.builds(Arrival, INSTANTS, st.lists(FILES, max_size=3).map(tuple), st.booleans()),
    st.dictionaries(st.sampled_from(LEVELS), WORKS),
)
CALLS = st.lists(
    st.builds(
        Call,
        st.sampled_from(["product_publication", "job_launch", "job_preparation", "file_transfer", "session_assembly"]),
        st.sampled_from(["o1", "o2", "complete", "seen", "got", *LEVELS]),
        INSTANTS,
        INSTANTS,
    ),
    max_size=8,
)


@given(STORIES, SECONDS, CALLS)
def test_whatever_the_records_say_the_parts_follow_on_one_another(told: Story, end: float, calls: list[Call]) -> None:
    product = Product("P", "L2A", "l2a", at(end))
    path = critical_path(told, product)
    if path.begin >= product.published:
        assert path.parts == ()
        return
    assert_whole(path, product)
    assert 0 <= path.own_s <= path.total_s + 1e-6
    ran = sum(work.run.execute_s for work in told.work.values() if work.run is not None)
    assert path.seconds_of("ipf") <= ran + 1e-6
    # Spans part hand-overs, and move no second from what is ours to what is not.
    parted = refined(path, calls_by_cause(calls))
    assert_whole(parted, product)
    assert parted.own_s == pytest.approx(path.own_s)


# spans ---------------------------------------------------------------------------------------------------------------
def test_spans_part_a_hand_over_into_events_and_calls() -> None:
    calls = [
        Call("job_preparation", "l0u", at(23.5), at(24)),
        Call("job_launch", "l0c/order", at(24.25), at(25.5)),
        Call("job_launch", "l0c/order", at(29), at(30)),  # a duplicate that found all done
        Call("job_preparation", "elsewhere", at(23), at(24)),
    ]
    path = refined(critical_path(story(), PRODUCT), calls_by_cause(calls))
    shown = [(part.kind, part.seconds) for part in path.parts if at(23) <= part.start < at(25)]
    assert shown == [("event", 0.5), ("function", 0.5), ("event", 0.25), ("function", 0.75)]


def test_where_only_one_of_two_calls_has_a_span_the_rest_stays_a_hand_over() -> None:
    path = critical_path(story(), PRODUCT)
    first = refined(path, calls_by_cause([Call("job_preparation", "l0u", at(23.5), at(24))]))
    shown = [(part.kind, part.seconds) for part in first.parts if at(23) <= part.start < at(25)]
    assert shown == [("event", 0.5), ("function", 0.5), ("hand-over", 1)]
    second = refined(path, calls_by_cause([Call("job_launch", "l0c/order", at(24), at(26))]))
    shown = [(part.kind, part.seconds) for part in second.parts if at(23) <= part.start < at(25)]
    assert shown == [("hand-over", 1), ("function", 1)]


def test_a_call_with_another_record_that_lasted_until_then_is_taken_for_it() -> None:
    calls = calls_by_cause([Call("session_assembly", "got/a", at(5.25), at(7))])
    shown = [(part.kind, part.seconds) for part in refined(critical_path(story(), PRODUCT), calls).parts[2:4]]
    assert shown == [("event", 0.25), ("function", 0.75)]


def test_own_time_holds_no_ipf_and_no_transfer() -> None:
    assert not OWN & {"ipf", "transfer", "queue", "auxiliary", "station", "operator", "failed"}


def test_percentiles_are_values_that_were_there() -> None:
    found = spread([3, 1, 2, 5, 4])
    assert (found.n, found.p50, found.p95, found.max) == (5, 3, 5, 5)
    assert spread(range(1, 101)).p95 == 95
    with pytest.raises(ValueError, match="at least one"):
        spread([])
