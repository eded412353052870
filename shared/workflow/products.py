"""What of an outcome becomes a product, what it is called, and where the ledger has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.domain.names import CompactName, PdiName, parse_stamp
from shared.errors import BadInputError
from shared.ledger import keys
from shared.ledger.records import Artifact, Outcome
from shared.workflow.graph import Output, Workflow


def sensing_start(name: str, otherwise: datetime) -> datetime:
    """When the data of a product were sensed, from its name; ``otherwise`` where the name does not say."""
    try:
        return CompactName.parse(name).sensing
    except BadInputError:
        pass
    try:
        pdi = PdiName.parse(name)
        stamp = pdi.get("S") or (pdi.get("V") or "").split("_")[0]
        return parse_stamp(stamp, "PDI name") if stamp else otherwise
    except BadInputError:  # no such name, or one that tells a 31st of June
        return otherwise


def product_key(level: str, name: str, created: datetime) -> str:
    """The ledger key of a product; ``created`` dates those whose name tells no sensing time."""
    return keys.product(level, sensing_start(name, created), name)


def product_name(artifact: Artifact) -> str:
    """A product's name: its folder's, without the SAFE extension."""
    return artifact.name.removesuffix(".SAFE")


def published_artifacts(workflow: Workflow, outcome: Outcome) -> Iterator[tuple[Output, Artifact]]:
    """What of an outcome belongs on the shelf; nothing of one that was given from outside."""
    if outcome.attempt == 0:
        return
    for output in workflow.publishes(outcome.step):
        for artifact in outcome.outputs:
            if artifact.file_type == output.artifact:
                yield output, artifact
