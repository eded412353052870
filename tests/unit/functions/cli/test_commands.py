"""Commands that steer, dead letters, completion, version and watch, over a store in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import BashComplete
from rich.console import Console

from functions.cli import completing, watching
from functions.cli.letters import short_subject
from functions.cli.main import COMPLETE, main
from functions.cli.steering import operator
from shared import steering
from shared.errors import ConfigurationError, RefusedError, StoreUnavailableError
from shared.ledger import keys
from shared.ledger.records import Account, DeadLetter, Replayed
from shared.steering import Done
from tests.unit.functions.cli.conftest import SESSION, T0, Desk
from tests.unit.functions.cli.test_why import PUBLISHED


@dataclass
class Acts:
    """What the console asked for."""

    calls: list[tuple[str, str, str, str, bool]] = field(default_factory=list)
    refuse: str = ""

    def action(self, name: str) -> Any:
        def act(_services: Any, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
            self.calls.append((name, target, who, reason, dry_run))
            if self.refuse and self.refuse in target:
                raise RefusedError(f"{target}: nothing of it failed\x1b[2J")
            return [Done(name, target, ("a/key.json",), "will be tried again\x1b[2J")]

        return act


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    found = Acts()
    for name in ("retry", "park", "release", "replay", "submit"):
        monkeypatch.setattr(steering, name, found.action(name))
    monkeypatch.setenv("S2PS_OPERATOR", "ana@ops")
    return found


@pytest.fixture
def session(desk: Desk) -> Desk:
    desk.open()
    desk.complete()
    return desk


@pytest.mark.parametrize("text", [SESSION, SESSION[:8], "S2A"])
def test_a_session_is_submitted_by_the_begin_of_its_name(session: Desk, acts: Acts, text: str) -> None:
    session.run("submit", text, "--reason", "once more")
    assert acts.calls == [("submit", SESSION, "ana@ops", "once more", False)]


def test_a_session_that_is_not_there_is_not_taken_for_a_product(session: Desk, acts: Acts) -> None:
    assert "session S2B: the ledger knows nothing of it" in session.run("submit", "S2B", code=1).output
    product = "S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000.SAFE"
    session.run("submit", product)
    assert [call[1] for call in acts.calls] == [product]


def test_a_folder_that_is_there_is_no_session(
    session: Desk, acts: Acts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = tmp_path / "S2A" / "S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000.SAFE"
    product.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    session.run("submit", "S2A")
    assert [call[1] for call in acts.calls] == [f"S2A/{product.name}"]


@pytest.mark.parametrize("command", ["retry", "park", "release"])
def test_an_action_gets_its_target_in_full_who_and_why(session: Desk, acts: Acts, command: str) -> None:
    place = session.order("l1c", "DT01-T32TMQ", "abcdef".ljust(64, "0"))
    session.run(command, SESSION[:6], "abcdef", "--reason", "so")
    session.run(command, "l1c/DT01-T32TMQ", "--session", "S2A", "--reason", "so", "--dry-run")
    assert acts.calls == [
        (command, SESSION, "ana@ops", "so", False),
        (command, place.prefix, "ana@ops", "so", False),
        (command, place.prefix, "ana@ops", "so", True),
    ]


def test_what_was_done_is_told(session: Desk, acts: Acts) -> None:
    assert session.run("retry", SESSION).stdout == f"retry {SESSION}: will be tried again\\x1b[2J\n"
    dry = session.run("retry", SESSION, "--dry-run").stdout.splitlines()
    assert dry[0].endswith("(dry run, nothing was done)")
    assert dry[1:] == ["  a/key.json"]
    assert session.run("retry", SESSION, "-o", "name").stdout == f"{SESSION}\n"
    found = session.ask("retry", SESSION, "--dry-run")
    assert (found["kind"], found["dry_run"], found["items"][0]["changes"]) == ("DoneList", True, ["a/key.json"])


def test_a_target_that_is_unknown_keeps_all_from_being_touched(session: Desk, acts: Acts) -> None:
    result = session.run("retry", SESSION, f"{SESSION[:-1]}9", code=1)
    assert f"closest: {SESSION}" in result.stderr
    assert session.run("retry", "l1c/DT01", code=2).stderr.startswith("Error: l1c/DT01: --session says")
    assert acts.calls == []


def test_one_that_is_refused_does_not_keep_the_others(session: Desk, acts: Acts) -> None:
    other = "S2B_20261122100000057405"
    session.open(other)
    acts.refuse = "S2A"
    result = session.run("retry", SESSION, other, code=1)
    assert result.stderr == f"Error: {SESSION}: nothing of it failed\\x1b[2J\n"
    assert result.stdout.startswith(f"retry {other}")


def test_a_retry_from_a_step_names_the_step_and_its_units(session: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def rerun(_services: Any, target: str, **given: Any) -> list[Done]:
        asked.append({"target": target, **given})
        return [Done("retry", target, (), "made anew")]

    monkeypatch.setattr(steering, "rerun", rerun)
    monkeypatch.setenv("S2PS_OPERATOR", "ana@ops")
    units = ("--unit", "DT01-T32TMQ", "--unit", "DT02")
    assert session.run("retry", "S2A", "--from", "l1c", *units, "--reason", "so", "--dry-run").stdout.startswith(
        "retry "
    )
    assert asked == [
        {
            "target": SESSION,
            "step": "l1c",
            "units": ("DT01-T32TMQ", "DT02"),
            "who": "ana@ops",
            "reason": "so",
            "dry_run": True,
        }
    ]
    assert "--unit wants --from" in session.run("retry", "S2A", "--unit", "DT01", code=2).stderr
    assert "--from takes no --all-parked" in session.run("retry", "--all-parked", "--from", "l1c", code=2).stderr
    assert "--from wants the session" in session.run("retry", "--from", "l1c", code=2).stderr
    ignored = session.run("retry", "S2A", "--from", "l1c", "--step", "l2a", code=2).stderr
    assert "options that choose among all want --all-parked" in ignored
    assert len(asked) == 1


def test_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid")

    monkeypatch.delenv("S2PS_OPERATOR", raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    assert operator() == "ana@host"
    monkeypatch.setattr("getpass.getuser", nameless)
    assert operator() == f"{os.getuid()}@host"
    monkeypatch.setenv("S2PS_OPERATOR", "x" * 300)
    assert len(operator()) == 128


def letter(desk: Desk, identity: str, reason: str = "422: job_launch: wrong") -> str:
    key = keys.dead_letter(desk.clock.now(), identity)
    event = {"id": identity, "type": "com.amazonaws.s3.ObjectCreated:Put", "source": "s2-ledger", "subject": "a/b.json",
             "data": {"size": 1}, "extensions": {"knativeerrorcode": "422"}}  # fmt: skip
    record = DeadLetter(created=desk.clock.now(), event=event, reason=reason, function="http://job-launch.s2ps.svc/x")
    desk.write(key, record)
    return key


def test_a_letter_that_cannot_be_read_is_listed_all_the_same(desk: Desk) -> None:
    """An alert goes by what `dead-letters -o name` prints."""
    key = keys.dead_letter(desk.clock.now(), "abcdef")
    desk.store.put(desk.services.settings.bucket_ledger, key, b"{}")
    assert desk.run("dead-letters", "-o", "name").stdout == f"{key}\n"
    assert "its record cannot be read" in desk.run("dead-letters").stdout
    assert key in desk.run("dead-letters", "show", "abcdef", code=1).stderr


def test_dead_letters_are_listed_the_newest_last(desk: Desk) -> None:
    old = letter(desk, "aaaa1111")
    desk.at(5)
    new = letter(desk, "bbbb2222", reason="no answer: \x1b[31m")
    note = Replayed(created=T0, dead_letter=old, who="ana", reason="so", note="sent")
    desk.write(keys.replayed(old), note)
    lines = desk.run("dead-letters").stdout.splitlines()
    assert lines[0].split() == ["WHEN", "ID", "TYPE", "FUNCTION", "REPLAYED", "SUBJECT", "REASON"]
    assert lines[1].split()[1:6] == ["aaaa1111", "ObjectCreated:Put", "job-launch", "yes", "a/b.json"]
    assert lines[2].split()[1:5] == ["bbbb2222", "ObjectCreated:Put", "job-launch", "no"]
    assert "\x1b" not in lines[2]
    assert desk.run("dead-letters", "-o", "name").stdout.split() == [old, new]
    assert desk.run("dead-letters", "--unplayed", "-o", "name").stdout.split() == [new]
    assert [row["replayed"] for row in desk.ask("dead-letters")["items"]] == [True, False]


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (f"sessions/{SESSION}/work/l1c/DT01/{'a' * 64}/order.json", "l1c/DT01/aaaaaaaa/order.json"),
        (f"sessions/{SESSION}/complete.json", "complete.json"),
        ("s2-products/x", "s2-products/x"),
    ],
)
def test_subjects_are_short_in_the_table(subject: str, shown: str) -> None:
    assert short_subject(subject) == shown


def test_all_of_a_dead_letter(desk: Desk) -> None:
    key = letter(desk, "aaaa1111")
    shown = desk.run("dead-letters", "show", "aaaa").stdout
    for told in (key, "422: job_launch: wrong", "knativeerrorcode", '"size": 1', "Replayed:  no"):
        assert told in shown
    assert desk.ask("dead-letters", "show", key)["event"]["id"] == "aaaa1111"
    assert desk.run("dead-letters", "-o", "name", "show", "aaaa").stdout == f"{key}\n"
    assert "there is none" in desk.run("dead-letters", "show", "cccc", code=1).stderr


def test_no_dead_letters(desk: Desk) -> None:
    assert desk.run("dead-letters").stdout == "No dead letters found.\n"


def test_a_dead_letter_is_replayed_by_the_begin_of_its_id(desk: Desk, acts: Acts) -> None:
    key = letter(desk, "aaaa1111")
    record = f"sessions/{SESSION}/complete.json"
    desk.run("replay", "aaaa", key, record, "an-event-id")
    assert [call[1] for call in acts.calls] == [key, key, record, "an-event-id"]


def completed(*words: str) -> list[str]:
    return [
        each.value for each in BashComplete(main, {}, "s2ps", COMPLETE).get_completions(list(words[:-1]), words[-1])
    ]


def test_sessions_and_products_are_completed(session: Desk) -> None:
    session.write(keys.product("L1C", T0, PUBLISHED.product), PUBLISHED)
    for words in (["status", "S2A_2026"], ["products", "--session", ""], ["retry", "S2"], ["watch", "S"]):
        assert completed(*words) == [SESSION]
    assert completed("why", "S2A_MSIL1C_20261122") == [PUBLISHED.product]
    assert completed("why", "S2A") == [SESSION, PUBLISHED.product]
    assert completed("status", "S2B") == []


def test_completion_is_silent_where_nothing_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*_: object) -> None:
        raise ConfigurationError("nowhere to look")

    monkeypatch.setattr("functions.cli.places.opened", opened)
    assert completed("status", "S2") == []
    assert capsys.readouterr() == ("", "")


def test_completion_takes_no_longer_than_its_time(session: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    never = Event()
    monkeypatch.setattr(completing, "LIMIT_S", 0.05)
    monkeypatch.setattr(session.store, "folders", lambda *_: iter([str(never.wait(30))]))
    assert completed("status", "S2") == []


@pytest.mark.parametrize(
    ("shell", "part"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --no-files")]
)
def test_a_shell_gets_its_completion_for_both_names(desk: Desk, shell: str, part: str) -> None:
    shown = desk.run("completion", shell).stdout
    assert shown.count(part) == 2
    for name in ("s2ps", "kn-s2ps"):
        assert f"{COMPLETE}={shell}_complete {name}" in shown or f"{COMPLETE}={shell}_complete" in shown
    assert desk.run("completion", "tcsh", code=2).stderr.startswith("Error: ")


def test_the_version_and_where_it_looks(desk: Desk) -> None:
    found = desk.ask("version")
    assert (found["looks"], found["place"], found["ledger"]) == ("store", "memory", "s2-ledger")
    assert desk.run("version").stdout.startswith("Version:        ")


def test_nowhere_to_look_is_no_error_of_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("S2PS_STORE_ENDPOINT", raising=False)
    desk = Desk()
    assert desk.ask("version")["looks"] == "nowhere"
    assert "nowhere to look: --run-dir names a run" in desk.run("sessions", code=1).stderr
    assert "kubectl: expected it in the PATH" in desk.run("version", "-n", "x", code=1).stderr


def close(desk: Desk) -> None:
    account = Account(created=T0, session=SESSION, t0=T0, entries=(), produced=0, absent=0, parked=0)
    desk.write(keys.account(SESSION), account)


def script(monkeypatch: pytest.MonkeyPatch, *acts: Any) -> None:
    """Between two looks, the next of these happens."""
    left = list(acts)
    monkeypatch.setattr(watching, "pause", lambda _seconds: left.pop(0)())


def test_watching_tells_each_change_and_ends_with_the_account(session: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        del vars(session.store)["list"]
        close(session)
        raise StoreUnavailableError("the store is away")

    script(
        monkeypatch,
        lambda: session.order("l0u", SESSION),
        lambda: None,
        lambda: vars(session.store).update(list=away),
        lambda: None,
    )
    lines = session.run("watch", SESSION[:6]).stdout.splitlines()
    assert lines == [
        f"{SESSION}: files 0/0",
        f"{SESSION}: files 0/0, l0u 0/1",
        "waiting: the store is away",
        f"{SESSION}: closed, 0 of 0 produced, 0 absent, 0 parked",
    ]


def test_watching_all_takes_in_what_opens_meanwhile(session: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "S2B_20261122100000057405"

    def both() -> None:
        close(session)
        session.write(
            keys.account(other), Account(created=T0, session=other, t0=T0, entries=(), produced=0, absent=0, parked=0)
        )

    script(monkeypatch, lambda: session.open(other), both)
    told = session.run("watch").stdout
    assert f"{other}: closed" in told
    assert f"{SESSION}: closed" in told


def test_nothing_to_watch(desk: Desk) -> None:
    assert desk.run("watch").stdout == "No open sessions found.\n"


@pytest.mark.parametrize("width", [40, 120])
def test_the_live_view(session: Desk, width: int) -> None:
    place = session.order("l1c", "DT01-T32TMQ\x1b[2J"[:11])
    session.attempt(place)
    session.at(80)
    frames = watching.look(session.services, [SESSION], {})
    console = Console(file=StringIO(), width=width, record=True)
    console.print(watching._drawn(frames, "the store is away"))
    shown = console.export_text()
    for told in (SESSION, "slack -05:00", "l1c", "0/1", "running: l1c DT01", "waiting: the store is away"):
        assert told in shown


def test_a_look_costs_one_listing_and_one_read(session: Desk) -> None:
    for number in range(50):
        session.order("l1c", f"T{number}", f"{number:064x}")
    session.store.calls.clear()
    watching.look(session.services, [SESSION], {})
    assert session.store.calls == {"list": 1, "get": 1}


def test_an_argument_that_is_no_text_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", "S2A\udcff"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Error: argument 2: expected text in UTF-8, found 'S2A\\udcff'\n"
