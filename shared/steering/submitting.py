"""Submit: a product made elsewhere is processed on from where it stands, in a session of its own kind.

Its files are in the store, or are brought there. What is written then says that the work which makes such products
has its outcome: whatever follows, follows as in any session. T0 is the moment that the last file was in the store.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from shared.bootstrap import Services
from shared.domain.names import CompactName
from shared.errors import BadInputError, ObjectAbsentError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Artifact, Complete, FileEntry, Given, OpenMarker, Outcome
from shared.parallel import pool_of
from shared.steering.done import Deed, Done
from shared.workflow.graph import Output, Step, Workflow
from shared.workflow.plan import tree_digest

SUBMIT: Final = "submit"
MANIFEST: Final = "manifest.safe"
"""The file of a SAFE product that is brought last: with it, the product is whole."""
_STEP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+=@,()~-]{0,254}", re.ASCII)
_PLACE: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+?)/?", re.ASCII)
_MOST_FILES: Final = 5000
_LONGEST_PATH: Final = 900
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class _Found:
    """A product's files; ``folder`` where they are on this machine, else they are below ``prefix`` in ``bucket``."""

    name: str
    files: tuple[FileEntry, ...]
    bucket: str
    prefix: str
    folder: Path | None = None

    @property
    def digest(self) -> str:
        return tree_digest([(file.path, file.size, file.sha256) for file in self.files])


def submit(services: Services, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
    """Process a product on: the folder of a SAFE product, or the place in the store (``s3://bucket/key``) of one.

    RefusedError where the processor set makes nothing of such products, or another of this name was submitted before;
    ObjectAbsentError where there is no product.
    """
    name = CompactName.parse(target.rstrip("/").rpartition("/")[2])
    if not name.safe:
        raise BadInputError("product", "the name of a SAFE product, with .SAFE", target)
    session = session_of(name)
    deed = Deed(services, SUBMIT, session, who, reason, dry_run)
    step, output = _place_in_graph(services.workflow, name)
    found = _find(services, target, str(name))
    given = Given(step=step.name, unit=f"{_strip(name)}-T{name.tile}", digest=found.digest)
    before = services.ledger.find(keys.complete(session), Complete)
    if before is not None and before.given != given:
        raise RefusedError(f"product {name}: another one of this name, of other content, was submitted before")
    if before is not None:
        return [deed.done(session, "it was submitted before; status tells what came of it")]
    deed.begin(str(name))
    if found.folder is not None and not dry_run:
        _bring(services, found, found.folder)
    _write(deed, name, given, output, found)
    following = ", ".join(each.name for each in services.workflow.downstream(step.name)[1:])
    return [deed.done(session, f"{len(found.files)} files; what follows: {following}")]


def session_of(name: CompactName) -> str:
    """The session in which a product that was given is processed on: one for each name."""
    return f"given-{str(name).removesuffix('.SAFE')}"


def _place_in_graph(workflow: Workflow, name: CompactName) -> tuple[Step, Output]:
    """The step whose product this would be. RefusedError where there is none, or nothing can follow from it alone."""
    for step in workflow.steps:
        for output in workflow.publishes(step.name):
            named = output.harvest.rule == "folders" and fnmatchcase(str(name), output.harvest.pattern)
            if not named or output.publish != name.level or workflow.unit(step.name) != "tile":
                continue
            downstream = workflow.downstream(step.name)
            lacking = {before for each in downstream[1:] for before in each.after} - {each.name for each in downstream}
            if lacking:
                raise RefusedError(
                    f"product {name}: what follows {step.name} in processor set {workflow.set_name} also needs "
                    f"{', '.join(sorted(lacking))}, which a single product does not bring"
                )
            if len(downstream) == 1:
                raise RefusedError(f"product {name}: nothing follows {step.name} in processor set {workflow.set_name}")
            return step, output
    raise RefusedError(f"product {name}: no step of processor set {workflow.set_name} makes products of such a name")


def _find(services: Services, target: str, name: str) -> _Found:
    place = _PLACE.fullmatch(target)
    files = tuple(_in_store(services, place[1], f"{place[2]}/") if place else _in_folder(Path(target)))
    if MANIFEST not in {file.path for file in files}:
        raise ObjectAbsentError(f"product {target}: it has no {MANIFEST}, so it is not whole")
    if place:
        return _Found(name, files, place[1], f"{place[2]}/")
    digest = tree_digest([(file.path, file.size, file.sha256) for file in files])
    # Under its content: other files of the same name never take the place of those that are being read.
    prefix = f"given/{digest[:16]}/{name}/"
    return _Found(name, files, services.settings.bucket_sessions, prefix, Path(target))


def _in_store(services: Services, bucket: str, prefix: str) -> Iterator[FileEntry]:
    listed = []
    for info in services.store.list(bucket, prefix):
        if not info.key.endswith("/"):  # a folder's own object, as some clients make
            listed.append((_checked(info.key.removeprefix(prefix)), info))
        if len(listed) > _MOST_FILES:
            raise BadInputError(f"product s3://{bucket}/{prefix}", f"at most {_MOST_FILES} files")

    def entry(path: str, key: str) -> FileEntry:
        digest, size = hashlib.sha256(), 0
        for chunk in services.store.read(bucket, key):
            digest.update(chunk)
            size += len(chunk)
        return FileEntry(path=path, size=size, sha256=digest.hexdigest())

    with pool_of(_THREADS, len(listed)) as pool:
        yield from pool.map(lambda each: entry(each[0], each[1].key), listed)


def _in_folder(folder: Path) -> Iterator[FileEntry]:
    if folder.is_symlink() or not folder.is_dir():
        raise ObjectAbsentError(f"product {folder}: there is no such folder")
    count = 0
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names + [each for each in folders if Path(here, each).is_symlink()]):
            path, count = Path(here, name), count + 1
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise BadInputError(f"product {folder}, {relative}", "a file, not a link")
            if count > _MOST_FILES:
                raise BadInputError(f"product {folder}", f"at most {_MOST_FILES} files")
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                yield FileEntry(path=_checked(relative), size=file.tell(), sha256=digest)


def _checked(path: str) -> str:
    if len(path) > _LONGEST_PATH or not all(_STEP.fullmatch(step) for step in path.split("/")):
        raise BadInputError("product, path", "steps of letters, digits and ._-, none hidden", path)
    return path


def _bring(services: Services, found: _Found, folder: Path) -> None:
    """The files into the store, the manifest last; those that are there already are as they should be."""

    def bring(path: str) -> None:
        services.store.upload(found.bucket, found.prefix + path, folder / path)

    with pool_of(_THREADS, len(found.files)) as pool:
        list(pool.map(bring, [file.path for file in found.files if file.path != MANIFEST]))
    bring(MANIFEST)


def _strip(name: CompactName) -> str:
    """What stands for the datastrip, of which nothing is known but when it was sensed."""
    return f"S{name.sensing:%Y%m%dT%H%M%S}"


def _write(deed: Deed, name: CompactName, given: Given, output: Output, found: _Found) -> None:
    """The outcome first, ``complete.json`` last: with it, work follows. What was cut off before is taken up again."""
    services, session = deed.services, deed.session
    manifest = services.store.head(found.bucket, found.prefix + MANIFEST)
    t0 = manifest.modified if manifest is not None else deed.now
    sensing = name.sensing.isoformat()
    outcome = Outcome(
        created=t0,
        traceparent=deed.trace,
        step=given.step,
        unit=given.unit,
        attempt=0,
        status="succeeded",
        reason=f"given by {deed.who}: {deed.reason}",
        started=t0,
        finished=t0,
        outputs=(
            Artifact(
                file_type=output.artifact,
                name=found.name,
                bucket=found.bucket,
                prefix=found.prefix,
                digest=found.digest,
                size=sum(file.size for file in found.files),
                files=found.files,
                attributes={"sensing_start": sensing, "sensing_stop": sensing},
            ),
        ),
    )
    deed.write(given.key(session).outcome, outcome)
    common = {"traceparent": deed.trace, "session": session, "station": "", "satellite": name.satellite}
    deed.write(keys.open_marker(session), OpenMarker(created=deed.now, **common))
    made = Complete(
        created=t0,
        t0=t0,
        files=(),
        given=given,
        strategy=deed.services.active_strategy(),
        work_class="reprocessing",
        **common,
    )
    deed.write(keys.complete(session), made)
