"""The server of a function: functions-framework's application under gunicorn, set up for a container of Knative's.

Settings as the framework has them: ``FUNCTION_SOURCE``, ``FUNCTION_TARGET``, ``PORT``, ``HOST``, ``THREADS``. Beyond
what its own command can be told, connections are kept longer than a proxy keeps them: a proxy that finds one closed
just as it sends an event cannot send it again. A request under way at SIGTERM may end in the time that the platform
gives, and a step that stays on (``shared.vigil``) hears of it. No control socket, no file on a disk.

While framework and function are imported nothing is looked through for garbage: there is little, and looking took a
tenth of a start's processor time.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from typing import Any, Final

from shared.errors import ConfigurationError
from shared.telemetry.process import age_s, ready
from shared.vigil import STOP

_STARTED: Final = time.monotonic() - age_s()
"""When the server's process was started, on the clock that its workers share."""
KEEP_ALIVE_S: Final = 120
"""Longer than the 90 seconds after which a Go client drops an idle connection."""
GRACE_S: Final = 600
"""Requests are bounded by the platform: it kills what outlives its own grace time."""
SPARE: Final = 1
"""A thread beyond the events at a time: a connection that says nothing yet (a probe, a proxy's spare one) takes it."""
_MEMORY: Final = "/dev/shm"  # noqa: S108 - gunicorn's heartbeat: a file without a name, where no disk can stall it
_ENDING: Final = b'{"level": "info", "logger": "s2ps.function", "message": "SIGTERM: requests under way may end"}\n'


def main() -> None:
    """Serve until SIGTERM; ConfigurationError and others of the function's import end it before it listens."""
    gc.disable()
    from functions_framework import create_app
    from functions_framework._http.gunicorn import GunicornApplication

    target, source = (_text(name) for name in ("FUNCTION_TARGET", "FUNCTION_SOURCE"))
    app = create_app(target, source, "http")  # type: ignore[no-untyped-call]  # the framework has no types
    gc.freeze()  # what was imported stays; the worker shares its memory
    options: dict[str, Any] = {
        "threads": _number("THREADS", 4) + SPARE,
        "keepalive": KEEP_ALIVE_S,
        "graceful_timeout": GRACE_S,
        "control_socket_disable": True,
        "post_worker_init": _begin,
    }
    if os.access(_MEMORY, os.W_OK):
        options["worker_tmp_dir"] = _MEMORY
    host, port = os.environ.get("HOST", "0.0.0.0"), _number("PORT", 8080)  # noqa: S104 - a container's
    GunicornApplication(app, host, port, debug=False, **options).run()  # type: ignore[no-untyped-call]  # nor here


def _text(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigurationError(f"{name}: expected a value, as the function's manifest has it")
    return value


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ConfigurationError(f"{name}: expected a number from 1 to 65535, found {value[:40]!r}")
    return int(value)


def _begin(worker: Any) -> None:
    """The worker is ready. Of the first one, the server's start counts; another stands in for one that died."""
    ready(time.monotonic() - _STARTED if worker.age == 1 else age_s())
    _hear(worker)
    gc.enable()


def _hear(_worker: object) -> None:
    """Let SIGTERM end a stay, and go on to what the server makes of it.

    A worker may be sent it twice, by who ends the whole group and by its own server. The second one goes to the server
    alone: within ``STOP.set`` it would wait for the very lock that is held there.
    """
    server = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, server)
        os.write(2, _ENDING)  # not by a logger: the thread that the signal interrupts may be writing
        STOP.set()
        if callable(server):
            server(number, frame)

    signal.signal(signal.SIGTERM, handle)


if __name__ == "__main__":
    main()
