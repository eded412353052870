from __future__ import annotations

import hashlib
import json
from threading import Barrier, Lock
from typing import Any

import pytest

from functions.product_publication.step import publish
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import BadInputError, StoreUnavailableError
from shared.ledger.keys import WorkKey
from shared.ledger.records import Artifact, FileEntry, Order, Outcome, Published, StatusClass
from shared.settings import Settings
from tests.support.house import START, VirtualClock
from tests.support.standin import SESSION

PLACE = WorkKey(SESSION, "l0c", "DT01", "0" * 64)
OTHER = WorkKey(SESSION, "l0c", "DT02", "1" * 64)
EVENT = object_created("s2-ledger", PLACE.outcome, "e")
OTHER_EVENT = object_created("s2-ledger", OTHER.outcome, "e")


class Store(MemoryStore):
    """Copies are counted; that of a key which ends in ``broken`` fails."""

    copies = 0
    broken = "-"
    counting = Lock()

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str, *, size: int | None = None) -> str:
        with self.counting:
            self.copies += 1
        if key.endswith(self.broken):
            raise StoreUnavailableError("down")
        assert size == len(self.get(bucket, key)[0])
        return super().copy(bucket, key, to_bucket, to_key)


def granule(detector: int) -> str:
    return f"S2A_TEST_MSI_L0__GR_S2PS_20261122T101500_S20261122T100000_D{detector:02d}_N00.01"


@pytest.fixture
def services() -> Services:
    clock = VirtualClock()
    made = Services(Settings(), clock)
    vars(made).update(store=Store(clock))
    return made


def make(
    services: Services, granules: int, files: int, status: StatusClass = "succeeded", place: WorkKey = PLACE
) -> None:
    """An outcome of ``granules`` artifacts of ``files`` files each."""
    artifacts = []
    for n in range(1, granules + 1):
        prefix, entries = f"{SESSION}/l0c/{place.digest[:4]}/{n}/", []
        for file in range(files):
            body = b"%s %d %d" % (place.digest[:1].encode(), n, file)
            services.store.put("s2-work", f"{prefix}IMG/{file}.bin", body)
            digest = hashlib.sha256(body).hexdigest()
            entries.append(FileEntry(path=f"IMG/{file}.bin", size=len(body), sha256=digest))
        artifacts.append(
            Artifact(
                file_type="PDI_DS_GR_LIST",
                name=granule(n),
                bucket="s2-work",
                prefix=prefix,
                digest="0" * 64,
                size=sum(entry.size for entry in entries),
                files=tuple(entries),
            )
        )
    order = Order(
        created=START,
        session=SESSION,
        step="l0c",
        unit=place.unit,
        digest=place.digest,
        processor="p",
        version="1",
        inputs=(),
        parameters={},
        t0=START,
        deadline=START,
    )
    outcome = Outcome(
        created=START,
        step="l0c",
        unit=place.unit,
        attempt=1,
        status=status,
        started=START,
        finished=START,
        outputs=tuple(artifacts),
    )
    services.ledger.create(place.order, order)
    services.ledger.create(place.outcome, outcome)


def shelf(services: Services) -> list[str]:
    return [info.key for info in services.store.list("s2-products")]


def test_each_product_has_its_files_its_manifest_and_its_record(services: Services) -> None:
    make(services, granules=3, files=2)
    assert publish(EVENT, services) == 3
    records = [services.ledger.read(info.key, Published) for info in services.ledger.list("products/L0/2026/11/22/")]
    assert [record.product for record in records] == [granule(n) for n in (1, 2, 3)]
    for record in records:
        manifest = json.loads(services.store.get(record.bucket, record.manifest)[0])
        assert [file["path"] for file in manifest["files"]] == ["IMG/0.bin", "IMG/1.bin"]
        for file in manifest["files"]:
            body = services.store.get(record.bucket, record.prefix + file["path"])[0]
            assert hashlib.sha256(body).hexdigest() == file["sha256"]


def test_what_was_published_is_not_copied_again(services: Services) -> None:
    make(services, granules=2, files=2)
    publish(EVENT, services)
    store = services.store
    assert isinstance(store, Store)
    before, store.copies = shelf(services), 0
    assert publish(EVENT, services) == 0
    assert store.copies == 0
    assert shelf(services) == before


def test_a_copy_that_fails_leaves_its_product_unseen_and_the_next_try_ends_the_rest(services: Services) -> None:
    make(services, granules=3, files=40)
    store = services.store
    assert isinstance(store, Store)
    store.broken = "/2/IMG/39.bin"
    with pytest.raises(StoreUnavailableError):
        publish(EVENT, services)
    manifests = [key for key in shelf(services) if key.endswith("manifest.json")]
    assert len(manifests) == 1
    assert granule(1) in manifests[0]
    store.broken = "-"
    assert publish(EVENT, services) == 2


def test_failed_work_publishes_nothing(services: Services) -> None:
    make(services, granules=1, files=1, status="failed")
    assert publish(EVENT, services) == 0
    assert shelf(services) == []


def test_an_event_that_is_not_for_it(services: Services) -> None:
    with pytest.raises(BadInputError, match=r"outcome\.json"):
        publish(Event("i", "s", "t", PLACE.order), services)


def test_products_are_shown_several_at_a_time(services: Services) -> None:
    """A datastrip has thousands: one after the other they would take longer than their files."""
    make(services, granules=6, files=1)
    together, store = Barrier(2, timeout=10), services.store
    original = store.put_new

    def put_new(bucket: str, key: str, body: bytes, **rest: Any) -> Any:
        if key.endswith("manifest.json"):
            together.wait()
        return original(bucket, key, body, **rest)

    vars(store)["put_new"] = put_new
    assert publish(EVENT, services) == 6


# names ---------------------------------------------------------------------------------------------------------------
def contents(services: Services) -> dict[str, bytes]:
    return {key: services.store.get("s2-products", key)[0] for key in shelf(services)}


def test_a_name_that_is_anothers_is_left_to_it_and_both_are_named(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    make(services, granules=1, files=2)
    make(services, granules=2, files=2, place=OTHER)
    publish(EVENT, services)
    before = contents(services)
    assert publish(OTHER_EVENT, services) == 1, "its second granule has a name of its own"
    assert {key: body for key, body in contents(services).items() if key in before} == before
    (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert granule(1) in said
    assert PLACE.prefix in said
    assert OTHER.prefix in said
    assert f"s2ps retry {SESSION} --from l0c --unit DT02" in said
    assert publish(OTHER_EVENT, services) == 0


def test_a_name_is_claimed_before_any_file_is_there(services: Services) -> None:
    """Who comes between another's first file and its manifest finds the name taken, and writes nothing."""
    make(services, granules=1, files=2)
    make(services, granules=1, files=2, place=OTHER)
    store = services.store
    assert isinstance(store, Store)
    store.broken = "0000/1/IMG/1.bin"
    with pytest.raises(StoreUnavailableError):
        publish(EVENT, services)
    before = contents(services)
    assert publish(OTHER_EVENT, services) == 0
    assert contents(services) == before
    store.broken = "-"
    assert publish(EVENT, services) == 1, "whoever claimed it goes on"
    assert publish(OTHER_EVENT, services) == 0
    (record,) = [services.ledger.read(info.key, Published) for info in services.ledger.list("products/")]
    assert record.provenance["work"] == PLACE.digest
    for file in record.files:
        body = services.store.get(record.bucket, record.prefix + file.path)[0]
        assert hashlib.sha256(body).hexdigest() == file.sha256


def test_a_product_from_before_there_were_claims_keeps_its_name(services: Services) -> None:
    make(services, granules=1, files=1)
    make(services, granules=1, files=1, place=OTHER)
    publish(EVENT, services)
    for info in list(services.ledger.list("names/")):
        services.ledger.delete(info.key)
    assert publish(EVENT, services) == publish(OTHER_EVENT, services) == 0
