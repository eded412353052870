"""A session with the names and counts of a real one through the whole set ``esa``, with stand-ins for its processors.

Real store, station, functions and Jobs; the licensed processors' own command lines. Content is small, the number of
products is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.names import PdiName
from shared.ledger.keys import parse_work
from shared.ledger.records import Account, Outcome, Published
from tests.support.esa import CHUNKS, SESSION, START
from tests.support.esa_run import EsaRun, by_level, running

DETECTORS = 12
# Name, type, scenes, tiles, reference images: 152 scenes in all.
TAKES = (
    ("DT33", "NOBS", 16, 5, 24),
    ("DT34", "VIC", 6, 3, 0),
    ("DT35", "NOBS", 6, 3, 2),
    ("DT36", "DASC", 6, 2, 1),
    ("DT37", "TST", 118, 0, 0),
)
WHOLE, WITH_L1B, L1A_ONLY = 152, 28, 6
TILES = 11


def datatakes() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "type": kind,
            "scenes": scenes,
            "tiles": tiles,
            "gri": gri,
            "start": (START + index * timedelta(minutes=10)).isoformat(),
        }
        for index, (name, kind, scenes, tiles, gri) in enumerate(TAKES)
    ]


@dataclass(frozen=True)
class Ended:
    """The run whose session has its account; outcomes by step and unit."""

    run: EsaRun
    account: Account
    outcomes: dict[tuple[str, str], Outcome]

    @classmethod
    def of(cls, run: EsaRun, timeout_s: float) -> Ended:
        """Once it has."""
        account, outcomes, ledger = run.account(timeout_s), {}, run.services.ledger
        for info in ledger.list(f"sessions/{SESSION}/work/"):
            place = parse_work(info.key)
            if place is not None and place[1] == "outcome.json":
                outcomes[place[0].step, place[0].unit] = ledger.read(info.key, Outcome)
        return cls(run, account, outcomes)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    folder = tmp_path_factory.mktemp("esa")
    # What lies on the volumes is looked at first, then goes (see below).
    environment = {"S2PS_SHARED_KEEP_S": "0"}
    with running(
        folder, datatakes=datatakes(), chunks=CHUNKS, light=True, job_orders="first", environment=environment
    ) as run:
        yield Ended.of(run, 540)


def test_every_product_that_the_acquisition_promised_is_produced(ended: Ended) -> None:
    account = ended.account
    assert {entry.ended for entry in account.entries} == {"produced"}
    assert (account.absent, account.parked, account.produced) == (0, 0, len(account.entries))
    assert by_level(account.entries) == {
        ("HKTM", "PRD_HKTM__", "produced"): 1,
        ("SAD", "AUX_SADATA", "produced"): 1,
        ("L0", "MSI_L0__DS", "produced"): len(TAKES),
        ("L0", "MSI_L0__GR", "produced"): WHOLE * DETECTORS,  # 1 824
        ("L1A", "MSI_L1A_DS", "produced"): 1,
        ("L1A", "MSI_L1A_GR", "produced"): L1A_ONLY * DETECTORS,
        ("L1B", "MSI_L1B_DS", "produced"): 3,
        ("L1B", "MSI_L1B_GR", "produced"): WITH_L1B * DETECTORS,
        ("L1C", "MSI_L1C_DS", "produced"): 3,
        ("L1C", "MSI_L1C_TL", "produced"): TILES,
        ("L1C", "MSI_L1C_TC", "produced"): TILES,
        # Of calibration (VIC) no Level 2 is made.
        ("L2A", "MSI_L2A_DS", "produced"): 2,
        ("L2A", "MSI_L2A_TL", "produced"): TILES - 3,
        ("L2A", "MSI_L2A_TC", "produced"): TILES - 3,
    }


def test_each_product_is_on_the_shelf_once_and_says_what_made_it(ended: Ended) -> None:
    ledger = ended.run.services.ledger
    found = [info.key.rpartition("/")[2].removesuffix(".json") for info in ledger.list("products/")]
    assert sorted(found) == sorted(entry.product for entry in ended.account.entries)
    (tile,) = [info.key for info in ledger.list("products/L2A/") if "_L2A_TL_" in info.key][:1]
    record = ledger.read(tile, Published)
    metadata = next(file.path for file in record.files if "MTD" in file.path)
    body, _ = ended.run.services.store.get(record.bucket, record.prefix + metadata)
    assert b"STAND-IN" in body


def test_what_a_datatake_is_for_decides_what_is_made_of_it(ended: Ended) -> None:
    steps: dict[str, set[str]] = {}
    for step, unit in ended.outcomes:
        steps.setdefault(unit.partition("-T")[0], set()).add(step)
    level1 = {"l0c", "l1a", "l1b", "l1b-format", "l1c-ds", "l1c"}
    assert steps["DT33"] == level1 | {"l2a-ds", "l2a"} == steps["DT35"]
    assert steps["DT34"] == level1
    assert steps["DT36"] == {"l0c", "l1a", "l1a-format"}
    assert steps["DT37"] == {"l0c"}
    assert any("DT36" in said and "DASC" in said for said in ended.account.not_owed)


def test_without_reference_images_a_datastrip_is_not_refined(ended: Ended) -> None:
    modes = {}
    for unit in ("DT33", "DT34", "DT35"):
        place = next(a.attributes["place"] for a in ended.outcomes["l1b", unit].outputs if a.file_type == "L1B_PLACE")
        modes[unit] = place.rpartition("/")[2]
    assert modes == {"DT33": "L1B", "DT34": "L1BNoGRI", "DT35": "L1B"}


def test_granules_are_those_of_all_detectors_and_scenes(ended: Ended) -> None:
    granules = [PdiName.parse(e.product) for e in ended.account.entries if e.product[9:19] == "MSI_L0__GR"]
    assert Counter(granule["D"] for granule in granules) == {f"{d:02d}": WHOLE for d in range(1, 13)}
    assert len({granule["S"] for granule in granules}) == WHOLE


def test_every_tile_of_each_list_is_there(ended: Ended) -> None:
    tiles = Counter(unit.partition("-T")[0] for step, unit in ended.outcomes if step == "l1c")
    assert tiles == {"DT33": 5, "DT34": 3, "DT35": 3}
    for unit, count in tiles.items():
        assert len(ended.outcomes["l1b", unit].units["tile"]) == count


def test_the_folders_on_the_shared_volume_go_after_the_account(ended: Ended) -> None:
    shared = ended.run.run.shared
    assert ended.run.when(lambda: not any(shared.glob("*/*")), "the shared folders to go", 240)


# One datastrip of three tiles, disturbed -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """Tile 2 takes long, tile 3 fails, and the first attempt at Level 1A is killed."""
    rules = [
        {"mode": "L1A", "fault": "signal", "code": 9, "times": 1},
        {"mode": "L1CTile", "tile": "002", "fault": "slow", "seconds": 30},
        {"mode": "L1CTile", "tile": "003", "task": "GEN_ORTHO_TOA", "fault": "exit", "code": 255},
        {"mode": "L0", "task": "QL_GEO", "fault": "exit", "code": 5},
    ]
    takes = [{"name": "DT1", "scenes": 4, "tiles": 3, "start": START.isoformat()}]
    folder = tmp_path_factory.mktemp("disturbed")
    with running(folder, datatakes=takes, rules=rules, light=True, job_orders="first") as run:
        yield Ended.of(run, 400)


def tiles(ended: Ended) -> tuple[str, ...]:
    """The units of the three tiles, in the order of their numbers."""
    return tuple(f"DT1-T{name}" for name in ended.outcomes["l1b", "DT1"].units["tile"])


def test_a_tile_goes_on_to_level_2_while_another_is_at_level_1(disturbed: Ended) -> None:
    first, second, _ = tiles(disturbed)
    assert disturbed.outcomes["l2a", first].finished < disturbed.outcomes["l1c", second].finished
    assert disturbed.outcomes["l2a", second].status == "succeeded"


def test_a_tile_that_failed_is_parked_and_keeps_no_other(disturbed: Ended) -> None:
    *_, third = tiles(disturbed)
    account = disturbed.account
    lost = [entry for entry in account.entries if entry.ended != "produced"]
    assert {(entry.step, entry.unit, entry.ended) for entry in lost} == {
        ("l1c", third, "parked"),
        ("l2a", third, "parked"),
    }
    assert all("GEN_ORTHO_TOA" in entry.reason for entry in lost)
    assert account.produced + account.absent + account.parked == len(account.entries)


def test_a_killed_attempt_is_followed_by_one_in_a_folder_of_its_own(disturbed: Ended) -> None:
    outcome = disturbed.outcomes["l1a", "DT1"]
    assert (outcome.status, outcome.attempt) == ("succeeded", 2)
    (place,) = [a.attributes["place"] for a in outcome.outputs if a.file_type == "L1A_PLACE"]
    assert place.split("/")[0].split("-")[2] == "2"
    (base,) = disturbed.run.run.shared.glob(f"*/DT1/{place.split('/')[0]}")
    assert (base / "output" / "L1A" / "ContextFile_T000.json").is_file()


def test_what_the_chain_calls_a_success_is_a_warning_on_the_product(disturbed: Ended) -> None:
    warned = [entry for entry in disturbed.account.entries if entry.step == "l0c"]
    assert warned
    assert all("QL_GEO" in entry.warning and "exit code 5" in entry.warning for entry in warned)
