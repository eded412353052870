"""The runner as a process, against a real store, with small processors that behave and misbehave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.ipf.runner import cli
from functions.ipf.runner.patience import patiently
from shared.bootstrap import Services
from shared.errors import StoreUnavailableError
from shared.ledger import keys
from shared.ledger.records import Complete
from shared.ports import ObjectStore
from shared.settings import Settings
from shared.strategy.shelf import StrategyShelf
from shared.workflow.plan import Source
from shared.workflow.reruns import Rerun
from tests.support.bench import PREAMBLE, SESSION, Bench, claim, make_bench, processor_set
from tests.support.pod import CONTAINERS, pod_of


@pytest.fixture
def bench(own_buckets: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    script, changes = request.param if isinstance(request.param, tuple) else (request.param, {})
    return make_bench(own_buckets, tmp_path, processor_set(tmp_path, script, **changes))


# The whole runner as one process, and the three containers of a pod.
HOW = ("run", "pod")


def run(bench: Bench, how: str) -> str:
    """Run the attempt; returns what was said."""
    if how == "run":
        done = bench.run()
        assert done.returncode == 0, done.stderr
        return done.stderr
    ended = pod_of(bench, bench.folder / "pod", users=False).run()
    assert [(container.name, container.code) for container in ended] == [(name, 0) for name in CONTAINERS]
    return "".join(container.output for container in ended)


GOOD = """
assert [p.read_bytes()[0] for p in raw] == [1, 2] and [p.parent.name for p in raw] == ["ch_1", "ch_2"]
assert "S2PS_STORE_SECRET_KEY" not in os.environ and os.environ["TRACEPARENT"].startswith("00-aaaa")
strip("DT01"); strip("DT02", size=20 << 20)
log("I", "made")
"""


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_inputs_in_process_run_outputs_named_by_the_outcome(bench: Bench) -> None:
    done = bench.run()
    assert done.returncode == 0, done.stderr
    outcome = bench.outcome
    assert outcome is not None, done.stdout + done.stderr
    assert (outcome.status, outcome.exit_code, outcome.warnings) == ("succeeded", 0, ()), outcome.reason
    assert [(a.file_type, a.name, a.unit) for a in outcome.outputs] == [
        ("PDI_L0U", "DT01", "DT01"),
        ("PDI_L0U", "DT02", "DT02"),
    ]
    assert outcome.units == {"datastrip": ("DT01", "DT02")}
    assert outcome.outputs[0].attributes == {"footprint": "1 2 3 4"}
    for artifact in outcome.outputs:
        for file in artifact.files:
            body, info = bench.services.store.get(artifact.bucket, artifact.prefix + file.path)
            assert (len(body), hashlib.sha256(body).hexdigest()) == (file.size, file.sha256)
            assert info.metadata["traceparent"].startswith("00-aaaa")
    assert outcome.figures["input_bytes"] == 200_000
    assert outcome.figures["peak_rss_mb"] > 1
    assert 0.1 < outcome.figures["start_s"] < 60  # a Python process with its imports
    assert bench.scratch() == []
    assert bench.ended() is None
    spans = [
        json.loads(line) for path in (bench.folder / "trace").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert {"stage-in", "execute", "stage-out", "job l0u"} <= {s["name"] for s in _spans(spans)}


def _spans(lines: list[Any]) -> Iterator[dict[str, Any]]:
    for line in lines:
        for resource in line["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                yield from scope["spans"]


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_an_order_for_another_version_of_the_processor_ends_with_that_reason(bench: Bench) -> None:
    document = yaml.safe_load(Path(bench.services.settings.processor_set).read_text())
    document["processors"]["l0u"]["version"] = "9.9.9"
    path = bench.folder / "newer.yaml"
    path.write_text(yaml.safe_dump(document))
    done = bench.run(S2PS_PROCESSOR_SET=str(path))
    assert done.returncode == 0, done.stderr
    ended = bench.ended()
    assert ended is not None
    assert ended.status == "failed"
    assert "expected processor S2PS-L0U 0.3.0 for step l0u, found ('S2PS-L0U', '9.9.9')" in ended.reason


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_an_input_that_has_gone_is_named_with_what_makes_it_anew(bench: Bench) -> None:
    store, bucket = bench.services.store, bench.services.settings.bucket_sessions
    (key, *_) = [info.key for info in store.list(bucket, "") if info.key.endswith(".raw")]
    store.delete(bucket, key)
    run(bench, "run")
    ended = bench.ended()
    assert ended is not None
    assert ended.status == "failed", "no further attempt would find it"
    assert f"Gone: expected {bucket}/{key}, an input of l0u, and it is not in the store any more" in ended.reason
    assert f"s2ps retry {SESSION} --from l0u tells from which step" in ended.reason


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_work_that_was_made_anew_while_its_job_waited_is_not_run(bench: Bench, how: str) -> None:
    now = bench.services.clock.now()
    anew = Rerun(
        created=now, session=SESSION, number=1, step="l0u", since=now, reopened=0, who="ada@console", reason="mended"
    )
    bench.services.ledger.create(anew.key, anew)
    assert "is not run: the work is made anew" in run(bench, how)
    outcome = bench.outcome
    assert outcome is not None
    assert (outcome.status, outcome.attempt, outcome.outputs) == ("no-product", 1, ())
    assert outcome.reason.endswith("made anew by rerun 1 from l0u by ada@console")
    assert bench.ended() is None


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_what_one_step_made_the_next_one_reads(bench: Bench) -> None:
    assert bench.run().returncode == 0
    assert bench.outcome is not None
    script = """
names = sorted(p.relative_to(root).as_posix() for p in (root / "inputs").rglob("*") if p.is_file())
assert names == ["inputs/PDI_L0U/DT01/DS/data.bin", "inputs/PDI_L0U/DT01/MTD.xml"], names
for kind in ("DS", "GR"):
    folder = out / {"DS": "PDI_DS", "GR": "PDI_DS_GR_LIST"}[kind] / f"S2A_TEST_MSI_L0__{kind}_S2PS_X"
    folder.mkdir(); (folder / "a.bin").write_bytes(b"x")
"""
    document = yaml.safe_load(Path(bench.services.settings.processor_set).read_text())
    (bench.folder / "l0c.py").write_text(PREAMBLE + script)
    document["processors"]["l0c"]["command"] = ["python", str(bench.folder / "l0c.py"), "{joborder}"]
    path = bench.folder / "both.yaml"
    path.write_text(yaml.safe_dump(document))
    services = Services(bench.services.settings.model_copy(update={"processor_set": str(path)}))
    complete = services.ledger.read(keys.complete(SESSION), Complete)
    after = claim(services, Source(bench.place.outcome, bench.outcome, SESSION), complete, bench.folder)
    done = after.run()
    assert after.outcome is not None, done.stderr
    assert (after.outcome.status, after.place.step) == ("succeeded", "l0c"), after.outcome.reason


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_what_a_rule_gives_to_another_set_is_run_by_it_out_of_what_the_sessions_set_made(bench: Bench) -> None:
    assert bench.run().returncode == 0
    assert bench.outcome is not None
    assert bench.outcome.processor_set == ""
    script = """
assert [p.name for p in sorted((root / "inputs/PDI_L0U").iterdir())] == ["DT01"]
order = pathlib.Path(sys.argv[1]).read_text()
assert sys.argv[2] == "OTHR" and ">07.77<" in order and ">OTHR<" in order, order
for kind in ("DS", "GR"):
    folder = out / {"DS": "PDI_DS", "GR": "PDI_DS_GR_LIST"}[kind] / f"S2A_TEST_MSI_L0__{kind}_OTHR_X"
    folder.mkdir(); (folder / "a.bin").write_bytes(b"x")
"""
    document = yaml.safe_load(Path(bench.services.settings.processor_set).read_text())
    (bench.folder / "l0c.py").write_text(PREAMBLE + script)
    document["processors"]["l0c"] |= {
        "command": ["python", str(bench.folder / "l0c.py"), "{joborder}", "{SITE}"],
        "version": "7.7.7",
    }
    other = bench.folder / "other.yaml"
    other.write_text(yaml.safe_dump(document | {"site": "OTHR", "baseline": "07.77"}))
    rules = [{"name": "newer", "when": {"steps": ["l0c"]}, "then": {"processor_set": str(other)}}]
    shelf = StrategyShelf(bench.services.ledger)
    active = shelf.activate(
        yaml.safe_dump({"name": "two", "rules": rules}), who="ada", reason="so", now=bench.services.clock.now()
    )
    complete = bench.services.ledger.read(keys.complete(SESSION), Complete)
    bound = complete.model_copy(update={"strategy": active.version})
    after = claim(bench.services, Source(bench.place.outcome, bench.outcome, SESSION), bound, bench.folder)
    done = after.run()
    assert after.outcome is not None, done.stderr
    assert after.outcome.status == "succeeded", after.outcome.reason
    assert after.outcome.processor_set == str(other)


@pytest.mark.parametrize(
    ("bench", "status", "reason"),
    [
        ('strip("DT01"); log("W", "3 packets lost"); sys.exit(3)', "succeeded-with-warnings", ""),
        ('log("W", "no image packets"); sys.exit(1)', "no-product", "no image packets"),
        ("", "failed", "DS_GR_FOLDER"),
        ('strip("DT01"); log("E", "frame 7 is odd"); sys.exit(128)', "failed", "frame 7 is odd"),
        ('strip("DT01", xml="<broken")', "failed", "DS_GR_FOLDER"),
        ('strip("DT01", xml="<!DOCTYPE a [<!ENTITY b \\"c\\">]><a>&b;</a>")', "failed", "DS_GR_FOLDER"),
        ('os.symlink("/etc", out / "DS_GR_FOLDER/DT01")', "failed", "DS_GR_FOLDER"),
        ('strip("DT01"); (out / "DS_GR_FOLDER/DT01/a\\nb").write_text("x")', "failed", "path"),
        ("os.kill(os.getpid(), 11)", "failed", "signal 11"),
    ],
    indirect=["bench"],
)
@pytest.mark.parametrize("how", HOW)
def test_how_runs_end(bench: Bench, how: str, status: str, reason: str) -> None:
    said = run(bench, how)
    outcome = bench.outcome
    assert outcome is not None, said
    assert outcome.status == status
    assert reason in outcome.reason
    if status == "succeeded-with-warnings":
        assert outcome.warnings == ("exit code 3", "3 packets lost")
    else:
        assert outcome.outputs == ()
        assert all(key.endswith("/log.txt") for key in bench.uploaded()), "nothing but the log is left"


LINK = """
strip("DT01")
os.symlink("/etc/passwd", out / "DS_GR_FOLDER/DT01/link")
os.symlink("/etc", out / "DS_GR_FOLDER/DT01/folder")
os.symlink("/etc", os.fsencode(out / "DS_GR_FOLDER/DT01") + b"/\\xff\\xfe")
"""


@pytest.mark.parametrize("bench", [LINK], indirect=True)
def test_links_are_not_followed(bench: Bench) -> None:
    bench.run()
    assert bench.outcome is not None
    assert {file.path for file in bench.outcome.outputs[0].files} == {"MTD.xml", "DS/data.bin"}
    assert any("link" in warning for warning in bench.outcome.warnings)
    assert any(r"\udcff\udcfe" in warning for warning in bench.outcome.warnings), "a name that is no text"


@pytest.mark.parametrize(
    ("bench", "status", "reason"),
    [
        (('strip("DT01"); sys.exit(130)', {"retry_exits": [130]}), "retry", "exit code 130"),
        (
            ("import subprocess; subprocess.Popen(['sleep', '300']); time.sleep(300)", {"time_limit_s": 1}),
            "retry",
            "Dead",
        ),
        ("os.kill(os.getpid(), 9)", "infrastructure", "signal 9"),
        ('log("E", "numpy: MemoryError"); sys.exit(129)', "infrastructure", "OOMKilled"),
        (("", {"command": ["/no/such/program"]}), "infrastructure", "/no/such/program is not there (exit code 127)"),
        (("", {"command": ["/etc/passwd"]}), "infrastructure", "/etc/passwd cannot be executed (exit code 126)"),
    ],
    indirect=["bench"],
)
@pytest.mark.parametrize("how", HOW)
def test_attempts_that_leave_the_work_to_the_next(bench: Bench, how: str, status: str, reason: str) -> None:
    said = run(bench, how)
    assert bench.outcome is None
    ended = bench.ended()
    assert ended is not None, said
    assert ended.retry_at is not None
    assert (ended.status, reason in ended.reason) == (status, True), ended.reason
    assert bench.scratch() == []


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_an_input_with_other_bytes_is_noticed(bench: Bench) -> None:
    complete = bench.services.ledger.read(keys.complete(SESSION), Complete)
    bench.services.store.put(bench.services.settings.bucket_sessions, complete.files[1].key, b"\x02" * 99_999 + b"!")
    assert bench.run().returncode == 0
    ended = bench.ended()
    assert ended is not None
    assert ended.status == "infrastructure"
    assert "SHA-256" in ended.reason
    assert bench.uploaded() == {}


WAITS = """
strip("DT01")
(root.parent.parent / "waiting").touch()
while not (root.parent.parent / "go").exists():
    time.sleep(0.02)
"""


@pytest.mark.parametrize("bench", [WAITS], indirect=True)
def test_two_attempts_at_once_give_one_outcome(bench: Bench) -> None:
    runs = [subprocess.Popen(bench.command(n), env=bench.env()) for n in (1, 2)]
    _until(lambda: (bench.folder / "waiting").exists() and len(bench.scratch()) == 2)
    (bench.folder / "go").touch()
    assert [run.wait(60) for run in runs] == [0, 0]
    outcome = bench.outcome
    assert outcome is not None
    assert all(f"/{outcome.attempt}-" in artifact.prefix for artifact in outcome.outputs)
    assert bench.run(attempt=3).returncode == 0
    assert bench.outcome == outcome


@pytest.mark.parametrize("bench", [WAITS], indirect=True)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_runner_leaves_no_ipf_and_nothing_visible(bench: Bench, how: signal.Signals) -> None:
    run = subprocess.Popen(bench.command(), env=bench.env(), start_new_session=True)
    _until((bench.folder / "waiting").exists)
    os.kill(run.pid, how)
    assert run.wait(30) != 0
    if how == signal.SIGKILL:
        os.killpg(run.pid, signal.SIGKILL)  # what a Job host does with what is left
    _until(lambda: not _alive(run.pid))
    assert not bench.services.ledger.exists(bench.place.outcome)
    assert bench.uploaded() == {}
    if how == signal.SIGTERM:
        assert bench.scratch() == []
    (bench.folder / "go").touch()
    assert bench.run(attempt=2).returncode == 0
    assert bench.outcome is not None
    assert bench.outcome.status == "succeeded"


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_a_store_that_is_down_fails_the_job(bench: Bench) -> None:
    assert bench.run(S2PS_STORE_ENDPOINT="http://127.0.0.1:9").returncode == 1
    assert bench.outcome is None


class Interrupted:
    """The store, of which the next writes fail, as many as ``failures`` says."""

    def __init__(self, store: ObjectStore, failures: int) -> None:
        self._store, self.failures = store, failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, *args: Any, **kwargs: Any) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise StoreUnavailableError("answered 503")
        return self._store.put(*args, **kwargs)


@pytest.mark.parametrize("bench", [f"{GOOD}\n(root.parent.parent / 'runs').open('a').write('x')"], indirect=True)
def test_a_store_that_is_away_for_a_while_does_not_cost_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(cli, "patiently", partial(patiently, pause=pauses.append))
    vars(bench.services)["store"] = Interrupted(bench.services.store, failures=3)
    assert cli.perform("run", bench.place.prefix, 1, bench.folder / "scratch" / "1", bench.services) == 0
    assert (bench.folder / "runs").read_text() == "x", "the IPF ran once"
    assert pauses == [1.0, 2.0, 4.0]
    outcome = bench.outcome
    assert outcome is not None
    assert outcome.status == "succeeded"
    assert all(f"{artifact.prefix}{artifact.files[0].path}" in bench.uploaded() for artifact in outcome.outputs)


@pytest.mark.parametrize("bench", [GOOD], indirect=True)
def test_a_bug_in_a_stage_ends_the_attempt_and_is_not_repeated_by_the_platform(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*_args: Any) -> None:
        raise KeyError("a name that is no text: \udcff")

    monkeypatch.setitem(cli._DO, "stage-out", stumbles)
    assert cli.perform("run", bench.place.prefix, 1, bench.folder / "scratch" / "1", bench.services) == 0
    ended = bench.ended()
    assert ended is not None
    assert (ended.status, ended.reason.partition(":")[0]) == ("infrastructure", "KeyError")


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
