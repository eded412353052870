"""An L1C product from outside, through the real steps, store, runner and processor, to a published L2A product."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from functions.job_preparation.step import prepare
from functions.product_intake.step import ProductIntake
from functions.product_publication.step import publish
from functions.session_account.step import account
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.domain.names import CompactName
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.records import FINISHED, Complete, Drop, Outcome, Published
from shared.steering import submit
from tests.support.bench import Bench

if TYPE_CHECKING:
    from shared.settings import Settings


class Later:
    """The time in two minutes: what came last came some while ago."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=2)


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


@pytest.mark.parametrize("archive", [False, True])
def test_dropped_into_the_box_it_gets_its_session(
    chain: Any, own_buckets: Settings, bucket: str, tmp_path: Path, archive: bool
) -> None:
    given, box = chain.safe("L1C"), f"s3://{bucket}/in/"
    services = Services(own_buckets.model_copy(update={"drop_box": box}), Later())
    files = sorted(path.relative_to(given).as_posix() for path in given.rglob("*") if path.is_file())
    if archive:
        packed = shutil.make_archive(str(tmp_path / "any"), "zip", given.parent, given.name)
        services.store.upload(bucket, "in/any.zip", Path(packed))
    else:
        for number, path in enumerate(files):
            if number in {1, len(files) - 1}:
                assert ProductIntake(services).run() == 0, "it is still coming"
            services.store.upload(bucket, f"in/{given.name}/{path}", given / path)
    assert ProductIntake(services).run() == 1
    assert ProductIntake(services).run() == 0
    session = f"given-{given.name.removesuffix('.SAFE')}"
    complete = services.ledger.read(keys.complete(session), Complete)
    assert complete.given is not None
    (product,) = services.ledger.read(complete.given.key(session).outcome, Outcome).outputs
    assert sorted(file.path for file in product.files) == files
    on_shelf = {i.key: i.size for i in services.store.list(product.bucket, product.prefix)}
    assert on_shelf == {product.prefix + file.path: file.size for file in product.files}
    (drop,) = [services.ledger.read(info.key, Drop) for info in services.ledger.list(keys.DROPS)]
    assert (drop.session, drop.refused) == (session, "")
    assert prepare(object_created(own_buckets.bucket_ledger, keys.complete(session), "e"), services) == 1
