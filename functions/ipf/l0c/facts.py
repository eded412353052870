"""All that is known of one datastrip when its packets have been read: what metadata, reports and inventory tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median_low
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.ipf.common import l0_metadata as md
from functions.ipf.l0c.ancillary import lost_ancillary, nearest
from shared.domain.names import format_stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from functions.ipf.common.identity import Production
    from functions.ipf.common.strip import StripAccount
    from functions.ipf.l0c.geometry import StripGeometry
    from functions.ipf.l0c.unconsolidated import Telemetry
    from shared.geometry.frames import EarthOrientation

Granule = tuple[int, int]
"""(detector, scene)."""

_EIGHT: Final = np.array([-1.0, 8.0, -28.0, 56.0, 56.0, -28.0, 8.0, -1.0]) / 70.0
_SYNCHRONISED: Final = ("KALMAN_FILTER", "LEAST_SQUARE", "PROPAGATED")


@dataclass(frozen=True, slots=True)
class Datation:
    """When line 0 of each (band name, detector) begins, as packets' times say; and how well they agree, microseconds.

    The first is the median over the packets; ``rms_us`` and ``largest_us`` are of all packets about it.
    """

    first_line_ns: dict[tuple[str, int], int] = field(default_factory=dict)
    rms_us: float = 0.0
    largest_us: float = 0.0

    @classmethod
    def of(cls, starts_ns: Mapping[tuple[str, int], Sequence[int]]) -> Datation:
        """From what each packet implies."""
        first = {place: median_low(times) for place, times in starts_ns.items() if times}
        off = [np.array([time - first[place] for time in starts_ns[place]], np.float64) * 1e-3 for place in first]
        if not off:
            return cls()
        every = np.concatenate(off)
        return cls(first, float(np.sqrt(np.mean(every**2))), float(np.abs(every).max()))


@dataclass(frozen=True, slots=True)
class Indicators:
    """Geometric quality as the telemetry tells it.

    Attributes:
        ephemeris_m: root mean square, over the axes, of the position errors that the receiver states.
        location_m: the same of the three axes together: without any ground control, what is known of the location.
        stability_m: root mean square of GPS points about the polynomial through their eight neighbours, 3-D.
        trackers: the least number of star trackers that the attitude rests on.
    """

    ephemeris_m: float
    location_m: float
    stability_m: float
    trackers: int

    @classmethod
    def of(cls, telemetry: Telemetry) -> Indicators:
        """From the packets; errors are 0 where no solution tells them."""
        errors = np.array([solution.position_errors for solution in telemetry.navigation]).reshape(-1, 3)
        mean = float(np.mean(errors**2)) if errors.size else 0.0
        trackers = min((sum(state.trackers) for state in telemetry.control), default=0)
        return cls(mean**0.5, (3 * mean) ** 0.5, orbit_noise(telemetry), trackers)


def orbit_noise(telemetry: Telemetry) -> float:
    """Metres: by how much GPS points leave the curve through their neighbours, four on each side at equal steps."""
    times = np.array([point.gps_ns for point in telemetry.gps], np.int64)
    places = np.array([point.position for point in telemetry.gps], np.float64).reshape(-1, 3)
    residuals = []
    for at in range(4, len(times) - 4):
        if len(set(np.diff(times[at - 4 : at + 5]).tolist())) == 1:
            around = np.delete(places[at - 4 : at + 5], 4, axis=0)
            residuals.append(float(np.sum((places[at] - _EIGHT @ around) ** 2)))
    return float(np.mean(residuals)) ** 0.5 if residuals else 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """One datastrip.

    Attributes:
        production: who makes the product, and when.
        account: image packets that came.
        downlink: where they came down.
        telemetry: ancillary packets.
        geometry: sensor model and quicklook grid.
        datation: from the packets' times.
        octets: of compressed samples, by band.
        damaged: image packets that were left out, by granule.
        clouds: percent of each granule; empty where clouds could not be judged.
        orientation: of the Earth.
        bulletin: file that it is from; empty where it comes with the code.
        parameters: (type, name) of the instrument's parameter files; none where it is nominal.
        elevation: what the elevation model is called; empty where the ground is the ellipsoid.
    """

    production: Production
    account: StripAccount
    downlink: md.Downlink
    telemetry: Telemetry
    geometry: StripGeometry
    datation: Datation
    octets: Mapping[int, int]
    damaged: Mapping[Granule, int]
    clouds: Mapping[Granule, float]
    orientation: EarthOrientation
    bulletin: str = ""
    parameters: Sequence[tuple[str, str]] = ()
    elevation: str = ""

    @property
    def satellite(self) -> str:
        return self.account.descriptor.satellite

    @property
    def name(self) -> str:
        """The datastrip's."""
        return self.production.pdi(self.satellite, "MSI_L0__DS", ("S", format_stamp(self.account.start)))

    def file(self, file_type: str) -> str:
        """Name, without extension, of a file in the datastrip."""
        sensing = ("S", format_stamp(self.account.start))
        return self.production.pdi(self.satellite, file_type, sensing, baseline=False)

    @property
    def granules(self) -> dict[Granule, str]:
        """Names of the granules of which an image packet came."""
        made = [granule for granule in self.account.granules() if self.account.has_image(*granule)]
        return {granule: self.granule_name(granule) for granule in made}

    def granule_name(self, granule: Granule, file_type: str = "", band: str = "") -> str:
        """The granule's name, or that of a file in it."""
        return granule_name(self.production, self.account, granule, file_type, band)

    @property
    def datatake(self) -> str:
        """The datatake's identifier."""
        return md.datatake_identifier(self.account.descriptor, self.production.baseline)

    @property
    def ascending(self) -> bool:
        """Whether the satellite flies north in the middle of the datastrip."""
        middle = nearest(
            self.telemetry.gps, (self.geometry.model.strip.start_ns + self.geometry.model.strip.stop_ns) // 2
        )
        return middle is not None and middle.velocity[2] > 0

    @property
    def direction(self) -> str:
        return "ASCENDING" if self.ascending else "DESCENDING"

    @property
    def synchronised(self) -> bool:
        """Whether every time correlation rests on a GPS solution, and there is one."""
        entries = self.telemetry.correlations
        return bool(entries) and all(entry.mode in _SYNCHRONISED for entry in entries)

    @property
    def lost_ancillary(self) -> dict[int, int]:
        """Ancillary packets that are missing, by APID."""
        return lost_ancillary(self.telemetry, self.account.expected())

    @property
    def lost_share(self) -> float:
        """Image packets missing or damaged, percent."""
        scenes = range(1, self.account.descriptor.scenes + 1)
        return self.account.lost_share(self.account.descriptor.detectors, scenes)

    @property
    def cloud_share(self) -> float:
        """Percent of all granules, which are of one size."""
        return float(np.mean(list(self.clouds.values()))) if self.clouds else 0.0

    def scene(self, scene: int) -> tuple[datetime, datetime]:
        """UTC of a scene's begin and end."""
        return self.account.scene_start(scene), self.account.scene_start(scene + 1)


def granule_name(
    production: Production, account: StripAccount, granule: Granule, file_type: str = "", band: str = ""
) -> str:
    """Name of a granule, or of a file in it where ``file_type`` or ``band`` is given."""
    detector, scene = granule
    suffixes = [("S", format_stamp(account.scene_start(scene))), ("D", f"{detector:02d}")]
    if band:
        suffixes.append(("B", band[1:]))
    inside = bool(file_type or band)
    return production.pdi(account.descriptor.satellite, file_type or "MSI_L0__GR", *suffixes, baseline=not inside)
