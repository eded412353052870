"""What the kind overlay promises: the session of ``make run``, on a small node, from a store of its own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from functions.cli.demo import run
from functions.cli.main import main
from shared.adapters.http_sink import HELD_S
from shared.rehearsal.__main__ import main as simulate
from shared.rehearsal.station import main as serve
from tests.support.kube_judge import quantity
from tests.support.manifests import KIND, PASS, ROOT, Document, containers, data_of, job_of, pods, settings_of, workflow


def pod(documents: list[Document], name: str) -> Document:
    return next(spec for found, _, spec in pods(documents) if found == name)


def given(command: click.Command, words: list[str]) -> dict[str, Any]:
    """What a command line sets, as text, as the command itself reads it; nothing runs."""
    # A command keeps the names of the help option of the first context that asks for them.
    context = click.Context(command, parent=click.Context(main, **main.context_settings))
    found, _, _ = command.make_parser(context).parse_args(list(words))
    values = {str(each.name): found.get(str(each.name)) or each.get_default(context) for each in command.params}
    return {name: str(value) if isinstance(value, (str, int, float)) else "" for name, value in values.items()}


def test_the_pass_is_the_session_of_make_run(station: list[Document]) -> None:
    (maker,) = pod(station, "Deployment station")["initContainers"]
    assert maker["command"][:2] == ["s2ps", "simulate"]
    mine, demo = given(simulate, maker["command"][2:]), given(run, [])
    for option in ("scenes", "detectors", "seed", "chunk_mib"):
        assert mine[option] == demo[option], option
    assert mine["image"] == mine["faults"] == ""


def test_the_station_serves_what_was_recorded_where_the_settings_look(
    kind: list[Document], station: list[Document]
) -> None:
    spec = pod(station, "Deployment station")
    (server,) = spec["containers"]
    assert server["command"][:2] == ["s2ps", "station"]
    heard = given(serve, server["command"][2:])
    assert heard["recording"] == spec["initContainers"][0]["command"][-1]
    (pickup,) = settings_of(kind).stations
    (service,) = (each for each in station if each["kind"] == "Service")
    assert pickup.url == f"http://{service['metadata']['name']}.s2ps.svc.cluster.local:{heard['port']}/"
    assert heard["host"] == "0.0.0.0"  # noqa: S104 - in a pod that policies guard
    assert (pickup.user, pickup.password.get_secret_value()) == (heard["user"], heard["password"])
    assert float(heard["rate"]) == float(given(run, [])["rate"])


def test_the_store_is_where_the_settings_say(kind: list[Document]) -> None:
    settings = settings_of(kind)
    (service,) = (each for each in kind if each["kind"] == "Service" and each["apiVersion"] == "v1")
    (port,) = service["spec"]["ports"]
    assert settings.store_endpoint == f"http://{service['metadata']['name']}.s2ps.svc.cluster.local:{port['port']}"
    (store,) = pod(kind, "StatefulSet store")["containers"]
    assert f"-s3.port={port['port']}" in store["command"]
    secrets = {each["name"]: each["valueFrom"]["secretKeyRef"]["key"] for each in store["env"] if "valueFrom" in each}
    assert secrets == {
        "AWS_ACCESS_KEY_ID": "S2PS_STORE_ACCESS_KEY",
        "AWS_SECRET_ACCESS_KEY": "S2PS_STORE_SECRET_KEY",
        "WEED_NOTIFICATION_WEBHOOK_BEARER_TOKEN": "S2PS_NOTIFICATION_TOKEN",
    }


def test_the_store_notifies_of_the_ledger_alone_and_waits_for_the_broker(kind: list[Document]) -> None:
    text = (data_of(kind, "ConfigMap", "store") or {})["notification.toml"]
    webhook = tomllib.loads(text)["notification"]["webhook"]
    settings = settings_of(kind)
    assert webhook["endpoint"].rstrip("/") == settings.notification_url
    assert webhook["path_prefixes"] == [f"/buckets/{settings.bucket_ledger}/"]
    assert "bearer_token" not in webhook
    (function,) = (
        each for each in kind if each["metadata"]["name"] == "object-events" and "serving" in each["apiVersion"]
    )
    assert webhook["timeout_seconds"] >= function["spec"]["template"]["spec"]["timeoutSeconds"]


def test_a_broker_in_memory_may_deliver_to_the_end(kind: list[Document]) -> None:
    """It does so while its sender's request stays, and a pod that is going has the timeout of its Service left."""
    triggers = [each["spec"]["delivery"]["timeout"] for each in kind if each["kind"] == "Trigger"]
    assert max(int(each.strip("PTS")) for each in triggers) <= HELD_S
    templates = [each["spec"]["template"] for each in kind if each["apiVersion"].startswith("serving.")]
    senders = [each for each in templates if "s2ps.org/sends-events" in each["metadata"]["labels"]]
    assert len(senders) == 2
    assert all(each["spec"]["timeoutSeconds"] >= HELD_S for each in senders)


def test_the_small_processor_set_is_the_open_one_but_for_what_it_asks_for() -> None:
    small = yaml.safe_load((KIND / "processors" / "open-small.yaml").read_text())
    full = yaml.safe_load((ROOT / "shared" / "workflow" / "processors" / "open.yaml").read_text())
    for step, processor in full["processors"].items():
        ours = small["processors"][step]
        assert 0 < ours.pop("cpus") <= processor.pop("cpus")
        assert 0 < ours.pop("memory_mb") <= processor.pop("memory_mb")
        assert 0 < ours.pop("scratch_gb") <= 4  # where a node has less disk than a Job asks for, the Job waits for ever
    assert small == full


def test_it_fits_a_small_node(kind: list[Document], station: list[Document], tmp_path: Path) -> None:
    """Two instances of each function, store, station, and a Job: beside the three cores of Kubernetes and Knative."""
    jobs = [job_of(kind, step.name, tmp_path) for step in workflow(kind, tmp_path).steps]
    asked = {"cpu": 0.0, "memory": 0.0}
    for name, _, spec in pods([*kind, *station]):
        for each in spec["containers"]:
            for resource in asked:
                asked[resource] += quantity(each["resources"]["requests"][resource]) * (
                    2 if name.startswith("Service") else 1
                )
    for resource in asked:
        asked[resource] += max(
            quantity(each["resources"].get("requests", {}).get(resource, "0"))
            for job in jobs
            for each in containers(job["spec"]["template"]["spec"])
        )
    assert asked["cpu"] <= 1
    assert asked["memory"] <= 8 * 2**30


@pytest.mark.parametrize("folder", [KIND, PASS])
def test_the_readme_names_what_is_applied(folder: Path) -> None:
    assert f"kubectl apply -k {folder.relative_to(ROOT)}" in (KIND / "README.md").read_text()


def test_the_readme_counts_the_functions(kind: list[Document]) -> None:
    functions = sum(each["apiVersion"].startswith("serving.") for each in kind)
    word = {11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen"}[functions]
    assert f"# {word} functions, READY True" in (KIND / "README.md").read_text()
