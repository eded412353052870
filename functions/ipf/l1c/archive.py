"""An L1C tile as items of the archive (PDI): datastrip, tile and true colour image, beside or without the compact SAFE.

Each is a folder of the item's name with metadata, data, quality reports, ``manifest.safe`` and
``Inventory_Metadata.xml``. Images and masks are the very files of the SAFE under other names; metadata come from the
same writers, with the archive's paths.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.ipf.common import inventory, olqc, pdi, xml
from functions.ipf.l1c import metadata
from functions.ipf.l1c.datastrip import datastrip_document, read_level0
from functions.ipf.safe.names import ProductNames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from functions.ipf.safe.angles import TileAngles
    from functions.ipf.safe.footprint import Point
    from functions.ipf.safe.working import Datastrip
    from shared.msi.tiling import Tile

    Reports = Mapping[str, Sequence[olqc.Check]]


@dataclass(frozen=True, slots=True)
class ArchiveNames(ProductNames):
    """Names within a tile's item: paths are below its folder."""

    def file(self, file_type: str, band: str = "") -> str:
        """A file's name without suffix: no baseline, and the band where it is one's."""
        suffixes = [("A", f"{self.acquisition.absolute_orbit:06d}"), ("T", self.tile)]
        if band:
            suffixes.append(("B", band[1:]))
        return self.production.pdi(self.acquisition.satellite, file_type, *suffixes, baseline=False)

    def image(self, what: str, resolution: int | None = None) -> str:  # noqa: ARG002 - no part of a Level-1C name
        """Path of a band's image."""
        return f"IMG_DATA/{self.file('MSI_L1C_TL', what)}.jp2"

    def mask(self, kind: str) -> str:
        """Path of a mask, ``kind`` as ``CLASSI_B00``."""
        name, _, band = kind.partition("_")
        return f"QI_DATA/{self.file(f'MSK_{name}', band)}.jp2"

    @property
    def preview(self) -> str:
        return f"QI_DATA/{self.file('PVI_L1C_TL')}.jp2"

    @property
    def preview_name(self) -> str:
        return self.file("PVI_L1C_TL")

    @property
    def colours(self) -> str:
        """The true colour image's item."""
        orbit = ("A", f"{self.acquisition.absolute_orbit:06d}")
        return self.production.pdi(self.acquisition.satellite, "MSI_L1C_TC", orbit, ("T", self.tile))


@dataclass(frozen=True, slots=True)
class Made:
    """What the items are made of: the finished SAFE and what went into its documents."""

    safe: Path
    names: ProductNames
    tile: Tile
    datastrip: Datastrip
    level0: bytes | None
    angles: TileAngles
    content: metadata.Content
    footprint: Sequence[Point]
    inspector: olqc.Inspector

    @property
    def archive(self) -> ArchiveNames:
        return ArchiveNames(self.names.acquisition, self.names.level, self.names.tile, self.names.production)


def write_tile(root: Path, made: Made, bands: Sequence[str], reports: Reports) -> Path:
    """The item ``MSI_L1C_TL`` below ``root``."""
    names, item = made.archive, root / made.names.granule
    for band in bands:
        _link(made.safe / made.names.image(band), item / names.image(band))
        for kind in ("DETFOO", "QUALIT"):
            _link(made.safe / made.names.mask(f"{kind}_{band}"), item / names.mask(f"{kind}_{band}"))
    _link(made.safe / made.names.mask("CLASSI_B00"), item / names.mask("CLASSI_B00"))
    _link(made.safe / made.names.preview, item / names.preview)
    document = f"{names.file('MTD_L1C_TL')}.xml"
    xml.write(item / document, metadata.tile_document(names, made.tile, made.angles, made.content))
    _finish(item, made, "Tile", document, reports, made.footprint)
    return item


def write_colours(root: Path, made: Made) -> Path:
    """The item ``MSI_L1C_TC`` below ``root``: the true colour image."""
    item = root / made.archive.colours
    _link(made.safe / made.names.image("TCI"), item / "IMG_DATA" / f"{made.archive.file('MSI_L1C_TC')}.jp2")
    _finish(item, made, "Tile", "", {}, made.footprint)
    return item


def write_datastrip(root: Path, made: Made, reports: Reports) -> Path:
    """The item ``MSI_L1C_DS`` below ``root``."""
    item = root / made.names.datastrip
    document = f"{item.name.rpartition('_N')[0].replace('_MSI_', '_MTD_')}.xml"
    xml.write(item / document, datastrip_document(made.names, made.datastrip, read_level0(made.level0)))
    _finish(item, made, "Datastrip", document, reports, made.datastrip.footprint)
    return item


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _times(made: Made, kind: str) -> tuple[datetime, datetime]:
    if kind == "Datastrip":
        return made.datastrip.sensing_start, made.datastrip.sensing_stop
    return made.names.acquisition.tile_sensing, made.names.acquisition.tile_sensing


def _finish(item: Path, made: Made, kind: str, document: str, reports: Reports, footprint: Sequence[Point]) -> None:
    """Manifest, quality reports (with the checks of the folder itself), inventory."""
    taken, production, times = made.names.acquisition, made.names.production, _times(made, kind)
    origin = pdi.Origin(
        level="1C",
        kind=kind,
        datatake=made.names.datatake,
        datatake_type=taken.datatake_type,
        relative_orbit=taken.relative_orbit,
        direction=taken.orbit_direction,
        start=times[0],
        stop=times[1],
        footprint=footprint,
        inputs=made.datastrip.parameters,
    )
    xml.write(item / pdi.MANIFEST, pdi.manifest(item, production, origin))
    if document:
        own = {olqc.FORMAT_CORRECTNESS: [*reports.get(olqc.FORMAT_CORRECTNESS, ()), *pdi.format_checks(item, document)]}
        olqc.write_reports(item, {**reports, **own}, made.inspector)
    entry = inventory.Inventory(
        name=item.name,
        group=made.names.datatake,
        version=production.baseline,
        level="1C",
        software=made.inspector.version,
        generated=production.creation,
        start=times[0],
        stop=times[1],
        orbit=taken.absolute_orbit,
        footprint=footprint,
        quality=100.0 - made.content.degraded,
        datatake_type=taken.datatake_type,
        station=made.datastrip.reception_station,
        centre=production.centre,
        ascending=taken.orbit_direction == "ASCENDING",
        clouds=made.content.cloudy,
        parent="" if kind == "Datastrip" else made.names.datastrip,
    )
    xml.write(item / inventory.FILE, inventory.inventory_metadata(entry, inventory.folder_size(item)))
