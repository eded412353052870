"""The command line: which processor to stand in for, and its own arguments as they are.

``python -m functions.ipf.standin launcher|eisp|l2ds|l2tl <arguments>``, ``... install <folder>``, ``... --version``.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from functions.ipf.common.processor import IpfLog
from functions.ipf.standin import NAME, SOFTWARE, VERSION
from functions.ipf.standin.config import HOME, load
from functions.ipf.standin.failing import AT_ONCE, Ended, Here, Rules, perform
from shared.errors import S2psError

PROGRAMS: Final = {
    "eisp": "launch_eisp_ing_typ.bash",
    "launcher": "LaunchIPF.sh",
    "l2ds": "Launch_L2_DS.sh",
    "l2tl": "Launch_L2_TL.sh",
}
# What each ends with where it fails: ingestion has codes of the generic interface, the scripts answer 1.
_FAILED: Final = {"eisp": 128}
_USAGE: Final = f"expected {', '.join(PROGRAMS)} with arguments, install with a folder, or --version"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    which = arguments.pop(0) if arguments else ""
    if which == "--version":
        print(SOFTWARE)
        return 0
    if which == "install" and len(arguments) == 1:
        from functions.ipf.standin.install import install

        for name, root in install(Path(arguments[0])).items():
            print(f"{name}: {root}")
        return 0
    if which not in PROGRAMS:
        print(_USAGE, file=sys.stderr)
        return 2
    journal = IpfLog(f"{NAME}_{PROGRAMS[which]}", VERSION, sys.stdout)
    journal.info(f"{SOFTWARE}: in place of {PROGRAMS[which]}")
    try:
        return _run(which, arguments, journal)
    except Ended as ended:
        journal.error(ended.text)
        return ended.code
    except (S2psError, OSError) as error:
        journal.error(str(error))
    except MemoryError as error:
        journal.error(f"{os.strerror(errno.ENOMEM)}: {error or 'MemoryError'}")
    return _FAILED.get(which, 1)


def _run(which: str, arguments: list[str], journal: IpfLog) -> int:
    config = load(os.environ)
    home = Path(os.environ[HOME]) if os.environ.get(HOME) else None
    now = datetime.now(UTC).replace(microsecond=0)
    if which == "launcher":
        from functions.ipf.standin.launcher import launch

        return launch(arguments, config, home, journal, now)
    if which == "eisp":
        from functions.ipf.standin.eisp import ingest

        if len(arguments) != 1:
            journal.error(f"expected one argument, the job order's path, found {len(arguments)}")
            return _FAILED[which]
        rules = Rules.at(config, Here("eisp"), home)
        rule = rules.take(AT_ONCE)
        if rule is not None:
            perform(rule)
        return ingest(Path(arguments[0]), config, rules, journal, now)
    from functions.ipf.standin.sen2cor import level2

    return level2("l2ds" if which == "l2ds" else "l2tl", arguments, config, home, journal, now)
