"""A session under a strategy: what each decision changes, and what none of them does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.deadlines import deadline
from shared.domain.strategy import Strategy
from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.records import Account, Attempt, Complete, Hold, Order, Published
from shared.settings import Settings
from shared.steering import release
from shared.strategy.document import format_strategy
from shared.strategy.shelf import StrategyShelf
from tests.support.house import START, House
from tests.support.standin import SESSION, Outputs, Script, StandInStation, script

OPEN_SET = Path(__file__).resolve().parents[2] / "shared" / "workflow" / "processors" / "open.yaml"
PRODUCTS = 1 + 2 + 2 + 2
"""Level-0 datastrip and granules, two tiles each of L1C and L2A."""


def rule(name: str = "one", when: dict[str, Any] | None = None, **then: Any) -> dict[str, Any]:
    return {"name": name, "when": when or {}, "then": then}


def strategy(*rules: dict[str, Any], name: str = "tried") -> Strategy:
    return Strategy.model_validate({"name": name, "rules": list(rules)})


def activate(made: House, active: Strategy) -> None:
    shelf = StrategyShelf(made.operator()[0].ledger)
    shelf.activate(format_strategy(active).decode(), who="ada", reason="a test", now=made.clock.now())


def house(*rules: dict[str, Any], answers: Script = script, **changes: Any) -> House:
    station = changes.pop("station", None) or StandInStation()
    if not station.held:
        station.fill(START - timedelta(minutes=2))
    given_settings = {"sweep_grace_s": 15, "retry_delay_s": 5, "session_wait_s": 300, "transfer_part_mb": 5, **changes}
    made = House(station=station, settings=Settings(**given_settings))
    made.launcher.script = answers
    if rules:
        activate(made, strategy(*rules))
    return made


def orders(made: House) -> dict[tuple[str, str], Order]:
    found = [
        made.services.ledger.read(info.key, Order)
        for info in made.memory.list(made.settings.bucket_ledger)
        if info.key.endswith("/order.json")
    ]
    return {(order.step, order.unit): order for order in found}


def complete(made: House) -> Complete:
    return made.services.ledger.read(keys.complete(SESSION), Complete)


def sums(account: Account) -> tuple[int, int, int]:
    return account.produced, account.absent, account.parked


def test_without_a_strategy_nothing_is_decided() -> None:
    made = house()
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    assert complete(made).strategy == ""
    assert {(each.priority, each.decision, each.strategy) for each in orders(made).values()} == {(0, None, "")}


def test_levels_that_are_not_asked_for_are_not_owed_and_said() -> None:
    made = house(rule(levels=["L1C"]))
    account = made.run()
    assert sums(account) == (PRODUCTS - 2, 0, 0)
    version = complete(made).strategy
    assert account.not_owed == (f"DT01: by rule one of strategy tried {version} no L2A is made of 2 tiles",)
    assert not [step for step, _ in orders(made) if step == "l2a"]


def test_a_rule_on_tiles_holds_for_them_alone() -> None:
    made = house(rule(when={"tiles": ["32TQL"]}, levels=["L1C"]))
    account = made.run()
    assert sums(account) == (PRODUCTS - 1, 0, 0)
    assert [unit for step, unit in orders(made) if step == "l2a"] == ["DT01-T32TQM"]


def test_a_session_keeps_its_version_to_its_end_whatever_is_activated_meanwhile() -> None:
    made = house(rule(levels=["L1C"]))
    while not any(step == "l0c" for step, _ in made.orders()):
        made.tick()
    activate(made, strategy(rule(priority=7), name="other"))
    assert sums(made.run()) == (PRODUCTS - 2, 0, 0)
    assert len({each.strategy for each in orders(made).values()}) == 1


def test_an_activation_needs_no_new_instance() -> None:
    made = house()  # its functions run already
    activate(made, strategy(rule(priority=7)))
    made.run()
    assert {each.priority for each in orders(made).values()} == {7}
    assert {each.rules["priority"] for each in orders(made).values()} == {"one"}


def test_budgets_are_those_of_orders_products_and_account() -> None:
    made = house(rule(budgets={"L1C": 50}))
    account = made.run()
    t0 = complete(made).t0
    due = {"L1C": t0 + timedelta(minutes=50), "L2A": deadline(t0, "L2A"), "L0": deadline(t0, "L0")}
    assert {(entry.level, entry.deadline) for entry in account.entries} == set(due.items())
    assert orders(made)["l1c", "DT01-T32TQL"].deadline == due["L1C"]
    shelf = made.services.ledger.list("products/")
    published = [made.services.ledger.read(info.key, Published) for info in shelf]
    assert {(each.level, each.deadline) for each in published} == set(due.items())


def test_resources_reach_the_job_and_the_job_order() -> None:
    resources = {"cpus": 6, "memory_mb": 9000, "time_limit_s": 777}
    made = house(rule(when={"steps": ["l1c"]}, resources=resources))
    made.run()
    found = orders(made)["l1c", "DT01-T32TQL"]
    place = parse_work(f"{_prefix(made, found)}order.json")
    assert place is not None
    attempt = made.services.ledger.read(place[0].attempt(1), Attempt)
    assert (attempt.cpus, attempt.memory_mb, attempt.time_limit_s) == (6, 9000, 777)
    order, _ = made.memory.get(made.settings.bucket_ledger, place[0].job_order)
    assert b"NUMBER_OF_THREADS" in order
    assert b">6<" in order


def test_two_processor_sets_at_once(tmp_path: Path) -> None:
    document = yaml.safe_load(OPEN_SET.read_text())
    document["baseline"] = "00.77"
    for processor in document["processors"].values():
        processor["version"] = "7.7.7"
    frozen = tmp_path / "frozen.yaml"
    frozen.write_text(yaml.safe_dump(document))
    made = house(rule(when={"satellites": ["S2A"]}, processor_set=str(frozen)))
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    assert {each.version for each in orders(made).values()} == {"7.7.7"}
    assert {each.parameters["PROCESSING_BASELINE"] for each in orders(made).values()} == {"00.77"}
    other = house(rule(when={"satellites": ["S2B"]}, processor_set=str(frozen)))
    other.run()
    assert "7.7.7" not in {each.version for each in orders(other).values()}


def test_a_sample_takes_none_or_all_and_says_what_it_left_out() -> None:
    nothing = house(rule(sample={"percent": 0})).run()
    assert sums(nothing) == (3, 0, 0), "Level 0 is made of everything"
    assert "by the sample of rule one" in nothing.not_owed[0]
    assert sums(house(rule(sample={"percent": 100})).run()) == (PRODUCTS, 0, 0)


def test_a_session_is_held_once_and_goes_on_when_it_is_released() -> None:
    made = house(rule(hold="look at the new on-board software first"))
    held = made.run()
    assert held.held
    assert held.parked == len(held.entries)
    assert "look at the new on-board software first (rule one)" in held.entries[0].reason
    assert made.services.ledger.read(keys.hold(SESSION), Hold).who.startswith("strategy tried ")
    release(made.operator()[0], SESSION, who="ada", reason="looked at")
    assert sums(made.run()) == (PRODUCTS, 0, 0)


def test_a_step_is_held_for_itself() -> None:
    made = house(rule(when={"steps": ["l1b"]}, hold="the geometry is being looked at"))
    held = made.run()
    assert (held.produced, held.parked) == (3, 2)
    work = _prefix(made, orders(made)["l1b", "DT01"])
    release(made.operator()[0], work, who="ada", reason="looked at")
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    with pytest.raises(RefusedError):
        release(made.operator()[0], work, who="ada", reason="again")


def test_retries_are_as_many_as_decided() -> None:
    def stumbles(order: Order) -> Outputs:
        if order.step == "l1b":
            raise RuntimeError("the IPF died")
        return script(order)

    made = house(rule(when={"steps": ["l1b"]}, retries={"attempts": 5, "delay_s": 1}), answers=stumbles)
    made.launcher.run_one = _dying(made)  # type: ignore[method-assign]  # what dies leaves its Job failed
    account = made.run()
    assert account.parked == 2
    found = _prefix(made, orders(made)["l1b", "DT01"])
    attempts = [i.key for i in made.memory.list(made.settings.bucket_ledger, f"{found}attempts/") if "ended" in i.key]
    assert len(attempts) == 5


def test_what_is_retransferred_is_of_that_class() -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    station.held = {path.replace("NOMINAL/", "RETRANSFER/"): value for path, value in station.held.items()}
    made = house(rule(when={"classes": ["retransfer"]}, levels=["L1C"]), station=station)
    assert sums(made.run()) == (PRODUCTS - 2, 0, 0)
    assert complete(made).work_class == "retransfer"
    assert {each.priority for each in orders(made).values()} == {-50}


@pytest.mark.parametrize(("partial", "parked"), [("park", True), ("proceed", False)])
def test_what_becomes_of_a_partial_session_is_decided_and_when(partial: str, parked: bool) -> None:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2), chunks=3)
    gone = next(path for path in station.held if path.endswith("ch1_DSDB_00002.raw"))
    del station.held[gone]
    made = house(
        rule(session_partial=partial, session_wait_s=60),
        station=station,
        session_partial="proceed" if parked else "park",
        session_wait_s=3000,
    )
    account = made.run(ticks=30)
    assert (account.parked > 0) is parked
    if not parked:
        assert complete(made).reason == "the wait of 60 s is over"


LEVELS = st.lists(st.sampled_from(["L1A", "L1B", "L1C", "L2A"]), unique=True)
WHEN = st.fixed_dictionaries(
    {},
    optional={
        "tiles": st.sampled_from([["32TQL"], ["32T*"], ["31*"]]),
        "steps": st.lists(st.sampled_from(["l0c", "l1b", "l1c", "l2a"]), min_size=1, max_size=2, unique=True),
        "levels": st.lists(st.sampled_from(["L1C", "L2A"]), min_size=1, max_size=1),
        "satellites": st.sampled_from([["S2A"], ["S2B"]]),
        "scenes_from": st.integers(1, 2),
    },
)
THEN = st.fixed_dictionaries(
    {"priority": st.integers(-1000, 1000)},
    optional={
        "levels": LEVELS,
        "sample": st.fixed_dictionaries({"percent": st.sampled_from([0, 30, 70, 100])}),
        "hold": st.just("held"),
        "budgets": st.fixed_dictionaries({"L1C": st.floats(1, 500)}),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(WHEN, THEN), max_size=3))
def test_whatever_the_strategy_the_account_is_whole(rules: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Each product once, as produced or parked; what is not in the account is said not to be owed."""
    made = house(*(rule(f"r{n}", when, **then) for n, (when, then) in enumerate(rules)))
    account = made.run()
    assert sum(sums(account)) == len(account.entries)
    assert account.absent == 0
    assert not made.dead
    names = [(entry.step, entry.unit, entry.product) for entry in account.entries]
    assert len(set(names)) == len(names)
    if not account.held and not account.not_owed:
        assert account.produced == PRODUCTS
    assert bool(account.parked) == account.held


def _prefix(made: House, order: Order) -> str:
    (found,) = [
        info.key.removesuffix("order.json")
        for info in made.memory.list(made.settings.bucket_ledger)
        if info.key.endswith(f"/work/{order.step}/{order.unit}/{order.digest}/order.json")
    ]
    return found


def _dying(made: House) -> Any:
    real = type(made.launcher).run_one

    def run_one() -> Any:
        waiting = dict(made.launcher.pending)
        try:
            return real(made.launcher)
        except RuntimeError:
            (gone,) = set(waiting) - set(made.launcher.pending)
            return waiting[gone]

    return run_one
