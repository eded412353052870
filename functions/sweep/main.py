"""Entry point of the sweep: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.sweep.step import Sweep
from shared.bootstrap import services

SWEEP = Sweep(services())  # a wrong setting stops the function here


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "sweep", lambda _event: SWEEP.run())
