"""Resampling: lost lines, overlaps, previews, and the simple mask."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from functions.ipf.safe.jp2 import Extent
from functions.ipf.safe.preview import display, preview
from functions.ipf.safe.quality import Quality, saturation
from functions.ipf.safe.working import BandImage, WorkingFolder, to_counts
from shared.msi.tiling import tile
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake
from tests.support.mosaics import resample

TILE, START_NS = tile("32TMQ"), 1_466_000_000_000_000_000


_DEGRADED = np.uint8(1 << 3)
NONE_LOST = np.zeros(24, np.bool_)
NO_SATURATION = saturation(np.zeros((0, 432), np.bool_))
flown = cache(partial(fly, satellite="S2A"))


def strip(root: Path, detectors: tuple[int, ...], lost: slice = slice(0, 0), **changed: Any) -> tuple[Any, Any]:
    """Images whose counts are their detector's number times 1000, but for lost lines; some samples saturated."""
    folder, made = WorkingFolder(root), []
    flight = flown(Datatake(scenes=1, detectors=detectors))
    folder.write_model(flight.model.strip, flight.instrument)
    for detector in detectors:
        image = BandImage(
            detector=detector,
            band="B01",
            lines=384,
            columns=432,
            first_line_ns=START_NS,
            packets_expected=24,
            packets_received=24,
        )
        counts = np.full((384, 432), detector * 1000, np.uint16)
        counts[lost] = 0
        gone = (counts[:, 0] == 0).reshape(24, 16).all(axis=1)
        full = np.zeros(counts.shape, np.bool_)
        full[tuple(np.array(changed.get("saturated", []), np.int32).reshape(-1, 2).T)] = True
        damaged = gone if changed.get("damaged") else gone & False
        folder.write_image(image, counts)
        folder.write_quality(image, Quality(gone & ~damaged, damaged, *saturation(full)))
        made.append(image)
    points = [SimpleNamespace(gps_ns=START_NS + at * 10**9) for at in changed.get("gps", range(-9, 9))]
    return folder, SimpleNamespace(images=made, gps_points=points, attitudes=points)


def test_each_detector_fills_its_own_side(tmp_path: Path) -> None:
    found = resample(*strip(tmp_path, (6, 7)), "B01", TILE)
    assert set(np.unique(found.detectors)) == {0, 6, 7}
    assert np.array_equal(found.counts, found.detectors.astype(np.uint16) * 1000)
    assert not found.flags.any()
    # Two detectors, 24.1 km apart and 25.7 km wide, over a scene of 24.1 km.
    area = np.count_nonzero(found.counts) * 0.06**2
    assert area == pytest.approx((24.1 + 25.7) * 24.1, rel=0.02)


@pytest.mark.parametrize(("damaged", "flag"), [(False, 1 << 2), (True, 1 << 3)])
def test_lost_lines_are_no_data_and_flagged_and_do_not_ring(tmp_path: Path, damaged: bool, flag: int) -> None:
    found = resample(*strip(tmp_path, (6,), slice(160, 176), damaged=damaged), "B01", TILE)
    assert set(np.unique(found.counts)) == {0, 6000}
    whole = resample(*strip(tmp_path, (6,)), "B01", TILE)
    assert np.array_equal(found.detectors, whole.detectors)
    lost = (whole.counts > 0) & (found.counts == 0)
    assert np.array_equal(found.flags & ~_DEGRADED, (lost * np.uint8(flag | 1 << 5)) & ~_DEGRADED)
    assert (found.flags[lost] == flag | 1 << 5).all()
    assert abs(np.count_nonzero(lost) * 0.06**2 - 16 * 0.06 * 25.5) < 2


def test_pixels_whose_kernel_reached_into_lost_lines_are_degraded(tmp_path: Path) -> None:
    folder, one = strip(tmp_path, (6,), slice(160, 176))
    counts = np.random.default_rng(1).integers(1000, 9000, (384, 432)).astype(np.uint16)
    found = []
    for gone in (slice(160, 176), slice(0, 0)):
        counts_of = counts.copy()
        counts_of[gone] = 0
        folder.write_image(one.images[0], counts_of)
        if gone.start == 0:
            folder.write_quality(one.images[0], Quality(NONE_LOST, NONE_LOST, *NO_SATURATION))
        found.append(resample(folder, one, "B01", TILE))
    with_loss, whole = found
    beside = with_loss.flags == _DEGRADED
    assert not whole.flags.any()
    assert (with_loss.counts[beside] > 0).all()
    assert np.array_equal((with_loss.counts != whole.counts) & (with_loss.counts > 0) & ~beside, np.zeros_like(beside))
    # The kernel spans four lines: some pixels that are up to 1.5 lines beside those that have no data.
    assert np.count_nonzero(beside) * 0.06**2 == pytest.approx(3 * 0.06 * 25.5, rel=0.1)


def test_where_one_detector_lost_its_lines_its_neighbour_fills_in(tmp_path: Path) -> None:
    folder, both = strip(tmp_path, (6, 7))
    whole = resample(folder, both, "B01", TILE)
    quality = folder.quality(both.images[0])
    folder.write_image(both.images[0], np.zeros((384, 432), np.uint16))
    folder.write_quality(both.images[0], Quality(~quality.lost, quality.degraded, *NO_SATURATION))
    found = resample(folder, both, "B01", TILE)
    overlap = (whole.detectors == 6) & (found.detectors == 7)
    assert overlap.any()
    assert (found.counts[overlap] == 7000).all()
    assert not found.flags[overlap].any()
    assert (found.counts[found.detectors == 6] == 0).all()


def test_saturated_samples_are_flagged_where_they_are_the_nearest(tmp_path: Path) -> None:
    places = [(line, column) for line in range(100, 140) for column in range(200, 260)]
    found = resample(*strip(tmp_path, (6,), saturated=places), "B01", TILE)
    flagged = found.flags == 1 << 7
    assert np.array_equal(flagged, found.flags > 0)
    assert np.count_nonzero(flagged) == pytest.approx(len(places), rel=0.1)
    assert (found.counts[flagged] == 6000).all()


def test_lines_in_a_gap_of_the_ancillary_data_are_flagged(tmp_path: Path) -> None:
    """A scene takes 3.6 s: the fixes of the seconds 1 and 2 are missing, so what lies from 0 to 3 s has none around."""
    found = resample(*strip(tmp_path, (6,), gps=[-3, -2, -1, 0, 3, 4, 5]), "B01", TILE)
    seen = found.detectors > 0
    assert set(np.unique(found.flags[seen])) == {0, 1}
    assert (found.flags[seen] == 1).mean() == pytest.approx(3 / 3.608, abs=0.01)


def test_another_tile_gets_nothing(tmp_path: Path) -> None:
    assert resample(*strip(tmp_path, (6,)), "B01", tile("31TCJ")).at.empty


def test_display_is_linear_and_keeps_no_data() -> None:
    counts = np.array([0, 1, 1000, 1000 + 1779, 1000 + 3558, 60_000], np.uint16)
    assert display(counts).tolist() == [0, 1, 1, 128, 255, 255]


def test_preview_is_the_mean_at_its_place() -> None:
    at = Extent(64, 32, 96, 96)
    colours = np.zeros((3, 32, 64), np.uint8)
    colours[:, :, 32:] = 200
    small, place = preview(colours, at, 343)
    assert place == Extent(2, 1, 3, 3)
    assert small[:, 0].tolist() == [[0, 200]] * 3


def test_counts_keep_zero_for_no_data() -> None:
    assert to_counts(np.array([-0.2, 0.0, 0.12345, 9.0])).tolist() == [1, 1000, 2234, 65_534]
