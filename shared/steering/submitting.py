"""Submit: a product made elsewhere is processed on from where it stands, in a session of its own kind.

Its files are in the store, or are brought there. What is written then says that the work which makes such products
has its outcome: whatever follows, follows as in any session. T0 is the moment that the last file was in the store.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from shared.bootstrap import Services
from shared.domain.names import CompactName
from shared.errors import BadInputError, RefusedError
from shared.ledger import keys
from shared.ledger.records import Artifact, Complete, Given, Outcome
from shared.parallel import pool_of
from shared.steering.beside import is_session, submit_session
from shared.steering.done import Deed, Done
from shared.steering.given import MANIFEST, PLACE, Product, find, opened, product_name
from shared.steering.packed import SUFFIX as ARCHIVE
from shared.steering.paths import clutter
from shared.workflow.graph import Output, Step, Workflow

SUBMIT: Final = "submit"
_THREADS: Final = 3
"""Files that are brought at a time; each has up to three parts of 16 MiB in memory."""


def submit(services: Services, target: str, *, who: str, reason: str, dry_run: bool = False) -> list[Done]:
    """Process a product on: the folder or the archive (.zip) of a SAFE product, or the place of either in the store
    (``s3://bucket/key``). Or the raw data of a session once more (``shared.steering.beside``).

    RefusedError where the processor set makes nothing of such products, or another of this name was submitted before;
    ObjectAbsentError where there is no product; BadInputError where it is not as its manifest says.
    """
    if is_session(target):
        return [submit_session(services, target, SUBMIT, who, reason, dry_run=dry_run)]
    with opened(services, target) as place:
        return [_submit(services, place, who, reason, dry_run=dry_run)]


def products_below(services: Services, target: str) -> list[str] | None:
    """The products directly in a place that is none itself, a folder or ``s3://bucket/key/``, without those that were
    submitted before; None where ``target`` is no such place.
    """
    if target.rstrip("/").lower().endswith((".safe", ARCHIVE)):
        return None
    place = PLACE.fullmatch(target)
    if place is not None:
        prefix = f"{place[2]}/"
        keys_below = (info.key.removeprefix(prefix) for info in services.store.list(place[1], prefix))
        names: list[str] = list(dict.fromkeys(key.partition("/")[0] for key in keys_below))
        base = f"s3://{place[1]}/{prefix}"
    elif Path(target).is_dir():
        names, base = sorted(path.name for path in Path(target).iterdir()), f"{target.rstrip('/')}/"
    else:
        return None
    found = [base + name for name in names if name.lower().endswith((".safe", ARCHIVE)) and not clutter(name)]
    return [each for each in found if not _known(services, each)]


def _known(services: Services, target: str) -> bool:
    name = target.rstrip("/").rpartition("/")[2]
    name = name.removesuffix(ARCHIVE).removesuffix(".SAFE")
    try:
        session = session_of(CompactName.parse(name))
    except BadInputError:
        return False
    return services.ledger.exists(keys.complete(session))


def _submit(services: Services, target: str, who: str, reason: str, *, dry_run: bool) -> Done:
    name = product_name(target.rpartition("/")[2])
    session = session_of(name)
    deed = Deed(services, SUBMIT, session, who, reason, dry_run)
    step, output = _place_in_graph(services.workflow, name)
    found = find(services, target, str(name))
    given = Given(step=step.name, unit=f"{_strip(name)}-T{name.tile}", digest=found.digest)
    before = services.ledger.find(keys.complete(session), Complete)
    if before is not None and before.given != given:
        raise RefusedError(f"product {name}: another one of this name, of other content, was submitted before")
    if before is not None:
        return deed.done(session, "it was submitted before; status tells what came of it")
    deed.begin(str(name))
    if found.folder is not None and not dry_run:
        _bring(services, found, found.folder)
    _write(deed, name, given, output, found)
    following = ", ".join(each.name for each in services.workflow.downstream(step.name)[1:])
    return deed.done(session, "; ".join((f"{len(found.files)} files", f"what follows: {following}", *found.remarks)))


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


def _bring(services: Services, found: Product, folder: Path) -> None:
    """The files into the store, the manifest last; those that are there already are as they should be."""

    def bring(path: str) -> None:
        services.store.upload(found.bucket, found.prefix + path, folder / path)

    with pool_of(_THREADS, len(found.files)) as pool:
        list(pool.map(bring, [file.path for file in found.files if file.path != MANIFEST]))
    bring(MANIFEST)


def _strip(name: CompactName) -> str:
    """What stands for the datastrip, of which nothing is known but when it was sensed."""
    return f"S{name.sensing:%Y%m%dT%H%M%S}"


def _write(deed: Deed, name: CompactName, given: Given, output: Output, found: Product) -> None:
    """The outcome first: with ``complete.json``, work follows. What was cut off before is taken up again."""
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
    made = Complete(
        created=t0,
        traceparent=deed.trace,
        session=session,
        station="",
        satellite=name.satellite,
        t0=t0,
        files=(),
        given=given,
        strategy=deed.services.active_strategy(),
        work_class="reprocessing",
    )
    deed.start(made)
