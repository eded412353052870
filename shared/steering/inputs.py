"""Are the inputs of work still there? Raw files, intermediate products and shared folders are not kept for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os.path import commonprefix
from typing import Final

from shared.bootstrap import Services
from shared.ledger.keys import session as session_prefix
from shared.ledger.records import Artifact, Cleared, Complete, Outcome
from shared.parallel import pool_of
from shared.workflow.graph import Workflow
from shared.workflow.plan import Ready, Source
from shared.workflow.products import shelf_of
from shared.workflow.shared_folders import PLACE

_THREADS: Final = 16
_DEEP: Final = 3
"""So many folders deep a common prefix must be, to be listed as a whole."""


def lacking_inputs(services: Services, workflow: Workflow, session: str, items: Iterable[Ready]) -> tuple[str, ...]:
    """What of the inputs of these work items is gone, a line for each record that names it; none where all is there."""
    wanted: dict[str, tuple[Source, set[tuple[str, str]]]] = {}
    for item in items:
        for source in item.sources:
            names = wanted.setdefault(source.key, (source, set()))[1]
            names.update((ref.name, ref.digest) for ref in item.inputs if ref.outcome == source.key)
    cleared = _cleared(services, session)

    def look(one: tuple[Source, set[tuple[str, str]]]) -> str:
        source, names = one
        if isinstance(source.record, Complete):
            return _raw_gone(services, source.record) if names else ""
        taken = [each for each in source.record.outputs if (each.name, each.digest) in names]
        return _gone(services, workflow, source.record, taken, cleared)

    with pool_of(_THREADS, len(wanted)) as pool:
        return tuple(line for line in pool.map(look, wanted.values()) if line)


def _raw_gone(services: Services, complete: Complete) -> str:
    bucket = services.settings.bucket_sessions
    gone = [file.name for file in complete.files if services.store.head(bucket, file.key) is None]
    return f"{len(gone)} of {len(complete.files)} raw files are gone, {gone[0]} among them" if gone else ""


def _gone(
    services: Services, workflow: Workflow, outcome: Outcome, taken: list[Artifact], cleared: tuple[Cleared, ...]
) -> str:
    shared = workflow.made_by(outcome.processor_set).processors[outcome.step].shared
    if shared is not None and any(PLACE in each.attributes for each in taken):
        after = [each for each in cleared if each.claim == shared.claim and each.created > outcome.finished]
        if after:
            return (
                f"what {outcome.step} of {outcome.unit} left on {shared.claim} was cleared at {after[0].created:%FT%TZ}"
            )
    there = frozenset(_listed(services, taken))
    gone = [each for each in taken if any((each.bucket, each.prefix + f.path) not in there for f in each.files)]
    lost = [each for each in gone if not _is_shelved(services, workflow, outcome, each)]
    if not lost:
        return ""
    return (
        f"{len(lost)} of {len(taken)} outputs of {outcome.step} of {outcome.unit} are gone, {lost[0].name} among them"
    )


def _is_shelved(services: Services, workflow: Workflow, outcome: Outcome, artifact: Artifact) -> bool:
    """Whether all files of an artifact are on the shelf, from where a run takes them then."""
    shelf, bucket = shelf_of(workflow, outcome, artifact), services.settings.bucket_products
    if not shelf:
        return False
    there = {info.key for info in services.store.list(bucket, shelf)}
    return all(shelf + file.path in there for file in artifact.files)


def _listed(services: Services, taken: list[Artifact]) -> Iterator[tuple[str, str]]:
    """The files below the artifacts' prefixes: a listing for all that one attempt made."""
    for bucket in {each.bucket for each in taken if each.files}:
        prefixes = {each.prefix for each in taken if each.bucket == bucket and each.files}
        common = commonprefix(list(prefixes)).rpartition("/")[0]  # noqa: RUF071  keys are text, cut at a slash here
        whole = common.count("/") >= _DEEP
        for prefix in [f"{common}/"] if whole else sorted(prefixes):
            yield from ((bucket, info.key) for info in services.store.list(bucket, prefix))


def _cleared(services: Services, session: str) -> tuple[Cleared, ...]:
    found = [info.key for info in services.ledger.list(f"{session_prefix(session)}cleared/")]
    return tuple(services.ledger.read_many(found, Cleared))
