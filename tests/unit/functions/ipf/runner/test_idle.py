"""What an attempt does that finds nothing to do, or cannot tell whether there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functions.ipf.runner import cli
from functions.ipf.runner.job import Job, Scratch
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.errors import ConfigurationError
from shared.ledger.keys import WorkKey
from shared.settings import Settings
from tests.support.house import VirtualClock

PLACE = WorkKey("S", "l1b", "DT01", "0" * 64)


@dataclass
class Opened:
    """A Job as far as it is looked at before anything is done."""

    scratch: Scratch
    error: Exception | None = None
    over: bool = False
    place: WorkKey = PLACE

    @property
    def superseded(self) -> bool:
        if self.error is not None:
            raise self.error
        return True


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was written of attempts that ended."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cli, "end_attempt", lambda _services, *told: found.append(told))
    return found


def perform(job: Opened, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    clock = VirtualClock()
    services = Services(Settings(), clock)
    vars(services).update(store=MemoryStore(clock))
    monkeypatch.setattr(Job, "open", lambda *_: job)
    monkeypatch.setattr(os, "umask", lambda _: 0)
    return cli.perform("stage-in", PLACE.prefix, 1, folder, services)


def test_a_session_whose_sets_cannot_be_read_ends_the_attempt_and_not_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[tuple[Any, ...]]
) -> None:
    """Whether a rerun superseded the work is told by the workflow of its session; a pod that dies is repeated."""
    error = ConfigurationError("workflow file /etc/s2ps/processors/other.yaml: No such file or directory")
    assert perform(Opened(Scratch(tmp_path), error), tmp_path, monkeypatch) == 0
    assert ended == [(PLACE, 1, "failed", f"ConfigurationError: {error}")]


@pytest.mark.parametrize("over", [True, False])
def test_work_that_is_settled_or_superseded_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: list[tuple[Any, ...]], *, over: bool
) -> None:
    assert perform(Opened(Scratch(tmp_path), over=over), tmp_path, monkeypatch) == 0
    assert ended == []
