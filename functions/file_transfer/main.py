"""Entry point of the file transfer: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.file_transfer.step import transfer
from functions.file_transfer.under_way import UnderWay
from shared.bootstrap import services

SERVICES = services()  # a wrong setting stops the function here
UNDER_WAY = UnderWay()


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST."""
    return answer(request, "file_transfer", lambda event: transfer(event, SERVICES, UNDER_WAY))
