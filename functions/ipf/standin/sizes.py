"""Into how many processes the next pool is split: read from what earlier tasks wrote, as the Orchestrator reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from functions.ipf.standin.documents import utc
from functions.ipf.standin.products import granules_in, names_in
from functions.ipf.standin.tasks import Setting
from shared.tasktable import (
    Facts,
    Scheme,
    block_sizes,
    read_frame_file,
    read_gri_list,
    read_segmentation,
    read_tile_list,
)
from shared.tasktable.history import latest
from shared.tasktable.scheme import Safe, Source


def facts_of(scheme: Scheme, setting: Setting, mode: str) -> Facts:
    """What is known before a pool. BadInputError names the file where one of them cannot be read."""
    history = setting.history

    def document(file_type: str) -> tuple[bytes, str] | None:
        made = latest(history, Source(type=file_type))
        return None if made is None else (Path(made.path).read_bytes(), made.path)

    frame, tiles = document("FRAME_FILE"), document("TILE_LIST_FILE")
    gri, segments = document("GRI_LIST_FILE"), document("SEGMENTATION_FILE")
    names = {"datastrip": (), "granule": (), "tile": ()} | _products(scheme, setting, mode)
    return Facts(
        granules=read_frame_file(*frame) if frame else block_sizes(setting.strip.granules),
        tiles=len(read_tile_list(*tiles)) if tiles else None,
        gri_images=read_gri_list(*gri) if gri else None,
        segments=read_segmentation(*segments) if segments else None,
        instances=setting.place.parallel,
        datastrip_names=names["datastrip"],
        granule_names=names["granule"],
        tile_names=names["tile"],
        sensing=dict.fromkeys(names["tile"], utc(setting.strip.start)),
    )


def _products(scheme: Scheme, setting: Setting, mode: str) -> dict[str, tuple[str, ...]]:
    """The names of products that quality control and inventory of this mode look at, as far as they are there."""
    found: dict[str, tuple[str, ...]] = {}
    for safe in _safes(scheme, mode):
        made = latest(setting.history, safe)
        if made is None or safe.unit in found:
            continue
        folder = Path(made.path)
        found[safe.unit] = granules_in(folder) if safe.unit == "granule" else names_in(folder)
    return found


def _safes(scheme: Scheme, mode: str) -> Iterator[Safe]:
    follows = [scheme.calls[follow.call] for follow in scheme.mode(mode).then]
    yield from (call.safe for call in follows if call.safe is not None)
    # What a product belongs to, where it is no product of this mode itself.
    yield from (call.of for call in follows if call.of is not None)
    for pool in scheme.table(mode).pools:
        for task in pool.tasks:
            if task.name in scheme.safe:
                yield scheme.safe[task.name]
