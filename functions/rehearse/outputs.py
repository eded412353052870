"""What the Jobs of a rehearsal make: every output of a processor of the set, by its harvest rule, with right names.

The files are of a few bytes: what is rehearsed is the service, not its processors. Granules of a datastrip are bundled,
at most so many of each; a bundle is one product.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final

from functions.rehearse.passes import SCENE_S
from shared.domain.mission_plan import Pass, Segment
from shared.domain.names import format_stamp
from shared.domain.strategy import Split
from shared.ledger.records import Artifact, FileEntry, Order
from shared.ports import ObjectStore
from shared.workflow.granules import GRANULES
from shared.workflow.graph import Output, Workflow
from shared.workflow.parts import part_of
from shared.workflow.plan import tree_digest

TILES_A_SCENE: Final = 1.16
"""6 000 tiles of 5 163 scenes a day and satellite."""

_COLUMNS: Final = "ABCDEFGH"
_ROWS: Final = "ABCDEFGHJKLMNPQRSTUV"


@cache
def tiles(count: int, first: int) -> tuple[str, ...]:
    """So many tiles, each once, from the ``first``-th of the grid on."""
    names = []
    for number in range(first, first + count):
        zone, rest = divmod(number, len(_COLUMNS) * len(_ROWS))
        names.append(f"{zone % 60 + 1:02d}T{_COLUMNS[rest // len(_ROWS)]}{_ROWS[rest % len(_ROWS)]}")
    return tuple(names)


def datastrip_of(one: Pass, unit: str) -> Segment:
    """The segment that a unit (``DT03``, ``DT03-T32TQM``) is of."""
    return one.segments[int(unit[2:4]) - 1]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes outputs: ``granules`` is how many a datastrip's are bundled into at most, ``split`` how it is cut.

    One that is cut has a bundle for each scene: a part is cut out by its scenes.
    """

    workflow: Workflow
    store: ObjectStore
    bucket: str
    granules: int
    split: Split | None = None

    def make(self, order: Order, one: Pass, attempt: int) -> tuple[tuple[Artifact, ...], dict[str, tuple[str, ...]]]:
        """The artifacts of a run, written to the store, and the units that follow."""
        artifacts, units = list[Artifact](), dict[str, tuple[str, ...]]()
        for output in self.workflow.processors[order.step].outputs:
            kind = output.harvest.unit
            if kind == "datastrip":
                units[kind] = tuple(f"DT{number:02d}" for number in range(1, len(one.segments) + 1))
            elif kind == "tile":
                segment = datastrip_of(one, order.unit)
                part = part_of(order.unit, segment.scenes, self.split)
                scenes = segment.scenes if part is None else part.last - part.first
                first = segment.absolute_orbit * 37 % 9000 + (0 if part is None else round(part.first * TILES_A_SCENE))
                units[kind] = tiles(max(1, round((scenes - 2) * TILES_A_SCENE)), first)
            names = units[kind] if kind == "datastrip" else self._names(output, order, one)
            for name in names:
                artifacts.append(self._artifact(order, output, name, attempt, name if kind == "datastrip" else ""))
        return tuple(artifacts), units

    def _names(self, output: Output, order: Order, one: Pass) -> Iterator[str]:
        made = order.parameters["CREATION_DATE"]
        stem = f"{one.satellite}_TEST_{output.artifact:_<10.10}_S2PS_{made}"
        if output.harvest.rule in {"whole", "place", "file", "tile-list"} and not output.publish:
            yield output.file_name or output.artifact
        elif output.artifact == GRANULES:
            segment = datastrip_of(one, order.unit)
            whole = self.split is None or segment.scenes <= self.split.scenes
            bundles = min(segment.scenes, self.granules) if whole else segment.scenes
            for number in range(bundles):
                when = format_stamp(segment.start + timedelta(seconds=SCENE_S * segment.scenes * number / bundles))
                yield f"{one.satellite}_TEST_MSI_L0__GR_S2PS_{made}_S{when}_D{int(order.unit[2:4]):02d}_N00.01"
        elif order.unit.startswith("DT"):
            sensed = format_stamp(datastrip_of(one, order.unit).start)
            yield f"{stem}_S{sensed}{order.unit[4:].replace('-', '_')}_N00.01"
        else:
            yield f"{stem}_S{format_stamp(one.segments[0].start)}_N00.01"

    def _artifact(self, order: Order, output: Output, name: str, attempt: int, unit: str) -> Artifact:
        prefix = f"{order.session}/{order.step}/{order.unit}/{order.digest}/{attempt}/{output.file_type}/{name}/"
        if output.harvest.rule == "place":
            return Artifact(
                file_type=output.artifact,
                name=name,
                bucket=self.bucket,
                prefix="",
                digest=hashlib.sha256(prefix.encode()).hexdigest(),
                size=0,
                attributes={"place": f"{order.step}-{order.digest[:8]}-{attempt}"},
            )
        content = name.encode()
        self.store.put(self.bucket, f"{prefix}f", content)
        entry = FileEntry(path="f", size=len(content), sha256=hashlib.sha256(content).hexdigest())
        return Artifact(
            file_type=output.artifact,
            name=name,
            bucket=self.bucket,
            prefix=prefix,
            digest=tree_digest([(entry.path, entry.size, entry.sha256)]),
            size=entry.size,
            unit=unit,
            files=(entry,),
        )
