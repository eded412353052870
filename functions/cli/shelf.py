"""Products from the shelf to a folder."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from shared.bootstrap import Services
from shared.errors import IntegrityError
from shared.ledger.records import FileEntry, Published

_PARALLEL = 4


def target_of(folder: Path, product: Published, file: FileEntry) -> Path:
    """Where a product's file goes below ``folder``. IntegrityError where its name would lead out of it."""
    relative = PurePosixPath(product.product) / file.path
    if relative.is_absolute() or ".." in relative.parts:
        raise IntegrityError(f"product {product.product}, file {file.path!r}: expected a path below the product")
    return folder / relative


def fetch(services: Services, products: Iterable[Published], folder: Path) -> list[Path]:
    """Download products below ``folder``, several files at a time; files of the right size are not fetched again.

    Returns the products' folders.
    """
    wanted = list(products)
    jobs = [
        (product, file, target)
        for product in wanted
        for file in product.files
        if not _is_there(target := target_of(folder, product, file), file)
    ]

    def one(job: tuple[Published, FileEntry, Path]) -> None:
        product, file, target = job
        target.parent.mkdir(parents=True, exist_ok=True)
        services.store.download(product.bucket, f"{product.prefix}{file.path}", target)

    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        for _ in pool.map(one, jobs):
            pass
    return [folder / product.product for product in wanted]


def _is_there(target: Path, file: FileEntry) -> bool:
    return target.is_file() and target.stat().st_size == file.size
