"""``why`` of work that was never ordered: what it waits for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.cli.why_unordered import why_unordered
from shared.ledger.records import Order
from shared.settings import Settings
from tests.support.house import START, House
from tests.support.standin import JOINED, SESSION, Outputs, Script, StandInStation, script

TILE = "DT01-T32TQL"


def house(answers: Script, stuck: tuple[str, ...]) -> House:
    """A session that went on until nothing but the Jobs of the steps ``stuck`` is left; those get no place."""
    station = StandInStation()
    station.fill(START - timedelta(minutes=2))
    made = House(station=station, settings=Settings(sweep_grace_s=15, processor_set=str(JOINED)))
    made.launcher.script = answers
    real = made.launcher.run_one

    def run() -> object:
        for name in [n for n, job in made.launcher.pending.items() if job.step in stuck]:
            del made.launcher.pending[name]
        return real()

    made.launcher.run_one = run  # type: ignore[method-assign,assignment]
    for _ in range(12):
        made.tick()
    return made


def but(step: str, status: str) -> Script:
    def answers(order: Order) -> Outputs:
        return replace(script(order), status=status if order.step == step else "succeeded")  # type: ignore[arg-type]

    return answers


@pytest.mark.parametrize(
    ("step", "status", "stuck", "stands", "said", "fix"),
    [
        ("l2a-ds", "failed", ("l1c",), "waiting", "waits for l2a-ds of DT01, which failed: the stand-in", "retry"),
        ("l1c-ds", "no-product", ("l1c",), "absent", "waits for l1c-ds of DT01, which ended without a product", ""),
        ("", "", ("l1c",), "waiting", "waits for l1c of DT01-T32TQL, which has not ended", "why"),
        ("", "", ("l1b",), "waiting", "waits for l1b of DT01, which has not ended", "why"),
    ],
)
def test_it_says_what_is_waited_for_and_what_mends_it(
    step: str, status: str, stuck: tuple[str, ...], stands: str, said: str, fix: str
) -> None:
    made = house(but(step, status), stuck)
    target = f"l2a/{TILE}" if "l1b" not in stuck else "l1c-ds/DT01"
    cause = why_unordered(made.operator()[0], SESSION, target)
    assert cause is not None
    assert (cause.stands, cause.fix[:1]) == (stands, (fix,) if fix else ())
    assert said in cause.sentence


def test_it_says_what_nobody_asked_for() -> None:
    cause = why_unordered(house(script, ("l1c",)).operator()[0], SESSION, "l1a-format/DT01")
    assert cause is not None
    assert cause.sentence == "l1a-format of DT01 is not asked for: of a datatake of unknown type."


def test_it_knows_nothing_of_what_is_not_in_the_graph() -> None:
    services = house(script, ("l1c",)).operator()[0]
    assert why_unordered(services, SESSION, "l9/DT01") is None
    assert why_unordered(services, SESSION, "l1c/DT01-T31UFU") is None
