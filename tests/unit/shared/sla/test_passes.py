from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from eventing.manifests import EventType, load_manifests
from functions.cli.main import main
from functions.cli.options import Where
from functions.cli.places import Place
from functions.sweep.step import Sweep
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event
from shared.domain.expected import TilesOwed
from shared.domain.mission_plan import passes, read_mission_plan
from shared.errors import BadInputError, RetryableError
from shared.ledger import keys
from shared.ledger.records import OpenMarker
from shared.settings import Settings
from shared.sla.passes import load_plan, standing
from shared.sla.planned import MISSING
from tests.support.house import START, VirtualClock
from tests.support.manifests import BASE

HEAD = (
    "SatelliteID,AcquisitionID,AbsoluteOrbit,RelativeOrbit,Timeliness,Scenes,AcquisitionStart,AcquisitionStop,"
    "EffectiveDownlinkStart,EffectiveDownlinkStop,Station"
)


def line(satellite: str, minutes: int, scenes: int = 30) -> str:
    """A segment that comes down so many minutes after the start of the tests, for ten minutes."""
    down = START + timedelta(minutes=minutes)
    up = down + timedelta(minutes=10)
    return (
        f"{satellite},57405-1,57405,65,NRT,{scenes},{START:%Y-%m-%dT%H:%M:%S},{START:%Y-%m-%dT%H:%M:%S},"
        f"{down:%Y-%m-%dT%H:%M:%S},{up:%Y-%m-%dT%H:%M:%S},SGS_"
    )


def csv(*lines: str) -> bytes:
    return "\n".join((HEAD, *lines)).encode()


class Sink:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False

    def send(self, event: Event) -> None:
        if self.down:
            raise RetryableError("broker: down")
        if event.type == MISSING:
            self.events.append(event)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def services(sink: Sink) -> Services:
    clock = VirtualClock()
    made = Services(Settings(pass_wait_s=3600), clock)
    vars(made).update(store=MemoryStore(clock), sink=sink)
    return made


def later(services: Services, minutes: float) -> None:
    assert isinstance(services.clock, VirtualClock)
    services.clock.advance(minutes * 60)


def load(services: Services, *lines: str) -> tuple[int, int, int]:
    found = load_plan(services, passes(read_mission_plan(csv(*lines), "plan.csv")))
    return found.new, found.known, found.withdrawn


def stands(services: Services) -> list[tuple[str, str]]:
    found = standing(services, ["S2A", "S2B", "S2C"], START - timedelta(days=1), START + timedelta(days=1))
    return [(each.planned.satellite, each.stands) for each in found]


def see(services: Services, session: str, satellite: str) -> None:
    record = OpenMarker(created=START, session=session, station="SGS_", satellite=satellite)
    services.ledger.create(keys.open_marker(session), record)
    services.ledger.create(f"{keys.session(session)}seen/x.json", record)


def test_a_pass_that_was_never_seen_is_told_once(services: Services, sink: Sink) -> None:
    assert load(services, line("S2A", 60), line("S2B", 60)) == (2, 0, 0)
    see(services, f"S2A_{START + timedelta(minutes=61):%Y%m%d%H%M%S}057405", "S2A")
    assert stands(services) == [("S2A", "seen"), ("S2B", "planned")]
    later(services, 125)
    Sweep(services).run()
    assert sink.events == []
    later(services, 6)
    for _ in range(2):
        Sweep(services).run()
    (event,) = sink.events
    assert (event.data["satellite"], event.data["scenes"]) == ("S2B", 30)
    (told,) = [each for each in load_manifests(BASE) if isinstance(each, EventType) and each.spec.type == MISSING]
    jsonschema.validate(event.data, json.loads(told.spec.schema_data))
    assert stands(services) == [("S2A", "seen"), ("S2B", "missing")]
    assert list(services.ledger.list(keys.TIMERS)) == []


@pytest.mark.parametrize("trouble", ["a record that cannot be read", "an event that is refused"])
@pytest.mark.parametrize(("which", "other"), [("S2A", "S2B"), ("S2B", "S2A")])
def test_a_pass_that_cannot_be_told_keeps_back_no_other(
    services: Services, sink: Sink, trouble: str, which: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(services, line("S2A", 60), line("S2B", 60))
    (wrong,) = [info.key for info in services.ledger.list(f"plan/{which}/")]
    if trouble == "a record that cannot be read":
        services.store.put(services.settings.bucket_ledger, wrong, b"{}")
    send = sink.send

    def refusing(event: Event) -> None:
        if event.subject == wrong:
            raise BadInputError("event", "what the broker takes")
        send(event)

    monkeypatch.setattr(sink, "send", refusing)
    later(services, 131)
    for _ in range(2):
        with pytest.raises(BadInputError):
            Sweep(services).run()
    assert [event.data["satellite"] for event in sink.events] == [other]
    assert len(list(services.ledger.list(keys.TIMERS))) == 1, "looked at again, until somebody mends it"


def test_a_session_whose_name_tells_no_satellite_is_known_by_its_station(services: Services, sink: Sink) -> None:
    load(services, line("S2A", 60), line("S2B", 62))
    see(services, f"L{START + timedelta(minutes=61):%Y%m%d%H%M%S}000057405", "S2B")
    assert stands(services) == [("S2A", "planned"), ("S2B", "seen")]


def test_a_missing_pass_that_comes_after_all_was_seen(services: Services, sink: Sink) -> None:
    load(services, line("S2A", 0))
    later(services, 75)
    Sweep(services).run()
    assert len(sink.events) == 1
    see(services, f"S2A_{START:%Y%m%d%H%M%S}057405", "S2A")
    assert stands(services) == [("S2A", "seen")]


def test_what_the_broker_did_not_take_is_told_when_it_is_back(services: Services, sink: Sink) -> None:
    load(services, line("S2A", 0))
    later(services, 75)
    sink.down = True
    with pytest.raises(RetryableError):
        Sweep(services).run()
    assert stands(services) == [("S2A", "planned")]
    sink.down = False
    Sweep(services).run()
    assert len(sink.events) == 1


def test_a_newer_plan_withdraws_what_it_does_not_hold(services: Services, sink: Sink) -> None:
    load(services, line("S2A", 60), line("S2A", 160), line("S2A", 260), line("S2B", 160))
    assert load(services, line("S2A", 60), line("S2A", 260, scenes=12)) == (0, 2, 1)
    assert stands(services) == [("S2A", "planned"), ("S2A", "planned"), ("S2B", "planned")]
    found = list(standing(services, ["S2A"], START, START + timedelta(hours=5)))
    assert [sum(each.planned.scenes) for each in found] == [30, 12]
    assert [each.owed.l0_granules for each in found] == [360, 144]
    later(services, 60 * 12)
    Sweep(services).run()
    assert len(sink.events) == 3


def test_passes_that_were_over_before_their_plan_came_alarm_nobody(services: Services, sink: Sink) -> None:
    load(services, line("S2A", -600), line("S2A", 0))
    later(services, 600)
    Sweep(services).run()
    assert len(sink.events) == 1


@pytest.fixture
def console(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Where the console's commands look."""

    @contextmanager
    def opened(_where: Where) -> Iterator[Place]:
        yield Place("store", "memory", services)

    monkeypatch.setattr("functions.cli.places.opened", opened)
    return services


def test_from_the_console(console: Services, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    file.write_bytes(csv(line("S2A", 60), line("S2B", 60)))
    runner = CliRunner()
    assert "2 new passes" in runner.invoke(main, ["plan", "load", str(file)], standalone_mode=False).output
    told = runner.invoke(main, ["actions", "--no-headers"], standalone_mode=False).output
    assert "plan-load" in told
    assert "plan.csv" in told
    result = runner.invoke(main, ["plan", "show", "--satellite", "S2A"], standalone_mode=False)
    assert result.exception is None, result.exc_info
    shown = result.output
    assert "2026-11-22T11:00:00Z" in shown
    assert "360" in shown
    assert "S2B" not in shown
    assert re.search(r" 360 +\d+ to \d+ +planned", shown)
    verified = runner.invoke(main, ["account", "verify"], standalone_mode=False)
    assert verified.output == "No account was closed yet.\n"


def real_line(satellite: str, minutes: int) -> str:
    """A segment of relative orbit 95 as planned in July 2021 (84 scenes), which comes down as ``line`` does."""
    down, up = (START + timedelta(minutes=minutes + more) for more in (0, 10))
    return (
        f"{satellite},22858-1,22858,95,NOMINAL,84,2021-07-22T12:36:52.628,2021-07-22T12:41:55.700,"
        f"{down:%Y-%m-%dT%H:%M:%S},{up:%Y-%m-%dT%H:%M:%S},SGS_"
    )


def test_the_console_shows_the_tiles_that_a_pass_owes(console: Services, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    # On relative orbit 64 the satellite is not at the time at which it is on 65.
    file.write_bytes(csv(real_line("S2A", 60), line("S2B", 60).replace(",65,", ",64,")))
    runner = CliRunner()
    loaded = runner.invoke(main, ["plan", "load", str(file)], standalone_mode=False).output
    assert "the tiles of 1 segments are not foreseen: orbit and time do not agree" in loaded
    (known,) = standing(console, ["S2A"], START, START + timedelta(hours=5))
    foreseen = known.planned.tiles_owed
    assert foreseen is not None
    assert 60 < foreseen[0] < known.owed.l1c_tiles < foreseen[1] < 150
    assert not known.owed.exact
    (unknown,) = standing(console, ["S2B"], START, START + timedelta(hours=5))
    assert unknown.planned.tiles_owed is None
    shown = runner.invoke(main, ["plan", "show"], standalone_mode=False).output
    assert f" {foreseen[0]} to {foreseen[1]} " in shown
    assert f" ~{unknown.owed.l1c_tiles} " in shown


def test_without_the_libraries_a_plan_is_loaded_without_tiles(
    console: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith(("shared.geometry.groundtrack", "shared.msi.cov"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyproj", None)
    monkeypatch.delitem(sys.modules, "shared.msi.tiling", raising=False)
    file = tmp_path / "plan.csv"
    file.write_bytes(csv(real_line("S2A", 60)))
    result = CliRunner().invoke(main, ["plan", "load", str(file)], standalone_mode=False)
    assert "Tiles are not foreseen: pyproj is not installed" in result.output
    assert "1 new passes" in result.output
    (known,) = standing(console, ["S2A"], START, START + timedelta(hours=5))
    assert known.planned.tiles_owed is None


def test_a_pass_owes_the_tiles_of_each_of_its_segments(services: Services) -> None:
    """A tile that two datatakes meet is two products."""
    tiles = TilesOwed(("32TQM", "32TQL"), ("32TQK",))
    planned = passes(read_mission_plan(csv(line("S2A", 60), line("S2A", 70), line("S2A", 80, 2)), "plan.csv"))
    load_plan(services, planned, lambda segment: tiles if segment.scenes > 2 else TilesOwed())
    (found,) = standing(services, ["S2A"], START, START + timedelta(hours=5))
    assert found.planned.tiles_owed == (4, 6)
    assert (found.owed.l1c_tiles, found.owed.l2a_tiles, found.owed.exact) == (4, 4, False)
    load_plan(services, planned, lambda segment: TilesOwed(tiles.must) if segment.scenes > 2 else None)
    (found,) = standing(services, ["S2A"], START, START + timedelta(hours=5))
    assert found.planned.tiles_owed is None
    assert found.owed.exact


def test_tiles_that_were_foreseen_stand_where_the_plan_is_loaded_again_without_them(services: Services) -> None:
    tiles = TilesOwed(("32TQM", "32TQL"), ("32TQK",))
    same, longer = (passes(read_mission_plan(csv(line("S2A", 60, scenes)), "plan.csv")) for scenes in (30, 31))
    load_plan(services, same, lambda _: tiles)
    load_plan(services, same)
    (found,) = standing(services, ["S2A"], START, START + timedelta(hours=5))
    assert found.planned.tiles == (tiles,)
    load_plan(services, longer)
    (found,) = standing(services, ["S2A"], START, START + timedelta(hours=5))
    assert (found.planned.scenes, found.planned.tiles) == ((31,), ())
