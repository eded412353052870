"""The auxiliary files of a rehearsal: parameters that are always there; forecasts twice a day, or late, or not.

Names, types, archives and headers are as in earnest; the content is made up, and holds what parameters are read from.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from functions.rehearse.broken import Crash
from functions.rehearse.world import World
from shared.auxiliary.intake import Delivery, Intake
from shared.auxiliary.table import load_types
from shared.auxiliary.unpacking import Limits
from shared.domain.auxiliary.names import BANDS, AuxiliaryName
from shared.domain.auxiliary.types import AuxiliaryType
from shared.errors import RetryableError

FORECASTS: Final = ("AUX_ECMWFD", "AUX_CAMSFO")
EVERY: Final = timedelta(hours=12)
VALID: Final = timedelta(hours=36)
_AFTER: Final = timedelta(hours=6)
"""A forecast is published so long after its first hour."""

_ALWAYS: Final = (datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
_AWAY_S: Final = 30.0
_HEADER: Final = (
    "<Earth_Explorer_Header><Fixed_Header><File_Name>{}</File_Name><Mission>Sentinel-2</Mission>"
    "<File_Class>OPER</File_Class><File_Type>{}</File_Type><Validity_Period><Validity_Start>{}</Validity_Start>"
    "<Validity_Stop>{}</Validity_Stop></Validity_Period><File_Version>0001</File_Version>"
    "<Source><System>REHE</System><Creation_Date>{}</Creation_Date></Source></Fixed_Header><Variable_Header/>"
    "</Earth_Explorer_Header>"
)
_VALUES: Final = (
    "<THEORETICAL_LINE_PERIOD>1.565873622</THEORETICAL_LINE_PERIOD><GPS_TIME_TAI>-19</GPS_TIME_TAI>"
    "<SP_MIN_SIZE>17</SP_MIN_SIZE><ORBIT_OFFSET>141</ORBIT_OFFSET><TOTAL_ORBITS>143</TOTAL_ORBITS>"
    "<note> TAI-UTC = 37 </note>"
)


class Archive:
    """Takes auxiliary files in, as ``aux_poll`` does with what a delivery point has."""

    def __init__(self, world: World) -> None:
        self._world = world
        limits = Limits(files=10, size=1 << 20)
        self._intake = Intake(
            world.services.store,
            world.settings.bucket_auxiliary,
            world.clock,
            load_types(),
            limits,
            1 << 20,
            ledger=world.services.ledger,
        )

    def fill(self, satellites: Sequence[str], start: datetime, hours: float) -> None:
        """All types: what is always there now, and the forecasts of so many hours, each when it is published."""
        for kind in load_types().types:
            if kind.name in FORECASTS:
                self._forecasts(kind, start, hours)
                continue
            for satellite in satellites if kind.unit_dependent else ("S2_",):
                for band in BANDS if kind.band_dependent else ("00",) if kind.band_named else ("",):
                    self._take(_named(kind, satellite, band, _ALWAYS[0], _ALWAYS))

    def _forecasts(self, kind: AuxiliaryType, start: datetime, hours: float) -> None:
        dice = self._world.dice
        first = start.replace(hour=0, minute=0, second=0, microsecond=0) - 3 * EVERY
        for number in range(round(hours / 12) + 5):
            begin = first + number * EVERY
            name = _named(kind, "S2_", "", begin, (begin, begin + VALID))
            when = begin + _AFTER
            if when > start:
                if dice.strikes_now("missing_auxiliary", name):
                    continue
                if dice.strikes_now("late_auxiliary", name):
                    when += timedelta(hours=dice.of("late_auxiliary").uniform(1, 20))
            self._world.at(when, partial(self._take, name))

    def _take(self, name: str) -> None:
        try:
            with self._world.store.used_by("aux-poll"):
                self._intake.take(Delivery(f"{name}.TGZ", "rehearsal"), iter([_archive(name)]))
        except (RetryableError, Crash):
            self._world.after(_AWAY_S, partial(self._take, name))


def _named(
    kind: AuxiliaryType, satellite: str, band: str, created: datetime, validity: tuple[datetime, datetime]
) -> str:
    span = f"V{validity[0]:%Y%m%dT%H%M%S}_{validity[1]:%Y%m%dT%H%M%S}"
    return f"{satellite}_OPER_{kind.name}_MPC__{created:%Y%m%dT%H%M%S}_{span}" + (f"_B{band}" if band else "")


def _archive(name: str) -> bytes:
    """A TGZ with the data block and its header."""
    known = AuxiliaryName.parse(name)
    times = [f"UTC={when:%Y-%m-%dT%H:%M:%S}" for when in (known.start, known.stop, known.creation)]
    header = _HEADER.format(name, known.type, *times)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for ending, body in ((".DBL", f"<Earth_Explorer_File>{_VALUES}</Earth_Explorer_File>"), (".HDR", header)):
            info = tarfile.TarInfo(name + ending)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body.encode()))
    return out.getvalue()
