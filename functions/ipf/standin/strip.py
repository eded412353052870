"""A datastrip as the chain passes it on: what its metadata say, and the names of all that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from functions.ipf.common.identity import BASELINE, FILE_CLASS, Production
from shared.domain.names import PdiName, format_stamp
from shared.errors import BadInputError
from shared.xmltree import Limits, parse_tree

SCENE_S: Final = 3.608
DETECTORS: Final = tuple(range(1, 13))
_LIMITS: Final = Limits(text=1 << 20)


@dataclass(frozen=True, slots=True)
class Strip:
    """A datastrip.

    Args:
        name: of the datastrip product that it was read from.
        datatake: identifier, ``GS2B_20220413T114629_026647_N00.01``.
        type: with the prefix ``INS-``.
        orbit: absolute, relative: of the datatake.
        granules: names of granule products, with the folder of their data block (``DB1/``).
    """

    name: str
    satellite: str
    site: str
    station: str
    datatake: str
    type: str
    orbit: int
    relative_orbit: int
    start: datetime
    stop: datetime
    granules: tuple[str, ...] = ()

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return max(1, round((self.stop - self.start).total_seconds() / SCENE_S))

    def production(self, created: datetime) -> Production:
        """Who makes products of it: its own site, and never a baseline of an operational centre."""
        return Production(created, self.site, BASELINE)

    def datastrip(self, level: str, created: datetime) -> str:
        """The name of a datastrip product; ``level`` as in names (``L0_``, ``L1C``)."""
        return self.production(created).pdi(self.satellite, f"MSI_{level}_DS", ("S", format_stamp(self.start)))

    def granule(self, level: str, created: datetime, of: str) -> str:
        """The name of the granule product of another level's granule ``of``."""
        name = PdiName.parse(of.rpartition("/")[2])
        kept = tuple((letter, value) for letter, value in name.suffixes if letter in "SD")
        return self.production(created).pdi(self.satellite, f"MSI_{level}_GR", *kept)

    def tile(self, level: str, created: datetime, tile: str, kind: str = "TL") -> str:
        """The name of a tile product, or of its true-colour image (``TC``)."""
        suffixes = (("A", f"{self.orbit:06d}"), ("T", tile))
        return self.production(created).pdi(self.satellite, f"MSI_{level}_{kind}", *suffixes)

    def to_json(self) -> dict[str, Any]:
        """As contexts hold it."""
        return {
            "name": self.name, "satellite": self.satellite, "site": self.site, "station": self.station,
            "datatake": self.datatake, "type": self.type, "orbit": self.orbit, "relative_orbit": self.relative_orbit,
            "start": self.start.isoformat(), "stop": self.stop.isoformat(), "granules": list(self.granules),
        }  # fmt: skip

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        times = {key: datetime.fromisoformat(document[key]) for key in ("start", "stop")}
        return cls(**{**document, **times, "granules": tuple(document["granules"])})

    def within(self, granules: tuple[str, ...]) -> Strip:
        """The same with these granules."""
        return replace(self, granules=granules)


def metadata_name(product: str) -> str:
    """The name of a product's metadata file: MTD in place of MSI, without the baseline."""
    name = PdiName.parse(product)
    kept = tuple((letter, value) for letter, value in name.suffixes if letter != "N")
    return f"{replace(name, file_type=name.file_type.replace('MSI', 'MTD', 1), suffixes=kept)}.xml"


def read_strip(folder: Path, site: str = "") -> Strip:
    """The datastrip in ``folder``, of any level, by its metadata; BadInputError names file and element."""
    name = PdiName.parse(folder.name)
    file = folder / metadata_name(folder.name)
    if not file.is_file():
        raise BadInputError(f"datastrip {folder.name}", f"its metadata, {file.name}")
    root = parse_tree(file.read_bytes(), file.name, _LIMITS)

    def text(tag: str) -> str:
        found = next(root.iter(tag), None)
        if found is None or not (found.text or "").strip():
            raise BadInputError(f"{file.name}, {tag}", "an element with content")
        return (found.text or "").strip()

    datatake = next(root.iter("Datatake_Info"), None)
    identifier = "" if datatake is None else datatake.get("datatakeIdentifier", "")
    parts = identifier.split("_")
    if len(parts) != 4 or not parts[2].isdecimal():
        raise BadInputError(f"{file.name}, Datatake_Info/@datatakeIdentifier", "GS2x_<start>_<orbit>_N..", identifier)
    return Strip(
        folder.name,
        name.satellite,
        site or name.site,
        text("RECEPTION_STATION"),
        identifier,
        text("DATATAKE_TYPE"),
        int(parts[2]),
        _orbit(text("SENSING_ORBIT_NUMBER"), file.name),
        _time(text("DATASTRIP_SENSING_START"), f"{file.name}, DATASTRIP_SENSING_START"),
        _time(text("DATASTRIP_SENSING_STOP"), f"{file.name}, DATASTRIP_SENSING_STOP"),
    )


def scene_start(strip: Strip, scene: int) -> datetime:
    """When scene ``scene``, counted from 1, began."""
    return strip.start + timedelta(seconds=SCENE_S * (scene - 1))


def _time(text: str, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(where, "a time", text) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _orbit(text: str, file: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 143:
        raise BadInputError(f"{file}, SENSING_ORBIT_NUMBER", "1 to 143", text)
    return int(text)


__all__ = ["DETECTORS", "FILE_CLASS", "SCENE_S", "Strip", "metadata_name", "read_strip", "scene_start"]
