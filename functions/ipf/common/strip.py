"""One datastrip in packets: what the instrument made, what came, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.ccsds.cuc import gps_ns_to_utc
from shared.msi.instrument import BANDS, SCENE_NS
from shared.msi.packets import ATTITUDE_APID, DATATAKE_APID, GPS_APID, DatatakeDescriptor, image_apid
from shared.msi.platform import packets_of_platform

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StripAccount:
    """A datastrip's descriptor, and for each (detector, scene, band) the blocks, counted from 0, whose packet came."""

    descriptor: DatatakeDescriptor
    blocks: Mapping[tuple[int, int, int], frozenset[int]]

    def scene_start(self, scene: int) -> datetime:
        """UTC of the nominal first line of a scene, counted from 1."""
        return gps_ns_to_utc(self.descriptor.first_line_ns + round((scene - 1) * SCENE_NS))

    @property
    def start(self) -> datetime:
        """UTC of the first scene's first line."""
        return self.scene_start(1)

    @property
    def stop(self) -> datetime:
        """UTC of the end of the last scene."""
        return self.scene_start(self.descriptor.scenes + 1)

    def received(self, detector: int, scene: int, band: int) -> int:
        """Packets of one band of one granule that came."""
        return len(self.blocks.get((detector, scene, band), ()))

    def missing_blocks(self, detector: int, scene: int, band: int) -> tuple[int, ...]:
        """Blocks of one band of one granule of which no packet came."""
        have = self.blocks.get((detector, scene, band), frozenset())
        return tuple(block for block in range(BANDS[band].packets_per_scene) if block not in have)

    def granules(self) -> list[tuple[int, int]]:
        """(detector, scene) of all granules that were to come."""
        return [(d, s) for d in self.descriptor.detectors for s in range(1, self.descriptor.scenes + 1)]

    def has_image(self, detector: int, scene: int) -> bool:
        """Whether at least one image packet of the granule came."""
        return any(self.received(detector, scene, band.index) for band in BANDS)

    def missing_granules(self) -> list[tuple[int, int]]:
        """(detector, scene) of granules of which not one image packet came."""
        return [granule for granule in self.granules() if not self.has_image(*granule)]

    def lost_share(self, detectors: tuple[int, ...], scenes: range) -> float:
        """Image packets missing, in percent of those that these granules should have."""
        whole = sum(band.packets_per_scene for band in BANDS) * len(detectors) * len(scenes)
        came = sum(self.received(d, s, band.index) for d in detectors for s in scenes for band in BANDS)
        return 100.0 * (whole - came) / whole if whole else 0.0

    def expected(self) -> dict[int, int]:
        """Packets of each APID that the instrument made."""
        counts = {
            GPS_APID: self.descriptor.gps_packets,
            ATTITUDE_APID: self.descriptor.attitude_packets,
            DATATAKE_APID: self.descriptor.descriptor_packets,
            **packets_of_platform(self.descriptor.gps_packets),
        }
        for detector in self.descriptor.detectors:
            for band in BANDS:
                counts[image_apid(detector, band.index)] = band.packets_per_scene * self.descriptor.scenes
        return counts
