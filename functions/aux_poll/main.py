"""Entry point of the auxiliary poll: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.aux_poll.step import AuxPoll
from shared.bootstrap import services

SERVICES = services()  # a wrong setting stops the function here
POLL = AuxPoll(SERVICES)


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "aux_poll", lambda _event: POLL.run())
