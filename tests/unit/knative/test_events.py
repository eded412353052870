"""Events as they are, against what is said of them: event types, their schemas, and who may send which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from eventing.filters import matches
from eventing.manifests import EventPolicy, EventType, Trigger, load_manifests, parse_manifest
from functions.sweep.step import Sweep, job_ended
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import JOB_CHANGED, OBJECT_CREATED, TIMER_DUE, Event, object_created
from shared.ledger.keys import WorkKey, timer
from shared.ledger.records import Account, AccountEntry, timer_due
from shared.ports import JobState
from shared.settings import Settings
from shared.sla.notices import ABSENT, Notice, State, absent_event
from tests.support.house import START, VirtualClock
from tests.support.manifests import BASE, ROOT, Document

PLACE = WorkKey("S2A_20261122100000057405", "l1c", "DT01", "a" * 64)
TRACE = f"00-{'1' * 32}-{'2' * 16}-01"
TYPES = {each.spec.type: each.spec for each in load_manifests(BASE) if isinstance(each, EventType)}
SCHEMAS: Mapping[str, Any] = {
    schema["$id"]: schema
    for schema in (json.loads(path.read_text()) for path in sorted((ROOT / "eventing" / "schemas").glob("*.json")))
}
RESOURCE = JOB_CHANGED.rpartition(".")[0]


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(TYPES[kind].schema_data))


@pytest.fixture
def due() -> Event:
    """The event that a sweep really sends of a timer that is due."""
    clock = VirtualClock()
    services = Services(Settings(), clock)
    vars(services)["store"] = MemoryStore(clock)
    record = timer_due(START, START - timedelta(seconds=1), "retry", PLACE.session, PLACE.order, TRACE)
    services.ledger.create(timer(record.due, "retry", PLACE.job_name(1)), record)
    (event,) = Sweep(services)._timers([])
    return event


def notice(state: State) -> Event:
    return Notice(
        created=START,
        session=PLACE.session,
        level="L1C",
        state=state,
        t0=START,
        deadline=START + timedelta(minutes=75),
        expected=START + timedelta(minutes=80),
        step="l1c",
        cause="l1c has not begun, 6 min expected of it",
        sensing_stop=START,
    ).event()


def absent() -> Event:
    entry = AccountEntry(level="L1C", step="l1c", unit="D1", product="L1C of D1", ended="absent", reason="2 scenes")
    account = Account(created=START, session=PLACE.session, t0=START, entries=(entry,), produced=0, absent=1, parked=0)
    return absent_event(account, entry)


@pytest.mark.parametrize("event", [notice("at-risk"), notice("missed"), absent()], ids=lambda event: event.type)
def test_what_is_told_of_the_promise(event: Event) -> None:
    assert list(validator(event.type).iter_errors(event.data)) == []
    assert TYPES[event.type].source == event.source
    assert list(validator(event.type).iter_errors({**event.data, "level": "L3"})) != []
    assert event.type != ABSENT or event.data["reason"] == "2 scenes"


def test_every_schema_is_one_and_is_named_by_a_type() -> None:
    for name, schema in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert (ROOT / "eventing" / "schemas" / name.rpartition("/")[2]).exists()
    assert {each.schema_uri for each in TYPES.values()} == SCHEMAS.keys()
    for told in TYPES.values():
        assert json.loads(told.schema_data) == SCHEMAS[told.schema_uri]


def test_every_type_that_a_trigger_wants_is_told() -> None:
    wanted = {f"{RESOURCE}.update", f"{RESOURCE}.add", TIMER_DUE, OBJECT_CREATED}
    assert wanted <= TYPES.keys()
    for trigger in (each for each in load_manifests(BASE) if isinstance(each, Trigger)):
        text = trigger.model_dump_json()
        assert any(str(kind).rpartition(":")[0] in text or str(kind) in text for kind in TYPES), trigger.metadata.name


def test_what_is_sent_of_objects() -> None:
    event = object_created("s2-ledger", PLACE.order, "e", size=3, when=datetime(2026, 11, 22, tzinfo=UTC))
    assert list(validator(event.type).iter_errors(event.data)) == []
    assert TYPES[event.type].source == event.source
    assert list(validator(event.type).iter_errors({"bucket": "s2-ledger", "key": ""})) != []


def test_what_is_sent_of_timers(due: Event) -> None:
    event = due
    assert event.type == TIMER_DUE
    assert list(validator(event.type).iter_errors(event.data)) == []
    assert TYPES[event.type].source == event.source
    assert list(validator(event.type).iter_errors({**event.data, "kind": "x"})) != []


@pytest.mark.parametrize("phase", ["succeeded", "failed"])
def test_what_is_sent_of_jobs(phase: Any) -> None:
    event = job_ended(PLACE, 1, JobState(phase, 1, "BackoffLimitExceeded"), TRACE)
    assert list(validator(event.type).iter_errors(event.data)) == []
    running = {**event.data, "status": {"active": 1, "conditions": None}, "spec": {"template": {}}}
    for verb in ("add", "update", "delete"):
        assert list(validator(f"{RESOURCE}.{verb}").iter_errors(running)) == []
    spoilt = {**event.data, "metadata": {"name": "x", "annotations": {"s2ps.org/attempt": "first"}}}
    assert list(validator(event.type).iter_errors(spoilt)) != []


def test_policies_let_each_sender_say_what_it_says_and_no_more(due: Event, production: list[Document]) -> None:
    policies = [parse_manifest(each, "x") for each in production if each["kind"] == "EventPolicy"]
    allowed = {
        (sender.ref.kind, sender.ref.name): policy.spec.filters
        for policy in policies
        if isinstance(policy, EventPolicy)
        for sender in policy.spec.senders
    }
    senders = {
        (each["kind"], each["metadata"]["name"])
        for each in production
        if each["kind"] in {"SinkBinding", "ApiServerSource"}
    }
    assert allowed.keys() == senders
    written = object_created("s2-ledger", PLACE.order, "e")
    ended = job_ended(PLACE, 1, JobState("failed"), TRACE)
    added = Event("1", "https://10.96.0.1:443", f"{RESOURCE}.add", "/apis/batch/v1/namespaces/s2ps/jobs/x")
    told = [notice("at-risk"), notice("missed"), absent()]
    for sender, events in {
        ("SinkBinding", "object-events"): [written],
        ("SinkBinding", "sweep"): [written, due, ended, *told],
        ("ApiServerSource", "jobs"): [ended, added],
    }.items():
        said = {event.type for event in events}
        for event in (written, due, ended, added, *told):
            assert matches(allowed[sender], event) is (event.type in said), (sender, event.type)
