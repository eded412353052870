"""The base's manifests: strict to read, right for a cluster, and wired as the design says."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventing.cron import Schedule
from eventing.filters import matches
from eventing.knative import LOCAL_SCHEDULE
from eventing.manifests import (
    Broker,
    Delivery,
    Kustomization,
    PingSource,
    Service,
    SinkBinding,
    Trigger,
    load_manifests,
    parse_duration,
    parse_manifest,
)
from shared.domain.events import JOB_CHANGED, TIMER_DUE, Event, object_created
from shared.errors import ConfigurationError
from shared.ledger import keys

ROOT = Path(__file__).resolve().parents[3]
BASE = ROOT / "knative" / "base"
MANIFESTS = load_manifests(BASE)
TRIGGERS = [each for each in MANIFESTS if isinstance(each, Trigger)]
SERVICES = {each.metadata.name: each for each in MANIFESTS if isinstance(each, Service)}
SESSION = "sessions/S2A_20261122100000057405"
WORK = f"{SESSION}/work/l1c/DT01-T32TMQ/{'a' * 64}"
CHUNK = "DCS_05_S2A_20261122100000057405_ch1_DSDB_00001"


def woken(event: Event) -> set[str]:
    return {each.spec.subscriber.ref.name for each in TRIGGERS if matches(each.spec.filters, event)}


@pytest.mark.parametrize(
    ("key", "functions"),
    [
        (f"{SESSION}/seen/{CHUNK}.raw.json", {"file-transfer"}),
        (f"{SESSION}/seen/{CHUNK}.RAW.json", {"file-transfer"}),
        (f"{SESSION}/seen/{CHUNK}.aisp.json", {"file-transfer"}),
        (f"{SESSION}/seen/DCS_05_S2A_20261122100000057405_ch1_DSIB.xml.json", {"file-transfer"}),
        (f"{SESSION}/seen/DCS_05_S2A_20261122100000057405_ch1_DSIB.XML.json", {"file-transfer"}),
        (f"{SESSION}/received/{CHUNK}.raw.receipt.json", {"session-assembly"}),
        (f"{SESSION}/refused/x-0123456789abcdef01234567.json", set()),
        (f"{SESSION}/complete.json", {"job-preparation"}),
        (f"{WORK}/order.json", {"job-launch"}),
        (f"{WORK}/joborder.xml", set()),
        (f"{WORK}/attempts/1.json", set()),
        (f"{WORK}/attempts/1.ended.json", {"job-settlement"}),
        (f"{WORK}/outcome.json", {"job-preparation", "product-publication", "session-account"}),
        (f"{SESSION}/account.json", set()),
        ("products/L1C/2026/11/22/S2A_MSIL1C_X.json", {"session-account"}),
        ("open/S2A_20261122100000057405", set()),
        ("timers/20261122T1000/retry-x.json", set()),
        ("dead-letters/20261122/x.json", set()),
    ],
)
def test_who_is_woken_by_which_record(key: str, functions: set[str]) -> None:
    assert woken(object_created("s2-ledger", key, "e")) == functions
    assert woken(object_created("s2-products", key, "e")) == set()


WAKES = {
    "seen": {"file-transfer"},
    "receipt": {"session-assembly"},
    "complete": {"job-preparation"},
    "hold": {"session-account"},
    "product": {"session-account"},
    "WorkKey.order": {"job-launch"},
    "WorkKey.outcome": {"job-preparation", "product-publication", "session-account"},
    "WorkKey.waiting": {"job-preparation"},
    "WorkKey.ended": {"job-settlement"},
    "WorkKey.hold": {"session-account"},
}
QUIET = {
    "open_marker", "closed_marker", "refusal", "account", "reopened", "cleared", "notice", "durations",
    "former_account", "action", "timer", "rerun", "product_claim", "dead_letter", "replayed", "drop",
    "WorkKey.job_order", "WorkKey.provision", "WorkKey.attempt", "WorkKey.grant",
}  # fmt: skip
"""Records that wake nobody by themselves: who writes them goes on, or the sweep sees to them."""
GIVEN: dict[str, Any] = {
    "session": "S2A_20261122100000057405",
    "file": f"{CHUNK}.raw",
    "etag": "e",
    "reason": "why",
    "number": 1,
    "after": 1,
    "when": datetime(2026, 11, 22, tzinfo=UTC),
    "due": datetime(2026, 11, 22, tzinfo=UTC),
    "level": "L1C",
    "kind": "retry",
    "account": datetime(2026, 11, 22, tzinfo=UTC),
    "sensing": datetime(2026, 11, 22, tzinfo=UTC),
    "claim": "s2-l1-shared",
    "state": "missed",
    "processor_set": "open",
    "digest": "a" * 64,
    "mark": "a" * 24,
    "name": "S2A_MSIL1C_X",
    "event": "x",
    "product": "products/L1C/2026/11/22/S2A_MSIL1C_X.json",
    "dead_letter": "dead-letters/20261122/x.json",
}


def made_keys() -> Iterator[tuple[str, str]]:
    """(name, example) of each key of a record that ``shared.ledger.keys`` knows to make; folders are none."""
    place = keys.WorkKey(GIVEN["session"], "l1c", "DT01-T32TMQ", GIVEN["digest"])
    for name, made in vars(keys).items():
        if inspect.isfunction(made) and made.__module__ == keys.__name__ and made.__annotations__["return"] == "str":
            given = {each: GIVEN[each] for each in inspect.signature(made).parameters if each in GIVEN}
            if name not in {"safe_name", "etag_mark", "day"}:
                yield name, made(**given)
    for name, made in vars(keys.WorkKey).items():
        if isinstance(made, property):
            yield f"WorkKey.{name}", getattr(place, name)
        elif inspect.isfunction(made) and not name.startswith("_") and name != "job_name":
            yield f"WorkKey.{name}", made(place, **{each: GIVEN[each] for each in list(made.__annotations__)[:-1]})


def test_every_record_that_there_is_wakes_whom_it_should() -> None:
    found = {name: key for name, key in made_keys() if not key.endswith("/")}
    assert found.keys() == WAKES.keys() | QUIET
    for name, key in found.items():
        assert woken(object_created("s2-ledger", key, "e")) == WAKES.get(name, set()), name


def test_who_is_woken_by_other_events() -> None:
    assert woken(Event("1", "timers", TIMER_DUE, "session-incomplete")) == {"session-assembly"}
    assert woken(Event("1", "timers", TIMER_DUE, "retry")) == {"job-launch"}
    assert woken(Event("1", "jobs", JOB_CHANGED, "l0u-1")) == {"job-settlement"}
    assert woken(Event("1", "jobs", "dev.knative.apiserver.resource.add", "l0u-1")) == {"job-settlement"}
    assert woken(Event("1", "jobs", "dev.knative.apiserver.resource.delete", "l0u-1")) == set()
    assert woken(Event("1", "s2-ledger", "com.amazonaws.s3.ObjectRemoved:Delete", f"{SESSION}/complete.json")) == set()


def test_every_function_has_its_service_and_its_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/main.py")} - {"cli"}
    assert {name.replace("-", "_") for name in SERVICES} == folders
    for name, service in SERVICES.items():
        assert service.env["FUNCTION_SOURCE"] == f"/app/functions/{name.replace('-', '_')}/main.py"
        assert service.env["FUNCTION_TARGET"] == "main"
        assert service.env["THREADS"] == str(service.spec.template.spec.container_concurrency)


def test_every_reference_leads_somewhere() -> None:
    known = {(each.kind, each.metadata.name) for each in MANIFESTS if not isinstance(each, type)}  # type: ignore[union-attr]
    for trigger in TRIGGERS:
        assert ("Broker", trigger.spec.broker) in known
        delivery = trigger.spec.delivery
        assert delivery is not None
        assert delivery.dead_letter_sink is not None
        for destination in (trigger.spec.subscriber, delivery.dead_letter_sink):
            assert (destination.ref.kind, destination.ref.name) in known
        # A delivery that gives up before the function does would start the same work twice.
        function = SERVICES[trigger.spec.subscriber.ref.name]
        assert parse_duration(delivery.timeout).total_seconds() <= function.spec.template.spec.timeout_s
    for source in MANIFESTS:
        if isinstance(source, (PingSource, SinkBinding)):
            assert (source.spec.sink.ref.kind, source.spec.sink.ref.name) in known


def test_triggers_leave_dead_letters_alone() -> None:
    assert all(trigger.spec.subscriber.ref.name != "dead-letters" for trigger in TRIGGERS)
    brokers = [each for each in MANIFESTS if isinstance(each, Broker)]
    assert [each.metadata.name for each in brokers] == ["s2ps"]


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(BASE.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "brokr"), "x"),
        (("spec", "filters", 0, "sufix"), {"type": "x"}),
        (("spec", "delivery", "retries"), 3),
        (("spec", "delivery", "backoffDelay"), "5 s"),
        (("spec", "delivery", "retry"), -1),
        (("spec", "subscriber"), {"uri": "http://x"}),
        (("apiVersion",), "eventing.knative.dev/v1beta1"),
        (("metadata", "name"), "Not_A_Label"),
    ],
)
def test_a_misspelt_field_is_refused_by_name(path: tuple[Any, ...], value: object) -> None:
    trigger = next(document for _, document in documents() if document["kind"] == "Trigger")
    holder: Any = trigger
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    with pytest.raises(ConfigurationError, match=r"manifest x\.yaml, "):
        parse_manifest(trigger, "x.yaml")


def test_ticks_are_rare_on_a_cluster_and_frequent_here() -> None:
    sources = {each.metadata.name: each for each in MANIFESTS if isinstance(each, PingSource)}
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    ticks = {
        name: [
            (Schedule.parse(text).next(noon) - noon).total_seconds()
            for text in (each.spec.schedule, each.local_schedule)
        ]
        for name, each in sources.items()
    }
    assert ticks == {"station-poll": [120, 10], "aux-poll": [60, 60], "product-intake": [120, 60], "sweep": [300, 30]}


def test_a_local_schedule_that_is_none_is_refused() -> None:
    ping = next(document for _, document in documents() if document["kind"] == "PingSource")
    ping["metadata"]["annotations"] = {LOCAL_SCHEDULE: "often"}
    with pytest.raises(ConfigurationError, match=LOCAL_SCHEDULE):
        parse_manifest(ping, "x.yaml")
    del ping["metadata"]["annotations"]
    parsed = parse_manifest(ping, "x.yaml")
    assert isinstance(parsed, PingSource)
    assert parsed.local_schedule == parsed.spec.schedule


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="kind"):
        parse_manifest({"kind": "Deployment"}, "x.yaml")


def test_a_kustomization_that_names_no_file(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gone.yaml]\n"
    )
    with pytest.raises(ConfigurationError, match=r"gone\.yaml"):
        load_manifests(tmp_path)


@pytest.mark.parametrize(("text", "seconds"), [("PT0.5S", 0.5), ("PT1M30S", 90), ("PT2H", 7200)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "PT", "5s", "P1D", "PT-1S"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_back_off() -> None:
    exponential = Delivery.model_validate({"retry": 3, "backoffPolicy": "exponential", "backoffDelay": "PT0.5S"})
    linear = Delivery.model_validate({"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT0.5S"})
    assert [exponential.delay_s(n) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert [linear.delay_s(n) for n in (1, 2, 3)] == [0.5, 1.0, 1.5]


# The judgement of Knative's own schemas, where they are at hand.

CRDS = Path(os.environ.get("S2PS_TEST_DATA", ROOT.parent / "shared" / "data")) / "crds"


@pytest.fixture(scope="module")
def schemas() -> dict[tuple[str, str], dict[str, Any]]:
    if not CRDS.is_dir():
        pytest.skip(f"no custom resource definitions at {CRDS}")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in CRDS.glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "CustomResourceDefinition":
                spec = document["spec"]
                for version in spec["versions"]:
                    schema = version.get("schema", {}).get("openAPIV3Schema")
                    found[(f"{spec['group']}/{version['name']}", spec["names"]["kind"])] = schema
    return found


def test_field_names_are_knatives(schemas: dict[tuple[str, str], dict[str, Any]]) -> None:
    judged = 0
    for name, document in documents():
        schema = schemas.get((document["apiVersion"], document["kind"]))
        if schema is not None:
            judged += 1
            faults = list(unknown_fields(schema, document, name))
            assert faults == []
    assert judged == sum(
        ".knative.dev/" in each.api_version for each in MANIFESTS if not isinstance(each, Kustomization)
    )


def unknown_fields(schema: dict[str, Any], value: Any, where: str) -> Iterator[str]:
    """Fields that a structural schema does not know; a schema without properties knows all."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from unknown_fields(schema.get("items", {}), each, f"{where}[{index}]")
    if not isinstance(value, dict) or "properties" not in schema or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    for name, each in value.items():
        if where.count(".") == 1 and name in {"apiVersion", "kind", "metadata"}:
            continue
        if name not in schema["properties"]:
            yield f"{where}.{name}"
        else:
            yield from unknown_fields(schema["properties"][name], each, f"{where}.{name}")
