"""An L1C product from outside, through the real steps, store, runner and processor, to a published L2A product."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.job_preparation.step import prepare
from functions.product_publication.step import publish
from functions.session_account.step import account
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.domain.names import CompactName
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.records import FINISHED, Published
from shared.steering import submit
from tests.support.bench import Bench

if TYPE_CHECKING:
    from shared.settings import Settings


def test_it_ends_as_a_published_level_2a_product(chain: Any, own_buckets: Settings, tmp_path: Path) -> None:
    services, given = Services(own_buckets), chain.safe("L1C")
    (done,) = submit(services, str(given), who="ada@console", reason="made by another centre")
    session = done.target

    def written(key: str) -> Event:
        return object_created(own_buckets.bucket_ledger, key, "e")

    assert prepare(written(keys.complete(session)), services) == 1
    work = [found[0] for info in services.ledger.list(keys.session(session)) if (found := parse_work(info.key))]
    (place,) = {each for each in work if each.step == "l2a"}
    bench = Bench(services, place, tmp_path)
    ran = subprocess.run(bench.command(), env=bench.env(), capture_output=True, text=True, timeout=600, check=False)
    outcome = bench.outcome
    assert outcome is not None, ran.stderr
    assert outcome.status in FINISHED, outcome.reason
    assert publish(written(place.outcome), services) == 1
    closed = account(written(place.outcome), services)
    assert closed is not None
    (entry,) = closed.entries
    assert (entry.level, entry.ended, closed.not_owed) == ("L2A", "produced", ())
    (product,) = [services.ledger.read(info.key, Published) for info in services.ledger.list("products/")]
    made, before = CompactName.parse(product.product), CompactName.parse(given.name)
    assert (made.sensing, made.tile, made.level) == (before.sensing, before.tile, "L2A")
    on_shelf = {i.key.removeprefix(product.prefix) for i in services.store.list(own_buckets.bucket_products)}
    assert on_shelf == {file.path for file in product.files} | {"manifest.json"}
    assert "manifest.safe" in on_shelf
