"""Entry point of object events: a store's notification in, events out, an answer at once."""

from __future__ import annotations

import logging

import functions_framework
from flask import Request

from eventing.http import DONE, Answer, read_body, text
from functions.object_events.step import WrongTokenError, check_token, forward
from shared.bootstrap import services
from shared.errors import PermanentError, RetryableError
from shared.telemetry import configure_logging

configure_logging()
_LOG = logging.getLogger("s2ps.function")
_MAX_BODY = 4 << 20

SERVICES = services()  # a wrong setting stops the function here


@functions_framework.http
def main(request: Request) -> Answer:
    """One notification by POST, in the store's own dialect."""
    if request.method != "POST":
        return text("expected a notification by POST", 405)
    try:
        body = read_body(request, _MAX_BODY)
        check_token(request.headers.get("authorization"), SERVICES.settings.notification_token.get_secret_value())
        forward(body, SERVICES.sink)
    except WrongTokenError as error:
        _LOG.warning("object_events: %s", error)
        return text(str(error), 401)
    except PermanentError as error:
        _LOG.warning("object_events: refused: %s", error)
        return text(f"object_events: {error}", 422)
    except RetryableError as error:
        _LOG.warning("object_events: again later: %s", error)
        return text(f"object_events: {error}", 503)
    return DONE
