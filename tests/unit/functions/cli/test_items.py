"""Work items: how each stands, from few requests; and the commands that show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.cli.items import work_rows
from shared.domain.expected import TilesOwed
from shared.domain.names import SessionId, format_stamp
from shared.ledger import keys
from shared.ledger.records import Account, Given, Grant, Outcome
from shared.sla.planned import PlannedPass
from tests.unit.functions.cli.conftest import SESSION, T0, Desk


def digest(letter: str) -> str:
    return letter * 64


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """One work item for each way to stand, 30 minutes after T0."""
    desk.open()
    desk.complete()
    names = ("waiting", "running", "retry", "succeeded", "no-product", "failed", "held")
    places = {name: desk.order("l1c", f"DT01-T32T{name[:2].upper()}", digest(f"{n}")) for n, name in enumerate(names)}
    desk.at(20)
    for name in ("running", "retry", "succeeded", "no-product", "failed"):
        desk.attempt(places[name])
    desk.at(25)
    desk.end(places["retry"])
    desk.outcome(places["succeeded"])
    desk.outcome(places["no-product"], "no-product", "too few scenes")
    desk.outcome(places["failed"], "failed", "it hung after 3 attempts")
    desk.hold(places["held"].hold, places["held"].prefix)
    desk.at(30)
    return desk


def test_every_way_to_stand_is_told(busy: Desk) -> None:
    rows = {row.stands: row for row in work_rows(busy.services, [SESSION])}
    assert len(rows) == 7
    for stands, row in rows.items():
        assert row.unit.endswith(stands[:2].upper())
    assert rows["running"].since == T0 + timedelta(minutes=20)
    assert (rows["running"].slack_s, rows["succeeded"].slack_s) == (45 * 60, 50 * 60)
    assert rows["retry"].retry_at == T0 + timedelta(minutes=25, seconds=30)
    assert (rows["held"].reason, rows["held"].since) == ("bad weather", T0 + timedelta(minutes=25))
    assert rows["failed"].reason == "it hung after 3 attempts"


def test_the_table_of_work(busy: Desk) -> None:
    lines = busy.run("work").stdout.splitlines()
    assert lines[0].split() == ["WORK", "STEP", "UNIT", "STANDS", "AGE", "ATTEMPTS", "SLACK", "REASON"]
    by_stands = {line.split()[3]: line.split() for line in lines[1:]}
    assert by_stands["retry"][0:3] == ["22222222", "l1c", "DT01-T32TRE"]
    assert by_stands["running"][4:7] == ["10m", "1", "45:00"]
    assert by_stands["retry"][4] == "due"
    bare = busy.run("work", "--no-headers").stdout.splitlines()
    assert [line.split() for line in bare] == [line.split() for line in lines[1:]]


@pytest.mark.parametrize("stands", ["waiting", "running", "failed", "held"])
def test_work_that_stands_so_alone(busy: Desk, stands: str) -> None:
    found = busy.ask("work", "--stands", stands)
    assert [row["stands"] for row in found["items"]] == [stands]
    assert busy.ask("work", "--stands", stands, "--step", "l2a")["items"] == []


def test_names_are_what_other_commands_take(busy: Desk) -> None:
    names = busy.run("work", "--stands", "failed", "-o", "name").stdout.split()
    assert names == [f"sessions/{SESSION}/work/l1c/DT01-T32TFA/{digest('5')}/"]
    assert busy.ask("why", names[0])["stands"] == "failed"


def test_the_work_of_closed_sessions_is_shown_where_asked_for(busy: Desk) -> None:
    busy.store.delete("s2-ledger", keys.open_marker(SESSION))
    assert busy.run("work").stdout == "No work items found in open sessions.\n"
    assert len(busy.ask("work", "--all")["items"]) == len(busy.ask("work", "--session", SESSION[:8])["items"]) == 7


def test_several_sessions_are_told_apart(busy: Desk) -> None:
    other = "S2B_20261122120000057405"
    busy.open(other)
    busy.order(session=other)
    assert busy.run("work").stdout.splitlines()[0].split()[1] == "SESSION"


def test_a_session_of_300_tiles_takes_a_listing_and_one_read_for_each_end(desk: Desk) -> None:
    desk.open()
    desk.complete()
    for step in ("l1c", "l2a"):
        for number in range(300):
            place = desk.order(step, f"DT01-T{number}", f"{number:064x}")
            desk.attempt(place)
            if step == "l1c":
                desk.outcome(place)
    desk.store.calls.clear()
    assert len(list(work_rows(desk.services, [SESSION]))) == 600
    assert desk.store.calls == {"list": 1, "get": 301}
    desk.store.calls.clear()
    assert len(list(work_rows(desk.services, [SESSION], stands=["running"]))) == 300
    assert desk.store.calls == {"list": 1, "get": 1}


def test_a_grant_supersedes_a_failed_outcome(busy: Desk) -> None:
    place = next(row for row in work_rows(busy.services, [SESSION], stands=["failed"]))
    key = f"{place.name}outcome.json"
    info = busy.store.head("s2-ledger", key)
    outcome = busy.services.ledger.read(key, Outcome)
    work = keys.parse_work(key)
    assert info is not None
    assert work is not None
    grant = Grant(created=T0, after=1, etag=info.etag, outcome=outcome, who="ana", reason="again")
    busy.write(work[0].grant(1, info.etag), grant)
    assert busy.ask("why", place.name)["stands"] == "waiting"


def test_a_hold_on_the_session_holds_what_waits_until_it_is_released(busy: Desk) -> None:
    busy.hold(keys.hold(SESSION), SESSION)
    assert {row["stands"] for row in busy.ask("work")["items"]} == {
        "held",
        "running",
        "succeeded",
        "no-product",
        "failed",
    }
    assert [row["stands"] for row in busy.ask("sessions")["items"]] == ["held"]
    busy.hold(keys.hold(SESSION), SESSION, released=T0)
    assert "waiting" in {row["stands"] for row in busy.ask("work")["items"]}
    assert [row["stands"] for row in busy.ask("sessions")["items"]] == ["processing"]


def test_an_outcome_that_cannot_be_read_is_a_failure(busy: Desk) -> None:
    row = next(row for row in work_rows(busy.services, [SESSION], stands=["succeeded"]))
    busy.store.put("s2-ledger", f"{row.name}outcome.json", b"{")
    found = busy.ask("why", row.name)
    assert (found["stands"], "cannot be read" in found["sentence"]) == ("failed", True)


def test_sessions_are_counted_while_open_and_settled_when_closed(busy: Desk) -> None:
    (row,) = busy.ask("sessions")["items"]
    assert (row["stands"], row["work"], row["work_done"], row["produced"]) == ("processing", 7, 3, None)
    account = Account(created=T0, session=SESSION, t0=T0, entries=(), produced=4, absent=1, parked=2)
    busy.write(keys.account(SESSION), account)
    busy.store.delete("s2-ledger", keys.open_marker(SESSION))
    (row,) = busy.ask("sessions")["items"]
    assert (row["stands"], row["produced"], row["absent"], row["parked"]) == ("closed", 4, 1, 2)
    assert busy.ask("sessions", "--open")["items"] == []
    assert busy.run("sessions", "--open").stdout == "No sessions found.\n"


def test_an_account_from_before_a_reopening_closes_nothing(busy: Desk) -> None:
    account = Account(created=T0, session=SESSION, t0=T0, entries=(), produced=4, absent=1, parked=2)
    busy.write(keys.account(SESSION), account)
    busy.store.put("s2-ledger", keys.reopened(SESSION, 1), b"{}")
    assert [row["stands"] for row in busy.ask("sessions")["items"]] == ["processing"]
    assert busy.ask("status", SESSION)["account"] is None


def test_the_status_of_a_session(busy: Desk) -> None:
    found = busy.ask("status", SESSION[:6])
    assert (found["kind"], found["stands"], len(found["work"])) == ("SessionStatus", "processing", 7)
    assert busy.run("status", SESSION, "-o", "name").stdout.strip() == SESSION
    shown = busy.run("status", SESSION).stdout
    assert f"T0 {format_stamp(T0)[:4]}" in shown
    assert "DT01-T32TRU" in shown


def test_the_status_of_a_session_tells_what_its_pass_owes(busy: Desk) -> None:
    assert busy.ask("status", SESSION)["planned"] is None
    start = SessionId.parse(SESSION).start
    tiles = TilesOwed(("32TQM", "32TQL"), ("32TQK",))
    for foreseen, told in (
        ((), "Planned: 30 scenes, 360 granules, ~34 tiles"),
        ((tiles,), "360 granules, 2 to 3 tiles"),
    ):
        planned = PlannedPass(
            created=T0,
            satellite=SESSION[:3],
            station="SGS_",
            start=start,
            stop=start + timedelta(minutes=9),
            scenes=(30,),
            tiles=foreseen,
        )
        busy.write(planned.key, planned)
        assert told in busy.run("status", SESSION).stdout
        assert busy.ask("status", SESSION)["planned"]["scenes"] == [30]


def newer(desk: Desk, key: str) -> None:
    """Make the record at ``key`` one of the next version."""
    bucket = desk.services.settings.bucket_ledger
    document = json.loads(desk.store.get(bucket, key)[0])
    desk.store.put(bucket, key, json.dumps({**document, "schema": document["schema"].replace("/1", "/2")}).encode())


@pytest.mark.parametrize("of", [keys.complete, keys.hold])
def test_a_record_of_a_newer_version_hides_no_other_session(busy: Desk, of: Callable[[str], str]) -> None:
    """As an upgrade that is taken back leaves them."""
    other = "S2B_20261122100000057405"
    busy.open(other)
    busy.complete(other)
    busy.order(session=other)
    busy.hold(keys.hold(SESSION), SESSION)
    newer(busy, of(SESSION))
    said = f"Error: ledger record {of(SESSION)}, schema: expected org.s2ps."
    result = busy.run("sessions", "--open", "--no-headers", code=1)
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [[SESSION, "unreadable"], [other, "processing"]]
    assert result.stderr.startswith(said)
    if of is keys.complete:
        result = busy.run("work", "-o", "name", code=1)
        assert result.stdout.startswith(f"sessions/{other}/work/")
        assert result.stderr.startswith(said)


def test_an_account_that_cannot_be_read_is_told(desk: Desk) -> None:
    desk.store.put(desk.services.settings.bucket_ledger, keys.account(SESSION), b"[")
    result = desk.run("sessions", "-o", "name", code=1)
    assert result.stdout == f"{SESSION}\n"
    assert result.stderr.startswith(f"Error: ledger record {keys.account(SESSION)}: expected Invalid JSON")


def test_a_trace_of_what_has_not_ended_is_a_sentence(busy: Desk) -> None:
    busy.open("S2B_20261122100000057405")
    assert busy.run("trace", "S2B", "--ledger", code=1).stderr == (
        "Error: S2B_20261122100000057405: nothing of it has ended yet; `watch` shows how it goes on\n"
    )


def test_the_status_says_what_a_session_is_made_of(desk: Desk) -> None:
    desk.complete()
    desk.complete(f"{SESSION}-2")
    desk.complete("given-X", given=Given(step="l1c", unit="DT01-T32TMQ", digest="a" * 64))
    lines = [desk.run("status", session).output.splitlines()[0] for session in (SESSION, f"{SESSION}-2", "given-X")]
    assert [line.partition("; ")[2] for line in lines] == [
        "0 of 0 files here",
        f"0 raw files of {SESSION}",
        "a product that was submitted",
    ]
