"""Documents of strategies: read as they are meant, refused by place, and written again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.strategy import Subject
from shared.errors import BadInputError
from shared.strategy.document import format_strategy, parse_strategy

DOCUMENT = b"""
name: winter
note: Two baselines side by side.
rules:
  - name: calibration-first
    when: {classes: [nrt], satellites: [S2C]}
    then: {priority: 10}
  - name: frozen-for-campaign
    note: until the campaign ends
    when:
      area: {type: Polygon, coordinates: [[[5, 44], [16, 44], [16, 48], [5, 48], [5, 44]]]}
      until: 2026-12-31T00:00:00Z
    then:
      waits: {default: {wait_s: 600, then: go-on}}
  - name: frozen-for-s2c
    when: {satellites: [S2C]}
    then:
      processor_set: /etc/s2ps/processors/esa-0400.yaml
      split: {scenes: 24}
  - name: a-tenth-of-the-rest
    then: {sample: {percent: 10}, budgets: {L2A: 110}}
"""


def test_a_document_is_what_it_says() -> None:
    strategy = parse_strategy(DOCUMENT, "winter.yaml")
    subject = Subject(
        unit="DT01",
        satellite="S2C",
        work_class="nrt",
        when=datetime(2026, 11, 22, tzinfo=UTC),
        footprint=((10.0, 46.0), (11.0, 46.0), (11.0, 47.0), (10.0, 46.0)),
    )
    decided = strategy.decide(subject)
    assert decided.decision.processor_set == "/etc/s2ps/processors/esa-0400.yaml"
    assert decided.decision.priority == 10
    assert decided.decision.waits is not None
    assert decided.decision.waits.default.wait_s == 600
    assert decided.by["sample"] == "a-tenth-of-the-rest"


def test_it_comes_back_as_it_was() -> None:
    strategy = parse_strategy(DOCUMENT, "winter.yaml")
    again = parse_strategy(format_strategy(strategy), "again")
    assert again == strategy
    assert again.version == strategy.version


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "a mapping with name and rules, found 'NoneType'"),
        (b"- 1", "a mapping with name and rules"),
        (b"name: x\nrules: [", "mine.yaml, line 2: expected YAML"),
        (b"name: x\nname: y\n", "mine.yaml, line 2: expected YAML: name stands twice"),
        (b"name: &a x\nnote: *a\n", "line 2: expected YAML: aliases are not taken"),
        (b"name: !!python/object:os.system x\n", "expected YAML"),
        (b"name: x\nrules:\n - {name: deep, then: {levels: [L9]}}", "mine.yaml, rules.deep.then.levels.0"),
        (b"name: x\nrules:\n - {then: {hold: why}}", "mine.yaml, rules.1.name"),
        (b"name: x\nrule: []\n", "mine.yaml, rule"),
        (b"name: x\nrules:\n - {name: a, when: {since: 2026-01-01}, then: {hold: why}}", "rules.a.when.since"),
        (b"name: " + b"[" * 5000, "expected YAML"),
        (b"#" * (1 << 20) + b"#", "at most 1048576 bytes"),
        (b"name: \x00", "expected YAML"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(body: bytes, named: str) -> None:
    with pytest.raises(BadInputError) as error:
        parse_strategy(body, "mine.yaml")
    assert named in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    refusal = ""
    try:
        parse_strategy(body, "mine.yaml")
    except BadInputError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith("mine.yaml")
