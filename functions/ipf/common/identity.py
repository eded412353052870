"""Who made a product: the service's own centre code, file class and baseline, never those of an operational centre."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from shared.domain.names import PdiName, parse_stamp
from shared.errors import BadInputError

if TYPE_CHECKING:
    from shared.joborder import JobOrder

CENTRE: Final = "S2PS"
FILE_CLASS: Final = "TEST"
BASELINE: Final = "00.01"


@dataclass(frozen=True, slots=True)
class Production:
    """What all products of one job order have in common. ``creation`` comes from the order: attempts agree on names
    and bytes.
    """

    creation: datetime
    centre: str = CENTRE
    baseline: str = BASELINE

    @classmethod
    def of(cls, order: JobOrder) -> Production:
        """From CREATION_DATE (required), PROCESSING_CENTER and PROCESSING_BASELINE; BadInputError on a baseline other
        than NN.NN.
        """
        baseline = order.parameters.get("PROCESSING_BASELINE", BASELINE)
        parts = baseline.split(".")
        if [len(part) for part in parts] != [2, 2] or not "".join(parts).isdecimal():
            raise BadInputError("job order, PROCESSING_BASELINE", "NN.NN", baseline)
        creation = parse_stamp(order.parameter("CREATION_DATE"), "job order, CREATION_DATE")
        return cls(creation, order.parameters.get("PROCESSING_CENTER", CENTRE), baseline)

    def pdi(self, satellite: str, file_type: str, *suffixes: tuple[str, str], baseline: bool = True) -> str:
        """Name of a PDI, e.g. ``pdi("S2A", "MSI_L0__DS", ("S", "20261122T103000"))``; files inside one have no
        baseline.
        """
        tail = (*suffixes, ("N", self.baseline)) if baseline else suffixes
        return str(PdiName(satellite, FILE_CLASS, file_type, self.centre, self.creation, tail))
