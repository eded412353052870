"""Compiled code where nothing can be cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import pytest

from shared.ccsds._jit import jit


def _refusing(said: str) -> Callable[..., Any]:
    def njit(signature: str, **options: Any) -> Callable[..., Any]:
        if options.get("cache"):
            raise RuntimeError(said)
        return lambda function: function

    return njit


def test_without_a_place_for_a_cache_it_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "njit", _refusing("cannot cache function 'double': no locator available"))
    assert jit("int64(int64)")(lambda x: 2 * x)(21) == 42


def test_other_refusals_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba, "njit", _refusing("no such target"))
    with pytest.raises(RuntimeError, match="no such target"):
        jit("int64(int64)")(lambda x: 2 * x)
