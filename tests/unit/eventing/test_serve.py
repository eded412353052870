"""The server of a function: what it is set up with, and what it refuses."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from eventing import serve
from shared.errors import ConfigurationError
from shared.vigil import STOP


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the server would be told; it does not run."""
    told: dict[str, Any] = {}

    class Server:
        def __init__(self, app: object, host: str, port: int, **options: Any) -> None:
            told.update(options, app=app, host=host, port=port)

        def run(self) -> None:
            """Not here."""

    def imported(*arguments: str) -> tuple[str, ...]:
        told["collects"] = gc.isenabled()
        return arguments

    monkeypatch.setattr("functions_framework.create_app", imported)
    monkeypatch.setattr("functions_framework._http.gunicorn.GunicornApplication", Server)
    monkeypatch.setenv("FUNCTION_TARGET", "main")
    monkeypatch.setenv("FUNCTION_SOURCE", "/app/functions/sweep/main.py")
    for name in ("PORT", "HOST", "THREADS"):
        monkeypatch.delenv(name, raising=False)
    yield told
    gc.enable()
    gc.unfreeze()


def test_it_is_told_what_the_manifest_says(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "8012", "HOST": "127.0.0.1", "THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    serve.main()
    assert (told["host"], told["port"], told["threads"]) == ("127.0.0.1", 8012, 2)
    assert told["app"] == ("main", "/app/functions/sweep/main.py", "http")
    assert (told["keepalive"], told["control_socket_disable"], told["debug"]) == (120, True, False)


@pytest.mark.usefixtures("own_signal")
def test_garbage_is_looked_for_once_the_worker_is_ready(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ready", lambda _seconds: None)
    serve.main()
    assert (told["collects"], gc.isenabled()) == (False, False)
    told["post_worker_init"](SimpleNamespace(age=1))
    assert gc.isenabled()


def test_a_containers_defaults(told: dict[str, Any]) -> None:
    serve.main()
    assert (told["host"], told["port"], told["threads"]) == ("0.0.0.0", 8080, 5)  # noqa: S104 - a container's


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", "0"), ("PORT", "70000"), ("THREADS", "-1"), ("THREADS", ""), ("FUNCTION_TARGET", "")],
)
@pytest.mark.usefixtures("told")
def test_a_wrong_setting_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        serve.main()


@pytest.fixture
def own_signal() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    STOP.clear()


@pytest.mark.usefixtures("own_signal")
def test_sigterm_is_heard_and_goes_on_to_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    serve._hear(None)
    signal.raise_signal(signal.SIGTERM)
    assert (STOP.is_set(), heard) == (True, [signal.SIGTERM])
    assert "SIGTERM" in capfd.readouterr().err


@pytest.mark.usefixtures("own_signal")
def test_a_second_sigterm_does_not_wait_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flag:
        """Set as an Event is, under a lock that whoever holds it waits for in vain."""

        held = False

        def set(self) -> None:
            assert not self.held
            self.held = True
            signal.raise_signal(signal.SIGTERM)
            self.held = False

    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    monkeypatch.setattr(serve, "STOP", Flag())
    serve._hear(None)
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM, signal.SIGTERM]


@pytest.mark.usefixtures("own_signal")
def test_the_first_worker_counts_from_the_servers_start_and_one_that_replaces_it_from_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[float] = []
    monkeypatch.setattr(serve, "ready", told.append)
    monkeypatch.setattr(serve, "age_s", lambda: 0.25)
    monkeypatch.setattr(serve, "_STARTED", time.monotonic() - 1000)
    for age in (1, 2):
        serve._begin(SimpleNamespace(age=age))
    assert told == [pytest.approx(1000, abs=10), 0.25]
