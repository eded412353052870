"""Work that is made anew from a step: what is, what is not, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Complete, Order
from shared.steering import rerun
from shared.workflow.reruns import read_reruns
from tests.support.rerunning import (
    ALL_AFTER,
    WHO,
    WHY,
    activate,
    anew,
    assert_made_anew,
    closed,
    orders,
    products,
)
from tests.support.standin import SESSION, Outputs, script
from tests.support.steered import house, ledger_of


@pytest.mark.parametrize("step", ALL_AFTER)
def test_from_any_step_all_that_follows_is_made_anew_and_nothing_before(step: str) -> None:
    made = closed()
    before = {product.product for product in products(made)}
    done = anew(made, step)
    assert done[0].target == SESSION
    assert len(done) == 1 + sum(item[0] == step for item in ALL_AFTER[step])
    assert made.account is None
    made.run()
    assert_made_anew(made, ALL_AFTER[step])
    assert before < {product.product for product in products(made)}


def test_of_one_tile_alone() -> None:
    made = closed()
    anew(made, "l1c", "DT01-T32TQM")
    made.run()
    assert_made_anew(made, [("l1c", "DT01-T32TQM"), ("l2a", "DT01-T32TQM")])


def test_a_datastrip_that_is_named_means_its_tiles() -> None:
    made = closed()
    anew(made, "l2a", "DT01")
    made.run()
    assert_made_anew(made, ALL_AFTER["l2a"])


def test_what_is_made_anew_has_a_budget_and_an_urgency_of_its_own() -> None:
    made = closed()
    made.clock.advance(7 * 86400)
    anew(made, "l2a")
    account = made.run()
    (record,) = read_reruns(ledger_of(made), SESSION)
    t0 = ledger_of(made).read(keys.complete(SESSION), Complete).t0
    new = [order for order in orders(made) if order.rerun]
    assert {(order.t0, order.deadline) for order in new} == {(record.since, record.since + timedelta(minutes=120))}
    assert {order.priority for order in new} == {-100}
    slack = {entry.level: entry.deadline for entry in account.entries}
    assert slack == {
        "L0": t0 + timedelta(minutes=75),
        "L1C": t0 + timedelta(minutes=75),
        "L2A": record.since + timedelta(minutes=120),
    }
    assert all((entry.slack_s or 0) > 0 for entry in account.entries)
    assert not [info.key for info in ledger_of(made).list(f"{keys.session(SESSION)}sla/")], "none is late"


def test_the_next_rerun_supersedes_the_one_before() -> None:
    made = closed()
    anew(made, "l1c")
    made.run()
    anew(made, "l1b")
    made.run()
    assert_made_anew(made, ALL_AFTER["l1b"], number=2)
    anew(made, "l2a", "DT01-T32TQL")
    made.run()
    assert_made_anew(made, [("l2a", "DT01-T32TQL")], number=3)
    assert len(products(made)) == 7 + 4 + 4 + 1


def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    made = closed()
    before = made.story()
    told = anew(made, "l1c", dry_run=True)
    assert made.story() == before
    done = anew(made, "l1c")
    assert [each.note for each in told] == [each.note for each in done]
    assert "2 work items of l1c are made anew as rerun 1, and what follows from them (l2a)" in done[0].note
    assert [each.note for each in done[1:]] == [f"l1c of DT01-T{tile} is made anew" for tile in ("32TQM", "32TQL")]


def test_inputs_that_are_gone_are_named_with_the_nearest_step_that_can_run() -> None:
    made = closed()
    for info in list(made.memory.list("s2-work")):
        if "/l1b/" in info.key or "/l0u/" in info.key:
            made.memory.delete("s2-work", info.key)
    with pytest.raises(RefusedError) as refused:
        anew(made, "l1c")
    told = str(refused.value)
    assert "the inputs of l1c are gone: 1 of 1 outputs of l1b of DT01 are gone, L1B_WORKING among them" in told
    assert f"s2ps retry {SESSION} --from l1b makes all of it anew" in told
    with pytest.raises(RefusedError, match=r"outputs of l0u of .*--from l0u makes"):
        anew(made, "l0c")
    assert made.account is not None
    for info in list(made.memory.list("s2-sessions")):
        made.memory.delete("s2-sessions", info.key)
    with pytest.raises(RefusedError, match=r"6 of 6 raw files are gone.*no step can be made anew"):
        anew(made, "l0u")


def test_what_is_on_the_shelf_is_an_input_as_long_as_it_is_there() -> None:
    made = closed()
    for info in list(made.memory.list("s2-work")):
        made.memory.delete("s2-work", info.key)
    assert anew(made, "l2a", dry_run=True)
    assert anew(made, "l1b", dry_run=True)
    with pytest.raises(RefusedError, match=r"1 of 1 outputs of l1b of DT01 are gone.*--from l1b makes"):
        anew(made, "l1c")
    (first, *_) = [i.key for i in made.memory.list("s2-products", "L0/") if not i.key.endswith("/manifest.json")]
    made.memory.delete("s2-products", first)
    with pytest.raises(RefusedError, match=r"1 of 3 outputs of l0c of DT01 are gone.*--from l0u makes"):
        anew(made, "l1b")


def test_names_that_are_none_are_refused() -> None:
    made = closed()
    with pytest.raises(BadInputError, match="step: expected one of l0u, l0c, l1b, l1c, l2a, found 'l9'"):
        anew(made, "l9")
    with pytest.raises(BadInputError, match=r"unit: expected one that l1c runs on.*DT01-T32TQM.*found 'DT02'"):
        anew(made, "l1c", "DT02")
    place = next(work.place for work in sort_work(ledger_of(made).list("sessions/")).values())
    with pytest.raises(BadInputError, match="target: expected a session"):
        rerun(made.operator()[0], place.prefix, step="l1c", who=WHO, reason=WHY)


def test_what_has_not_ended_is_not_made_anew() -> None:
    made = house()
    with suppress(StopIteration):
        for _ in range(10):
            made.tick(jobs=False)
    with pytest.raises(RefusedError, match="l0u has not ended yet"):
        anew(made, "l0u")
    with pytest.raises(RefusedError, match=r"nothing of l1c can be made anew: what comes before it \(l1b\) has not"):
        anew(made, "l1c")


def test_names_are_told_apart_where_the_operators_clock_is_behind() -> None:
    made = closed()
    services = made.operator()[0]
    services.clock.instant -= timedelta(hours=3)  # type: ignore[attr-defined]  # the virtual clock
    rerun(services, SESSION, step="l1c", who=WHO, reason=WHY)
    services.clock.instant += timedelta(hours=3)  # type: ignore[attr-defined]  # the virtual clock
    made.run()
    assert_made_anew(made, ALL_AFTER["l1c"])


def test_under_a_new_version_of_a_processor_the_step_that_has_changed_is_named() -> None:
    made = closed()
    old = made.services.workflow
    l0c = old.processors["l0c"].model_copy(update={"version": "9.9"})
    newer = old.model_copy(update={"processors": {**old.processors, "l0c": l0c}})
    vars(made.services).update(workflow=newer)
    services = made.operator()[0]
    vars(services).update(workflow=newer)
    do = partial(rerun, services, SESSION, who=WHO, reason=WHY)
    with pytest.raises(RefusedError, match=r"nothing of l1c can be made anew.*another version.*--from l0c makes that"):
        do(step="l1c")
    do(step="l0c")
    made.run()
    assert_made_anew(made, ALL_AFTER["l0c"])
    assert {order.version for order in orders(made) if order.step == "l0c"} == {
        "9.9",
        l0c.version,
        old.processors["l0c"].version,
    }


def test_parts_of_a_datastrip_made_anew_have_names_of_their_own() -> None:
    """Parts spread their creation dates over as many seconds as there are parts."""
    made = house()
    made.launcher.script = _long
    activate(made, {"name": "cut", "then": {"split": {"scenes": 4}}})
    account = made.run()
    assert {entry.unit.partition("-T")[0] for entry in account.entries if entry.level == "L1C"} == {
        "DT01-P01",
        "DT01-P02",
        "DT01-P03",
    }
    before = {product.product for product in products(made)}
    anew(made, "l1b", "DT01-P02")
    made.run()
    again = [product for product in products(made) if product.rerun]
    assert {product.unit.partition("-T")[0] for product in again} == {"DT01-P02"}
    assert len(again) == 4
    assert before.isdisjoint(product.product for product in again)
    anew(made, "l1c", "DT01")
    account = made.run()
    assert (account.parked, account.absent) == (0, 0)
    assert len([product for product in products(made) if product.rerun == 2]) == 12
    assert made.dead == []


def _long(order: Order) -> Outputs:
    """A datastrip of twelve scenes."""
    made = script(order)
    if order.step != "l0c":
        return made
    stem = f"S2A_TEST_MSI_L0__GR_S2PS_{order.parameters['CREATION_DATE']}_S20261122T0930{{:02d}}_D06_N00.01"
    granules = tuple(("PDI_DS_GR_LIST", stem.format(4 * n), "", {"b.bin": b"b"}) for n in range(12))
    return Outputs((made.artifacts[0], *granules))
