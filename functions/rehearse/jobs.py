"""What becomes of a Job in a rehearsal: how long it takes, what it makes, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from functions.ipf.runner.stage_out import end_attempt
from functions.rehearse.broken import Crash
from functions.rehearse.durations import ELSE, Duration
from functions.rehearse.outputs import Maker, datastrip_of
from functions.rehearse.sizing import Ran
from functions.rehearse.world import World
from functions.sweep.step import job_ended
from shared.domain.mission_plan import Pass
from shared.errors import RetryableError
from shared.ledger.attempts import conclude, over
from shared.ledger.keys import WorkKey, parse_work
from shared.ledger.records import Order, Outcome
from shared.ports import JobSpec, JobState
from shared.workflow.parts import part_of

STAGING_S: Final = 20.0
"""To bring inputs and outputs."""

_ZOMBIE_S: Final = 900.0
_AWAY_S: Final = 20.0


def place_of(job: JobSpec) -> WorkKey:
    """The work item of a Job."""
    found = parse_work(f"{job.work}order.json")
    if found is None:
        raise ValueError(f"{job.work}: expected a work item")
    return found[0]


@dataclass
class VirtualJobs:
    """Runs Jobs in ``world``: ``begin`` is what its cluster calls.

    Args:
        durations: by step.
        passes: by session.
        maker: makes outputs.
        ran: the Jobs that ended well, by name; ``launched``: when each was asked for.
    """

    world: World
    durations: Mapping[str, Duration]
    passes: Mapping[str, Pass]
    maker: Maker
    ran: dict[str, Ran] = field(default_factory=dict)
    launched: dict[str, datetime] = field(default_factory=dict)
    _took: dict[str, float] = field(default_factory=dict)

    def begin(self, job: JobSpec) -> tuple[float | None, Callable[[], JobState]]:
        """After how many seconds the Job ends (None: never), and what is done then."""
        dice, what = self.world.dice, f"{job.step} of {job.unit} in {job.session}, attempt {job.attempt}"
        duration = self.durations.get(job.step, ELSE)
        took = duration.draw(self._scenes(job), dice.of(f"duration {job.step}"))
        self._took[job.name] = STAGING_S + took
        early = took * dice.of("early").random()
        if dice.strikes_now("hung", what):
            return None, lambda: JobState("failed", None, "DeadlineExceeded")
        if dice.strikes_now("killed", what):
            if dice.of("zombie").random() < 0.5:
                self.world.after(took + dice.of("zombie").uniform(0, _ZOMBIE_S), partial(self._speak_late, job))
            return early, lambda: JobState("failed", None, "NodeLost")
        if dice.strikes_now("oom", what):
            return early, lambda: JobState("failed", 137, "OOMKilled")
        if dice.strikes_now("stumbles", what):
            return early, partial(self._gives_up, job, "retry")
        if dice.strikes_now("wrong", what):
            return STAGING_S + took, partial(self._gives_up, job, "failed")
        return STAGING_S + took, partial(self._finish, job)

    def ended(self, job: JobSpec, state: JobState) -> None:
        """The cluster tells of the end of a Job; the event may be lost as any other."""
        if state.phase == "succeeded" and job.name in self._took:
            self.ran[job.name] = Ran(job, self.launched[job.name], self._took.pop(job.name), self.world.clock.now())
        if job.name in vars(self.world.services)["launcher"].states:
            event = job_ended(place_of(job), job.attempt, state, "")
            if not self.world.dice.strikes_now("lost", f"end of {job.name}"):
                self.world.send(event)

    def _scenes(self, job: JobSpec) -> int:
        one = self.passes[job.session]
        if job.step == "l0u":
            return one.scenes
        scenes = datastrip_of(one, job.unit).scenes
        part = part_of(job.unit, scenes, self.maker.split)
        return scenes if part is None else part.last - part.first

    def _finish(self, job: JobSpec) -> JobState:
        """Stage-out: outputs and outcome. One that dies half-way leaves no outcome; one that finds no store waits."""
        world = self.world
        if world.dice.strikes_now("crash", f"stage-out of {job.name}"):
            dice = world.dice.of("crash at")
            world.store.die_at, world.store.before = dice.randint(1, 6), dice.random() < 0.5
        try:
            with world.store.used_by("stage-out"):
                self._conclude(job)
        except Crash:
            return JobState("failed", 137, "PodFailed")
        except RetryableError:
            world.after(_AWAY_S, partial(self._speak_late, job))
        return JobState("succeeded", 0)

    def _conclude(self, job: JobSpec) -> None:
        place, ledger = place_of(job), self.world.services.ledger
        if over(ledger, place, job.attempt):
            return
        order = ledger.read(place.order, Order)
        artifacts, units = self.maker.make(order, self.passes[job.session], job.attempt)
        now = self.world.clock.now()
        took = timedelta(seconds=self.durations.get(job.step, ELSE).base_s)
        outcome = Outcome(
            created=now,
            traceparent=order.traceparent,
            step=place.step,
            unit=place.unit,
            attempt=job.attempt,
            status="succeeded",
            exit_code=0,
            started=now - took,
            finished=now,
            outputs=artifacts,
            units=units,
            facts=order.facts | self._facts(order),
            processor_set=order.processor_set,
        )
        conclude(ledger, place, outcome)

    def _facts(self, order: Order) -> dict[str, str]:
        processor = self.world.services.workflow.processors[order.step]
        known = {"datatake_type": "NOBS", "gri": "24"}
        return {fact.name: known.get(fact.name, fact.otherwise) for fact in processor.facts}

    def _gives_up(self, job: JobSpec, status: str) -> JobState:
        place = place_of(job)
        try:
            with self.world.store.used_by("stage-out"):
                end_attempt(
                    self.world.services,
                    place,
                    job.attempt,
                    "failed" if status == "failed" else "retry",
                    f"rehearsed: {status}",
                    128 if status == "failed" else 130,
                )
        except Crash:
            return JobState("failed", 137, "PodFailed")
        except RetryableError:
            return JobState("failed", 1, "BackoffLimitExceeded")
        return JobState("succeeded", 0)

    def _speak_late(self, job: JobSpec) -> None:
        """A zombie, or a stage-out that waited: it says now what it had to say, while the ledger is still there."""
        if self.world.memory.head(self.world.settings.bucket_ledger, place_of(job).order) is None:
            return
        try:
            self._conclude(job)
        except RetryableError:
            self.world.after(_AWAY_S, partial(self._speak_late, job))
