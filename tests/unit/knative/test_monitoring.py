"""Alerts and dashboard, against the metrics that there are, the pages that they name, and the commands of these."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from functions.cli.main import COMMANDS
from shared.telemetry.metrics import METRICS
from tests.support.manifests import ROOT

MONITORING = ROOT / "knative" / "monitoring"
RULES = [
    rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = {
    each.prometheus + suffix for each in METRICS for suffix in (("_bucket",) if each.kind == "histogram" else ("",))
}
CONSOLE = {name for section in COMMANDS.values() for name in section}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_used_is_one(expression: str) -> None:
    used = set(re.findall(r"\bs2ps_\w+", expression))
    assert used
    assert used <= SERIES
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_a_process_counted_first_counts(expression: str) -> None:
    """Most processes count once: a series without a sample before the first has no increase, and no rate."""
    assert re.findall(r"\b(?:i?rate|i?delta|increase|deriv)\(", expression) == []
    for name, labels, window in re.findall(r"last_over_time\((s2ps_\w+)(\{[^}]*\})?\[(\w+)\]\)", expression):
        series = f"{name}{labels}"
        last = f"last_over_time({series}[{window}])"
        assert f"{last} - ({series} offset {window} or 0 * {last})" in expression
    growing = {name for name in re.findall(r"\bs2ps_\w+", expression) if name.endswith(("_total", "_bucket"))}
    assert growing == set(re.findall(r"last_over_time\((s2ps_\w+)", expression))


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    assert {each.name for each in METRICS if each.prometheus not in shown} == set()
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_a_page_that_tells_of_commands_there_are(rule: dict[str, object]) -> None:
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    page = (ROOT / annotations["runbook"]).read_text()
    assert page.startswith(f"# {rule['alert']}\n")
    for heading in ("## What it means", "## How to look", "## What to do"):
        assert heading in page
    told = set(re.findall(r"\bs2ps ([a-z-]+)", page))
    assert told
    assert told <= CONSOLE


def test_every_page_is_of_an_alert_and_operators_are_led_there() -> None:
    alerts = {rule["alert"] for rule in RULES}
    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} == alerts
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"\(runbooks/(\w+)\.md\)", operations)) == alerts
