"""The documents of an L2A product: metadata, quality reports, notes, discovery metadata, manifest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from functions.ipf.common import olqc, xml
from functions.ipf.l2a import datastrip, metadata, report
from functions.ipf.l2a.inspections import TileFiles, datastrip_checks, tile_checks
from functions.ipf.l2a.masks import carried_masks
from functions.ipf.l2a.reading import Document, time_at
from functions.ipf.safe import elements, inspire
from functions.ipf.safe.jp2 import PREVIEW_RESOLUTION
from functions.ipf.safe.manifest import FILE, manifest
from shared.errors import BadInputError
from shared.msi.instrument import BANDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from functions.ipf.common.olqc import Inspector
    from functions.ipf.l2a.inspections import Reports
    from functions.ipf.l2a.metadata import Content
    from functions.ipf.l2a.scene import Scene
    from functions.ipf.l2a.source import Level1C
    from functions.ipf.safe.names import ProductNames

_RESOLUTIONS = {band.name: band.resolution for band in BANDS} | {"B00": 60, "20m": 20, "60m": 60}


@dataclass(frozen=True, slots=True)
class Made:
    """A product whose images are written: where, of what, and what was found."""

    safe: Path
    names: ProductNames
    source: Level1C
    scene: Scene
    content: Content
    simplifications: Sequence[str]
    inspector: Inspector


def write_documents(made: Made) -> tuple[list[str], list[str]]:
    """All files but the images.

    Returns:
        A sentence for each mask that is left out, and one for each check that failed.
    """
    safe, names, source = made.safe, made.names, made.source
    granule, strip = safe / names.granule_folder, safe / names.datastrip_folder
    masks, left_out = carried_masks(source.granule_folder)
    for mask in masks:
        (granule / "QI_DATA" / mask.name).write_bytes(mask.read_bytes())
    tile_document = metadata.tile_document(names, source, made.content, [mask.name for mask in masks])
    xml.write(granule / "MTD_TL.xml", tile_document)
    xml.write(strip / "MTD_DS.xml", datastrip.document(names, source))
    of_tile = tile_checks(_files(safe, names), source.tile, _sensed(strip / "MTD_DS.xml", source))
    of_strip = datastrip_checks(strip / "MTD_DS.xml", made.content.degraded_ancillary)
    for folder, reports, item in ((granule, of_tile, names.granule), (strip, of_strip, names.datastrip)):
        for name, checks in reports.items():
            olqc.write_report(folder / "QI_DATA" / f"{name}.xml", item, name, checks, made.inspector)
    quality = report.quality_file(names, made.content, made.scene, made.inspector)
    xml.write(granule / "QI_DATA" / report.FILE, quality)
    document = metadata.product(names, source, made.scene, made.content, _passed(of_tile, of_strip))
    xml.write(safe / names.product_metadata, document)
    who = made.inspector
    notes = tuple(dict.fromkeys((*source.simplifications, *made.simplifications)))
    xml.write(safe / names.notes, elements.notes(who.name, who.version, notes, source.name))
    lineage = f"{who.name} {who.version} from {source.name}; {names.notes} says what is simplified."
    xml.write(safe / inspire.FILE, inspire.inspire(names, source.footprint, lineage))
    xml.write(safe / FILE, manifest(safe, names, source.footprint))
    return left_out, [*olqc.failed(of_tile), *olqc.failed(of_strip)]


def _files(safe: Path, names: ProductNames) -> TileFiles:
    """Every raster of the product by resolution."""
    granule = safe / names.granule_folder
    images = {step: sorted((granule / f"IMG_DATA/R{step}m").glob("*.jp2")) for step in (10, 20, 60)}
    for mask in sorted((granule / "QI_DATA").glob("MSK_*.jp2")):
        images[_RESOLUTIONS[mask.stem.rpartition("_")[2]]].append(mask)
    return TileFiles(granule / "MTD_TL.xml", {**images, PREVIEW_RESOLUTION: [safe / names.preview]})


def _sensed(metadata_file: Path, source: Level1C) -> tuple[datetime, datetime]:
    """Begin and end of the datastrip's sensing; where it does not tell its end, that of the tile."""
    start, stop = source.acquisition.sensing_start, source.acquisition.tile_sensing
    with suppress(BadInputError):
        stop = time_at(Document.read(metadata_file), "DATASTRIP_SENSING_STOP")
    return start, max(start, stop)


def _passed(*reports: Reports) -> dict[str, bool]:
    """By list of checks, whether all were passed."""
    names = sorted({name for each in reports for name in each})
    return {name: all(check.passed for each in reports for check in each.get(name, ())) for name in names}
