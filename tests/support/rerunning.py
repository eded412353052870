"""Sessions of which something is made anew, and what must hold when it has been."""

from __future__ import annotations

from collections import Counter

from shared.domain.strategy import Strategy
from shared.ledger import keys
from shared.ledger.attempts import sort_work
from shared.ledger.records import Order, Published
from shared.steering import Done, rerun
from shared.strategy.document import format_strategy
from shared.strategy.shelf import StrategyShelf
from tests.support.house import Crash, House
from tests.support.standin import SESSION, Outputs
from tests.support.steered import house, ledger_of

PRODUCTS = Counter({"L0": 3, "L1C": 2, "L2A": 2})
"""Of a session, by level: a datastrip and two granules, two tiles."""

WHO, WHY = "ada@console", "the tables were mended"


def closed() -> House:
    made = house()
    assert made.run().produced == sum(PRODUCTS.values())
    return made


def anew(made: House, step: str, *units: str, dry_run: bool = False) -> list[Done]:
    return rerun(made.operator()[0], SESSION, step=step, units=units, who=WHO, reason=WHY, dry_run=dry_run)


def orders(made: House) -> list[Order]:
    works = sort_work(made.memory.list(made.settings.bucket_ledger)).values()
    return [ledger_of(made).read(work.place.order, Order) for work in works if work.order is not None]


def made_anew(made: House, number: int = 1) -> list[tuple[str, str]]:
    return sorted((order.step, order.unit) for order in orders(made) if order.rerun == number)


def products(made: House) -> list[Published]:
    ledger = ledger_of(made)
    return [ledger.read(info.key, Published) for info in ledger.list("products/")]


def assert_made_anew(made: House, expected: list[tuple[str, str]], number: int = 1) -> None:
    """All is produced by the newest work, once; that of before is on the shelf too, untouched."""
    account = made.account
    assert account is not None
    assert (account.produced, account.absent, account.parked) == (sum(PRODUCTS.values()), 0, 0)
    assert made_anew(made, number) == expected
    found = {product.product: product for product in products(made)}
    counted = [found[entry.product] for entry in account.entries]
    for product in counted:
        assert product.rerun == (number if (product.step, product.unit) in expected else product.rerun)
    again = [product for product in counted if product.rerun == number]
    assert Counter((p.step, p.unit) for p in again).keys() == {
        key for key in expected if key[0] in {"l0c", "l1c", "l2a"}
    }
    assert made.dead == []
    made.shelf()  # each file of each product is there, and each manifest has its record
    for _ in range(3):
        made.tick()
    assert not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN))
    assert not [i.key for i in made.memory.list(made.settings.bucket_ledger, keys.TIMERS) if "reopened" in i.key]


L1C_AND_AFTER = sorted((step, f"DT01-T{tile}") for step in ("l1c", "l2a") for tile in ("32TQM", "32TQL"))

ALL_AFTER = {
    "l2a": [item for item in L1C_AND_AFTER if item[0] == "l2a"],
    "l1c": L1C_AND_AFTER,
    "l1b": sorted([("l1b", "DT01"), *L1C_AND_AFTER]),
    "l0c": sorted([("l0c", "DT01"), ("l1b", "DT01"), *L1C_AND_AFTER]),
    "l0u": sorted([("l0u", SESSION), ("l0c", "DT01"), ("l1b", "DT01"), *L1C_AND_AFTER]),
}


def dying(_order: Order) -> Outputs:
    raise Crash("the node is gone")


def activate(made: House, rule: dict[str, object]) -> None:
    document = format_strategy(Strategy.model_validate({"name": "test", "rules": [rule]})).decode()
    StrategyShelf(made.services.ledger).activate(document, who=WHO, reason=WHY, now=made.clock.now())
