"""Entry point of session assembly: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.session_assembly.step import assemble
from shared.bootstrap import services

SERVICES = services()  # a wrong setting stops the function here


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST."""
    return answer(request, "session_assembly", lambda event: assemble(event, SERVICES))
