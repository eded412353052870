"""Entry point of job preparation: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.job_preparation.step import prepare
from shared.bootstrap import services
from shared.workflow.sources import Memory

SERVICES = services()  # a wrong setting stops the function here
MEMORY = Memory()


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST."""
    return answer(request, "job_preparation", lambda event: prepare(event, SERVICES, MEMORY))
