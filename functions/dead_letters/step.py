"""Dead letters: an event that nothing could handle is kept, with the reason, for an operator."""

from __future__ import annotations

import base64
from typing import Any

from shared.bootstrap import Services
from shared.domain.events import Event
from shared.ledger import keys
from shared.ledger.records import DeadLetter


def keep(event: Event, services: Services) -> bool:
    """Write the event down; False where it was there already."""
    now = services.clock.now()
    extensions = dict(event.extensions)
    record = DeadLetter(
        created=now,
        traceparent=event.traceparent or "",
        event={
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "data": _jsonable(event.data),
            "extensions": extensions,
        },
        reason=_reason(extensions),
        function=extensions.get("knativeerrordest", ""),
    )
    return services.ledger.create(keys.dead_letter(now, event.id), record)


def _reason(extensions: dict[str, str]) -> str:
    """What the broker says of the last try: an answer's code, and the start of its body (base64 in Knative)."""
    code, data = extensions.get("knativeerrorcode", "no answer"), extensions.get("knativeerrordata", "")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except ValueError:
        text = data
    return f"{code}: {text}".strip()[:1000]


def _jsonable(data: Any) -> Any:
    return base64.b64encode(data).decode() if isinstance(data, bytes) else data
