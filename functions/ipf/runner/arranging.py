"""Where stage-in puts what a run needs: each input below the base, links to earlier runs, and what may be gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.ipf.runner.job import Job
from functions.ipf.runner.paths import below, checked
from shared.errors import ConfigurationError, IntegrityError, PermanentError
from shared.ledger.records import Artifact, ArtifactRef, Complete, Outcome
from shared.workflow.processor import Input, Link
from shared.workflow.shared_folders import PLACE, attempt_folder, base_of

FORM: Final = "form"
_NAME: Final = "{name}"


class GoneError(PermanentError):
    """What an earlier step left, in the store or on the shared volume, is not there: no attempt would find it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An input of the order, with the record that it comes from and, but for raw files, the artifact.

    ``at`` is where it lies for the IPF: a folder, or one file.
    """

    ref: ArtifactRef
    record: Complete | Outcome
    artifact: Artifact | None
    at: Path


def make_base(job: Job) -> Path:
    """The folder below which the IPF works: a new one on its shared volume, else the scratch folder."""
    if job.shared is None:
        job.scratch.root.mkdir(parents=True, exist_ok=True)
        return job.scratch.root
    job.shared.mkdir(parents=True, exist_ok=True)
    base = job.shared / attempt_folder(job.place, job.number)
    base.mkdir()
    return base


def take(job: Job, base: Path, records: Mapping[str, Complete | Outcome]) -> tuple[Taken, ...]:
    """Each input of the order and where it belongs. IntegrityError where an outcome has no such output.

    GoneError where it should lie on the shared volume and does not.
    """
    wanted = {needed.file_type: needed for needed in job.processor.inputs}
    made = {
        (outcome, artifact.name, artifact.digest): artifact
        for outcome, record in records.items()
        if isinstance(record, Outcome)
        for artifact in record.outputs
    }
    taken = []
    for ref in job.order.inputs:
        record, needed = records[ref.outcome], wanted.get(ref.file_type) or Input(file_type=ref.file_type, source="")
        if isinstance(record, Complete):
            taken.append(Taken(ref, record, None, base / needed.place))
            continue
        artifact = made.get((ref.outcome, ref.name, ref.digest))
        if artifact is None:
            raise IntegrityError(f"{ref.outcome}: expected an output {ref.name} with digest {ref.digest}")
        if PLACE in artifact.attributes:
            taken.append(Taken(ref, record, artifact, _left(job, record, artifact.attributes[PLACE])))
        else:
            taken.append(Taken(ref, record, artifact, base / needed.place.replace(_NAME, checked(artifact.name))))
    return tuple(taken)


def _left(job: Job, record: Outcome, place: str) -> Path:
    """The folder that an earlier step left on the shared volume."""
    if job.shared is None or job.processor.shared is None:
        raise ConfigurationError(f"processor {job.processor.name}, shared: expected the volume of step {record.step}")
    path = below(job.shared, place)
    if not path.is_dir():
        keep = job.services.settings.shared_keep_s / 3600
        raise GoneError(
            f"Gone: expected {path.name} of step {record.step} on the shared volume {job.processor.shared.claim}, as "
            f"{job.order.session}/{place}: it is kept for {keep:.0f} h after a session's account (S2PS_SHARED_KEEP_S). "
            f"Put it back, then s2ps retry; or make it anew: s2ps retry {job.order.session} --from {record.step}"
        )
    return path


def input_values(taken: tuple[Taken, ...]) -> dict[str, str]:
    """Values of ``{input:<file type>}``: of the types of which there is one input alone."""
    by_type: dict[str, list[str]] = {}
    for each in taken:
        by_type.setdefault(each.ref.file_type, []).append(str(each.at))
    return {f"input:{file_type}": paths[0] for file_type, paths in by_type.items() if len(paths) == 1}


def lay_links(job: Job, base: Path, taken: tuple[Taken, ...]) -> int:
    """The links of the processor, each to the run whose outcome the order names; returns how many were laid."""
    return sum(_lay_link(job, base, link, _base_of(job, link, taken)) for link in job.processor.links)


def _lay_link(job: Job, base: Path, link: Link, source: Path) -> int:
    folder, count = base / link.to, 0
    folder.mkdir(parents=True, exist_ok=True)
    for target in sorted(source.glob(link.what)):
        path = folder / checked(target.name)
        if path.is_symlink() or path.exists():
            raise ConfigurationError(f"processor {job.processor.name}, link {link.what}: {path.name} is laid twice")
        # The path as the IPF wrote it down in the run before, not what it may lead to.
        path.symlink_to(target)
        count += 1
    return count


def _base_of(job: Job, link: Link, taken: tuple[Taken, ...]) -> Path:
    for each in taken:
        if each.artifact is None or not isinstance(each.record, Outcome) or each.record.step != link.source:
            continue
        place = each.artifact.attributes.get(PLACE)
        if place and job.shared is not None:
            return below(job.shared, base_of(place))
    raise ConfigurationError(
        f"processor {job.processor.name}, link {link.what}: expected an input that {link.source} left on the volume"
    )
