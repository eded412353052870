"""The steps of all functions, by the names of their services: the same code that runs behind Knative."""

from __future__ import annotations

from functions.dead_letters.step import keep
from functions.file_transfer.step import transfer
from functions.job_launch.step import launch
from functions.job_preparation.step import prepare
from functions.job_settlement.step import settle
from functions.product_publication.step import publish
from functions.rehearse.world import Step
from functions.session_account.step import Accountant
from functions.session_assembly.step import assemble
from functions.station_poll.step import StationPoll
from functions.sweep.step import Sweep
from shared.bootstrap import Services
from shared.workflow.sources import Memory


def steps(services: Services) -> dict[str, Step]:
    """Fresh instances: what they remembered is gone."""
    memory = Memory()
    poll, sweep, accountant = StationPoll(services), Sweep(services), Accountant(services)
    return {
        "station-poll": lambda _event: poll.run(),
        "sweep": lambda _event: sweep.run(),
        "file-transfer": lambda event: transfer(event, services),
        "session-assembly": lambda event: assemble(event, services),
        "job-preparation": lambda event: prepare(event, services, memory),
        "job-launch": lambda event: launch(event, services),
        "job-settlement": lambda event: settle(event, services),
        "product-publication": lambda event: publish(event, services),
        "session-account": accountant.account,
        "dead-letters": lambda event: keep(event, services),
    }
