"""Names of auxiliary files and GIPPs: PDI names of type ``AUX_...`` or ``GIP_...`` with a validity range.

For example ``S2A_OPER_GIP_VIEDIR_MPC__20150605T094736_V20150622T000000_21000101T000000_B01``: with a band where the
type is band-named. The satellite ``S2_`` stands for all. What a name says is all that the selection policies need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from shared.domain.names import SATELLITES, PdiName, parse_stamp
from shared.errors import BadInputError

ALL_SATELLITES: Final = "S2_"
BANDS: Final = ("01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "10", "11", "12")
"""Band identifiers as they stand in names, in the order of the instrument's band index 0 to 12."""
NO_BAND: Final = "00"
"""What band-named files of types that do not depend on the band carry."""
ARCHIVES: Final = (".TGZ", ".tgz", ".TAR.GZ", ".tar.gz", ".TAR", ".tar", ".ZIP", ".zip")
_TYPE: Final = re.compile(r"(?:AUX|GIP)_[A-Z0-9_]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuxiliaryName:
    """An auxiliary file's name without extension. ``satellite`` is ``S2_`` where the file is for all of them."""

    satellite: str
    file_class: str
    type: str
    site: str
    creation: datetime
    start: datetime
    stop: datetime
    band: str | None
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """BadInputError where ``text`` is no auxiliary file's name."""
        pdi = PdiName.parse(text)
        if not _TYPE.fullmatch(pdi.file_type):
            raise BadInputError("auxiliary file name, type", "AUX_... or GIP_...", pdi.file_type)
        if pdi.satellite not in {*SATELLITES, ALL_SATELLITES}:
            raise BadInputError("auxiliary file name, satellite", "one of S2A to S2D, or S2_", pdi.satellite)
        letters = [letter for letter, _ in pdi.suffixes]
        if letters not in (["V"], ["V", "B"]):
            raise BadInputError("auxiliary file name", "a validity range V<start>_<stop>, then at most a band", text)
        start, stop = (parse_stamp(part, "auxiliary file name, validity") for part in pdi["V"].split("_"))
        if start > stop:
            raise BadInputError("auxiliary file name, validity", "a start that is not after the stop", pdi["V"])
        band = pdi.get("B")
        if band is not None and band not in {*BANDS, NO_BAND}:
            raise BadInputError("auxiliary file name, band", "one of B00 to B12 and B8A", f"B{band}")
        return cls(pdi.satellite, pdi.file_class, pdi.file_type, pdi.site, pdi.creation, start, stop, band, text)

    def serves(self, satellite: str) -> bool:
        """Whether the file may be used for this satellite."""
        return self.satellite in {satellite, ALL_SATELLITES}

    def __str__(self) -> str:
        return self.text


def without_archive(file: str) -> str:
    """A delivered file's name without the extension of its archive; as it is where it has none."""
    for extension in ARCHIVES:
        if file.endswith(extension):
            return file.removesuffix(extension)
    return file
