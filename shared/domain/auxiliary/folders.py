"""Where the IPFs expect their auxiliary files: a plan of what is laid where, from what was unpacked.

An archive holds ``<name>.DBL`` (the data block) and ``<name>.HDR``. The Launcher's ``-a`` folder wants GIPPs as
``S2IPF-GIPP/<name>.xml`` (OLQCPA, whose data block is a zip, as ``.zip``), the bulletin as ``S2IPF-IERS/<name>.txt``,
the GRIBs of a meteorological forecast (a tar in the data block) as the one file ``S2IPF-ECMWF/<name>``, and those of
an aerosol forecast each in ``S2IPF-CAMS/<name>/``. Source: the Launcher's own manual, on its input folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from shared.domain.auxiliary.types import AuxiliaryType, TypeTable
from shared.errors import BadInputError

Action = Literal["copy", "concatenate", "concatenate-members", "unpack-members"]


@dataclass(frozen=True, slots=True)
class Placement:
    """One thing to do: ``sources`` (paths below what was unpacked of the file) to ``target`` (below the root).

    ``copy``: one source to one file. ``concatenate``: sources, in this order, to one file. ``concatenate-members``:
    the members of the archive that the source is, in the order of their names, to one file. ``unpack-members``: its
    members into the folder ``target``. The last two take the members whose base name starts with ``prefix``, of which
    there must be one at least.
    """

    name: str
    action: Action
    sources: tuple[str, ...]
    target: str
    prefix: str = ""


GRIB_PREFIXES = {"AUX_ECMWFD": "S2D", "AUX_CAMSFO": "z_cams"}


def plan(table: TypeTable, chosen: Mapping[str, Sequence[str]]) -> tuple[Placement, ...]:
    """What to lay where for the files ``chosen``: name to the paths of what was unpacked of it.

    BadInputError where a file holds no data block, or is of a type that is not in the table.
    """
    placements: list[Placement] = []
    for name, files in sorted(chosen.items()):
        placements += _placed(_type_of(table, name), name, files)
    return tuple(placements)


def laid_as(table: TypeTable, name: str) -> tuple[str, bool]:
    """Where a file is laid, below the root; and whether that is a folder of files.

    BadInputError where it is of a type that is not in the table.
    """
    kind = _type_of(table, name)
    return _target(kind, name), kind.layout == "unpack"


def _type_of(table: TypeTable, name: str) -> AuxiliaryType:
    kind = table.find(name[9:19])
    if kind is None:
        raise BadInputError(f"auxiliary file {name}, type", "one of the table of types", name[9:19])
    return kind


def _target(kind: AuxiliaryType, name: str) -> str:
    return f"{kind.folder}/{name}{kind.extension if kind.layout == 'rename' else ''}"


def _placed(kind: AuxiliaryType, name: str, files: Sequence[str]) -> Iterable[Placement]:
    target = _target(kind, name)
    if kind.layout == "rename":
        yield Placement(name, "copy", (_data_block(name, files),), target)
        return
    prefix = GRIB_PREFIXES.get(kind.name, "")
    loose = sorted((file for file in files if prefix and _base(file).startswith(prefix)), key=_base)
    if kind.layout == "concatenate":
        if loose:
            yield Placement(name, "concatenate", tuple(loose), target)
        else:
            yield Placement(name, "concatenate-members", (_data_block(name, files),), target, prefix)
    elif loose:
        for file in loose:
            yield Placement(name, "copy", (file,), f"{target}/{_base(file)}")
    else:
        yield Placement(name, "unpack-members", (_data_block(name, files),), target, prefix)


def _data_block(name: str, files: Sequence[str]) -> str:
    """The one file that holds the data: ``.DBL`` of the same name, else the only file that is no header."""
    exact = [file for file in files if _base(file).upper() == f"{name}.DBL".upper()]
    rest = exact or [file for file in files if not _base(file).upper().endswith(".HDR")]
    if len(rest) != 1:
        raise BadInputError(f"auxiliary file {name}", f"one data block, {name}.DBL", ", ".join(files) or "no file")
    return rest[0]


def _base(path: str) -> str:
    return PurePosixPath(path).name
