"""Product publication: an outcome's products go on the shelf, each visible by its manifest, which is written last."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from shared.bootstrap import Services
from shared.domain.deadlines import deadline
from shared.domain.events import Event
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.records import FINISHED, Artifact, FileEntry, Order, Outcome, Published
from shared.workflow.accounting import product_key, product_name, published_artifacts, sensing_start
from shared.workflow.graph import Output

MANIFEST = "manifest.json"


def publish(event: Event, services: Services) -> int:
    """Publish what the outcome at ``event.subject`` made; returns how many products were new."""
    place = keys.parse_work(event.subject)
    if place is None or place[1] != "outcome.json":
        raise BadInputError("event, subject", "the key of an outcome.json", event.subject)
    outcome = services.ledger.read(event.subject, Outcome)
    if outcome.status not in FINISHED:
        return 0
    wanted = [
        (output, artifact)
        for output, artifact in published_artifacts(services.workflow, outcome)
        if not services.ledger.exists(product_key(str(output.publish), product_name(artifact), outcome.finished))
    ]
    if not wanted:
        return 0
    order = services.ledger.read(place[0].order, Order)
    for output, artifact in wanted:
        _publish(output, artifact, order, outcome, services)
    return len(wanted)


def shelf_prefix(level: str, sensing: datetime, artifact: Artifact) -> str:
    """Where a product's files stand in the products bucket."""
    return f"{level}/{sensing:%Y/%m/%d}/{artifact.name}/"


def _publish(output: Output, artifact: Artifact, order: Order, outcome: Outcome, services: Services) -> None:
    level, bucket = str(output.publish), services.settings.bucket_products
    sensing = sensing_start(product_name(artifact), outcome.finished)
    prefix = shelf_prefix(level, sensing, artifact)

    def copy(file: FileEntry) -> None:
        services.store.copy(artifact.bucket, artifact.prefix + file.path, bucket, prefix + file.path)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(copy, artifact.files))
    record = Published(
        created=services.clock.now(),
        traceparent=services.trace(order.session),
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
        deadline=deadline(order.t0, level),
        status=outcome.status,
        provenance={
            "processor": order.processor,
            "version": order.version,
            "work": order.digest,
            "attempt": str(outcome.attempt),
            "digest": artifact.digest,
        },
    )
    services.store.put_new(bucket, prefix + MANIFEST, _manifest(record), metadata={"traceparent": record.traceparent})
    services.ledger.create(keys.product(level, sensing, record.product), record)


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
    return json.dumps(content, indent=1).encode()
