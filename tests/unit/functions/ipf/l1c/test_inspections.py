"""Checks of a datastrip's metadata: each finds what it is for, and nothing passes unread."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from functions.ipf.l1c.strip_inspections import datastrip_checks

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "PROCESSING_BASELINE": "00.01",
    "START": "2026-06-21T10:20:00.000Z",
    "STOP": "2026-06-21T10:20:03.608Z",
    "SENSING_ORBIT_NUMBER": "65",
    "DOWNLINK_ORBIT_NUMBER": "57405",
    "NUMBER_OF_LOST_PACKETS": "0",
    "NUMBER_OF_TOO_DEGRADED_PACKETS": "0",
    "GPS_SYNC": "true",
    "EQUALIZATION_MODE": "true",
    "QUANTIFICATION_VALUE": "10000",
    "U": "0.968",
}


def document(path: Path, **changed: str) -> Path:
    text = GOOD | changed
    sensing = "".join(
        f"<DATASTRIP_SENSING_{end}>{text.pop(end)}</DATASTRIP_SENSING_{end}>" for end in ("START", "STOP")
    )
    baseline, u = text.pop("PROCESSING_BASELINE"), text.pop("U")
    rest = "".join(f"<{tag}>{value}</{tag}>" for tag, value in text.items() if tag != "GPS_SYNC")
    path.write_text(
        f"<root><General_Info><Datastrip_Time_Info>{sensing}</Datastrip_Time_Info><Processing_Info>"
        f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE></Processing_Info></General_Info>"
        f"<Time_Stamp><GPS_SYNC>{text['GPS_SYNC']}</GPS_SYNC></Time_Stamp><Reflectance_Conversion><U>{u}</U>"
        "</Reflectance_Conversion><Geometric_Info><Image_Refining flag='NOT_REFINED'/></Geometric_Info>"
        f"{rest}</root>"
    )
    return path


def failing(path: Path, lost: float = 0.0, saturated: int = 0) -> set[str]:
    strip: Any = SimpleNamespace(degraded_ancillary_percent=lost)
    results: Any = {"B02": SimpleNamespace(flagged=(0,) * 7 + (saturated,), seen=100)}
    found = datastrip_checks(path, strip, results)
    return {check.identity for checks in found.values() for check in checks if not check.passed}


def test_a_sound_datastrip_passes(tmp_path: Path) -> None:
    assert failing(document(tmp_path / "a.xml"), saturated=5) == set()


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"START": "2026-06-21T10:21:00.000Z"}, "Start_Stop_Time"),
        ({"NUMBER_OF_LOST_PACKETS": "3"}, "Lost_Packets"),
        ({"NUMBER_OF_TOO_DEGRADED_PACKETS": "1"}, "Degraded_Packets"),
        ({"SENSING_ORBIT_NUMBER": "144"}, "Relative_Orbit_Number_SENSING"),
        ({"DOWNLINK_ORBIT_NUMBER": "many"}, "Orbit_Number_DOWNLINK"),
        ({"GPS_SYNC": "false"}, "Datation_Model_GPS_SYNC"),
        ({"EQUALIZATION_MODE": "false"}, "EqualizationFlag"),
        ({"QUANTIFICATION_VALUE": "1000"}, "QuantificationValue"),
        ({"U": "1.5"}, "SolarRadiance"),
        ({"PROCESSING_BASELINE": ""}, "Processor_Version"),
    ],
)
def test_each_fault_is_found_by_its_check(tmp_path: Path, changed: dict[str, str], found: str) -> None:
    assert failing(document(tmp_path / "a.xml", **changed)) == {found}


def test_losses_and_saturation_are_found(tmp_path: Path) -> None:
    assert failing(document(tmp_path / "a.xml"), lost=1.0, saturated=6) == {"Degraded_SAD", "Saturation"}


@pytest.mark.parametrize("text", ["", "<a>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_metadata_that_cannot_be_read_fail(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    assert failing(tmp_path / "a.xml") == {"checkMetadata"}
    assert failing(tmp_path / "absent.xml") == {"checkMetadata"}
