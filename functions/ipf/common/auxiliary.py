"""Auxiliary files that a job order may name: the satellite's own parameters where they are given, nominal ones else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.domain.names import PdiName
from shared.errors import BadInputError
from shared.geometry.iers import default_orientation, earth_orientation
from shared.geometry.instrument import Instrument
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from shared.geometry.frames import EarthOrientation
    from shared.joborder import JobOrder

VIEWING: Final = "GIP_VIEDIR"
SPACECRAFT: Final = "GIP_SPAMOD"
BULLETIN: Final = ("AUX_UT1UTC", "IERS")


def optional_files(order: JobOrder, *file_types: str) -> list[Path]:
    """Files of these types that any task of the order names, in the order's sequence; none where it names none.

    A folder stands for the files in it that bear data: all but headers.
    """
    named = [Path(name) for task in order.tasks for i in task.inputs if i.file_type in file_types for name in i.names]
    found: dict[Path, None] = {}
    for path in named:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found |= dict.fromkeys(p for p in inside if p.suffix.upper() != ".HDR")
    return list(found)


def instrument_of(order: JobOrder, satellite: str) -> tuple[Instrument, str]:
    """The instrument of GIP_VIEDIR and GIP_SPAMOD files, or the nominal one where the order names neither; and a
    sentence where it names some of them only, which is no instrument: the nominal one then, too.

    BadInputError where there is more than one GIP_SPAMOD, or where a file is none of its type.
    """
    viewing, spacecraft = optional_files(order, VIEWING), optional_files(order, SPACECRAFT)
    if len(spacecraft) > 1:
        raise BadInputError("job order, GIP_SPAMOD", "one file", [path.name for path in spacecraft])
    if spacecraft and len(viewing) >= len(BANDS):
        return Instrument.read(viewing, spacecraft[0]), ""
    if not viewing and not spacecraft:
        return Instrument.nominal(satellite), ""
    given = f"{len(viewing)} of {len(BANDS)} {VIEWING} and {len(spacecraft)} of 1 {SPACECRAFT}"
    return Instrument.nominal(satellite), f"{given}: no instrument is whole in them, the nominal one is taken"


def orientation_of(order: JobOrder, gps_ns: int) -> tuple[EarthOrientation, str]:
    """Earth orientation at an instant, and the bulletin's name: empty where the table that comes with the code holds.

    BadInputError where the order names more than one bulletin, or one that does not reach the instant.
    """
    bulletins = optional_files(order, *BULLETIN)
    if len(bulletins) > 1:
        raise BadInputError("job order, AUX_UT1UTC", "one bulletin", [path.name for path in bulletins])
    if not bulletins:
        return default_orientation(gps_ns), ""
    return earth_orientation(bulletins[0], gps_ns), bulletins[0].stem


def parameter_names(instrument: Instrument) -> list[tuple[str, str]]:
    """(type, name without extension) of the instrument's parameter files that have names of the archive."""
    names = []
    for file in instrument.files:
        stem = Path(file).stem
        try:
            names.append((PdiName.parse(stem).file_type, stem))
        except BadInputError:
            continue
    return names
