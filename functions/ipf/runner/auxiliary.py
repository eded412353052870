"""The auxiliary files of an order, laid in the folders in which the IPFs look for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from functions.ipf.runner.job import Job
from shared.auxiliary.catalogue import AuxiliaryEntry, Catalogue
from shared.auxiliary.laying import Layer
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.errors import ObjectAbsentError

_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Laid:
    """How much was laid: files, and bytes."""

    files: int = 0
    size: int = 0


def lay(job: Job, base: Path) -> Laid:
    """Lay the files that ``job``'s order names below ``base``; nothing where its processor needs none.

    All folders are made, also where nothing lies in them. ObjectAbsentError with the file's name where one has gone
    since it was chosen, IntegrityError where its bytes have changed, BadInputError where it is not as its type should
    be.
    """
    needs = job.processor.auxiliary
    if needs is None:
        return Laid()
    settings, store = job.services.settings, job.services.store
    root = base / needs.to
    root.mkdir(parents=True, exist_ok=True)
    limits = Limits(files=settings.aux_most_files, size=settings.aux_unpacked_mb << 20)
    layer = Layer(store, settings.bucket_auxiliary, load_types(), limits)
    layer.lay_out((), root)
    catalogue = Catalogue(store, settings.bucket_auxiliary)

    def one(name: str) -> list[Path]:
        return layer.lay_out([_entry(catalogue, name)], root)

    with ThreadPoolExecutor(_THREADS) as pool:
        written = [path for paths in pool.map(one, job.order.auxiliary) for path in paths]
    return Laid(len(written), sum(path.stat().st_size for path in written))


def _entry(catalogue: Catalogue, name: str) -> AuxiliaryEntry:
    try:
        return catalogue.find(name)
    except ObjectAbsentError:
        raise ObjectAbsentError(
            f"auxiliary file {name}: it was chosen for this work, and is not in the catalogue any more; "
            "python -m shared.auxiliary add takes it in again, rebuild makes the catalogue again from the files"
        ) from None
