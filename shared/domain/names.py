"""Grammar of the names that cross the service's border: sessions, session files, PDIs, compact SAFE products.

Every name comes from outside and is hostile until it has been parsed here: the grammars admit no separator, no dot-dot,
no control character and no unbounded length. ``parse`` and ``str`` are inverse on every valid name.

Sources: session and PDI examples of the Sentinel-2 PDGS (station trees, product inventories); the Sentinel-2 Products
Specification Document (PSD 14) for PDI suffixes and the compact naming of user products.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal, Self

from shared.errors import BadInputError

SATELLITES: Final = ("S2A", "S2B", "S2C", "S2D")

_STAMP = r"\d{8}T\d{6}"
_DIGITS: Final = 14
_NO_DATE: Final = datetime.min.replace(tzinfo=UTC)
_SESSION: Final = re.compile(
    r"(?:(?P<sat>S2[A-D])_(?P<t>\d{14})(?P<orbit>\d{6})|L(?P<lt>\d{14})(?P<ms>\d{3})(?P<lorbit>\d{6}))", re.ASCII
)
_SESSION_FILE: Final = re.compile(
    r"DCS_(?P<dcsu>\d{2})_(?P<session>S2[A-D]_\d{20}|L\d{23})_ch(?P<channel>[12])_"
    r"(?:(?P<dsdb>DSDB)_(?P<number>\d{5})\.(?P<ext>raw|aisp|RAW|AISP)|DSIB\.(?P<xml>xml|XML))",
    re.ASCII,
)
_PDI: Final = re.compile(
    rf"(?P<sat>S2[A-D_])_(?P<cls>OPER|TEST)_(?P<type>[A-Z0-9_]{{10}})_(?P<site>[A-Z0-9_]{{4}})_(?P<creation>{_STAMP})"
    rf"(?P<suffixes>(?:_[A-Z0-9][A-Z0-9.]*(?:_\d[0-9T]*)?)*)",
    re.ASCII,
)
# One suffix each: letter, the form of its value. Order in a name is free in the grammar and kept as found.
_SUFFIXES: Final = {
    "S": _STAMP,
    "O": r"\d{6}_\d{6}",
    "V": rf"{_STAMP}_{_STAMP}",
    "D": r"\d{2}",
    "A": r"\d{6}",
    "R": r"\d{3}",
    "T": r"\d{2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V]",
    "N": r"\d{2}\.\d{2}",
    "B": r"(?:\d{2}|8A)",
    "W": r"[FP]",
    "L": r"[ND]",
}
_SUFFIX: Final = re.compile("|".join(f"_(?:{letter}(?:{form}))" for letter, form in _SUFFIXES.items()), re.ASCII)
_COMPACT: Final = re.compile(
    rf"(?P<sat>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<sensing>{_STAMP})_N(?P<baseline>\d{{4}})_R(?P<orbit>\d{{3}})"
    rf"_T(?P<tile>\d{{2}}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])_(?P<discriminator>{_STAMP})(?P<safe>\.SAFE)?",
    re.ASCII,
)


def parse_stamp(text: str, field: str) -> datetime:
    """``YYYYMMDDThhmmss`` or ``YYYYMMDDhhmmss`` as UTC; BadInputError naming ``field`` where it is no date."""
    digits = text.replace("T", "")
    if len(digits) == _DIGITS and digits.isascii() and digits.isdigit():
        # By hand: names are read with every event, and strptime takes ten times as long.
        date = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
        try:
            found = datetime(*date, int(digits[8:10]), int(digits[10:12]), int(digits[12:]), tzinfo=UTC)
        except ValueError:
            found = _NO_DATE
        # Before 1000 strftime gives fewer than four digits: such a name would not come back as it was.
        if found.year >= 1000:
            return found
    raise BadInputError(field, "a date as YYYYMMDDhhmmss", text)


def format_stamp(when: datetime) -> str:
    """UTC as ``YYYYMMDDThhmmss``, whole seconds, as in PDI names."""
    return when.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


@dataclass(frozen=True, slots=True)
class SessionId:
    """A downlink session. ``satellite`` is ``None`` in the L-form, which names none: the station's folder does.

    ``S2B_20220413132241026648``: satellite, start of the pass, absolute orbit of the downlink (6 digits).
    ``L20191003131732787001008``: start of the pass with milliseconds, then 6 digits.
    """

    start: datetime
    orbit: int
    satellite: str | None
    milliseconds: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _SESSION.fullmatch(text)
        if match is None:
            raise BadInputError("session id", "S2x_YYYYMMDDhhmmssOOOOOO or LYYYYMMDDhhmmssmmmOOOOOO", text)
        if match["sat"]:
            return cls(parse_stamp(match["t"], "session id"), int(match["orbit"]), match["sat"])
        return cls(parse_stamp(match["lt"], "session id"), int(match["lorbit"]), None, int(match["ms"]))

    def __str__(self) -> str:
        stamp = self.start.strftime("%Y%m%d%H%M%S")
        if self.satellite is None:
            return f"L{stamp}{self.milliseconds:03d}{self.orbit:06d}"
        return f"{self.satellite}_{stamp}{self.orbit:06d}"


_BESIDE: Final = re.compile(rf"({_SESSION.pattern})-[1-9]\d{{0,3}}", re.ASCII)


def beside(session: str, number: int) -> str:
    """The session in which the data of ``session`` are processed for the ``number``-th time (from 2)."""
    return f"{session}-{number}"


def downlink_of(session: str) -> str:
    """The session that brought the data down: of one that stands beside another, that other."""
    match = _BESIDE.fullmatch(session)
    return session if match is None else match[1]


@dataclass(frozen=True, slots=True)
class SessionFile:
    """One file of a session: a DSDB chunk (``number`` from 1) or the DSIB of a channel (``number`` is ``None``)."""

    dcsu: str
    session: SessionId
    channel: Literal[1, 2]
    number: int | None
    extension: str

    @property
    def kind(self) -> Literal["DSDB", "DSIB"]:
        return "DSIB" if self.number is None else "DSDB"

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _SESSION_FILE.fullmatch(text)
        if match is None:
            raise BadInputError("session file name", "DCS_NN_<session>_chN_DSDB_NNNNN.raw or ..._DSIB.xml", text)
        number = int(match["number"]) if match["dsdb"] else None
        if number == 0:
            raise BadInputError("session file name", "a DSDB number from 00001", text)
        channel: Literal[1, 2] = 1 if match["channel"] == "1" else 2
        return cls(match["dcsu"], SessionId.parse(match["session"]), channel, number, match["ext"] or match["xml"])

    def __str__(self) -> str:
        tail = "DSIB" if self.number is None else f"DSDB_{self.number:05d}"
        return f"DCS_{self.dcsu}_{self.session}_ch{self.channel}_{tail}.{self.extension}"


@dataclass(frozen=True, slots=True)
class PdiName:
    """A Product Data Item's name, e.g. ``S2B_OPER_MSI_L0__GR_CAPG_20211113T040313_S20211113T024031_D11_N03.01``.

    ``suffixes`` holds (letter, value) pairs in the order of the name; letters as in the PSD: S sensing or validity
    start, O orbit range, V validity range, D detector, A absolute orbit, R relative orbit, T tile, N baseline, B band,
    W completeness, L degradation.
    """

    satellite: str
    file_class: str
    file_type: str
    site: str
    creation: datetime
    suffixes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(*_pdi_parts(text))

    def __getitem__(self, letter: str) -> str:
        for key, value in self.suffixes:
            if key == letter:
                return value
        raise KeyError(letter)

    def get(self, letter: str) -> str | None:
        """The value of suffix ``letter``, or ``None``."""
        return next((value for key, value in self.suffixes if key == letter), None)

    def __str__(self) -> str:
        head = f"{self.satellite}_{self.file_class}_{self.file_type}_{self.site}_{format_stamp(self.creation)}"
        return head + "".join(f"_{letter}{value}" for letter, value in self.suffixes)


@lru_cache(maxsize=4096)
def _pdi_parts(text: str) -> tuple[str, str, str, str, datetime, tuple[tuple[str, str], ...]]:
    """The fields of a PDI's name, which is asked for with each event of a session that has it."""
    match = _PDI.fullmatch(text) if len(text) <= 128 else None
    if match is None:
        raise BadInputError("PDI name", "S2x_OPER|TEST_<type>_<site>_<creation>[_<suffix>...]", text)
    suffixes, at = [], 0
    while at < len(match["suffixes"]):
        found = _SUFFIX.match(match["suffixes"], at)
        if found is None:
            raise BadInputError("PDI name", f"a suffix of {''.join(_SUFFIXES)} at {match['suffixes'][at:]!r}", text)
        suffixes.append((found[0][1], found[0][2:]))
        at = found.end()
    creation = parse_stamp(match["creation"], "PDI name, creation")
    return match["sat"], match["cls"], match["type"], match["site"], creation, tuple(suffixes)


_HKTM: Final = re.compile(
    rf"(?P<sat>S2[A-D])_(?P<cls>OPER|TEST)_PRD_HKTM___(?P<start>{_STAMP})_(?P<stop>{_STAMP})_(?P<n>\d{{4}})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class HktmName:
    """Housekeeping telemetry, without site and creation: ``S2A_OPER_PRD_HKTM___<start>_<stop>_0001``."""

    satellite: str
    file_class: str
    start: datetime
    stop: datetime
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _HKTM.fullmatch(text)
        if match is None:
            raise BadInputError("HKTM name", "S2x_OPER|TEST_PRD_HKTM___<start>_<stop>_NNNN", text)
        start, stop = parse_stamp(match["start"], "HKTM name, start"), parse_stamp(match["stop"], "HKTM name, stop")
        return cls(match["sat"], match["cls"], start, stop, int(match["n"]))

    def __str__(self) -> str:
        span = f"{format_stamp(self.start)}_{format_stamp(self.stop)}"
        return f"{self.satellite}_{self.file_class}_PRD_HKTM___{span}_{self.number:04d}"


def is_telemetry(name: str) -> bool:
    """Whether a product's name is one of housekeeping telemetry."""
    return _HKTM.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class CompactName:
    """A user product's compact name, e.g. ``S2A_MSIL1C_20221008T220421_N0400_R072_T08XMJ_20221008T222426.SAFE``."""

    satellite: str
    level: Literal["L1C", "L2A"]
    sensing: datetime
    baseline: str
    relative_orbit: int
    tile: str
    discriminator: datetime
    safe: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _COMPACT.fullmatch(text)
        if match is None:
            raise BadInputError(
                "product name", "S2x_MSIL1C|MSIL2A_<sensing>_Nxxxx_Rxxx_Txxxxx_<discriminator>[.SAFE]", text
            )
        level: Literal["L1C", "L2A"] = "L1C" if match["level"] == "L1C" else "L2A"
        return cls(
            match["sat"],
            level,
            parse_stamp(match["sensing"], "product name, sensing"),
            match["baseline"],
            int(match["orbit"]),
            match["tile"],
            parse_stamp(match["discriminator"], "product name, discriminator"),
            match["safe"] is not None,
        )

    def __str__(self) -> str:
        return (
            f"{self.satellite}_MSI{self.level}_{format_stamp(self.sensing)}_N{self.baseline}_R{self.relative_orbit:03d}"
            f"_T{self.tile}_{format_stamp(self.discriminator)}{'.SAFE' if self.safe else ''}"
        )
