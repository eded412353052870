"""Tiles of a datastrip's parts are the datastrip's, each once, on both sides of the comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.memory import MemoryStore
from shared.domain.expected import Planned, TilesOwed, against_plan
from shared.ledger.ledger import Ledger
from shared.ledger.records import AccountEntry, Artifact, Complete, Outcome
from shared.sla.against_plan import AgainstPlan, held_against_plan, strips_of
from shared.sla.planned import PlannedPass, planned_for
from tests.support.house import VirtualClock

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
SESSION = "S2A_20261122100000000123"
GRANULE = "S2A_OPER_MSI_L0__GR_S2PS_20261122T100000_S20261122T093000_D01_N00.01"


def outcome(step: str, unit: str, tiles: tuple[str, ...] = (), *, parts: int = 0) -> Outcome:
    granule = Artifact(
        file_type="PDI_DS_GR_LIST", name=GRANULE, bucket="b", prefix="p/", digest="0" * 64, size=1, files=()
    )
    return Outcome(
        created=T0,
        step=step,
        unit=unit,
        attempt=1,
        status="succeeded",
        started=T0,
        finished=T0,
        outputs=(granule,) if step == "l0c" else (),
        units={"tile": tiles} if tiles else {},
        facts={"parts": f"{parts:02d}"} if parts else {},
    )


PARTS = [
    outcome("l0c", "DT01"),
    outcome("l1b", "DT01-P01", ("32TQM", "32TQL"), parts=2),
    outcome("l1b", "DT01-P02", ("32TQL", "32TQK"), parts=2),
    outcome("l0c", "DT02"),
]


def test_tiles_of_parts_are_those_of_the_datastrip() -> None:
    one, two = strips_of(PARTS)
    assert (one.unit, one.tiles, one.all_tiles) == ("DT01", frozenset({"32TQM", "32TQL", "32TQK"}), True)
    assert (two.unit, two.tiles) == ("DT02", None)


@pytest.mark.parametrize("lost", [1, 2])
def test_of_a_part_that_was_lost_no_tile_is_called_missed(lost: int) -> None:
    (one,) = strips_of([each for number, each in enumerate(PARTS[:3]) if number != lost])
    assert one.tiles is not None
    assert not one.all_tiles
    planned = Planned("123-1", 1, T0 - timedelta(minutes=30), tiles=TilesOwed(("32TQM", "32TQK"), ("32TQL",)))
    assert not [line for line in against_plan([planned], [one]) if "tiles" in line]
    beyond = replace(planned, tiles=TilesOwed((), ("32TQL",)))
    (told,) = [line for line in against_plan([beyond], [one]) if "tiles" in line]
    assert told.endswith("beyond the planned footprint")


@pytest.mark.parametrize(
    ("levels", "told"),
    [(("L1C", "L2A"), "3 at L1C, 3 at L2A"), (("L1C",), "3 at L1C"), ((), "none")],
    ids=["both", "no Level 2A is asked for", "none is"],
)
def test_a_tile_of_two_parts_is_counted_once(levels: tuple[str, ...], told: str) -> None:
    clock = VirtualClock()
    ledger = Ledger(MemoryStore(clock), "ledger", clock)
    planned = PlannedPass(
        created=T0,
        satellite="S2A",
        station="SGS_",
        start=T0,
        stop=T0 + timedelta(minutes=8),
        scenes=(1,),
        datatakes=("123-1",),
        sensed=(T0 - timedelta(minutes=30),),
        tiles=(TilesOwed(("32TQM",), ("32TQK", "32TQL")),),
    )
    complete = Complete(created=T0, session=SESSION, station="SGS_", satellite="S2A", t0=T0, files=())
    entries = [
        AccountEntry(level=level, step="l1c", unit=f"{part}-T{tile}", product="p", ended="produced")
        for level in levels
        for part, tile in (("DT01-P01", "32TQM"), ("DT01-P01", "32TQL"), ("DT01-P02", "32TQL"), ("DT01-P02", "32TQK"))
    ]
    assert held_against_plan(ledger, complete, PARTS[:3], entries) == AgainstPlan()
    ledger.create(planned.key, planned)
    found = held_against_plan(ledger, complete, PARTS[:3], entries)
    assert found.tiles == (f"datatake 123-1: plan 1 to 3 tiles, account {told}",)
    assert not [line for line in found.unlike if "tiles" in line]


@pytest.mark.parametrize("body", [b"{}", b'{"schema": "org.s2ps.planned-pass/2"}'])
def test_a_session_does_not_hang_on_a_plan_that_cannot_be_read(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    ledger = Ledger(MemoryStore(clock), "ledger", clock)
    near, far = (
        PlannedPass(
            created=T0, satellite="S2A", station=station, start=start, stop=T0 + timedelta(minutes=8), scenes=()
        )
        for station, start in (("SGS_", T0), ("MTI_", T0 - timedelta(minutes=5)))
    )
    ledger.store.put_new(ledger.bucket, near.key, body)
    assert planned_for(ledger, SESSION, "S2A") is None
    ledger.create(far.key, far)
    assert planned_for(ledger, SESSION, "S2A") == far
    assert near.key in caplog.text
