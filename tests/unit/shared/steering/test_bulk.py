"""Many at once: what a dry run names is what is done, no more and no less."""

from __future__ import annotations

from datetime import timedelta

import pytest

from functions.dead_letters.step import keep
from shared.bootstrap import Services
from shared.domain.events import object_created
from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Action, Grant, Order
from shared.steering import LetterFilter, ParkedFilter, dead_letters, parked_work, replay, retry
from tests.support.house import House
from tests.support.played import build
from tests.support.standin import SESSION, Outputs, script

WHO, WHY = "ada@console", "the table was mended"


@pytest.fixture
def made() -> House:
    """A session of which the Level 1C of both tiles is parked, each for a reason of its own."""
    made = build()

    def fails(order: Order) -> Outputs:
        return Outputs((), status="failed") if order.step == "l1c" else script(order)

    made.launcher.script = fails
    assert made.run().parked == 4
    made.launcher.script = script
    return made


@pytest.fixture
def services(made: House) -> Services:
    return made.operator()[0]


def units(found: dict[str, tuple[str, ...]]) -> set[str]:
    return {prefix.split("/")[4] for prefixes in found.values() for prefix in prefixes}


BOTH = {"DT01-T32TQL", "DT01-T32TQM"}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (ParkedFilter(), BOTH),
        (ParkedFilter(session="S2A_*"), BOTH),
        (ParkedFilter(session=SESSION), BOTH),
        (ParkedFilter(session="S2B_*"), set()),
        (ParkedFilter(session="*[!3]"), set()),
        (ParkedFilter(step="l1c"), BOTH),
        (ParkedFilter(step="l1"), set()),
        (ParkedFilter(reason="told so"), BOTH),
        (ParkedFilter(reason="no memory"), set()),
    ],
)
def test_parked_work_by_what_it_is(services: Services, which: ParkedFilter, expected: set[str]) -> None:
    assert units(parked_work(services, which)) == expected


def test_parked_work_by_when_it_ended(services: Services) -> None:
    now = services.clock.now()
    assert units(parked_work(services, ParkedFilter(since=now - timedelta(hours=1)))) == BOTH
    assert parked_work(services, ParkedFilter(since=now)) == {}


@pytest.mark.parametrize("glob", ["", "/", "../x", "S2A/*"])
def test_a_glob_that_is_none_is_refused(services: Services, glob: str) -> None:
    with pytest.raises(BadInputError, match="glob"):
        parked_work(services, ParkedFilter(session=glob))


def test_what_a_dry_run_names_is_what_is_done_and_nothing_else(made: House, services: Services) -> None:
    found = parked_work(services, ParkedFilter())
    (session, prefixes) = next(iter(found.items()))
    before = set(made.story().splitlines())
    dry = retry(services, session, who=WHO, reason=WHY, dry_run=True, only=prefixes[:1])
    assert set(made.story().splitlines()) == before
    done = retry(services, session, who=WHO, reason=WHY, only=prefixes[:1])
    assert [each.target for each in dry] == [each.target for each in done] == [SESSION, prefixes[0]]
    granted = [key for key in made.story().splitlines() if "/grants/" in key]
    assert [key.partition("grants/")[0] for key in granted] == list(prefixes[:1])
    assert services.ledger.read(granted[0], Grant).who == WHO
    (action,) = [
        services.ledger.read(info.key, Action) for info in services.ledger.list(f"{keys.session(SESSION)}actions/")
    ]
    assert (action.who, action.reason, action.concerns) == (WHO, WHY, prefixes[:1])
    # The other one is parked still, and is all that is left to retry.
    account = made.run()
    assert (account.produced, account.parked) == (5, 2)
    assert parked_work(services, ParkedFilter()) == {SESSION: prefixes[1:]}
    with pytest.raises(RefusedError, match="none of the 1 work items is parked any more"):
        retry(services, session, who=WHO, reason=WHY, only=prefixes[:1])
    retry(services, session, who=WHO, reason=WHY, only=prefixes)
    assert made.run().produced == 7
    assert parked_work(services, ParkedFilter()) == {}


def test_dead_letters_by_what_they_are_each_once(made: House, services: Services) -> None:
    order = next(key for key in made.story().splitlines() if key.endswith("/order.json"))
    for number, (function, code) in enumerate((("job-launch", "500"), ("job-launch", "422"), ("sweep", "500"))):
        event = object_created(made.settings.bucket_ledger, order, f"e{number}")
        extensions = {"knativeerrorcode": code, "knativeerrordata": "", "knativeerrordest": f"http://{function}.s2ps"}
        keep(type(event)(event.id, event.source, event.type, event.subject, extensions=extensions), made.services)
        made.clock.advance(60)
    every = dead_letters(services, LetterFilter())
    assert len(every) == 3
    assert dead_letters(services, LetterFilter(function="job-launch")) == every[:2]
    assert dead_letters(services, LetterFilter(reason="422")) == every[1:2]
    assert dead_letters(services, LetterFilter(subject=f"sessions/{SESSION}/*")) == every
    assert dead_letters(services, LetterFilter(subject="sessions/S2B*")) == ()
    assert dead_letters(services, LetterFilter(type="s3.ObjectCreated")) == every
    assert dead_letters(services, LetterFilter(since=made.clock.now() - timedelta(seconds=130))) == every[1:]
    assert dead_letters(services, LetterFilter(since=made.clock.now() + timedelta(days=1))) == ()
    for key in every[:2]:
        replay(services, key, who=WHO, reason=WHY)
    assert dead_letters(services, LetterFilter()) == every[2:]


def test_what_cannot_be_read_is_left_out_and_told(
    made: House, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = made.settings.bucket_ledger
    broken = parked_work(services, ParkedFilter())[SESSION][0]
    made.memory.put(ledger, f"{broken}outcome.json", b"{}")
    made.memory.put(ledger, "dead-letters/20261122/x.json", b"{}")
    (rest,) = parked_work(services, ParkedFilter())[SESSION]
    assert rest != broken
    assert dead_letters(services, LetterFilter()) == ()
    told = [record.getMessage() for record in caplog.records]
    assert [broken in text or "x.json" in text for text in told] == [True, True]
