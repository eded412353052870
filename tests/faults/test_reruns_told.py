"""What stands beside work that was made anew: names that are claimed, what the console and the records say."""

from __future__ import annotations

from datetime import timedelta

from functions.cli.asking import ask, session_cause
from functions.cli.items import work_rows
from functions.cli.places import Place
from functions.cli.views import superseded_products
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Account, Order
from shared.steering import retry
from shared.workflow.reruns import Rerun, read_reruns
from tests.support.rerunning import (
    WHO,
    WHY,
    activate,
    anew,
    assert_made_anew,
    closed,
    dying,
    products,
)
from tests.support.standin import SESSION, Outputs, script
from tests.support.steered import house, ledger_of


# names ---------------------------------------------------------------------------------------------------------------
def _same_names(order: Order) -> Outputs:
    """Both tiles of Level 1C call their product the same, as those of two datastrips may within a second."""
    made = script(order)
    if order.step != "l1c":
        return made
    ((kind, name, unit, files),) = made.artifacts
    return Outputs(((kind, name.replace("32TQL", "32TQM"), unit, files),))


def test_of_two_works_whose_products_have_one_name_one_is_parked_and_a_rerun_mends_it() -> None:
    made = house()
    made.launcher.script = _same_names
    account = made.run()
    assert (account.produced, account.parked) == (6, 1)
    (parked,) = [entry for entry in account.entries if entry.ended == "parked"]
    (shelved,) = [product for product in products(made) if product.level == "L1C"]
    assert parked.product == shelved.product
    works = {
        (w.place.step, w.place.unit): w.place.prefix for w in sort_work(ledger_of(made).list("sessions/")).values()
    }
    assert works["l1c", parked.unit] in parked.reason
    assert works["l1c", shelved.unit] in parked.reason
    assert f"s2ps retry {SESSION} --from l1c --unit {parked.unit} makes it anew" in parked.reason
    anew(made, "l1c", parked.unit)
    made.run()
    assert_made_anew(made, [("l1c", parked.unit), ("l2a", parked.unit)])


def test_two_works_of_one_name_whoever_comes_first_and_whatever_dies() -> None:
    number, met = 0, True
    while met:
        number += 4
        made = house()
        made.launcher.script = _same_names
        made.store.crash_at = (number, "after")
        account = made.run()
        met = made.crashes > 0
        assert (account.produced, account.parked) == (6, 1), number
        made.shelf()


def test_the_record_says_who_and_why_and_an_action_is_kept() -> None:
    made = closed()
    anew(made, "l1c", "DT01-T32TQM")
    record = ledger_of(made).read(keys.rerun(SESSION, 1), Rerun)
    assert (record.step, record.units, record.who, record.reason) == ("l1c", ("DT01-T32TQM",), WHO, WHY)
    assert [i.key for i in ledger_of(made).list(f"{keys.session(SESSION)}actions/") if "-retry-" in i.key]
    former = ledger_of(made).read(keys.former_account(SESSION, 1), Account)
    assert former.produced == 7


# what the console says of it ------------------------------------------------------------------------------------------
def test_the_console_tells_what_is_of_which_rerun_and_what_it_supersedes() -> None:
    made = closed()
    old = next(p for p in products(made) if p.product.startswith("S2A_MSIL2A") and "T32TQM" in p.product)
    anew(made, "l1c", "DT01-T32TQM")
    assert "(rerun 1 from l1c of DT01-T32TQM by ada@console)" in session_cause(made.services, SESSION).sentence
    made.run()
    rows = {(row.step, row.unit, row.stands): row for row in work_rows(made.services, [SESSION])}
    superseded = [key[:2] for key in rows if key[2] == "superseded"]
    assert sorted(superseded) == [("l1c", "DT01-T32TQM"), ("l2a", "DT01-T32TQM")]
    new = rows["l2a", "DT01-T32TQM", "succeeded"]
    (record,) = read_reruns(ledger_of(made), SESSION)
    assert new.deadline == record.since + timedelta(minutes=120)
    place = Place("store", "in memory", made.services)
    cause = ask(place, rows["l2a", "DT01-T32TQM", "superseded"].name)
    assert (cause.stands, cause.fix) == ("superseded", ("why", new.name))
    assert "l2a of DT01-T32TQM, made anew by rerun 1, succeeded" in ask(place, new.name).sentence
    assert "of 7 products produced (rerun 1 from l1c" in ask(place, SESSION).sentence
    told = ask(place, old.product).sentence
    assert "It is superseded by S2A_MSIL2A" in told
    assert "of rerun 1." in told
    later = told.partition("superseded by ")[2].partition(",")[0]
    assert "superseded" not in ask(place, later).sentence
    assert set(superseded_products(products(made))) == {
        keys.product(each.level, each.sensing_start, each.product)
        for each in products(made)
        if not each.rerun and each.unit == "DT01-T32TQM"
    }


def test_a_retry_counts_attempts_as_the_strategy_of_the_work_allows_them() -> None:
    made = house()
    activate(made, {"name": "often", "then": {"retries": {"attempts": 2, "delay_s": 5}}})
    made.launcher.script = lambda order: dying(order) if order.step == "l2a" else script(order)
    assert made.run().parked == 2
    _, *done = retry(made.operator()[0], SESSION, who=WHO, reason=WHY)
    assert {each.note for each in done} == {"attempt 3 is due, the first of at most 2"}


def test_why_counts_attempts_as_the_strategy_of_the_work_allows_them() -> None:
    made = house()
    activate(made, {"name": "often", "then": {"retries": {"attempts": 7, "delay_s": 5}}})
    for _ in range(5):
        made.tick(jobs=False)
    (row,) = work_rows(made.services, [SESSION])
    assert "runs: attempt 1 of 7" in ask(Place("store", "in memory", made.services), row.name).sentence
