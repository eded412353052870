"""What a full disk keeps from the file of an image is an error, not ground without data."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from functions.ipf.safe.blocks import blocks_held
from functions.ipf.safe.jp2 import Extent, write_jp2
from shared.msi.tiling import tile


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """As a full disk does, the system refuses what goes beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(3).integers(1000, 9000, (rows, columns), dtype=np.uint16)


@pytest.mark.parametrize("octets", [600_000, 1_600_000, 2_000_000])
def test_an_image_of_which_the_disk_lacks_the_last_is_not_made(tmp_path: Path, octets: int) -> None:
    path = tmp_path / "image.jp2"
    with files_of_at_most(octets), pytest.raises(OSError, match="disk"):
        write_jp2(path, noise(600, 600), tile("32TMQ"), 20, Extent(0, 0, 600, 600), bits=15)
    assert not path.exists()


def test_an_image_of_which_the_disk_lacks_the_end_is_not_made(tmp_path: Path) -> None:
    """Noise of 16 bits takes more as JPEG 2000, of which the last octets alone are missing, than plain."""
    path, at = tmp_path / "image.jp2", Extent(0, 0, 512, 512)
    pixels = np.random.default_rng(3).integers(0, 65_536, at.shape, dtype=np.uint16)
    write_jp2(path, pixels, tile("32TMQ"), 60, at)
    octets = path.stat().st_size
    path.unlink()
    with files_of_at_most(octets - 1), pytest.raises(OSError, match="disk"):
        write_jp2(path, pixels, tile("32TMQ"), 60, at)
    assert not path.exists()


def test_blocks_are_those_in_which_anything_is() -> None:
    pixels = np.zeros((2, 8, 30), np.uint8)
    pixels[0, 1, 3], pixels[1, 7, 29] = 1, 2
    assert set(blocks_held(pixels, 8, 5, 10)) == {(1, 0, 0), (2, 1, 3)}
