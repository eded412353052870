"""Facts: what later steps are to know of a run, read out of files that it read or wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from functions.ipf.runner import metadata
from functions.ipf.runner.filling import fill
from shared.errors import BadInputError
from shared.workflow.processor import Fact


@dataclass(frozen=True, slots=True)
class Facts:
    """``problems``: which files could not be read, and why, in one sentence each."""

    found: dict[str, str]
    problems: tuple[str, ...]


def find_facts(base: Path, room: Path, wanted: Sequence[Fact], values: Mapping[str, str]) -> Facts:
    """Each fact, by the first file below ``base`` that matches its path; where there is none, what stands otherwise.

    A link is followed as long as it leads to a file below ``room``: the folder that the run shares with earlier ones.
    """
    found, problems = {}, []
    for fact in wanted:
        text = None
        try:
            path = _first(base, room, fill(fact.path, values, f"fact {fact.name}, path"))
            if path is not None:
                text = metadata.fact(metadata.parse(path), fact)
        except BadInputError as error:
            problems.append(f"fact {fact.name}: {error}")
        found[fact.name] = fact.otherwise if text is None else text
    return Facts(found, tuple(problems))


def _first(base: Path, room: Path, pattern: str) -> Path | None:
    for path in sorted(base.glob(pattern)):
        real = path.resolve()
        if not real.is_file():
            continue
        if not real.is_relative_to(room.resolve()):
            raise BadInputError(pattern, "a file below the folder of the run", path.name)
        return real
    return None
