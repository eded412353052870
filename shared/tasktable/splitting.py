"""How a task becomes processes: by data block, band, detector, granule, ATF (along-track fragment), segment and tile.

A process gets its part by parameters: lists ``01-02-03``, ranges ``001`` to ``004``. Parts are as equal as they can
be, the smaller first. Each split multiplies the ones before it.

The reference does three things otherwise, which its measured numbers do not show. With several data blocks it takes the
size of the first for all; here each has its own. Once a tile list is there, it takes the number of tiles for that of
granules; here the two are apart. Where a size is not known, it keeps the task whole, on granule 001; here that is an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import BadInputError, NotReadyError
from shared.tasktable.scheme import Mode, Scheme

Parameters = dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What earlier tasks wrote, as far as it is known; it decides into how many processes the next ones are split.

    ``granules``: per data block (``001``), the number of granules of one detector. ``instances``: how many processes
    quality control and inventory are spread over. Names are those of product folders; ``granule_names`` with their
    block (``DB1/S2B_...``). ``sensing`` is the sensing time of each tile folder.
    """

    granules: Mapping[str, int] = field(default_factory=dict)
    tiles: int | None = None
    gri_images: int | None = None
    segments: int | None = None
    instances: int = 1
    datastrip_names: tuple[str, ...] = ()
    granule_names: tuple[str, ...] = ()
    tile_names: tuple[str, ...] = ()
    sensing: Mapping[str, str] = field(default_factory=dict)


def split_list(items: list[str], parts: int) -> list[list[str]]:
    """``items`` in at most ``parts`` runs, none empty."""
    return [items[begin - 1 : end] for begin, end in split_range(len(items), parts)]


def split_range(size: int, parts: int) -> list[tuple[int, int]]:
    """The numbers 1 to ``size`` in at most ``parts`` ranges (first, last), none empty."""
    parts, ranges, used = min(parts, size), [], 0
    for part in range(parts):
        length = (size - used) // (parts - part)
        ranges.append((used + 1, used + length))
        used += length
    return ranges


def split(task: str, parameters: Mapping[str, str], scheme: Scheme, mode: Mode, facts: Facts) -> list[Parameters]:
    """The parameters of each process of a task, from those of the whole.

    NotReadyError where a size that decides is not known, BadInputError where it is zero.
    """
    sets = _by_block(dict(parameters), facts)
    for key, parts in mode.partitions.items():
        splitter = _SPLITTERS.get(key)
        if splitter is not None:
            sets = splitter(_Task(task, parameters, scheme, mode, facts, parts), sets)
    return sets


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    parameters: Mapping[str, str]
    scheme: Scheme
    mode: Mode
    facts: Facts
    parts: int

    def on(self, switch: str) -> bool:
        return self.parameters.get(switch) == "true"

    def needs(self, size: int | None, of: str) -> int:
        if size is None:
            raise NotReadyError(f"task {self.name}: the number of {of} is not known yet")
        if size < 1:
            raise BadInputError(f"task {self.name}, {of}", "at least one", size)
        return size

    def granules(self, parameters: Parameters) -> int:
        """Of the process's own data block, or of all of them where the task knows no blocks."""
        if "DATABLOCK_NUMBER" in parameters:
            size = self.facts.granules.get(parameters["DATABLOCK_NUMBER"])
        else:
            size = sum(self.facts.granules.values()) if self.facts.granules else None
        return self.needs(size, "granules per data block (FRAME_FILE)")


def _by_block(parameters: Parameters, facts: Facts) -> list[Parameters]:
    """One set per data block, unless the task says that it takes them all at once."""
    if "DATABLOCK_NUMBER" not in parameters or parameters.get("PARALLEL_DATABLOCK") == "false" or not facts.granules:
        return [parameters]
    return [parameters | {"DATABLOCK_NUMBER": block} for block in sorted(facts.granules)]


def _by_list(sets: list[Parameters], name: str, value: str, parts: int) -> list[Parameters]:
    return [one | {name: "-".join(run)} for run in split_list(value.split("-"), parts) for one in sets]


def _by_range(sets: list[Parameters], prefix: str, parts: int, size: Callable[[Parameters], int]) -> list[Parameters]:
    begin, end = f"{prefix}_BEGIN", f"{prefix}_END"
    if prefix == "PARALLEL_ATF":
        begin, end = f"{begin}_GRANULE", f"{end}_GRANULE"
    return [
        one | {begin: f"{first:03d}", end: f"{last:03d}"}
        for one in sets
        for first, last in split_range(size(one), parts)
    ]


def _band_ql(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    if not task.on("PARALLEL_BAND_QL"):
        return sets
    return _by_list(sets, "PARALLEL_BAND_QL_IDENT", task.parameters["PARALLEL_BAND_QL_IDENT"], task.parts)


def _band(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    # RESAMPLE_TO_VS has the switch and no list of bands: it is not split.
    if not task.on("PARALLEL_BAND") or "PARALLEL_BAND_IDENT" not in task.parameters:
        return sets
    return _by_list(sets, "PARALLEL_BAND_IDENT", task.parameters["PARALLEL_BAND_IDENT"], task.parts)


def _detector(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    """By detector where the switch is on, and where there is a list of detectors and no switch."""
    if "PARALLEL_DETECTOR_IDENT" not in task.parameters or task.parameters.get("PARALLEL_DETECTOR", "true") != "true":
        return sets
    detectors = task.parameters["PARALLEL_DETECTOR_IDENT"]
    single = task.name in task.scheme.single_detector
    return _by_list(sets, "PARALLEL_DETECTOR_IDENT", detectors, len(detectors) if single else task.parts)


def _granule(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    if "PARALLEL_GRANULE_BEGIN" not in task.parameters:
        return sets
    if task.on("PARALLEL_GRANULE"):
        return _by_range(sets, "PARALLEL_GRANULE", task.parts, task.granules)
    if "GRI_DECOMPRESSION" in task.parameters and task.on("GRI_DECOMPRESSION"):
        images = task.needs(task.facts.gri_images, "reference images (GRI_LIST_FILE)")
        return _by_range(sets, "PARALLEL_GRANULE", task.parts, lambda _: images)
    return sets


def _atf(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    if not task.on("PARALLEL_ATF"):
        return sets
    if "PARALLEL_ATF_BEGIN_GRANULE" in task.parameters:
        sets = _by_range(sets, "PARALLEL_ATF", task.parts, task.granules)
    elif "PARALLEL_GRANULE_BEGIN" in task.parameters and "PARALLEL_GRANULE" not in task.parameters:
        # FORMAT_ISP: along-track fragments under the names of granules.
        sets = _by_range(sets, "PARALLEL_GRANULE", task.parts, task.granules)
    if detectors := task.parameters.get("PARALLEL_ATF_DETECTOR_IDENT"):
        single = task.name in task.scheme.single_detector
        parts = len(detectors) if single else task.mode.partitions.get("ATF_DETECTOR", 1)
        sets = _by_list(sets, "PARALLEL_ATF_DETECTOR_IDENT", detectors, parts)
    if "PARALLEL_V_ATF_NUMBER" in task.parameters:
        segments = task.needs(task.facts.segments, "segments (SEGMENTATION_FILE)")
        numbers = "-".join(f"{number:04d}" for number in range(1, segments + 1))
        sets = _by_list(sets, "PARALLEL_V_ATF_NUMBER", numbers, segments)
    return sets


def _tile(task: _Task, sets: list[Parameters]) -> list[Parameters]:
    if not task.on("PARALLEL_TILE"):
        return sets
    tiles = task.needs(task.facts.tiles, "tiles (TILE_LIST_FILE)")
    numbers = "-".join(f"{number:03d}" for number in range(1, tiles + 1))
    return _by_list(sets, "PARALLEL_TILE_IDENT", numbers, task.parts)


_SPLITTERS: dict[str, Callable[[_Task, list[Parameters]], list[Parameters]]] = {
    "BAND_QL": _band_ql,
    "BAND": _band,
    "DETECTOR": _detector,
    "GRANULE": _granule,
    "ATF": _atf,
    "TILE": _tile,
}
