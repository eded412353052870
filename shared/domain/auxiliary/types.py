"""Types of auxiliary files: what the table of types says of each, and what a job at a level asks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.domain.auxiliary.names import BANDS, NO_BAND, AuxiliaryName
from shared.domain.auxiliary.policies import PolicyName
from shared.errors import ConfigurationError

Folder = Literal["S2IPF-GIPP", "S2IPF-IERS", "S2IPF-ECMWF", "S2IPF-CAMS"]
Layout = Literal["rename", "concatenate", "unpack"]
TypeName = Annotated[str, Field(pattern=r"^(AUX|GIP)_[A-Z0-9_]{6}$")]


class AuxiliaryType(BaseModel):
    """One type.

    ``levels``: what may need it (EISP is the L0U processor). ``band_named``: its names carry a band.
    ``band_dependent``: one file for each band is needed. ``unit_dependent``: its files are of one satellite.
    ``layout``: how its data block comes into ``folder``: renamed to ``extension``; the GRIBs in it as one file; or
    unpacked into a folder of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TypeName
    levels: tuple[Literal["EISP", "L0", "L1", "L2"], ...]
    rule: PolicyName = "LatestValCover"
    band_named: bool = True
    band_dependent: bool = False
    unit_dependent: bool = True
    folder: Folder = "S2IPF-GIPP"
    layout: Layout = "rename"
    extension: str = ".xml"

    def accepts(self, name: AuxiliaryName) -> str:
        """Why a file of this name is none of this type; empty where it is."""
        if name.type != self.name:
            return f"its type is {name.type}"
        if self.band_dependent and name.band not in BANDS:
            return "a file of this type is of one band, and its name says none"
        if not self.band_dependent and name.band not in {None, NO_BAND}:
            return f"a file of this type is of no band, and its name says B{name.band}"
        return ""


class JobTypes(BaseModel):
    """The types that one kind of job takes. Without an optional one it runs all the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mandatory: tuple[TypeName, ...]
    optional: tuple[TypeName, ...] = ()


class TypeTable(BaseModel):
    """All types, and which of them each kind of job takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: tuple[AuxiliaryType, ...]
    jobs: dict[str, JobTypes]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(self._by_name) != len(self.types):
            raise ValueError("types: expected each once")
        for job, wanted in self.jobs.items():
            for name in (*wanted.mandatory, *wanted.optional):
                if name not in self._by_name:
                    raise ValueError(f"jobs.{job}: {name} is not among the types")
        return self

    @cached_property
    def _by_name(self) -> dict[str, AuxiliaryType]:
        return {each.name: each for each in self.types}

    def find(self, name: str) -> AuxiliaryType | None:
        """The type of this name, or None."""
        return self._by_name.get(name)

    def wanted(self, job: str) -> Iterator[tuple[AuxiliaryType, bool]]:
        """(type, mandatory) of each type that a kind of job takes. ConfigurationError where it is not known."""
        try:
            types = self.jobs[job]
        except KeyError:
            raise ConfigurationError(f"auxiliary types of job {job}: expected one of {', '.join(self.jobs)}") from None
        for name in types.mandatory:
            yield self._by_name[name], True
        for name in types.optional:
            yield self._by_name[name], False
