"""Folders on the volumes that the steps of a datastrip share: who sees what, and who works where.

::

    <claim>/<session>/<datastrip>/            what a Job sees of the claim
        <step>-<digest>-<attempt>-<random>/   the base of one attempt's run, and of no other
"""

from __future__ import annotations

import hashlib
import secrets

from shared.ledger.keys import WorkKey
from shared.workflow.graph import Workflow

# Of an artifact that stays on the shared volume: its path below the datastrip's folder.
PLACE = "place"
_DIGITS = 8


def datastrip_folder(workflow: Workflow, step: str, session: str, unit: str) -> str:
    """``<session>/<datastrip>`` for a work item: that of a tile is the one of its datastrip, virtual or not."""
    strip = unit.rpartition("-T")[0] if workflow.unit(step) == "tile" else unit
    return f"{session}/{strip}"


def attempt_folder(place: WorkKey, number: int) -> str:
    """A new name for the base of a run of attempt ``number``.

    Random, since an attempt may have two pods for a while: one on a node that does not answer, and its replacement.
    """
    return f"{_of(place, number)}{secrets.token_hex(4)}"


def is_of(folder: str, place: WorkKey, number: int) -> bool:
    """Whether ``folder`` is the base of a run of this attempt."""
    return folder.startswith(_of(place, number)) and "/" not in folder


def _of(place: WorkKey, number: int) -> str:
    return f"{place.step}-{place.digest[:_DIGITS]}-{number}-"


def place_digest(digest: str, folder: str) -> str:
    """The digest of an artifact that stays in ``folder`` of a datastrip: no bytes are read for it.

    It is that of the work and of the run of it: what another run made is another artifact.
    """
    return hashlib.sha256(f"{digest} {folder}\n".encode()).hexdigest()


def base_of(place: str) -> str:
    """The base, below the datastrip's folder, of the run that left an artifact at ``place``."""
    return place.partition("/")[0]
