"""What two ends of a link must agree on, as one profile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self

from shared.ccsds.rs import ReedSolomon
from shared.errors import BadInputError

ASM: Final = 0x1ACFFC1D
ASM_OCTETS: Final = 4
FRAME_HEADER_OCTETS: Final = 6
MPDU_HEADER_OCTETS: Final = 2
FECF_OCTETS: Final = 2
IDLE_VCID: Final = 63
NO_PACKET_START: Final = 0x7FF
ONLY_IDLE_DATA: Final = 0x7FE

_NAME: Final = re.compile(r"rs(?P<data>239|223)-i(?P<depth>[1-58])(?P<dual>-dual)?(?P<plain>-plain)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """Coding of a downlink: attached sync marker, randomiser, Reed-Solomon code, AOS frames with an error control
    field.

    The default is RS(255, 239) with interleave 8: frames of 1912 octets, the size that Sentinel-2's housekeeping
    frames have, in CADUs of 2044.
    """

    code: ReedSolomon = field(default_factory=ReedSolomon)
    randomised: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a profile's name: ``rs239-i8``, then optionally ``-dual`` (basis) and ``-plain`` (no randomiser).

        BadInputError where it is none.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise BadInputError("link profile", "rs239|rs223, -i and a depth of 1..5 or 8, [-dual], [-plain]", text)
        errors = (255 - int(match["data"])) // 2
        code = ReedSolomon(errors, int(match["depth"]), dual_basis=match["dual"] is not None)
        return cls(code, randomised=match["plain"] is None)

    def __str__(self) -> str:
        dual, plain = "-dual" * self.code.dual_basis, "-plain" * (not self.randomised)
        return f"rs{255 - 2 * self.code.errors}-i{self.code.depth}{dual}{plain}"

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
