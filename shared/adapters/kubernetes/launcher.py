"""The port ``JobLauncher`` on Kubernetes."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.adapters.kubernetes.clearing import clearing_manifest
from shared.adapters.kubernetes.client import KubernetesApi
from shared.adapters.kubernetes.manifest import CLASS, TURN, job_manifest, priority_class
from shared.adapters.kubernetes.states import job_state, lacks_pods, needs_pods
from shared.errors import BadInputError
from shared.ports import CLEAN, Clock, JobSpec, JobState
from shared.settings import Settings
from shared.workflow.graph import Processor


class KubernetesJobLauncher:
    """One Job object per attempt, by the Job's name.

    Args:
        api: the cluster.
        processor: the processor of a Job. Whoever only asks how Jobs stand never calls it.
        settings: of the Jobs.
        clock: for the priority by slack, and for how long a pod has not started.
    """

    def __init__(
        self, api: KubernetesApi, processor: Callable[[JobSpec], Processor], settings: Settings, clock: Clock
    ) -> None:
        self._api, self._processor, self._settings, self._clock = api, processor, settings, clock

    def launch(self, job: JobSpec) -> None:
        """Create the Job; a no-op where one of this name is there.

        RetryableError where the API server is down or the quota of Jobs is used up, ConfigurationError where it
        refuses the Job (rights, a field), with its own sentence.
        """
        if job.step == CLEAN:
            self._api.create_job(clearing_manifest(job, self._settings))
            return
        self._api.create_job(job_manifest(job, self._processor(job), self._settings, self._clock.now()))

    def state(self, name: str) -> JobState | None:
        """How the Job stands: its own word, and that of its pods where they know more. None where there is none."""
        job, now = self._api.job(name), self._clock.now()
        if job is None:
            return None
        pods = self._api.pods(name) if needs_pods(job) else []
        failures = self._api.creation_failures(name) if lacks_pods(job, pods, now) else []
        return job_state(job, pods, failures, now, timedelta(seconds=self._settings.job_wait_s))

    def hasten(self, name: str) -> None:
        """A Job that waits in a Kueue queue gets the class that the time left until its turn asks for by now.

        Kueue takes a label that is changed over into the workload until there is a place for it (0.15 and newer).
        A class that an operator gave it stays: a Job is raised among the classes of the settings, never lowered.
        BadInputError where somebody changed the Job's turn into what is no instant.
        """
        job = self._api.job(name)
        if job is None or not (job.get("spec") or {}).get("suspend"):
            return
        metadata = job.get("metadata") or {}
        stands, due = (metadata.get("labels") or {}).get(CLASS), (metadata.get("annotations") or {}).get(TURN)
        if stands is None or due is None:
            return
        asked = priority_class(self._settings, _instant(name, due), self._clock.now())
        under_min = {of: limit for limit, of in self._settings.job_priorities}
        if asked and under_min[asked] < under_min.get(stands, -math.inf):
            self._api.label_job(name, {CLASS: asked})

    def stop(self, name: str) -> None:
        """Delete the Job, and with it the pods that hold places on nodes."""
        self._api.delete_job(name)


def _instant(name: str, due: str) -> datetime:
    try:
        found = datetime.fromisoformat(due)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadInputError(f"Job {name}, annotation {TURN}", "an instant with its zone", due)
    return found
