"""Why: every state of a work item, a session and a product has its sentence, its slack and its fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.cli.why import Cause, Rules, WorkFacts, why_work
from functions.cli.why_session import SessionFacts, why_lost, why_produced, why_session
from shared.ledger import keys
from shared.ledger.attempts import WorkRecords
from shared.ledger.keys import WorkKey, etag_mark
from shared.ledger.records import (
    Account,
    AccountEntry,
    Attempt,
    AttemptEnded,
    Complete,
    Hold,
    Order,
    Outcome,
    Published,
)
from shared.ports import ObjectInfo
from tests.unit.functions.cli.conftest import SESSION, T0, Desk

PLACE = WorkKey(SESSION, "l1c", "DT01-T32TMQ", "a" * 64)
RULES = Rules(max_attempts=3, session_wait_s=1800, session_partial="proceed")
DUE = T0 + timedelta(minutes=75)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def info(minutes: float, etag: str = "e") -> ObjectInfo:
    return ObjectInfo("k", 1, etag, at(minutes))


def work(*, attempts: int = 0, ended: int = 0, outcome: bool = False, granted: int = 0) -> WorkRecords:
    """Ordered at 10 minutes, an attempt every minute from 20, an outcome at 30."""
    found = WorkRecords(PLACE, order=info(10))
    found.attempts = {number: info(19 + number) for number in range(1, attempts + 1)}
    found.ended = {number: info(19.5 + number) for number in range(1, ended + 1)}
    found.written = info(30) if outcome else None
    found.grants = {(granted, etag_mark("another"))} if granted else set()
    return found


def outcome(status: Any, reason: str = "", **more: Any) -> Outcome:
    return Outcome(
        created=at(30), step="l1c", unit=PLACE.unit, attempt=2, status=status, reason=reason, started=at(20),
        finished=at(30), **more,
    )  # fmt: skip


def ended(status: Any = "retry", retry_at: float | None = 40, number: int = 1) -> AttemptEnded:
    return AttemptEnded(
        created=at(21), number=number, status=status, reason="the store was away",
        retry_at=None if retry_at is None else at(retry_at),
    )  # fmt: skip


HOLD = Hold(created=at(5), session=SESSION, target=PLACE.prefix, who="ana@ops", reason="bad weather")
ATTEMPT = Attempt(created=at(20), number=1, job="l1c-job-1", cpus=1, memory_mb=1, time_limit_s=3600)

# (facts, when, how it stands, parts of the sentence, fix)
WORK: dict[str, tuple[WorkFacts, float, str, tuple[str, ...], tuple[str, ...]]] = {
    "just ordered": (WorkFacts(work()), 10.5, "waiting", ("waits for its Job, ordered 30s ago", "64:30 left"), ()),
    "ordered long ago": (
        WorkFacts(work()), 15, "waiting", ("longer than a launch takes", "60:00 left"), ("replay", PLACE.order),
    ),
    "never ordered": (WorkFacts(WorkRecords(PLACE, attempts={})), 15, "waiting", ("no order yet",), ()),
    "running": (
        WorkFacts(work(attempts=1), attempt=ATTEMPT), 30, "running",
        ("attempt 1 of 3, for 10m, Job l1c-job-1", "45:00 left"), (),
    ),
    "running, late": (WorkFacts(work(attempts=1)), 80, "running", ("LATE by 05:00",), ()),
    "running beyond its limit": (
        WorkFacts(work(attempts=1), attempt=ATTEMPT), 90, "running", ("longer than its limit of 3600 s",), (),
    ),
    "running, held": (
        WorkFacts(work(attempts=1), hold=HOLD), 30, "running", ("held by ana@ops, so no other attempt follows",), (),
    ),
    "held": (
        WorkFacts(work(), hold=HOLD), 30, "held", ("held by ana@ops since 2026-11-22T10:05:00Z: bad weather",),
        ("release", PLACE.prefix),
    ),
    "held with its session": (
        WorkFacts(work(), hold=HOLD.model_copy(update={"target": SESSION})),
        30, "held", ("bad weather",), ("release", SESSION),
    ),
    "to be tried again": (
        WorkFacts(work(attempts=1, ended=1), ended=ended()), 30, "retry",
        ("attempt 1 of 3 end (retry: the store was away); the next is due in 10m",), (),
    ),
    "due": (WorkFacts(work(attempts=1, ended=1), ended=ended()), 41, "retry", ("the next is due now",), ()),
    "none left": (
        WorkFacts(work(attempts=3, ended=3), ended=ended(number=3)), 30, "retry",
        ("there is none left, and its outcome is being written",), (),
    ),
    "ended for good": (
        WorkFacts(work(attempts=1, ended=1), ended=ended("failed", None)), 30, "retry", ("outcome is being written",),
        (),
    ),
    "granted": (
        WorkFacts(work(attempts=3, ended=3, granted=3)), 30, "waiting",
        ("waits for its Job after an operator allowed new attempts",), ("replay", PLACE.order),
    ),
    "granted, running": (
        WorkFacts(work(attempts=4, ended=3, granted=3)), 30, "running", ("attempt 4 of 6",), (),
    ),
    "succeeded": (
        WorkFacts(work(attempts=2, ended=1, outcome=True), outcome=outcome("succeeded")), 60, "succeeded",
        ("succeeded at 2026-11-22T10:30:00Z in attempt 2, 45:00 before its deadline",), (),
    ),
    "succeeded with warnings": (
        WorkFacts(work(attempts=2, outcome=True), outcome=outcome("succeeded-with-warnings", warnings=("noisy",))),
        60, "succeeded", ("with warnings (noisy)",), (),
    ),
    "no product": (
        WorkFacts(work(attempts=1, outcome=True), outcome=outcome("no-product", "2 scenes")), 60, "no-product",
        ("ended without a product at 2026-11-22T10:30:00Z, by rule: 2 scenes",), (),
    ),
    "failed": (
        WorkFacts(work(attempts=3, outcome=True), outcome=outcome("failed", "it hung after 3 attempts", exit_code=130)),
        60, "failed", ("in attempt 2: exit code 130, it hung after 3 attempts",), ("retry", PLACE.prefix),
    ),
    "unreadable": (WorkFacts(work(attempts=1, outcome=True)), 60, "failed", ("cannot be read",), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", WORK)
def test_why_a_work_item_stands_so(name: str) -> None:
    facts, minutes, stands, told, fix = WORK[name]
    cause = why_work(replace(facts, deadline=DUE), RULES, at(minutes))
    judge(cause, "work", stands, told, fix)
    assert cause.sentence.startswith("l1c of DT01-T32TMQ ")
    end = 30 if facts.work.outcome is not None else minutes
    assert cause.slack_s == (DUE - at(end)).total_seconds()


def judge(cause: Cause, kind: str, stands: str, told: tuple[str, ...], fix: tuple[str, ...]) -> None:
    assert (cause.kind, cause.stands, cause.fix) == (kind, stands, fix)
    for part in told:
        assert part in cause.sentence
    assert cause.sentence.endswith(".")
    assert "\n" not in cause.sentence


def test_a_work_item_without_a_deadline_tells_no_slack() -> None:
    cause = why_work(WorkFacts(work()), RULES, at(10))
    assert (cause.slack_s, "left" in cause.sentence) == (None, False)


def entry(ended_: str, reason: str = "", slack_s: float | None = None, product: str = "P") -> AccountEntry:
    return AccountEntry.model_validate(
        {"level": "L1C", "step": "l1c", "unit": "U", "product": product, "ended": ended_, "reason": reason,
         "slack_s": slack_s}
    )  # fmt: skip


def account(*entries: AccountEntry, **more: Any) -> Account:
    ends = [each.ended for each in entries]
    given: dict[str, Any] = {"t0": T0, **more}
    return Account(
        created=at(60), session=SESSION, entries=entries, produced=ends.count("produced"),
        absent=ends.count("absent"), parked=ends.count("parked"), **given,
    )  # fmt: skip


COMPLETE = Complete(created=at(1), session=SESSION, station="SGS_", satellite="S2A", t0=T0, files=())
PARTIAL = COMPLETE.model_copy(update={"missing": ("a.raw",), "reason": "the wait is over"})
GOOD = entry("produced", slack_s=600)


def session(stands: str, **more: Any) -> SessionFacts:
    return SessionFacts(SESSION, stands, **more)


SESSIONS: dict[str, tuple[SessionFacts, str, tuple[str, ...], tuple[str, ...]]] = {
    "nothing seen": (session("arriving"), "arriving", ("0 of 0 files",), ()),
    "being fetched": (
        session("arriving", seen=8, received=6, last_seen=at(20)), "arriving",
        ("6 of 8 files that the station showed are here; the others are being fetched",
         "without them it goes on with what is there at 2026-11-22T10:50:00Z"), (),
    ),
    "incomplete": (
        session("arriving", seen=6, received=6, awaited=("the DSIB of channel 2", "a", "b", "c"), last_seen=at(20)),
        "arriving", ("waits for the DSIB of channel 2; a; b and 1 more",), (),
    ),
    "the wait is over": (session("arriving", last_seen=at(-10)), "arriving", ("its wait is over, and it goes on",), ()),
    "refused": (session("arriving", refused=("x: no file of a session",)), "arriving", ("refused: x: no file",), ()),
    "all here": (session("arriving", seen=8, received=8), "arriving", ("about to be assembled",), ()),
    "no order yet": (session("processing", complete=COMPLETE), "processing", ("its first order is being written",), ()),
    "processing": (
        session("processing", complete=COMPLETE, slack_s=120.0,
                work={"succeeded": 3, "running": 2, "waiting": 1, "retry": 1, "held": 1}),
        "processing", ("3 of 8 work items done, 2 run, 1 wait for a Job, 1 wait for another attempt, 1 are held",
                       "02:00 left of the work nearest its deadline"), (),
    ),
    "late": (session("processing", complete=COMPLETE, work={"running": 1}, slack_s=-61.0), "processing",
             ("LATE by 01:01",), ()),
    "partial": (session("processing", complete=PARTIAL, work={"running": 1}), "processing",
                ("is processing without 1 file (the wait is over): 0 of 1 work item done",), ()),
    "failed work": (session("processing", complete=COMPLETE, work={"failed": 1, "running": 1},
                            failed=("l1c of U: it hung",)), "processing",
                    ("failed for good: l1c of U: it hung",), ("retry", SESSION)),
    "all done": (session("processing", complete=COMPLETE, work={"succeeded": 2}), "processing",
                 ("products are being published",), ()),
    "held": (session("held", hold=HOLD, work={"running": 1}), "held",
             ("is held by ana@ops since 2026-11-22T10:05:00Z: bad weather; 1 Job of it runs on",),
             ("release", SESSION)),
    "closed, all produced": (session("closed", account=account(GOOD, GOOD)), "closed",
                             ("2 of 2 products produced, the tightest 10:00 before its deadline",), ()),
    "closed, late": (session("closed", account=account(entry("produced", slack_s=-30))), "closed",
                     ("the tightest 00:30 AFTER its deadline",), ()),
    "closed, absent": (session("closed", account=account(GOOD, entry("absent", "2 scenes"))), "closed",
                       ("1 absent: 2 scenes",), ()),
    "closed, parked": (session("closed", account=account(GOOD, entry("parked", "it hung"), entry("parked", "it hung"))),
                       "closed", ("2 parked: it hung (2 times)",), ("retry", SESSION)),
    "parked as incomplete": (session("closed", account=account(entry("parked", "the wait is over"), t0=None)), "closed",
                             ("1 parked: the wait is over",), ("release", SESSION)),
    "parked by an operator": (session("closed", account=account(entry("parked", "held by ana"), held=True)), "closed",
                              ("1 parked: held by ana",), ("release", SESSION)),
}  # fmt: skip


@pytest.mark.parametrize("name", SESSIONS)
def test_why_a_session_stands_so(name: str) -> None:
    facts, stands, told, fix = SESSIONS[name]
    cause = why_session(facts, RULES, at(30))
    judge(cause, "session", stands, told, fix)
    assert cause.sentence.startswith(f"Session {SESSION} ")


def test_what_follows_a_wait_is_the_configured_decision() -> None:
    facts = session("arriving", last_seen=at(20))
    parked = why_session(facts, replace(RULES, session_partial="park", session_wait_s=60), at(20))
    assert "without them it is parked at 2026-11-22T10:21:00Z" in parked.sentence


PUBLISHED = Published(
    created=at(60), product="S2A_MSIL1C_20261122T093000_N0001_R022_T32TQM_20261122T100000", level="L1C",
    product_type="MSI_L1C_TL", session=SESSION, step="l1c", unit="DT01-T32TQM", bucket="b", prefix="p/", manifest="m",
    size=1, files=(), sensing_start=T0, t0=T0, deadline=DUE, status="succeeded",
)  # fmt: skip


def test_why_a_product_is_there() -> None:
    order = Order(
        created=T0, session=SESSION, step="l1c", unit="U", digest="a" * 64, processor="S2PS-L1C", version="0.1.0",
        inputs=(), parameters={}, t0=T0, deadline=DUE,
    )  # fmt: skip
    cause = why_produced(PUBLISHED, order)
    judge(cause, "product", "produced", ("(T0+60:00)", f"session {SESSION}", "l1c of DT01-T32TQM by S2PS-L1C 0.1.0",
                                         "15:00 before its deadline"), ())  # fmt: skip
    warned = why_produced(PUBLISHED.model_copy(update={"status": "succeeded-with-warnings"}))
    assert "Its processor warned." in warned.sentence


def test_why_a_product_is_not_there() -> None:
    judge(why_lost(SESSION, entry("absent", "2 scenes")), "product", "absent", ("absent: 2 scenes",), ())
    judge(why_lost(SESSION, entry("parked")), "product", "parked", ("no reason was told",), ("retry", SESSION))
    judge(why_lost(SESSION, entry("parked"), released=True), "product", "parked", (), ("release", SESSION))


def shelve(desk: Desk) -> str:
    desk.write(keys.product("L1C", T0, PUBLISHED.product), PUBLISHED)
    return PUBLISHED.product


def lose(desk: Desk) -> str:
    desk.write(keys.account(SESSION), account(entry("parked", "it hung", product="MSI_L2A_TL of U")))
    return "MSI_L2A_TL of U"


def fail(desk: Desk) -> str:
    desk.open()
    place = desk.order()
    desk.attempt(place)
    desk.outcome(place, "failed", "it hung")
    desk.store.put("s2-work", f"{SESSION}/{place.step}/{place.unit}/{place.digest}/1-abc/log.txt", b"log")
    return place.prefix


@pytest.mark.parametrize(("make", "of"), [(shelve, "product"), (lose, "product"), (fail, "work")])
def test_whatever_is_asked_for_is_found(desk: Desk, make: Callable[[Desk], str], of: str) -> None:
    assert desk.ask("why", make(desk))["of"] == of


def test_the_command_that_mends_it_leads_to_the_same_place(desk: Desk) -> None:
    name = fail(desk)
    shown = desk.run("why", name).stdout.splitlines()
    assert shown[1].startswith(f"Log: s3://s2-work/{SESSION}/l1c/")
    assert shown[2] == f"Fix: s2ps retry {name} -n test"
    assert desk.ask("why", name)["fix"] == ["retry", name, "-n", "test"]
    assert desk.run("why", name, "-o", "name").stdout == f"{name}\n"


@pytest.mark.parametrize("unit", ["l1c/DT01-T32TMQ", "l1c/DT01"])
def test_a_work_item_by_its_step_and_unit(desk: Desk, unit: str) -> None:
    name = fail(desk)
    assert desk.ask("why", unit, "--session", SESSION[:5])["target"] == name


def test_an_unknown_name_is_answered_with_the_closest(desk: Desk) -> None:
    desk.open()
    name = shelve(desk)
    for near in (f"{SESSION[:-1]}9", name.replace("T32TQM", "T32TQL")):
        said = desk.run("why", near, code=1).stderr
        assert said.startswith(f"Error: {near}: the ledger knows no")
        assert f"closest: {name if 'MSI' in near else SESSION}" in said
    assert "closest" not in desk.run("why", "zzz", code=1).stderr


def test_a_session_that_arrives_says_what_it_waits_for(desk: Desk) -> None:
    desk.open()
    cause = desk.ask("why", SESSION)
    assert "waits for the DSIB of channel 1; the DSIB of channel 2" in cause["sentence"]
