"""How the console prints: tables that fit, text that is harmless, documents that programs can rely on."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import Any

import click
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from functions.cli import output
from functions.cli.options import Shape
from functions.cli.output import Column, age, echo_lines, jsonable, layout, show
from functions.cli.safe import safe

ROWS = [("S2A_20261122100000057405", "closed", "10"), ("S2B_20261122100000057405", "arriving", "")]
TITLES = ("session", "stands", "produced")


def test_a_table_is_as_kn_prints_it() -> None:
    assert layout(TITLES, ROWS[:1]) == [
        "SESSION                    STANDS   PRODUCED",
        click.unstyle("S2A_20261122100000057405   ") + click.style("closed", fg="green") + "   10",
    ]
    assert len(layout(TITLES, ROWS, headers=False)) == 2


@pytest.mark.parametrize("width", [30, 44, 60, 200])
def test_a_narrow_terminal_folds_names_and_loses_nothing(width: int) -> None:
    lines = [click.unstyle(line) for line in layout(TITLES, ROWS, folds={0}, width=width)]
    assert max(map(len, lines)) <= max(width, 12 + 3 + 8 + 3 + 8)
    edge = lines[0].index("STANDS")
    assert "".join(line[:edge].strip() for line in lines[1:]) == "".join(row[0] for row in ROWS)


@given(st.text())
def test_nothing_unprintable_gets_through(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(text) == text or not text.isprintable()


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "a\nb", "\x9b31m", "\u202eevil", "\r", "\ud800"])
def test_terminal_sequences_from_outside_are_shown_not_obeyed(text: str) -> None:
    lines = "".join(click.unstyle(line) for line in layout(("reason",), [(text,)], headers=False))
    assert lines.isprintable()
    assert lines.startswith(("\\", "a\\n"))
    for form in ("json", "yaml"):
        assert text not in printed(Shape(form), text)


def printed(shape: Shape, name: str, *more: str) -> str:
    columns: list[Column[str]] = [Column("name", str)]
    stream = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        show(shape, "Thing", [name, *more][: 0 if not name else None], columns, lambda row: row, "No things found.")
    return stream.getvalue()


def test_the_shapes_of_a_list() -> None:
    document = {"apiVersion": "s2ps.org/v1", "kind": "ThingList", "items": ["a", "b"]}
    assert json.loads(printed(Shape("json"), "a", "b")) == document
    assert yaml.safe_load(printed(Shape("yaml"), "a", "b")) == document
    assert printed(Shape("name"), "a", "b") == "a\nb\n"
    assert printed(Shape(), "a", "b") == "NAME\na\nb\n"
    assert printed(Shape(headers=False), "a", "b") == "a\nb\n"


def test_nothing_is_said_so_in_a_table_and_is_an_empty_list_elsewhere() -> None:
    assert printed(Shape(), "") == "No things found.\n"
    assert printed(Shape("name"), "") == ""
    assert json.loads(printed(Shape("json"), ""))["items"] == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (3599, "59m"), (7199, "119m"),
        (7500, "2h5m"), (86400, "24h"), (172800, "2d"), (273600, "3d4h"), (8640000, "100d"),
    ],
)  # fmt: skip
def test_ages_are_short(seconds: float, told: str) -> None:
    assert age(seconds) == told


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal, file = Terminal(), StringIO()
    for stream in (terminal, file):
        monkeypatch.setattr("sys.stdout", stream)
        echo_lines(layout(TITLES, ROWS))
    assert ("\x1b[" in terminal.getvalue()) == coloured
    assert "\x1b[" not in file.getvalue()
    assert re.sub(r"\x1b\[\d+m", "", terminal.getvalue()) == file.getvalue()


def test_a_file_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout", StringIO())
    assert output.terminal_width() is None
    monkeypatch.setattr("sys.stdout", Terminal())
    assert output.terminal_width() == 40


def test_instants_are_utc_in_documents() -> None:
    when = datetime(2026, 11, 22, 13, tzinfo=timezone(timedelta(hours=2)))
    found: Any = jsonable({"a": [when, (1, None)]})
    assert found == {"a": ["2026-11-22T11:00:00Z", [1, None]]}


def test_columns_come_closer_before_a_table_is_wider_than_the_terminal() -> None:
    """`sessions` on 80 columns: 88 with three blanks between columns."""
    titles = ("session", "stands", "t0", "files", "work", "produced", "absent", "parked")
    row = ("S2A_20260621104500057405", "processing", "2026-11-22T12:55:09Z", "18/18", "10/10", "10", "0", "0")
    for width in (80, 100, 120):
        lines = layout(titles, [row], folds={0}, width=width)
        assert max(map(len, map(click.unstyle, lines))) <= width
    assert len(lines) == 2, "wide enough"
    assert "   " in lines[0]
