"""``python -m functions.ipf.runner clean``: what a closed session left on a shared volume goes.

Exit code 0: it has gone, or must stay. 1: something of it is still there.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from functions.ipf.runner.paths import checked
from shared.bootstrap import Services
from shared.ledger import keys
from shared.ledger.records import Cleared
from shared.ledger.standing import account_in_force

_GOING: Final = ".going"
_log: Final = logging.getLogger("s2ps.runner")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m functions.ipf.runner clean", description=__doc__)
    parser.add_argument("--session", required=True, help="the session, whose account is closed")
    parser.add_argument("--claim", required=True, help="the claim of the volume, as the record calls it")
    parser.add_argument("--shared", type=Path, help="where the volume is mounted (default: S2PS_SHARED_DIR)")
    return parser.parse_args(argv)


def clean(session: str, claim: str, shared: Path, services: Services) -> int:
    """Remove the session's folder in ``shared``, and record that it has gone.

    It is set aside first: whoever looks for something in it finds all of it, or nothing. A session that was opened
    again since keeps its folder.
    """
    ledger = services.ledger
    account = account_in_force(ledger, session)
    if account is None or account.held or ledger.exists(keys.open_marker(session)):
        _log.info("session %s: open or held, its folder stays", session)
        return 0
    folder = shared / checked(session)
    if folder.is_dir() and not folder.is_symlink():
        folder.rename(shared / f"{_GOING}-{session}-{secrets.token_hex(4)}")
    for left in shared.glob(f"{_GOING}-{session}-{'[0-9a-f]' * 8}"):  # not what a session beside it set aside
        shutil.rmtree(left, onerror=lambda _do, path, error: _log.warning("%s: %s", path, error[1]))
        if left.exists():
            _log.error("session %s: %s is not empty", session, left.name)
            return 1
    record = Cleared(created=services.clock.now(), traceparent=account.traceparent, session=session, claim=claim)
    ledger.create(keys.cleared(session, account.created, claim), record)
    return 0
