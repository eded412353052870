"""What is told of a session's strategy is what was done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import ObjectAbsentError
from shared.ledger.records import Order
from shared.strategy.explaining import explain
from tests.faults.test_strategies import house, rule
from tests.support.standin import SESSION, Outputs, script


def test_each_matter_by_its_rule_and_unit() -> None:
    def told(order: Order) -> Outputs:
        found = script(order)
        facts = {"datatake_type": "NOBS", "relative_orbit": "65"}
        return replace(found, facts=facts) if order.step == "l0c" else found

    made = house(
        rule("first", when={"tiles": ["32TQL"], "relative_orbits": [65]}, priority=9),
        rule("second", when={"datatake_types": ["NOBS"]}, levels=["L1C"]),
        rule("third", when={"satellites": ["S2A"]}, session_wait_s=60),
        answers=told,
    )
    made.run()
    found = explain(made.operator()[0], SESSION)
    assert (found.strategy, found.work_class, found.bound) == ("tried", "nominal", True)
    by = {(each.step, each.matter, each.units): (each.value, each.rule) for each in found.decided}
    assert by["session", "session_wait_s", (SESSION,)] == ("60.0", "third")
    assert by["l1b", "levels", ("DT01",)] == ('["L1C"]', "second")
    assert by["l1c", "priority", ("DT01-T32TQL",)] == ("9", "first")
    assert by["l1c", "levels", ("DT01-T32TQL", "DT01-T32TQM")] == ('["L1C"]', "second")
    (left,) = [key for key in by if key[1] == "not asked for"]
    assert left == ("l2a", "not asked for", ("DT01-T32TQL", "DT01-T32TQM"))


def test_of_one_that_is_not_complete_it_is_what_is_active() -> None:
    made = house(rule(priority=3))
    gone = [path for path in made.station.held if "DSDB_00002" in path]
    for path in gone:
        del made.station.held[path]
    made.tick()
    found = explain(made.operator()[0], SESSION)
    assert not found.bound
    assert [(each.matter, each.value, each.rule) for each in found.decided] == [("priority", "3", "one")]


def test_of_one_that_is_not_there_nothing_is_told() -> None:
    with pytest.raises(ObjectAbsentError, match="S2Z"):
        explain(house().operator()[0], "S2Z_1")
