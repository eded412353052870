"""What stage-in brings: from where it was made, else from the shelf, and each byte is checked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from functions.ipf.runner.stage_in import Fetch, fetch_file
from shared.adapters.memory import MemoryStore
from shared.errors import IntegrityError, ObjectAbsentError
from tests.support.house import VirtualClock

CONTENT = b"granule"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(VirtualClock())


def fetch(to: Path, shelf: tuple[str, str] | None = ("s2-products", "L1C/x/b.bin")) -> Fetch:
    return Fetch("s2-work", "w/b.bin", to, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), shelf)


def test_what_has_gone_from_where_it_was_made_is_taken_from_the_shelf(store: MemoryStore, tmp_path: Path) -> None:
    store.put("s2-products", "L1C/x/b.bin", CONTENT)
    fetch_file(store, fetch(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_where_it_was_made_comes_first(store: MemoryStore, tmp_path: Path) -> None:
    store.put("s2-work", "w/b.bin", CONTENT)
    store.put("s2-products", "L1C/x/b.bin", b"another")
    fetch_file(store, fetch(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_another_product_of_that_name_on_the_shelf_is_not_taken_for_it(store: MemoryStore, tmp_path: Path) -> None:
    store.put("s2-products", "L1C/x/b.bin", b"another")
    with pytest.raises(IntegrityError, match=r"L1C/x/b\.bin: expected 7 bytes"):
        fetch_file(store, fetch(tmp_path / "b"))


@pytest.mark.parametrize("shelf", [None, ("s2-products", "L1C/x/b.bin")])
def test_what_is_nowhere_is_absent(store: MemoryStore, tmp_path: Path, shelf: tuple[str, str] | None) -> None:
    with pytest.raises(ObjectAbsentError):
        fetch_file(store, fetch(tmp_path / "b", shelf))
