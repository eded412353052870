"""Two processor sets within one session: what a rule gives to another is made by that, and accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from functions.rehearse.recorded import Session, read_session
from functions.rehearse.simulation import compare
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Order, Published
from shared.ledger.standing import account_in_force
from shared.sla.durations import StepDurations
from shared.steering import rerun, retry, submit
from shared.strategy.explaining import explain
from shared.workflow.graph import load_workflow
from tests.faults.test_strategies import PRODUCTS, house, orders, rule, strategy, sums
from tests.support.house import Crash, House
from tests.support.standin import SESSION, Outputs, script

OPEN_SET: Final = Path(__file__).resolve().parents[2] / "shared" / "workflow" / "processors" / "open.yaml"


def of_baseline(order: Order) -> Outputs:
    """As the stand-in makes it, of a datatake of type NOBS, with the baseline of the order in the products' names."""
    made, baseline = script(order), order.parameters["PROCESSING_BASELINE"].replace(".", "")
    named = tuple(
        (kind, name.replace("_N0001_", f"_N{baseline}_"), unit, files) for kind, name, unit, files in made.artifacts
    )
    return replace(made, artifacts=named, facts={"datatake_type": "NOBS"} if order.step == "l0c" else {})


def whole(order: Order) -> Outputs:
    """The same, its products such as can be given."""
    made = of_baseline(order)
    files = {"manifest.safe": b"<m/>", "MTD_MSIL1C.xml": b"<a/>", "GRANULE/L1C/IMG_DATA/B02.jp2": b"jp2"}
    artifacts = tuple(
        (kind, name, unit, files if kind == "MSI_L1C_TL" else own) for kind, name, unit, own in made.artifacts
    )
    return replace(made, artifacts=artifacts)


def write(
    folder: Path, change: Callable[[dict[str, Any]], object] = lambda _document: None, name: str = "newer"
) -> str:
    """The open set at baseline 07.77, its processors in version 7.7.7, and what else is changed of it."""
    document = yaml.safe_load(OPEN_SET.read_text())
    document |= {"set_name": name, "baseline": "07.77"}
    for processor in document["processors"].values():
        processor["version"] = "7.7.7"
    change(document)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.fixture
def newer(tmp_path: Path) -> str:
    return write(tmp_path)


def bound(made: House) -> dict[tuple[str, str], tuple[str, str]]:
    """Of each order of the session: version and baseline."""
    found = orders(made).items()
    return {key: (order.version, order.parameters["PROCESSING_BASELINE"]) for key, order in found}


def test_the_tiles_of_a_rule_get_another_version_of_one_step(newer: str) -> None:
    made = house(rule(when={"tiles": ["32TQL"], "levels": ["L2A"]}, processor_set=newer), answers=of_baseline)
    account = made.run()
    assert sums(account) == (PRODUCTS, 0, 0)
    theirs = {key for key, (version, baseline) in bound(made).items() if (version, baseline) == ("7.7.7", "07.77")}
    assert theirs == {("l2a", "DT01-T32TQL")}
    names = sorted(entry.product for entry in account.entries if entry.level == "L2A")
    assert [name.split("_")[3] for name in sorted(names, key=lambda name: name.split("_")[5])] == ["N0777", "N0001"]
    assert not made.dead
    # The sweep finds nothing that is missing: it and the account plan the same work.
    before = made.orders()
    made.tick(3600)
    made.tick()
    assert made.orders() == before
    took = {name: made.services.ledger.read(keys.durations(name), StepDurations).steps for name in ("open", "newer")}
    assert {name: {step: each.count for step, each in steps.items()} for name, steps in took.items()} == {
        "open": {"l0u": 1, "l0c": 1, "l1b": 1, "l1c": 2, "l2a": 1},
        "newer": {"l2a": 1},
    }


def test_a_type_of_datatake_gets_another_set_from_where_the_type_is_known(newer: str) -> None:
    made = house(rule(when={"datatake_types": ["NOBS"]}, processor_set=newer), answers=of_baseline)
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    versions = {step: version for (step, _), (version, _) in bound(made).items()}
    frozen = versions.pop("l0u"), versions.pop("l0c")
    assert "7.7.7" not in frozen
    assert set(versions.values()) == {"7.7.7"}
    other = house(rule(when={"datatake_types": ["VIC"]}, processor_set=newer), answers=of_baseline)
    assert sums(other.run()) == (PRODUCTS, 0, 0)
    assert "7.7.7" not in {version for version, _ in bound(other).values()}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write_of_a_session_of_two_sets_changes_nothing(when: Any, newer: str) -> None:
    two = rule(when={"tiles": ["32TQL"]}, processor_set=newer)
    reference = house(two, answers=of_baseline)
    reference.run()
    for point in range(1, reference.store.writes, 4):
        made = house(two, answers=of_baseline)
        made.store.crash_at = (point, when)
        assert sums(made.run()) == (PRODUCTS, 0, 0), point
        assert (made.shelf(), made.orders()) == (reference.shelf(), reference.orders()), point
        assert bound(made) == bound(reference)


def test_what_is_published_of_an_outcome_is_said_by_the_set_that_made_it(tmp_path: Path) -> None:
    """The other set keeps its Level-1C to itself: nobody waits for that product."""
    silent = write(tmp_path, lambda document: document["processors"]["l1c"]["outputs"][0].pop("publish"))
    made = house(rule(when={"tiles": ["32TQL"]}, processor_set=silent), answers=of_baseline)
    account = made.run()
    assert sums(account) == (PRODUCTS - 1, 0, 0)
    assert [entry.unit for entry in account.entries if entry.level == "L1C"] == ["DT01-T32TQM"]
    assert len(made.shelf()) == PRODUCTS - 1


def test_what_is_lost_of_a_set_that_keeps_it_to_itself_is_owed_by_nobody(tmp_path: Path) -> None:
    def fails(order: Order) -> Outputs:
        return Outputs((), status="failed") if order.step == "l1c" else of_baseline(order)

    silent = write(tmp_path, lambda document: document["processors"]["l1c"]["outputs"][0].pop("publish"))
    account = house(rule(when={"tiles": ["32TQL"]}, processor_set=silent), answers=fails).run()
    lost = [(entry.level, entry.unit) for entry in account.entries if entry.ended == "parked"]
    assert lost == [("L1C", "DT01-T32TQM"), ("L2A", "DT01-T32TQM"), ("L2A", "DT01-T32TQL")]


def test_a_warning_of_what_is_not_published_is_told_of_what_follows(tmp_path: Path) -> None:
    def warns(order: Order) -> Outputs:
        made = of_baseline(order)
        return replace(made, warnings=("two bands are dim",)) if order.step == "l1c" else made

    silent = write(tmp_path, lambda document: document["processors"]["l1c"]["outputs"][0].pop("publish"))
    account = house(rule(when={"tiles": ["32TQL"]}, processor_set=silent), answers=warns).run()
    warned = [(entry.level, entry.unit) for entry in account.entries if entry.warning]
    assert warned == [("L1C", "DT01-T32TQM"), ("L2A", "DT01-T32TQL")]


def test_a_rerun_supersedes_by_the_graph_of_the_session_whichever_set_the_work_is_bound_to(tmp_path: Path) -> None:
    """Level 1A is a step of the session's set alone: a rerun from it concerns the other set's Level 2A all the same."""

    def longer(document: dict[str, Any]) -> None:
        l1b = document["processors"]["l1b"]
        document["processors"]["l1a"] = l1b | {"outputs": [{"file_type": "L1A_PLACE"}]}
        unsplit = {name: value for name, value in l1b.items() if name != "split"}
        document["processors"]["l1b"] = unsplit | {"inputs": [{"file_type": "L1A_PLACE", "source": "l1a"}]}

    tried: Counter[str] = Counter()

    def dies(order: Order) -> Outputs:
        tried[order.step] += 1
        if order.step == "l2a" and not order.rerun:
            raise Crash("the node is gone")
        return of_baseline(order)

    own, newer = write(tmp_path, longer, "own"), write(tmp_path)
    made = house(rule(when={"levels": ["L2A"]}, processor_set=newer), answers=dies, processor_set=own)
    while tried["l2a"] < 2:
        made.tick(1)
    rerun(made.operator()[0], SESSION, step="l1a", who="ada@console", reason="a comparison")
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    assert tried["l2a"] == 4, "one attempt each of before, and of the new ones"


def test_a_set_in_which_the_step_stands_elsewhere_parks_the_work_and_says_by_which_rule(tmp_path: Path) -> None:
    def more(document: dict[str, Any]) -> None:
        beside = {"outputs": [{"file_type": "MSI_L1C_DS"}], "inputs": document["processors"]["l1c"]["inputs"]}
        document["processors"]["l1c-ds"] = document["processors"]["l1c"] | beside

    unlike = write(tmp_path, more)
    made = house(rule("odd", when={"tiles": ["32TQL"]}, processor_set=unlike), answers=of_baseline)
    account = made.run()
    assert sums(account) == (PRODUCTS - 1, 0, 1)
    (parked,) = (entry for entry in account.entries if entry.ended == "parked")
    assert parked.unit == "DT01-T32TQL"
    assert "rule odd of strategy tried" in parked.reason
    assert parked.reason.endswith(f"set {unlike}: there l2a comes after l1c, l1c-ds, and here after l1c")
    told = {each.matter: each for each in explain(made.operator()[0], SESSION).decided if each.step == "l2a"}
    assert (told["parked"].value, told["parked"].units) == (parked.reason, ("DT01-T32TQL",))


def test_work_that_was_parked_so_goes_on_when_the_set_is_mended(tmp_path: Path) -> None:
    set_aside = write(tmp_path, lambda document: document["processors"].pop("l2a"))
    made = house(rule(when={"tiles": ["32TQL"]}, processor_set=set_aside), answers=of_baseline)
    assert sums(made.run()) == (PRODUCTS - 1, 0, 1)
    write(tmp_path)
    load_workflow.cache_clear()  # as in functions that start anew
    retry(made.operator()[0], SESSION, who="ada@console", reason="it has a processor for Level 2A now")
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    assert bound(made)["l2a", "DT01-T32TQL"] == ("7.7.7", "07.77")


def test_a_simulation_counts_what_the_other_set_asks_for(tmp_path: Path) -> None:
    def large(document: dict[str, Any]) -> None:
        document["processors"]["l2a"]["cpus"] = 7

    made = house(answers=of_baseline)
    made.run()
    record = read_session(made.services, SESSION)
    assert record is not None
    hour = timedelta(hours=1)
    items = [
        replace(each, outcome=each.outcome.model_copy(update={"finished": each.outcome.started + hour}))
        for each in record.items
    ]
    other = strategy(rule(when={"tiles": ["32TQL"]}, processor_set=write(tmp_path, large)))
    found = compare(made.services, [Session(record.complete, tuple(items))], other, nodes=1, node_cpus=16)
    assert found.other.core_hours - found.replayed.core_hours == pytest.approx(7 - 2)
    assert found.other.left_out == 0


def test_explain_tells_which_rule_chose_the_set_and_for_what(newer: str) -> None:
    made = house(
        rule("newer-l2a", when={"tiles": ["32TQL"], "levels": ["L2A"]}, processor_set=newer),
        rule("all-else", when={"satellites": ["S2A"]}, processor_set="open"),
        answers=of_baseline,
    )
    made.run()
    told = [each for each in explain(made.operator()[0], SESSION).decided if each.matter == "processor_set"]
    by = {(each.step, each.units): (each.value, each.rule) for each in told}
    assert by["session", (SESSION,)] == ('"open"', "all-else")
    assert by["l2a", ("DT01-T32TQL",)] == (f'"{newer}"', "newer-l2a")
    assert by["l2a", ("DT01-T32TQM",)] == ('"open"', "all-else")


def test_what_is_made_anew_is_made_by_the_same_set(newer: str) -> None:
    made = house(rule(when={"tiles": ["32TQL"], "levels": ["L2A"]}, processor_set=newer), answers=of_baseline)
    made.run()
    made.clock.advance(60)
    rerun(made.operator()[0], SESSION, step="l1c", units=("DT01",), who="ada@console", reason="a comparison")
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    works = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    anew = [made.services.ledger.read(work.place.order, Order) for work in works if work.order is not None]
    versions = {(each.step, each.unit): each.version for each in anew if each.rerun}
    assert {key for key, version in versions.items() if version == "7.7.7"} == {("l2a", "DT01-T32TQL")}
    assert len(versions) == 4


def test_two_baselines_of_a_tile_stand_side_by_side(newer: str) -> None:
    """The Level-1C product on the shelf is submitted, and what is reprocessed goes by the newer set."""
    made = house(rule(when={"classes": ["reprocessing"]}, processor_set=newer), answers=whole)
    assert sums(made.run()) == (PRODUCTS, 0, 0)
    ledger, services = made.services.ledger, made.operator()[0]
    l1c = [ledger.read(info.key, Published) for info in ledger.list("products/L1C/")]
    session = f"given-{l1c[0].product}"
    submit(services, f"s3://{l1c[0].bucket}/{l1c[0].prefix.rstrip('/')}", who="ada@console", reason="a comparison")
    for _ in range(30):
        made.tick()
    account = account_in_force(ledger, session)
    assert account is not None
    assert sums(account) == (1, 0, 0)
    tile = l1c[0].product.split("_")[5]
    both = [ledger.read(info.key, Published) for info in ledger.list("products/L2A/") if tile in info.key]
    assert sorted(each.product.split("_")[3] for each in both) == ["N0001", "N0777"]
    assert {each.session for each in both} == {SESSION, session}
