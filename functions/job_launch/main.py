"""Entry point of job launch: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.job_launch.clearing import clear
from functions.job_launch.step import launch
from shared.bootstrap import services
from shared.domain.events import TIMER_DUE, Event
from shared.workflow.clearing import CLEAR

SERVICES = services()  # a wrong setting stops the function here


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST."""
    return answer(request, "job_launch", take)


def take(event: Event) -> None:
    """An order, or a timer that is due: by its kind."""
    if event.type == TIMER_DUE and event.subject == CLEAR:
        clear(event, SERVICES)
    else:
        launch(event, SERVICES)
