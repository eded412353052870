"""Contexts: what one mode leaves for the next, ``ContextFile_T000.json``, with absolute paths.

Later modes find nothing but through it, so what it names must still be there, under the same paths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from functions.ipf.standin import SOFTWARE
from functions.ipf.standin.place import Place
from functions.ipf.standin.strip import Strip
from shared.errors import BadInputError
from shared.tasktable import History, Made, Scheme, block_sizes

_MAKES_L1A: Final = ("INS-RAW", "INS-DASC", "INS-ABSR", "INS-EOBS")
_MAKES_L1B: Final = ("INS-NOBS", "INS-VIC", "INS-RAW")
# What leaves a mode is cleared of the data of a level that the datatake is not processed to.
_FILTERED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "L1A": {"RADIO_AB": ("PDI_ATF_LIST",), "RADIO_FINALIZE": ("VECTOR",)},
    "L1B": {"RADIO_FINALIZE": ("VECTOR",)},
}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a datastrip. ``granules``: of one detector in each data block. ``created``: the creation time of
    products, that of the first mode; names do not depend on which mode, and how often, was run.
    """

    strip: Strip
    granules: Mapping[str, int]
    history: History = ()
    programs: tuple[tuple[str, str], ...] = field(default=())
    created: datetime | None = None

    def to_json(self, mode: str) -> dict[str, Any]:
        """As a file holds it."""
        return {
            "standin": SOFTWARE,
            "mode": mode,
            "strip": self.strip.to_json(),
            "granules": dict(self.granules),
            "outputs": [asdict(made) for made in self.history],
            "programs": [list(program) for program in self.programs],
            "created": None if self.created is None else self.created.isoformat(),
        }


def begin(place: Place, scheme: Scheme) -> Context:
    """What a mode starts from: the input folder, or the context of the mode before.

    BadInputError where there is none, or where something that it names has gone.
    """
    after = scheme.mode(place.mode).after
    if not after:
        strip = place.read_input()
        return Context(strip, block_sizes(strip.granules))
    tile = place.suffix if place.mode == "OLQC_L1CTL" else "T000"
    for previous in after:
        path = place.output / previous / f"ContextFile_{tile}.json"
        if path.is_file():
            context = _read(path)
            for made in context.history:
                if not Path(made.path).exists():
                    raise BadInputError(f"{path.name} of {previous}", f"{made.path}, written by {made.task}")
            return context
    raise BadInputError(f"-o, {place.output}", f"the context of {' or '.join(after)}")


def _read(path: Path) -> Context:
    try:
        document = json.loads(path.read_bytes())
        return Context(
            Strip.from_json(document["strip"]),
            document["granules"],
            tuple(Made(**made) for made in document["outputs"]),
            tuple((str(name), str(version)) for name, version in document["programs"]),
            datetime.fromisoformat(document["created"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(str(path), "the context of a stand-in", f"{type(error).__name__}: {error}") from None


def leftovers(place: Place, made: Made, strip: Strip) -> tuple[str, ...]:
    """Patterns of the files of an output that are not passed on: data of a level that is not asked for."""
    if made.file_type not in _FILTERED.get(place.mode, {}).get(made.task, ()):
        return ()
    unwanted = [("*L1A*raw", _MAKES_L1A), ("*L1B*raw", _MAKES_L1B)]
    return tuple(pattern for pattern, types in unwanted if strip.type not in types)


def write_programs(path: Path, programs: tuple[tuple[str, str], ...]) -> None:
    """``idp_infos.xml``: which programs, in which versions, the data went through."""
    import xml.etree.ElementTree as ET

    root = ET.Element("IDP_Infos")
    root.append(ET.Comment(f" {SOFTWARE} "))
    options = ET.SubElement(root, "Performance_Options")
    ET.SubElement(options, "maxSizeRAM").text = "2"
    for name, version in programs:
        ET.SubElement(root, "IDPSc_Name", version=version).text = name
    ET.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))
