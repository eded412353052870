"""How a command is run: by ``ipf.sh`` under each shell that an image may bring, and by the local runtime's ``execute``.

Both are given the same commands, and what they note of the end must be the same.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions.ipf.runner import execute
from functions.ipf.runner.job import Execution, Scratch
from functions.ipf.runner.pod import Calls, lay, lay_calls, read_calls
from tests.support.pod import isolates

SHELLS = {"dash": ["dash"], "bash": ["bash"], "bash-posix": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
ODD = ["a b", "", "it's", '"quoted"', "$HOME `id` $(id)", "two\nlines\n", "*", "\\n", "-n", "ü", "%s;&|<>"]


@dataclass
class Run:
    """``how`` runs commands in a scratch folder."""

    how: str
    scratch: Scratch
    quiet_limit_s: int = 0
    activity: tuple[str, ...] = ()
    base: Path | None = None

    def calls(self, *commands: tuple[str, ...]) -> Calls:
        return Calls(commands, self.base or self.scratch.root, self.quiet_limit_s, self.activity)

    def command(self, *command: str, limit_s: float = 60) -> list[str]:
        lay_calls(self.scratch, self.calls(command))
        return self.script(limit_s)

    def script(self, limit_s: float = 60) -> list[str]:
        return [*SHELLS[self.how], str(self.scratch.own / "ipf.sh"), str(self.scratch.root), str(limit_s)]

    def __call__(self, *command: str, limit_s: float = 60, env: dict[str, str] | None = None) -> Execution:
        return self.all(command, limit_s=limit_s, env=env)

    def all(self, *commands: tuple[str, ...], limit_s: float = 60, env: dict[str, str] | None = None) -> Execution:
        lay_calls(self.scratch, self.calls(*commands))
        if self.how == "execute":
            calls = read_calls(self.scratch)
            assert calls == self.calls(*commands)
            return execute.run(calls, self.scratch.root, self.scratch.log, env or dict(os.environ), limit_s)
        self.told(limit_s, env)
        return Execution.model_validate_json(self.scratch.execution.read_bytes())

    def output(self, *command: str, limit_s: float = 60, env: dict[str, str] | None = None) -> bytes:
        lay_calls(self.scratch, self.calls(command))
        return self.told(limit_s, env)

    def told(self, limit_s: float, env: dict[str, str] | None) -> bytes:
        done = subprocess.run(
            self.script(limit_s),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    @property
    def log(self) -> bytes:
        return self.scratch.log.read_bytes()


def _run(how: str, folder: Path) -> Run:
    if how in SHELLS and shutil.which(SHELLS[how][0]) is None:
        pytest.skip(f"{how} is not installed")
    scratch = Scratch(folder / "job")
    lay(scratch)
    scratch.outputs.mkdir()
    return Run(how, scratch)


@pytest.fixture(params=["execute", *SHELLS])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return _run(request.param, tmp_path)


@pytest.fixture(params=list(SHELLS))
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return _run(request.param, tmp_path)


def told(name: str, code: int = 0) -> tuple[str, ...]:
    return "sh", "-c", f"echo {name}; exit {code}"


@pytest.mark.parametrize(
    ("codes", "exits"),
    [((0, 0, 0), (0, 0, 0)), ((1, 5, 2), (1, 5, 2)), ((127, 0, 0), (127, 0, 0)), ((3, 128, 0), (3, 128))],
)
def test_commands_run_one_after_the_other_until_one_has_failed(
    run: Run, codes: tuple[int, ...], exits: tuple[int, ...]
) -> None:
    found = run.all(*(told(f"call{number}", code) for number, code in enumerate(codes)))
    assert (found.exits, found.exit_code) == (exits, max(exits))
    assert run.log.decode().split() == [f"call{number}" for number, _ in enumerate(exits)]


def test_the_time_limit_is_that_of_all_commands_together(run: Run) -> None:
    found = run.all(("sleep", "1"), ("sleep", "60"), told("never"), limit_s=2)
    assert (found.timed_out, found.exits) == (True, (0, 143))
    assert 2 <= found.seconds < 9
    assert run.log == b""


def test_what_the_first_command_leaves_behind_does_not_meet_the_second(run: Run) -> None:
    wait = 'while read -r s <"/proc/$(cat log.txt)/stat"; do case "${s##*) }" in Z*) break;; esac; done 2>/dev/null'
    assert run.all(("sh", "-c", "sleep 60 & echo $!"), ("sh", "-c", wait), limit_s=30).timed_out is False


def test_a_run_that_does_nothing_any_more_is_stopped(run: Run) -> None:
    run.quiet_limit_s = 2
    found = run("sh", "-c", "echo begun; sleep 60")
    assert (found.hung, found.timed_out, found.exit_code) == (True, False, 143)
    assert 2 <= found.seconds < 20


@pytest.mark.parametrize("active", [False, True])
def test_what_changes_files_that_the_processor_names_does_not_hang(run: Run, tmp_path: Path, *, active: bool) -> None:
    run.quiet_limit_s, run.base = 2, tmp_path / "odd base *"
    run.activity = ("none/*", "out put/*/*.log") if active else ("none/*",)
    (run.base / "out put/a b").mkdir(parents=True)
    body = 'for n in 1 2 3 4 5 6 7 8; do sleep 0.5; echo "$n" >"$1/out put/a b/x.log"; done'
    found = run("sh", "-c", body, "sh", str(run.base))
    assert (found.hung, found.exit_code == 0) == (not active, active)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -SEGV $$"], 139),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["/no/such/program"], 127),
        (["nosuchprogram"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
    ],
)
def test_exit_codes(run: Run, command: list[str], code: int) -> None:
    found = run(*command)
    assert found.exit_code == code
    assert (found.timed_out, found.out_of_memory, found.disk_full) == (False, False, False)
    assert 0 <= found.seconds < 30
    assert (code in {126, 127}) == bool(run.log), "whoever cannot start a command says why"


def test_arguments_arrive_as_they_are(run: Run, tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(os.fsencode(chr(0).join(sys.argv[2:])))"
    assert run(sys.executable, "-c", program, str(said), *ODD).exit_code == 0
    assert said.read_bytes().decode().split("\0") == ODD


def test_it_runs_in_the_scratch_folder_without_input(run: Run) -> None:
    assert run("sh", "-c", "pwd; cat").exit_code == 0
    assert run.log.decode().split() == [str(run.scratch.root)]


def test_the_environment_is_the_containers(script: Run) -> None:
    given = {"PATH": os.environ["PATH"], "limit": "mine", "code": "mine", "LC_ALL": "C"}
    script(sys.executable, "-c", "import os; print(sorted(os.environ))", env=given)
    extra = {"_", "PWD", "OLDPWD", "SHLVL"}  # what shells add by themselves
    assert set(given) <= set(eval(script.log)) <= set(given) | extra  # noqa: S307 - our own line


@pytest.mark.parametrize("option", ["errexit", "noclobber", "noglob", "nounset", "allexport", "monitor"])
def test_options_that_an_image_sets_for_its_shells_change_nothing(tmp_path: Path, option: str) -> None:
    run = _run("bash", tmp_path)
    found = run("sh", "-c", "echo said; exit 3", env={**os.environ, "SHELLOPTS": option})
    assert (found.exit_code, found.timed_out) == (3, False)
    assert run.log == b"said\n"


def test_what_is_over_its_time_is_ended(run: Run) -> None:
    found = run("sh", "-c", "trap 'echo going; exit 9' TERM; sleep 60 & wait", limit_s=1)
    assert (found.timed_out, found.exit_code) == (True, 9)
    assert run.log == b"going\n"
    assert 1 <= found.seconds < 9


def test_what_does_not_go_is_killed(script: Run) -> None:
    patient = script.scratch.own / "ipf.sh"
    patient.write_text(patient.read_text().replace("_s2ps_grace=10", "_s2ps_grace=1"))
    found = script("sh", "-c", "trap '' TERM; sleep 60; sleep 60; sleep 60; sleep 60", limit_s=1)
    assert (found.timed_out, found.exit_code) == (True, 137)


def test_a_child_that_is_left_behind_holds_nobody_up(run: Run) -> None:
    began = time.monotonic()
    assert run("sh", "-c", "sleep 60 & echo $!; exit 3").exit_code == 3
    assert time.monotonic() - began < 30
    pid = int(run.log)
    _until(lambda: not _runs(pid))


def test_all_output_is_told_once_and_kept(script: Run) -> None:
    program = "import sys; sys.stdout.writelines(f'{n:099d}\\n' for n in range(100_000)); sys.exit(7)"
    said = script.output(sys.executable, "-c", program)
    lines = said.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (100_000, b"0" * 99, b"%099d" % 99_999)
    assert said == script.log


def test_output_is_told_while_it_runs(script: Run, tmp_path: Path) -> None:
    command = script.command("sh", "-c", f"echo first; until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo last")
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        (tmp_path / "go").touch()
        assert process.stdout.read() == b"last\n"
    assert process.returncode == 0


def test_sigterm_goes_to_the_ipf_and_leaves_no_verdict(script: Run, tmp_path: Path) -> None:
    # A shell's child that has not become sleep yet may swallow the signal: so it gets another one.
    body = f"trap 'echo going; kill $! 2>/dev/null; exit 0' TERM; sleep 60 & touch {tmp_path}/up; wait"
    process = subprocess.Popen(
        script.command("sh", "-c", body), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    with process:
        _until((tmp_path / "up").exists)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (143, b"going\n")
    assert time.monotonic() - began < 8, "what goes by itself is not waited for"
    assert not script.scratch.execution.exists()


def test_nothing_is_run_where_stage_in_says_so(script: Run) -> None:
    script.scratch.skip.touch()
    script.output("touch", str(script.scratch.root / "ran"))
    assert not (script.scratch.root / "ran").exists()
    assert not script.scratch.execution.exists()


@pytest.fixture
def bare(script: Run, tmp_path: Path) -> Iterator[Run]:
    """An image without one program, and a runner image without busybox."""
    (script.scratch.own / "busybox").unlink(missing_ok=True)
    program = tmp_path / "ipf"
    shell = shutil.which(SHELLS[script.how][0]) or ""
    program.write_text(f"#!{shell}{' sh' if script.how == 'busybox' else ''}\necho said; exit 5\n")
    program.chmod(0o755)
    SHELLS["bare"] = [shell, *SHELLS[script.how][1:]]
    yield Run("bare", script.scratch)
    del SHELLS["bare"]


def test_an_image_without_any_program(bare: Run, tmp_path: Path) -> None:
    said = bare.output(str(tmp_path / "ipf"), env={"PATH": "/nonexistent"})
    found = Execution.model_validate_json(bare.scratch.execution.read_bytes())
    assert (found.exit_code, bare.log) == (5, b"said\n")
    assert b"said\n" in said


@pytest.mark.parametrize("wrong", [[], ["{root}"], ["{root}", "60"], ["{root}", "soon"], ["{root}", "60", "true"]])
def test_wrong_calls_are_refused(script: Run, wrong: list[str]) -> None:
    arguments = [part.format(root=script.scratch.root) for part in wrong]
    command = [*SHELLS[script.how], str(script.scratch.own / "ipf.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, b"expected" in done.stderr) == (64, True)


def test_an_ipf_may_clear_its_folder(script: Run) -> None:
    found = script("sh", "-c", "rm -rf .s2ps inputs; exit 3")
    assert (found.exit_code, found.timed_out, found.disk_full) == (3, False, False)


def test_outputs_become_the_groups(script: Run) -> None:
    script("sh", "-c", "umask 077; mkdir outputs/A; echo x >outputs/A/b")
    outputs = script.scratch.outputs
    assert [(outputs / name).stat().st_mode & 0o070 for name in ("A", "A/b")] == [0o070, 0o060]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_shared_volume_that_is_full_is_told_of(script: Run, tmp_path: Path) -> None:
    if not isolates():
        pytest.skip("a small file system needs root and unshare")
    script.base = tmp_path / "shared"
    script.base.mkdir()
    body = 'head -c 900000 /dev/zero >"$0/filled"; exit 1'
    mount = f'mount -t tmpfs -o size=1m none "{script.base}" && exec "$@"'
    inside = script.command("sh", "-c", body, str(script.base))
    command = ["unshare", "--mount", "sh", "-c", mount, "sh", *inside]
    subprocess.run(command, check=True, capture_output=True, timeout=60, start_new_session=True)
    found = Execution.model_validate_json(script.scratch.execution.read_bytes())
    assert (found.exit_code, found.disk_full) == (1, True)


def test_a_folder_that_takes_nothing_more_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run("execute", tmp_path)
    run.base = tmp_path / "shared"
    run.base.mkdir()
    assert run("true").disk_full is False
    real = Path.write_bytes

    def over_quota(path: Path, data: bytes) -> int:
        if path.parent == run.base:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", over_quota)
    assert run("true").disk_full is True
