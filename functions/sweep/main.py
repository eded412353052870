"""Entry point of the sweep: parse the event, call the step, answer."""

from __future__ import annotations

import functions_framework
from flask import Request

from eventing.http import Answer, answer
from functions.sweep.step import Sweep
from shared.bootstrap import services
from shared.vigil import Vigil, sessions_untold

SERVICES = services()  # a wrong setting stops the function here
SWEEP = Sweep(SERVICES)
VIGIL = Vigil(
    SWEEP.run,
    lambda: sessions_untold(SERVICES.ledger),
    SERVICES.clock,
    stay_s=SERVICES.settings.sweep_stay_s,
    interval_s=SERVICES.settings.sweep_interval_s,
)


@functions_framework.http
def main(request: Request) -> Answer:
    """One CloudEvent by POST: a tick of the PingSource."""
    return answer(request, "sweep", lambda event: VIGIL.keep(event.time))
