"""What a rehearsed session is to hold: datatakes, pass, link."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from shared.ccsds.link import SENTINEL2, LinkProfile
from shared.domain.names import SessionFile, SessionId
from shared.errors import ConfigurationError
from shared.geometry.instrument import Instrument
from shared.msi.instrument import BANDS, DETECTORS, Band
from shared.rehearsal.scene import Atmosphere

DEMO_START: Final = datetime(2026, 6, 21, 10, 20, 0, tzinfo=UTC)
DEMO_POSITION: Final = (8.15, 44.62)
"""Longitude and latitude of the demo's centre: its 46 x 50 km meet two tiles (T32TMQ, T32TLQ), in one UTM zone."""

SPACECRAFT_ID: Final = {"S2A": 0xDA, "S2B": 0xDB, "S2C": 0xDC, "S2D": 0xDD}
"""AOS spacecraft identifiers of the rehearsal, not the registered ones."""

Channel = Literal[1, 2]
CHANNELS: Final[tuple[Channel, Channel]] = (1, 2)


def morning_over(position: tuple[float, float]) -> datetime:
    """10:30 by mean solar time at a longitude and latitude, in the summer of its hemisphere: there is light.

    Sentinel-2 crosses the equator southwards at this time.
    """
    lon, lat = position
    return datetime(2026, 6 if lat >= 0 else 12, 21, 10, 30, tzinfo=UTC) - timedelta(seconds=round(lon * 240))


@dataclass(frozen=True, slots=True)
class Datatake:
    """One continuous acquisition.

    Attributes:
        start: UTC of the nominal line 0 of scene 1, cut to 1/8 s (which the time code holds exactly).
        scenes: how many, 3.608 s each.
        detectors: which take images, 1..12, ascending.
        position: longitude and latitude of the centre of what is imaged, degrees.
        absolute_orbit: of the acquisition; ``relative_orbit`` 1..143 likewise.
        kind: datatake type, at most 8 ASCII characters.
        along: metadata of a real datastrip (Level 0, 1A or 1B) whose orbit and attitude are flown from its first line;
            ``start`` and ``position`` then follow from it.
        bulletin: IERS Bulletin A for the Earth's orientation; a table of ours where it is not given.
    """

    start: datetime = DEMO_START
    scenes: int = 2
    detectors: tuple[int, ...] = (6, 7)
    position: tuple[float, float] = DEMO_POSITION
    absolute_orbit: int = 57_405
    relative_orbit: int = 65
    kind: str = "INS-NOBS"
    along: Path | None = None
    bulletin: Path | None = None

    def __post_init__(self) -> None:
        if self.scenes < 1 or not self.detectors or list(self.detectors) != sorted(set(self.detectors)):
            raise ConfigurationError("datatake: expected at least one scene and ascending detectors")
        if not set(self.detectors) <= set(DETECTORS) or not 1 <= self.relative_orbit <= 143:
            raise ConfigurationError("datatake: expected detectors 1..12 and a relative orbit of 1..143")
        if self.start.tzinfo is None:
            raise ConfigurationError("datatake, start: expected a time with its zone")


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A downlink session.

    Attributes:
        satellite: ``S2A`` .. ``S2D``.
        datatakes: in the order of their times.
        pass_start: begin of the pass; 25 minutes after the first datatake where not given.
        downlink_orbit: absolute orbit of the pass; the last datatake's where not given.
        chunk_bytes: size of every DSDB but the last of a channel.
        dcsu: number of the acquisition unit in file names.
        profile: coding of the link.
        noise_dn: standard deviation of the noise added to every sample, counts.
        seed: of the noise.
        air: the atmosphere over a surface scene.
        idle_frames: idle frames at both ends of each channel.
        bands: those that are sent; the instrument sends all.
        instrument: its geometry; the nominal one where not given.
        housekeeping: whether telemetry for the control centre is sent too, on a virtual channel of its own.
    """

    satellite: str = "S2A"
    datatakes: tuple[Datatake, ...] = (Datatake(),)
    pass_start: datetime | None = None
    downlink_orbit: int | None = None
    chunk_bytes: int = 16 << 20
    dcsu: str = "05"
    profile: LinkProfile = field(default=SENTINEL2)
    noise_dn: float = 0.0
    seed: int = 1
    air: Atmosphere = field(default_factory=Atmosphere)
    idle_frames: int = 32
    bands: tuple[Band, ...] = BANDS
    instrument: Instrument | None = None
    housekeeping: bool = False

    def __post_init__(self) -> None:
        if self.satellite not in SPACECRAFT_ID or not self.datatakes:
            raise ConfigurationError("session: expected satellite S2A..S2D and at least one datatake")
        if self.chunk_bytes < 1 or self.noise_dn < 0:
            raise ConfigurationError("session: expected a positive chunk size and no negative noise")

    @property
    def session(self) -> SessionId:
        """The session's id."""
        start = self.pass_start or self.datatakes[0].start + timedelta(minutes=25)
        orbit = self.downlink_orbit if self.downlink_orbit is not None else self.datatakes[-1].absolute_orbit
        return SessionId(start.astimezone(UTC).replace(microsecond=0), orbit, self.satellite)

    @property
    def folder(self) -> str:
        """The session's folder at a station, below the tree: ``S2A/DCS_05_<session>_dat``."""
        return f"{self.satellite}/DCS_{self.dcsu}_{self.session}_dat"

    def dsdb(self, channel: Channel, number: int) -> str:
        """Name of a chunk, numbers from 1."""
        return str(SessionFile(self.dcsu, self.session, channel, number, "raw"))

    def dsib(self, channel: Channel) -> str:
        """Name of a channel's DSIB."""
        return str(SessionFile(self.dcsu, self.session, channel, None, "xml"))
