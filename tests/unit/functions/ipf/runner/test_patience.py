from __future__ import annotations

import pytest

from functions.ipf.runner.patience import PATIENCE_S, patiently
from shared.errors import IntegrityError, StoreUnavailableError


class Stage:
    """Fails ``times`` times; its clock moves by each pause."""

    def __init__(self, times: float, error: Exception) -> None:
        self.times, self.error, self.done, self.now = times, error, 0, 0.0

    def __call__(self) -> None:
        self.done += 1
        if self.done <= self.times:
            raise self.error

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def run(self) -> None:
        patiently(self, pause=self.pause, clock=lambda: self.now)


def test_a_minute_without_a_store_is_waited_out() -> None:
    stage = Stage(7, StoreUnavailableError("503"))
    stage.run()
    assert stage.done == 8
    assert 45 <= stage.now <= 75


def test_patience_ends() -> None:
    stage = Stage(float("inf"), StoreUnavailableError("503"))
    with pytest.raises(StoreUnavailableError):
        stage.run()
    assert PATIENCE_S - 15 <= stage.now <= PATIENCE_S


def test_what_waiting_does_not_mend_is_not_waited_for() -> None:
    stage = Stage(1, IntegrityError("other bytes"))
    with pytest.raises(IntegrityError):
        stage.run()
    assert (stage.done, stage.now) == (1, 0.0)
