"""The granules of a Level-0 outcome: how many scenes they make, what of them is missing, which belong to a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from shared.domain.expected import SCENE, Acquired
from shared.domain.names import PdiName, parse_stamp
from shared.errors import BadInputError
from shared.ledger.records import Artifact, Complete, Outcome
from shared.workflow.graph import Step
from shared.workflow.parts import Granule, Part, part_of, scene_numbers
from shared.workflow.ruling import DATATAKE_TYPE

GRANULES: Final = "PDI_DS_GR_LIST"
STOP: Final = "sensing_stop"
"""The attribute of an artifact that tells when the sensing of its data ended."""

_NO_IMAGES: Final = frozenset({"AUX_SADATA", "PRD_HKTM"})
"""Telemetry: it goes on beyond the last image."""


def is_taken(artifact: Artifact, taken: frozenset[str] | None) -> bool:
    return taken is None or artifact.file_type != GRANULES or artifact.name in taken


def part_taken(step: Step, unit: str, record: Complete | Outcome) -> tuple[Part | None, frozenset[str] | None]:
    """The part of a datastrip that a unit is, and its granules; None and None where it is a whole one."""
    if step.over != "part" or step.split is None or isinstance(record, Complete):
        return None, None
    numbers = scenes_of(record)
    part = part_of(unit, scene_count(numbers), step.split)
    if part is None:
        return None, None
    return part, frozenset(name for name, number in numbers.items() if part.first <= number < part.last)


def scene_count(numbers: Mapping[str, int]) -> int:
    return max(numbers.values(), default=-1) + 1


def scenes_of(record: Outcome) -> Mapping[str, int]:
    """The scene of each granule of a Level-0 outcome, by its name."""
    return _numbered(tuple(artifact.name for artifact in record.outputs if artifact.file_type == GRANULES))


@lru_cache(maxsize=16)
def _numbered(names: tuple[str, ...]) -> Mapping[str, int]:
    """A datastrip has thousands of granules, and is asked about at each of its tiles' events."""
    return scene_numbers(granule for name in names if (granule := _granule(name)) is not None)


def _granule(text: str) -> Granule | None:
    """What the name of a granule tells; None where it is none, or tells no time that there is."""
    try:
        name = PdiName.parse(text)
        return Granule(text, name.get("D") or "", parse_stamp(name.get("S") or "", text))
    except BadInputError:
        return None


def granules_by_detector(record: Complete | Outcome, taken: frozenset[str] | None) -> Counter[str] | None:
    """How many granules of a Level-0 outcome each detector has: one for each scene. None of what has no granules.

    One whose name is none of a granule is not counted.
    """
    if isinstance(record, Complete):
        return None
    names = [a.name for a in record.outputs if a.file_type == GRANULES and is_taken(a, taken)]
    found: Counter[str] = Counter()
    for name in names:
        try:
            found[PdiName.parse(name).get("D") or ""] += 1
        except BadInputError:
            continue
    return found if names else None


def acquired(outcome: Outcome) -> Acquired | None:
    """The datastrip that a Level-0 outcome found; None where it found none."""
    granules = granules_by_detector(outcome, None)
    if granules is None:
        return None
    start = min(granule_starts(outcome), default=None)
    return Acquired(outcome.unit, granules, start, outcome.facts.get(DATATAKE_TYPE) == "RAW")


def last_sensed(outcome: Outcome) -> datetime | None:
    """When the last line of an outcome's images was sensed: by their metadata, else by the names of its granules.

    None where neither tells.
    """
    images = [artifact for artifact in outcome.outputs if artifact.file_type not in _NO_IMAGES]
    told = [when for each in images if (when := instant_told(each.attributes.get(STOP, ""))) is not None]
    if told:
        return max(told)
    last = max(granule_starts(outcome), default=None)
    return None if last is None else last + SCENE


def instant_told(text: str) -> datetime | None:
    """ISO 8601, UTC where it names no zone; None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def granule_starts(outcome: Outcome) -> Iterator[datetime]:
    """When the first line of each granule of a Level-0 outcome was sensed, as its name tells."""
    for artifact in outcome.outputs:
        if artifact.file_type == GRANULES and (found := _granule(artifact.name)) is not None:
            yield found.start


def gap(granules: Counter[str]) -> str:
    """What is missing where detectors have granules of fewer scenes than others; empty where nothing is."""
    scenes = max(granules.values(), default=0)
    short = sorted(detector for detector, count in granules.items() if count < scenes)
    missing = sum(scenes - granules[detector] for detector in short)
    return f"{missing} granules are missing, of detectors {', '.join(short)}" if missing else ""
