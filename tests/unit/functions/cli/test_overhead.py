"""How the console tells of own time: for people, and for programs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from functions.cli.main import main
from functions.cli.options import Shape
from functions.cli.overhead import calls_of, show_overhead, summed, told
from functions.cli.traces import SpanRow
from shared.domain.overhead import CriticalPath, Kind, Part, Product

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def path(level: str, name: str, *parts: tuple[Kind, float], skew: float = 0.0) -> CriticalPath:
    made, at = [], BEGIN
    for kind, seconds in parts:
        made.append(Part(kind, f"{kind} of {name}", at, at + timedelta(seconds=seconds)))
        at += timedelta(seconds=seconds)
    return CriticalPath(Product(name, level, "cause", at), BEGIN, tuple(made), skew)


PATHS = [
    path("L1C", "one", ("transfer", 1), ("event", 2), ("ipf", 50), ("stage-out", 3)),
    path("L1C", "two", ("hand-over", 4), ("queue", 70), ("ipf", 60), ("stage-out", 3), ("failed", 9)),
    path("L0", "zero\x1b[31m", ("hand-over", 4), ("ipf", 5)),
]
FOUND = summed("S2A_X", BEGIN, PATHS, spans=False)


def test_levels_are_summed_up_and_the_worst_product_is_told_line_by_line() -> None:
    assert [(each.level, each.own.n, each.own.p50, each.own.max) for each in FOUND.levels] == [
        ("L0", 1, 4, 4),
        ("L1C", 2, 5, 7),
        ("all", 3, 5, 7),
    ]
    l1c = FOUND.levels[1]
    assert (l1c.ipf.max, l1c.queue.p95, l1c.transfer.max, l1c.other.max, l1c.total.max) == (60, 70, 1, 9, 146)
    assert FOUND.worst == "two"
    assert [(each.at_s, each.seconds, each.kind, each.own) for each in FOUND.path] == [
        (0, 4, "hand-over", True),
        (4, 70, "queue", False),
        (74, 60, "ipf", False),
        (134, 3, "stage-out", True),
        (137, 9, "failed", False),
    ]
    assert FOUND.first_ipf_s == 3
    assert (
        told(FOUND) == "3.0 s from its last file to the first IPF, own time 7.0 s at the 95th percentile of 3 products"
    )


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show_overhead(Shape(), FOUND)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("S2A_X: 3.0 s from its last file")
    titles = ["LEVEL", "N", "OWN P50", "OWN P95", "OWN MAX", "IPF P95", "TRANSFER P95", "QUEUE P95", "ELSE P95"]
    assert re.split(r"\s{3,}", lines[1]) == titles
    assert lines[3].split() == ["L1C", "2", "5.00", "7.00", "7.00", "60.00", "1.00", "70.00", "9.00"]
    assert ["0.00", "4.00", "hand-over", "*", "hand-over", "of", "two"] in [line.split() for line in lines]
    assert "No spans are here" in lines[-1]


def test_what_a_name_holds_means_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show_overhead(Shape(), summed("S2A_\x1b[2J", BEGIN, PATHS[2:], spans=True))
    assert "\x1b" not in capsys.readouterr().out


def test_clocks_that_differ_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    differing = path("L0", "zero", ("hand-over", 4), skew=1.25)
    show_overhead(Shape(), summed("S2A_X", BEGIN, [differing], spans=True))
    printed = capsys.readouterr().out
    assert "up to 1.25 s" in printed
    assert "no IPF ran" in printed


def test_a_document_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show_overhead(Shape("json"), FOUND)
    found = json.loads(capsys.readouterr().out)
    assert (found["apiVersion"], found["kind"], found["session"]) == ("s2ps.org/v1", "Overhead", "S2A_X")
    assert found["products"][1]["parts"] == {"failed": 9, "hand-over": 4, "ipf": 60, "queue": 70, "stage-out": 3}
    assert found["levels"][-1]["own"] == {"n": 3, "p50": 5, "p95": 7, "max": 7}
    show_overhead(Shape("name"), FOUND)
    assert capsys.readouterr().out == "S2A_X\n"


def test_calls_are_spans_of_consumers_that_did_not_fail() -> None:
    def span(kind: str, error: str = "", subject: str = "key") -> SpanRow:
        attributes = {"cloudevents.event_subject": subject} if subject else {}
        start, end = 1_000_000_000, 1_500_000_000
        return SpanRow("t", "s", "", "name", "job_launch", kind, start, end, error=error, attributes=attributes)

    (call,) = calls_of([span("consumer"), span("internal"), span("consumer", "503"), span("consumer", subject="")])
    assert (call.function, call.subject, (call.end - call.start).total_seconds()) == ("job_launch", "key", 0.5)


def test_it_is_the_ledger_that_tells_so_a_run_must_be_up(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["trace", "S2A_X", "--overhead", "--run-dir", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "is not up" in result.output
