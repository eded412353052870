"""What each function answers to each class of error, and what the broker makes of the answer.

The functions and the errors are found here, not listed: a new one without its row fails.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import functions_framework
import pytest
from flask import Flask

from eventing.knative import Delivery
from eventing.local.delivery import Subscription
from eventing.local.functions import Reply
from shared import bootstrap, errors
from shared.adapters.memory import MemoryStore
from shared.bootstrap import Services
from shared.domain.events import Event, object_created
from shared.errors import AbsentError, PermanentError, RetryableError, S2psError, StationUnavailableError
from shared.settings import Settings

FUNCTIONS: Final = Path(__file__).resolve().parents[3] / "functions"
STEPS: Final = {
    "aux_poll": "step.AuxPoll.run",
    "dead_letters": "step.keep",
    "file_transfer": "step.transfer",
    "job_launch": "step.launch",
    "job_preparation": "step.prepare",
    "job_settlement": "step.settle",
    "object_events": "step.Receiver.receive",
    "product_intake": "step.ProductIntake.run",
    "product_publication": "step.publish",
    "session_account": "step.Accountant.account",
    "session_assembly": "step.assemble",
    "station_poll": "step.StationPoll.run",
    "sweep": "step.Sweep.run",
}
"""What each function does its work with: here is where an error comes from."""

Fate: TypeAlias = Literal["done", "dead letter", "again"]
EVENT: Final = object_created("s2-ledger", "sessions/S2A_20260621104500057405/complete.json", "e")
# knative/eventing, pkg/kncloudevents/retries.go: these, 5xx, and no answer; everything else beyond 2xx is for good.
KNATIVE_RETRIES: Final = frozenset({404, 408, 409, 429})


def family(root: type[S2psError]) -> list[type[S2psError]]:
    """``root`` and all that derive from it in the tree of errors."""
    below = [each for kind in root.__subclasses__() for each in family(kind)]
    return [each for each in (root, *below) if each.__module__ == errors.__name__]


def made(kind: type[Exception]) -> Exception:
    return kind("DSIB, session_id", "a session id", "?") if issubclass(kind, errors.BadInputError) else kind("said why")


class Bug(Exception):
    """An error that is none of ours."""


def fate_of(kind: type[Exception]) -> Fate:
    """What must become of an event whose handling ends so."""
    if issubclass(kind, PermanentError):
        return "dead letter"
    return "done" if issubclass(kind, AbsentError) else "again"


KINDS: Final = [*family(RetryableError), *family(PermanentError), *family(AbsentError), Bug]
FOUND: Final = sorted(path.parent.name for path in FUNCTIONS.glob("*/main.py") if path.parent.name != "cli")


def test_nothing_is_left_out() -> None:
    assert sorted(STEPS) == FOUND
    assert set(KINDS) == {*family(S2psError), Bug} - {S2psError}


def served(function: str, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A function, served by the framework."""
    for name in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):
        monkeypatch.setenv(name, "main")  # the framework writes them
    monkeypatch.setitem(sys.modules, "main", sys)
    monkeypatch.setenv("K_SINK", "http://127.0.0.1:9/")
    app: Flask = functions_framework.create_app("main", str(FUNCTIONS / function / "main.py"))  # type: ignore[no-untyped-call]  # the framework's
    return app


@pytest.fixture
def app(function: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A function whose step ends with an error of ``kind``."""

    def step(*_: object) -> None:
        raise made(kind)

    module, _, attribute = STEPS[function].partition(".")
    place: Any = importlib.import_module(f"functions.{function}.{module}")
    *outer, last = attribute.split(".")
    for name in outer:
        place = getattr(place, name)
    monkeypatch.setattr(place, last, step)
    return served(function, monkeypatch)


@dataclass
class Broker:
    """A Trigger of this project's with one function behind it."""

    app: Flask
    replies: list[Reply] = field(default_factory=list)
    dead: list[Event] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, headers: Mapping[str, str], body: bytes, _timeout_s: float) -> Reply:
        answer = self.app.test_client().post("/", headers=dict(headers), data=body)
        reply = Reply(answer.status_code, {name.lower(): text for name, text in answer.headers.items()}, answer.data)
        self.replies.append(reply)
        return reply

    def bury(self, event: Event) -> bool:
        self.dead.append(event)
        return True

    def deliver(self, event: Event) -> Subscription:
        delivery = Delivery.model_validate({"retry": 2, "backoffDelay": "PT0S"})
        options: dict[str, Any] = {"on_reply": lambda _event: True, "on_dead": self.bury, "destination": "http://f/"}
        subscription = Subscription("edge", self.call, delivery, concurrency=1, **options)
        subscription.offer(event)
        with subscription._changed:
            assert subscription._changed.wait_for(lambda: not (subscription._busy or subscription._queue), 30)
        subscription.close()
        return subscription


CASES: Final = [
    pytest.param(function, kind, id=f"{function}-{kind.__name__}")
    for function in FOUND
    for kind in KINDS
    if function != "object_events" or not issubclass(kind, AbsentError)  # it asks no store: nothing can be absent
    if (function, kind) != ("station_poll", StationUnavailableError)  # a row of its own, below
]


@pytest.mark.parametrize(("function", "kind"), CASES)
def test_the_answer_is_what_the_broker_needs(function: str, kind: type[Exception], app: Flask) -> None:
    wanted = fate_of(kind)
    broker = Broker(app)
    counted = broker.deliver(EVENT)
    status, body = broker.replies[0].status, broker.replies[0].body
    match wanted:
        case "done":
            assert (status, body, counted.delivered, broker.dead) == (204, b"", 1, [])
        case "dead letter":
            assert (status // 100, status in KNATIVE_RETRIES) == (4, False)
            assert (len(broker.replies), counted.retried, counted.dead) == (1, 0, 1)
            assert broker.dead[0].extensions["knativeerrorcode"] == str(status)
            assert made(kind).args[0].encode() in body
            assert body.startswith(function.encode())
        case "again":
            assert status == (503 if issubclass(kind, RetryableError) else 500)
            assert (len(broker.replies), counted.retried, counted.dead) == (3, 2, 1), "used up in the end"
    assert b"\n" not in body.strip() or status == 500
    assert "Traceback" not in body.decode()


class Away:
    """A station that is away."""

    name = "SGS_"

    def sessions(self) -> Iterator[tuple[str, str, str]]:
        raise made(StationUnavailableError)


def test_a_station_that_is_away_is_no_reason_to_send_the_tick_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next tick asks it: five retries within two seconds find it away five times more."""
    services = Services(Settings())
    vars(services).update(store=MemoryStore(services.clock), stations={"SGS_": Away()})
    monkeypatch.setattr(bootstrap, "services", lambda: services)
    broker = Broker(served("station_poll", monkeypatch))
    counted = broker.deliver(EVENT)
    assert ([reply.status for reply in broker.replies], counted.delivered, broker.dead) == ([204], 1, [])
