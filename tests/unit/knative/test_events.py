"""Events as they are, against what is said of them: event types, their schemas, and who may send which."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from shared.ledger.standing import REOPENED, SUBMITTED
from shared.ports import JobState
from shared.settings import Settings
from shared.sla.closing import PARKED_TIMER
from shared.sla.notices import ABSENT, Notice, State, absent_event
from shared.sla.passes import EXPECTED_TIMER
from shared.sla.planned import PlannedPass
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


OWN = {REOPENED, SUBMITTED, PARKED_TIMER, EXPECTED_TIMER}
"""Timers by which the sweep itself comes back to something: nobody else hears of them."""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def swept(clock: VirtualClock, kind: str) -> list[Event]:
    """The events that a sweep really sends of a timer that is due."""
    services = Services(Settings(), clock)
    vars(services)["store"] = MemoryStore(clock)
    subject = "1" if kind == REOPENED else PLACE.order
    record = timer_due(START, START - timedelta(seconds=1), kind, PLACE.session, subject, TRACE)
    services.ledger.create(timer(record.due, kind, PLACE.job_name(1)), record)
    return list(Sweep(services)._timers([]))


@pytest.fixture
def due(clock: VirtualClock) -> Event:
    (event,) = swept(clock, "retry")
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


def missing() -> Event:
    planned = PlannedPass(
        created=START, satellite="S2A", station="SGS_", start=START, stop=START + timedelta(minutes=10), scenes=(34, 12)
    )
    return planned.event(START + timedelta(hours=2))


TOLD = (notice("at-risk"), notice("missed"), absent(), missing())
"""Of the promise: an event of each type that the service tells the outside world."""


@pytest.mark.parametrize("event", TOLD, ids=lambda event: event.type)
def test_what_is_told_of_the_promise(event: Event) -> None:
    assert list(validator(event.type).iter_errors(event.data)) == []
    assert TYPES[event.type].source == event.source
    spoilt = {name: value for name, value in event.data.items() if name != min(event.data)}
    assert list(validator(event.type).iter_errors({**spoilt, "level": "L3"})) != []
    assert event.type != ABSENT or event.data["reason"] == "2 scenes"


def code() -> Iterator[tuple[Path, str]]:
    for folder in ("functions", "shared", "eventing"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text()


def test_every_type_that_the_code_names_is_told_and_tried_here() -> None:
    named = {kind for _, text in code() for kind in re.findall(r'"(org\.s2ps\.[a-z.-]*[a-z])"', text)}
    assert named == {kind for kind in TYPES if kind.startswith("org.s2ps.")}
    assert named == {event.type for event in TOLD} | {TIMER_DUE}


def timer_kinds() -> set[str]:
    """What every call of ``timer_due`` says the timer is: a name of its module."""
    found = set()
    for path, text in code():
        if "timer_due(" not in text:
            continue
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "timer_due":
                kind = call.args[2]
                assert isinstance(kind, ast.Name), f"{path}:{call.lineno}: expected a constant"
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                found.add(getattr(module, kind.id))
    return found


def test_every_timer_that_is_due_wakes_a_function_or_is_the_sweeps_own(clock: VirtualClock) -> None:
    triggers = [each for each in load_manifests(BASE) if isinstance(each, Trigger)]
    woken = {}
    for kind in timer_kinds():
        for event in swept(clock, kind):
            assert (event.type, event.subject) == (TIMER_DUE, kind)
            woken[kind] = [t.spec.subscriber.ref.name for t in triggers if matches(t.spec.filters, event)]
    assert {kind: names for kind, names in woken.items() if len(names) != 1} == {}
    assert timer_kinds() - woken.keys() == OWN


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
    for sender, events in {
        ("SinkBinding", "object-events"): [written],
        ("SinkBinding", "sweep"): [written, due, ended, *TOLD],
        ("ApiServerSource", "jobs"): [ended, added],
    }.items():
        said = {event.type for event in events}
        for event in (written, due, ended, added, *TOLD):
            assert matches(allowed[sender], event) is (event.type in said), (sender, event.type)
