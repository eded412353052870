"""What of an outcome becomes a product, what it is called, and where the ledger has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache

from shared.domain.names import CompactName, HktmName, PdiName, downlink_of, is_telemetry, parse_stamp
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.keys import WorkKey
from shared.ledger.records import Artifact, Outcome, Published
from shared.workflow.graph import Output, Workflow


def sensing_start(name: str, otherwise: datetime) -> datetime:
    """When the data of a product were sensed, from its name; ``otherwise`` where the name does not say."""
    return _told(name) or otherwise


@lru_cache(maxsize=4096)
def _told(name: str) -> datetime | None:
    """The sensing time in a name, which is asked for at each turn that a product takes."""
    with suppress(BadInputError):
        return CompactName.parse(name).sensing
    with suppress(BadInputError):
        return HktmName.parse(name).start
    try:
        pdi = PdiName.parse(name)
        stamp = pdi.get("S") or (pdi.get("V") or "").split("_")[0]
        return parse_stamp(stamp, "PDI name") if stamp else None
    except BadInputError:  # no such name, or one that tells a 31st of June
        return None


def product_key(level: str, name: str, created: datetime) -> str:
    """The ledger key of a product; ``created`` dates those whose name tells no sensing time."""
    return keys.product(level, sensing_start(name, created), name)


def product_name(artifact: Artifact) -> str:
    """A product's name: its folder's, without the SAFE extension."""
    return artifact.name.removesuffix(".SAFE")


def name_taken(published: Published, place: WorkKey, name: str) -> str:
    """Whose product of this name is on the shelf, where it is not that of the work at ``place``, nor serves for it;
    empty where it is or does.
    """
    other = published.provenance.get("work", "")
    if other == place.digest:
        return ""
    theirs = WorkKey(published.session, published.step, published.unit, other)
    return taken_by(theirs.prefix, place, name)


def taken_by(theirs: str, place: WorkKey, name: str) -> str:
    """What is to be said where the name of a product is that of another's, by the ledger prefixes of both works.

    Nothing of housekeeping telemetry of the same downlink: its name tells no creation, so there is one for all runs.
    """
    if is_telemetry(name) and downlink_of(theirs.split("/")[1]) == downlink_of(place.session):
        return ""
    return (
        f"its name {name} was given to the product of {theirs}, and is not that of {place.prefix}: "
        f"s2ps retry {place.session} --from {place.step} --unit {place.unit} makes it anew under another name"
    )


def shelf_prefix(level: str, artifact: Artifact, outcome: Outcome) -> str:
    """Where a product's files stand in the products bucket."""
    return f"{level}/{keys.day(sensing_start(product_name(artifact), outcome.finished))}/{artifact.name}/"


def shelf_of(workflow: Workflow, outcome: Outcome, artifact: Artifact) -> str:
    """Where the files of an artifact stand on the shelf, for longer than where they were made; empty for what is no
    product.
    """
    bound = workflow.made_by(outcome.processor_set)
    if outcome.attempt == 0 or outcome.step not in bound.processors:
        return ""
    levels = (str(each.publish) for each in bound.publishes(outcome.step) if each.artifact == artifact.file_type)
    level = next(levels, "")
    return shelf_prefix(level, artifact, outcome) if level else ""


def published_artifacts(workflow: Workflow, outcome: Outcome) -> Iterator[tuple[Output, Artifact]]:
    """What of an outcome belongs on the shelf; nothing of one that was given from outside."""
    if outcome.attempt == 0:
        return
    for output in workflow.made_by(outcome.processor_set).publishes(outcome.step):
        for artifact in outcome.outputs:
            if artifact.file_type == output.artifact:
                yield output, artifact
