"""Names of a user product of one tile and of what stands inside it (compact naming, PSD 14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.domain.names import CompactName, format_stamp

if TYPE_CHECKING:
    from datetime import datetime

    from functions.ipf.common.identity import Production


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What identifies the sensing behind a tile; times are UTC.

    ``sensing_start`` is the datastrip's, ``tile_sensing`` the moment the tile was seen.
    """

    satellite: str
    datatake_start: datetime
    datatake_type: str
    absolute_orbit: int
    relative_orbit: int
    orbit_direction: str
    sensing_start: datetime
    tile_sensing: datetime


@dataclass(frozen=True, slots=True)
class ProductNames:
    """Every name in one product."""

    acquisition: Acquisition
    level: Literal["L1C", "L2A"]
    tile: str
    production: Production

    @property
    def safe(self) -> str:
        """``S2A_MSIL1C_<datatake start>_N0001_R065_T32TMQ_<creation>.SAFE``."""
        taken = self.acquisition
        return str(
            CompactName(
                taken.satellite,
                self.level,
                taken.datatake_start,
                self.production.baseline.replace(".", ""),
                taken.relative_orbit,
                self.tile,
                self.production.creation,
            )
        )

    @property
    def product_metadata(self) -> str:
        return f"MTD_MSI{self.level}.xml"

    @property
    def datatake(self) -> str:
        taken = self.acquisition
        stamp = format_stamp(taken.datatake_start)
        return f"G{taken.satellite}_{stamp}_{taken.absolute_orbit:06d}_N{self.production.baseline}"

    @property
    def datastrip(self) -> str:
        """The datastrip's PDI name."""
        sensing = ("S", format_stamp(self.acquisition.sensing_start))
        return self.production.pdi(self.acquisition.satellite, f"MSI_{self.level}_DS", sensing)

    @property
    def granule(self) -> str:
        """The tile's PDI name."""
        orbit = ("A", f"{self.acquisition.absolute_orbit:06d}")
        return self.production.pdi(self.acquisition.satellite, f"MSI_{self.level}_TL", orbit, ("T", self.tile))

    @property
    def datastrip_folder(self) -> str:
        creation, sensing = format_stamp(self.production.creation), format_stamp(self.acquisition.sensing_start)
        return f"DATASTRIP/DS_{self.production.centre}_{creation}_S{sensing}"

    @property
    def granule_folder(self) -> str:
        sensing = format_stamp(self.acquisition.sensing_start)
        return f"GRANULE/{self.level}_T{self.tile}_A{self.acquisition.absolute_orbit:06d}_{sensing}"

    @property
    def prefix(self) -> str:
        """How image files begin: ``T32TMQ_<datatake start>``."""
        return f"T{self.tile}_{format_stamp(self.acquisition.datatake_start)}"

    def image(self, what: str, resolution: int | None = None) -> str:
        """Path of an image within the product; at L2A ``resolution`` names the folder and ends the name."""
        if resolution is None:
            return f"{self.granule_folder}/IMG_DATA/{self.prefix}_{what}.jp2"
        return f"{self.granule_folder}/IMG_DATA/R{resolution}m/{self.prefix}_{what}_{resolution}m.jp2"

    @property
    def preview(self) -> str:
        return f"{self.granule_folder}/QI_DATA/{self.prefix}_PVI.jp2"

    @property
    def preview_name(self) -> str:
        """What tile metadata call the preview."""
        return self.preview

    def mask(self, kind: str) -> str:
        """Path of a mask, ``kind`` as ``CLASSI_B00``."""
        return f"{self.granule_folder}/QI_DATA/MSK_{kind}.jp2"

    @property
    def notes(self) -> str:
        return f"{self.granule_folder}/AUX_DATA/PROCESSING_NOTES.xml"
