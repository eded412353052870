"""The service's own time where it is known: each second of the virtual clock was spent on one thing, and is noted."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from functions.cli.overhead import Overhead, ProductTimes, session_overhead
from functions.cli.traces import SpanRow
from shared.domain.events import Event
from shared.errors import AbsentError
from shared.ledger import keys
from shared.ledger.records import Order, Published, Seen
from shared.ledger.standing import account_in_force
from shared.settings import Settings
from shared.steering import park, release, rerun, retry, submit
from shared.telemetry import metrics, session_context
from tests.support.auxiliary import AWAITING, for_l0u, for_l2
from tests.support.house import START, Crash, Delivery, House
from tests.support.standin import SESSION, Outputs, StandInStation, script

CALLS = {"session-assembly": 0.125, "job-preparation": 0.5, "job-launch": 0.25, "product-publication": 1.5}
STAGES = {"start_s": 0.75, "stage_in_s": 2.0, "execute_s": 60.0, "stage_out_s": 3.0}


def one_tile(order: Order) -> Outputs:
    """So that all happens one after the other, and every second lies on the way of what comes after it."""
    made = script(order)
    return replace(made, units={"tile": made.units["tile"][:1]}) if "tile" in made.units else made


@dataclass
class Timed(House):
    """A house in which calls and Jobs take their time; ``spent`` is (since, seconds, on an IPF)."""

    spent: list[tuple[datetime, float, bool]] = field(default_factory=list)
    spans: list[SpanRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.launcher.script, self.launcher.take = one_tile, self._take

    def _spend(self, seconds: float, *, ipf: bool = False) -> None:
        self.spent.append((self.clock.now(), seconds, ipf))
        self.clock.advance(seconds)

    def _take(self, _order: Order) -> dict[str, float]:
        for stage, seconds in STAGES.items():
            self._spend(seconds, ipf=stage == "execute_s")
        return dict(STAGES)

    def call(self, name: str, event: Event, tries: int = 0) -> None:
        began = self.clock.now()
        self._spend(CALLS.get(name, 0.0))
        super().call(name, event, tries)
        trace, number = session_context(SESSION).trace_id, f"{len(self.spans):016x}"
        start, end = (int(when.timestamp() * 1e9) for when in (began, self.clock.now()))
        service, subject = name.replace("-", "_"), {"cloudevents.event_subject": event.subject}
        self.spans.append(SpanRow(trace, number, "", service, service, "consumer", start, end, attributes=subject))

    def tick(self, seconds: float = 10, *, jobs: bool = True) -> None:
        super().tick(0, jobs=jobs)
        self._spend(seconds)


def fresh(**changes: object) -> Timed:
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    return Timed(station=station, **changes)  # type: ignore[arg-type]  # keyword arguments of the dataclass


def timed(**changes: object) -> Timed:
    made = fresh(**changes)
    made.run()
    return made


def l2a_of(made: Timed) -> ProductTimes:
    found = session_overhead(made.services, SESSION)
    for each in found.products:
        assert each.total_s == pytest.approx(sum(known(made, each.product)))
    (product,) = [each for each in found.products if each.level == "L2A"]
    return product


def known(made: Timed, product: str) -> tuple[float, float]:
    """(own, IPF) seconds from the last file seen to the product's being on the shelf."""
    ledger = made.services.ledger
    records = [ledger.read(info.key, Published) for info in ledger.list("products/")]
    (end,) = [record.created for record in records if record.product == product]
    begin = max(ledger.read(info.key, Seen).created for info in ledger.list(f"{keys.session(SESSION)}seen/"))
    of = [(seconds, ipf) for since, seconds, ipf in made.spent if begin <= since < end]
    return sum(seconds for seconds, ipf in of if not ipf), sum(seconds for seconds, ipf in of if ipf)


def assert_known(made: Timed, found: Overhead) -> None:
    assert {each.level for each in found.products} == {"L0", "L1C", "L2A"}
    for each in found.products:
        own, ipf = known(made, each.product)
        assert (each.own_s, each.parts["ipf"]) == pytest.approx((own, ipf)), each.product
        assert each.total_s == pytest.approx(own + ipf)
    assert sum(stretch.seconds for stretch in found.path) == pytest.approx(max(e.total_s for e in found.products))


@pytest.mark.parametrize("told", [True, False], ids=["all told", "every notification lost"])
def test_own_time_is_what_the_clock_was_moved_for_but_ipfs(told: bool) -> None:
    """Where the sweep finds everything, its ticks are on the way, and the service's own."""
    made = timed(delivery=Delivery(copies=lambda _event: int(told)))
    found = session_overhead(made.services, SESSION)
    assert_known(made, found)
    (l2a,) = [each for each in found.products if each.level == "L2A"]
    stages = 5 * sum(seconds for stage, seconds in STAGES.items() if stage != "execute_s")
    assert l2a.parts["ipf"] == 5 * STAGES["execute_s"]
    assert (l2a.own_s - stages < 30) is told
    assert found.first_ipf_s is not None
    assert (found.first_ipf_s < 10) is told
    assert [level.level for level in found.levels] == ["L0", "L1C", "L2A", "all"]
    assert found.levels[-1].own.n == len(found.products)


def test_spans_tell_events_from_calls_and_change_no_sum() -> None:
    made = timed()
    found = session_overhead(made.services, SESSION, made.spans)
    assert_known(made, found)
    (l2a,) = [each for each in found.products if each.level == "L2A"]
    assert "hand-over" not in l2a.parts
    # Of each of the five works a preparation and a launch, and the product's publication.
    assert l2a.parts["function"] == pytest.approx(CALLS["session-assembly"] + 5 * 0.5 + 5 * 0.25 + 1.5)


def test_an_attempt_that_dies_is_told_apart_and_the_pause_after_it_is_ours() -> None:
    made, tried = fresh(), Counter[str]()

    def dies_once(order: Order) -> Outputs:
        tried[order.step] += 1
        if (order.step, tried[order.step]) == ("l1b", 1):
            made.clock.advance(100)
            made.spent.append((made.clock.now() - timedelta(seconds=100), 100, False))
            raise Crash
        return one_tile(order)

    made.launcher.script = dies_once
    made.run()
    product, smooth = l2a_of(made), l2a_of(timed())
    assert product.parts["failed"] >= 100
    assert product.parts["pause"] == pytest.approx(made.settings.retry_delay_s)
    assert product.parts["ipf"] == smooth.parts["ipf"]
    assert product.own_s < smooth.own_s + 40
    assert set(product.parts) - set(smooth.parts) == {"failed", "pause"}


def test_the_time_until_an_operator_retries_or_releases_is_the_operators() -> None:
    made = fresh()
    made.launcher.script = lambda order: (
        replace(script(order), status="failed") if order.step == "l1b" else one_tile(order)
    )
    made.run()
    made._spend(5000)
    made.launcher.script = one_tile
    retry(made.services, SESSION, who="ada@console", reason="mended")
    park(made.services, SESSION, who="ada@console", reason="not yet")
    made.tick()
    made._spend(700)
    release(made.services, SESSION, who="ada@console", reason="now")
    made.run()
    product, smooth = l2a_of(made), l2a_of(timed())
    assert product.parts["operator"] == pytest.approx(5000 + 700, abs=30)
    assert product.own_s < smooth.own_s + 60


def test_what_is_made_anew_takes_the_time_from_when_that_was_asked_for() -> None:
    made = timed()
    made._spend(9000)
    rerun(made.services, SESSION, step="l1c", who="ada@console", reason="a better table")
    made.run()
    found = [each for each in session_overhead(made.services, SESSION).products if each.level == "L2A"]
    first, again = sorted(found, key=lambda each: each.total_s)
    assert again.parts["operator"] == pytest.approx(9000, abs=200)  # two Jobs of before are in it
    assert again.own_s == pytest.approx(first.own_s, abs=15)


def test_a_wait_for_an_auxiliary_file_is_not_ours() -> None:
    made = fresh(settings=Settings(sweep_grace_s=15, retry_delay_s=5, processor_set=str(AWAITING)))
    for_l0u(made.services, "GIP_DATATI", "GIP_ATMSAD", "AUX_UT1UTC")
    for_l2(made.services)
    made.tick()
    made._spend(300)
    for_l0u(made.services, "GIP_ATMIMA")
    made.run()
    product = l2a_of(made)
    assert product.parts["auxiliary"] == pytest.approx(300, abs=15)
    assert product.own_s < l2a_of(timed()).own_s + 30


def test_a_closed_account_tells_the_own_time_of_the_last_product_of_each_level(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[tuple[str, str], list[float]] = defaultdict(list)

    def note(metric: metrics.Metric, value: float = 1, **of: str) -> None:
        told[metric.name, of.get("level", "")].append(value)

    monkeypatch.setattr(metrics, "measured", lambda: True)
    monkeypatch.setattr(metrics, "measure", note)
    made = timed()
    for _ in range(3):
        made.tick()
    found = session_overhead(made.services, SESSION)
    assert told[metrics.FIRST_IPF.name, ""] == [pytest.approx(found.first_ipf_s)]
    for each in found.levels[:-1]:
        assert told[metrics.OWN.name, each.level] == [pytest.approx(each.own.max)]
        assert told[metrics.QUEUE.name, each.level] == [pytest.approx(each.queue.max)]
    assert told[metrics.BYTES.name, ""] == [sum(len(content) for content, _ in made.station.held.values())]
    submit(made.operator()[0], SESSION, who="ada@console", reason="a comparison")
    while account_in_force(made.services.ledger, f"{SESSION}-2") is None:
        made.tick()
    for _ in range(3):
        made.tick()
    assert len(told[metrics.OWN.name, "L2A"]) == 2
    assert len(told[metrics.BYTES.name, ""]) == 1, "what came down once is counted once"


def test_a_record_that_cannot_be_read_keeps_no_account_from_being_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "measured", lambda: True)
    made = timed()
    (seen, *_) = [info.key for info in made.services.ledger.list(f"{keys.session(SESSION)}seen/")]
    made.memory.put(made.settings.bucket_ledger, seen, b"no JSON")
    for _ in range(3):
        made.tick()
    assert "its own time is not known" in caplog.text
    assert not list(made.services.ledger.list(keys.CLOSED))


def test_of_a_session_without_products_it_says_so() -> None:
    made = Timed(station=StandInStation())
    with pytest.raises(AbsentError, match="not complete"):
        session_overhead(made.services, SESSION)
