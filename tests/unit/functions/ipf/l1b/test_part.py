"""Which scenes a job order asks for, and that a part of a datastrip is seen where the whole one is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from functions.ipf.l1b import part
from functions.ipf.l1b.part import narrowed, scenes_of
from shared.errors import BadInputError
from shared.geometry.model import SensorModel
from shared.joborder import JobOrder
from shared.msi.instrument import BANDS
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import Datatake


def order(**parameters: str) -> JobOrder:
    return JobOrder("IPF", "0.1", "S2PS", "S2PS", parameters, ())


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (set(), range(4, 8)),  # nothing came: it is missing
        ({4, 5, 6, 7}, range(4, 8)),
        ({5, 6}, range(4, 8)),  # no sound packet of the others: they are missing
        ({5, 6, 7, 8}, range(5, 9)),  # scene 2 has no granules, so the order counts one less
        ({4, 6, 7, 8}, range(4, 9)),  # scene 5 has none
    ],
)
def test_scenes_are_those_of_the_order_or_of_the_packets(
    monkeypatch: pytest.MonkeyPatch, came: set[int], expected: range
) -> None:
    monkeypatch.setattr(part, "scenes_in", lambda _: came)
    granules: dict[int, list[Path]] = {}
    assert scenes_of(order(FIRST_SCENE="4", LAST_SCENE="7"), 9, granules) == expected
    assert scenes_of(order(), 9, granules) == range(1, 10)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"FIRST_SCENE": "4"}, "LAST_SCENE"),
        ({"LAST_SCENE": "4"}, "FIRST_SCENE"),
        ({"FIRST_SCENE": "0", "LAST_SCENE": "4"}, "FIRST_SCENE"),
        ({"FIRST_SCENE": "1", "LAST_SCENE": "10"}, "LAST_SCENE"),
        ({"FIRST_SCENE": "1", "LAST_SCENE": "²"}, "LAST_SCENE"),
        ({"FIRST_SCENE": "5", "LAST_SCENE": "4"}, "LAST_SCENE"),
    ],
)
def test_scenes_that_the_datastrip_does_not_have_are_refused(parameters: dict[str, str], named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        scenes_of(order(**parameters), 9, {})


def test_a_part_is_seen_where_the_whole_datastrip_is() -> None:
    """Within a millimetre and 1 ns, in each band: lines of the part are those of the whole, less the scenes before."""
    flight = fly(Datatake(scenes=5, detectors=(6, 7)), "S2A")
    cut = narrowed(flight.model.strip, range(2, 5))
    model = SensorModel(cut, flight.instrument.viewing, flight.instrument.spacecraft, bridged=True)
    assert model.platform.reference_ns == flight.model.platform.reference_ns
    for band in BANDS:
        for detector in (6, 7):
            sensor = model.sensor(band.name, detector)
            assert sensor.lines == 3 * band.lines_per_scene
            lines, columns = np.meshgrid(np.linspace(0.0, sensor.lines, 7), np.linspace(0.0, sensor.columns, 5))
            own = model.direct(band.name, detector, lines, columns)
            whole = flight.model.direct(band.name, detector, lines + band.lines_per_scene, columns)
            assert np.abs(own.lon - whole.lon).max() < 1e-8
            assert np.abs(own.lat - whole.lat).max() < 1e-8
            assert sensor.seconds(0.0) == pytest.approx(
                flight.model.sensor(band.name, detector).seconds(band.lines_per_scene), abs=1e-9
            )
