"""A session's trace as the console sees it: read back, put in order, drawn."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from functions.cli.traces import SpanRow, idle_seconds, parse_line, read_spans, tree
from functions.cli.waterfall import bar, draw_bar, waterfall

TRACE = "1" * 32


def row(name: str, parent: str = "", start: float = 0, end: float = 1, **more: Any) -> SpanRow:
    return SpanRow(TRACE, name, parent, name, "probe", "internal", int(start * 1e9), int(end * 1e9), **more)


def line(name: str, trace: str = TRACE, **more: Any) -> str:
    span = {"traceId": trace, "spanId": name, "name": name, "kind": 5, "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "probe"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span | more]}]}]}) + "\n"


def test_spans_are_read_from_every_file_but_cut_lines(tmp_path: Path) -> None:
    (tmp_path / "a-1.jsonl").write_text(line("one") + line("other", "2" * 32) + line("cut")[:-20])
    (tmp_path / "foreign.jsonl").write_text(f'["{TRACE}"]\n{{"resourceSpans": [{{"scopeSpans": "{TRACE}"}}]}}\n')
    (tmp_path / "half.jsonl").write_text(line("half").replace('"spanId"', '"span"'))
    (tmp_path / "b-2.jsonl").write_text(line("two", startTimeUnixNano="0") + line("one"))
    assert [span.span_id for span in read_spans(tmp_path, TRACE)] == ["two", "one"]
    assert read_spans(tmp_path / "absent", TRACE) == []


def test_fields_of_a_span() -> None:
    attributes = [
        {"key": "text", "value": {"stringValue": "x"}},
        {"key": "count", "value": {"intValue": "7"}},
        {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
        {"key": "nothing", "value": {}},
    ]
    (span,) = parse_line(line("one", attributes=attributes, parentSpanId="p", status={"code": 2, "message": "broke"}))
    assert (span.service, span.kind, span.parent_id, span.error) == ("probe", "consumer", "p", "broke")
    assert span.attributes == {"text": "x", "count": 7, "list": [True], "nothing": None}


def test_the_tree_is_walked_in_depth_children_by_their_start() -> None:
    spans = [
        row("root"),
        row("late", "root", 5),
        row("early", "root", 1),
        row("below", "early", 9),
        row("lost", "gone"),
    ]
    assert [(n.span.name, n.depth, n.orphan) for n in tree(spans)] == [
        ("root", 0, False),
        ("early", 1, False),
        ("below", 2, False),
        ("late", 1, False),
        ("lost", 0, True),
    ]


def test_a_root_that_is_not_written_yet_makes_no_orphans() -> None:
    assert [node.orphan for node in tree([row("child", "root")], ["root"])] == [False]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 20)), max_size=12, unique_by=lambda t: t[0])
)
def test_every_span_that_has_a_way_to_the_top_is_shown_once(made: list[tuple[int, int, int]]) -> None:
    spans = [row(str(name), str(parent) if parent < name else "", start, start + 1) for name, parent, start in made]
    assert sorted(node.span.span_id for node in tree(spans)) == sorted(span.span_id for span in spans)


def test_time_in_which_nothing_was_under_way() -> None:
    spans = [row("root", "", 0, 100), row("a", "root", 0, 2), row("b", "root", 1, 3), row("c", "root", 7, 8)]
    assert idle_seconds(spans) == pytest.approx(4.0)
    assert idle_seconds([row("root")]) == 0.0


@given(st.floats(0, 100), st.floats(0, 100), st.integers(5, 60))
def test_bars_stay_on_the_axis(first: float, second: float, width: int) -> None:
    start, end = sorted((first, second))
    drawn = draw_bar(*bar(row("x", "", start, end), 0, int(100e9), width), width)
    assert len(drawn) == width
    assert drawn.strip()


def test_a_waterfall_fits_its_terminal() -> None:
    spans = [row("root", "", 0, 60), row("work", "root", 10, 30), row("failed", "root", 30, 31, error="x")]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(waterfall(tree(spans), console.width))
    text = console.export_text()
    assert "60.0 s, 3 spans" in text
    lines = [each for each in text.splitlines() if each.startswith("  work")]
    before, _, after = lines[0].partition("█")
    assert len(lines[0]) <= 100
    assert " 10.00    20.00" in before
    assert after.count("█") > 10
