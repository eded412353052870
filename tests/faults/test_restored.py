"""A copy of the buckets that is put back: one older than the other, or one of them lost."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest

from shared.errors import RefusedError
from shared.ledger import keys
from shared.ledger.ledger import Ledger
from shared.ledger.records import Order, Published
from shared.steering import rerun
from tests.support.house import START, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

PRODUCTS = 7


def house() -> House:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return House(station=station)


def content(made: House, bucket: str) -> dict[str, bytes]:
    return {info.key: made.memory.get(bucket, info.key)[0] for info in made.memory.list(bucket)}


def put_back(made: House, bucket: str, copy: dict[str, bytes]) -> None:
    for key in content(made, bucket).keys() - copy.keys():
        made.memory.delete(bucket, key)
    for key, body in copy.items():
        made.memory.put(bucket, key, body)
    made.queue.clear()  # whoever copies buckets sends no events


def another_run(order: Order) -> Outputs:
    """The same products, with other bytes: as of a processor that writes the time into its files."""
    made = script(order)
    artifacts = tuple(
        (kind, name, unit, {path: body + b" again" for path, body in files.items()})
        for kind, name, unit, files in made.artifacts
    )
    return Outputs(artifacts, made.units)


@pytest.mark.parametrize("ticks", [4, 5, 6])
def test_a_ledger_that_is_older_than_its_shelf_has_products_whose_manifests_are_true(ticks: int) -> None:
    made = house()
    for _ in range(ticks):
        made.tick(5, jobs=False)
        made.launcher.run_one()
        made.deliver()
    ledger = made.settings.bucket_ledger
    older = content(made, ledger)
    made.run()
    before = {info.key for info in made.memory.list("s2-products")}
    put_back(made, ledger, older)
    made.launcher.states.clear()
    made.launcher.script = another_run
    made._start_instances()
    assert made.run().produced == PRODUCTS
    products = [made.services.ledger.read(i.key, Published) for i in made.memory.list(ledger, "products/")]
    assert len(products) == PRODUCTS
    for product in products:
        manifest = json.loads(made.memory.get(product.bucket, product.manifest)[0])
        assert manifest["provenance"] == product.provenance
        assert manifest["files"] == [file.model_dump() for file in product.files]
        for file in product.files:
            body, _ = made.memory.get(product.bucket, product.prefix + file.path)
            assert hashlib.sha256(body).hexdigest() == file.sha256, product.product
    assert before <= {info.key for info in made.memory.list("s2-products")}, "what nobody knows of stays"


def test_without_intermediate_products_the_console_tells_what_is_missing_and_what_makes_it_again() -> None:
    made = house()
    made.launcher.script = lambda order: Outputs((), status="failed") if order.step == "l1c" else script(order)
    while not any(step == "l1c" for step, _ in made.orders()):
        made.tick(5)
    put_back(made, "s2-work", {})
    account = made.run()
    assert account.parked == 4, "both tiles of both levels: stage-in found nothing"
    made.launcher.script = script
    services, _ = made.operator()

    def retry_from(step: str) -> None:
        rerun(services, SESSION, step=step, who="ada", reason="s2-work was lost")

    with pytest.raises(RefusedError) as refused:
        retry_from("l1c")
    told = str(refused.value)
    assert "the inputs of l1c are gone: 1 of 1 outputs of l1b of DT01 are gone" in told
    assert f"s2ps retry {SESSION} --from l1b makes all of it anew" in told
    retry_from("l1b")
    account = made.run()
    assert (account.produced, account.absent, account.parked) == (PRODUCTS, 0, 0)
    assert not list(Ledger(made.memory, made.settings.bucket_ledger, made.clock).list(keys.OPEN))
