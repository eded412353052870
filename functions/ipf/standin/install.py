"""Launch scripts under the names and in the folders of the licensed processors, each of which calls a stand-in.

A processor set whose ``roots`` point here runs with its command lines as they are.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Final

import functions
from functions.ipf.common.identity import BASELINE
from functions.ipf.standin import SOFTWARE
from functions.ipf.standin.config import FILE, HOME
from shared.tasktable import load_scheme

_SCRIPTS: Final = {
    "eisp": ("eisp", "ingestion/scripts/launch_eisp_ing_typ.bash"),
    "launcher": ("launcher", "scripts/LaunchIPF.sh"),
    "l2ds": ("l2", "Launch_L2_DS.sh"),
    "l2tl": ("l2", "Launch_L2_TL.sh"),
}
_STATIC: Final = ("S2IPF-DEMGLOBE", "S2IPF-DEMGEOID", "S2IPF-DEMSRTM", "S2IPF-DEML2", "S2IPF-ESACCI")
_SCRIPT: Final = """#!/bin/sh
# {software}: called as {name} is.
{home}={folder}
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}}
export {home} PYTHONPATH
exec {python} -m functions.ipf.standin {which} "$@"
"""


def install(folder: Path) -> dict[str, str]:
    """Write scripts, versions and empty static data below ``folder``; returns the roots for a processor set.

    Beside the scripts stands ``standin.json``, which says what they make; one that is there stays as it is.
    """
    folder = folder.resolve()
    roots = {}
    for which, (root, path) in _SCRIPTS.items():
        script = folder / root / path
        script.parent.mkdir(parents=True, exist_ok=True)
        text = _SCRIPT.format(
            software=SOFTWARE,
            name=script.name,
            home=HOME,
            folder=shlex.quote(str(folder)),
            root=shlex.quote(str(Path(functions.__file__).resolve().parents[1])),
            python=shlex.quote(sys.executable),
            which=which,
        )
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)
        roots[root] = str(folder / root)
    roots["versions"] = str(_versions(folder / "IDPSC_EXE_export.json"))
    for name in _STATIC:
        (folder / "dem" / name).mkdir(parents=True, exist_ok=True)
    (folder / "grid").mkdir(exist_ok=True)
    config = folder / FILE
    if not config.exists():
        mounts = {"/dem": str(folder / "dem"), "/grid": str(folder / "grid")}
        config.write_text(json.dumps({"mounts": mounts}, indent=1))
    return roots


def _versions(path: Path) -> Path:
    """The versions of the programs, in the form of the Launcher's file."""
    scheme = load_scheme()
    chains: dict[str, dict[str, str]] = {}
    for name, mode in scheme.modes.items():
        for pool in scheme.table(name).pools:
            for task in pool.tasks:
                program = "OLQC" if task.name.startswith("OLQC") else task.base_name
                chains.setdefault(mode.chain, {})[program] = scheme.version(program)
    document = {"STAND_IN": SOFTWARE, "PROCESSING_BASELINE": BASELINE, "MAIN_SCHEME": "6.1", "CHAINS": chains}
    path.write_text(json.dumps(document, indent=1))
    return path
