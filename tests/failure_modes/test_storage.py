"""Failure modes of what is stored, listed and kept: docs/failure-modes.md has the list."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import pytest

from shared.adapters.memory import MemoryStore
from shared.adapters.store_setup.buckets import rules_of
from shared.auxiliary.catalogue import Catalogue
from shared.errors import BadInputError, StationUnavailableError
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.records import Complete, Outcome, Published, Receipt, Refusal
from shared.ports import StationFile
from shared.settings import Settings
from shared.workflow.graph import load_workflow
from tests.support.auxiliary import for_l0u
from tests.support.house import START, House
from tests.support.played import build
from tests.support.standin import SESSION, StandInStation
from tests.support.waiting import Crowd


def test_failure_mode_08_jobs_share_no_files_but_what_the_licensed_chain_must_share() -> None:
    """Longer: tests/integration/test_shared_volume.py; what a session left there goes: functions/job_launch tests."""
    assert all(processor.shared is None for processor in load_workflow("open").processors.values())
    licensed = load_workflow("esa").processors
    # These chain by absolute paths; each sees the folder of its own datastrip and no other.
    assert {step for step, processor in licensed.items() if processor.shared is not None} == {
        "l1a", "l1a-format", "l1b", "l1b-format", "l1c-ds", "l1c",
    }  # fmt: skip


def test_failure_mode_11_half_a_tile_starts_nothing() -> None:
    """Longer: tests/integration/test_runner.py, where the outcome is written when all is uploaded and checked."""
    made = build()
    while not any(job.step == "l1c" for job in made.launcher.pending.values()):
        made.tick(jobs=False)
        if not any(job.step == "l1c" for job in made.launcher.pending.values()):
            made.launcher.run_one()
            made.deliver()
    job = next(job for job in made.launcher.pending.values() if job.step == "l1c")
    place = parse_work(f"{job.work}order.json")
    assert place is not None
    prefix = f"{SESSION}/l1c/{job.unit}/{place[0].digest}/1/MSI_L1C_TL/S2A_MSIL1C.SAFE/"
    made.store.put(made.settings.bucket_work, f"{prefix}manifest.safe", b"m")
    for _ in range(5):
        made.tick(jobs=False)
    assert not [order for order in made.orders() if order[0] == "l2a"]
    assert not [name for name in made.shelf() if "MSIL1C" in name]
    made.run()
    outcome = made.services.ledger.read(place[0].outcome, Outcome)
    assert all(file.size and len(file.sha256) == 64 for artifact in outcome.outputs for file in artifact.files)


class Watched(MemoryStore):
    """Counts what passes through the caller, by bucket."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.passed: Counter[str] = Counter()

    def get(self, bucket: str, key: str) -> Any:
        self.passed[f"get {bucket}"] += 1
        return super().get(bucket, key)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, size: int | None = None) -> str:
        """Inside the store."""
        body, info = super().get(bucket, key)
        assert size in {None, info.size}
        return self.put(to_bucket, to_key, body)

    def read(self, bucket: str, key: str, *, start: int = 0) -> Iterator[bytes]:
        self.passed[f"read {bucket}"] += 1
        return super().read(bucket, key, start=start)


def test_failure_mode_16_products_are_published_by_the_store_itself_as_soon_as_they_are_made() -> None:
    """No compression step, no copy through a function. Longer: tests/unit/functions/product_publication."""
    made = build()
    watched = Watched(made.clock, made.memory.watchers)
    made.memory = watched
    made.store._inner = watched
    account = made.run()
    assert account.produced == 7
    buckets = made.settings
    assert not [what for what in watched.passed if what.endswith((buckets.bucket_work, buckets.bucket_products))]
    ledger = made.services.ledger
    for info in watched.list(buckets.bucket_ledger, "products/"):
        record = ledger.read(info.key, Published)
        (outcome,) = [
            ledger.read(each.key, Outcome)
            for each in watched.list(buckets.bucket_ledger, f"sessions/{SESSION}/work/{record.step}/{record.unit}/")
            if each.key.endswith("/outcome.json")
        ]
        assert record.created - outcome.finished <= timedelta(minutes=2)


def test_failure_mode_18_a_record_of_another_shape_is_refused_by_name_and_a_catalogue_is_made_again() -> None:
    """There is no index to be wrong: the bucket is the database. Longer: tests/unit/shared/auxiliary/test_intake.py."""
    made = build()
    made.run()
    key = keys.complete(SESSION)
    document = json.loads(made.memory.get(made.settings.bucket_ledger, key)[0])
    made.memory.put(made.settings.bucket_ledger, key, json.dumps(document | {"t0": "long ago"}).encode())
    with pytest.raises(BadInputError, match=rf"{key}.*t0"):
        made.services.ledger.read(key, Complete)
    for_l0u(made.services, "GIP_DATATI")
    bucket = made.settings.bucket_auxiliary
    catalogue = Catalogue(made.services.store, bucket)
    before = catalogue.names("GIP_DATATI")
    assert len(before) == 1
    for info in list(made.memory.list(bucket, "catalogue/")):
        made.memory.delete(bucket, info.key)
    assert catalogue.names("GIP_DATATI") == []
    assert catalogue.rebuild() == 1
    assert catalogue.names("GIP_DATATI") == before


CHUNK = f"DCS_05_{SESSION}_ch2_DSDB_00001.raw"


def test_failure_mode_21_a_session_is_whole_by_names_and_sizes() -> None:
    """Longer: tests/faults/test_session_in_memory.py and tests/unit/functions/session_assembly."""
    made = build()
    # As many files as there should be, of which one is another; then the right one without a byte, then whole.
    whole = next(held for path, held in made.station.held.items() if path.endswith(CHUNK))
    made.station.held = {path: held for path, held in made.station.held.items() if not path.endswith(CHUNK)}
    made.station.put(CHUNK.replace("00001", "00009"), whole[0], whole[1])
    made.station.put(CHUNK, b"", whole[1])
    for _ in range(4):
        made.tick()
    assert made.services.ledger.find(keys.complete(SESSION), Complete) is None
    assert made.services.ledger.find(keys.receipt(SESSION, CHUNK), Receipt) is None
    made.station.put(CHUNK, whole[0][:60], START)
    for _ in range(4):
        made.tick()
    assert made.services.ledger.find(keys.complete(SESSION), Complete) is None
    refused = made.memory.list(made.settings.bucket_ledger, f"sessions/{SESSION}/refused/")
    reasons = [made.services.ledger.read(info.key, Refusal).reason for info in refused]
    assert any("data_size" in reason for reason in reasons)
    made.station.put(CHUNK, whole[0], START + timedelta(minutes=5))
    account = made.run()
    assert account.produced == 7
    complete = made.services.ledger.read(keys.complete(SESSION), Complete)
    assert {file.name for file in complete.files} >= {CHUNK}
    assert all(len(file.sha256) == 64 for file in complete.files)


@dataclass
class Told(StandInStation):
    """Keeps from where its files were read, and how often files were listed; some lines break after 6 MiB."""

    starts: list[int] = field(default_factory=list)
    listed: int = 0
    breaks: int = 0

    def read(self, path: str, *, start: int = 0) -> Iterator[bytes]:
        (body,) = super().read(path, start=start)
        if len(body) + start > 6 << 20:
            self.starts.append(start)
        for at in range(0, len(body), 1 << 20):
            if self.breaks and at == 6 << 20:
                self.breaks -= 1
                raise StationUnavailableError("the line broke")
            yield body[at : at + (1 << 20)]

    def files(self, tree: Literal["NOMINAL", "RETRANSFER"], satellite: str, folder: str) -> Iterator[StationFile]:
        self.listed += 1
        return super().files(tree, satellite, folder)


def told(first: int = 100) -> Told:
    station = Told()
    station.fill(START - timedelta(minutes=2), first=first)
    return station


def test_failure_mode_22_a_transfer_that_was_cut_goes_on_where_it_was_cut() -> None:
    """Bytes go from station to store and to nobody between. Longer: tests/integration/test_ingestion.py; a store that
    answers 503: tests/unit/shared/adapters/test_breaker.py and test_s3.py.
    """
    station = told(first=11 << 20)
    station.breaks = 1
    assert House(station=station).run().produced == 7
    first, second = station.starts
    assert first == 0
    assert 5 << 20 <= second <= 6 << 20


def test_failure_mode_23_what_is_closed_is_not_listed_again_and_no_instance_is_needed_to_know_it() -> None:
    """Longer: tests/unit/functions/station_poll, where a cold instance recalls what a warm one knew."""
    station = told()
    made = House(station=station)
    made.run()
    before, orders = station.listed, made.orders()
    for restarted in (False, True):
        if restarted:
            made._start_instances()  # under any name: state stands in the ledger, by station and file
        for _ in range(5):
            made.tick()
    assert station.listed == before
    assert made.orders() == orders
    assert not list(made.memory.list(made.settings.bucket_ledger, keys.OPEN))


def test_failure_mode_24_nothing_that_is_needed_expires() -> None:
    """By age alone, by the store itself; products, auxiliary files and the ledger stay. Longer:
    tests/integration/test_store_setup.py on a real store, tests/unit/functions/job_launch/test_clearing.py for shared
    volumes, which are cleared when an account is closed and nothing is held.
    """
    settings = Settings()
    rules = rules_of(settings)
    assert {bucket for bucket, days in rules.items() if days is None} == {
        settings.bucket_auxiliary, settings.bucket_products, settings.bucket_ledger,
    }  # fmt: skip
    # The inputs of work outlive all its attempts: waits, pauses and the longest run.
    longest = max(
        (each.time_limit_s for name in ("open", "esa") for each in load_workflow(name).processors.values()), default=0
    )
    days = rules[settings.bucket_work]
    assert days is not None
    assert settings.max_attempts * longest + settings.session_wait_s < days * 86_400
    raw = rules[settings.bucket_sessions]
    assert raw is not None
    assert raw >= 30


def test_failure_mode_14_an_event_costs_the_same_however_many_wait() -> None:
    """Longer: tests/unit/functions/job_preparation/test_waiting_items.py, tests/benchmarks/waiting_items.py."""

    def cost(waiting: int) -> Counter[str]:
        crowd = Crowd(waiting)
        crowd.complete(waiting + 1)
        return crowd.outcome(waiting + 1)

    assert cost(0) == cost(300)
