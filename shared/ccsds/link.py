"""What two ends of a link must agree on, as one profile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shared.ccsds.rs import ReedSolomon

ASM: Final = 0x1ACFFC1D
ASM_OCTETS: Final = 4
FRAME_HEADER_OCTETS: Final = 6
MPDU_HEADER_OCTETS: Final = 2
FECF_OCTETS: Final = 2
IDLE_VCID: Final = 63
NO_PACKET_START: Final = 0x7FF
ONLY_IDLE_DATA: Final = 0x7FE


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """Coding of a downlink: attached sync marker, randomiser, Reed-Solomon code, AOS frames with an error control
    field.

    The default is RS(255, 239) with interleave 8: frames of 1912 octets, the size that Sentinel-2's housekeeping
    frames have, in CADUs of 2044.
    """

    code: ReedSolomon = field(default_factory=ReedSolomon)
    randomised: bool = True

    @property
    def frame_octets(self) -> int:
        """Octets of a transfer frame."""
        return self.code.data_octets

    @property
    def cadu_octets(self) -> int:
        """Octets from one sync marker to the next."""
        return ASM_OCTETS + self.code.block_octets

    @property
    def zone_octets(self) -> int:
        """Octets of packet data that a frame carries."""
        return self.frame_octets - FRAME_HEADER_OCTETS - MPDU_HEADER_OCTETS - FECF_OCTETS


SENTINEL2: Final = LinkProfile()
