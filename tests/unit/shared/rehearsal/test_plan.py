"""What a session is to hold, as the command line says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shared.msi.earth import gps_ns_from_utc, sun_angles
from shared.rehearsal.__main__ import main
from shared.rehearsal.plan import morning_over


@given(st.floats(-180, 180), st.floats(-75, 75))
def test_there_is_light_on_a_summers_morning_wherever_it_is(lon: float, lat: float) -> None:
    zenith, _ = sun_angles(np.array(lon), np.array(lat), gps_ns_from_utc(morning_over((lon, lat))))
    assert zenith < 60


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--link", "rs200-i8", "link profile"),
        ("--position", "20,83", "latitude within 81.4 degrees"),
        ("--start", "2026-06-21T10:20:00", "a time with its zone"),
        ("--detectors", "7,6", "ascending detectors"),
        ("--fault", "corrupt:channel=3,frame=1", "channel"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_one_line(tmp_path: Path, option: str, value: str, said: str) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "out"), option, value])
    assert result.exit_code == 1
    assert said in result.output
    assert not list(tmp_path.rglob("*.raw"))
