from __future__ import annotations

import numpy as np
import pytest

from shared.msi.instrument import BANDS, DETECTORS, SCENE_NS, Band, band_named, line_of_sight


def test_bands_stand_in_the_order_of_their_identifiers() -> None:
    names = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
    assert [band.name for band in BANDS] == names
    assert [band.index for band in BANDS] == list(range(13))
    assert [band_named(name).name for name in names] == names


def test_a_scene_of_all_detectors_is_12960_packets() -> None:
    assert len(DETECTORS) * sum(band.packets_per_scene for band in BANDS) == 12_960


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_sizes_follow_from_the_resolution(band: Band) -> None:
    expected = {10: (2592, 2304, 144), 20: (1296, 1152, 72), 60: (432, 384, 24)}[band.resolution]
    assert (band.width, band.lines_per_scene, band.packets_per_scene) == expected
    assert band.lines_per_scene * band.line_period_ns == pytest.approx(SCENE_NS)
    assert band.limits_nm[0] < band.wavelength_nm < band.limits_nm[1]


@pytest.mark.parametrize("band", BANDS, ids=lambda band: band.name)
def test_detectors_look_ahead_and_back_in_turn_and_start_early_or_late_by_it(band: Band) -> None:
    for detector in DETECTORS:
        _, along = line_of_sight(detector, band, np.array([0.5]))
        ahead = detector % 2 == 0
        assert (along[0] > 0) == ahead
        assert (band.dating_lines(detector) > 0) == ahead
