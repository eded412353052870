"""Steps that find each other's files on a shared volume: real processes in the local runtime, a store in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.ipf.runner import stage_in as staging
from functions.ipf.runner.cli import perform
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.errors import StoreUnavailableError
from shared.ledger.attempts import conclude
from shared.ledger.keys import WorkKey
from shared.ledger.records import ArtifactRef, AttemptEnded, Order, Outcome
from shared.settings import Settings
from shared.workflow.shared_folders import PLACE
from tests.support.house import START, VirtualClock

SESSION, STRIP = "S2A_20261122100000000123", "DS1"
SHARED = {"claim": "l1", "path": "/shared"}
# Writes down under which path it worked, as the chain's context files do.
L1A = """
mkdir -p output/L1A/GRI aux input && echo "$PWD" >output/L1A/context && echo a >aux/a
echo '<GRI_List><GRI_GR/></GRI_List>' >output/L1A/GRI/list.xml
"""
L1B = """
[ -e output/L1A/context ] && [ -e aux/a ] && [ -d input ] || exit 128
mkdir -p "output/$1" && cat "$(cat output/L1A/context)/output/L1A/context" >"output/$1/seen"
echo '<a><Tile_Id>32TQM</Tile_Id></a>' >"output/$1/tile_list_file.xml"
"""


def step(script: str, **fields: Any) -> dict[str, Any]:
    command = ["sh", "-c", f'cd "$0" || exit 129; {script}', "{base}"]
    return {
        "name": "P",
        "version": "1",
        "command": [*command, "{MODE}"] if "$1" in script else command,
        "job_order": "none",
        "inputs": [],
        "outputs": [],
        **fields,
    }


def processors(**scripts: str) -> dict[str, Any]:
    place = {"source": "l1a", "to": "."}
    return {
        "set_name": "t",
        "site": "S2PS",
        "baseline": "00.01",
        "processors": {
            "l0u": step("true"),
            "l0c": step("true"),
            "l1a": step(
                scripts.get("l1a", L1A),
                shared=SHARED,
                outputs=[{"file_type": "L1A_PLACE", "path": "output/L1A", "harvest": {"rule": "place"}}],
                facts=[{"name": "gri", "path": "output/L1A/GRI/list.xml", "count": "GRI_GR", "otherwise": "0"}],
            ),
            "l1b": step(
                scripts.get("l1b", L1B),
                shared=SHARED,
                inputs=[{"file_type": "L1A_PLACE", "source": "l1a"}],
                links=[
                    {"what": "aux", **place},
                    {"what": "input", **place},
                    {"what": "output/*", "source": "l1a", "to": "output"},
                ],
                outputs=[
                    {"file_type": "L1B_PLACE", "path": "output/{MODE}", "harvest": {"rule": "place"}},
                    {
                        "file_type": "TILES",
                        "path": "output/{MODE}",
                        "file_name": "tile_list_file.xml",
                        "harvest": {"rule": "tile-list", "unit": "tile"},
                    },
                ],
            ),
            "l1c-ds": step(
                "[ -e output/L1A/context ] && mkdir -p working/INV/S2A_DS && echo product >working/INV/S2A_DS/a",
                shared=SHARED,
                inputs=[{"file_type": "L1B_PLACE", "source": "l1b"}],
                links=[{"what": "output/*", "source": "l1b", "to": "output"}],
                outputs=[{"file_type": "DS", "path": "working/INV", "harvest": {"rule": "folders"}}],
            ),
            "l1c": step("true"),
        },
    }


@dataclass
class World:
    """A store in memory, a folder for the shared volume, and orders in the ledger."""

    services: Services
    folder: Path

    @property
    def strip(self) -> Path:
        return self.folder / "shared" / SESSION / STRIP

    def order(self, name: str, *inputs: ArtifactRef, facts: dict[str, str] | None = None, mark: str = "a") -> WorkKey:
        place = WorkKey(SESSION, name, STRIP, mark * 64)
        order = Order(
            created=START,
            session=SESSION,
            step=name,
            unit=STRIP,
            digest=place.digest,
            processor="P",
            version="1",
            inputs=inputs,
            parameters={"MODE": "L1BNoGRI"},
            facts=facts or {},
            t0=START,
            deadline=START,
        )
        self.services.ledger.create(place.order, order)
        return place

    def run(self, place: WorkKey, attempt: int = 1) -> Outcome | None:
        assert perform("run", place.prefix, attempt, None, self.services) == 0
        return self.services.ledger.find(place.outcome, Outcome)

    def ended(self, place: WorkKey, attempt: int = 1) -> AttemptEnded | None:
        return self.services.ledger.find(place.ended(attempt), AttemptEnded)

    def bases(self) -> list[str]:
        return sorted(path.name for path in self.strip.iterdir()) if self.strip.is_dir() else []


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def build(**scripts: str) -> World:
        path = tmp_path / "set.yaml"
        path.write_text(yaml.safe_dump(processors(**scripts)))
        clock = VirtualClock()
        settings = Settings(
            processor_set=str(path), shared_dir=tmp_path / "shared", scratch_dir=tmp_path / "scratch", retry_delay_s=0
        )
        services = Services(settings, clock)
        vars(services)["store"] = MemoryStore(clock)
        return World(services, tmp_path)

    return build


def named(place: WorkKey, outcome: Outcome) -> ArtifactRef:
    (artifact,) = (each for each in outcome.outputs if PLACE in each.attributes)
    return ArtifactRef(file_type=artifact.file_type, outcome=place.outcome, name=artifact.name, digest=artifact.digest)


def test_what_a_step_leaves_is_found_by_the_next_one_under_the_same_path(make: Make) -> None:
    world = make()
    l1a = world.order("l1a", facts={"datatake_type": "NOBS"})
    first = world.run(l1a)
    assert first is not None, world.ended(l1a)
    assert (first.status, first.facts) == ("succeeded", {"datatake_type": "NOBS", "gri": "1"})
    (artifact,) = first.outputs
    assert (artifact.files, artifact.size) == ((), 0), "nothing of it goes to the store"
    (base,) = world.bases()
    assert base.startswith("l1a-aaaaaaaa-1-")
    assert artifact.attributes[PLACE] == f"{base}/output/L1A"
    second = world.run(world.order("l1b", named(l1a, first)))
    assert second is not None
    assert (second.status, second.units) == ("succeeded", {"tile": ("32TQM",)}), second.reason
    (other,) = (name for name in world.bases() if name.startswith("l1b-"))
    assert (world.strip / other / "output/L1BNoGRI/seen").read_text() == f"{world.strip / base}\n"
    assert (world.strip / other / "output/L1A").readlink() == world.strip / base / "output/L1A"
    assert (world.strip / other / "aux").readlink() == world.strip / base / "aux"


def test_links_lead_to_the_attempt_that_counts(make: Make) -> None:
    world = make()
    l1a = world.order("l1a")
    scratch = world.services.settings.scratch_dir
    stray = world.strip / "l1a-aaaaaaaa-1-00000000/output/L1A"
    stray.mkdir(parents=True)
    (stray / "context").write_text("of a pod on a node that was lost")
    won = world.run(l1a, attempt=2)
    assert won is not None
    assert won.attempt == 2
    second = world.run(world.order("l1b", named(l1a, won)))
    assert second is not None
    assert second.status == "succeeded", second.reason
    (other,) = (name for name in world.bases() if name.startswith("l1b-"))
    assert (world.strip / other / "output/L1A").readlink().parts[-3].startswith("l1a-aaaaaaaa-2-")
    assert list(scratch.iterdir()) == []


def test_what_an_attempt_left_that_counts_for_nothing_goes(make: Make) -> None:
    world = make(l1a="mkdir -p output/L1A; kill -KILL $$")
    l1a = world.order("l1a")
    assert world.run(l1a) is None
    ended = world.ended(l1a)
    assert ended is not None
    assert ended.status == "infrastructure"
    assert world.bases() == []


def test_what_a_step_worked_with_goes_once_its_products_are_in_the_store(make: Make) -> None:
    world = make()
    l1a = world.order("l1a")
    first = world.run(l1a)
    assert first is not None
    l1b = world.order("l1b", named(l1a, first))
    second = world.run(l1b)
    assert second is not None
    kept = world.bases()
    last = world.run(world.order("l1c-ds", named(l1b, second)))
    assert last is not None
    assert (last.status, [artifact.size for artifact in last.outputs]) == ("succeeded", [8]), last.reason
    assert world.bases() == kept, "what later steps look for stays"
    assert [path.name for base in kept for path in (world.strip / base).glob("output/*/seen")] == ["seen"]
    assert [path for base in kept for path in (world.strip / base).glob("output/L1A/context")], "and what links led to"


def test_what_failed_for_good_is_kept_for_whoever_looks(make: Make) -> None:
    world = make(l1a="mkdir -p output/L1A; echo why >output/L1A/log; exit 200")
    outcome = world.run(world.order("l1a"))
    assert outcome is not None
    assert (outcome.status, outcome.outputs, outcome.facts) == ("failed", (), {})
    assert len(world.bases()) == 1


def test_what_has_gone_ends_the_work_with_what_to_do(make: Make) -> None:
    world = make()
    l1a = world.order("l1a")
    first = world.run(l1a)
    assert first is not None
    shutil.rmtree(world.strip)
    l1b = world.order("l1b", named(l1a, first))
    assert world.run(l1b) is None
    ended = world.ended(l1b)
    assert ended is not None
    assert (ended.status, ended.retry_at) == ("failed", None)
    assert "Gone: expected L1A of step l1a on the shared volume l1" in ended.reason
    assert "s2ps retry" in ended.reason
    assert world.bases() == [], "what was begun for it goes too"


def test_a_placeholder_that_stands_for_nothing_is_a_mistake_of_the_set(make: Make) -> None:
    world = make(l1a="echo {TILE_NUMBER}")
    l1a = world.order("l1a")
    assert world.run(l1a) is None
    ended = world.ended(l1a)
    assert ended is not None
    assert ended.status == "failed"
    assert "ConfigurationError: processor P 1, command: expected one of" in ended.reason
    assert "{TILE_NUMBER}" in ended.reason


def test_a_store_that_is_down_for_a_moment_leaves_no_folder_behind(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make()
    errors = iter([StoreUnavailableError("down")])
    monkeypatch.setattr("functions.ipf.runner.patience._PAUSES_S", (0.0,))
    original = staging._fill_base

    def fails_once(*arguments: Any) -> Any:
        error = next(errors, None)
        if error is not None:
            raise error
        return original(*arguments)

    monkeypatch.setattr("functions.ipf.runner.stage_in._fill_base", fails_once)
    outcome = world.run(world.order("l1a"))
    assert outcome is not None
    assert outcome.status == "succeeded"
    assert len(world.bases()) == 1


def test_an_outcome_that_was_written_and_not_heard_of_keeps_what_it_names(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    errors = iter([StoreUnavailableError("the answer was lost")])

    def unheard(*arguments: Any) -> bool:
        won = conclude(*arguments)
        for error in errors:
            raise error
        return won

    monkeypatch.setattr("functions.ipf.runner.patience._PAUSES_S", (0.0,))
    monkeypatch.setattr("functions.ipf.runner.stage_out.conclude", unheard)
    l1a = world.order("l1a")
    outcome = world.run(l1a)
    assert outcome is not None
    (artifact,) = outcome.outputs
    assert (world.strip / artifact.attributes[PLACE] / "context").exists()
