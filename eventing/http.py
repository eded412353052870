"""The HTTP binding of every function: a request becomes an event, what the step does becomes an answer.

What the broker makes of an answer decides what we answer (Knative eventing, table of retried statuses): 204 with an
empty body is done; 4xx goes to the dead-letter sink; 404, 408, 409, 429 and 5xx come again.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shared.cloudevents import MAX_BODY, from_http, to_http
from shared.domain.events import PING, Event
from shared.errors import AbsentError, BadInputError, PermanentError, RetryableError
from shared.ledger.keys import parse_session
from shared.telemetry import configure, configure_logging, parse_traceparent, session_traceparent, span
from shared.telemetry.metrics import COLD, configure_metrics, measure
from shared.telemetry.process import first_answer

if TYPE_CHECKING:
    from flask import Request

Answer: TypeAlias = tuple[str, int, dict[str, str]]
Step: TypeAlias = Callable[[Event], object]

DONE: Final[Answer] = ("", 204, {})
_PART: Final = 1 << 16
_LEFT: Final = 2 * MAX_BODY
_LOG: Final = logging.getLogger("s2ps.function")

__all__ = ["DONE", "Answer", "Step", "answer", "parent_of", "perform", "read_body", "text", "to_http"]


def answer(request: Request, name: str, step: Step) -> Answer:
    """Run ``step`` on the event in ``request`` and say what came of it.

    Args:
        request: the Flask request of a ``functions_framework.http`` function.
        name: the function's name, e.g. ``file_transfer``; it names the process in logs and traces.
        step: what to do with the event; what it returns is ignored, what it raises decides the answer.

    Returns:
        204 when done or when what the event asks about has gone; 400 for no event; 422 for one that can never succeed;
        503 for one that may succeed later; 500 for a bug. Bodies are empty or one sentence.
    """
    began = time.monotonic()
    configure_logging()
    configure(name)
    configure_metrics(name)
    if request.method != "POST":
        return text("expected an event by POST", 405)
    try:
        event = from_http(dict(request.headers.items()), read_body(request))
    except BadInputError as error:
        _LOG.warning("%s: refused: %s", name, error)
        return text(str(error), 400)
    answered = perform(event, name, step)
    # A tick is answered when its stay is over.
    cold = first_answer(0.0 if event.type == PING else time.monotonic() - began)
    if cold is not None:
        measure(COLD, cold, function=name)
    return answered


def perform(event: Event, name: str, step: Step) -> Answer:
    """Run ``step`` on an event inside its consumer span; the answers are those of ``answer``.

    An event that belongs to no trace (a tick) gets no span: what its step does for a session joins that session's.
    """
    parent = parent_of(event)
    if parent is None:
        return _run(event, name, step)
    attributes = {
        "cloudevents.event_id": event.id,
        "cloudevents.event_source": event.source,
        "cloudevents.event_type": event.type,
        "cloudevents.event_subject": event.subject,
        "faas.name": name,
    }
    with span(name, traceparent=parent, kind="consumer", attributes=attributes) as current:
        answered = _run(event, name, step)
        current.set("http.response.status_code", answered[1])
        if answered[1] >= 400:
            current.error = answered[0]
        return answered


def _run(event: Event, name: str, step: Step) -> Answer:
    try:
        step(event)
    except AbsentError as error:
        _LOG.info("%s: %s %s: what it asks about has gone: %s", name, event.type, event.subject, error)
        return DONE
    except RetryableError as error:
        _LOG.warning("%s: %s %s: again later: %s", name, event.type, event.subject, error)
        return text(f"{name}: {error}", 503)
    except PermanentError as error:
        _LOG.error("%s: %s %s: refused: %s", name, event.type, event.subject, error)
        return text(f"{name}: {error}", 422)
    except Exception as error:  # noqa: BLE001 - whatever a step raises, the broker is told
        _LOG.exception("%s: %s %s: failed", name, event.type, event.subject)
        return text(f"{name}: internal error, {type(error).__name__}; the log has it all", 500)
    return DONE


def parent_of(event: Event) -> str | None:
    """The trace that an event belongs to: its ``traceparent``, else that of the session which it names, else none."""
    if parse_traceparent(event.traceparent) is not None:
        return event.traceparent
    found = parse_session(event.subject)
    session = found[0] if found is not None else ""
    if not session and isinstance(event.data, dict):
        carried = _annotation(event.data, "s2ps.org/traceparent")
        if parse_traceparent(carried) is not None:
            return carried
        named = event.data.get("session")
        session = named if isinstance(named, str) else ""
    return session_traceparent(session) if session else None


def _annotation(resource: dict[str, Any], name: str) -> str | None:
    """An annotation of a Kubernetes object: an API server's event carries no trace of its own."""
    metadata = resource.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    value = annotations.get(name) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else None


def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body of a request, never more than ``limit`` bytes of it in memory; BadInputError where it is longer."""
    declared, stream = request.content_length, request.stream
    body = b"" if declared is not None and declared > limit else stream.read(limit + 1)
    # The framework reads what is left of a body before it answers: let it find nothing, whatever the sender still has.
    request.stream = io.BytesIO()
    if (declared or 0) > limit or len(body) > limit:
        # A connection with much of a body left on it is closed by the server without a word, under the next event.
        # Who asked whether to send it waits for the answer, and sends nothing.
        left = 0 if "expect" in request.headers else _LEFT
        while left > 0 and (part := stream.read(_PART)):
            left -= len(part)
        raise BadInputError("request body", f"at most {limit} bytes", declared)
    return body


def text(message: str, status: int) -> Answer:
    """A plain one-sentence answer."""
    return " ".join(message.split()), status, {"content-type": "text/plain; charset=utf-8"}
