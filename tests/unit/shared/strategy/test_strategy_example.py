"""The example of the page for operators is one, and says what the page says."""

from __future__ import annotations

import textwrap
from pathlib import Path

from shared.domain.strategy import Condition, Decision, Subject
from shared.strategy.document import parse_strategy

PAGE = Path(__file__).resolve().parents[4] / "docs" / "strategy.md"


def test_the_worked_example_is_a_strategy() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## A worked example")[2].partition("\nA session of S2B")[0]
    strategy = parse_strategy(textwrap.dedent(text).encode(), "example")
    assert len(strategy.rules) == 6
    north = Subject(unit="DT01-T33VWG", satellite="S2B", tile="33VWG", step="l2a", level="L2A")
    assert strategy.decide(north).by == {"levels": "no-surface-in-the-dark", "split": "long-strips-in-parts"}
    south = Subject(unit="DT01-T32TVK", satellite="S2B", tile="32TVK", step="l2a", level="L2A")
    assert "levels" not in strategy.decide(south).by


def test_every_condition_and_decision_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in (*Condition.model_fields, *Decision.model_fields):
        assert f"`{name}" in page, name
