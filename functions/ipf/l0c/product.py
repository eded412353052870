"""Level-0 products finished: manifest, quality reports and inventory, each made of what is there by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.ipf.common import inventory, olqc, pdi
from functions.ipf.common.xml import write
from functions.ipf.l0c.geometry import granule_geometry, quicklook_footprint
from functions.ipf.l0c.metadata import input_names
from functions.ipf.l0c.quality import datastrip_reports, granule_reports

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from functions.ipf.l0c.facts import Facts, Granule, Indicators
    from functions.ipf.l0c.geometry import Point


@dataclass(frozen=True, slots=True)
class Processor:
    """Who made the product."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Part:
    """What differs between a datastrip and a granule of it."""

    kind: str
    times: tuple[datetime, datetime]
    footprint: tuple[Point, ...]
    lost: float
    clouds: float
    parent: str = ""
    detector: int | None = None


def finish_granule(product: Path, facts: Facts, granule: Granule, processor: Processor) -> list[str]:
    """Finish a granule's folder; a sentence for each check that failed."""
    detector, scene = granule
    part = _Part(
        "Granule",
        facts.scene(scene),
        granule_geometry(facts.geometry, detector, scene).footprint,
        facts.account.lost_share((detector,), range(scene, scene + 1)),
        facts.clouds.get(granule, 0.0),
        facts.name,
        detector,
    )
    _manifest(product, facts, part)
    return _reports(product, facts, part, granule_reports(facts, granule, product), processor)


def finish_datastrip(product: Path, facts: Facts, indicators: Indicators, processor: Processor) -> list[str]:
    """Finish a datastrip's folder; a sentence for each check that failed."""
    times = (facts.account.start, facts.account.stop)
    part = _Part("Datastrip", times, quicklook_footprint(facts.geometry), facts.lost_share, facts.cloud_share)
    _manifest(product, facts, part)
    return _reports(product, facts, part, datastrip_reports(facts, indicators, product), processor)


def _manifest(product: Path, facts: Facts, part: _Part) -> None:
    descriptor = facts.account.descriptor
    origin = pdi.Origin(
        "0",
        part.kind,
        facts.datatake,
        descriptor.datatake_type,
        descriptor.relative_orbit,
        facts.direction,
        *part.times,
        part.footprint,
        [name for _, name in input_names(facts)],
    )
    write(product / pdi.MANIFEST, pdi.manifest(product, facts.production, origin))


def _reports(
    product: Path, facts: Facts, part: _Part, reports: dict[str, list[olqc.Check]], by: Processor
) -> list[str]:
    inspector = olqc.Inspector(by.name, by.version, facts.production.creation)
    olqc.write_reports(product, reports, inspector)
    descriptor = facts.account.descriptor
    entry = inventory.Inventory(
        name=product.name,
        group=facts.datatake,
        version=facts.production.baseline,
        level="0",
        software=by.version,
        generated=facts.production.creation,
        start=part.times[0],
        stop=part.times[1],
        orbit=descriptor.absolute_orbit,
        footprint=part.footprint,
        quality=100.0 - part.lost,
        datatake_type=descriptor.datatake_type,
        station=facts.downlink.station,
        centre=facts.production.centre,
        ascending=facts.ascending,
        clouds=part.clouds,
        parent=part.parent,
        detector=part.detector,
    )
    document = inventory.inventory_metadata(entry, inventory.folder_size(product))
    write(product / inventory.FILE, document)
    return [f"{product.name}: {sentence}" for sentence in olqc.failed(reports)]
