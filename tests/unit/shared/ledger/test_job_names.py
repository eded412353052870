"""A Job's name tells work apart by all that names it, and fits where Kubernetes wants it."""

from __future__ import annotations

import re
from dataclasses import replace

from shared.ledger.keys import WorkKey

PLACE = WorkKey("S2A_20261122100000012345", "l1b-format", "DT01-T32TQM", "ab" * 32)


def test_the_same_data_in_two_sessions_are_two_jobs() -> None:
    others = [
        replace(PLACE, session="S2A_20261122100000054321"),
        replace(PLACE, step="l1c"),
        replace(PLACE, unit="DT02-T32TQM"),
        replace(PLACE, digest="cd" * 32),
    ]
    names = {place.job_name(1) for place in (PLACE, *others)} | {PLACE.job_name(2)}
    assert len(names) == 6
    assert PLACE.job_name(1) == replace(PLACE).job_name(1)


def test_a_name_is_a_dns_label() -> None:
    longest = replace(PLACE, step="a" * 16)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", longest.job_name(123))
