"""A strategy decides by its rules, says which one did, and is known by what it says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain.strategy import DEFAULT, Sample, Strategy, Subject, differences

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALPS = {"type": "Polygon", "coordinates": [[[5, 44], [16, 44], [16, 48], [5, 48], [5, 44]]]}
OVER_ALPS = ((10.0, 46.0), (11.0, 46.0), (11.0, 47.0), (10.0, 46.0))
KNOWN = Subject(
    unit="DT35",
    satellite="S2B",
    station="SGS_",
    work_class="nrt",
    when=NOON,
    relative_orbit=65,
    datatake_type="NOBS",
    footprint=OVER_ALPS,
    tile="32TQM",
    step="l1c",
    level="L1C",
    scenes=40,
)


def strategy(*rules: dict[str, Any]) -> Strategy:
    named = [{"name": f"rule-{n}", **rule} for n, rule in enumerate(rules)]
    return Strategy.model_validate({"name": "mine", "rules": named})


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"satellites": ["S2B", "S2C"]}, {"satellites": ["S2A"]}),
    ({"stations": ["SGS_"]}, {"stations": ["MTI_"]}),
    ({"classes": ["nrt"]}, {"classes": ["reprocessing"]}),
    ({"relative_orbits": [64, 65]}, {"relative_orbits": [66]}),
    ({"datatake_types": ["NOBS"]}, {"datatake_types": ["DASC"]}),
    ({"area": ALPS}, {"area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}),
    ({"tiles": ["31*", "32T*"]}, {"tiles": ["33*"]}),
    ({"steps": ["l1c"]}, {"steps": ["l2a"]}),
    ({"levels": ["L1C"]}, {"levels": ["L2A"]}),
    ({"since": "2026-11-22T12:00:00Z"}, {"since": "2026-11-22T12:00:01Z"}),
    ({"until": "2026-11-22T12:00:01Z"}, {"until": "2026-11-22T12:00:00Z"}),
    ({"scenes_from": 40}, {"scenes_from": 41}),
]


@pytest.mark.parametrize(("holds", "fails"), CONDITIONS)
def test_a_condition(holds: dict[str, Any], fails: dict[str, Any]) -> None:
    def decided(when: dict[str, Any], subject: Subject) -> bool:
        return bool(strategy({"when": when, "then": {"priority": 1}}).decide(subject).by)

    assert decided(holds, KNOWN)
    assert not decided(fails, KNOWN)
    if "classes" not in holds:  # what class a session is of is always known
        assert not decided(holds, Subject(unit="DT35"))


def test_all_conditions_of_a_rule_must_hold() -> None:
    both = {"satellites": ["S2B"], "stations": ["MTI_"]}
    assert not strategy({"when": both, "then": {"priority": 1}}).decide(KNOWN).by


def test_the_first_rule_that_says_something_about_a_matter_decides_it() -> None:
    found = strategy(
        {"when": {"satellites": ["S2A"]}, "then": {"priority": 1}},
        {"when": {"satellites": ["S2B"]}, "then": {"priority": 2, "levels": ["L1C"]}},
        {"then": {"priority": 3, "levels": ["L1C", "L2A"], "hold": "calibration"}},
    ).decide(KNOWN)
    assert (found.decision.priority, found.decision.levels, found.decision.hold) == (2, ("L1C",), "calibration")
    assert found.by == {"priority": "rule-1", "levels": "rule-1", "hold": "rule-2"}
    assert found.decision.split is None
    assert found.explain() == (
        'hold: "calibration" (rule rule-2)',
        'levels: ["L1C"] (rule rule-1)',
        "priority: 2 (rule rule-1)",
    )


def test_nothing_made_is_a_decision() -> None:
    assert strategy({"then": {"levels": []}}).decide(KNOWN).decision.levels == ()


def test_the_default_decides_nothing() -> None:
    assert DEFAULT.decide(KNOWN).by == {}


@given(st.floats(0, 100))
def test_a_sample_is_of_the_share_that_it_names(percent: float) -> None:
    sample = Sample(percent=percent)
    taken = sum(sample.takes(f"DT{n:04d}-T32TQM") for n in range(2000))
    assert abs(taken / 20 - percent) < 4
    assert sample.takes("DT1") == sample.takes("DT1")


def test_all_or_none_is_exact() -> None:
    assert not any(Sample(percent=0).takes(str(n)) for n in range(200))
    assert all(Sample(percent=100).takes(str(n)) for n in range(200))


def test_the_version_is_of_the_content() -> None:
    rule: dict[str, Any] = {"when": {"satellites": ["S2B"]}, "then": {"priority": 2}}
    one = strategy(rule)
    assert one.version == strategy({**rule, "note": "why"}).version
    assert one.version == Strategy.model_validate_json(one.model_dump_json()).version
    others = [
        strategy({**rule, "then": {"priority": 3}}),
        strategy(rule, {"then": {"priority": 3}}),
        strategy({**rule, "name": "other"}),
        strategy({**rule, "when": {}}),
    ]
    assert len({one.version, *(each.version for each in others)}) == 5


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"then": {}}, "a decision"),
        ({"then": {"priorities": 1}}, "priorities"),
        ({"when": {"satelite": ["S2B"]}, "then": {"priority": 1}}, "satelite"),
        ({"then": {"levels": ["L9"]}}, "levels"),
        ({"then": {"budgets": {"L9": 30}}}, "L9"),
        ({"then": {"split": {"scenes": 2}}}, "split"),
        (
            {"when": {"tiles": ["32*"], "area": ALPS}, "then": {"split": {"scenes": 24}}},
            "when: tiles: expected nothing but area, classes, .*, since split is decided once for a whole datastrip",
        ),
        (
            {"when": {"datatake_types": ["NOBS"]}, "then": {"session_wait_s": 60}},
            "when: datatake_types: .*, since session_wait_s is decided once for a whole session",
        ),
        ({"name": "Has Blanks", "then": {"priority": 1}}, "name"),
        ({"when": {"since": "2026-11-22T12:00:00"}, "then": {"priority": 1}}, "since"),
        ({"then": {"sample": {"percent": 101}}}, "percent"),
        ({"when": {"area": {"type": "Polygon", "coordinates": []}}, "then": {"priority": 1}}, "area"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_field_named(rule: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        strategy(rule)


def test_a_name_stands_once() -> None:
    with pytest.raises(ValidationError, match="rules: one: expected each name once"):
        strategy({"name": "one", "then": {"priority": 1}}, {"name": "one", "then": {"priority": 2}})


def test_what_changes_from_one_to_another() -> None:
    a: dict[str, Any] = {"name": "a", "then": {"priority": 1}}
    b: dict[str, Any] = {"name": "b", "then": {"hold": "why"}}
    assert differences(strategy(a, b), strategy(a, b)) == ()
    changed = strategy(b, {"name": "a", "then": {"priority": 2}}, {"name": "c", "then": {"levels": []}})
    assert differences(strategy(a, b), changed) == (
        '+ c: {"then": {"levels": []}}',
        '~ a: {"then": {"priority": 1}} -> {"then": {"priority": 2}}',
        "order: a, b -> b, a, c",
    )
    assert differences(changed, strategy(b)) == ("- a", "- c")
