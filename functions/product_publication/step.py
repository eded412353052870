"""Product publication: an outcome's products go on the shelf, each visible by its manifest, which is written last.

The name of a product is claimed before any file of it is written: of two works whose products would have one name, the
first has it, and the other's is left out; its session's account says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from pydantic_core import to_json

from shared.bootstrap import Services
from shared.domain.deadlines import deadline
from shared.domain.events import Event
from shared.errors import BadInputError, ObjectAbsentError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import FINISHED, Artifact, Order, Outcome, ProductClaim, Published
from shared.parallel import pool_of
from shared.ports import ObjectStore
from shared.workflow.graph import Output
from shared.workflow.products import (
    name_taken,
    product_key,
    product_name,
    published_artifacts,
    sensing_start,
    shelf_prefix,
    taken_by,
)
from shared.workflow.superseding import superseded_by

MANIFEST: Final = "manifest.json"
_THREADS: Final = 12
_SHOWING: Final = 4
_log: Final = logging.getLogger(__name__)


def publish(event: Event, services: Services) -> int:
    """Publish what the outcome at ``event.subject`` made; returns how many products were new."""
    place = keys.parse_work(event.subject)
    if place is None or place[1] != "outcome.json":
        raise BadInputError("event, subject", "the key of an outcome.json", event.subject)
    work, outcome = place[0], services.ledger.read(event.subject, Outcome)
    if outcome.status not in FINISHED or outcome.attempt == 0:
        return 0
    order = services.ledger.read(work.order, Order)
    workflow = services.workflow_in(order.processor_set)
    anew = superseded_by(services.ledger, services.workflow_named, order) is not None
    found = list(published_artifacts(workflow, outcome))
    with pool_of(_THREADS, sum(len(artifact.files) for _, artifact in found)) as pool:
        ours = list(pool.map(lambda item: _claim(item[0], item[1], work, outcome, services, anew=anew), found))
        wanted = [item for item, is_ours in zip(found, ours, strict=True) if is_ours]
        if not wanted:
            return 0
        trace = services.trace(order.session)  # threads do not know of the span under way
        # The files of all products at once: a datastrip has hundreds of granules of few files each.
        copies = [[pool.submit(copy) for copy in _copies(*item, outcome, services)] for item in wanted]
        try:
            # Beside the copies, not behind them: each product is seen as soon as it is whole.
            with pool_of(_SHOWING, len(wanted)) as shelf:
                shown = []
                for (output, artifact), files in zip(wanted, copies, strict=True):
                    for file in files:
                        file.result()
                    shown.append(shelf.submit(_show, output, artifact, order, outcome, services, trace))
                for product in shown:
                    product.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return len(wanted)


def _claim(
    output: Output, artifact: Artifact, place: WorkKey, outcome: Outcome, services: Services, *, anew: bool
) -> bool:
    """Whether a product is to be brought to the shelf: it is not there, and its name is that of this work's.

    Of work that is made ``anew`` since, only what was begun: it would stand there after its successor.
    """
    ledger, name = services.ledger, product_name(artifact)
    key = product_key(str(output.publish), name, outcome.finished)
    shelved = ledger.find(key, Published)
    if shelved is not None:
        taken = name_taken(shelved, place, name)
    elif anew and not ledger.exists(keys.product_claim(key)):
        _log.info("product %s is not published: its work is made anew", name)
        return False
    else:
        # The same bytes whoever publishes this outcome.
        claim = ProductClaim(created=outcome.created, traceparent=outcome.traceparent, product=name, work=place.prefix)
        if ledger.create(keys.product_claim(key), claim):
            return True
        theirs = ledger.read(keys.product_claim(key), ProductClaim).work
        if theirs.endswith(f"/{place.digest}/"):
            return True
        taken = taken_by(theirs, place, name)
    if taken:
        _log.error("product %s is not published: %s", name, taken)
    return False


def _copies(output: Output, artifact: Artifact, outcome: Outcome, services: Services) -> Iterator[Callable[[], str]]:
    """The server-side copies that bring a product's files to the shelf."""
    prefix = shelf_prefix(str(output.publish), artifact, outcome)
    for file in artifact.files:
        source, to = artifact.prefix + file.path, prefix + file.path
        bucket = services.settings.bucket_products
        yield partial(services.store.copy, artifact.bucket, source, bucket, to, size=file.size)


def _show(output: Output, artifact: Artifact, order: Order, outcome: Outcome, services: Services, trace: str) -> None:
    """Make a product visible, all of whose files are on the shelf."""
    level, bucket = str(output.publish), services.settings.bucket_products
    sensing = sensing_start(product_name(artifact), outcome.finished)
    prefix = shelf_prefix(level, artifact, outcome)
    record = Published(
        created=services.clock.now(),
        traceparent=trace,
        product=product_name(artifact),
        level=level,
        product_type=artifact.file_type,
        session=order.session,
        step=order.step,
        unit=order.unit,
        bucket=bucket,
        prefix=prefix,
        manifest=prefix + MANIFEST,
        size=artifact.size,
        files=artifact.files,
        sensing_start=sensing,
        footprint=artifact.attributes.get("footprint", ""),
        t0=order.t0,
        deadline=deadline(order.t0, level, order.decision.budgets if order.decision is not None else None),
        status=outcome.status,
        provenance={
            "processor": order.processor,
            "version": order.version,
            "work": order.digest,
            "attempt": str(outcome.attempt),
            "digest": artifact.digest,
        },
        rerun=order.rerun,
    )
    _write_manifest(services.store, record)
    services.ledger.create(keys.product(level, sensing, record.product), record)


def _write_manifest(store: ObjectStore, record: Published) -> None:
    """Write a product's manifest; one that says something else gives way under its etag.

    A shelf that is younger than its ledger, which was restored, has such a one: the product was made again, and the
    files there are those of the newer run by now.
    """
    key, body, metadata = record.manifest, _manifest(record), {"traceparent": record.traceparent}
    while not store.put_new(record.bucket, key, body, metadata=metadata):
        try:
            standing, info = store.get(record.bucket, key)
        except ObjectAbsentError:
            continue
        if standing == body:
            return
        _log.warning("product %s: its manifest was of another run, which the ledger does not know", record.product)
        if store.put_if(record.bucket, key, body, info.etag, metadata=metadata):
            return


def _manifest(record: Published) -> bytes:
    """Names, sizes and checksums of a product's files: the same for the same product, whoever writes it."""
    fields = {
        "product",
        "level",
        "product_type",
        "session",
        "size",
        "files",
        "sensing_start",
        "footprint",
        "provenance",
    }
    content = {"schema": "org.s2ps.manifest/1", **record.model_dump(mode="json", include=fields)}
    return to_json(content, indent=1)
