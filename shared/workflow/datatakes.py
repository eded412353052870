"""What is made of a datatake, by its type: the model of ``datatakes.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.domain.deadlines import BUDGETS
from shared.workflow.processor import Model


def _known(levels: tuple[str, ...]) -> tuple[str, ...]:
    for level in levels:
        if level not in BUDGETS:
            raise ValueError(f"expected levels among {', '.join(BUDGETS)}, found {level}")
    return levels


Levels = Annotated[tuple[str, ...], AfterValidator(_known)]


class Datatakes(Model):
    """Levels by type; ``unknown`` where the metadata do not tell one, ``other`` for a type that is not listed."""

    types: dict[str, Levels] = Field(default_factory=dict)
    unknown: Levels = ()
    other: Levels = ()

    def levels(self, datatake_type: str) -> tuple[str, ...]:
        """The levels that a datatake of this type asks for; empty text: the type is not known."""
        return self.types.get(datatake_type, self.other) if datatake_type else self.unknown

    def asks_for(self, datatake_type: str, serves: Iterable[str]) -> bool:
        """Whether a step that runs for the sake of these levels runs; one that names none always does."""
        named = set(serves)
        return not named or not named.isdisjoint(self.levels(datatake_type))
