"""A datastrip cut into parts gives the tiles of the uncut one: each part whole away from its ends, all together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from lxml import etree
from numpy.typing import NDArray

from functions.ipf.common.processor import run_processor
from functions.ipf.l1b.process import process as l1b
from functions.ipf.safe.working import WorkingFolder
from shared.domain.names import PdiName, parse_stamp
from shared.domain.strategy import Split
from shared.msi.instrument import BANDS
from shared.msi.tiling import tile
from shared.rehearsal.landscape import ProceduralLandscape
from shared.rehearsal.plan import Datatake
from shared.workflow.parts import Granule, parts, scene_numbers
from tests.support.mosaics import resample

from .conftest import TILE, make_level0, write_order

SCENES = 5
SPLIT = Split(scenes=4, overlap=1)
PARTS = parts(SCENES, SPLIT)
END_PIXELS = 4
"""From the end of a part's image: there the kernel's reach, two lines, is cut."""


@dataclass(frozen=True)
class Cut:
    """Working folders of the whole datastrip (0) and of its parts, by number, each with what L1B answered."""

    root: Path
    codes: dict[int, int]

    def working(self, number: int) -> WorkingFolder:
        return WorkingFolder(self.root / f"working_{number}")

    def tiles(self, number: int) -> list[str]:
        document = etree.parse(self.root / f"tiles_{number}.xml")
        return [element.text or "" for element in document.iter("Tile_Id")]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    root = tmp_path_factory.mktemp("cut")
    make_level0(root, Datatake(scenes=SCENES, detectors=(6,)), ProceduralLandscape())
    granules = [Granule(path.name, "06", start_of(path)) for path in (root / "gr").iterdir()]
    numbers = scene_numbers(granules)
    codes = {}
    for part in (None, *PARTS):
        number = 0 if part is None else part.number
        taken = [root / "gr" / name for name, n in numbers.items() if part is None or part.first <= n < part.last]
        scenes = {} if part is None else {"FIRST_SCENE": str(part.first + 1), "LAST_SCENE": str(part.last)}
        order = write_order(
            root / f"l1b_{number}.xml",
            {"PDI_DS": [root / "ds"], "PDI_DS_GR_LIST": sorted(taken)},
            {"L1B_WORKING": root / f"working_{number}", "TILE_LIST_FILE": root / f"tiles_{number}.xml"},
            2,
            **scenes,
        )
        codes[number] = run_processor("S2PS-L1B", "test", l1b, [str(order)])
    return Cut(root, codes)


def start_of(granule: Path) -> datetime:
    return parse_stamp(PdiName.parse(granule.name).get("S") or "", granule.name)


def test_scenes_of_other_parts_are_not_missing(cut: Cut) -> None:
    assert [(part.first, part.last) for part in PARTS] == [(0, 3), (1, 5)]
    assert cut.codes == {0: 0, 1: 0, 2: 0}
    whole = cut.working(0).datastrip()
    for part in PARTS:
        found = cut.working(part.number).datastrip()
        assert (found.degraded_percent, found.degraded_ancillary_percent) == (0, 0)
        assert found.scenes == part.last - part.first
        assert [i.lines * SCENES for i in found.images] == [i.lines * found.scenes for i in whole.images]
        assert (found.sensing_start, found.sensing_stop) == (whole.sensing_start, whole.sensing_stop)
        assert found.gps_points == whole.gps_points


def test_the_parts_see_the_tiles_of_the_whole_together(cut: Cut) -> None:
    own = [set(cut.tiles(part.number)) for part in PARTS]
    assert set.union(*own) == set(cut.tiles(0))
    assert TILE in set.intersection(*own)


def counts_of(working: WorkingFolder, band: str) -> NDArray[np.uint16]:
    """A band of the tile, on its whole grid."""
    found = resample(working, working.datastrip(), band, tile(TILE))
    size = tile(TILE).size(next(each.resolution for each in BANDS if each.name == band))
    counts = np.zeros((size, size), np.uint16)
    counts[found.at.row : found.at.row_stop, found.at.column : found.at.column_stop] = found.counts
    return counts


@pytest.mark.parametrize("band", [band.name for band in BANDS])
def test_each_part_holds_the_pixels_of_the_whole(cut: Cut, band: str) -> None:
    whole = counts_of(cut.working(0), band)
    covered = np.zeros(whole.shape, np.bool_)
    for part in PARTS:
        own = counts_of(cut.working(part.number), band)
        valid = own > 0
        assert not np.any(valid & (whole == 0))
        kernel = np.ones((2 * END_PIXELS + 1,) * 2, np.uint8)
        inner = cv2.erode(valid.astype(np.uint8), kernel, borderValue=1) > 0
        assert np.count_nonzero(inner & valid) > 0.9 * np.count_nonzero(valid)
        away = np.abs(own[inner].astype(np.int32) - whole[inner])
        # Lines are dated to 0.5 ns: a pixel in a thousand may be rounded the other way.
        assert np.count_nonzero(away) < 5e-4 * np.count_nonzero(inner & valid)
        assert away.max() <= 1, (away.max(), np.count_nonzero(away))
        covered |= valid
    assert np.array_equal(covered, whole > 0)
