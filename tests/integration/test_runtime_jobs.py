"""The job host with real processes: order, room, time limits, kills, restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eventing.local.job_host import JobHost
from eventing.local.spool import Capacity
from shared.adapters.local_jobs import LocalJobLauncher
from shared.domain.events import Event
from shared.ports import CLEAN, JobSpec, JobState
from tests.support.runs import wait_for

# A Job: says that it began, then does what its work's name says.
SCRIPT = """
import os, signal, subprocess, sys, time
from pathlib import Path
folder, what = Path(__file__).parent, sys.argv[sys.argv.index("--work" if "run" in sys.argv else "clean") + 1]
with (folder / "began").open("a") as log:
    log.write(f"{what} {os.getpid()} {os.environ['TRACEPARENT']} {os.nice(0)}\\n")
if what == "fails":
    sys.exit(3)
if what in {"hangs", "deaf"}:
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "child").write_text(str(child.pid))
    time.sleep(600)
"""


class Host:
    """A job host over a folder, and the events that it sent."""

    def __init__(self, folder: Path, *, cpus: float = 1.0, grace_s: float = 10.0) -> None:
        self.folder, self.jobs = folder, folder / "jobs"
        self.launcher = LocalJobLauncher(self.jobs)
        self.events: list[Event] = []
        (folder / "job.py").write_text(SCRIPT)
        command = (sys.executable, str(folder / "job.py"))
        self.host = JobHost(self.jobs, command, {}, Capacity(cpus, 10_000), self.events.append, grace_s=grace_s)

    def began(self) -> list[list[str]]:
        path = self.folder / "began"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def launch(
        self, name: str, work: str = "works", *, minutes: int = 0, limit_s: int = 600, cpus: float = 1.0
    ) -> None:
        deadline = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        self.launcher.launch(JobSpec(name, work, 1, "S", "l0u", "u", cpus, 100, limit_s, deadline, 0, f"tp-{name}"))

    def ended(self, name: str) -> JobState:
        def final() -> JobState | None:
            state = self.launcher.state(name)
            return state if state is not None and state.phase in {"succeeded", "failed"} else None

        state: JobState = wait_for(final, f"job {name} to end")
        return state


@contextmanager
def running(host: Host) -> Iterator[Host]:
    host.host.start()
    try:
        yield host
    finally:
        host.host.close()


def test_jobs_run_one_by_one_by_their_deadline(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for name, minutes in (("late", 30), ("soon", 10), ("next", 20)):
        host.launch(name, minutes=minutes)
    with running(host):
        assert [host.ended(name).phase for name in ("soon", "next", "late")] == ["succeeded"] * 3
        wait_for(lambda: len(host.events) == 3, "the events")
    assert [each[2] for each in host.began()] == ["tp-soon", "tp-next", "tp-late"]
    assert [event.subject for event in host.events] == ["soon", "next", "late"]
    assert all(int(each[3]) >= 5 for each in host.began()), "Jobs leave the machine to the functions"


def test_as_many_at_once_as_there_is_room_for(tmp_path: Path) -> None:
    with running(Host(tmp_path, cpus=2)) as host:
        for name in ("a", "b", "c"):
            host.launch(name, "hangs")
        wait_for(lambda: len(host.began()) == 2, "two to run")
        assert len(host.host.figures()["running"]) == 2
        wait_for(lambda: host.host.figures()["waiting"], "one to wait")
        assert len(host.began()) == 2


def test_failures_and_kills_are_told(tmp_path: Path) -> None:
    with running(Host(tmp_path)) as host:
        host.launch("fails", "fails")
        assert host.ended("fails") == JobState("failed", 3, "BackoffLimitExceeded")
        host.launch("killed", "hangs")
        wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text(), "the Job's child")
        child = int((tmp_path / "child").read_text())
        os.kill(int(host.began()[-1][1]), signal.SIGKILL)
        assert host.ended("killed") == JobState("failed", 137, "BackoffLimitExceeded")
        wait_for(lambda: not _alive(child), "the Job's child to be ended with it")
    conditions = [event.data["status"]["conditions"][0] for event in host.events]
    assert [(each["type"], each["message"]) for each in conditions] == [
        ("Failed", "exit code 3"),
        ("Failed", "exit code 137"),
    ]


@pytest.mark.parametrize("how", ["hangs", "deaf"])
def test_a_job_over_its_time_is_ended_with_all_its_children(tmp_path: Path, how: str) -> None:
    with running(Host(tmp_path, grace_s=0.3)) as host:
        host.launch("slow", how, limit_s=1)
        state = host.ended("slow")
        assert (state.phase, state.reason) == ("failed", "DeadlineExceeded")
        assert state.exit_code == (143 if how == "hangs" else 137)
        child = int((tmp_path / "child").read_text())
        wait_for(lambda: not _alive(child), "the Job's child to be ended")


def test_what_ended_is_not_run_again_by_the_next_host(tmp_path: Path) -> None:
    with running(Host(tmp_path)) as host:
        host.launch("once")
        host.ended("once")
    with running(Host(tmp_path)) as host:
        host.launch("once")
        host.launch("after")
        host.ended("after")
    assert [each[2] for each in host.began()] == ["tp-once", "tp-after"]


def test_a_job_that_waited_when_the_host_died_is_run_by_the_next(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.launch("waiting")
    with running(Host(tmp_path)) as after:
        assert after.ended("waiting").phase == "succeeded"


def test_a_job_that_ran_when_the_host_stopped_is_lost(tmp_path: Path) -> None:
    with running(Host(tmp_path)) as host:
        host.launch("ran", "hangs")
        wait_for((tmp_path / "child").exists, "the Job to run")
    assert not _alive(int(host.began()[0][1]))
    with running(Host(tmp_path)) as after:
        assert after.ended("ran") == JobState("failed", None, "NodeLost")
        wait_for(lambda: after.events, "the event")
    assert after.events[0].data["status"]["conditions"][0]["reason"] == "NodeLost"


def test_a_spooled_file_that_is_no_job_stops_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.jobs.mkdir()
    (host.jobs / "broken.json").write_text("{")
    with running(host):
        host.launch("good")
        assert host.ended("good").phase == "succeeded"
        assert host.ended("broken") == JobState("failed", None, "Invalid")


def test_a_launch_is_seen_at_once(tmp_path: Path) -> None:
    """From another process, as a function launches."""
    with running(Host(tmp_path)) as host:
        code = (
            "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
            "from shared.adapters.local_jobs import LocalJobLauncher; from shared.ports import JobSpec\n"
            "LocalJobLauncher(Path(sys.argv[1])).launch(JobSpec('x','works',1,'S','l0u','u',1.0,100,60,"
            "datetime(2026,1,1,tzinfo=UTC),0,'tp'))"
        )
        launches = [threading.Thread(target=_python, args=(code, str(host.jobs))) for _ in range(2)]
        for each in launches:
            each.start()
        for each in launches:
            each.join()
        assert host.ended("x").phase == "succeeded"
        assert len(host.began()) == 1


def _python(code: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=60)


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_job_that_clears_a_volume_runs_and_settles_no_work(tmp_path: Path) -> None:
    with running(Host(tmp_path)) as host:
        deadline = datetime(2026, 1, 1, tzinfo=UTC)
        host.launcher.launch(JobSpec("clear-1", "", 1, "S", CLEAN, "l1", 0.25, 100, 60, deadline, 0, "tp"))
        assert host.ended("clear-1") == JobState("succeeded", 0)
        assert host.began()[0][0] == "--session"
        host.launch("next")
        host.ended("next")
        wait_for(lambda: host.events, "the event of the one that settles work")
        assert [event.subject for event in host.events] == ["next"]
