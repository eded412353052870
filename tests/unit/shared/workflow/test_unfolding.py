"""The account of the licensed chain's graph: every expected product once, whatever fails."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.ledger import keys
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.records import AccountEntry, Artifact, Complete, Outcome, Published, SessionChunk, StatusClass
from shared.workflow.accounting import parked_account
from shared.workflow.graph import Workflow, load_workflow
from shared.workflow.plan import Ready, Source
from shared.workflow.unfolding import Pending, Unfolding
from shared.workflow.walk import next_work
from tests.support.standin import SESSION

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ESA = load_workflow("esa")
STRIPS = ("DT01", "DT02")
TILES = ("32TQM", "32TQL", "32TQK")
GRANULE = "S2A_OPER_MSI_L0__GR_S2PS_20261122T100000_S20261122T09{:02d}{:02d}_D{:02d}_N04.00"
# Of each datastrip: L0 datastrip and granules, L1B likewise, L1C datastrip and tiles, L2A likewise.
LEVELS = {"L0": 2, "L1B": 2, "L1C": 1 + len(TILES), "L2A": 1 + len(TILES)}


class Book:
    """The records of a session of the licensed chain, made without running it."""

    def __init__(self, workflow: Workflow = ESA, kinds: tuple[str, ...] = ("NOBS", "NOBS"), scenes: int = 16) -> None:
        self.workflow, self.kinds, self.scenes = workflow, kinds, scenes
        chunk = SessionChunk(name="n", key="k", channel=1, size=1, sha256="a" * 64)
        self.complete = Complete(created=NOW, session=SESSION, station="SGS_", satellite="S2A", t0=NOW, files=(chunk,))
        self.records: dict[str, Complete | Outcome] = {keys.complete(SESSION): self.complete}

    def find(self, key: str) -> Complete | Outcome | None:
        return self.records.get(key)

    def expect(self, wanted: object) -> None:
        pass

    def play(self, ends: dict[tuple[str, str], StatusClass]) -> None:
        """Everything that can run ends, as ``ends`` says of (step, unit), else well."""
        known, waiting = set[str](), [keys.complete(SESSION)]
        while waiting:
            key = waiting.pop()
            for item in next_work(self.workflow, Source(key, self.records[key], SESSION), self):
                place = item.key(SESSION) if isinstance(item, Ready) else None
                if place is not None and place.outcome not in known:
                    assert isinstance(item, Ready)
                    known.add(place.outcome)
                    self.records[place.outcome] = self._end(
                        item, place, ends.get((place.step, place.unit), "succeeded")
                    )
                    waiting.append(place.outcome)

    def _end(self, item: Ready, place: WorkKey, status: StatusClass) -> Outcome:
        units = {"l0u": {"datastrip": STRIPS}, "l1b": {"tile": TILES}}.get(place.step, {})
        facts = {"datatake_type": self.kinds[STRIPS.index(place.unit)]} if place.step == "l0c" else {}
        good = status.startswith("succeeded")
        return Outcome(
            created=NOW,
            step=place.step,
            unit=place.unit,
            attempt=1,
            status=status,
            reason="" if good else f"{place.step} said so",
            started=NOW,
            finished=NOW + timedelta(minutes=1),
            outputs=tuple(self._made(place)) if good else (),
            units=units if good else {},
            facts={**item.facts, **facts},
        )

    def _made(self, place: WorkKey) -> list[Artifact]:
        names = []
        for output in self.workflow.processors[place.step].outputs:
            if output.file_type == "PDI_DS_GR_LIST":
                minute = 5 * STRIPS.index(place.unit)
                names += [
                    (output.artifact, GRANULE.format(minute + n // 15, 4 * (n % 15), detector))
                    for n in range(self.scenes)
                    for detector in (1, 12)
                ]
            elif output.mandatory:
                names.append((output.artifact, f"{output.artifact}_{place.unit}"))
        return [Artifact(file_type=t, name=name, bucket="b", prefix="p/", digest="b" * 64, size=1) for t, name in names]

    def account(self) -> tuple[Unfolding, tuple[AccountEntry, ...]]:
        outcomes = {key: record for key, record in self.records.items() if isinstance(record, Outcome)}
        unfolding = Unfolding(self.workflow, SESSION, NOW, outcomes, self.shelf)
        return unfolding, unfolding.of(self.complete)

    def shelf(self, key: str) -> Published | None:
        name = key.rsplit("/", 1)[1].removesuffix(".json")
        return Published(
            created=NOW,
            product=name,
            level="L0",
            product_type="x",
            session=SESSION,
            step="l0c",
            unit="DT01",
            bucket="b",
            prefix="p/",
            manifest="p/manifest.json",
            size=1,
            files=(),
            sensing_start=NOW,
            t0=NOW,
            deadline=NOW,
            status="succeeded",
            provenance={"work": next(self._makers(name))},
        )

    def _makers(self, product: str) -> Iterator[str]:
        """The digests of the work that made a product of this name."""
        for key, record in self.records.items():
            place = parse_work(key)
            if place is not None and isinstance(record, Outcome) and product in {each.name for each in record.outputs}:
                yield place[0].digest


def expected(entries: tuple[AccountEntry, ...]) -> dict[str, int]:
    """Expected products by level: granules of a datastrip count as one."""
    found = {(e.level, e.step, e.unit, e.product[:14] if e.step == "l0c" else e.product) for e in entries}
    counts: dict[str, int] = {}
    for level, _, _, _ in found:
        counts[level] = counts.get(level, 0) + 1
    return counts


def test_the_whole_chain_is_produced() -> None:
    book = Book()
    book.play({})
    unfolding, entries = book.account()
    assert {entry.ended for entry in entries} == {"produced"}
    granules = sum("_GR_" in entry.product and entry.level == "L0" for entry in entries)
    assert granules == 2 * 16 * 2
    by_level = {level: sum(entry.level == level for entry in entries) for level in LEVELS}
    assert by_level == {level: 2 * n for level, n in LEVELS.items()} | {"L0": 2 + granules}
    assert unfolding.not_owed == tuple(f"{unit}: of a datatake of type NOBS no L1A is made" for unit in STRIPS)


# What follows a step, by the level of what it would have published, of one datastrip.
LOST = {
    "l0c": {"L0": 2, "L1B": 2, "L1C": 2, "L2A": 2},
    "l1a": {"L1B": 2, "L1C": 2, "L2A": 2},
    "l1b": {"L1B": 2, "L1C": 2, "L2A": 2},
    "l1b-format": {"L1B": 2},
    "l1c-ds": {"L1C": 1, "L2A": 4},
    "l2a-ds": {"L2A": 4},
}


@pytest.mark.parametrize(("status", "ended"), [("failed", "parked"), ("no-product", "absent")])
@pytest.mark.parametrize("step", LOST)
def test_what_a_step_takes_with_it_is_told_once_and_the_other_datastrip_is_whole(
    step: str, status: StatusClass, ended: str
) -> None:
    book = Book()
    book.play({(step, "DT01"): status})
    _, entries = book.account()
    lost = [entry for entry in entries if entry.ended != "produced"]
    assert {entry.ended for entry in lost} == {ended}
    assert {level: sum(e.level == level for e in lost) for level in {e.level for e in lost}} == LOST[step]
    assert len({(entry.step, entry.unit, entry.product) for entry in entries}) == len(entries)
    assert all("said so" in entry.reason for entry in lost)
    whole = [entry for entry in entries if entry.unit.startswith("DT02")]
    assert {entry.ended for entry in whole} == {"produced"}
    assert {entry.level for entry in whole} == set(LEVELS)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_fails_every_tile_is_accounted_for_once(seed: int) -> None:
    """Failures below the tile list change how products end, never which are expected."""
    dice = random.Random(seed)
    statuses: list[StatusClass] = ["succeeded", "succeeded", "failed", "no-product", "succeeded-with-warnings"]
    units = [f"{strip}-T{tile}" for strip in STRIPS for tile in TILES]
    ends = {(step, unit): dice.choice(statuses) for step in ("l1c", "l2a") for unit in units}
    ends |= {(step, unit): dice.choice(statuses) for step in ("l1c-ds", "l2a-ds", "l1b-format") for unit in STRIPS}
    book = Book()
    book.play(ends)
    _, entries = book.account()
    assert expected(entries) == {level: 2 * n for level, n in LEVELS.items()}
    assert len({(entry.level, entry.step, entry.unit, entry.product) for entry in entries}) == len(entries)
    for entry in entries:
        if entry.step != "l2a":
            continue
        above = [ends["l1c", entry.unit], ends["l1c-ds", entry.unit[:4]]]
        above.append(ends["l2a-ds", entry.unit[:4]] if above[1].startswith("succeeded") else above[1])
        above.append(ends["l2a", entry.unit])
        bad = [status for status in above[:3] if not status.startswith("succeeded")] or [above[3]]
        wanted = "absent" if "no-product" in bad else "parked" if "failed" in bad else "produced"
        assert entry.ended == wanted, (entry, above)


@pytest.mark.parametrize(
    ("kind", "levels", "not_owed"),
    [
        ("DASC", {"L0", "L1A"}, "of type DASC no L1B, L1C, L2A is made"),
        ("VIC", {"L0", "L1B", "L1C"}, "of type VIC no L1A, L2A is made"),
        ("", {"L0", "L1B", "L1C", "L2A"}, "of unknown type no L1A is made"),
        ("XYZ", {"L0"}, "of type XYZ no L1A, L1B, L1C, L2A is made"),
    ],
)
def test_each_datastrip_is_owed_what_its_own_datatake_asks_for(kind: str, levels: set[str], not_owed: str) -> None:
    book = Book(kinds=(kind, "RAW"))
    book.play({})
    unfolding, entries = book.account()
    assert {entry.level for entry in entries if entry.unit.startswith("DT01")} == levels
    assert {entry.level for entry in entries if entry.unit.startswith("DT02")} == {"L0", "L1A", "L1B", "L1C", "L2A"}
    assert unfolding.not_owed == (f"DT01: of a datatake {not_owed}",)


def test_too_few_scenes_make_level_0_and_say_why_there_is_no_more() -> None:
    book = Book(scenes=3)
    book.play({})
    _, entries = book.account()
    lost = [entry for entry in entries if entry.ended != "produced"]
    assert {(entry.level, entry.ended) for entry in lost} == {("L1B", "absent"), ("L1C", "absent"), ("L2A", "absent")}
    assert all("3 scenes, l1a needs at least 4" in entry.reason for entry in lost)


def test_work_under_way_keeps_the_account_open_and_held_work_is_parked() -> None:
    book = Book()
    book.play({})
    (key,) = [k for k in book.records if "/work/l2a-ds/DT01/" in k]
    del book.records[key]
    with pytest.raises(Pending, match="l2a-ds"):
        book.account()
    outcomes = {k: r for k, r in book.records.items() if isinstance(r, Outcome)}
    place = parse_work(key)
    assert place is not None
    held = {place[0].prefix: "held by ada"}
    entries = Unfolding(ESA, SESSION, NOW, outcomes, book.shelf, lambda prefix: held.get(prefix, "")).of(book.complete)
    parked = [entry for entry in entries if entry.ended == "parked"]
    assert {(entry.step, entry.unit) for entry in parked} == {
        ("l2a-ds", "DT01"),
        *(("l2a", f"DT01-T{tile}") for tile in TILES),
    }
    assert all("held by ada" in entry.reason for entry in parked)


def test_a_session_that_never_became_complete_is_parked_with_all_that_it_would_have_promised() -> None:
    account = parked_account(ESA, SESSION, "two chunks are missing", (), NOW, "")
    assert {entry.level for entry in account.entries} == {"L0", "L1B", "L1C", "L2A"}
    assert account.parked == len(account.entries) == 8
    assert {entry.reason for entry in account.entries} == {"two chunks are missing"}
