"""Entry point of object events: a store's notification in, events out, an answer at once."""

from __future__ import annotations

import logging
import time

import functions_framework
from flask import Request

from eventing.http import DONE, Answer, read_body, text
from functions.object_events.envelopes import SnsEnvelopes
from functions.object_events.step import Receiver, StormError, WrongTokenError
from shared.bootstrap import services
from shared.errors import BadInputError, PermanentError, RetryableError
from shared.telemetry import configure_logging

configure_logging()
_LOG = logging.getLogger("s2ps.function")
_BRAKE_S = 1.0

SERVICES = services()  # a wrong setting stops the function here
TOKEN = SERVICES.settings.notification_token.get_secret_value()
ENVELOPES = SnsEnvelopes(SERVICES.settings)


@functions_framework.http
def main(request: Request) -> Answer:
    """One notification by POST, in the store's own dialect."""
    if request.method != "POST":
        return text("expected a notification by POST", 405)
    try:
        receiver = Receiver(TOKEN, SERVICES.sink, ENVELOPES)
        authorization = request.headers.get("authorization")
        try:
            body = read_body(request, receiver.limit(authorization))
        except BadInputError as error:
            receiver.refuse(authorization, error)
        receiver.receive(body, authorization)
    except WrongTokenError as error:
        # Amazon SNS sends its credentials only when it is asked for them, and by realm: each message comes twice.
        asked = "x-amz-sns-message-type" in request.headers and "authorization" not in request.headers
        _LOG.log(logging.INFO if asked else logging.WARNING, "object_events: %s", error)
        said, status, headers = text(str(error), 401)
        return said, status, {**headers, "www-authenticate": 'Basic realm="s2ps"'}
    except PermanentError as error:
        _LOG.warning("object_events: refused: %s", error)
        return text(f"object_events: {error}", 422)
    except RetryableError as error:
        _LOG.warning("object_events: again later: %s", error)
        if isinstance(error, StormError):
            time.sleep(_BRAKE_S)  # Ceph sends again with the answer, hundreds of times a second
        return text(f"object_events: {error}", 503)
    return DONE
