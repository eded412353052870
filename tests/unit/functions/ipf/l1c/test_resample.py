"""Resampling: lost lines, overlaps, previews, and the simple mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from functions.ipf.l1b.geolocation import geolocate
from functions.ipf.l1c.classes import classify
from functions.ipf.l1c.resample import resample
from functions.ipf.safe.jp2 import Extent
from functions.ipf.safe.preview import display, preview
from functions.ipf.safe.working import BandImage, WorkingFolder, to_counts
from shared.msi.instrument import band_named
from shared.msi.tiling import tile
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake

BAND, TILE = band_named("B01"), tile("32TMQ")


def images(root: Path, detectors: tuple[int, ...], lost: slice = slice(0, 0)) -> tuple[WorkingFolder, list[BandImage]]:
    """Images whose counts are their detector's number times 1000, but for lost lines."""
    model = fly(Datatake(scenes=1, detectors=detectors, position=(8.15, 44.62)), "S2A").model
    folder, made = WorkingFolder(root), []
    for detector in detectors:
        image = BandImage(
            detector=detector, band="B01", lines=384, columns=432, packets_expected=24, packets_received=24
        )
        counts = np.full((384, 432), detector * 1000, np.uint16)
        counts[lost] = 0
        folder.write_image(image, counts)
        folder.write_geolocation(image, geolocate(model, detector, BAND, 1))
        made.append(image)
    return folder, made


def test_each_detector_fills_its_own_side(tmp_path: Path) -> None:
    folder, made = images(tmp_path, (6, 7))
    found = resample(folder, made, TILE, 60)
    assert set(np.unique(found.detectors)) == {0, 6, 7}
    assert np.array_equal(found.counts, found.detectors.astype(np.uint16) * 1000)
    # Two detectors, 24.1 km apart and 25.7 km wide, over a scene of 24.1 km.
    area = np.count_nonzero(found.counts) * 0.06**2
    assert area == pytest.approx((24.1 + 25.7) * 24.1, rel=0.02)


def test_lost_lines_are_no_data_and_do_not_ring(tmp_path: Path) -> None:
    folder, made = images(tmp_path, (6,), slice(160, 176))
    found = resample(folder, made, TILE, 60)
    assert set(np.unique(found.counts)) == {0, 6000}
    whole = resample(*images(tmp_path, (6,)), TILE, 60)
    lost = np.count_nonzero(whole.counts) - np.count_nonzero(found.counts)
    assert abs(lost * 0.06**2 - 16 * 0.06 * 25.5) < 2


def test_another_tile_gets_nothing(tmp_path: Path) -> None:
    folder, made = images(tmp_path, (6,))
    assert resample(folder, made, tile("31TCJ"), 60).at.empty


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


def test_mask_tells_cloud_cirrus_and_snow() -> None:
    def counts(*rho: float) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
        return to_counts(np.array([rho]))

    opaque, cirrus, snow = classify(
        counts(0.6, 0.1, 0.7, 0.1),
        counts(0.6, 0.1, 0.7, 0.1),
        counts(0.002, 0.02, 0.002, 0.002),
        counts(0.5, 0.2, 0.05, 0.2),
    )
    assert (opaque.tolist(), cirrus.tolist(), snow.tolist()) == ([[1, 0, 0, 0]], [[0, 1, 0, 0]], [[0, 0, 1, 0]])
