"""Failure modes of inputs: names, auxiliary files, stations, datastrips. docs/failure-modes.md has the list."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from shared.adapters.cadip import CadipStation
from shared.auxiliary.table import load_types
from shared.domain.areas import Area
from shared.domain.auxiliary.decision import WaitRule, WaitRules, decide
from shared.domain.auxiliary.names import BANDS
from shared.domain.auxiliary.policies import Window
from shared.domain.auxiliary.selection import requirements, select
from shared.domain.blocks import Block, lacks
from shared.domain.names import SATELLITES, CompactName, PdiName, SessionFile, SessionId
from shared.ledger.records import Refusal
from shared.workflow.graph import load_workflow
from tests.support.auxiliary import day, named
from tests.support.cadip_server import CadipServer
from tests.support.house import START
from tests.support.played import build
from tests.support.standin import SESSION


def test_failure_mode_13_a_missing_band_is_waited_for_and_then_decided_about() -> None:
    """Longer: tests/unit/shared/domain/auxiliary, tests/faults/test_auxiliary_waits.py; usable within two minutes:
    tests/integration/test_auxip.py.
    """
    wanted = [each for each in requirements(load_types(), "l1") if each.type == "GIP_R2DEFI"]
    there = [named("GIP_R2DEFI", satellite="S2A", band=band) for band in BANDS if band != "8A"]
    files, window = {"GIP_R2DEFI": there}, Window(day(1), day(1.01))
    found = select(wanted, files, "S2A", window)
    assert [str(choice.requirement) for choice in found.missing] == ["GIP_R2DEFI B8A"]
    rules = WaitRules(default=WaitRule(wait_s=600, then="park"))
    early, late = (
        decide(wanted, files, "S2A", window, since=day(1), now=day(1) + timedelta(seconds=after), rules=rules)
        for after in (0, 601)
    )
    assert (early.action, late.action) == ("wait", "park")
    assert "B8A" in late.reason


@pytest.mark.parametrize("satellite", SATELLITES)
def test_failure_mode_20_names_are_read_by_their_grammar(satellite: str) -> None:
    """Longer: tests/unit/shared/domain/test_names.py, by any name that the grammars allow."""
    session = f"{satellite}_20261122100000000123"
    assert SessionId.parse(session).satellite == satellite
    assert SessionFile.parse(f"DCS_05_{session}_ch1_DSDB_00001.raw").session == SessionId.parse(session)
    for number in ("00.01", "02.14", "05.12", "99.99"):
        pdi = f"{satellite}_OPER_MSI_L0__DS_SGS__20261122T100000_S20261122T093000_N{number}"
        assert str(PdiName.parse(pdi)) == pdi
        for level in ("L1C", "L2A"):
            product = (
                f"{satellite}_MSI{level}_20261122T093000_N{number.replace('.', '')}_R022_T32TQM_20261122T100000.SAFE"
            )
            assert str(CompactName.parse(product)) == product


def test_failure_mode_20_a_file_with_a_strange_name_does_not_hold_up_its_session() -> None:
    made = build()
    strange = f"DCS_05_{SESSION}_ch1_DSDB_00002;rm.raw"
    made.station.put(strange, b"x", START)
    assert made.run().produced == 7
    refused = made.memory.list(made.settings.bucket_ledger, f"sessions/{SESSION}/refused/")
    assert [made.services.ledger.read(info.key, Refusal).file for info in refused] == [strange]


def test_failure_mode_25_a_short_datastrip_stands_in_the_account_with_its_reason() -> None:
    """Longer: tests/unit/shared/workflow/test_unfolding.py and test_plan.py."""
    made = build()
    workflow = made.services.workflow
    l1b = workflow.processors["l1b"].model_copy(update={"minimum_scenes": 4})
    vars(made.services)["workflow"] = workflow.model_copy(update={"processors": workflow.processors | {"l1b": l1b}})
    account = made.run()
    ends = {(entry.level, entry.ended, entry.reason) for entry in account.entries if entry.ended != "produced"}
    assert {(level, ended) for level, ended, _ in ends} == {("L1C", "absent"), ("L2A", "absent")}
    assert all("1 scenes, l1b needs at least 4" in reason for _, _, reason in ends)
    assert account.produced + account.absent + account.parked == len(account.entries)


def test_failure_mode_27_true_colour_images_are_outputs_of_the_graph() -> None:
    """As products where the licensed set makes them apart; within the tile where the open set does: longer, with
    pixels: tests/integration/ipf/test_l1c_items.py.
    """
    licensed = load_workflow("esa")
    made = {(str(o.publish), o.artifact) for step in licensed.steps for o in licensed.publishes(step.name)}
    assert {("L1C", "MSI_L1C_TC"), ("L2A", "MSI_L2A_TC")} <= made
    assert {("L1C", "MSI_L1C_TL"), ("L2A", "MSI_L2A_TL")} <= made
    for kind in ("MSI_L1C_TC", "MSI_L2A_TC", "MSI_L1C_TL", "MSI_L2A_TL"):
        name = f"S2C_OPER_{kind}_S2PS_20261122T100000_A022871_T01KAB_N05.12"
        assert PdiName.parse(name).get("T") == "01KAB"


def test_failure_mode_28_a_footprint_across_the_antimeridian_meets_what_lies_on_either_side() -> None:
    """Longer: tests/unit/shared/domain/test_areas.py, tests/unit/shared/geometry, by any boxes."""
    fiji = ((178.5, -18.0), (-179.5, -18.0), (-179.5, -17.0), (178.5, -17.0), (178.5, -18.0))

    def box(west: float, south: float, east: float, north: float) -> Area:
        ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
        return Area(type="Polygon", coordinates=(ring,))

    assert box(179, -19, 180, -16).meets(fiji)
    assert box(-180, -19, -179.8, -16).meets(fiji)
    assert not box(0, -19, 10, -16).meets(fiji)


def chunk(number: int) -> str:
    return f"DCS_05_{SESSION}_ch1_DSDB_{number:05d}.raw"


@pytest.mark.parametrize("order", list(permutations((0, -86_400, 100)))[:4])
def test_failure_mode_29_whatever_a_station_s_dates_say_no_chunk_is_lost(order: tuple[int, ...]) -> None:
    """Longer: tests/unit/shared/adapters/test_cadip.py, quirk by quirk, and tests/integration/test_cadip.py."""
    with CadipServer().serving() as server:
        server.session(SESSION)
        station = CadipStation(server.settings(relist_s=1000))
        seen: set[str] = set()

        def look() -> None:
            for tree, satellite, folder in list(station.sessions()):
                seen.update(file.name for file in station.files(tree, satellite, folder))

        for number, after in enumerate(order, start=1):
            server.file(chunk(number), b"x", after=after, final=number == len(order))
            look()
        assert {chunk(1), chunk(2), chunk(3)} <= seen


def test_failure_mode_29_a_channel_is_whole_by_its_numbers_not_by_their_count() -> None:
    """Longer: tests/unit/shared/domain/test_blocks.py, by any blocks."""
    blocks = [Block(f"n{number}", number, 10, number == 4) for number in (1, 2, 4)]
    assert lacks(blocks) == ("block 3 of 4",)
    twice = [*blocks, Block("n2 again", 2, 10, final=False)]
    assert len(twice) == 4
    assert lacks(twice) != ()
    assert lacks([*blocks, Block("n3", 3, 10, final=False)]) == ()
