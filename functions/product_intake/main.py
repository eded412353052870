"""Entry point of the product intake: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.product_intake.step import ProductIntake
from shared.bootstrap import services

SERVICES = services()  # a wrong setting stops the function here
INTAKE = ProductIntake(SERVICES)


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "product_intake", lambda _event: INTAKE.run())
