"""Entry point of session account: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.session_account.step import Accountant
from shared.bootstrap import services

SERVICES = services()  # a wrong setting stops the function here
ACCOUNTANT = Accountant(SERVICES)


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST."""
    return answer(request, "session_account", ACCOUNTANT.account)
