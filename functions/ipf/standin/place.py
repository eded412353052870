"""What a call of the Launcher says, and the checks that it begins with: folders, auxiliary files, the datastrip.

Checks as in ``LaunchIPF.py`` of CS-SI/S2IPF_Orchestrator_Launcher, with this added: ``S2IPF-GIPP`` holds PROBAS and
OLQCPA, and a mode by tile is given one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from functions.ipf.standin.config import Config
from functions.ipf.standin.products import granules_in, names_in
from functions.ipf.standin.strip import Strip, read_strip
from shared.errors import BadInputError
from shared.tasktable import Scheme, gipp_sources

_STATIC: Final = ("S2IPF-DEMGLOBE", "S2IPF-DEMGEOID", "S2IPF-DEMSRTM")
_BY_TILE: Final = ("L1CTile", "OLQC_L1CTL")
_WITH_WEATHER: Final = ("L1CTile", "OLQC_L1CDS")
GRI: Final = "S2__OPER_AUX_GRI*"


@dataclass(frozen=True, slots=True)
class Place:
    """One call. ``kill_s``: after so long the Launcher gives up; ``stamp`` is in the names of all that it leaves."""

    mode: str
    auxiliary: Path
    static: Path
    gri: Path
    input: Path
    working: Path
    output: Path
    parallel: int
    tile: str
    versions: Path | None
    kill_s: int
    stamp: str

    @classmethod
    def of(cls, argv: Sequence[str], config: Config, now: datetime) -> Self:
        """From a command line; SystemExit as the Launcher's own parser has it."""
        parser = argparse.ArgumentParser(prog="LaunchIPF.sh")
        for short, name in (("m", "mode"), ("a", "auxs"), ("s", "staticauxs"), ("g", "gri"), ("i", "input")):
            parser.add_argument(f"-{short}", f"--{name}", required=True)
        for short, name in (("w", "working"), ("o", "output")):
            parser.add_argument(f"-{short}", f"--{name}", required=True)
        parser.add_argument("-p", "--parallel", required=True, type=int)
        parser.add_argument("-t", "--tile", default="")
        parser.add_argument("-l", "--loglevel", default="INFO")
        parser.add_argument("-e", "--exeversionfile")
        parser.add_argument("-k", "--killtimeout", type=int, default=14_400)
        given = parser.parse_args(argv)
        return cls(
            given.mode,
            config.mounted(given.auxs),
            config.mounted(given.staticauxs),
            config.mounted(given.gri),
            Path(given.input),
            Path(given.working),
            Path(given.output),
            given.parallel,
            given.tile,
            Path(given.exeversionfile) if given.exeversionfile else None,
            given.killtimeout,
            f"{now:%Y%m%d%H%M%S}",
        )

    @property
    def root(self) -> Path:
        """Where the Launcher works: results and logs are here."""
        return self.working / f"ipf_output_{self.mode}_{self.stamp}"

    @property
    def processing(self) -> Path:
        """Where the Orchestrator works."""
        return self.root / self.mode / f"TaskTable_{self.stamp[:8]}T{self.stamp[8:]}"

    @property
    def kept(self) -> Path:
        """Where later modes find what this one leaves."""
        return self.output / self.mode

    @property
    def suffix(self) -> str:
        """``T000`` of a mode for no tile."""
        return f"T{self.tile or '000'}"

    def check(self, scheme: Scheme) -> None:
        """BadInputError, with the option and what is missing."""
        scheme.mode(self.mode)
        gipp = self.auxiliary / "S2IPF-GIPP"
        for option, folder in (
            ("-a", gipp),
            ("-a", self.auxiliary / "S2IPF-IERS"),
            *(("-s", self.static / name) for name in _STATIC),
            *([("-g", self.gri)] if self.mode == "L1B" else []),
        ):
            if not folder.is_dir():
                raise BadInputError(f"{option}, {folder}", "a folder")
        if self.mode in _WITH_WEATHER:
            for name in ("S2IPF-ECMWF", "S2IPF-CAMS"):
                if not names_in(self.auxiliary / name, "*"):
                    raise BadInputError(f"-a, {self.auxiliary / name}", "a file or folder in it")
        for pattern in ("S2*PROBAS*.xml", "S2*OLQCPA*.zip"):
            if not names_in(gipp, pattern):
                raise BadInputError(f"-a, {gipp}", f"a file {pattern}")
        if not names_in(self.auxiliary / "S2IPF-IERS", "*.txt"):
            raise BadInputError(f"-a, {self.auxiliary / 'S2IPF-IERS'}", "a bulletin, *.txt")
        if (self.mode in _BY_TILE) != bool(self.tile):
            raise BadInputError("-t", f"a tile for {', '.join(_BY_TILE)}, and for no other mode", self.tile)
        if self.parallel < 1:
            raise BadInputError("-p", "at least 1", self.parallel)

    def read_input(self) -> Strip:
        """The datastrip below ``-i``, with its granules; BadInputError where there is not exactly one."""
        datastrips = names_in(self.input / "DS")
        if len(datastrips) != 1:
            raise BadInputError(f"-i, {self.input / 'DS'}", "exactly one datastrip S2*", list(datastrips))
        granules = granules_in(self.input / "GR")
        if not granules:
            raise BadInputError(f"-i, {self.input / 'GR'}", "granules, at Level 0 in DB1/")
        if (self.mode == "L0") != all("/" in name for name in granules):
            raise BadInputError(f"-i, {self.input / 'GR'}", "data blocks (DB1/) at Level 0, and none else", granules[0])
        return read_strip(self.input / "DS" / datastrips[0]).within(granules)

    def read_versions(self, scheme: Scheme) -> dict[str, str]:
        """The versions of programs by task, where a file gives them."""
        if self.versions is None:
            return {}
        try:
            chains = json.loads(self.versions.read_text())["CHAINS"]
            found = chains[scheme.mode(self.mode).chain]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"-e, {self.versions}", "CHAINS with the versions of each", str(error)) from None
        return {str(task): str(version) for task, version in found.items()}

    def sources(self, scheme: Scheme, strip: Strip, made: dict[str, str]) -> dict[str, tuple[str, ...]]:
        """Where the data are that come from outside, by type; ``made`` is what earlier modes left under such a name.

        Folders as in the Orchestrator's ``DB.json``.
        """
        datastrip = self.input / "DS" / strip.name
        found = {
            "PDI_DS": self.input / "DS",
            "PDI_DS_GR_LIST": self.input / "GR",
            "PDI_L0U": datastrip / "ANC_DATA",
            "PDI_SAD": datastrip / "ANC_DATA",
            "ISP_LIST": self.input / "GR",
            "ISP_UNCOMP_LIST": self.input / "GR",
            "QUICKLOOK": datastrip,
            "QUICKLOOK_GEO": datastrip,
            "QUICKLOOK_CM": datastrip,
            "IERS": self.auxiliary / "S2IPF-IERS",
            "ECMWF": self.auxiliary / "S2IPF-ECMWF",
            "CAMS": self.auxiliary / "S2IPF-CAMS",
            "DEM_GLOBE": self.static / "S2IPF-DEMGLOBE",
            "DEM_GEOID": self.static / "S2IPF-DEMGEOID",
            "DEM_SRTM": self.static / "S2IPF-DEMSRTM",
            "GRI_ORBIT": self.gri,
        }
        gipp = (self.auxiliary / "S2IPF-GIPP").iterdir()
        files = gipp_sources(scheme, (str(path) for path in gipp))
        return {name: (str(path),) for name, path in found.items()} | files | {k: (v,) for k, v in made.items()}
