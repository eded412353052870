"""Entry point of the station poll: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.station_poll.step import StationPoll
from shared.bootstrap import services

POLL = StationPoll(services())  # a wrong setting stops the function here


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "station_poll", lambda _event: POLL.run())
