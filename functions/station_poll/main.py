"""Entry point of the station poll: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.station_poll.step import StationPoll
from shared.bootstrap import services
from shared.vigil import Vigil, session_incoming

SERVICES = services()  # a wrong setting stops the function here
POLL = StationPoll(SERVICES)
VIGIL = Vigil(
    POLL.run,
    lambda: session_incoming(SERVICES.ledger),
    SERVICES.clock,
    stay_s=SERVICES.settings.poll_stay_s,
    interval_s=SERVICES.settings.poll_interval_s,
)


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "station_poll", lambda event: VIGIL.keep(event.time))
