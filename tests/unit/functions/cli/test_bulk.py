"""``retry --all-parked`` and ``replay --all-dead-letters``: what a dry run prints is what is done."""

from __future__ import annotations

import pytest

from shared.ledger import keys
from shared.ledger.records import DeadLetter
from tests.unit.functions.cli.conftest import SESSION, Desk

OTHER = "S2B_20261122090000012345"


@pytest.fixture
def parked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Two sessions, of which something is parked; one work item has succeeded."""
    monkeypatch.setenv("S2PS_OPERATOR", "ana@ops")
    for session, units in ((SESSION, ("DT01-T32TMQ", "DT01-T32TNQ")), (OTHER, ("DT01-T01KAB",))):
        desk.open(session)
        desk.complete(session)
        for number, unit in enumerate(units):
            place = desk.order("l1c", unit, f"{number}".ljust(64, "0"), session)
            desk.outcome(place, "failed", "no memory" if number else "it hung")
    desk.outcome(desk.order("l0c", "DT01", "f" * 64), "succeeded")
    return desk


def named(output: str) -> set[str]:
    return {line.split("/")[4] for line in output.splitlines() if line.startswith("sessions/")}


def granted(desk: Desk) -> set[str]:
    found = desk.store.list(desk.services.settings.bucket_ledger, "sessions/")
    return {info.key.split("/")[4] for info in found if "/grants/" in info.key}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"DT01-T32TMQ", "DT01-T32TNQ", "DT01-T01KAB"}),
        (("--session-glob", "S2A*"), {"DT01-T32TMQ", "DT01-T32TNQ"}),
        (("--reason-contains", "memory"), {"DT01-T32TNQ"}),
        (("--step", "l1c", "--session-glob", "S2B*"), {"DT01-T01KAB"}),
        (("--step", "l2a"), set()),
        (("--since", "2026-11-22T09:00"), {"DT01-T32TMQ", "DT01-T32TNQ", "DT01-T01KAB"}),
        (("--since", "2026-11-23"), set()),
    ],
)
def test_a_dry_run_names_exactly_what_is_retried(parked: Desk, options: tuple[str, ...], expected: set[str]) -> None:
    dry = parked.run("retry", "--all-parked", *options, "-o", "name", "--dry-run")
    assert granted(parked) == set()
    done = parked.run("retry", "--all-parked", *options, "-o", "name")
    assert dry.stdout == done.stdout
    assert named(done.stdout) == granted(parked) == expected
    assert f"{len(expected)} work items of" in done.stderr


def test_an_action_is_on_record_for_each_session(parked: Desk) -> None:
    parked.run("retry", "--all-parked", "--reason", "mended")
    ledger = parked.services.settings.bucket_ledger
    actions = [info.key for info in parked.store.list(ledger, "sessions/") if "/actions/" in info.key]
    assert sorted(key.split("/")[1] for key in actions) == [SESSION, OTHER]
    assert parked.run("actions", SESSION, "-o", "name").stdout.split() == [actions[0]]
    (row,) = parked.ask("actions", OTHER)["items"]
    assert (row["action"], row["target"], row["reason"]) == ("retry", OTHER, "mended")
    assert row["who"] in parked.run("actions", OTHER).stdout
    assert parked.run("actions").stdout == "No action is on record.\n"


def letter(desk: Desk, identity: str, function: str) -> str:
    key = keys.dead_letter(desk.clock.now(), identity)
    subject = f"sessions/{SESSION}/complete.json"
    event = {"id": identity, "type": "com.amazonaws.s3.ObjectCreated:Put", "source": "s2-ledger", "subject": subject}
    record = DeadLetter(created=desk.clock.now(), event=event, reason="503: away", function=f"http://{function}.s2ps")
    desk.write(key, record)
    return key


def test_dead_letters_that_fit_are_replayed_once(parked: Desk) -> None:
    one, other = letter(parked, "aaaa", "job-launch"), letter(parked, "bbbb", "sweep")
    options = ("replay", "--all-dead-letters", "--function", "job-launch", "-o", "name")
    assert parked.run(*options, "--dry-run").stdout == f"{one}\n"
    assert parked.run(*options).stdout == f"{one}\n"
    assert parked.run(*options).stdout == ""
    assert parked.run("replay", "--all-dead-letters", "-o", "name").stdout == f"{other}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retry",), "--all-parked"),
        (("retry", SESSION, "--all-parked"), "takes no TARGET"),
        (("retry", SESSION, "--step", "l1c"), "want --all-parked"),
        (("retry", "--all-parked", "--since", "yesterday"), "--since"),
        (("retry", "--all-parked", "--session-glob", "S2A/*"), "glob"),
        (("replay",), "--all-dead-letters"),
        (("replay", "an-id", "--all-dead-letters"), "takes no EVENT"),
        (("replay", "an-id", "--function", "sweep"), "want --all-dead-letters"),
    ],
)
def test_calls_that_make_no_sense_are_refused(parked: Desk, arguments: tuple[str, ...], said: str) -> None:
    code = 1 if said == "glob" else 2
    result = parked.run(*arguments, code=code)
    assert said in result.stderr
    assert granted(parked) == set()
