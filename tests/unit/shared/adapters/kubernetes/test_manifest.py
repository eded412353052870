"""The Job object: taken by the API server, whatever the names, and as tight as it is meant to be."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventing.local.spool import in_order
from functions.job_settlement.step import job_end
from shared.adapters.kubernetes.clearing import clearing_manifest
from shared.adapters.kubernetes.manifest import job_manifest, label_value, literal, priority_class
from shared.domain.urgency import turn
from shared.errors import BadInputError, ConfigurationError
from shared.ledger.keys import WorkKey
from shared.ports import CLEAN, JobSpec
from shared.settings import Settings
from shared.workflow.graph import Processor, Volume, load_workflow
from shared.workflow.processor import Shared
from tests.support.kube_judge import expand, policy_action, quantity, refusals, rules

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
WORKFLOW = load_workflow("open")
ESA = load_workflow("esa")
EVERYTHING = Settings(
    images={"s2ps-functions": "registry.example/s2ps-functions:0.1.0", "ipf-l1b": "registry.example/ipf:7"},
    job_queue="production",
    job_priorities=((75.0, "soon"), (30.0, "urgent")),
    job_scratch_class="cephfs",
)
LICENSED = WORKFLOW.processors["l1b"].model_copy(
    update={
        "image": "ipf-l1b",
        "shell": ("/scratch/job/.s2ps/busybox", "sh"),
        "env": {"PRICE": "$(HOME) costs $5", "TMPDIR": "/elsewhere"},
        "user": 40001,
        "read_only_root": True,
        "scratch_gb": 200,
        "volumes": (
            Volume(claim="dem", path="/data/dem"),
            Volume(claim="gri", path="/data/gri", sub_path="europe"),
            Volume(claim="gri", path="/data/gri-2"),
            Volume(claim="cache", path="/data/cache", read_only=False),
        ),
        "shared": Shared(claim="s2-l1-shared"),
    }
)


def spec(
    step: str = "l1b",
    *,
    session: str = "S2A_20261122100000000123",
    unit: str = "DT01",
    number: int = 1,
    shared: str = "S2A_1/DT01",
) -> JobSpec:
    place = WorkKey(session, step, unit, "0123456789abcdef" * 4)
    processor = WORKFLOW.processors.get(step, WORKFLOW.processors["l1b"])
    return JobSpec(
        name=place.job_name(number),
        work=place.prefix,
        attempt=number,
        session=session,
        step=step,
        unit=unit,
        cpus=processor.cpus,
        memory_mb=processor.memory_mb,
        time_limit_s=processor.time_limit_s + 900,
        deadline=NOW + timedelta(minutes=120),
        priority=0,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        shared=shared,
    )


def made(
    step: str = "l1b", *, processor: Processor | None = None, given: Settings | None = None, **more: Any
) -> dict[str, Any]:
    return job_manifest(spec(step, **more), processor or WORKFLOW.processors[step], given or Settings(), NOW)


def containers(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pod = job["spec"]["template"]["spec"]
    return {each["name"]: each for each in (*pod["initContainers"], *pod["containers"])}


@pytest.mark.parametrize("step", WORKFLOW.processors)
def test_the_api_server_takes_the_job_of_every_open_processor(step: str) -> None:
    assert refusals(made(step)) == []


def test_the_api_server_takes_a_job_with_everything() -> None:
    assert refusals(made(processor=LICENSED, given=EVERYTHING, shared="S/DT01")) == []


@pytest.mark.parametrize("step", ESA.processors)
def test_the_api_server_takes_the_job_of_every_licensed_processor(step: str) -> None:
    assert refusals(made(step, processor=ESA.processors[step], shared="S2A_1/S2A_OPER_MSI_L0__DS_1")) == []


def test_steps_that_share_a_volume_see_the_folder_of_their_datastrip_alone() -> None:
    job = made("l1c", processor=ESA.processors["l1c"], unit="DS1-T32TQM", shared="S2A_1/DS1")
    parts, pod = containers(job), job["spec"]["template"]["spec"]
    volumes = {v["name"]: v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    (name,) = (name for name, claim in volumes.items() if claim["claimName"] == "s2-l1-shared")
    assert volumes[name]["readOnly"] is False
    for part in parts.values():
        mounts = [mount for mount in part["volumeMounts"] if mount["name"] == name]
        assert mounts == [{"name": name, "mountPath": "/shared", "subPath": "S2A_1/DS1"}]
    assert parts["stage-in"]["command"][-2:] == parts["stage-out"]["command"][-2:] == ["--shared", "/shared"]
    assert "--shared" not in containers(made())["stage-in"]["command"]


def test_a_job_that_does_not_say_which_folder_it_shares_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="its folder"):
        made("l1a", processor=ESA.processors["l1a"], shared="")


def test_the_job_that_clears_a_volume_sees_all_of_it_and_no_ipf_runs_in_it() -> None:
    told = replace(spec(), name="clear-0123-1", work="", step=CLEAN, unit="s2-l1-shared", cpus=0.25, memory_mb=512)
    job = clearing_manifest(told, EVERYTHING)
    assert refusals(job) == []
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "initContainers" not in pod
    assert container["command"][2:] == [
        *("functions.ipf.runner", "clean", "--session", "S2A_20261122100000000123"),
        *("--claim", "s2-l1-shared", "--shared", "/shared"),
    ]
    assert container["image"] == "registry.example/s2ps-functions:0.1.0"
    assert {"name": "shared", "mountPath": "/shared"} in container["volumeMounts"]
    assert container["securityContext"] == containers(made())["stage-in"]["securityContext"]
    assert pod["securityContext"] == made()["spec"]["template"]["spec"]["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert "s2ps.org/work" not in job["metadata"]["annotations"]
    assert job_end(job | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}) is None


def paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field whose name is the API's, not ours."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            if key not in {"labels", "annotations", "limits", "requests"}:
                yield from paths(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from paths(value, (*path, index))


def test_a_misspelt_field_is_refused_wherever_it_stands() -> None:
    job = made(processor=LICENSED, given=EVERYTHING)
    seen: set[tuple[Any, ...]] = set()
    for path in paths(job):
        shape = tuple(part for part in path if isinstance(part, str))
        if shape in seen or shape in {("apiVersion",), ("kind",)}:
            continue
        seen.add(shape)
        wrong = copy.deepcopy(job)
        node = wrong
        for part in path[:-1]:
            node = node[part]
        node[f"{path[-1]}x"] = node.pop(path[-1])
        assert refusals(wrong), f"{path} misspelt was taken"
    assert len(seen) > 80


def test_who_it_is_for_stands_on_the_job_and_on_its_pod() -> None:
    job = made(unit="DT01", number=3)
    assert job["metadata"]["name"] == spec(unit="DT01", number=3).name
    assert job["metadata"]["name"].startswith("l1b-")
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/part-of": "s2ps",
                "app.kubernetes.io/component": "ipf",
                "s2ps.org/step": "l1b",
                "s2ps.org/attempt": "3",
            }.items()
        )
        assert metadata["annotations"]["s2ps.org/work"].startswith("sessions/S2A_20261122100000000123/work/l1b/DT01/")
        assert metadata["annotations"]["s2ps.org/unit"] == "DT01"


def test_the_three_containers_run_what_the_runner_and_the_image_expect() -> None:
    parts = containers(made())
    assert list(parts) == ["stage-in", "ipf", "stage-out"]
    for name in ("stage-in", "stage-out"):
        assert parts[name]["command"][:4] == ["python", "-m", "functions.ipf.runner", name]
        assert parts[name]["command"][-2:] == ["--scratch", "/scratch/job"]
        assert parts[name]["image"] == "s2ps-functions"
    assert parts["ipf"]["command"] == [
        *("/bin/sh", "/scratch/job/.s2ps/ipf.sh", "/scratch/job", "3600"),
    ]


def test_images_are_looked_up_by_name() -> None:
    parts = containers(made(processor=LICENSED, given=EVERYTHING))
    assert parts["ipf"]["image"] == "registry.example/ipf:7"
    assert parts["stage-in"]["image"] == "registry.example/s2ps-functions:0.1.0"


def test_a_processor_without_an_image_is_named() -> None:
    nameless = WORKFLOW.processors["l0u"].model_copy(update={"image": ""})
    with pytest.raises(ConfigurationError, match=r"S2PS-L0U 0\.3\.0, image"):
        made("l0u", processor=nameless)


def test_the_ipf_gets_no_settings_no_credentials_and_no_token() -> None:
    job = made(processor=LICENSED, given=EVERYTHING)
    pod, parts = job["spec"]["template"]["spec"], containers(job)
    assert "envFrom" not in parts["ipf"]
    assert not any(env["name"].startswith(("S2PS_", "AWS_")) for env in parts["ipf"]["env"])
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]
    for name in ("stage-in", "stage-out"):
        assert [next(iter(each)) for each in parts[name]["envFrom"]] == ["configMapRef", "secretRef"]


def test_what_the_ipf_leaves_behind_is_never_home_or_tmp_of_a_stage_with_credentials() -> None:
    parts = containers(made())
    writable = {mount["name"]: mount["mountPath"] for mount in parts["ipf"]["volumeMounts"]}
    shared = {m["mountPath"] for m in parts["stage-out"]["volumeMounts"] if m["name"] in writable}
    assert shared == {"/scratch"}
    env = {each["name"]: each["value"] for each in parts["stage-out"]["env"]}
    assert not any(env[name].startswith("/scratch") for name in ("HOME", "TMPDIR"))
    assert env["PYTHONNOUSERSITE"] == "1"


def test_home_and_tmp_of_the_ipf_are_writable_and_the_set_may_choose_others() -> None:
    mounts = {mount["mountPath"] for mount in containers(made())["ipf"]["volumeMounts"]}
    env = {each["name"]: each["value"] for each in containers(made())["ipf"]["env"]}
    assert {env["HOME"], env["TMPDIR"]} <= mounts
    chosen = {each["name"]: each["value"] for each in containers(made(processor=LICENSED))["ipf"]["env"]}
    assert chosen["TMPDIR"] == "/elsewhere"


def test_the_trace_goes_into_every_container() -> None:
    for each in containers(made()).values():
        assert {"name": "TRACEPARENT", "value": spec().traceparent} in each["env"]


def test_pod_security_is_restricted() -> None:
    job = made(processor=LICENSED, given=EVERYTHING)
    pod = job["spec"]["template"]["spec"]
    assert (
        pod["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
    )
    for each in containers(job).values():
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert context.get("runAsUser", pod["securityContext"]["runAsUser"]) > 0
    kinds = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds <= {"emptyDir", "ephemeral", "configMap", "persistentVolumeClaim"}
    assert containers(job)["ipf"]["securityContext"]["runAsUser"] == 40001


def test_an_image_that_writes_into_itself_may() -> None:
    parts = containers(made())
    assert parts["ipf"]["securityContext"]["readOnlyRootFilesystem"] is False
    assert parts["stage-out"]["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_job_may_wait_for_a_place_longer_than_it_may_run() -> None:
    job = made()
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3600 + 900
    assert job["spec"]["activeDeadlineSeconds"] == 3600 + 900 + Settings().job_wait_s


def test_memory_is_reserved_as_a_whole_and_processors_are_not_limited() -> None:
    resources = containers(made())["ipf"]["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == "4096Mi"
    assert resources["requests"]["cpu"] == "2000m"
    assert "cpu" not in resources["limits"]


def test_scratch_on_the_node_is_bounded_and_reckoned_with() -> None:
    job = made()
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "20Gi"}
    disk = containers(job)["ipf"]["resources"]
    assert disk["requests"]["ephemeral-storage"] == "20Gi"
    bounds = [volumes[name]["emptyDir"]["sizeLimit"] for name in ("scratch", "tmp", "ipf-tmp")]
    assert quantity(disk["limits"]["ephemeral-storage"]) > sum(map(quantity, bounds))


def test_scratch_of_a_storage_class_is_a_claim_that_lives_with_the_pod() -> None:
    job = made(processor=LICENSED, given=EVERYTHING)
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    claim = volumes["scratch"]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("cephfs", "200Gi")
    assert quantity(containers(job)["ipf"]["resources"]["limits"]["ephemeral-storage"]) < quantity("10Gi")


def test_volumes_of_a_processor_are_claims_that_only_the_ipf_sees() -> None:
    job = made(processor=LICENSED)
    claims = {
        v["name"]: v["persistentVolumeClaim"]
        for v in job["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in v and v["persistentVolumeClaim"]["claimName"] != "s2-l1-shared"
    }
    assert [(c["claimName"], c["readOnly"]) for c in claims.values()] == [
        ("dem", True),
        ("gri", True),
        ("cache", False),
    ]
    parts = containers(job)
    mounts = {m["mountPath"]: m for m in parts["ipf"]["volumeMounts"] if m["name"] in claims}
    assert set(mounts) == {"/data/dem", "/data/gri", "/data/gri-2", "/data/cache"}
    assert mounts["/data/gri"]["subPath"] == "europe"
    assert {path: m["readOnly"] for path, m in mounts.items() if path != "/data/cache"} == dict.fromkeys(
        ("/data/dem", "/data/gri", "/data/gri-2"), True
    )
    assert not any(m["name"] in claims for m in parts["stage-out"]["volumeMounts"])


@pytest.mark.parametrize(
    ("minutes", "expected"), [(-5, "urgent"), (29, "urgent"), (30, "soon"), (74, "soon"), (75, None), (200, None)]
)
def test_the_less_slack_the_higher_the_priority(minutes: float, expected: str | None) -> None:
    now = spec().deadline - timedelta(minutes=minutes)
    job = job_manifest(spec(), WORKFLOW.processors["l1b"], EVERYTHING, now)
    assert job["spec"]["template"]["spec"].get("priorityClassName") == expected
    assert job["metadata"]["labels"].get("kueue.x-k8s.io/priority-class") == expected
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "production"


def test_without_a_queue_there_is_no_label_of_kueue_and_kueue_suspends_by_itself() -> None:
    assert not any(
        "kueue" in key for key in made(given=EVERYTHING.model_copy(update={"job_queue": ""}))["metadata"]["labels"]
    )
    assert "suspend" not in made(given=EVERYTHING)["spec"]


DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize(
    ("container", "code", "disrupted", "action"),
    [
        ("stage-in", 1, False, "Count"),
        ("stage-out", 1, False, "Count"),
        ("stage-in", 137, False, "FailJob"),
        ("stage-out", 143, False, "FailJob"),
        ("stage-out", 2, False, "FailJob"),
        ("ipf", 137, False, "FailJob"),
        ("ipf", 1, False, "FailJob"),
        ("ipf", 128, False, "FailJob"),
        ("ipf", 137, True, "Count"),
        ("stage-out", 143, True, "Count"),
    ],
)
def test_which_end_of_a_pod_brings_another(container: str, code: int, disrupted: bool, action: str) -> None:
    status = {"containerStatuses": [{"name": container, "state": {"terminated": {"exitCode": code}}}]}
    assert policy_action(made(), {**status, **(DISRUPTED if disrupted else {})}) == action


HOSTILE = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=200)


@settings(max_examples=300, deadline=None)
@given(session=HOSTILE, unit=HOSTILE, number=st.integers(1, 99))
def test_no_session_and_no_unit_can_make_a_job_that_is_refused(session: str, unit: str, number: int) -> None:
    job = made(session=session, unit=unit, number=number)
    assert list(rules(job)) == []
    for name in ("stage-in", "stage-out"):
        command = containers(job)[name]["command"]
        work = command[command.index("--work") + 1]
        assert expand(work, {"HOME": "wrong"}) == spec(session=session, unit=unit).work


@given(st.text(max_size=100))
def test_a_label_value_is_always_one(text: str) -> None:
    job = made()
    job["metadata"]["labels"]["s2ps.org/step"] = label_value(text)
    assert list(rules(job)) == []


@given(st.text(st.sampled_from("$()AB "), max_size=30))
def test_arguments_and_environment_arrive_as_they_are(text: str) -> None:
    assert expand(literal(text), {"A": "1", "B": "2", "AB": "3"}) == text


@pytest.mark.parametrize("name", ["", "-a", "L1B-0-1", "a" * 64, "l1b_0", "l1b-0\n"])
def test_a_name_that_is_no_dns_label_is_refused_here(name: str) -> None:
    wrong = JobSpec(**{**{f: getattr(spec(), f) for f in JobSpec.__slots__}, "name": name})
    with pytest.raises(BadInputError, match="job name: expected a DNS label"):
        job_manifest(wrong, WORKFLOW.processors["l1b"], Settings(), NOW)


@pytest.mark.parametrize(("priority", "expected"), [(100, "urgent"), (0, "soon"), (-50, None)])
def test_a_point_of_priority_counts_as_five_minutes_of_slack(priority: int, expected: str | None) -> None:
    job = replace(spec(), priority=priority)
    found = job_manifest(job, WORKFLOW.processors["l1b"], EVERYTHING, job.deadline - timedelta(minutes=60))
    assert found["spec"]["template"]["spec"].get("priorityClassName") == expected


OFFSETS = st.tuples(st.integers(-10, 10), st.integers(-60, 150))


@given(OFFSETS, OFFSETS)
def test_what_goes_first_here_is_in_no_lower_class_there(one: tuple[int, int], other: tuple[int, int]) -> None:
    jobs = [replace(spec(), name=f"j{n}", priority=p, deadline=NOW + timedelta(minutes=m)) for n, (p, m) in
            enumerate((one, other))]  # fmt: skip
    ranks = {name: place for place, (_, name) in enumerate(sorted(EVERYTHING.job_priorities))}
    here, there = (
        ranks.get(priority_class(EVERYTHING, turn(each.priority, each.deadline), NOW), len(ranks))
        for each in in_order(jobs)
    )
    assert here <= there
