"""What the names of records tell, and the spans that are drawn from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from functions.cli.story import tell
from functions.cli.traces import tree
from functions.cli.tracing import story_spans
from shared.ports import ObjectInfo
from shared.telemetry import session_context

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
WORK = "sessions/S/work/l1c/U/" + "a" * 64 + "/"


def listing(**names: float) -> list[ObjectInfo]:
    return [ObjectInfo(name, 1, "e", T0 + timedelta(seconds=at)) for name, at in names.items()]


RECORDS = {
    "sessions/S/seen/a.raw.json": 0, "sessions/S/seen/b.raw.json": 5, "sessions/S/received/a.raw.receipt.json": 6,
    "sessions/S/refused/b.raw.0123.refusal.json": 7, "sessions/S/complete.json": 10, "sessions/S/account.json": 100,
    "sessions/S/reopened/1.json": 90, "sessions/S/accounts/1.json": 90, "sessions/S/actions/x-retry-y.json": 90,
    f"{WORK}order.json": 60, f"{WORK}joborder.xml": 11, f"{WORK}attempts/1.json": 20,
    f"{WORK}attempts/1.ended.json": 30, f"{WORK}attempts/2.json": 40, f"{WORK}outcome.json": 50,
}  # fmt: skip


def test_records_are_sorted_by_their_names() -> None:
    story = tell("S", listing(**RECORDS))
    assert (set(story.seen), set(story.received)) == ({"a.raw", "b.raw"}, {"a.raw"})
    assert story.refused == ["sessions/S/refused/b.raw.0123.refusal.json"]
    assert (story.complete, story.hold, story.reopened) == (T0 + timedelta(seconds=10), None, 1)
    assert list(story.work) == [WORK]


def test_the_ledger_is_drawn_as_a_trace() -> None:
    root = session_context("S")
    nodes = tree(story_spans(tell("S", listing(**RECORDS))), [root.span_id])
    drawn = [(n.depth, n.span.name, n.span.attributes["s2ps.step"], n.span.start // 10**9 - int(T0.timestamp()),
              n.span.seconds, n.orphan) for n in nodes]  # fmt: skip
    assert drawn == [
        (0, "session", "S", 0, 100, False),
        (1, "arrival", "", 0, 10, False),
        (1, "work", "l1c U", 20, 30, False),
        (2, "attempt", "1", 20, 10, False),
        (2, "attempt", "2", 40, 10, False),
    ]


def test_what_has_not_ended_is_not_drawn() -> None:
    records = {name: at for name, at in RECORDS.items() if not name.endswith(("outcome.json", "account.json"))}
    assert [span.name for span in story_spans(tell("S", listing(**records)))] == ["arrival"]
    assert story_spans(tell("S", [])) == []
