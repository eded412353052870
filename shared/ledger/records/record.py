"""What all records of the ledger share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

StatusClass = Literal["succeeded", "succeeded-with-warnings", "no-product", "retry", "failed", "infrastructure"]

FINISHED: frozenset[str] = frozenset({"succeeded", "succeeded-with-warnings"})

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """What stands within records."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Record(BaseModel):
    """What all records share. Unknown fields are kept out, so that a misspelt one is found at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)
    kind: ClassVar[str] = "record"

    schema_: str = Field(default="", alias="schema")
    created: AwareDatetime
    traceparent: str = ""

    def model_post_init(self, _context: Any, /) -> None:
        expected = f"org.s2ps.{self.kind}/1"
        if self.schema_ not in {"", expected}:
            raise ValueError(f"schema: expected {expected}, found {self.schema_}")
        object.__setattr__(self, "schema_", expected)

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, indent=1).encode()
